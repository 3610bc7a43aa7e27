//! Every vector at every split point: the events, the failure and the answers are the same.

use crate::fuzzing::harness::{Client, Leave, Seen, close_frame, frame};
use crate::{Config, Error, Kind, Opcode, ProtocolError};

use Opcode::{Binary, Close, Continuation, Ping, Pong, Text};

struct Vector {
    name: &'static str,
    config: Config,
    bytes: Vec<u8>,
    seen: Vec<Seen>,
    error: Option<ProtocolError>,
}

fn text(text: &str) -> Seen {
    Seen::Text(text.to_owned())
}

fn fragment(kind: Kind, payload: &[u8], first: bool, last: bool) -> Seen {
    Seen::Fragment { kind, payload: payload.to_vec(), first, last }
}

fn masked(fin: bool, opcode: Opcode, payload: &[u8], key: [u8; 4]) -> Vec<u8> {
    let mut bytes = frame(fin, opcode, payload);
    let start = bytes.len() - payload.len();
    bytes[1] |= 0x80;
    for (index, byte) in bytes[start..].iter_mut().enumerate() {
        *byte ^= key[index % 4];
    }
    bytes.splice(start..start, key);
    bytes
}

fn vectors() -> Vec<Vector> {
    let vector = |name, frames: &[Vec<u8>], seen: Vec<Seen>, error| Vector {
        name,
        config: Config::default(),
        bytes: frames.concat(),
        seen,
        error,
    };
    let mut vectors = vec![
        vector(
            "messages",
            &[
                frame(true, Text, "hé€😀".as_bytes()),
                frame(true, Binary, b"\x00\xff"),
                frame(true, Text, b""),
            ],
            vec![text("hé€😀"), Seen::Binary(vec![0, 255]), text("")],
            None,
        ),
        vector(
            "b032 control frames between fragments",
            &[
                frame(false, Text, b"on"),
                frame(true, Ping, b"p1"),
                frame(false, Continuation, b""),
                frame(true, Pong, b"p2"),
                frame(true, Ping, b""),
                frame(true, Continuation, b"e"),
                frame(true, Ping, b"p3"),
            ],
            vec![
                Seen::Ping(b"p1".to_vec()),
                Seen::Pong(b"p2".to_vec(), None),
                Seen::Ping(Vec::new()),
                text("one"),
                Seen::Ping(b"p3".to_vec()),
            ],
            None,
        ),
        vector(
            "b089 characters over fragments",
            &[
                frame(false, Text, b"a\xf0\x9f"),
                frame(true, Ping, b"x"),
                frame(false, Continuation, b"\x98"),
                frame(true, Continuation, b"\x80b"),
            ],
            vec![Seen::Ping(b"x".to_vec()), text("a😀b")],
            None,
        ),
        vector(
            "b077 messages after fragmented ones",
            &[
                frame(false, Binary, b"12"),
                frame(true, Continuation, b"3"),
                frame(true, Text, b"4"),
                frame(false, Text, b""),
                frame(true, Continuation, b"5"),
            ],
            vec![Seen::Binary(b"123".to_vec()), text("4"), text("5")],
            None,
        ),
        vector(
            "close, and what follows it",
            &[frame(true, Text, b"last"), close_frame(3000, "bye"), frame(true, Text, b"late"), vec![0xff]],
            vec![text("last"), Seen::Close(Some(3000), "bye".into())],
            None,
        ),
        vector(
            "close inside a fragmented message",
            &[frame(false, Text, b"half"), frame(true, Close, b"")],
            vec![Seen::Close(None, String::new())],
            None,
        ),
        vector(
            "b089 a bad byte at the end of what came",
            &[frame(true, Ping, b""), frame(true, Text, b"abc\xffdef")[..6].to_vec()],
            vec![Seen::Ping(Vec::new())],
            Some(ProtocolError::InvalidUtf8),
        ),
        vector(
            "b089 a surrogate over fragments",
            &[frame(false, Text, b"abc\xed"), frame(true, Ping, b"p"), frame(false, Continuation, b"\xa0")],
            vec![Seen::Ping(b"p".to_vec())],
            Some(ProtocolError::InvalidUtf8),
        ),
        vector(
            "b089 text that ends inside a character",
            &[frame(false, Text, b"ab"), frame(true, Continuation, b"\xe2\x82")],
            vec![],
            Some(ProtocolError::InvalidUtf8),
        ),
        vector(
            "a breach behind messages",
            &[frame(true, Text, b"good"), frame(true, Continuation, b"bad"), frame(true, Text, b"late")],
            vec![text("good")],
            Some(ProtocolError::UnexpectedContinuation),
        ),
        vector(
            "a bad close reason",
            &[frame(true, Close, b"\x03\xe8a\xc0b")],
            vec![],
            Some(ProtocolError::CloseReasonNotUtf8("a\u{fffd}b".into())),
        ),
    ];

    let mut single = vector(
        "b078 single fragments",
        &[
            frame(false, Text, b"a\xe2"),
            frame(true, Ping, b"pp"),
            frame(false, Continuation, b"\x82"),
            frame(true, Continuation, b"\xac"),
            frame(true, Binary, b"whole"),
            frame(false, Binary, b""),
            frame(true, Continuation, b"z"),
        ],
        vec![
            fragment(Kind::Text, b"a\xe2", true, false),
            Seen::Ping(b"pp".to_vec()),
            fragment(Kind::Text, b"\x82", false, false),
            fragment(Kind::Text, b"\xac", false, true),
            Seen::Binary(b"whole".to_vec()),
            fragment(Kind::Binary, b"", true, false),
            fragment(Kind::Binary, b"z", false, true),
        ],
        None,
    );
    single.config.deliver_fragments = true;
    vectors.push(single);

    let mut accepted = vector(
        "b086 masked frames, accepted",
        &[
            masked(true, Text, "tést".as_bytes(), *b"abcd"),
            masked(false, Binary, b"12345", *b"\x00\x01\x02\x03"),
            masked(true, Ping, b"ping", *b"wxyz"),
            frame(true, Continuation, b"678"),
            masked(true, Text, b"", *b"1234"),
        ],
        vec![text("tést"), Seen::Ping(b"ping".to_vec()), Seen::Binary(b"12345678".to_vec()), text("")],
        None,
    );
    accepted.config.accept_masked_frames = true;
    vectors.push(accepted);

    let mut unchecked = vector(
        "b091 unchecked text",
        &[frame(true, Text, b"\xff\xfe"), frame(false, Text, b"\xed"), frame(true, Continuation, b"\xa0")],
        vec![Seen::UncheckedText(b"\xff\xfe".to_vec()), Seen::UncheckedText(b"\xed\xa0".to_vec())],
        None,
    );
    unchecked.config.validate_utf8 = false;
    vectors.push(unchecked);

    let mut long = vector(
        "b087 lengths in more bytes than they need, accepted",
        &[b"\x81\x7e\x00\x02hi".to_vec(), b"\x82\x7f\x00\x00\x00\x00\x00\x00\x00\x03abc".to_vec()],
        vec![text("hi"), Seen::Binary(b"abc".to_vec())],
        None,
    );
    long.config.accept_non_minimal_lengths = true;
    vectors.push(long);
    vectors
}

