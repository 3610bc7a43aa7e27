//! Frames of ours.

use super::CountingEntropy;
use crate::fuzzing::harness::{Client, close_frame, parse_sent};
use crate::{Close, CloseCode, Config, Kind, Opcode, ProtocolError, SendError, State, Tx};

fn send_all(client: &mut Client) -> [Result<(), SendError>; 5] {
    let env = &mut client.env;
    let tx: &mut Tx = client.conn.tx();
    [
        tx.send_text("t", env),
        tx.send_binary(b"b", env),
        tx.send_fragment(Some(Kind::Text), b"f", true, env),
        tx.ping(b"p", env),
        tx.pong(b"p", env),
    ]
}

#[test]
fn b053_b054_sending_is_refused_while_the_connection_is_not_open() {
    let refused = |client: &mut Client, state| {
        let queued = client.conn.queued_bytes();
        assert_eq!(client.conn.state(), state);
        assert_eq!(
            send_all(client),
            [const { Err(()) }; 5].map(|e: Result<(), ()>| e.map_err(|()| SendError::NotOpen(state)))
        );
        assert_eq!(client.conn.queued_bytes(), queued, "nothing was queued");
    };
    let mut client = Client::connecting(Config::default());
    refused(&mut client, State::Connecting);
    assert_eq!(
        client.conn.tx().close(&Close::without_code(), &mut client.env),
        Err(SendError::NotOpen(State::Connecting))
    );

    let mut client = Client::open(Config::default());
    assert_eq!(send_all(&mut client), [const { Ok(()) }; 5]);
    client.conn.tx().close(&Close::without_code(), &mut client.env).unwrap();
    refused(&mut client, State::Closing);
    client.end().unwrap();
    refused(&mut client, State::Closed);

    let mut client = Client::open(Config::default());
    client.came(&close_frame(1000, "")).unwrap();
    refused(&mut client, State::Closing);
    assert_eq!(SendError::NotOpen(State::Closing).to_string(), "the connection is already closed");
}

#[test]
fn b055_a_frame_takes_six_bytes_more_than_a_short_payload() {
    let mut client = Client::open(Config::default());
    client.conn.tx().send_text("Hello, World!", &mut client.env).unwrap();
    assert_eq!(client.conn.queued_bytes(), 19);
    assert_eq!(client.conn.tx().queued_bytes(), 19);
    assert_eq!(client.conn.tx().state(), State::Open);
}

#[test]
fn b056_b066_text_is_utf8_and_every_frame_has_a_fresh_mask() {
    let mut client = Client::open(Config::default());
    for _ in 0..100 {
        client.conn.tx().send_text("grüß", &mut client.env).unwrap();
    }
    let sent = client.sent();
    assert!(sent.iter().all(|frame| frame.fin && frame.opcode == 1 && frame.payload == "grüß".as_bytes()));
    let mut masks: Vec<_> = sent.iter().map(|frame| frame.mask).collect();
    masks.sort_unstable();
    masks.dedup();
    assert!(masks.len() > 95, "{} different masks", masks.len());
}

#[test]
fn b057_masks_come_from_the_source_of_the_user_and_back() {
    let mut client = Client::with_entropy(Config::default(), CountingEntropy::default());
    client.came(crate::fuzzing::harness::RESPONSE).unwrap();
    let mut next = 0;
    client.conn.tx().set_mask_key(Some(Box::new(move || {
        next += 1;
        Some([next; 4])
    })));
    client.conn.tx().send_binary(b"a", &mut client.env).unwrap();
    client.conn.tx().ping(b"b", &mut client.env).unwrap();
    client.conn.tx().set_mask_key(Some(Box::new(|| Some([0; 4]))));
    client.conn.tx().send_binary(b"zero", &mut client.env).unwrap();
    assert!(client.conn.output().ends_with(b"zero"), "a zero mask leaves the payload readable");
    client.conn.tx().set_mask_key(Some(Box::new(|| None)));
    client.conn.tx().close(&Close::without_code(), &mut client.env).unwrap();
    let masks: Vec<_> = client.sent().iter().map(|frame| frame.mask).collect();
    assert_eq!(masks[..3], [[1; 4], [2; 4], [0; 4]]);
    assert_eq!(masks[3], 0x9e37_79b9_u32.to_ne_bytes(), "the first number of the connection's own source");
}

