//! What a server must not send: the code of our close frame, and what is left of the connection.

use super::SECOND;
use crate::fuzzing::harness::{Client, Leave, Seen, close_frame, frame};
use crate::{CloseCode, Config, Error, Input, Opcode, ProtocolError, Side, State};

use Opcode::{Binary, Close, Continuation, Ping, Pong, Text};
use ProtocolError::*;

/// Every breach with the code that answers it. The frames in front of the breach are in order.
fn breaches() -> Vec<(Vec<u8>, ProtocolError, u16)> {
    let long_ping = [&[0x89, 126, 0, 126][..], &[0; 126]].concat();
    let top_bit = [&[0x82, 127][..], &[0x80, 0, 0, 0, 0, 0, 0, 0]].concat();
    let inside = [frame(false, Text, b"a"), frame(true, Binary, b"b")].concat();
    let closed_then = |code: u16| close_frame(code, "");
    let mut breaches = vec![
        // b079
        (frame(true, Continuation, b"x"), UnexpectedContinuation, 1002),
        (inside, UnfinishedMessage, 1002),
        // b080
        (vec![0xc1, 0], ReservedBits(4), 1002),
        (vec![0xa2, 0], ReservedBits(2), 1002),
        (vec![0x99, 0], ReservedBits(1), 1002),
        // b081
        (vec![0x83, 0], UnknownOpcode(3), 1002),
        (vec![0x8f, 0], UnknownOpcode(15), 1002),
        // b082, b083
        (frame(false, Ping, b""), FragmentedControl(Ping), 1002),
        (frame(false, Pong, b""), FragmentedControl(Pong), 1002),
        (frame(false, Close, b""), FragmentedControl(Close), 1002),
        // b084
        (long_ping, ControlTooLong(Ping), 1002),
        (vec![0x8a, 127], ControlTooLong(Pong), 1002),
        (vec![0x88, 126], ControlTooLong(Close), 1002),
        // b085
        (frame(true, Close, &[3]), CloseBodyTooShort, 1002),
        (closed_then(999), InvalidCloseCode(999), 1002),
        (closed_then(1005), InvalidCloseCode(1005), 1002),
        (closed_then(1006), InvalidCloseCode(1006), 1002),
        (closed_then(1015), InvalidCloseCode(1015), 1002),
        (closed_then(2999), InvalidCloseCode(2999), 1002),
        (closed_then(5000), InvalidCloseCode(5000), 1002),
        (frame(true, Close, b"\x03\xe8\xff"), CloseReasonNotUtf8("\u{fffd}".into()), 1007),
        // b086
        (vec![0x81, 0x80, 0, 0, 0, 0], MaskedFrame, 1002),
        // b087
        (vec![0x82, 126, 0, 1, 0], NonMinimalLength(1), 1002),
        // b060
        (top_bit, LengthTopBit, 1002),
        // b088
        (frame(true, Text, b"\xff"), InvalidUtf8, 1007),
        (frame(true, Text, b"\xe2\x82"), InvalidUtf8, 1007),
        ([frame(false, Text, b"\xe2"), frame(true, Continuation, b"")].concat(), InvalidUtf8, 1007),
        ([frame(false, Text, b"\xe2"), frame(true, Continuation, b"a")].concat(), InvalidUtf8, 1007),
        // b076, with the limits of `limited`
        (vec![0x82, 126, 1, 0], FrameTooBig { len: 256, limit: 200 }, 1009),
        (
            [frame(false, Text, &[b'x'; 200]), frame(false, Continuation, &[b'x'; 101])].concat(),
            MessageTooBig { len: 301, limit: 300 },
            1009,
        ),
    ];
    let fragments = [frame(false, Text, b""), frame(false, Continuation, b"").repeat(3)].concat();
    breaches.push((fragments, TooManyFragments { limit: 3 }, 1009));
    breaches
}

fn limited() -> Config {
    let mut config = Config::default();
    config.max_frame_size = 200;
    config.max_message_size = 300;
    config.max_fragments = 3;
    config
}

