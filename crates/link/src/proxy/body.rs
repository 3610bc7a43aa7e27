//! The body of a refusal, which is read to its end and not kept, so that the stream can carry another request (RFC 9112 section 6).
//!
//! It is read strictly: where the framing is not what RFC 9112 says, its end is not known, and the stream is not used again.

/// What the headers of an answer say about its body, and about the stream behind it.
#[derive(Default)]
pub(super) struct Framing {
    length: Option<u64>,
    is_chunked: bool,
    /// The end of the body is not known, or nothing follows it.
    is_last: bool,
}

impl Framing {
    /// For an answer in HTTP/1.x, x being `minor`.
    pub(super) fn new(minor: u8) -> Self {
        Self { is_last: minor == b'0', ..Self::default() }
    }

    /// Takes note of a header.
    pub(super) fn header(&mut self, name: &[u8], value: &[u8]) {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("Content-Length") {
            let length =
                str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
            let length = length.and_then(|digits| digits.parse().ok());
            self.is_last |= length.is_none() || self.length.is_some_and(|other| Some(other) != length);
            self.length = length;
        } else if is("Transfer-Encoding") {
            self.is_last |= self.is_chunked || !value.eq_ignore_ascii_case(b"chunked");
            self.is_chunked = true;
        } else if is("Connection") || is("Proxy-Connection") {
            let mut options = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
            self.is_last |= options.any(|option| option.eq_ignore_ascii_case(b"close"));
        }
    }

    /// A line is faulty, or continues the one before.
    pub(super) const fn faulty(&mut self) {
        self.is_last = true;
    }

    /// The body, of `limit` bytes at most, if another answer can follow it on the stream.
    pub(super) fn body(&self, limit: usize) -> Option<Body> {
        let part = match (self.length, self.is_chunked) {
            // RFC 9112 section 6.3: both may mean that it is not one answer.
            _ if self.is_last => return None,
            (Some(length), false) => Part::Data { left: length, is_chunk: false },
            (None, true) => Part::Size(None),
            (Some(_), true) | (None, false) => return None,
        };
        let left = limit as u64;
        (self.length.unwrap_or_default() <= left).then_some(Body { part, left })
    }
}

/// A body that is being read.
pub(super) struct Body {
    part: Part,
    /// Bytes that may still come, those of the framing included.
    left: u64,
}

/// What comes next.
#[derive(Clone, Copy)]
enum Part {
    Data {
        left: u64,
        is_chunk: bool,
    },
    /// The size of a chunk, as far as it came.
    Size(Option<u64>),
    /// Behind the size, up to the end of the line.
    Extension(u64),
    /// The line break behind the data of a chunk.
    DataEnd,
    /// The trailer section; whether its current line is empty so far.
    Trailer(bool),
}

/// How far a body is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reached {
    More,
    End,
    /// It is longer than allowed, or its framing is broken.
    Nowhere,
}

impl Body {
    /// Takes what belongs to the body from `input`.
    pub(super) fn skip(&mut self, input: &mut &[u8]) -> Reached {
        loop {
            match self.part {
                Part::Data { left: 0, is_chunk: false } => return Reached::End,
                Part::Data { left: 0, is_chunk: true } => self.part = Part::DataEnd,
                Part::Data { left, is_chunk } => {
                    let len = left.min(input.len() as u64);
                    if len == 0 {
                        return Reached::More;
                    }
                    if !self.spend(len) {
                        return Reached::Nowhere;
                    }
                    *input = &input[len as usize..];
                    self.part = Part::Data { left: left - len, is_chunk };
                }
                part => {
                    let Some((&byte, rest)) = input.split_first() else { return Reached::More };
                    *input = rest;
                    if let (Part::Trailer(true), b'\n') = (part, byte) {
                        return Reached::End;
                    }
                    match framing(part, byte).filter(|_| self.spend(1)) {
                        Some(next) => self.part = next,
                        None => return Reached::Nowhere,
                    }
                }
            }
        }
    }