#[test]
fn b058_any_opcode_but_those_with_methods_of_their_own() {
    let mut client = Client::open(Config::default());
    let mut send = |payload: &[u8], opcode| client.conn.tx().send(payload, opcode, &mut client.env);
    assert_eq!(send("é".as_bytes(), Opcode::Text), Ok(()));
    assert_eq!(send(b"\xff", Opcode::Binary), Ok(()));
    assert_eq!(send(b"pi", Opcode::Ping), Ok(()));
    assert_eq!(send(b"po", Opcode::Pong), Ok(()));
    assert_eq!(send(b"\xff", Opcode::Text), Err(SendError::NotUtf8));
    assert_eq!(send(b"", Opcode::Close), Err(SendError::CloseIsNotSent));
    assert_eq!(send(b"", Opcode::Continuation), Err(SendError::NothingToContinue));
    let opcodes: Vec<_> = client.sent().iter().map(|frame| frame.opcode).collect();
    assert_eq!(opcodes, [1, 2, 9, 10]);
}

#[test]
fn b058_control_payloads_above_125_bytes_are_refused() {
    let mut client = Client::open(Config::default());
    let tx = client.conn.tx();
    assert_eq!(tx.ping(&[0; 125], &mut client.env), Ok(()));
    assert_eq!(tx.pong(&[0; 125], &mut client.env), Ok(()));
    assert_eq!(tx.ping(&[0; 126], &mut client.env), Err(SendError::ControlTooLong { len: 126 }));
    assert_eq!(tx.pong(&[0; 126], &mut client.env), Err(SendError::ControlTooLong { len: 126 }));
    assert_eq!(client.sent().len(), 2);
}

#[test]
fn b059_fragments_by_hand_with_control_frames_between_them() {
    let mut client = Client::open(Config::default());
    let env = &mut client.env;
    let tx = client.conn.tx();
    assert_eq!(tx.send_fragment(None, b"x", true, env), Err(SendError::NothingToContinue));
    tx.send_fragment(Some(Kind::Text), b"one ", false, env).unwrap();
    assert_eq!(tx.send_text("x", env), Err(SendError::InsideFragmented));
    assert_eq!(tx.send_binary(b"x", env), Err(SendError::InsideFragmented));
    assert_eq!(tx.send_fragment(Some(Kind::Binary), b"x", true, env), Err(SendError::InsideFragmented));
    tx.ping(b"p", env).unwrap();
    tx.send_fragment(None, b"two ", false, env).unwrap();
    tx.send_fragment(None, b"three", true, env).unwrap();
    assert_eq!(tx.send_fragment(None, b"x", true, env), Err(SendError::NothingToContinue));
    tx.send_fragment(Some(Kind::Binary), b"alone", true, env).unwrap();
    tx.send_text("whole", env).unwrap();
    let frames: Vec<_> =
        client.sent().into_iter().map(|frame| (frame.fin, frame.opcode, frame.payload)).collect();
    let expected: [(bool, u8, &[u8]); 6] = [
        (false, 1, b"one "),
        (true, 9, b"p"),
        (false, 0, b"two "),
        (true, 0, b"three"),
        (true, 2, b"alone"),
        (true, 1, b"whole"),
    ];
    assert_eq!(frames, expected.map(|(fin, opcode, payload)| (fin, opcode, payload.to_vec())));
}

