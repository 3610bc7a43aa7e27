//! The first line of a response (RFC 9112 section 4).

use http::StatusCode;

use super::UpgradeError;
use super::printable::printable;

/// What every response starts with.
const HTTP: &[u8] = b"HTTP/1.";

/// A status line that a client can make something of.
#[derive(Debug)]
pub(super) struct StatusLine {
    pub(super) status: StatusCode,
    /// The reason phrase, without what cannot be printed.
    pub(super) message: String,
    /// The server speaks HTTP/1.0: it can refuse, but not upgrade.
    pub(super) is_http_1_0: bool,
    /// Bytes of the line with its line break.
    pub(super) len: usize,
}

impl StatusLine {
    /// Parses the line at the front of `bytes`; `None` while it is incomplete. There is no line break before `searched`.
    ///
    /// Whatever is wrong is reported as soon as the byte that makes it so is there. The parts of the line may be separated by several
    /// blanks, which RFC 9112 section 4 allows to accept.
    pub(super) fn parse(bytes: &[u8], searched: usize) -> Result<Option<Self>, UpgradeError> {
        // RFC 8446 section 5.1: a record with an alert or a handshake message, and a version that begins with 3.
        match bytes {
            [21 | 22] => return Ok(None),
            [21 | 22, 3, ..] => return Err(UpgradeError::Tls),
            _ => {}
        }
        if let Some(wrong) = HTTP.iter().zip(bytes).position(|(expected, byte)| expected != byte) {
            // What begins so is HTTP, if it is text.
            let is_http = wrong >= b"HTTP".len() && bytes[wrong].is_ascii_graphic();
            return Err(if is_http { UpgradeError::HttpVersion } else { UpgradeError::NotHttp });
        }
        let Some((&minor, rest)) = bytes.get(HTTP.len()..).and_then(<[u8]>::split_first) else {
            return Ok(None);
        };
        if !minor.is_ascii_digit() {
            return Err(UpgradeError::HttpVersion);
        }
        let code = trim_start(rest);
        if !rest.is_empty() && code.len() == rest.len() {
            return Err(UpgradeError::Malformed("the status line"));
        }
        let (digits, after) = code.split_at(code.len().min(3));
        let separated = after.first().is_none_or(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
        if !digits.iter().all(u8::is_ascii_digit) || !separated {
            return Err(UpgradeError::Malformed("the status"));
        }
        if digits.len() < 3 || after.is_empty() {
            return Ok(None);
        }
        let status = StatusCode::from_bytes(digits).map_err(|_| UpgradeError::Malformed("the status"))?;
        let is_http_1_0 = minor == b'0';
        if is_http_1_0 && status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(UpgradeError::HttpVersion);
        }
        let Some(end) = bytes[searched..].iter().position(|byte| *byte == b'\n') else { return Ok(None) };
        let len = searched + end + 1;
        let reason = &after[..after.len() - (bytes.len() - len)];
        Ok(Some(Self { status, message: printable(reason), is_http_1_0, len }))
    }
}

fn trim_start(bytes: &[u8]) -> &[u8] {
    let blanks = bytes.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    &bytes[blanks..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<(u16, String, bool), UpgradeError> {
        let line = line.as_bytes();
        let whole = StatusLine::parse(line, 0).map(|parsed| {
            let parsed = parsed.unwrap();
            assert_eq!(parsed.len, line.len());
            (parsed.status.as_u16(), parsed.message, parsed.is_http_1_0)
        });
        let bytewise = (0..line.len()).find_map(|len| match StatusLine::parse(&line[..len], 0) {
            Ok(Some(_)) => panic!("{len} bytes are no line"),
            Ok(None) => None,
            Err(error) => Some(error),
        });
        if let (Ok(_), Some(error)) = (&whole, &bytewise) {
            panic!("{error}");
        }
        whole
    }

    #[test]
    fn b3_e2_f1_status_lines_of_sloppy_servers_are_read() {
        for (line, code, message, is_http_1_0) in [
            ("HTTP/1.1 503 Service Unavailable\r\n", 503, "Service Unavailable", false),
            ("HTTP/1.0 503 Service Unavailable\n", 503, "Service Unavailable", true),
            ("HTTP/1.2 503 Later\r\n", 503, "Later", false),
            ("HTTP/1.1  503  Two  blanks \r\n", 503, "Two  blanks", false),
            ("HTTP/1.1\t503\tTabs\r\n", 503, "Tabs", false),
            ("HTTP/1.1 403\r\n", 403, "", false),
            ("HTTP/1.1 403 \n", 403, "", false),
            ("HTTP/1.1 999 Blocked: ü\r\n", 999, "Blocked: ü", false),
            ("HTTP/1.1 500 a\u{1b}[31mb\rc\0d\u{202e}\r\n", 500, "a[31mb cd", false),
            ("HTTP/1.1 101 Whatever\n", 101, "Whatever", false),
        ] {
            assert_eq!(parse(line), Ok((code, message.to_owned(), is_http_1_0)), "{line:?}");
        }
    }

    #[test]
    fn e1_a_status_line_that_is_none_is_refused_at_its_byte() {
        for line in
            ["HTTP/1.1 5", "HTTP/1.", "HTTP/1.1", "HTTP/1.1 ", "HTTP/1.1 503", "HTTP/1.1 503 Service\r"]
        {
            assert!(StatusLine::parse(line.as_bytes(), 0).unwrap().is_none(), "{line:?}");
        }
        for (line, error) in [
            ("HTTP/1.1 5o", UpgradeError::Malformed("the status")),
            ("HTTP/1.1 5034", UpgradeError::Malformed("the status")),
            ("HTTP/1.1 -50", UpgradeError::Malformed("the status")),
            ("HTTP/1.1 099 ", UpgradeError::Malformed("the status")),
            ("HTTP/1.1 \r", UpgradeError::Malformed("the status")),
            ("HTTP/1.1\r", UpgradeError::Malformed("the status line")),
            ("HTTP/1.10", UpgradeError::Malformed("the status line")),
            ("HTTP/1.x", UpgradeError::HttpVersion),
        ] {
            assert_eq!(StatusLine::parse(line.as_bytes(), 0).unwrap_err(), error, "{line:?}");
        }
    }

    #[test]
    fn tls_http_and_other_protocols_are_told_apart() {
        for bytes in [&b"\x16\x03\x01"[..], b"\x15\x03\x03\0\x02\x02\x46"] {
            assert_eq!(StatusLine::parse(bytes, 0).unwrap_err(), UpgradeError::Tls);
        }
        assert!(StatusLine::parse(b"\x15", 0).unwrap().is_none());
        for bytes in [&b"HTTP/\xff"[..], b"\xe2", b"SSH-2.0", b"GET /", b"\x16HTTP", b"\x17\x03\x03"] {
            assert_eq!(StatusLine::parse(bytes, 0).unwrap_err(), UpgradeError::NotHttp, "{bytes:?}");
        }
        for bytes in ["HTTP/1.0 101 ", "HTTP/2 200 OK", "HTTP/0.9", "HTTP/11 200", "HTTPS/1.1"] {
            let error = StatusLine::parse(bytes.as_bytes(), 0).unwrap_err();
            assert_eq!(error, UpgradeError::HttpVersion, "{bytes}");
        }
    }
}