#[test]
fn b076_b079_b080_b081_b082_b083_b084_b085_b086_b087_b088_b092_every_breach_is_answered_with_its_code() {
    for (bytes, error, code) in breaches() {
        let mut client = Client::open(limited());
        let bytes = [frame(true, Text, b"before"), bytes, frame(true, Text, b"behind")].concat();
        assert_eq!(client.came(&bytes), Err(Error::Protocol(error.clone())), "{error}");
        assert_eq!(client.take(), [Seen::Text("before".into())], "{error}");
        assert_eq!(client.conn.state(), State::Closing);
        assert_eq!(client.conn.closing_side(), Some(Side::Client));
        assert_eq!(client.conn.close_frame(), None);
        let sent = client.sent();
        let [close] = sent.as_slice() else { panic!("{sent:?}") };
        assert_eq!(close.close(), Some((code, error.to_string().as_str())), "{error}");
        assert_eq!(client.came(b""), Err(Error::Protocol(error.clone())));
        assert_eq!(client.conn.held_bytes(), 0, "{error}");
    }
}

#[test]
fn b071_b092_breaches_at_every_split() {
    for (bytes, error, code) in breaches() {
        for cut in 0..=bytes.len() {
            for leave in [Leave::InBuffer, Leave::Absorb] {
                let mut client = Client::open(limited());
                let result = client.feed(&bytes[..cut], leave).and_then(|()| client.came(&bytes[cut..]));
                assert_eq!(result, Err(Error::Protocol(error.clone())), "{error}, cut at {cut}");
                assert_eq!(client.take(), [], "{error}, cut at {cut}");
                let sent = client.sent();
                assert_eq!(sent.len(), 1);
                assert_eq!(sent[0].close().map(|(code, _)| code), Some(code), "{error}, cut at {cut}");
            }
        }
    }
}

#[test]
fn b092_a_failure_is_kept_and_the_stream_is_dropped_after_close_timeout() {
    for (bytes, error, _) in breaches() {
        let error = Error::Protocol(error);
        let mut client = Client::open(limited());
        assert!(client.came(&bytes).is_err());
        client.sent();
        for _ in 0..2 {
            assert_eq!(client.came(&frame(true, Text, b"later")), Err(error.clone()));
            assert_eq!(client.came(&close_frame(1000, "")), Err(error.clone()));
            assert!(client.conn.spare(&mut client.env).is_none());
        }
        assert_eq!(client.take(), []);
        assert!(client.conn.tx().send_text("x", &mut client.env).is_err());
        assert_eq!(client.conn.tx().close(&CloseCode::Normal.into(), &mut client.env), Ok(()));
        assert_eq!(client.sent(), []);

        assert_eq!(client.due_in(), Some(3 * SECOND));
        assert_eq!(client.advance(2 * SECOND), Ok(()));
        assert_eq!(client.conn.state(), State::Closing);
        assert_eq!(client.advance(SECOND), Ok(()), "the failure has been reported");
        client.assert_over();
        assert_eq!(client.conn.error(), Some(&error));
        assert_eq!(client.came(b"x"), Err(error));
    }
}

#[test]
fn b092_the_end_of_the_stream_after_a_breach_is_no_news() {
    let mut client = Client::open(Config::default());
    assert!(client.came(&[0xff]).is_err());
    assert_eq!(client.end(), Ok(()));
    client.assert_over();
    assert_eq!(client.conn.error(), Some(&Error::Protocol(ReservedBits(7))));
}

/// The close frame is out already, so there is nothing to tell the server.
#[test]
fn a_breach_after_our_close_is_a_failure_without_a_second_close_frame() {
    for (bytes, error, _) in breaches() {
        let mut client = Client::open(limited());
        client.conn.tx().close(&CloseCode::Away.into(), &mut client.env).unwrap();
        assert_eq!(client.came(&bytes), Err(Error::Protocol(error.clone())));
        assert_eq!(client.sent_payloads(), [(8, 1001_u16.to_be_bytes().to_vec())]);
        assert_eq!(client.advance(3 * SECOND), Ok(()));
        client.assert_over();
        assert_eq!(client.conn.error(), Some(&Error::Protocol(error)));
    }
}

