//! What is too big is refused at its header, before memory is taken.

use crate::fuzzing::harness::{Client, Leave, Seen, frame};
use crate::{Config, Error, Opcode, ProtocolError};

use Opcode::{Binary, Continuation, Text};

/// A header that announces `len` bytes, and nothing of them.
fn header(fin: bool, opcode: Opcode, len: u64) -> Vec<u8> {
    let mut bytes = vec![u8::from(fin) << 7 | opcode as u8, 127];
    bytes.extend_from_slice(&len.to_be_bytes());
    bytes
}

#[test]
fn b076_a_header_takes_no_memory_for_what_it_announces() {
    for step in [1, 14] {
        let mut client = Client::open(Config::default());
        for piece in header(true, Binary, 64 << 20).chunks(step) {
            client.feed(piece, Leave::Absorb).unwrap();
        }
        assert!(client.conn.held_bytes() < 1024, "{}", client.conn.held_bytes());
        client.came(&[0; 1000]).unwrap();
        assert!(client.conn.held_bytes() < 4096, "{}", client.conn.held_bytes());
        // In step with what came: never more than twice that, and one read.
        let mut came = 1000;
        while came < 5_000_000 {
            let spare = client.conn.spare(&mut client.env).unwrap();
            came += spare.len();
            let len = spare.len();
            client.conn.filled(len, &mut client.env).unwrap();
            assert!(client.conn.held_bytes() <= 2 * came + (256 << 10), "{came}");
        }
    }
}

#[test]
fn b076_a_frame_beyond_the_limit_is_refused_at_its_header() {
    for len in [(64 << 20) + 1, 1 << 40, i64::MAX as u64] {
        for step in [1, 10] {
            let mut client = Client::open(Config::default());
            let bytes = header(true, Text, len);
            let mut pieces = bytes.chunks(step);
            let result = pieces.try_for_each(|piece| client.feed(piece, Leave::Absorb));
            assert_eq!(result, Err(ProtocolError::FrameTooBig { len, limit: 64 << 20 }.into()));
            assert_eq!(client.sent()[0].close().map(|(code, _)| code), Some(1009));
            assert_eq!(client.conn.held_bytes(), 0);
        }
    }
}

#[test]
fn b076_a_message_beyond_the_limit_is_refused_at_the_header_that_exceeds_it() {
    let mut config = Config::default();
    config.max_message_size = 1000;
    let error = |len| Error::Protocol(ProtocolError::MessageTooBig { len, limit: 1000 });

    let mut client = Client::open(config.clone());
    client.came(&frame(true, Binary, &[1; 1000])).unwrap();
    client.came(&[frame(false, Binary, &[1; 600]), frame(true, Continuation, &[1; 400])].concat()).unwrap();
    assert_eq!(client.take(), [Seen::Binary(vec![1; 1000]), Seen::Binary(vec![1; 1000])]);
    client.came(&frame(false, Binary, &[1; 600])).unwrap();
    let result = client.came(&frame(true, Continuation, &[1; 401])[..4]);
    assert_eq!(result, Err(error(1001)));

    let mut client = Client::open(config);
    assert_eq!(client.came(&frame(true, Binary, &[1; 1001])[..4]), Err(error(1001)), "unfragmented");
}

#[test]
fn b076_empty_fragments_are_counted() {
    let mut config = Config::default();
    config.max_fragments = 100;
    for deliver in [false, true] {
        config.deliver_fragments = deliver;
        let mut client = Client::open(config.clone());
        let message = |fragments: usize| {
            let middle = frame(false, Continuation, b"").repeat(fragments - 2);
            [frame(false, Binary, b""), middle, frame(true, Continuation, b"")].concat()
        };
        client.came(&message(100)).unwrap();
        let error = ProtocolError::TooManyFragments { limit: 100 };
        assert_eq!(client.came(&message(101)), Err(error.into()), "{deliver}");
    }
}

/// Single fragments are not held, so a message of them has no size.
#[test]
fn b076_b078_single_fragments_are_limited_each() {
    let mut config = Config::default();
    config.max_message_size = 1000;
    config.deliver_fragments = true;
    let mut client = Client::open(config);
    client.came(&frame(false, Binary, &[0; 1000])).unwrap();
    client.came(&frame(false, Continuation, &[0; 1000])).unwrap();
    assert_eq!(client.take().len(), 2);
    assert!(client.came(&frame(false, Continuation, &[0; 1001])[..4]).is_err());
}

#[test]
fn an_idle_connection_holds_no_memory() {
    let mut client = Client::open(Config::default());
    assert_eq!(client.conn.held_bytes(), 0);
    let fragments = [frame(false, Text, b"one "), frame(true, Continuation, b"two")].concat();
    for bytes in [frame(true, Text, &[b'x'; 100_000]), fragments, frame(true, Opcode::Ping, b"p")] {
        for piece in bytes.chunks(1 + bytes.len() / 3) {
            client.came(piece).unwrap();
        }
        client.conn.tx().send_text("answer", &mut client.env).unwrap();
        client.sent();
        assert_eq!(client.conn.held_bytes(), 0);
    }
    assert_eq!(client.take().len(), 3);
}

#[test]
fn what_a_connection_gave_back_serves_the_next_one() {
    let mut client = Client::open(Config::default());
    let bytes = frame(true, Binary, &[7; 50_000]);
    for piece in bytes.chunks(10_000) {
        client.came(piece).unwrap();
    }
    let pooled = client.env.pooled_bytes();
    assert!(pooled >= 50_000);
    for piece in bytes.chunks(10_000) {
        client.came(piece).unwrap();
    }
    assert_eq!(client.env.pooled_bytes(), pooled);
    assert_eq!(client.take(), [Seen::Binary(vec![7; 50_000]), Seen::Binary(vec![7; 50_000])]);
}
