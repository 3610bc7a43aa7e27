//! UTF-8 that arrives in pieces, and whole.

use ascii::AsciiStr;

/// Up to this length a check for ASCII alone, which most short text is, is cheaper than the entry into the SIMD validator.
const SHORT: usize = 128;

/// The whole of `bytes` as text.
#[inline]
pub(crate) fn check(bytes: &[u8]) -> Option<&str> {
    if bytes.len() <= SHORT
        && let Ok(text) = AsciiStr::from_ascii(bytes)
    {
        return Some(text.as_str());
    }
    simdutf8::basic::from_utf8(bytes).ok()
}

/// Checks text piece by piece and fails at the first byte that cannot continue it (RFC 6455 section 8.1).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Incremental {
    /// The bytes of a character whose end has not come yet.
    pending: [u8; 4],
    len: u8,
}

/// The text is not UTF-8.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Invalid;

impl Incremental {
    /// Checks the next piece.
    pub(crate) fn feed(&mut self, mut piece: &[u8]) -> Result<(), Invalid> {
        while self.len > 0 {
            let Some((&byte, rest)) = piece.split_first() else { return Ok(()) };
            piece = rest;
            self.pending[self.len as usize] = byte;
            self.len += 1;
            match std::str::from_utf8(&self.pending[..self.len as usize]) {
                Ok(_) => self.len = 0,
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return Err(Invalid),
            }
        }
        match simdutf8::compat::from_utf8(piece) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_none() => {
                let tail = &piece[error.valid_up_to()..];
                self.pending[..tail.len()].copy_from_slice(tail);
                self.len = tail.len() as u8;
                Ok(())
            }
            Err(_) => Err(Invalid),
        }
    }

    /// Ends the text: a character that lacks its end is an error.
    pub(crate) fn finish(&mut self) -> Result<(), Invalid> {
        if std::mem::take(self).len == 0 { Ok(()) } else { Err(Invalid) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &[&str] = &[
        "",
        "ascii",
        "κόσμε",
        "\u{0}\u{7f}\u{80}\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}",
        "a\u{20ac}b\u{1f600}c",
    ];

    /// Invalid text with the index of the byte at which it becomes so.
    const INVALID: &[(&[u8], usize)] = &[
        (b"\x80", 0),
        (b"ab\xc0\xaf", 2),
        (b"\xc1\xbf", 0),
        (b"\xe0\x80\xaf", 1),
        (b"\xed\xa0\x80", 1),
        (b"\xf0\x80\x80\xaf", 1),
        (b"\xf4\x90\x80\x80", 1),
        (b"\xf5\x80", 0),
        (b"\xcee", 1),
        (b"\xe2\x82a", 2),
        (b"\xff", 0),
    ];

    #[test]
    fn b088_whole_text_is_checked() {
        for text in VALID {
            assert_eq!(check(text.as_bytes()), Some(*text));
            let long = text.repeat(100);
            assert_eq!(check(long.as_bytes()), Some(long.as_str()));
        }
        for (bytes, _) in INVALID {
            assert_eq!(check(bytes), None);
            assert_eq!(check(&[&[b'x'; 200], *bytes].concat()), None);
        }
    }

    #[test]
    fn b089_every_split_of_valid_text_passes() {
        for text in VALID {
            let bytes = text.as_bytes();
            for first in 0..=bytes.len() {
                for second in first..=bytes.len() {
                    let mut check = Incremental::default();
                    for piece in [&bytes[..first], &bytes[first..second], &bytes[second..]] {
                        assert_eq!(check.feed(piece), Ok(()));
                    }
                    assert_eq!(check.finish(), Ok(()));
                }
            }
        }
    }

    #[test]
    fn b089_invalid_text_fails_at_its_first_bad_byte() {
        for (bytes, bad) in INVALID {
            let mut check = Incremental::default();
            for (index, byte) in bytes.iter().enumerate() {
                let expected = if index == *bad { Err(Invalid) } else { Ok(()) };
                assert_eq!(check.feed(&[*byte]), expected, "{bytes:x?} at {index}");
                if index == *bad {
                    break;
                }
            }
        }
    }

    #[test]
    fn b089_truncated_text_fails_at_its_end() {
        for text in ["κ", "€", "😀"] {
            for cut in 1..text.len() {
                let mut check = Incremental::default();
                assert_eq!(check.feed(&text.as_bytes()[..cut]), Ok(()));
                assert_eq!(check.finish(), Err(Invalid));
            }
        }
    }
}
