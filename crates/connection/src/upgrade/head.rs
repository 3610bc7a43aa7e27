//! The head of a response: status line and headers, up to the empty line (RFC 9112 section 2.1).

use http::StatusCode;

use super::UpgradeError;
use super::status_line::StatusLine;

/// A complete head.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) line: StatusLine,
    /// The header lines with their line breaks.
    pub(super) fields: Vec<u8>,
}

/// Collects the head of the final response. Interim responses before it (RFC 9110 section 15.2) are skipped, all but 101.
///
/// A line ends with CR LF or with LF alone, which RFC 9112 section 2.2 allows to accept; a CR alone ends nothing.
#[derive(Debug, Default)]
pub(super) struct HeadReader {
    /// Everything that came: interim responses and the final head share one limit.
    bytes: Vec<u8>,
    /// Where the head under way starts.
    start: usize,
    /// Its status line, once that is complete.
    line: Option<StatusLine>,
}

impl HeadReader {
    /// Takes what belongs to the head from the front of `input`; returns the bytes taken and the head once it is complete.
    pub(super) fn read(&mut self, input: &[u8], limit: usize) -> Result<(usize, Option<Head>), UpgradeError> {
        let known = self.bytes.len();
        let room = limit.saturating_sub(known);
        self.bytes.extend_from_slice(&input[..input.len().min(room)]);
        loop {
            let searched = self.start.max(known);
            if self.line.is_none() {
                self.line = StatusLine::parse(&self.bytes[self.start..], searched - self.start)?;
            }
            let end = head_end(&self.bytes, self.start.max(known.saturating_sub(2)));
            let (Some(end), Some(line)) = (end, self.line.take_if(|_| end.is_some())) else {
                if self.bytes.len() >= limit {
                    return Err(UpgradeError::HeadersTooLong { limit });
                }
                return Ok((input.len(), None));
            };
            if line.status.is_informational() && line.status != StatusCode::SWITCHING_PROTOCOLS {
                self.start = end;
                continue;
            }
            return Ok((end - known, Some(self.take(line, end))));
        }
    }

    /// The stream has ended: the head as far as it came, if it is a refusal that lacks nothing but the empty line.
    pub(super) fn end_of_stream(&mut self) -> Option<Head> {
        let is_refusal = |line: &mut StatusLine| !line.status.is_informational();
        let line = self.line.take_if(is_refusal).filter(|_| self.bytes.ends_with(b"\n"))?;
        Some(self.take(line, self.bytes.len()))
    }

    fn take(&mut self, line: StatusLine, end: usize) -> Head {
        let fields = self.bytes[self.start + line.len..end].to_vec();
        self.bytes = Vec::new();
        Head { line, fields }
    }
}

