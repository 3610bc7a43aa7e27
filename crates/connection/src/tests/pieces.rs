//! Messages that are written while they are masked.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::fuzzing::harness::{Client, Sent, frame, parse_sent};
use crate::{Config, Kind, Message, Opcode, SendError};

/// A stream that takes so many bytes at a time, so many times.
struct Stream {
    taken: Vec<u8>,
    step: usize,
    times: usize,
}

impl Stream {
    const fn new(step: usize, times: usize) -> Self {
        Self { taken: Vec::new(), step, times }
    }

    fn write(&mut self, bytes: &[u8]) -> usize {
        assert!(!bytes.is_empty(), "there is nothing to write");
        let len = if self.times == 0 { 0 } else { self.step.min(bytes.len()) };
        self.times = self.times.saturating_sub(1);
        self.taken.extend_from_slice(&bytes[..len]);
        len
    }
}

fn payload(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index % 251) as u8).collect()
}

/// What the stream has taken and what waits, together.
fn all(client: &mut Client, stream: Stream) -> Vec<Sent> {
    let written = [stream.taken, client.write(usize::MAX)].concat();
    let (sent, rest) = parse_sent(&written);
    assert_eq!(rest, b"");
    sent
}

#[test]
fn b062_a_message_is_whole_wherever_the_stream_takes_no_more() {
    for len in [0, 5, 32 << 10, 70_000, 200_000] {
        for step in [1000, 32 << 10, 50_001, usize::MAX] {
            for times in [0, 1, 2, 5, usize::MAX] {
                let mut client = Client::open(Config::default());
                let (payload, mut stream) = (payload(len), Stream::new(step, times));
                client.conn.tx().send_text("before", &mut client.env).unwrap();
                let message = Message::Binary(&payload);
                client.conn.tx().send_through(message, &mut client.env, |bytes| stream.write(bytes)).unwrap();
                let waits = client.conn.queued_bytes() > 0;
                assert!(waits || stream.taken.len() > len, "{len}, {times} times {step}");
                client.conn.tx().send_text("after", &mut client.env).unwrap();
                let sent = all(&mut client, stream);
                let payloads: Vec<_> = sent.iter().map(|frame| frame.payload.as_slice()).collect();
                assert_eq!(
                    payloads,
                    [b"before", payload.as_slice(), b"after"],
                    "{len}, {times} times {step}"
                );
            }
        }
    }
}

#[test]
fn b062_a_large_message_needs_the_memory_of_a_piece() {
    let mut client = Client::open(Config::default());
    let (payload, mut stream) = (payload(1 << 20), Stream::new(usize::MAX, usize::MAX));
    let message = Message::Binary(&payload);
    client.conn.tx().send_through(message, &mut client.env, |bytes| stream.write(bytes)).unwrap();
    assert_eq!((client.conn.queued_bytes(), client.conn.held_bytes()), (0, 0));
    let stats = client.conn.tx().stats();
    assert!(stats.peak_queued_bytes <= (32 << 10) + 14, "{}", stats.peak_queued_bytes);
    assert!(client.env.pooled_bytes() <= 64 << 10, "{}", client.env.pooled_bytes());
    assert_eq!((stats.sent.messages, stats.sent.payload_bytes), (1, 1 << 20));
    assert_eq!(all(&mut client, stream)[0].payload, payload);
}

#[test]
fn b063_a_refused_message_is_not_begun() {
    let mut config = Config::default();
    config.max_queued_bytes = 100_000;
    let mut client = Client::open(config);
    let env = &mut client.env;
    let tx = client.conn.tx();
    let unwanted = |_: &[u8]| -> usize { unreachable!("nothing is to be written") };
    let too_big = Err(SendError::TooBig { len: 100_001, limit: 100_000 });
    assert_eq!(tx.send_through(Message::Binary(&payload(99_987)), env, unwanted), too_big);
    let not_text = Message::UncheckedText(b"\xff");
    assert_eq!(tx.send_through(not_text, env, unwanted), Err(SendError::NotUtf8));
    assert_eq!(tx.send_fragment_through(None, b"", true, env, unwanted), Err(SendError::NothingToContinue));
    tx.send_fragment(Some(Kind::Text), b"", false, env).unwrap();
    assert_eq!(tx.send_through(Message::Text(""), env, unwanted), Err(SendError::InsideFragmented));
    assert_eq!(client.sent().len(), 1);
}

#[test]
fn b059_fragments_are_written_meanwhile_too() {
    let mut client = Client::open(Config::default());
    let (payload, mut stream) = (payload(100_000), Stream::new(40_000, 4));
    for (kind, fin) in [(Some(Kind::Binary), false), (None, false), (None, true)] {
        let tx = client.conn.tx();
        tx.send_fragment_through(kind, &payload, fin, &mut client.env, |bytes| stream.write(bytes)).unwrap();
    }
    let sent = all(&mut client, stream);
    let heads: Vec<_> = sent.iter().map(|frame| (frame.opcode, frame.fin)).collect();
    assert_eq!(heads, [(2, false), (0, false), (0, true)]);
    assert!(sent.iter().all(|frame| frame.payload == payload));
}

#[test]
fn b108_an_owed_pong_waits_for_the_end_of_the_frame() {
    let mut config = Config::default();
    config.max_queued_bytes = 100_100;
    let mut client = Client::open(config);
    client.conn.tx().send_binary(&payload(100_000), &mut client.env).unwrap();
    client.came(&frame(true, Opcode::Ping, &[b'p'; 100])).unwrap();
    let before = client.write(20);
    let (payload, mut stream) = (payload(60), Stream::new(7000, 3));
    let message = Message::Binary(&payload);
    client.conn.tx().send_through(message, &mut client.env, |bytes| stream.write(bytes)).unwrap();
    stream.taken.splice(..0, before);
    let opcodes: Vec<_> = all(&mut client, stream).iter().map(|frame| frame.opcode).collect();
    assert_eq!(opcodes, [2, 2, 10]);
}

#[test]
fn a_stream_that_panics_leaves_a_whole_frame() {
    let mut client = Client::open(Config::default());
    let payload = payload(200_000);
    let mut calls = 0;
    let mut stream = Stream::new(usize::MAX, usize::MAX);
    let sent = catch_unwind(AssertUnwindSafe(|| {
        client.conn.tx().send_through(Message::Binary(&payload), &mut client.env, |bytes| {
            calls += 1;
            assert!(calls < 3, "the stream panics");
            stream.write(bytes)
        })
    }));
    assert!(sent.is_err());
    assert_eq!(all(&mut client, stream)[0].payload, payload);
}
