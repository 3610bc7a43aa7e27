use super::*;
use crate::fuzzing::harness::{Client, Leave, Seen, frame, raw_frame};
use crate::{Kind, Opcode, ProtocolError};

/// Payloads of "Hello" in the examples of RFC 7692 section 7.2.3.
const HELLO: &[u8] = &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
const STORED: &[u8] = &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00];
const FINAL: &[u8] = &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
const TWO_BLOCKS: &[u8] = &[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00];
/// "Hello" once more, as a reference to the message before.
const AGAIN: &[u8] = &[0xf2, 0x00, 0x11, 0x00, 0x00];

fn hello() -> Seen {
    Seen::Text("Hello".to_owned())
}

/// All messages of section 7.2.3, and the fragmented ones with control frames between.
fn examples() -> (Vec<u8>, Vec<Seen>) {
    let ping = frame(true, Opcode::Ping, b"ping");
    let bytes = [
        raw_frame(0xc1, HELLO),
        raw_frame(0xc1, AGAIN),
        raw_frame(0x41, &HELLO[..3]),
        ping.clone(),
        raw_frame(0x80, &HELLO[3..]),
        raw_frame(0xc1, STORED),
        raw_frame(0x81, b"plain"),
        raw_frame(0xc1, FINAL),
        raw_frame(0xc2, TWO_BLOCKS),
        raw_frame(0x41, b""),
        raw_frame(0x00, b""),
        ping,
        raw_frame(0x80, &[0]),
        raw_frame(0xc1, &[0]),
        raw_frame(0xc1, HELLO),
    ]
    .concat();
    let ping = Seen::Ping(b"ping".to_vec());
    let empty = Seen::Text(String::new());
    let seen = vec![
        hello(),
        hello(),
        ping.clone(),
        hello(),
        hello(),
        Seen::Text("plain".to_owned()),
        hello(),
        Seen::Binary(b"Hello".to_vec()),
        ping,
        empty.clone(),
        empty,
        hello(),
    ];
    (bytes, seen)
}

#[test]
fn the_examples_of_the_rfc_are_received_at_every_split() {
    let (bytes, expected) = examples();
    for leave in [Leave::InBuffer, Leave::Absorb, Leave::Spare] {
        for first in 0..=bytes.len() {
            let mut client = open(anything(), "");
            client.feed(&bytes[..first], leave).unwrap();
            client.feed(&bytes[first..], Leave::Absorb).unwrap();
            assert_eq!(client.take(), expected, "cut at {first}");
        }
        let mut client = open(anything(), "");
        for byte in &bytes {
            client.feed(&[*byte], leave).unwrap();
        }
        assert_eq!(client.take(), expected);
    }
}

#[test]
fn masked_frames_are_unmasked_before_they_are_inflated() {
    let payload = text(50_000, 1);
    let compressed = Compressor::new(1, 15, true).message(payload.as_bytes());
    let key = [0xa1, 0x02, 0x33, 0xf4];
    let mut bytes = raw_frame(0xc1, &compressed);
    bytes[1] |= 0x80;
    let start = bytes.len() - compressed.len();
    for (index, byte) in bytes[start..].iter_mut().enumerate() {
        *byte ^= key[index % 4];
    }
    bytes.splice(start..start, key);
    for step in [1, 7, 1000, 100_000] {
        let mut config = Config::default();
        config.accept_masked_frames = true;
        let mut client = open_with(config, anything(), "");
        for piece in bytes.chunks(step) {
            client.feed(piece, Leave::Spare).unwrap();
        }
        assert_eq!(client.take(), [Seen::Text(payload.clone())], "step {step}");
    }
}

#[test]
fn fragments_are_delivered_inflated() {
    let mut config = Config::default();
    config.deliver_fragments = true;
    let mut client = open_with(config, anything(), "");
    let bytes = [
        raw_frame(0x41, &TWO_BLOCKS[..8]),
        frame(true, Opcode::Ping, b""),
        raw_frame(0x80, &TWO_BLOCKS[8..]),
        raw_frame(0xc1, AGAIN),
    ]
    .concat();
    client.came(&bytes).unwrap();
    let fragment = |payload: &[u8], first: bool| Seen::Fragment {
        kind: Kind::Text,
        payload: payload.to_vec(),
        first,
        last: !first,
    };
    let seen = [fragment(b"He", true), Seen::Ping(Vec::new()), fragment(b"llo", false), hello()];
    assert_eq!(client.take(), seen);
    // Nothing is held for them any more but the window.
    client.came(&[]).unwrap();
    client.sent();
    assert!(client.conn.held_bytes() < 100);
}

