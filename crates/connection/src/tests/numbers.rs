//! What a connection counts.

use std::time::Duration;

use super::SECOND;
use crate::fuzzing::harness::{Client, Leave, RESPONSE, frame, raw_frame};
use crate::{Config, ConnectionStats, Kind, Opcode};

fn stats(client: &mut Client) -> ConnectionStats {
    client.conn.tx().stats()
}

/// Three messages in five frames, with a ping between; a large one among them.
fn bytes() -> Vec<u8> {
    [
        frame(true, Opcode::Text, b"12345"),
        frame(false, Opcode::Binary, &[1; 300]),
        frame(true, Opcode::Ping, b"ping"),
        frame(false, Opcode::Continuation, b""),
        frame(true, Opcode::Continuation, &[2; 10]),
        frame(true, Opcode::Binary, &[3; 70_000]),
    ]
    .concat()
}

#[test]
fn messages_frames_and_bytes_are_counted_however_they_are_cut_and_delivered() {
    let bytes = bytes();
    for leave in [Leave::InBuffer, Leave::Absorb, Leave::Spare] {
        for single in [false, true] {
            for piece in [1000, 7, bytes.len()] {
                let mut config = Config::default();
                config.deliver_fragments = single;
                let mut client = Client::open(config);
                for piece in bytes.chunks(piece) {
                    client.feed(piece, leave).unwrap();
                }
                let received = stats(&mut client).received;
                let case = format!("{leave:?}, single: {single}, pieces of {piece}");
                assert_eq!(received.messages, 3, "{case}");
                assert_eq!(received.frames, 5, "{case}");
                assert_eq!(received.payload_bytes, 5 + 310 + 70_000, "{case}");
                assert_eq!(received.wire_bytes, (RESPONSE.len() + bytes.len()) as u64, "{case}");
                assert_eq!(received.pings, 1, "{case}");
                assert_eq!(received.compression_ratio(), None, "{case}");
            }
        }
    }
}

#[test]
fn a_message_that_is_not_valid_is_not_counted() {
    let mut client = Client::open(Config::default());
    client.feed(&frame(true, Opcode::Text, b"valid"), Leave::Absorb).unwrap();
    client.feed(&frame(true, Opcode::Text, b"\xff"), Leave::Absorb).unwrap_err();
    let received = stats(&mut client).received;
    assert_eq!((received.messages, received.payload_bytes), (1, 5));
}

#[test]
fn the_bytes_of_what_ends_a_connection_are_counted() {
    let refusal = b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n";
    let mut client = Client::connecting(Config::default());
    client.feed(refusal, Leave::Absorb).unwrap_err();
    assert_eq!(stats(&mut client).received.wire_bytes, refusal.len() as u64);

    let masked = b"\x82\x81mask!";
    let mut client = Client::open(Config::default());
    client.feed(masked, Leave::Absorb).unwrap_err();
    assert_eq!(stats(&mut client).received.wire_bytes, (RESPONSE.len() + masked.len()) as u64);
}

#[test]
fn what_is_sent_is_counted_when_it_is_queued_and_bytes_when_they_are_written() {
    let mut client = Client::open(Config::default());
    let request = stats(&mut client).sent.wire_bytes;
    assert!(request > 0);
    let tx = client.conn.tx();
    tx.send_text("12345", &mut client.env).unwrap();
    tx.send_fragment(Some(Kind::Binary), &[1; 300], false, &mut client.env).unwrap();
    tx.ping(b"ping", &mut client.env).unwrap();
    tx.send_fragment(None, &[1; 10], true, &mut client.env).unwrap();
    let sent = stats(&mut client).sent;
    assert_eq!((sent.messages, sent.frames, sent.payload_bytes, sent.pings), (2, 3, 315, 1));
    assert_eq!(sent.wire_bytes, request);
    let len = client.write(usize::MAX).len() as u64;
    assert_eq!(stats(&mut client).sent.wire_bytes, request + len);
    // What is refused is not counted.
    client.conn.tx().send_text(&"x".repeat(65 << 20), &mut client.env).unwrap_err();
    assert_eq!(stats(&mut client).sent.messages, 2);
}

#[test]
fn the_queue_at_its_peak_is_known_also_after_it_was_written() {
    let mut client = Client::open(Config::default());
    assert_eq!(stats(&mut client).peak_queued_bytes, 0);
    client.conn.tx().send_binary(&[0; 100], &mut client.env).unwrap();
    client.conn.tx().send_binary(&[0; 100], &mut client.env).unwrap();
    let most = client.conn.queued_bytes();
    assert_eq!(stats(&mut client).peak_queued_bytes, most);
    client.write(150);
    client.conn.tx().send_binary(&[0; 20], &mut client.env).unwrap();
    client.write(usize::MAX);
    assert_eq!(stats(&mut client).peak_queued_bytes, most);
    // Without a look in between.
    client.conn.tx().send_binary(&[0; 1000], &mut client.env).unwrap();
    let most = client.conn.queued_bytes();
    client.write(usize::MAX);
    assert_eq!(stats(&mut client).peak_queued_bytes, most);
}

#[test]
fn a_message_has_the_time_of_the_read_that_completed_it() {
    let mut client = Client::open(Config::default());
    let read = |client: &mut Client, bytes: &[u8]| {
        client.feed(bytes, Leave::Absorb).unwrap();
        client.conn.tx().read_at(client.env.now);
        client.env.now
    };
    read(&mut client, &frame(true, Opcode::Ping, b""));
    // Nothing has asked before, and there was no message.
    assert_eq!(stats(&mut client).last_byte, None);
    let whole = read(&mut client, &frame(true, Opcode::Text, b"hello"));
    client.env.now += SECOND;
    let start = read(&mut client, &raw_frame(0x81, b"hello")[..3]);
    let now = stats(&mut client);
    assert_eq!((now.last_byte, now.last_message), (Some(start), Some(whole)));
    client.env.now += SECOND;
    let end = read(&mut client, &raw_frame(0x81, b"hello")[3..]);
    let now = stats(&mut client);
    assert_eq!((now.last_byte, now.last_message), (Some(end), Some(end)));
}

#[test]
fn the_shortest_round_trip_is_kept() {
    let mut client = Client::open(Config::default());
    for millis in [30, 10, 20] {
        client.conn.tx().ping(b"ping", &mut client.env).unwrap();
        client.write(usize::MAX);
        client.env.now += Duration::from_millis(millis);
        client.feed(&frame(true, Opcode::Pong, b"ping"), Leave::Absorb).unwrap();
    }
    let rtt = stats(&mut client).rtt;
    assert_eq!(rtt.last, Some(Duration::from_millis(20)));
    assert_eq!(rtt.min, Some(Duration::from_millis(10)));
    assert_eq!(rtt, client.conn.rtt());
}

#[test]
fn the_numbers_stay_when_the_connection_has_ended() {
    let mut client = Client::open(Config::default());
    client.feed(&bytes(), Leave::Absorb).unwrap();
    client.conn.tx().send_text("hello", &mut client.env).unwrap();
    let before = stats(&mut client);
    client.end().unwrap_err();
    client.assert_over();
    assert_eq!(stats(&mut client), before);
}
