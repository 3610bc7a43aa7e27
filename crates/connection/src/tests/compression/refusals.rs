use super::*;
use crate::fuzzing::harness::{Client, Leave, Seen, frame, raw_frame};
use crate::{CloseCode, Error, Opcode, ProtocolError};

const HELLO: &[u8] = &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

/// Asserts that these bytes fail the connection with this error, cut anywhere or nowhere, and that the server is told the code.
fn fails(config: &Config, bytes: &[u8], error: &ProtocolError) {
    for step in [1, 3, bytes.len().max(1)] {
        let mut client = open_with(config.clone(), anything(), "");
        let result = bytes.chunks(step).try_for_each(|piece| client.feed(piece, Leave::Absorb));
        assert_eq!(result, Err(Error::Protocol(error.clone())), "{bytes:x?}");
        assert_told(&mut client, error.close_code());
    }
}

fn assert_told(client: &mut Client, code: CloseCode) {
    let sent = client.sent();
    assert_eq!(sent.last().and_then(|frame| frame.close()).map(|(code, _)| code), Some(code.into()));
}

#[test]
fn reserved_bits_where_they_may_not_be_fail_with_1002() {
    let fragmented = |first| [raw_frame(0x41, &HELLO[..3]), vec![first]].concat();
    for (bytes, bits) in [
        (vec![0xc9], 4),
        (vec![0xc8], 4),
        (vec![0xc0], 4),
        (vec![0xe1], 6),
        (vec![0xa1], 2),
        (vec![0x91], 1),
        (fragmented(0xc0), 4),
        (fragmented(0x40), 4),
        (fragmented(0xca), 4),
    ] {
        fails(&Config::default(), &bytes, &ProtocolError::ReservedBits(bits));
    }
    // Section 6: it was not negotiated.
    let mut client = Client::open(Config::default());
    assert_eq!(client.came(&raw_frame(0xc1, HELLO)), Err(ProtocolError::ReservedBits(4).into()));
    assert_told(&mut client, CloseCode::Protocol);
}