    const fn spend(&mut self, bytes: u64) -> bool {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

/// Where `byte`, which is not data, leads in the framing of chunks (RFC 9112 section 7.1).
fn framing(part: Part, byte: u8) -> Option<Part> {
    let digit = char::from(byte).to_digit(16);
    Some(match (part, byte) {
        (Part::DataEnd, b'\r') => Part::DataEnd,
        (Part::DataEnd, b'\n') => Part::Size(None),
        (Part::Size(size), _) if digit.is_some() => {
            let before = size.unwrap_or_default().checked_mul(16)?;
            Part::Size(Some(before + u64::from(digit?)))
        }
        (Part::Size(Some(0)) | Part::Extension(0), b'\n') => Part::Trailer(true),
        (Part::Size(Some(size)) | Part::Extension(size), b'\n') => Part::Data { left: size, is_chunk: true },
        (Part::Size(Some(size)), b';' | b' ' | b'\t' | b'\r') | (Part::Extension(size), _) => {
            Part::Extension(size)
        }
        (Part::Trailer(is_empty), b'\r') => Part::Trailer(is_empty),
        (Part::Trailer(_), _) => Part::Trailer(byte == b'\n'),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(minor: u8, headers: &[(&str, &str)]) -> Framing {
        let mut framing = Framing::new(minor);
        for (name, value) in headers {
            framing.header(name.as_bytes(), value.as_bytes());
        }
        framing
    }

    #[test]
    fn b164_a_body_whose_end_is_known_is_read_to_there_at_every_split() {
        const LENGTH: (&str, &str) = ("Content-Length", "5");
        const CHUNKED: (&str, &str) = ("transfer-encoding", "Chunked");
        for (headers, body) in [
            (&[LENGTH][..], "hello"),
            (&[LENGTH, ("content-length", "05"), ("Connection", "keep-alive")], "hello"),
            (&[("Content-Length", "0")], ""),
            (&[CHUNKED], "5\r\nhello\r\n0\r\n\r\n"),
            (&[CHUNKED], "1;x=\"y\"\r\nh\r\nA\r\n0123456789\r\n00\r\nA: b\r\nC: d\r\n\r\n"),
            (&[CHUNKED], "0\n\n"),
        ] {
            let bytes = [body, "behind"].concat();
            for cut in 0..body.len().max(1) {
                let mut reader = framed(b'1', headers).body(1000).unwrap();
                let mut input = &bytes.as_bytes()[..cut];
                let first = reader.skip(&mut input);
                assert_eq!((first == Reached::End, input.len()), (body.is_empty(), 0), "{body:?}");
                let mut input = &bytes.as_bytes()[cut..];
                assert_eq!(reader.skip(&mut input), Reached::End, "{body:?} at {cut}");
                assert_eq!(input, b"behind", "{body:?} at {cut}");
            }
        }
    }

    #[test]
    fn b164_a_body_whose_end_is_not_known_or_is_the_streams_is_not_read() {
        for headers in [
            &[][..],
            &[("Content-Length", "5"), ("Transfer-Encoding", "chunked")],
            &[("Content-Length", "5"), ("Content-Length", "6")],
            &[("Content-Length", "5, 5")],
            &[("Content-Length", "-1")],
            &[("Content-Length", "")],
            &[("Content-Length", "99999999999999999999")],
            &[("Content-Length", "101")],
            &[("Transfer-Encoding", "gzip")],
            &[("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "chunked")],
            &[("Content-Length", "5"), ("Connection", "x, CLOSE")],
            &[("Content-Length", "5"), ("Proxy-Connection", "close")],
        ] {
            assert!(framed(b'1', headers).body(100).is_none(), "{headers:?}");
        }
        assert!(framed(b'0', &[("Content-Length", "5")]).body(100).is_none());
        let mut faulty = framed(b'1', &[("Content-Length", "5")]);
        faulty.faulty();
        assert!(faulty.body(100).is_none());
    }

    #[test]
    fn b164_chunks_that_are_broken_or_too_many_lead_nowhere() {
        for body in [
            "x",
            "\r\n",
            "-1\r\n",
            "1\r\nhh",
            "fffffffffffffffff\r\n",
            "ffffffff\r\nmore than the limit of these hundred bytes: more than the limit of these hundred bytes, yes",
            "0;an extension that is longer than it may be, which is a hundred bytes at most, all framing included, and no",
            "0\r\nA: a trailer that is longer than it may be, which is a hundred bytes at most, all framing included: no",
        ] {
            let mut reader = framed(b'1', &[("Transfer-Encoding", "chunked")]).body(100).unwrap();
            assert_eq!(reader.skip(&mut body.as_bytes()), Reached::Nowhere, "{body:?}");
        }
    }
}
