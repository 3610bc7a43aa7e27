//! The frame header (RFC 6455 section 5.2).

use crate::config::MAX_HELD;
use crate::{Config, MAX_CONTROL_PAYLOAD, Opcode, ProtocolError};

/// Longest header that a server may send: two bytes, a 64-bit length and, where accepted, a mask.
pub(crate) const MAX_HEADER: usize = 14;

const FIN: u8 = 0x80;
const RSV: u8 = 0x70;
const RSV1: u8 = 0x40;
const MASKED: u8 = 0x80;
pub(crate) const LEN_16: u8 = 126;
const LEN_64: u8 = 127;

// Here and not beside `Opcode`, since errors name opcodes.
impl TryFrom<u8> for Opcode {
    type Error = ProtocolError;

    fn try_from(bits: u8) -> Result<Self, ProtocolError> {
        Ok(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return Err(ProtocolError::UnknownOpcode(bits)),
        })
    }
}

/// A frame header from the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Header {
    pub(crate) fin: bool,
    pub(crate) opcode: Opcode,
    /// RSV1: a compressed message begins here (RFC 7692 section 6).
    pub(crate) compressed: bool,
    pub(crate) mask: Option<[u8; 4]>,
    /// Bytes of payload.
    pub(crate) len: u64,
    /// Bytes of the header itself.
    pub(crate) size: usize,
}

impl Header {
    /// Parses the header at the front of `bytes`; `None` while it is incomplete. With `compression` a message may begin with RSV1.
    ///
    /// Whatever is wrong is reported as soon as the byte that makes it so is there.
    pub(crate) fn parse(
        bytes: &[u8],
        compression: bool,
        config: &Config,
    ) -> Result<Option<Self>, ProtocolError> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        let reserved = first & RSV;
        let compressed = compression && reserved == RSV1;
        if reserved != 0 && !compressed {
            return Err(ProtocolError::ReservedBits(reserved >> 4));
        }
        let opcode = Opcode::try_from(first & 0x0f)?;
        if compressed && !matches!(opcode, Opcode::Text | Opcode::Binary) {
            return Err(ProtocolError::ReservedBits(reserved >> 4));
        }
        let fin = first & FIN != 0;
        if opcode.is_control() && !fin {
            return Err(ProtocolError::FragmentedControl(opcode));
        }

        let Some(&second) = bytes.get(1) else { return Ok(None) };
        let masked = second & MASKED != 0;
        if masked && !config.accept_masked_frames {
            return Err(ProtocolError::MaskedFrame);
        }
        let short = second & !MASKED;
        if opcode.is_control() && short as usize > MAX_CONTROL_PAYLOAD {
            return Err(ProtocolError::ControlTooLong(opcode));
        }

        let (len, mut size) = match short {
            LEN_16 => match bytes.get(2..4).and_then(|bytes| bytes.try_into().ok()) {
                Some(bytes) => (u64::from(u16::from_be_bytes(bytes)), 4),
                None => return Ok(None),
            },
            LEN_64 => match bytes.get(2..10).and_then(|bytes| bytes.try_into().ok()) {
                Some(bytes) => (u64::from_be_bytes(bytes), 10),
                None => return Ok(None),
            },
            _ => (u64::from(short), 2),
        };
        if len > MAX_HELD {
            return Err(match len >> 63 {
                0 => ProtocolError::FrameTooBig { len, limit: config.max_frame_size.min(MAX_HELD) },
                _ => ProtocolError::LengthTopBit,
            });
        }
        let minimal = match short {
            LEN_16 => len >= u64::from(LEN_16),
            LEN_64 => len > u64::from(u16::MAX),
            _ => true,
        };
        if !minimal && !config.accept_non_minimal_lengths {
            return Err(ProtocolError::NonMinimalLength(len));
        }
        if len > config.max_frame_size {
            return Err(ProtocolError::FrameTooBig { len, limit: config.max_frame_size });
        }