#[test]
fn data_that_breaks_off_fails_with_1007() {
    let payload = text(400, 1);
    let whole = Compressor::new(6, 15, true).message(payload.as_bytes());
    for cut in 0..whole.len() {
        let mut client = open(anything(), "");
        let error = client.came(&raw_frame(0xc1, &whole[..cut])).unwrap_err();
        let breach = matches!(error, Error::Protocol(ProtocolError::UnfinishedDeflate));
        assert!(breach, "cut at {cut}: {error}");
        assert_told(&mut client, CloseCode::Invalid);
    }
    // A stored block that lacks bytes must not take those of the end that is appended.
    for lacking in 1..6 {
        let stored = [0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
        let bytes = raw_frame(0xc2, &stored[..stored.len() - lacking]);
        fails(&Config::default(), &bytes, &ProtocolError::UnfinishedDeflate);
    }
}

#[test]
fn k1_a_tail_left_on_excuses_nothing_else() {
    let tail = [0, 0, 0xff, 0xff];
    let whole = Compressor::new(6, 15, true).message(text(400, 1).as_bytes());
    for cut in 0..whole.len() {
        for bytes in [
            raw_frame(0xc1, &[&whole[..cut], &tail].concat()),
            [raw_frame(0x41, &whole[..cut]), raw_frame(0x80, &tail)].concat(),
        ] {
            let mut client = open(anything(), "");
            let error = client.came(&bytes).unwrap_err();
            assert!(
                matches!(
                    error,
                    Error::Protocol(ProtocolError::UnfinishedDeflate | ProtocolError::InvalidDeflate)
                ),
                "{cut}: {error}"
            );
            assert_told(&mut client, CloseCode::Invalid);
        }
    }
    for uncut in [
        [HELLO, &tail, &tail].concat(),
        [HELLO, &tail, &[0]].concat(),
        tail.to_vec(),
        [HELLO, &tail[..3]].concat(),
    ] {
        let mut accepted = open(anything(), "");
        let result = accepted.came(&raw_frame(0xc1, &uncut));
        // A tail and the type of another empty block is how a message ends that was flushed twice.
        assert_eq!(result.is_ok(), uncut.ends_with(&[0xff, 0]), "{uncut:x?}");
    }
}

#[test]
fn data_that_is_no_deflate_fails_with_1007() {
    // The block type that is reserved; a stored block whose lengths differ; a reference before the beginning.
    for payload in [&[0x06_u8, 0x00][..], &[0x00, 0x05, 0x00, 0x05, 0x00], &[0xf2, 0x00, 0x11, 0x00, 0x00]] {
        fails(&Config::default(), &raw_frame(0xc2, payload), &ProtocolError::InvalidDeflate);
    }
}

#[test]
fn garbage_after_a_final_block_fails_with_1007() {
    let last = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let garbage = [&last[..], &[0xff; 20]].concat();
    fails(&Config::default(), &raw_frame(0xc1, &garbage), &ProtocolError::InvalidDeflate);
}

#[test]
fn inflated_text_fails_at_its_first_bad_byte() {
    let bad = [b"caf\xc3\xa9 \xff".as_slice(), &[b'x'; 1000]].concat();
    let compressed = Compressor::new(0, 15, true).message(&bad);
    // The stored block has a header of five bytes, the bad byte is its seventh.
    let mut client = open(anything(), "");
    let bytes = raw_frame(0xc1, &compressed);
    let bad_at = bytes.len() - compressed.len() + 5 + 6;
    client.came(&bytes[..bad_at]).unwrap();
    assert_eq!(client.came(&bytes[bad_at..=bad_at]), Err(ProtocolError::InvalidUtf8.into()));
    assert_told(&mut client, CloseCode::Invalid);

    // Also where the character is cut by a fragment, or by the end.
    let compressed = Compressor::new(0, 15, true).message(b"caf\xc3");
    fails(&Config::default(), &raw_frame(0xc1, &compressed), &ProtocolError::InvalidUtf8);
    let mut client = open(anything(), "");
    client.came(&raw_frame(0xc2, &Compressor::new(1, 15, true).message(b"\xff"))).unwrap();
    assert_eq!(client.take(), [Seen::Binary(b"\xff".to_vec())]);
}

#[test]
fn what_is_wrong_first_counts_whether_bytes_come_at_once_or_singly() {
    let mut config = Config::default();
    config.max_message_size = 100;
    let bad = |at: usize| [&vec![b'x'; at][..], b"\xff", &[b'x'; 200]].concat();
    for at in [0, 50, 99, 100, 101] {
        let error = match at {
            0..=100 => ProtocolError::InvalidUtf8,
            _ => ProtocolError::MessageTooBig { len: 101, limit: 100 },
        };
        fails(&config, &raw_frame(0xc1, &Compressor::new(0, 15, true).message(&bad(at))), &error);
    }
}

#[test]
fn a_bomb_costs_the_limit_and_fails_with_1009() {
    const LIMIT: u64 = 1 << 20;
    let mut config = Config::default();
    config.max_message_size = LIMIT;
    let error = ProtocolError::MessageTooBig { len: LIMIT + 1, limit: LIMIT };
    let mut bomb = Compressor::new(9, 15, true).message(&vec![b'0'; 40 << 20]);
    assert!(bomb.len() < 60_000);
    for (first, step) in [(0xc1, usize::MAX), (0xc2, 1000), (0xc1, 1)] {
        if step == 1 {
            bomb.truncate(5000);
        }
        let bytes = raw_frame(first, &bomb);
        let mut client = open_with(config.clone(), anything(), "");
        let mut most = 0;
        let result = bytes.chunks(step.min(bytes.len())).try_for_each(|piece| {
            let result = client.feed(piece, Leave::Absorb);
            most = most.max(client.conn.held_bytes());
            result
        });
        assert_eq!(result, Err(error.clone().into()));
        assert_told(&mut client, CloseCode::Size);
        // The message and the window.
        assert!(most as u64 <= LIMIT + 1 + 40_000, "{most} bytes were held");
        assert!(client.env.pooled_bytes() as u64 <= LIMIT + 50_000);
    }
}

#[test]
fn the_limit_is_that_of_the_inflated_message_exactly() {
    let mut config = Config::default();
    config.max_message_size = 10_000;
    let zeros = |len: usize| Compressor::new(6, 15, true).message(&vec![0; len]);
    let mut client = open_with(config.clone(), anything(), "");
    client.came(&raw_frame(0xc2, &zeros(10_000))).unwrap();
    assert_eq!(client.take(), [Seen::Binary(vec![0; 10_000])]);
    let error = ProtocolError::MessageTooBig { len: 10_001, limit: 10_000 };
    fails(&config, &raw_frame(0xc2, &zeros(10_001)), &error);

    // Over all fragments, unless each is delivered by itself.
    let payload = zeros(10_001);
    let (start, end) = payload.split_at(payload.len() / 2);
    let bytes = [raw_frame(0x42, start), frame(true, Opcode::Ping, b""), raw_frame(0x80, end)].concat();
    fails(&config, &bytes, &error);
    config.deliver_fragments = true;
    let mut client = open_with(config, anything(), "");
    let block = Compressor::new(0, 15, true).message(&[7; 9000]);
    client.came(&[raw_frame(0x42, &block[..9005]), raw_frame(0x80, &block[9005..])].concat()).unwrap();
    assert_eq!(client.take().len(), 2);
}
