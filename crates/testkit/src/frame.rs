//! Frames as a server writes and reads them, legal or not.
//!
//! ```
//! use websocket_testkit::frame::{self, Decoder, Length};
//!
//! assert_eq!(frame::text("hi"), b"\x81\x02hi");
//! // A length that should have been written in seven bits:
//! assert_eq!(frame::raw(0x81, Length::Bits16, b"hi"), b"\x81\x7e\x00\x02hi");
//!
//! let mut decoder = Decoder::new();
//! decoder.feed(&frame::masked(0x81, [1, 2, 3, 4], b"hi"));
//! assert_eq!(decoder.next_frame().unwrap().payload, b"hi");
//! ```

/// Opcode of a frame that continues a message.
pub const CONTINUATION: u8 = 0x0;
/// Opcode of a text message.
pub const TEXT: u8 = 0x1;
/// Opcode of a binary message.
pub const BINARY: u8 = 0x2;
/// Opcode of a close frame.
pub const CLOSE: u8 = 0x8;
/// Opcode of a ping.
pub const PING: u8 = 0x9;
/// Opcode of a pong.
pub const PONG: u8 = 0xA;

/// How the length of a payload is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Length {
    /// In as few bytes as RFC 6455 demands.
    Shortest,
    /// In the two bytes after 126, even where seven bits would do.
    Bits16,
    /// In the eight bytes after 127, even where fewer would do.
    Bits64,
    /// This number in its shortest form, whatever the payload's real length.
    Claimed(u64),
    /// This number in the eight bytes after 127, whatever the payload's real length.
    Claimed64(u64),
}

/// An unmasked frame with `first_byte` (FIN, RSV, opcode) as it is.
pub fn raw(first_byte: u8, length: Length, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(first_byte, false, length, payload.len());
    frame.extend_from_slice(payload);
    frame
}

/// A masked frame, as clients send them; from a server it is a breach of the protocol.
pub fn masked(first_byte: u8, mask: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut frame = header(first_byte, true, Length::Shortest, payload.len());
    frame.extend_from_slice(&mask);
    let start = frame.len();
    frame.extend_from_slice(payload);
    apply_mask(mask, 0, &mut frame[start..]);
    frame
}

/// An unmasked frame of the shortest form; `rsv` holds RSV1, RSV2 and RSV3 as the bits 4, 2 and 1.
pub fn encode(fin: bool, rsv: u8, opcode: u8, payload: &[u8]) -> Vec<u8> {
    raw(u8::from(fin) << 7 | (rsv & 7) << 4 | opcode & 0xF, Length::Shortest, payload)
}

/// A whole text message.
pub fn text(text: &str) -> Vec<u8> {
    encode(true, 0, TEXT, text.as_bytes())
}

/// A whole binary message.
pub fn binary(payload: &[u8]) -> Vec<u8> {
    encode(true, 0, BINARY, payload)
}

/// A frame that continues a message, and ends it with `fin`.
pub fn continuation(fin: bool, payload: &[u8]) -> Vec<u8> {
    encode(fin, 0, CONTINUATION, payload)
}

/// A ping.
pub fn ping(payload: &[u8]) -> Vec<u8> {
    encode(true, 0, PING, payload)
}

/// A pong.
pub fn pong(payload: &[u8]) -> Vec<u8> {
    encode(true, 0, PONG, payload)
}

/// A close frame with a code and a reason.
pub fn close(code: u16, reason: &str) -> Vec<u8> {
    encode(true, 0, CLOSE, &[&code.to_be_bytes(), reason.as_bytes()].concat())
}

/// A close frame without a payload.
pub fn empty_close() -> Vec<u8> {
    encode(true, 0, CLOSE, b"")
}

fn header(first_byte: u8, masked: bool, length: Length, real: usize) -> Vec<u8> {
    let mask_bit = u8::from(masked) << 7;
    let (form, claimed) = match length {
        Length::Shortest => (None, real as u64),
        Length::Bits16 => (Some(126), real as u64),
        Length::Bits64 => (Some(127), real as u64),
        Length::Claimed(claimed) => (None, claimed),
        Length::Claimed64(claimed) => (Some(127), claimed),
    };
    let form = form.unwrap_or(match claimed {
        0..=125 => claimed as u8,
        126..=0xFFFF => 126,
        _ => 127,
    });
    let mut header = vec![first_byte, mask_bit | form];
    match form {
        126 => header.extend_from_slice(&(claimed as u16).to_be_bytes()),
        127 => header.extend_from_slice(&claimed.to_be_bytes()),
        _ => {}
    }
    header
}