        let mask = if masked {
            let Some(mask) = bytes.get(size..size + 4).and_then(|bytes| bytes.try_into().ok()) else {
                return Ok(None);
            };
            size += 4;
            Some(mask)
        } else {
            None
        };
        Ok(Some(Self { fin, opcode, compressed, mask, len, size }))
    }
}

/// The first byte of a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct First(u8);

impl First {
    /// Of a frame that is not compressed and no fragment.
    #[inline]
    pub(crate) const fn whole(opcode: Opcode) -> Self {
        Self::new(true, false, opcode)
    }

    /// `compressed` sets RSV1: a compressed message begins here (RFC 7692 section 6).
    #[inline]
    pub(crate) const fn new(fin: bool, compressed: bool, opcode: Opcode) -> Self {
        let fin = if fin { FIN } else { 0 };
        let rsv1 = if compressed { RSV1 } else { 0 };
        Self(fin | rsv1 | opcode as u8)
    }
}

/// Writes the header of a client's frame, which is always masked (RFC 6455 section 5.3). Returns its length.
///
/// Short ones are put together in a register: written byte by byte, they would have to be read again as a whole.
#[inline]
pub(crate) fn write_header(room: &mut [u8; MAX_HEADER], first: First, len: usize, mask: [u8; 4]) -> usize {
    let (First(first), mask) = (first, u32::from_le_bytes(mask));
    if len < LEN_16 as usize {
        let start = u16::from_le_bytes([first, MASKED | len as u8]);
        room[..8].copy_from_slice(&(u64::from(start) | u64::from(mask) << 16).to_le_bytes());
        6
    } else if let Ok(len) = u16::try_from(len) {
        let start = u16::from_le_bytes([first, MASKED | LEN_16]);
        let start = u32::from(start) | u32::from(len.swap_bytes()) << 16;
        room[..8].copy_from_slice(&(u64::from(start) | u64::from(mask) << 32).to_le_bytes());
        8
    } else {
        room[..2].copy_from_slice(&[first, MASKED | LEN_64]);
        room[2..10].copy_from_slice(&(len as u64).to_be_bytes());
        room[10..].copy_from_slice(&mask.to_le_bytes());
        14
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> Result<Option<Header>, ProtocolError> {
        Header::parse(bytes, false, &Config::default())
    }

    #[test]
    fn b060_lengths_use_the_shortest_form_at_exactly_126_and_65536() {
        for (len, size) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10), (MAX_HELD as usize, 10)] {
            let mut room = [0; MAX_HEADER];
            let written = write_header(&mut room, First::whole(Opcode::Binary), len, [1, 2, 3, 4]);
            assert_eq!(written, size + 4, "{len}");
            let out = &room[..written];
            assert_eq!(out[size..], [1, 2, 3, 4]);

            let mut config = Config::default();
            config.accept_masked_frames = true;
            config.max_frame_size = u64::MAX;
            let header = Header::parse(out, false, &config).unwrap().unwrap();
            assert_eq!((header.len, header.size, header.mask), (len as u64, size + 4, Some([1, 2, 3, 4])));
            for cut in 0..out.len() {
                assert_eq!(Header::parse(&out[..cut], false, &config), Ok(None), "cut at {cut}");
            }
        }
    }

    #[test]
    fn b060_a_length_with_its_top_bit_set_is_refused() {
        let mut bytes = vec![0x82, 127];
        bytes.extend_from_slice(&(1_u64 << 63).to_be_bytes());
        assert_eq!(parse(&bytes), Err(ProtocolError::LengthTopBit));
    }

    #[test]
    fn b060_b076_a_length_that_memory_cannot_hold_is_refused_and_not_cut_off() {
        let mut config = Config::default();
        config.max_frame_size = u64::MAX;
        let parse = |len: u64| {
            let bytes = [&[0x82, 127][..], &len.to_be_bytes()].concat();
            Header::parse(&bytes, false, &config).map(|header| header.unwrap().len)
        };
        // The lengths that 32 bits would cut down to 0 and 100 000.
        for len in [1 << 32, (1 << 32) + 100_000] {
            let is_held = usize::try_from(len).is_ok();
            assert_eq!(
                parse(len),
                if is_held { Ok(len) } else { Err(ProtocolError::FrameTooBig { len, limit: MAX_HELD }) }
            );
        }
        assert_eq!(parse(MAX_HELD), Ok(MAX_HELD));
        for len in [MAX_HELD + 1, u64::MAX >> 1] {
            assert_eq!(parse(len), Err(ProtocolError::FrameTooBig { len, limit: MAX_HELD }));
        }
    }

    #[test]
    fn b080_any_reserved_bit_is_refused_at_its_byte() {
        for (first, bits) in [(0xc1, 4), (0xa1, 2), (0x91, 1), (0xf1, 7)] {
            assert_eq!(parse(&[first]), Err(ProtocolError::ReservedBits(bits)));
        }
    }

    #[test]
    fn rsv1_is_for_the_first_frame_of_a_message_alone() {
        let parse = |first| Header::parse(&[first, 0], true, &Config::default());
        for first in [0x41, 0x42, 0xc1, 0xc2] {
            assert!(parse(first).unwrap().unwrap().compressed);
        }
        for first in [0xc0, 0x40, 0xc8, 0xc9, 0xca] {
            assert_eq!(parse(first), Err(ProtocolError::ReservedBits(4)));
        }
        for (first, bits) in [(0xa1, 2), (0x91, 1), (0xe1, 6), (0xd2, 5)] {
            assert_eq!(parse(first), Err(ProtocolError::ReservedBits(bits)));
        }
        assert!(!parse(0x81).unwrap().unwrap().compressed);
    }

    #[test]
    fn b081_unknown_opcodes_are_refused_at_their_byte() {
        for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
            assert_eq!(parse(&[0x80 | opcode]), Err(ProtocolError::UnknownOpcode(opcode)));
        }
    }

    #[test]
    fn b082_b083_fragmented_control_frames_are_refused() {
        for (first, opcode) in [(8, Opcode::Close), (9, Opcode::Ping), (10, Opcode::Pong)] {
            assert_eq!(parse(&[first]), Err(ProtocolError::FragmentedControl(opcode)));
        }
    }

    #[test]
    fn b084_control_frames_above_125_bytes_are_refused() {
        for (first, opcode) in [(0x88, Opcode::Close), (0x89, Opcode::Ping), (0x8a, Opcode::Pong)] {
            assert!(parse(&[first, 125]).unwrap().is_some());
            assert_eq!(parse(&[first, 126]), Err(ProtocolError::ControlTooLong(opcode)));
        }
    }

    #[test]
    fn b086_masked_frames_are_refused_unless_accepted() {
        assert_eq!(parse(&[0x81, 0x80]), Err(ProtocolError::MaskedFrame));
        let mut config = Config::default();
        config.accept_masked_frames = true;
        let header = Header::parse(&[0x81, 0x81, 9, 8, 7, 6], false, &config).unwrap().unwrap();
        assert_eq!((header.mask, header.size), (Some([9, 8, 7, 6]), 6));
    }

    #[test]
    fn b087_non_minimal_lengths_are_refused_unless_accepted() {
        let short = [0x82, 126, 0, 125];
        let mut long = vec![0x82, 127];
        long.extend_from_slice(&65_535_u64.to_be_bytes());
        assert_eq!(parse(&short), Err(ProtocolError::NonMinimalLength(125)));
        assert_eq!(parse(&long), Err(ProtocolError::NonMinimalLength(65_535)));
        let mut config = Config::default();
        config.accept_non_minimal_lengths = true;
        assert_eq!(Header::parse(&short, false, &config).unwrap().unwrap().len, 125);
        assert_eq!(Header::parse(&long, false, &config).unwrap().unwrap().len, 65_535);
    }

    #[test]
    fn b076_a_frame_beyond_the_limit_is_refused_at_its_header() {
        let mut bytes = vec![0x82, 127];
        bytes.extend_from_slice(&(1_u64 << 40).to_be_bytes());
        assert_eq!(parse(&bytes), Err(ProtocolError::FrameTooBig { len: 1 << 40, limit: 64 << 20 }));
    }
}
