//! The body of a response that refuses the upgrade (RFC 9112 section 6), kept for the error.

use http::StatusCode;
use http::header::{self, HeaderMap};

use super::chunks::Chunks;
use super::elements::elements;

/// How the end of the body is known, and what came of it so far.
#[derive(Debug)]
pub(super) struct Body {
    framing: Framing,
    limit: usize,
    bytes: Vec<u8>,
}

#[derive(Debug)]
enum Framing {
    Length(u64),
    Chunked(Chunks),
    UntilClose,
}

impl Body {
    pub(super) fn new(status: StatusCode, is_http_1_0: bool, headers: &HeaderMap, limit: usize) -> Self {
        Self { framing: Framing::of(status, is_http_1_0, headers), limit, bytes: Vec::new() }
    }

    /// Takes what it needs from the front of `input`; returns the bytes taken and whether the body is complete or full.
    pub(super) fn feed(&mut self, input: &[u8]) -> (usize, bool) {
        let room = self.limit.saturating_sub(self.bytes.len());
        let wanted = match &mut self.framing {
            Framing::Chunked(chunks) => {
                let taken = chunks.decode(input, &mut self.bytes, self.limit);
                return (taken, chunks.is_at_end() || self.bytes.len() >= self.limit);
            }
            Framing::Length(length) => {
                length.saturating_sub(self.bytes.len() as u64).min(room as u64) as usize
            }
            Framing::UntilClose => room,
        };
        let taken = wanted.min(input.len());
        self.bytes.extend_from_slice(&input[..taken]);
        (taken, taken == wanted)
    }

    /// Whether the whole body came, up to the end that its framing says.
    pub(super) fn has_ended(&self) -> bool {
        match &self.framing {
            Framing::Length(length) => *length == self.bytes.len() as u64,
            Framing::Chunked(chunks) => chunks.are_complete(),
            Framing::UntilClose => false,
        }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl Framing {
    /// In the order of RFC 9112 section 6.3. Where the framing is faulty, the body is what comes.
    fn of(status: StatusCode, is_http_1_0: bool, headers: &HeaderMap) -> Self {
        if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            return Self::Length(0);
        }
        if headers.contains_key(header::TRANSFER_ENCODING) {
            let last = elements(headers, &header::TRANSFER_ENCODING).last().unwrap_or_default();
            let name = last.split(';').next().unwrap_or_default().trim();
            // Section 6.1: HTTP/1.0 does not know it.
            return if name.eq_ignore_ascii_case("chunked") && !is_http_1_0 {
                Self::Chunked(Chunks::new())
            } else {
                Self::UntilClose
            };
        }
        let mut lengths = elements(headers, &header::CONTENT_LENGTH).map(length);
        match lengths.next() {
            Some(Some(first)) if lengths.all(|length| length == Some(first)) => Self::Length(first),
            _ => Self::UntilClose,
        }
    }
}

/// A length in digits, and nothing else; what no number can hold is beyond any limit.
fn length(digits: &str) -> Option<u64> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use http::header::{HeaderName, HeaderValue};

    use super::*;

    fn body(name: header::HeaderName, value: &'static str, limit: usize) -> Body {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        Body::new(StatusCode::FORBIDDEN, false, &headers, limit)
    }

    #[test]
    fn b162_a_body_ends_at_its_length_whatever_the_pieces() {
        let mut body = body(header::CONTENT_LENGTH, "5", 100);
        assert_eq!(body.feed(b"ab"), (2, false));
        assert_eq!(body.feed(b"cdeXYZ"), (3, true));
        assert_eq!(body.into_bytes(), b"abcde");
    }

    #[test]
    fn b162_a_body_is_capped() {
        let mut body = body(header::CONTENT_LENGTH, "1000000000000", 4);
        assert_eq!(body.feed(b"abcdefg"), (4, true));
        assert_eq!(body.into_bytes(), b"abcd");
    }

    #[test]
    fn b162_chunked_bodies_are_joined_at_every_split() {
        let raw = b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n";
        for cut in 0..raw.len() - 5 {
            let mut body = body(header::TRANSFER_ENCODING, "chunked", 100);
            assert_eq!(body.feed(&raw[..cut]), (cut, false), "{cut}");
            assert!(body.feed(&raw[cut..]).1);
            assert_eq!(body.into_bytes(), b"abcde");
        }
    }