/// Masks or unmasks `bytes`, which begin `offset` bytes into the payload.
pub fn apply_mask(mask: [u8; 4], offset: usize, bytes: &mut [u8]) {
    let mut mask = mask;
    mask.rotate_left(offset % 4);
    let mut chunks = bytes.chunks_exact_mut(4);
    for chunk in &mut chunks {
        for (byte, mask) in chunk.iter_mut().zip(mask) {
            *byte ^= mask;
        }
    }
    for (byte, mask) in chunks.into_remainder().iter_mut().zip(mask) {
        *byte ^= mask;
    }
}

/// One frame as it was received.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Frame {
    /// The FIN bit.
    pub fin: bool,
    /// RSV1, RSV2 and RSV3 as the bits 4, 2 and 1.
    pub rsv: u8,
    /// The opcode, known or not.
    pub opcode: u8,
    /// The masking key; `None` for an unmasked frame.
    pub mask: Option<[u8; 4]>,
    /// Whether the length was written in the shortest form.
    pub shortest: bool,
    /// The payload, unmasked.
    pub payload: Vec<u8>,
}

impl Frame {
    /// The payload as text; bad UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.payload).into_owned()
    }

    /// Code and reason of a close frame; `None` if it carries none.
    pub fn close(&self) -> Option<(u16, String)> {
        let (code, reason) = self.payload.split_first_chunk()?;
        Some((u16::from_be_bytes(*code), String::from_utf8_lossy(reason).into_owned()))
    }

    /// What this frame breaks of the rules that every frame of a client without extensions must keep; `None`
    /// if nothing.
    pub fn fault(&self) -> Option<&'static str> {
        let control = self.opcode & 8 != 0;
        if self.mask.is_none() {
            Some("a client's frame must be masked")
        } else if self.rsv != 0 {
            Some("no extension was negotiated that could set an RSV bit")
        } else if !matches!(self.opcode, CONTINUATION..=BINARY | CLOSE..=PONG) {
            Some("the opcode is reserved")
        } else if !self.shortest {
            Some("the length is not written in the shortest form")
        } else if control && !self.fin {
            Some("a control frame must not be fragmented")
        } else if control && self.payload.len() > 125 {
            Some("a control frame carries at most 125 bytes")
        } else {
            None
        }
    }
}

/// Cuts a stream of bytes into frames. It judges nothing: see [`Frame::fault`].
#[derive(Default, Debug)]
pub struct Decoder {
    bytes: Vec<u8>,
}

impl Decoder {
    /// A decoder that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in the next bytes of the stream, cut anywhere.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next frame, once all of it is there.
    pub fn next_frame(&mut self) -> Option<Frame> {
        let head = Head::parse(&self.bytes)?;
        let end = usize::try_from(head.length).ok()?.checked_add(head.size)?;
        let mut payload = self.bytes.get(head.size..end)?.to_vec();
        apply_mask(head.mask.unwrap_or_default(), 0, &mut payload);
        self.bytes.drain(..end);
        Some(Frame {
            fin: head.first_byte & 0x80 != 0,
            rsv: head.first_byte >> 4 & 7,
            opcode: head.first_byte & 0xF,
            mask: head.mask,
            shortest: head.shortest,
            payload,
        })
    }

    /// The bytes that are no whole frame yet.
    pub fn rest(&self) -> &[u8] {
        &self.bytes
    }

    /// Takes the first `length` bytes of the rest, which are not a frame: a request, for one.
    ///
    /// # Panics
    /// When there are fewer.
    pub fn consume(&mut self, length: usize) -> Vec<u8> {
        self.bytes.drain(..length).collect()
    }
}

/// The part of a frame before its payload.
pub(crate) struct Head {
    pub(crate) first_byte: u8,
    pub(crate) mask: Option<[u8; 4]>,
    pub(crate) length: u64,
    pub(crate) shortest: bool,
    /// Bytes that the head takes up itself.
    pub(crate) size: usize,
}

