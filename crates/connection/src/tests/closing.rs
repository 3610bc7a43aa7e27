//! The closing handshake from either side and from both.

use std::time::Duration;

use super::SECOND;
use crate::fuzzing::harness::{Client, Seen, close_frame, frame};
use crate::{Close, CloseCode, CloseFrame, Config, Error, Opcode, SendError, Side, State, Timeout};

fn close(client: &mut Client, code: Option<u16>, reason: &str) -> Result<(), SendError> {
    let close = code.map_or(Close::without_code(), |code| CloseCode::from(code).into());
    client.conn.tx().close(&close.reason(reason), &mut client.env)
}

fn code(code: u16) -> Vec<u8> {
    code.to_be_bytes().to_vec()
}

#[test]
fn b044_b109_our_close_waits_for_the_reply_and_then_for_the_end() {
    let mut client = Client::open(Config::default());
    close(&mut client, Some(1001), "going").unwrap();
    assert_eq!(client.conn.state(), State::Closing);
    assert_eq!(client.conn.closing_side(), Some(Side::Client));
    assert_eq!(client.sent()[0].close(), Some((1001, "going")));
    client.came(&close_frame(1002, "reply")).unwrap();
    assert_eq!(client.take(), [Seen::Close(Some(1002), "reply".into())]);
    assert_eq!(client.conn.close_frame().unwrap().reason, "reply");
    assert_eq!(client.conn.closing_side(), Some(Side::Client));
    assert_eq!(client.conn.state(), State::Closing, "the server closes the stream first");
    assert_eq!(client.sent(), []);
    assert_eq!(client.end(), Ok(()));
    client.assert_over();
    assert_eq!(client.conn.error(), None);
    assert_eq!(client.came(b"x"), Ok(()), "whatever comes now is nobody's");
}

#[test]
fn b109_b111_closing_takes_no_time_and_has_a_deadline() {
    let mut config = Config::default();
    config.close_timeout = 5 * SECOND;
    let mut client = Client::open(config);
    client.env.now += SECOND;
    close(&mut client, None, "").unwrap();
    assert_eq!(client.due_in(), Some(5 * SECOND));
    assert_eq!(client.sent_payloads(), [(8, Vec::new())]);
    client.advance(SECOND).unwrap();
    client.came(&frame(true, Opcode::Text, b"still talking")).unwrap();
    assert_eq!(client.due_in(), Some(4 * SECOND), "data does not put it off");
    assert_eq!(client.advance(4 * SECOND), Err(Error::Timeout(Timeout::Close)));
    client.assert_over();
    assert_eq!(client.conn.error(), Some(&Error::Timeout(Timeout::Close)));
}

#[test]
fn b109_a_server_that_answers_but_keeps_the_stream_is_left_without_an_error() {
    let mut client = Client::open(Config::default());
    close(&mut client, Some(1000), "").unwrap();
    client.came(&close_frame(1000, "")).unwrap();
    assert_eq!(client.advance(3 * SECOND), Ok(()));
    client.assert_over();
    assert_eq!(client.conn.error(), None);
}

#[test]
fn b110_codes_and_reasons_that_must_not_be_sent_are_refused() {
    let mut client = Client::open(Config::default());
    for refused in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535] {
        assert_eq!(close(&mut client, Some(refused), ""), Err(SendError::InvalidCloseCode(refused)));
    }
    assert_eq!(close(&mut client, Some(1000), &"x".repeat(124)), Err(SendError::ReasonTooLong { len: 124 }));
    assert_eq!(close(&mut client, None, "why"), Err(SendError::InvalidCloseCode(1005)));
    assert_eq!(Close::from(CloseCode::Status).check(), Err(SendError::InvalidCloseCode(1005)));
    assert_eq!(Close::from((CloseCode::Away, "fine")).check(), Ok(()));
    assert_eq!((client.conn.state(), client.conn.queued_bytes()), (State::Open, 0));

    assert_eq!(close(&mut client, Some(4999), &"é".repeat(61)), Ok(()));
    assert_eq!(client.sent()[0].close(), Some((4999, "é".repeat(61).as_str())));
}