#[test]
fn a_final_block_does_not_end_the_context() {
    // Section 7.2.3.4 and 7.2.3.5: blocks may follow it, in the same message and in later ones, and refer to what was before.
    let mut client = open(anything(), "");
    for _ in 0..3 {
        client.came(&raw_frame(0xc1, FINAL)).unwrap();
        client.came(&raw_frame(0xc1, AGAIN)).unwrap();
        client.came(&raw_frame(0xc1, &[&FINAL[..7], AGAIN].concat())).unwrap();
        let twice = Seen::Text("HelloHello".to_owned());
        assert_eq!(client.take(), [hello(), hello(), twice]);
    }
    // Servers exist that leave the empty block out.
    client.came(&raw_frame(0xc1, &FINAL[..7])).unwrap();
    client.came(&raw_frame(0xc1, AGAIN)).unwrap();
    assert_eq!(client.take(), [hello(), hello()]);
}

#[test]
fn messages_that_fill_their_room_exactly_are_whole() {
    for answer in ["", "; server_no_context_takeover"] {
        let mut client = open(anything(), answer);
        let mut server = Compressor::new(6, 15, answer.is_empty());
        for len in [4095, 4096, 4097, 8191, 8192, 8193, 16_384, 65_536] {
            let payload = noise(len);
            client.came(&raw_frame(0xc2, &server.message(&payload))).unwrap();
            assert!(client.take() == [Seen::Binary(payload)], "{len} bytes");
        }
    }
}

#[test]
fn without_takeover_nothing_is_held_between_messages() {
    let mut client = open(anything(), "; server_no_context_takeover");
    let mut server = Compressor::new(6, 15, false);
    for round in 0..5 {
        let payload = text(100_000, round);
        client.came(&raw_frame(0xc1, &server.message(payload.as_bytes()))).unwrap();
        assert_eq!(client.take(), [Seen::Text(payload)]);
        client.came(&[]).unwrap();
        assert_eq!(client.conn.held_bytes(), 0);
    }
    // A reference to the message before is a breach.
    client.came(&raw_frame(0xc1, HELLO)).unwrap();
    assert_eq!(client.came(&raw_frame(0xc1, AGAIN)), Err(ProtocolError::InvalidDeflate.into()));
}

#[test]
fn with_takeover_the_window_is_all_that_is_held() {
    for (bits, most) in [(8, 512), (10, 1024), (15, 32_768)] {
        let mut client = open(anything(), &format!("; server_max_window_bits={bits}"));
        let mut server = Compressor::new(6, bits.max(9), true);
        for round in 0..5 {
            let payload = text(100_000, round);
            client.came(&raw_frame(0xc1, &server.message(payload.as_bytes()))).unwrap();
            assert_eq!(client.take(), [Seen::Text(payload)]);
            client.came(&[]).unwrap();
            assert!(client.conn.held_bytes() <= most, "{} bytes for {bits} bits", client.conn.held_bytes());
        }
    }
}

#[test]
fn connections_take_turns_with_one_inflater() {
    let mut clients: Vec<Client> = (0..4).map(|_| open(anything(), "")).collect();
    let mut servers: Vec<_> = (0..4).map(|_| Compressor::new(6, 15, true)).collect();
    // One `Env` for all of them.
    let mut shared = open(anything(), "").env;
    let mut feed = |client: &mut Client, bytes: &[u8]| {
        std::mem::swap(&mut client.env, &mut shared);
        client.came(bytes).unwrap();
        std::mem::swap(&mut client.env, &mut shared);
    };
    for round in 0..20 {
        let payloads: Vec<_> = (0..4).map(|index| text(500, round * 4 + index)).collect();
        let frames: Vec<_> = payloads
            .iter()
            .zip(&mut servers)
            .map(|(payload, server)| raw_frame(0xc1, &server.message(payload.as_bytes())))
            .collect();
        // Every other round a message of each is under way while the others receive theirs.
        let cut = if round % 2 == 0 { 0 } else { 20 };
        for (client, frame) in clients.iter_mut().zip(&frames) {
            feed(client, &frame[..cut]);
        }
        for ((client, frame), payload) in clients.iter_mut().zip(&frames).zip(payloads) {
            feed(client, &frame[cut..]);
            assert_eq!(client.take(), [Seen::Text(payload)]);
        }
    }
}