/// Where the head ends, if its empty line is there; none ends before `from`.
fn head_end(bytes: &[u8], from: usize) -> Option<usize> {
    let breaks = bytes[from..].iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    breaks.map(|(at, _)| from + at + 1).find_map(|line| match &bytes[line..] {
        [b'\n', ..] => Some(line + 1),
        [b'\r', b'\n', ..] => Some(line + 2),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng as _, SeedableRng as _};

    use super::*;
    use crate::upgrade::fields;

    const LIMIT: usize = 10_000;

    fn read(bytes: &[u8]) -> Result<(usize, Option<Head>), UpgradeError> {
        HeadReader::default().read(bytes, LIMIT)
    }

    #[test]
    fn a_head_ends_at_its_empty_line_and_takes_no_byte_behind_it() {
        for (head, behind) in [
            ("HTTP/1.1 403 No\r\nX: y\r\n\r\n", "\r\n"),
            ("HTTP/1.1 403 No\nX: y\n\n", "\n"),
            ("HTTP/1.1 403 No\nX: y\r\n\n", "\r\n\r\n"),
            ("HTTP/1.1 403 No\r\n\n", "X: y\r\n\r\n"),
            ("HTTP/1.1 403 No\n\r\n", ""),
            ("HTTP/1.1 403 No\r\nX: y\r\n \r\n\r\n", "more"),
        ] {
            for cut in 0..=head.len() {
                let bytes = [head, behind].concat();
                let mut reader = HeadReader::default();
                let (first, second) = bytes.as_bytes().split_at(cut);
                let result = match reader.read(first, LIMIT).unwrap() {
                    (used, Some(head)) => (used, head),
                    (used, None) => {
                        assert_eq!(used, cut);
                        let (more, complete) = reader.read(second, LIMIT).unwrap();
                        (used + more, complete.unwrap())
                    }
                };
                assert_eq!((result.0, result.1.line.status.as_u16()), (head.len(), 403), "{head:?} at {cut}");
            }
        }
        for bytes in ["HTTP/1.1 403 No\r\nX: y\r\n\r", "HTTP/1.1 403 No\r\r\n\r\r\n", "HTTP/1.1 403 No\r\r"] {
            assert!(read(bytes.as_bytes()).unwrap().1.is_none(), "{bytes:?}");
        }
    }

    /// Where httparse finds nothing wrong, neither do we, and both find the same.
    #[test]
    fn what_another_parser_accepts_is_read_in_the_same_way() {
        let heads = [
            "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nX-A:b \r\nx-b:\t c\td\r\nX:\r\n\r\nbody",
            "HTTP/1.0 401 \nWWW-Authenticate: Basic realm=\"x:y\"\nSet-Cookie: a=1\r\nSet-Cookie: b=2\n\n",
            "HTTP/1.1 404\r\n\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nA!#$%&'*+.^_`|~-9: \x7e\r\n\r\n\u{81}",
        ];
        let mut random = StdRng::seed_from_u64(9112);
        let mut below = |bound: usize| random.next_u64() as usize % bound;
        let mut same = 0;
        for round in 0..40_000 {
            let mut bytes = heads[round % heads.len()].as_bytes().to_vec();
            for _ in 0..below(3) {
                let at = below(bytes.len());
                let byte = *b"\r\n\t :\0AHx1\xe9\x7f".get(below(20)).unwrap_or(&(below(256) as u8));
                match below(3) {
                    0 => bytes[at] = byte,
                    1 => bytes.insert(at, byte),
                    _ => drop(bytes.remove(at)),
                }
            }
            let mut headers = [httparse::EMPTY_HEADER; 16];
            let mut theirs = httparse::Response::new(&mut headers);
            let Ok(httparse::Status::Complete(end)) = theirs.parse(&bytes) else { continue };
            // It skips empty lines before the status line, and takes status 000.
            let code = theirs.code.unwrap_or_default();
            if !bytes.starts_with(b"H") || code < 100 || (100..200).contains(&code) && code != 101 {
                continue;
            }
            if theirs.version == Some(0) && code == 101 {
                continue;
            }
            let shown = bytes.escape_ascii();
            let (used, ours) = read(&bytes).unwrap();
            let ours = ours.unwrap();
            assert_eq!((used, ours.line.status.as_u16()), (end, code), "{shown}");
            assert_eq!(ours.line.is_http_1_0, theirs.version == Some(0), "{shown}");
            let read = fields::lenient(&ours.fields, 16);
            assert_eq!(read.len(), theirs.headers.len(), "{shown}");
            for name in read.keys() {
                let values: Vec<&[u8]> = read.get_all(name).iter().map(|value| value.as_bytes()).collect();
                let named = theirs.headers.iter().filter(|header| *name == header.name);
                assert_eq!(values, named.map(|header| header.value).collect::<Vec<_>>(), "{shown}");
            }
            let names = ["Upgrade", "Connection"];
            if !theirs
                .headers
                .iter()
                .any(|header| names.iter().any(|name| header.name.eq_ignore_ascii_case(name)))
            {
                assert_eq!(fields::strict(&ours.fields, 16), Ok(read), "{shown}");
            }
            same += 1;
        }
        assert!(same > 10_000, "{same}");
    }
}
