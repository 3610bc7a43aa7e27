//! Messages, fragments and control frames as they come.

use std::time::Duration;

use super::SECOND;
use crate::fuzzing::harness::{Client, Leave, RESPONSE, Seen, close_frame, frame};
use crate::{Close, Config, Error, Event, Input, Kind, Message, Opcode, ProtocolError, State, Timeout};

use Opcode::{Binary, Continuation, Ping, Text};

#[test]
fn b071_a_frame_survives_timeouts_in_its_middle() {
    let mut config = Config::default();
    config.ping_interval = SECOND;
    let mut client = Client::open(config);
    for byte in frame(true, Text, "grüß".as_bytes()) {
        client.came(&[byte]).unwrap();
        client.advance(3 * SECOND).unwrap();
    }
    assert_eq!(client.take(), [Seen::Text("grüß".into())]);
}

#[test]
fn b072_frames_in_the_same_segment_as_the_response_are_not_lost() {
    let mut client = Client::connecting(Config::default());
    let frames = [frame(true, Text, b"early"), frame(true, Text, b"bird")[..3].to_vec()].concat();
    client.came(&[RESPONSE, &frames].concat()).unwrap();
    client.came(b"ird").unwrap();
    assert_eq!(client.take(), [Seen::Open, Seen::Text("early".into()), Seen::Text("bird".into())]);
}