#[test]
fn b089_bad_text_is_found_inside_an_unfinished_frame() {
    // Autobahn 6.4: the frame announces more than ever comes.
    let start = &frame(true, Text, &[b'x'; 150])[..4];
    for good in ["", "é", "0123456789012345678901234567890123456789é"] {
        let mut client = Client::open(Config::default());
        client.came(start).unwrap();
        client.came(good.as_bytes()).unwrap();
        client.came(b"\xf4").unwrap();
        assert_eq!(client.came(b"\x90"), Err(InvalidUtf8.into()), "U+110000 begins so");
        assert_eq!(client.sent()[0].close(), Some((1007, "text is not UTF-8")));

        let mut client = Client::open(Config::default());
        let whole = [start, good.as_bytes(), b"\xed\xa0\x80"].concat();
        assert_eq!(client.came(&whole), Err(InvalidUtf8.into()), "in the first bytes that come");
    }
}

#[test]
fn b089_bad_text_is_found_in_a_large_payload_that_is_read_in_place() {
    let bytes = frame(true, Text, &[b'a'; 100_000]);
    let mut client = Client::open(Config::default());
    client.came(&bytes[..1000]).unwrap();
    let spare = client.conn.spare(&mut client.env).unwrap();
    spare[..3].copy_from_slice(b"ok\xe2");
    client.conn.filled(3, &mut client.env).unwrap();
    client.conn.spare(&mut client.env).unwrap()[0] = b'!';
    client.conn.filled(1, &mut client.env).unwrap();
    assert!(client.conn.has_unchecked_text());
    // No more bytes are at hand.
    assert_eq!(client.came(b""), Err(InvalidUtf8.into()));
    assert_eq!(client.conn.held_bytes(), client.conn.queued_bytes().max(client.conn.tx().held_bytes()));
    assert_eq!(client.sent()[0].close().map(|(code, _)| code), Some(1007));
}

/// Bytes came, and more are at hand.
fn came_with_more(client: &mut Client, bytes: &[u8]) -> Result<(), Error> {
    let mut input = Input::new(bytes);
    assert!(client.conn.receive(&mut input, &mut client.env)?.is_none());
    client.conn.set_aside(&mut input, &mut client.env)
}

#[test]
fn b089_while_more_bytes_are_at_hand_text_waits_for_the_rest_up_to_a_megabyte() {
    let good = "\u{e9}".repeat(300_000).into_bytes();
    for bad in [100, 200_000, good.len() - 1] {
        for masked in [false, true] {
            let mut config = Config::default();
            config.accept_masked_frames = true;
            let mut client = Client::open(config);
            let mut text = good.clone();
            text[bad] = b'x';
            let mut bytes = frame(true, Text, &text);
            if masked {
                bytes[1] |= 0x80;
                bytes.splice(10..10, [0; 4]);
            }
            for piece in bytes[..bytes.len() - 1].chunks(1001) {
                came_with_more(&mut client, piece).unwrap();
            }
            assert!(client.conn.has_unchecked_text());
            assert_eq!(client.came(&bytes[bytes.len() - 1..]), Err(InvalidUtf8.into()), "{bad}");
            assert_eq!(client.take(), []);
        }
    }
    // It does not wait longer.
    let mut client = Client::open(Config::default());
    let bytes = frame(true, Text, &[&good[..], b"\xff", &good, &good].concat());
    let mut taken = 0;
    let failed = bytes.chunks(1001).find_map(|piece| {
        taken += piece.len();
        came_with_more(&mut client, piece).err()
    });
    assert_eq!(failed, Some(InvalidUtf8.into()));
    assert!((1 << 20..(1 << 20) + 2000).contains(&taken), "{taken}");
}

#[test]
fn b092_header_breaches_are_found_at_their_byte() {
    for (byte, error) in [(0xc1, ReservedBits(4)), (0x83, UnknownOpcode(3)), (0x09, FragmentedControl(Ping))]
    {
        let mut client = Client::open(Config::default());
        assert_eq!(client.came(&[byte]), Err(error.into()));
    }
    let mut client = Client::open(Config::default());
    client.came(&[0x81]).unwrap();
    assert_eq!(client.came(&[0x85]), Err(MaskedFrame.into()));
}

#[test]
fn b046_a_bad_reason_is_kept_with_replacements() {
    let mut client = Client::open(Config::default());
    let error = client.came(&frame(true, Close, b"\x03\xe8caf\xe9")).unwrap_err();
    assert_eq!(error, Error::Protocol(CloseReasonNotUtf8("caf\u{fffd}".into())));
    assert_eq!(client.sent()[0].close().map(|(code, _)| code), Some(1007));
}
