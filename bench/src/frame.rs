//! Frames, as the floors and the load server need them: RFC 6455, section 5.2, without fragments.

use std::io::Read;

use crate::Result;

/// FIN and the text opcode.
pub const TEXT: u8 = 0x81;
/// RSV1: the message is compressed.
pub const COMPRESSED: u8 = 0x40;
/// FIN and the close opcode.
pub const CLOSE: u8 = 0x88;
/// FIN and the ping opcode.
pub const PING: u8 = 0x89;
/// FIN and the pong opcode.
pub const PONG: u8 = 0x8a;

/// The most bytes that a header takes.
pub const MAX_HEADER: usize = 14;

/// A frame's header, read from its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// FIN, RSV and opcode.
    pub first: u8,
    /// The masking key, if the frame is masked.
    pub key: Option<[u8; 4]>,
    /// Where the payload begins.
    pub start: usize,
    /// Where the payload ends.
    pub end: usize,
}

impl Header {
    /// Reads the header at the front of `bytes`; `None` while it is incomplete.
    #[inline]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let &[first, second, ref rest @ ..] = bytes else { return None };
        let (size, length) = match second & 0x7f {
            126 => (2, usize::from(u16::from_be_bytes(*rest.first_chunk()?))),
            127 => (8, usize::try_from(u64::from_be_bytes(*rest.first_chunk()?)).unwrap_or(usize::MAX)),
            length => (0, usize::from(length)),
        };
        let start = 2 + size;
        if second & 0x80 == 0 {
            return Some(Self { first, key: None, start, end: start.saturating_add(length) });
        }
        let key = *rest.get(size..)?.first_chunk()?;
        Some(Self { first, key: Some(key), start: start + 4, end: (start + 4).saturating_add(length) })
    }
}

/// Writes a header to the front of `out`, which has room for it, and returns its size.
#[inline]
pub fn write_header(out: &mut [u8], first: u8, length: usize, key: Option<[u8; 4]>) -> usize {
    out[0] = first;
    let mut size = match length {
        0..126 => {
            out[1] = length as u8;
            2
        }
        126..0x1_0000 => {
            out[1] = 126;
            out[2..4].copy_from_slice(&(length as u16).to_be_bytes());
            4
        }
        _ => {
            out[1] = 127;
            out[2..10].copy_from_slice(&(length as u64).to_be_bytes());
            10
        }
    };
    if let Some(key) = key {
        out[1] |= 0x80;
        out[size..size + 4].copy_from_slice(&key);
        size += 4;
    }
    size
}

/// A whole frame without a mask.
pub fn unmasked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; MAX_HEADER];
    let size = write_header(&mut frame, first, payload.len(), None);
    frame.truncate(size);
    frame.extend_from_slice(payload);
    frame
}

/// A whole masked frame.
pub fn masked(first: u8, payload: &[u8], key: [u8; 4]) -> Vec<u8> {
    let mut frame = vec![0; MAX_HEADER + payload.len()];
    let start = write_header(&mut frame, first, payload.len(), Some(key));
    frame.truncate(start + payload.len());
    mask_into(&mut frame[start..], payload, key);
    frame
}

/// Reads on into `buffer`, which begins with the first `filled` bytes of a text or with nothing, until the text is whole.
///
/// # Errors
/// The peer ends, something else than a text comes, or more than there is room for.
pub fn read_text<'a>(reader: &mut impl Read, buffer: &'a mut [u8], mut filled: usize) -> Result<&'a str> {
    let text = loop {
        if let Some(header) = Header::read(&buffer[..filled])
            && header.end <= filled
        {
            match header.first {
                TEXT => break header.start..header.end,
                first => return Err(format!("no text, but a frame that begins with {first:#x}").into()),
            }
        }
        match reader.read(&mut buffer[filled..])? {
            0 => return Err("the text is not whole, and nothing more comes".into()),
            more => filled += more,
        }
    };
    Ok(std::str::from_utf8(&buffer[text])?)
}

/// Copies `from` to `to`, of the same length, and masks or unmasks on the way.
#[inline]
pub fn mask_into(to: &mut [u8], from: &[u8], key: [u8; 4]) {
    let [a, b, c, d] = key;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (to_words, to_tail) = to.as_chunks_mut::<8>();
    let (from_words, from_tail) = from.as_chunks::<8>();
    for (to, from) in to_words.iter_mut().zip(from_words) {
        *to = (u64::from_ne_bytes(*from) ^ wide).to_ne_bytes();
    }
    for ((to, from), key) in to_tail.iter_mut().zip(from_tail).zip(key.into_iter().cycle()) {
        *to = from ^ key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTHS: [usize; 9] = [0, 1, 7, 8, 32, 125, 126, 0xffff, 0x1_0000];

    #[test]
    fn a_frame_is_read_as_it_was_written() {
        for length in LENGTHS {
            let payload: Vec<u8> = (0..length).map(|i| i as u8).collect();

            let frame = unmasked(TEXT, &payload);
            let header = Header::read(&frame).unwrap();
            assert_eq!((header.first, header.key, header.end), (TEXT, None, frame.len()));
            assert_eq!(frame[header.start..], payload);

            let key = [1, 2, 3, 250];
            let frame = masked(TEXT, &payload, key);
            let header = Header::read(&frame).unwrap();
            assert_eq!((header.key, header.end), (Some(key), frame.len()));
            let mut back = vec![0; length];
            mask_into(&mut back, &frame[header.start..], key);
            assert_eq!(back, payload);
        }
    }

    #[test]
    fn a_cut_header_is_incomplete() {
        for length in LENGTHS {
            for frame in [unmasked(TEXT, &vec![0; length]), masked(TEXT, &vec![0; length], [1; 4])] {
                let start = Header::read(&frame).unwrap().start;
                for cut in 0..start {
                    assert_eq!(Header::read(&frame[..cut]), None);
                }
                assert!(Header::read(&frame[..start]).is_some());
            }
        }
    }

    #[test]
    fn a_text_is_read_on_from_what_has_come() {
        let frame = unmasked(TEXT, b"1234");
        for filled in 0..=frame.len() {
            let mut buffer = [0; 64];
            buffer[..filled].copy_from_slice(&frame[..filled]);
            assert_eq!(read_text(&mut &frame[filled..], &mut buffer, filled).unwrap(), "1234");
        }
        read_text(&mut &frame[..3], &mut [0; 64], 0).unwrap_err();
        read_text(&mut &frame[..], &mut [0; 4], 0).unwrap_err();
        read_text(&mut &unmasked(CLOSE, &[3, 232])[..], &mut [0; 64], 0).unwrap_err();
    }

    #[test]
    fn a_length_beyond_all_memory_does_not_overflow() {
        let header = Header::read(&[TEXT, 127, 255, 255, 255, 255, 255, 255, 255, 255]).unwrap();
        assert_eq!(header.end, usize::MAX);
    }
}
