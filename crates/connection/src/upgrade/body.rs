//! The body of a response that refuses the upgrade (RFC 9112 section 6), kept for the error.

use http::header::{self, HeaderMap};

use super::elements::elements;
use super::error::UpgradeError;

/// How the end of the body is known, and what came of it so far.
#[derive(Debug)]
pub(super) struct Body {
    framing: Framing,
    limit: usize,
    raw: Vec<u8>,
}

#[derive(Debug)]
enum Framing {
    Length(u64),
    Chunked,
    /// Until the end of the stream, or nothing at all: only the server knows, so nothing is waited for.
    None,
}

impl Body {
    pub(super) fn new(headers: &HeaderMap, limit: usize) -> Result<Self, UpgradeError> {
        let chunked =
            elements(headers, &header::TRANSFER_ENCODING).any(|name| name.eq_ignore_ascii_case("chunked"));
        let length = elements(headers, &header::CONTENT_LENGTH).next();
        let framing = match (chunked, length) {
            (true, _) => Framing::Chunked,
            (false, Some(length)) => match length.parse() {
                Ok(length) => Framing::Length(length),
                Err(_) => return Err(UpgradeError::Malformed("Content-Length")),
            },
            (false, None) => Framing::None,
        };
        Ok(Self { framing, limit, raw: Vec::new() })
    }

    /// Takes what it needs from the front of `input`; returns the bytes taken and whether the body is complete or full.
    pub(super) fn feed(&mut self, input: &[u8]) -> (usize, bool) {
        // Chunk sizes and extensions count too; a server that pads them gets a shorter body.
        let room = self.limit.saturating_mul(2).saturating_sub(self.raw.len());
        let wanted = match self.framing {
            Framing::Length(length) => {
                (length.min(self.limit as u64) as usize).saturating_sub(self.raw.len())
            }
            Framing::Chunked => room,
            Framing::None => 0,
        };
        let taken = wanted.min(input.len());
        self.raw.extend_from_slice(&input[..taken]);
        let complete = match self.framing {
            Framing::Length(_) => taken == wanted,
            Framing::Chunked => taken == room || dechunk(&self.raw).1,
            Framing::None => true,
        };
        (taken, complete)
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        let mut body = match self.framing {
            Framing::Chunked => dechunk(&self.raw).0,
            Framing::Length(_) | Framing::None => self.raw,
        };
        body.truncate(self.limit);
        body
    }
}

/// The data of the chunks so far, and whether the last chunk is there or no further one can be read.
fn dechunk(mut raw: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        match httparse::parse_chunk_size(raw) {
            Ok(httparse::Status::Complete((_, 0))) | Err(_) => return (body, true),
            Ok(httparse::Status::Partial) => return (body, false),
            Ok(httparse::Status::Complete((start, size))) => {
                let data = &raw[start..];
                let Some((chunk, rest)) =
                    usize::try_from(size).ok().and_then(|size| data.split_at_checked(size))
                else {
                    body.extend_from_slice(data);
                    return (body, false);
                };
                body.extend_from_slice(chunk);
                raw = rest.strip_prefix(b"\r\n").unwrap_or(rest);
                if raw.is_empty() {
                    return (body, false);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn body(name: header::HeaderName, value: &'static str, limit: usize) -> Body {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        Body::new(&headers, limit).unwrap()
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

    #[test]
    fn b162_without_a_length_there_is_no_body() {
        let mut body = Body::new(&HeaderMap::new(), 10).unwrap();
        assert_eq!(body.feed(b"abc"), (0, true));
    }

    #[test]
    fn b160_a_length_that_is_no_number_is_malformed() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("many"));
        assert_eq!(Body::new(&headers, 10).unwrap_err(), UpgradeError::Malformed("Content-Length"));
    }
}
