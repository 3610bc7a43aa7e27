//! Payloads that were compressed by the application, made readable.

use std::io::Read;

use flate2::bufread::{DeflateDecoder, GzDecoder, ZlibDecoder};

/// No more than this is inflated, in bytes: a thousandfold of what came is easily made.
const MOST: u64 = 16 << 20;

/// The text inside a compressed payload, and how it was compressed; `None` where there is none.
pub(crate) fn inflate(payload: &[u8]) -> Option<(&'static str, String)> {
    match payload {
        [0x1f, 0x8b, ..] => Some(("gzip", text(GzDecoder::new(payload))?)),
        // RFC 1950 section 2.2: deflate, and a check over both bytes.
        [first, second, ..]
            if first & 0xf == 8 && u16::from_be_bytes([*first, *second]).is_multiple_of(31) =>
        {
            Some(("zlib", text(ZlibDecoder::new(payload))?))
        }
        // Nothing marks bare deflate, so it must fit to the last byte.
        _ => {
            let mut decoder = DeflateDecoder::new(payload);
            let inflated = text(&mut decoder).filter(|inflated| !inflated.is_empty())?;
            (decoder.total_in() == payload.len() as u64).then_some(("deflate", inflated))
        }
    }
}

/// All of what `decoder` gives, if it is text and not too much.
fn text(decoder: impl Read) -> Option<String> {
    let mut inflated = Vec::new();
    decoder.take(MOST + 1).read_to_end(&mut inflated).ok()?;
    if inflated.len() as u64 > MOST {
        return None;
    }
    String::from_utf8(inflated).ok()
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::bufread::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    fn all(mut encoder: impl Read) -> Vec<u8> {
        let mut bytes = Vec::new();
        encoder.read_to_end(&mut bytes).unwrap();
        bytes
    }

    fn packed(payload: &[u8]) -> [(&'static str, Vec<u8>); 3] {
        let level = Compression::default();
        [
            ("gzip", all(GzEncoder::new(payload, level))),
            ("zlib", all(ZlibEncoder::new(payload, level))),
            ("deflate", all(DeflateEncoder::new(payload, level))),
        ]
    }

    #[test]
    fn b222_text_in_gzip_zlib_and_deflate_is_found() {
        for (format, payload) in packed("price: 7 € ".repeat(9).as_bytes()) {
            assert_eq!(inflate(&payload), Some((format, "price: 7 € ".repeat(9))));
        }
    }

    #[test]
    fn b222_what_is_cut_damaged_or_no_text_stays_as_it_is() {
        for (format, payload) in packed(b"some text, some text") {
            for end in 0..payload.len() {
                assert_eq!(inflate(&payload[..end]), None, "{format} cut after {end}");
            }
        }
        let gzip = &packed(b"some text")[0].1;
        let damaged: Vec<u8> = gzip.iter().map(|byte| byte ^ u8::from(*byte == gzip[12])).collect();
        assert_eq!(inflate(&damaged), None);
        for (format, payload) in packed(b"\xff\xfe\xfd") {
            assert_eq!(inflate(&payload), None, "{format}");
        }
        for payload in [&b""[..], b"\x00", b"\x00\xff", b"\x1f\x8b", b"\x78\x9c", b"\x03\x00", b"hello"] {
            assert_eq!(inflate(payload), None, "{payload:?}");
        }
    }

    #[test]
    fn b222_a_bomb_is_not_inflated() {
        for (format, payload) in packed(&vec![b'x'; MOST as usize + 1]) {
            assert!(payload.len() < 100_000);
            assert_eq!(inflate(&payload), None, "{format}");
        }
    }
}