    fn whole(status: u16, is_http_1_0: bool, lines: &[(HeaderName, &'static str)]) -> (Vec<u8>, bool) {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, HeaderValue::from_static(value));
        }
        let mut body = Body::new(StatusCode::from_u16(status).unwrap(), is_http_1_0, &headers, 100);
        let (_, complete) = body.feed(b"3\r\nabc\r\n0\r\n\r\n");
        (body.into_bytes(), complete)
    }

    #[test]
    fn d_b162_the_length_of_a_body_is_what_rfc_9112_section_6_3_says() {
        use http::header::{CONTENT_LENGTH as LENGTH, TRANSFER_ENCODING as CODING};
        let raw = b"3\r\nabc\r\n0\r\n\r\n";
        let until_close = (raw.to_vec(), false);
        let chunks = (b"abc".to_vec(), true);
        let first = |len: usize| (raw[..len].to_vec(), true);
        for (status, is_http_1_0, lines, expected) in [
            (204, false, &[(LENGTH, "3")][..], first(0)),
            (304, false, &[(CODING, "chunked")], first(0)),
            (503, false, &[], until_close.clone()),
            (503, false, &[(LENGTH, "5")], first(5)),
            (503, true, &[(LENGTH, "5")], first(5)),
            (503, false, &[(LENGTH, "0")], first(0)),
            (503, false, &[(LENGTH, "5, 5")], first(5)),
            (503, false, &[(LENGTH, "5"), (LENGTH, "5")], first(5)),
            (503, false, &[(LENGTH, "005"), (LENGTH, "5")], first(5)),
            (503, false, &[(LENGTH, "5"), (LENGTH, "6")], until_close.clone()),
            (503, false, &[(LENGTH, "-1")], until_close.clone()),
            (503, false, &[(LENGTH, "+5")], until_close.clone()),
            (503, false, &[(LENGTH, "many")], until_close.clone()),
            (503, false, &[(LENGTH, "")], until_close.clone()),
            (503, false, &[(LENGTH, "99999999999999999999999")], until_close.clone()),
            (503, false, &[(CODING, "chunked")], chunks.clone()),
            (503, false, &[(CODING, "gzip, Chunked")], chunks.clone()),
            (503, false, &[(CODING, "gzip"), (CODING, "chunked")], chunks.clone()),
            (503, false, &[(LENGTH, "5"), (CODING, "chunked")], chunks),
            (503, false, &[(CODING, "chunked, gzip")], until_close.clone()),
            (503, false, &[(CODING, "identity")], until_close.clone()),
            (503, true, &[(CODING, "chunked")], until_close),
        ] {
            assert_eq!(whole(status, is_http_1_0, lines), expected, "{status} {is_http_1_0} {lines:?}");
        }
    }

    #[test]
    fn d_chunks_end_at_the_last_one_or_where_they_break_off() {
        for (raw, expected, complete) in [
            (&b"3\nabc\n0\n\n"[..], &b"abc"[..], true),
            (b"3 ; x\r\nabc\r\n00\r\n\r\n", b"abc", true),
            (b"3\r\nabc\r\n0;x\r\nA: b\r\nC: \rd\r\n\r\n", b"abc", true),
            (b"3\r\nabc\r\n0\r\n", b"abc", false),
            (b"3\r\nabc\r\n0\r\nA: b\r\n", b"abc", false),
            (b"3\r\nab", b"ab", false),
            (b"3\r\nabc\r\n", b"abc", false),
            (b"3\r\nabc\r\nxyz", b"abc", true),
            (b"-3\r\nabc", b"", true),
            (b"ffffffffffffffffff\r\nabc", b"", true),
            (b"ffffffffffffffff\r\nabc", b"abc", false),
        ] {
            let mut body = body(header::TRANSFER_ENCODING, "chunked", 100);
            let whole = body.feed(raw).1;
            assert_eq!(body.has_ended(), raw.ends_with(b"\n\n") || raw.ends_with(b"\n\r\n"));
            assert_eq!((body.into_bytes().as_slice(), whole), (expected, complete), "{}", raw.escape_ascii());
        }
        let mut padded = body(header::TRANSFER_ENCODING, "chunked", 100);
        assert!(!padded.feed(&b"1;pad\r\nx\r\n".repeat(50)).1);
        assert!(padded.feed(&b";".repeat(20_000)).1);
    }

    #[test]
    fn limits_that_are_no_limits_are_no_panic() {
        for value in ["18446744073709551615", "5"] {
            let mut body = body(header::CONTENT_LENGTH, value, usize::MAX);
            assert_eq!(body.feed(b"abc"), (3, false));
        }
    }
}