#[test]
fn b114_what_comes_before_the_reply_is_delivered() {
    let mut client = Client::open(Config::default());
    client.came(&frame(false, Opcode::Text, b"begun ")).unwrap();
    close(&mut client, Some(1000), "").unwrap();
    let messages: Vec<u8> = (0..100_u8).flat_map(|index| frame(true, Opcode::Binary, &[index])).collect();
    let ended = frame(true, Opcode::Continuation, b"before");
    client.came(&[ended, frame(true, Opcode::Ping, b"p"), messages].concat()).unwrap();
    client.came(&[close_frame(1000, ""), frame(true, Opcode::Text, b"late")].concat()).unwrap();
    let seen = client.take();
    assert_eq!(seen.len(), 103);
    assert_eq!(seen[..2], [Seen::Text("begun before".into()), Seen::Ping(b"p".to_vec())]);
    assert!((0..100_u8).all(|index| seen[2 + usize::from(index)] == Seen::Binary(vec![index])));
    assert_eq!(seen[102], Seen::Close(Some(1000), String::new()));
    assert_eq!(client.sent_payloads(), [(8, code(1000))], "no pong after the close frame");
}

#[test]
fn b039_b040_b041_b115_a_close_of_the_server_is_answered_with_its_code() {
    for sent in [1000, 1001, 1011, 1014, 3000, 4999] {
        let mut client = Client::open(Config::default());
        client.came(&close_frame(sent, "because")).unwrap();
        assert_eq!(client.take(), [Seen::Close(Some(sent), "because".into())]);
        assert_eq!(client.conn.closing_side(), Some(Side::Server));
        assert_eq!(client.sent_payloads(), [(8, code(sent))]);
    }
    let mut client = Client::open(Config::default());
    client.came(&frame(true, Opcode::Close, b"")).unwrap();
    assert_eq!(client.take(), [Seen::Close(None, String::new())]);
    assert_eq!(client.sent_payloads(), [(8, Vec::new())]);
    assert_eq!(client.conn.close_frame(), Some(&CloseFrame::default()));

    let mut client = Client::open(Config::default());
    assert_eq!(client.end(), Err(Error::EndOfStream));
    assert_eq!((client.conn.close_frame(), client.conn.closing_side()), (None, None));
}

#[test]
fn b115_the_answer_follows_what_was_sent_before() {
    let mut client = Client::open(Config::default());
    client.conn.tx().send_text("first", &mut client.env).unwrap();
    client.came(&close_frame(1000, "")).unwrap();
    assert_eq!(client.sent_payloads(), [(1, b"first".to_vec()), (8, code(1000))]);
}

#[test]
fn b116_after_the_servers_close_the_connection_is_not_open() {
    let mut client = Client::open(Config::default());
    client.came(&[close_frame(1000, ""), frame(true, Opcode::Text, b"late"), vec![0xff]].concat()).unwrap();
    assert_eq!(client.take().len(), 1, "what follows a close frame is not looked at");
    assert_eq!(client.conn.state(), State::Closing);
    let result = client.conn.tx().send_text("x", &mut client.env);
    assert_eq!(result, Err(SendError::NotOpen(State::Closing)));
    assert_eq!(client.due_in(), Some(3 * SECOND));
    assert_eq!(client.advance(3 * SECOND), Ok(()));
    client.assert_over();
    assert_eq!(client.conn.error(), None);
}

#[test]
fn b117_closing_twice_is_harmless() {
    let mut client = Client::open(Config::default());
    close(&mut client, Some(1000), "first").unwrap();
    client.advance(SECOND).unwrap();
    assert_eq!(close(&mut client, Some(1001), "second"), Ok(()));
    assert_eq!(client.due_in(), Some(2 * SECOND), "the deadline stays");
    assert_eq!(client.sent().len(), 1);
    client.came(&close_frame(1000, "")).unwrap();
    assert_eq!(close(&mut client, Some(1001), "third"), Ok(()));
    client.end().unwrap();
    assert_eq!(close(&mut client, Some(1001), "fourth"), Ok(()));
    client.assert_over();
    assert_eq!(client.end(), Ok(()));
    client.assert_over();
}

#[test]
fn closing_at_the_same_time_sends_one_close_frame_each() {
    let mut client = Client::open(Config::default());
    close(&mut client, Some(1000), "ours").unwrap();
    client.came(&close_frame(1001, "theirs")).unwrap();
    assert_eq!(client.take(), [Seen::Close(Some(1001), "theirs".into())]);
    let sent = client.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].close(), Some((1000, "ours")));
    assert_eq!(client.conn.closing_side(), Some(Side::Client));
    assert_eq!(client.end(), Ok(()));
}

