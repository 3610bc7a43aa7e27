//! The head of an HTTP proxy's answer, line by line.

use super::ProxyFailure;
use super::body::Framing;

/// What every answer starts with.
pub(super) const HTTP: &[u8] = b"HTTP/1.";

/// How much of a reason phrase an error keeps, in characters.
const MAX_REASON: usize = 100;

pub(super) const PROXY_AUTHENTICATION_REQUIRED: u16 = 407;

/// An answer whose head is not complete.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) reason: String,
    pub(super) challenges: Vec<String>,
    /// Whether the last header was a challenge, so that a folded line continues it.
    in_challenge: bool,
    pub(super) framing: Framing,
}

impl Answer {
    /// Reads a status line: `HTTP/1.1 200 OK`, with any number of blanks, and with a reason or without.
    pub(super) fn parse(line: &[u8]) -> Result<Self, ProxyFailure> {
        let (minor, after_version) = match line.strip_prefix(HTTP) {
            Some([minor, rest @ ..]) if minor.is_ascii_digit() => (*minor, rest),
            _ => return Err(ProxyFailure::WrongProtocol),
        };
        let rest = after_version.trim_ascii_start();
        let (digits, reason) = rest.split_at(rest.iter().take_while(|byte| byte.is_ascii_digit()).count());
        if digits.len() != 3 || rest.len() == after_version.len() {
            return Err(ProxyFailure::Malformed("the status line"));
        }
        let status = digits.iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0'));
        let reason = printable(reason).chars().take(MAX_REASON).collect();
        let framing = Framing::new(minor);
        Ok(Self { status, reason, challenges: Vec::new(), in_challenge: false, framing })
    }

    pub(super) fn take_header(&mut self, line: &[u8]) {
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            self.framing.faulty();
            if let Some(challenge) = self.challenges.last_mut().filter(|_| self.in_challenge) {
                *challenge = format!("{challenge} {}", printable(line));
            }
            return;
        }
        let (name, value) = line.split_at(line.iter().position(|byte| *byte == b':').unwrap_or(line.len()));
        self.framing.header(name.trim_ascii(), value.get(1..).unwrap_or_default().trim_ascii());
        self.in_challenge = self.status == PROXY_AUTHENTICATION_REQUIRED
            && name.trim_ascii().eq_ignore_ascii_case(b"Proxy-Authenticate");
        if self.in_challenge {
            self.challenges.push(printable(value.get(1..).unwrap_or_default()));
        }
    }

    pub(super) fn is_grant(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// Nothing can be switched to that was not asked for, so 101 is not one of them.
    pub(super) fn is_interim(&self) -> bool {
        matches!(self.status, 100 | 102..=199)
    }
}

/// Text without blanks around it and without control characters, which do not belong into an error.
fn printable(text: &[u8]) -> String {
    String::from_utf8_lossy(text.trim_ascii()).replace(char::is_control, "")
}