impl Vector {
    fn check<'a>(&self, pieces: impl IntoIterator<Item = (&'a [u8], Leave)>, how: &str) {
        let mut client = Client::open(self.config.clone());
        let mut result = Ok(());
        for (piece, leave) in pieces {
            result = client.feed(piece, leave);
        }
        // What waits in the buffer is at the end of what came.
        result = result.and(client.feed(&[], Leave::Absorb));
        assert_eq!(client.seen, self.seen, "{} {how}", self.name);
        assert_eq!(result.err(), self.error.clone().map(Error::Protocol), "{} {how}", self.name);

        let mut answers: Vec<_> = self
            .seen
            .iter()
            .filter_map(|seen| match seen {
                Seen::Ping(payload) => Some((10, payload.clone())),
                Seen::Close(code, _) => {
                    Some((8, code.map_or(Vec::new(), |code| code.to_be_bytes().to_vec())))
                }
                _ => None,
            })
            .collect();
        if let Some(error) = &self.error {
            let code = u16::from(error.close_code()).to_be_bytes();
            answers.push((8, [&code[..], error.to_string().as_bytes()].concat()));
        }
        assert_eq!(client.sent_payloads(), answers, "{} {how}", self.name);
    }
}

const LEAVES: [Leave; 3] = [Leave::InBuffer, Leave::Absorb, Leave::Spare];

#[test]
fn b071_b073_vectors_byte_by_byte() {
    for vector in vectors() {
        for leave in LEAVES {
            vector.check(vector.bytes.chunks(1).map(|byte| (byte, leave)), &format!("{leave:?}"));
        }
        let alternating = vector.bytes.chunks(1).zip([Leave::InBuffer, Leave::Absorb].into_iter().cycle());
        vector.check(alternating, "alternating");
    }
}

#[test]
fn b071_b073_vectors_whole_and_in_two_and_three_pieces() {
    for vector in vectors() {
        let bytes = vector.bytes.as_slice();
        vector.check([(bytes, Leave::InBuffer)], "whole");
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                for leaves in [[Leave::InBuffer; 2], [Leave::Absorb; 2], [Leave::InBuffer, Leave::Absorb]] {
                    let pieces = pieces.into_iter().zip([leaves[0], leaves[1], Leave::InBuffer]);
                    vector.check(pieces, &format!("cut at {first} and {second}, {leaves:?}"));
                }
            }
        }
    }
}

/// Sizes at which the header's form changes, with cuts round the header's end and the payload's.
#[test]
fn b060_b071_long_frames_in_three_pieces() {
    for len in [125, 126, 127, 65_535, 65_536, 100_000] {
        let payload: Vec<u8> = (0..len).map(|index| index as u8).collect();
        let bytes = [frame(true, Binary, &payload), frame(true, Ping, b"after")].concat();
        let vector = Vector {
            name: "a long frame",
            config: Config::default(),
            seen: vec![Seen::Binary(payload), Seen::Ping(b"after".to_vec())],
            error: None,
            bytes,
        };
        let bytes = vector.bytes.as_slice();
        let end = bytes.len();
        let cuts = [1, 2, 3, 9, 10, 11, len / 2, end - 8, end - 7, end - 6, end - 5, end - 1];
        for (index, first) in cuts.into_iter().enumerate() {
            for second in cuts.into_iter().skip(index).filter(|second| *second >= first) {
                for leave in LEAVES {
                    let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
                    vector.check(pieces.map(|piece| (piece, leave)), &format!("{len} at {first}, {second}"));
                }
            }
        }
    }
}
