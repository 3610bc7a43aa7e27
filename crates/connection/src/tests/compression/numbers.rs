//! What a connection counts of compressed messages.

use super::{Compressor, anything, open};
use crate::fuzzing::harness::{Leave, raw_frame};
use crate::{Kind, Opcode};

#[test]
fn compressed_bytes_and_those_before_compression_are_counted_in_both_directions() {
    let text = "the same words again and again, ".repeat(40);
    let mut server = Compressor::new(6, 15, true);
    let [whole, mut parts] = [server.message(text.as_bytes()), server.message(text.as_bytes())];
    let compressed = (whole.len() + parts.len()) as u64;
    let last = parts.split_off(parts.len() / 2);
    let bytes = [
        raw_frame(0xc1, &whole),
        raw_frame(0x41, &parts),
        raw_frame(0x80, &last),
        raw_frame(0x81, b"as it is"),
    ]
    .concat();
    for single in [false, true] {
        for piece in [3, bytes.len()] {
            let mut client = open(anything(), "");
            client.conn.set_deliver_fragments(single);
            for piece in bytes.chunks(piece) {
                client.feed(piece, Leave::Absorb).unwrap();
            }
            let received = client.conn.tx().stats().received;
            assert_eq!((received.messages, received.frames), (3, 4));
            assert_eq!(received.payload_bytes, 2 * text.len() as u64 + 8);
            assert_eq!(received.deflated_payload_bytes, 2 * text.len() as u64);
            assert_eq!(received.compressed_bytes, compressed);
            let ratio = received.compression_ratio().unwrap();
            assert!(ratio > 10.0 && ratio < 200.0, "{ratio}");
        }
    }

    let mut client = open(anything(), "");
    let tx = client.conn.tx();
    tx.send(text.as_bytes(), Opcode::Text, &mut client.env).unwrap();
    tx.send_fragment(Some(Kind::Text), text.as_bytes(), false, &mut client.env).unwrap();
    tx.send_fragment(None, text.as_bytes(), true, &mut client.env).unwrap();
    tx.set_compression(false);
    tx.send_text("as it is", &mut client.env).unwrap();
    let sent = tx.stats().sent;
    assert_eq!((sent.messages, sent.frames), (3, 4));
    assert_eq!(sent.payload_bytes, 3 * text.len() as u64 + 8);
    assert_eq!(sent.deflated_payload_bytes, 3 * text.len() as u64);
    let frames = client.sent();
    let compressed: usize = frames[..3].iter().map(|frame| frame.payload.len()).sum();
    assert_eq!(sent.compressed_bytes, compressed as u64);
}