#[test]
fn b030_b093_text_is_text_binary_is_bytes_and_a_close_is_an_event_of_its_own() {
    let bytes = [frame(true, Text, b"t"), frame(true, Binary, b"b"), close_frame(1000, "done")].concat();
    let mut client = Client::open(Config::default());
    let mut input = Input::new(&bytes);
    let mut next = || {
        client.conn.receive(&mut input, &mut client.env).unwrap().map(|(event, _)| match event {
            Event::Message(message @ Message::Text(text)) => {
                assert_eq!((message.as_text(), message.kind(), message.len()), (Some("t"), Kind::Text, 1));
                text.to_owned()
            }
            Event::Message(message @ Message::Binary(bytes)) => {
                assert_eq!(
                    (message.as_text(), message.kind(), message.is_empty()),
                    (None, Kind::Binary, false)
                );
                format!("{bytes:?}")
            }
            Event::Close(frame) => format!("{frame:?}"),
            other => panic!("{other:?}"),
        })
    };
    assert_eq!(next().unwrap(), "t");
    assert_eq!(next().unwrap(), "[98]");
    assert_eq!(next().unwrap(), r#"CloseFrame { code: Some(Normal), reason: "done" }"#);
    assert_eq!(next(), None);
    assert_eq!(client.conn.close_frame().map(|frame| frame.reason.as_str()), Some("done"));
}

#[test]
fn a_whole_frame_is_lent_from_the_callers_buffer() {
    let bytes = [frame(true, Text, b"first"), frame(true, Binary, b"second")].concat();
    let range = bytes.as_ptr_range();
    let mut client = Client::open(Config::default());
    let mut input = Input::new(&bytes);
    for _ in 0..2 {
        let event = client.conn.receive(&mut input, &mut client.env).unwrap();
        let Some((Event::Message(message), _)) = event else { panic!("{event:?}") };
        assert!(range.contains(&message.as_bytes().as_ptr()));
    }
    assert_eq!(client.conn.held_bytes(), 0);
}

#[test]
fn an_answer_goes_out_while_the_message_is_borrowed() {
    let bytes =
        [frame(true, Text, b"one"), frame(false, Binary, b"tw"), frame(true, Continuation, b"o")].concat();
    let mut client = Client::open(Config::default());
    let mut input = Input::new(&bytes);
    while let Some((event, tx)) = client.conn.receive(&mut input, &mut client.env).unwrap() {
        let Event::Message(message) = event else { panic!("{event:?}") };
        let opcode = if message.kind() == Kind::Text { Text } else { Binary };
        tx.send(message.as_bytes(), opcode, &mut client.env).unwrap();
    }
    assert_eq!(client.sent_payloads(), [(1, b"one".to_vec()), (2, b"two".to_vec())]);
}

#[test]
fn b074_a_large_payload_is_read_without_a_copy_in_pieces_of_any_size() {
    let payload: Vec<u8> = (0..1_000_000_u32).map(|index| (index / 3) as u8).collect();
    let bytes = frame(true, Binary, &payload);
    for step in [1 << 10, 100_000, 1 << 20] {
        let mut client = Client::open(Config::default());
        client.came(&bytes[..4096]).unwrap();
        let mut at = 4096;
        while let Some(spare) = client.conn.spare(&mut client.env) {
            assert!(spare.len() <= 256 << 10, "memory is taken as the payload comes");
            let len = spare.len().min(step).min(bytes.len() - at);
            spare[..len].copy_from_slice(&bytes[at..at + len]);
            client.conn.filled(len, &mut client.env).unwrap();
            at += len;
        }
        client.came(&bytes[at..]).unwrap();
        assert_eq!(client.take(), [Seen::Binary(payload.clone())]);
        assert_eq!(client.conn.held_bytes(), 0);
    }
}

#[test]
fn only_a_large_payload_that_is_under_way_has_spare_room() {
    let mut client = Client::open(Config::default());
    assert!(client.conn.spare(&mut client.env).is_none(), "nothing is under way");
    client.came(&frame(true, Binary, &[0; 9000])[..4]).unwrap();
    assert!(client.conn.spare(&mut client.env).is_none(), "a small one is copied");
    // Reports of bytes that were not read change nothing.
    client.conn.filled(10_000, &mut client.env).unwrap();
    client.came(&[0; 9000]).unwrap();
    assert_eq!(client.take(), [Seen::Binary(vec![0; 9000])]);
    assert!(client.conn.spare(&mut client.env).is_none(), "it is complete");
    client.conn.filled(7, &mut client.env).unwrap();
    client.came(&frame(true, Text, b"next")).unwrap();
    assert_eq!(client.take(), [Seen::Text("next".into())]);
}

#[test]
fn b075_nothing_waits_inside_a_frame() {
    let mut config = Config::default();
    config.ping_interval = 10 * SECOND;
    config.ping_timeout = Some(2 * SECOND);
    let mut client = Client::open(config);
    client.came(&frame(true, Text, b"stalls")[..4]).unwrap();
    client.conn.tx().send_text("we go on", &mut client.env).unwrap();
    client.advance(10 * SECOND).unwrap();
    assert_eq!(client.sent().len(), 2, "a message and a ping");
    assert_eq!(client.advance(2 * SECOND), Err(Error::Timeout(Timeout::Pong)));
    client.assert_over();

    let mut client = Client::open(Config::default());
    client.came(&frame(true, Text, b"stalls")[..4]).unwrap();
    client.conn.tx().close(&Close::without_code(), &mut client.env).unwrap();
    assert_eq!(client.sent_payloads(), [(8, Vec::new())]);
    assert_eq!(client.advance(3 * SECOND), Err(Error::Timeout(Timeout::Close)));
    client.assert_over();
}

#[test]
fn b077_any_number_of_fragments_makes_one_message() {
    let mut bytes = frame(false, Text, "é".as_bytes());
    for _ in 0..5000 {
        bytes.extend(frame(false, Continuation, "é".as_bytes()));
    }
    bytes.extend(frame(true, Continuation, b""));
    for leave in [Leave::InBuffer, Leave::Absorb] {
        let mut client = Client::open(Config::default());
        for piece in bytes.chunks(997) {
            client.feed(piece, leave).unwrap();
        }
        assert_eq!(client.take(), [Seen::Text("é".repeat(5001))]);
        assert_eq!(client.conn.held_bytes(), 0);
    }
}

#[test]
fn b027_b028_b078_each_fragment_comes_with_the_kind_of_its_message_first_and_last() {
    let mut config = Config::default();
    config.deliver_fragments = true;
    let mut client = Client::open(config);
    let fragment = |payload: &str, first, last| Seen::Fragment {
        kind: Kind::Text,
        payload: payload.into(),
        first,
        last,
    };
    client.came(&frame(false, Text, b"a")).unwrap();
    assert_eq!(client.take(), [fragment("a", true, false)]);
    client.came(&[frame(false, Continuation, b"b"), frame(true, Continuation, b"c")].concat()).unwrap();
    assert_eq!(client.take(), [fragment("b", false, false), fragment("c", false, true)]);
    client.came(&frame(true, Text, b"unfragmented")).unwrap();
    assert_eq!(client.take(), [Seen::Text("unfragmented".into())]);
}

#[test]
fn b029_single_fragments_of_text_are_checked_over_the_whole_message() {
    let mut config = Config::default();
    config.deliver_fragments = true;
    let mut client = Client::open(config);
    client.came(&frame(false, Text, b"\xe2")).unwrap();
    let result = client.came(&frame(false, Continuation, b"\x28"));
    assert_eq!(result, Err(ProtocolError::InvalidUtf8.into()));
    assert_eq!(client.take().len(), 1, "the bad fragment is not handed on");
}

#[test]
fn b031_b108_the_pong_is_queued_before_the_ping_is_reported() {
    let bytes = frame(true, Ping, b"payload");
    let mut client = Client::open(Config::default());
    let mut input = Input::new(&bytes);
    let (event, tx) = client.conn.receive(&mut input, &mut client.env).unwrap().unwrap();
    assert_eq!(event, Event::Ping(b"payload"));
    assert_eq!(tx.queued_bytes(), 6 + 7);
    assert_eq!(client.sent_payloads(), [(10, b"payload".to_vec())]);
}

#[test]
fn b088_b091_without_the_check_text_comes_as_bytes() {
    let mut config = Config::default();
    config.validate_utf8 = false;
    let mut client = Client::open(config);
    client.came(&frame(true, Text, b"fine")).unwrap();
    client.came(&frame(true, Text, b"\xff")).unwrap();
    assert_eq!(client.take(), [Seen::UncheckedText(b"fine".to_vec()), Seen::UncheckedText(vec![0xff])]);
}

#[test]
fn b095_b120_an_end_without_a_close_frame_is_a_loss() {
    let mut client = Client::open(Config::default());
    client.came(&frame(true, Text, b"half")[..3]).unwrap();
    assert_eq!(client.end(), Err(Error::EndOfStream));
    client.assert_over();
    assert_eq!(client.conn.error(), Some(&Error::EndOfStream));
    assert_eq!(client.conn.close_frame(), None);
    assert_eq!(client.came(b"x"), Err(Error::EndOfStream));
    assert_eq!(client.end(), Ok(()), "the loss has been reported");
}

#[test]
fn time_that_goes_backwards_changes_nothing() {
    let mut config = Config::default();
    config.ping_interval = 10 * SECOND;
    let mut client = Client::open(config);
    let deadline = client.conn.deadline();
    client.env.now -= Duration::from_secs(100);
    client.conn.handle_timeout(&mut client.env).unwrap();
    assert_eq!((client.conn.deadline(), client.conn.state()), (deadline, State::Open));
    assert_eq!(client.sent(), []);
    client.conn.tx().ping(b"p", &mut client.env).unwrap();
    client.sent();
    client.env.now -= SECOND;
    client.came(&frame(true, Opcode::Pong, b"p")).unwrap();
    assert_eq!(client.take(), [Seen::Pong(b"p".to_vec(), Some(Duration::ZERO))]);
}
