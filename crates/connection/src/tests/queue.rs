//! The bound on bytes that wait to be written, and what happens to pongs at it.

use crate::fuzzing::harness::{Client, Seen, frame};
use crate::{Close, Config, Error, Opcode, ProtocolError, SendError, State, Timeout};

/// Room for `bytes` of frames.
fn bounded(bytes: usize) -> Client {
    let mut config = Config::default();
    config.max_queued_bytes = bytes;
    Client::open(config)
}

fn ping(payload: &[u8]) -> Vec<u8> {
    frame(true, Opcode::Ping, payload)
}

#[test]
fn b063_a_message_beyond_the_limit_is_refused_and_nothing_is_queued() {
    let mut client = bounded(100);
    let send = |client: &mut Client, len| client.conn.tx().send_binary(&vec![0; len], &mut client.env);
    assert_eq!(send(&mut client, 87), Err(SendError::TooBig { len: 101, limit: 100 }));
    send(&mut client, 50).unwrap();
    assert_eq!(client.conn.queued_bytes(), 56);
    for _ in 0..3 {
        assert_eq!(send(&mut client, 31), Err(SendError::QueueFull { queued: 56, len: 45, limit: 100 }));
        assert_eq!(client.conn.queued_bytes(), 56);
    }
    send(&mut client, 30).unwrap();
    // The refused message fits once the others are on their way.
    client.write(40);
    send(&mut client, 31).unwrap();
    assert_eq!(client.conn.state(), State::Open);
}

#[test]
fn b063_fragments_pings_and_pongs_count_too() {
    let mut client = bounded(20);
    let env = &mut client.env;
    let tx = client.conn.tx();
    tx.send_text("12345", env).unwrap();
    assert!(matches!(tx.ping(b"", env), Err(SendError::QueueFull { .. })));
    assert!(matches!(tx.pong(b"", env), Err(SendError::QueueFull { .. })));
    let result = tx.send_fragment(Some(crate::Kind::Text), b"", false, env);
    assert!(matches!(result, Err(SendError::QueueFull { .. })));
    assert_eq!(tx.send_text("", env).unwrap_err().to_string().matches("20").count(), 1);
    // A refused first fragment has begun nothing.
    client.sent();
    assert_eq!(client.conn.tx().send_text("a", &mut client.env), Ok(()));
}

#[test]
fn a_close_frame_goes_out_whatever_waits() {
    let mut client = bounded(20);
    client.conn.tx().send_text("123456", &mut client.env).unwrap();
    client.conn.tx().close(&Close::without_code(), &mut client.env).unwrap();
    assert_eq!(client.sent_payloads(), [(1, b"123456".to_vec()), (8, Vec::new())]);

    let mut client = bounded(20);
    client.conn.tx().send_text("123456", &mut client.env).unwrap();
    assert!(client.came(&[0xff]).is_err());
    assert_eq!(client.sent()[1].close().map(|(code, _)| code), Some(1002));
}

#[test]
fn b108_only_the_latest_pong_is_owed_when_the_queue_is_full() {
    let mut client = bounded(40);
    client.conn.tx().send_binary(&[0; 26], &mut client.env).unwrap();
    client.came(&[ping(b"1"), ping(b"2"), ping(b"3")].concat()).unwrap();
    assert_eq!(client.take().len(), 3, "the pings are reported all the same");
    assert_eq!(client.conn.queued_bytes(), 32);
    client.write(7);
    assert_eq!(client.conn.queued_bytes(), 25 + 7, "what is owed is queued as soon as there is room");
    assert!(client.write(25).len() == 25 && client.sent_payloads() == [(10, b"3".to_vec())]);
    client.came(&ping(b"4")).unwrap();
    assert_eq!(client.sent_payloads(), [(10, b"4".to_vec())]);
}

#[test]
fn b108_pongs_keep_their_order_at_a_full_queue() {
    let mut client = bounded(40);
    client.conn.tx().send_binary(&[0; 18], &mut client.env).unwrap();
    // The first does not fit, the second does: an answer to the first would now come too late.
    client.came(&[ping(&[1; 20]), ping(b"2")].concat()).unwrap();
    let mut payloads = client.sent_payloads();
    payloads.extend(client.sent_payloads());
    assert_eq!(payloads, [(2, vec![0; 18]), (10, b"2".to_vec())]);
}

#[test]
fn an_owed_pong_is_dropped_when_the_connection_closes() {
    let mut client = bounded(40);
    client.conn.tx().send_binary(&[0; 26], &mut client.env).unwrap();
    client.came(&ping(b"owed")).unwrap();
    client.conn.tx().close(&Close::without_code(), &mut client.env).unwrap();
    client.came(&ping(b"late")).unwrap();
    assert_eq!(client.take(), [Seen::Ping(b"owed".to_vec()), Seen::Ping(b"late".to_vec())]);
    let mut opcodes: Vec<_> = client.sent().iter().map(|frame| frame.opcode).collect();
    opcodes.extend(client.sent().iter().map(|frame| frame.opcode));
    assert_eq!(opcodes, [2, 8], "nothing follows the close frame");
}

#[test]
fn a_limit_of_nothing_refuses_messages_and_closes_cleanly() {
    let mut client = bounded(0);
    assert!(client.conn.tx().send_text("", &mut client.env).is_err());
    client.came(&ping(b"")).unwrap();
    assert_eq!(client.came(&[0xff]), Err(Error::Protocol(ProtocolError::ReservedBits(7))));
    assert_eq!(client.sent().len(), 1);
}

#[test]
fn b065_a_stream_that_takes_nothing_for_too_long_ends_the_connection() {
    const SECOND: std::time::Duration = std::time::Duration::from_secs(1);
    let mut config = Config::default();
    config.write_timeout = 10 * SECOND;
    let mut client = Client::open(config);
    client.conn.tx().send_text("0123456789", &mut client.env).unwrap();
    assert_eq!(client.due_in(), None, "waiting to be written is no stall");

    // Progress counts, however small.
    for _ in 0..3 {
        client.conn.tx().stall(&client.env);
        assert_eq!(client.due_in(), Some(10 * SECOND));
        client.advance(9 * SECOND).unwrap();
        client.conn.tx().stall(&client.env);
        assert_eq!(client.due_in(), Some(SECOND), "one stall, not a new one");
        client.write(1);
        assert_eq!(client.due_in(), None);
    }

    client.conn.tx().stall(&client.env);
    assert_eq!(client.advance(10 * SECOND), Err(Error::Timeout(Timeout::Write)));
    assert_eq!(client.conn.state(), State::Closed);
}