#[test]
fn references_beyond_the_agreed_window_fail_where_the_bytes_are_gone() {
    // A server that has agreed to look back 512 bytes looks back 600.
    let noise: Vec<u8> =
        (0..600_u32).map(|i| (i.wrapping_mul(i).wrapping_mul(0x9e37_79b9) >> 15) as u8).collect();
    for gone in [false, true] {
        let mut client = open(anything(), "; server_max_window_bits=9");
        let mut neighbour = open(anything(), "");
        let mut server = Compressor::new(6, 15, true);
        client.came(&raw_frame(0xc2, &server.message(&noise))).unwrap();
        if gone {
            // Another connection of the same `Env` has the inflater meanwhile.
            std::mem::swap(&mut client.env, &mut neighbour.env);
            neighbour.came(&raw_frame(0xc1, HELLO)).unwrap();
            std::mem::swap(&mut client.env, &mut neighbour.env);
        }
        let again = server.message(&noise);
        assert!(again.len() < 100, "it does not look back: {} bytes", again.len());
        let outcome = client.came(&raw_frame(0xc2, &again));
        if gone {
            assert_eq!(outcome, Err(ProtocolError::InvalidDeflate.into()));
            assert_eq!(client.take(), [Seen::Binary(noise.clone())]);
        } else {
            outcome.unwrap();
            assert_eq!(client.take(), [Seen::Binary(noise.clone()), Seen::Binary(noise.clone())]);
        }
    }
}

#[test]
fn the_window_of_another_connection_is_never_taken_for_its_own() {
    let mut clients: Vec<Client> = (0..2).map(|_| open(anything(), "")).collect();
    let mut servers: Vec<_> = (0..2).map(|_| Compressor::new(6, 15, true)).collect();
    for round in 0..4 {
        for (index, (client, server)) in clients.iter_mut().zip(&mut servers).enumerate() {
            let payload = text(500, index);
            client.came(&raw_frame(0xc1, &server.message(payload.as_bytes()))).unwrap();
            assert_eq!(client.take(), [Seen::Text(payload)], "round {round}");
        }
        // Nobody says that a connection stays with its `Env`.
        let [first, second] = &mut clients[..] else { unreachable!() };
        std::mem::swap(&mut first.env, &mut second.env);
    }
}

#[test]
fn k1_a_tail_that_was_left_on_is_part_of_no_message() {
    let (hello, tail) =
        ([0xca, 0x48, 0xcd, 0xc9, 0xc9, 0x57, 0xc8, 0x40, 0x90, 0x00, 0x00], [0, 0, 0xff, 0xff]);
    let whole = [&hello[..], &tail].concat();
    for bytes in [
        raw_frame(0xc1, &whole),
        [raw_frame(0x41, &hello), raw_frame(0x80, &tail)].concat(),
        [raw_frame(0x41, &whole), raw_frame(0x80, &[])].concat(),
        [raw_frame(0x41, &whole[..13]), raw_frame(0x00, &[]), raw_frame(0x80, &whole[13..])].concat(),
    ] {
        for answer in ["; server_no_context_takeover", ""] {
            for cut in 0..bytes.len() {
                let mut client = open(anything(), answer);
                for _ in 0..2 {
                    client.came(&bytes[..cut]).unwrap();
                    client.came(&bytes[cut..]).unwrap();
                    assert_eq!(client.take(), [Seen::Text("hello hello hello".into())]);
                }
                client.came(&raw_frame(0xc1, &hello)).unwrap();
                assert_eq!(
                    client.take(),
                    [Seen::Text("hello hello hello".into())],
                    "and the next as it should be"
                );
            }
        }
    }
}

#[test]
fn k1_a_takeover_survives_tails_that_were_left_on() {
    for (level, takeover) in [(0, true), (1, true), (6, true), (9, false)] {
        let answer = if takeover { "" } else { "; server_no_context_takeover" };
        let mut client = open(anything(), answer);
        let mut server = Compressor::new(level, 15, takeover);
        for seed in 0..20 {
            let payload = if seed % 5 == 4 { String::new() } else { text(seed * 40, seed % 3) };
            let mut message = server.message(payload.as_bytes());
            if seed % 3 > 0 {
                message.extend_from_slice(&[0, 0, 0xff, 0xff]);
            }
            client.came(&raw_frame(0xc1, &message)).unwrap();
            assert_eq!(client.take(), [Seen::Text(payload)], "{seed}");
        }
    }
}

#[test]
fn k1_a_final_block_may_end_in_the_bytes_of_the_tail() {
    for cut in 0..9 {
        let bytes = raw_frame(0xc2, &[0x01, 0x04, 0x00, 0xfb, 0xff, 0x00, 0x00, 0xff, 0xff]);
        let mut client = open(anything(), "");
        client.came(&bytes[..cut]).unwrap();
        client.came(&bytes[cut..]).unwrap();
        assert_eq!(client.take(), [Seen::Binary(vec![0, 0, 0xff, 0xff])]);
    }
}

#[test]
fn k1_the_limit_is_exact_with_a_tail_left_on() {
    let mut config = Config::default();
    config.max_message_size = 10_000;
    for len in [10_000, 10_001] {
        let mut message = Compressor::new(6, 15, true).message(&vec![0; len]);
        message.extend_from_slice(&[0, 0, 0xff, 0xff]);
        let mut client = open_with(config.clone(), anything(), "");
        assert_eq!(client.came(&raw_frame(0xc2, &message)).is_ok(), len == 10_000);
    }
}
