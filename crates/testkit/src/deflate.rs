//! The server's end of permessage-deflate (RFC 7692), message by message.

use zlib_rs::{Deflate, DeflateFlush, Inflate, InflateFlush};

/// What is cut off from each message, and appended before it is inflated.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// Compresses what a server sends, and inflates what it receives.
///
/// ```
/// use websocket_testkit::deflate::Codec;
///
/// let mut codec = Codec::new("permessage-deflate; client_max_window_bits=10");
/// let compressed = codec.compress(b"hello, hello, hello");
/// assert!(compressed.len() < 19);
/// // What the client would send for the same.
/// assert_eq!(codec.inflate(&compressed), b"hello, hello, hello");
/// ```
pub struct Codec {
    deflate: Deflate,
    inflate: Inflate,
    server_takeover: bool,
    client_takeover: bool,
}

impl Codec {
    /// As the answer says, which is the value of `Sec-WebSocket-Extensions` in the response.
    ///
    /// # Panics
    /// When its window bits are no number from 9 to 15 (8 for the client's).
    pub fn new(answer: &str) -> Self {
        let has = |name: &str| answer.split(';').any(|part| part.trim() == name);
        let bits = |name: &str, least: u8| {
            let value = answer.split(';').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
            let bits = value.map_or(15, |value| value.parse().expect("window bits are a number"));
            assert!((least..=15).contains(&bits), "{name} of {bits}");
            bits
        };
        Self {
            deflate: Deflate::new(6, false, bits("server_max_window_bits", 9)),
            inflate: Inflate::new(false, bits("client_max_window_bits", 8)),
            server_takeover: !has("server_no_context_takeover"),
            client_takeover: !has("client_no_context_takeover"),
        }
    }

    /// The payload of a compressed message.
    ///
    /// # Panics
    /// When the compressor fails, which it has no reason for.
    pub fn compress(&mut self, payload: &[u8]) -> Vec<u8> {
        let before = self.deflate.total_out();
        let mut out = vec![0; payload.len() * 2 + 100];
        self.deflate.compress(payload, &mut out, DeflateFlush::SyncFlush).expect("deflate takes any bytes");
        out.truncate((self.deflate.total_out() - before) as usize);
        if !self.server_takeover {
            self.deflate.reset();
        }
        match out.strip_suffix(&TAIL) {
            Some(rest) => rest.to_vec(),
            // Nothing was left to flush.
            None => vec![0],
        }
    }

    /// The message in the payload of the client's frames.
    ///
    /// # Panics
    /// When it cannot be inflated.
    pub fn inflate(&mut self, payload: &[u8]) -> Vec<u8> {
        let input = [payload, &TAIL].concat();
        let (mut at, mut message) = (0, Vec::new());
        loop {
            let mut room = [0; 4096];
            let (used, made) = (self.inflate.total_in(), self.inflate.total_out());
            self.inflate
                .decompress(&input[at..], &mut room, InflateFlush::SyncFlush)
                .expect("the client sends valid data");
            at += (self.inflate.total_in() - used) as usize;
            let made = (self.inflate.total_out() - made) as usize;
            message.extend_from_slice(&room[..made]);
            if made < room.len() {
                break;
            }
        }
        assert_eq!(at, input.len(), "data behind the end");
        if !self.client_takeover {
            self.inflate.reset(false);
        }
        message
    }
}

impl std::fmt::Debug for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Codec")
            .field("server_takeover", &self.server_takeover)
            .field("client_takeover", &self.client_takeover)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rfc() {
        let mut codec = Codec::new("permessage-deflate");
        assert_eq!(codec.inflate(&[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]), b"Hello");
        assert_eq!(codec.inflate(&[0xf2, 0x00, 0x11, 0x00, 0x00]), b"Hello");
        assert_eq!(codec.inflate(&[0]), b"");
    }

    #[test]
    fn messages_come_back_in_every_mode() {
        for answer in [
            "permessage-deflate",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            "permessage-deflate; server_max_window_bits=9;client_max_window_bits=9",
        ] {
            let mut codec = Codec::new(answer);
            for payload in [&b""[..], b"x", &[7; 100_000], b"", b"x"] {
                let compressed = codec.compress(payload);
                assert_eq!(codec.inflate(&compressed), payload, "{answer}");
            }
        }
    }
}