impl Head {
    /// The head at the start of `bytes`, once all of it is there.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let &[first_byte, second, ref rest @ ..] = bytes else { return None };
        let (length, rest, shortest) = match second & 0x7F {
            126 => {
                let (length, rest) = rest.split_first_chunk()?;
                let length = u64::from(u16::from_be_bytes(*length));
                (length, rest, length > 125)
            }
            127 => {
                let (length, rest) = rest.split_first_chunk()?;
                let length = u64::from_be_bytes(*length);
                (length, rest, length > 0xFFFF)
            }
            short => (u64::from(short), rest, true),
        };
        let (mask, rest) = if second & 0x80 == 0 {
            (None, rest)
        } else {
            let (mask, rest) = rest.split_first_chunk()?;
            (Some(*mask), rest)
        };
        Some(Self { first_byte, mask, length, shortest, size: bytes.len() - rest.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_cut_anywhere_is_decoded_the_same() {
        let lengths = [0, 1, 125, 126, 0xFFFF, 0x10000];
        let frames = lengths.map(|length| masked(0x82, [9, 8, 7, 6], &vec![0x5A; length]));
        for (bytes, length) in frames.iter().zip(lengths) {
            for cut in [0, 1, 2, 3, 4, 5, 6, 9, 13, 14, 15, bytes.len() - 1] {
                let cut = cut.min(bytes.len() - 1);
                let mut decoder = Decoder::new();
                decoder.feed(&bytes[..cut]);
                assert_eq!(decoder.next_frame(), None);
                decoder.feed(&bytes[cut..]);
                let frame = decoder.next_frame().unwrap();
                assert_eq!((frame.fin, frame.rsv, frame.opcode), (true, 0, BINARY));
                assert_eq!((frame.mask, frame.shortest), (Some([9, 8, 7, 6]), true));
                assert!(frame.payload.len() == length && frame.payload.iter().all(|&byte| byte == 0x5A));
                assert_eq!(frame.fault(), None);
                assert!(decoder.rest().is_empty());
            }
        }
    }

    #[test]
    fn a_mask_applied_in_pieces_is_the_mask_applied_at_once() {
        let mask = [1, 2, 3, 4];
        let mut whole: Vec<u8> = (0..50).collect();
        let mut pieces = whole.clone();
        apply_mask(mask, 0, &mut whole);
        for (start, end) in [(0, 3), (3, 10), (10, 11), (11, 50)] {
            apply_mask(mask, start, &mut pieces[start..end]);
        }
        assert_eq!(whole, pieces);
        assert_eq!(whole[..5], [1, 1 ^ 2, 2 ^ 3, 3 ^ 4, 4 ^ 1]);
    }

    #[test]
    fn each_fault_of_a_client_is_named() {
        let fault = |bytes: &[u8]| {
            let mut decoder = Decoder::new();
            decoder.feed(bytes);
            decoder.next_frame().unwrap().fault()
        };
        let mask = [1; 4];
        assert!(fault(&text("x")).unwrap().contains("masked"));
        assert!(fault(&masked(0xC1, mask, b"")).unwrap().contains("RSV"));
        assert!(fault(&masked(0x83, mask, b"")).unwrap().contains("reserved"));
        assert!(fault(&masked(0x09, mask, b"")).unwrap().contains("fragmented"));
        assert!(fault(&masked(0x89, mask, &[0; 126])).unwrap().contains("125"));
        assert!(fault(b"\x81\xfe\x00\x01\0\0\0\0x").unwrap().contains("shortest"));
        assert_eq!(fault(&masked(0x81, mask, b"x")), None);
    }

    #[test]
    fn every_form_of_length_is_written_as_asked() {
        assert_eq!(raw(0x81, Length::Bits64, b"x"), b"\x81\x7f\0\0\0\0\0\0\0\x01x");
        assert_eq!(raw(0x82, Length::Claimed(200), b""), b"\x82\x7e\0\xc8");
        assert_eq!(raw(0x82, Length::Claimed64(1 << 63), b""), b"\x82\x7f\x80\0\0\0\0\0\0\0");
        assert_eq!(close(1000, "bye"), b"\x88\x05\x03\xe8bye");
        assert_eq!(encode(false, 4, CONTINUATION, b""), b"\x40\x00");
    }
}