#[test]
fn b118_an_end_instead_of_the_reply_is_no_error() {
    let mut client = Client::open(Config::default());
    close(&mut client, None, "").unwrap();
    assert_eq!(client.end(), Ok(()));
    client.assert_over();
    assert_eq!(client.conn.close_frame(), None, "the caller can tell that no reply came");
}

#[test]
fn closing_ends_keep_alive_and_frees_what_was_half_received() {
    let mut config = Config::default();
    config.ping_interval = SECOND;
    let mut client = Client::open(config);
    client.came(&frame(false, Opcode::Binary, &[0; 5000])).unwrap();
    assert!(client.conn.held_bytes() >= 5000);
    client.came(&close_frame(1000, "")).unwrap();
    client.sent();
    assert_eq!(client.conn.held_bytes(), 0);
    assert_eq!(client.advance(2 * SECOND), Ok(()));
    assert_eq!(client.sent(), []);
}

#[test]
fn what_waits_is_still_written_while_closing() {
    let mut client = Client::open(Config::default());
    client.conn.tx().send_binary(&[0; 1000], &mut client.env).unwrap();
    client.write(10);
    close(&mut client, Some(1000), "").unwrap();
    client.came(&close_frame(1000, "")).unwrap();
    assert_eq!(client.write(usize::MAX).len(), 1008 - 10 + 8);
    client.end().unwrap();
    client.assert_over();
}

#[test]
fn b119_a_connection_is_dropped_from_any_state_without_a_failure() {
    let connecting = |_: &mut Client| {};
    let half_a_message = |client: &mut Client| {
        client.came(crate::fuzzing::harness::RESPONSE).unwrap();
        client.came(&frame(false, Opcode::Text, &[b'x'; 500])).unwrap();
        client.conn.tx().send_text("waits", &mut client.env).unwrap();
    };
    let closing = |client: &mut Client| {
        client.came(crate::fuzzing::harness::RESPONSE).unwrap();
        close(client, None, "").unwrap();
    };
    let states: [fn(&mut Client); 3] = [connecting, half_a_message, closing];
    for reach in states {
        let mut client = Client::connecting(Config::default());
        reach(&mut client);
        for _ in 0..2 {
            client.conn.abort(&mut client.env);
            client.assert_over();
            assert_eq!(client.conn.error(), None);
        }
        assert_eq!(client.end(), Ok(()));
    }
}

#[test]
fn b109_a_close_may_have_a_timeout_of_its_own() {
    for own in [SECOND / 10, 10 * SECOND] {
        let mut client = Client::open(Config::default());
        let begun = client.env.now;
        client.conn.tx().close(&Close::default().timeout(own), &mut client.env).unwrap();
        assert_eq!(client.conn.deadline(), Some(begun + own));
        client.env.now = begun + own;
        assert_eq!(client.conn.handle_timeout(&mut client.env), Err(Error::Timeout(Timeout::Close)));
    }
}

#[test]
fn b117_a_second_close_can_only_hurry_the_first() {
    let mut client = Client::open(Config::default());
    let begun = client.env.now;
    let close = |client: &mut Client, close: Close| client.conn.tx().close(&close, &mut client.env).unwrap();
    close(&mut client, Close::default());
    for later in [Close::default(), Close::default().timeout(10 * SECOND)] {
        close(&mut client, later);
        assert_eq!(client.conn.deadline(), Some(begun + 3 * SECOND));
    }
    client.env.now += SECOND;
    close(&mut client, Close::default().timeout(SECOND));
    assert_eq!(client.conn.deadline(), Some(begun + 2 * SECOND));
    close(&mut client, Close::default().timeout(Duration::ZERO));
    assert!(client.conn.deadline().unwrap() <= client.env.now);
    assert_eq!(client.sent().len(), 1);
    assert_eq!(client.conn.handle_timeout(&mut client.env), Ok(()));
}

#[test]
fn a_close_that_waits_for_no_answer_ends_without_a_failure() {
    let mut client = Client::open(Config::default());
    client.conn.tx().close(&Close::default().timeout(Duration::ZERO), &mut client.env).unwrap();
    assert_eq!(client.sent()[0].close(), Some((1000, "")));
    assert_eq!(client.conn.deadline(), Some(client.env.now));
    assert_eq!(client.conn.handle_timeout(&mut client.env), Ok(()));
    assert_eq!((client.conn.state(), client.conn.error()), (State::Closed, None));
}
