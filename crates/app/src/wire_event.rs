//! What passes between client and server, as a log or a tap shows it: without secrets in headers and URLs.

use std::fmt;
use std::sync::Arc;

use websocket_connection::Side;

use crate::id::AppId;

/// What has passed over a connection: the head of a message of HTTP, or the beginning of a frame.
///
/// `Display` is the form in which the log target `websocket::wire` shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum WireEvent {
    /// The upgrade request, or a response to it.
    #[non_exhaustive]
    Head {
        /// The side that has sent it.
        by: Side,
        /// Its lines, without line ends. Values of headers that carry secrets, and queries, user and password of URLs, are
        /// shown as `***`.
        lines: Vec<String>,
    },
    /// A frame (RFC 6455 section 5.2).
    #[non_exhaustive]
    Frame {
        /// The side that has sent it.
        by: Side,
        /// Whether it is the last one of its message.
        fin: bool,
        /// RSV1, RSV2 and RSV3 as the bits 4, 2 and 1; a compressed message begins with RSV1.
        rsv: u8,
        /// The opcode, known or not.
        opcode: u8,
        /// Bytes of payload, as the header says.
        len: u64,
        /// The payload of a control frame, or the first bytes of another one, 32 at most; unmasked and, in a compressed message,
        /// compressed.
        start: Vec<u8>,
    },
}

impl fmt::Display for WireEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arrow = |by: &Side| if *by == Side::Client { '>' } else { '<' };
        match self {
            Self::Head { by, lines } => {
                // What a server sends must not write lines of a log.
                lines.iter().enumerate().try_for_each(|(number, line)| {
                    let newline = if number > 0 { "\n" } else { "" };
                    write!(f, "{newline}{} {}", arrow(by), line.escape_debug())
                })
            }
            Self::Frame { by, fin, rsv, opcode, len, start } => {
                let name = match opcode {
                    0 => "continuation",
                    1 => "text",
                    2 => "binary",
                    8 => "close",
                    9 => "ping",
                    10 => "pong",
                    _ => "unknown",
                };
                write!(f, "{} {name} ({opcode}) fin={} rsv={rsv} {len} bytes", arrow(by), u8::from(*fin))?;
                if !start.is_empty() {
                    let more = if start.len() as u64 != *len { ".." } else { "" };
                    write!(f, ": \"{}\"{more}", start.escape_ascii())?;
                }
                Ok(())
            }
        }
    }
}

/// The user's tap, shared by all apps that run with the same options.
#[derive(Clone)]
pub(crate) struct Tap(pub(crate) Arc<TapFunction>);

/// Is called with what has passed over the connection of an app.
pub(crate) type TapFunction = dyn Fn(AppId, &WireEvent) + Send + Sync;

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tap")
    }
}

/// The lines of the head of a message of HTTP that may be shown.
pub(crate) fn shown_lines(head: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(head);
    let lines = text.lines().filter(|line| !line.is_empty()).enumerate();
    lines.map(|(number, line)| if number == 0 { without_query(line) } else { shown_header(line) }).collect()
}

fn shown_header(line: &str) -> String {
    let Some((name, value)) = line.split_once(':') else { return "***".to_owned() };
    let lower = name.to_ascii_lowercase();
    // The key of the handshake is not a secret, and its answer follows from it.
    let is_key_of_handshake = matches!(&*lower, "sec-websocket-key" | "sec-websocket-accept");
    let secret =
        ["auth", "cookie", "token", "key", "secret", "password", "session", "credential", "signature"];
    if !is_key_of_handshake && secret.iter().any(|word| lower.contains(word)) {
        return format!("{name}: ***");
    }
    if matches!(&*lower, "location" | "referer" | "link" | "content-location") {
        return format!("{name}:{}", without_userinfo(&without_query(value)));
    }
    line.to_owned()
}

/// The text with `***` for the query of the URL in it.
fn without_query(text: &str) -> String {
    let Some((before, after)) = text.split_once('?') else { return text.to_owned() };
    match after.find(' ') {
        Some(end) => format!("{before}?***{}", &after[end..]),
        None => format!("{before}?***"),
    }
}

/// The text with `***` for user and password of the URL in it.
fn without_userinfo(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("//") else { return text.to_owned() };
    let end = rest.find('/').unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}//***{}", &rest[at..]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b219_secrets_of_heads_are_not_shown() {
        let head = b"GET /chat?token=s3cret HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer s3cret\r\ncookie: a=s3cret\r\n\
            Proxy-Authorization: s3cret\r\nSet-Cookie: s3cret\r\nX-Api-Key: s3cret\r\nX-Auth: s3cret\r\n\
            Sec-WebSocket-Key: shown\r\nLocation: ws://u:s3cret@h/p?s3cret\r\nnonsense s3cret\r\n\r\n";
        let lines = shown_lines(head);
        assert!(lines.iter().all(|line| !line.contains("s3cret")), "{lines:?}");
        assert_eq!(lines[..3], ["GET /chat?*** HTTP/1.1", "Host: h", "Authorization: ***"]);
        assert_eq!(lines[8..], ["Sec-WebSocket-Key: shown", "Location: ws://***@h/p?***", "***"]);
    }

    #[test]
    fn what_a_peer_sends_begins_no_line_of_a_log() {
        let event =
            WireEvent::Head { by: Side::Server, lines: vec!["HTTP/1.1 101 a\u{1b}[1m\rb".to_owned()] };
        assert_eq!(event.to_string(), "< HTTP/1.1 101 a\\u{1b}[1m\\rb");
        let start = b"a\n\xff".to_vec();
        let frame = WireEvent::Frame { by: Side::Client, fin: true, rsv: 0, opcode: 1, len: 9, start };
        assert_eq!(frame.to_string(), "> text (1) fin=1 rsv=0 9 bytes: \"a\\n\\xff\"..");
    }
}