#[test]
fn b060_lengths_take_their_shortest_form_at_exactly_126_and_65536() {
    for (len, header) in [(0, 6), (125, 6), (126, 8), (65_535, 8), (65_536, 14), (100_000, 14)] {
        let mut client = Client::open(Config::default());
        let payload: Vec<u8> = (0..len).map(|index| (index % 251) as u8).collect();
        client.conn.tx().send_binary(&payload, &mut client.env).unwrap();
        assert_eq!(client.conn.queued_bytes(), header + len);
        assert_eq!(client.sent_payloads(), [(2, payload)]);
    }
}

#[test]
fn b061_unknown_opcodes_are_refused_before_sending() {
    for bits in 0..=255 {
        let known = matches!(bits, 0 | 1 | 2 | 8 | 9 | 10);
        match Opcode::try_from(bits) {
            Ok(opcode) => assert!(known && opcode as u8 == bits),
            Err(error) => assert!(!known && error == ProtocolError::UnknownOpcode(bits)),
        }
    }
}

#[test]
fn b062_b067_b068_output_is_written_completely_in_pieces_of_any_size() {
    let payload: Vec<u8> = (0..300_000).map(|index| (index / 7) as u8).collect();
    for step in [1000, 4096, 65_537, 1 << 20] {
        let mut client = Client::open(Config::default());
        client.conn.tx().send_binary(&payload, &mut client.env).unwrap();
        client.conn.tx().send_text("and then", &mut client.env).unwrap();
        let mut written = Vec::new();
        while client.conn.queued_bytes() > 0 {
            let before = client.conn.queued_bytes();
            assert_eq!(client.write(0), b"", "an attempt that writes nothing changes nothing");
            assert_eq!(client.conn.queued_bytes(), before);
            written.extend(client.write(step));
        }
        let (sent, rest) = parse_sent(&written);
        assert_eq!(rest, b"");
        assert_eq!(sent.len(), 2);
        assert_eq!(sent[0].payload, payload);
        assert_eq!(sent[1].payload, b"and then");
    }
}

/// All interleavings of writing and sending, in steps of a few bytes.
#[test]
fn b062_partial_writes_at_every_split_with_more_sent_in_between() {
    for first in 0..40 {
        for second in 0..20 {
            let mut client = Client::open(Config::default());
            let mut written = Vec::new();
            for round in 0_u8..6 {
                client.conn.tx().send_binary(&vec![round; 3 + usize::from(round)], &mut client.env).unwrap();
                written.extend(client.write(if round % 2 == 0 { first } else { second }));
            }
            written.extend(client.write(usize::MAX));
            let (sent, rest) = parse_sent(&written);
            assert_eq!(rest, b"");
            let payloads: Vec<_> = sent.into_iter().map(|frame| frame.payload).collect();
            let expected: Vec<_> = (0_u8..6).map(|round| vec![round; 3 + usize::from(round)]).collect();
            assert_eq!(payloads, expected, "{first} and {second}");
        }
    }
}

#[test]
fn b062_the_tx_beside_an_event_can_be_written_too() {
    let mut client = Client::open(Config::default());
    let tx = client.conn.tx();
    tx.send_text("now", &mut client.env).unwrap();
    let (sent, _) = parse_sent(tx.output());
    assert_eq!(sent[0].payload, b"now");
    let len = tx.output().len();
    tx.wrote(len, &mut client.env);
    assert_eq!(client.conn.output(), b"");
}

#[test]
fn b061_every_close_code_that_is_no_code_is_refused_before_sending() {
    let mut client = Client::open(Config::default());
    for code in
        [CloseCode::Status, CloseCode::Abnormal, CloseCode::Tls, CloseCode::Bad(7), CloseCode::Reserved(2000)]
    {
        let result = client.conn.tx().close(&code.into(), &mut client.env);
        assert_eq!(result, Err(SendError::InvalidCloseCode(code.into())));
    }
    assert_eq!((client.conn.state(), client.conn.queued_bytes()), (State::Open, 0));
}
