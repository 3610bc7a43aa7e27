//! Close frames (RFC 6455 sections 5.5.1 and 7.4).

use std::time::Duration;

use crate::{CloseCode, ProtocolError, SendError};

/// Longest reason: a control frame less the code.
const MAX_REASON: usize = crate::MAX_CONTROL_PAYLOAD - 2;

/// What a close frame says.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct CloseFrame {
    /// Its code; `None` when the frame was empty, which stands for 1005 (RFC 6455 section 7.1.5).
    pub code: Option<CloseCode>,
    /// Its reason; empty when there is none.
    pub reason: String,
}

impl CloseFrame {
    /// Parses the payload of a server's close frame.
    pub(crate) fn parse(payload: &[u8]) -> Result<Self, ProtocolError> {
        let (code, reason) = match payload {
            [] => return Ok(Self::default()),
            [_] => return Err(ProtocolError::CloseBodyTooShort),
            [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
        };
        if !may_be_sent(code) {
            return Err(ProtocolError::InvalidCloseCode(code));
        }
        match std::str::from_utf8(reason) {
            Ok(reason) => Ok(Self { code: Some(code.into()), reason: reason.to_owned() }),
            Err(_) => Err(ProtocolError::CloseReasonNotUtf8(String::from_utf8_lossy(reason).into_owned())),
        }
    }
}

/// A close to begin: what our close frame says, and how long the server has to answer it.
///
/// ```
/// use std::time::Duration;
/// use websocket_connection::{Close, CloseCode};
///
/// let plain = Close::default(); // 1000, no reason
/// let polite = Close::from((CloseCode::Away, "maintenance"));
/// let quick = Close::from(CloseCode::Normal).timeout(Duration::from_millis(200));
/// # let _ = (plain, polite, quick);
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Close {
    pub(crate) code: Option<CloseCode>,
    pub(crate) reason: String,
    pub(crate) timeout: Option<Duration>,
}

impl Default for Close {
    /// Code 1000, no reason, the configured timeout.
    fn default() -> Self {
        CloseCode::Normal.into()
    }
}

impl From<CloseCode> for Close {
    fn from(code: CloseCode) -> Self {
        Self { code: Some(code), reason: String::new(), timeout: None }
    }
}

impl<R: Into<String>> From<(CloseCode, R)> for Close {
    fn from((code, reason): (CloseCode, R)) -> Self {
        Self::from(code).reason(reason)
    }
}

impl Close {
    /// A close frame without a code, which the server sees as 1005 (RFC 6455 section 7.1.5).
    pub const fn without_code() -> Self {
        Self { code: None, reason: String::new(), timeout: None }
    }

    /// The reason, at most 123 bytes. Default: none.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }

    /// Time for the closing handshake, in place of [`Config::close_timeout`](crate::Config::close_timeout). Zero waits for no answer: the
    /// connection ends once the close frame was written, as far as the stream takes it at once, and that is no failure.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Whether a close frame of ours may say this.
    ///
    /// # Errors
    /// A code or reason that must not be sent.
    pub fn check(&self) -> Result<(), SendError> {
        payload(self.code, &self.reason).map(drop)
    }
}

/// Whether `code` may stand in a close frame (RFC 6455 section 7.4.2 and the registry it opens).
pub(crate) const fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// The payload of a close frame of ours.
pub(crate) fn payload(code: Option<CloseCode>, reason: &str) -> Result<Vec<u8>, SendError> {
    if reason.len() > MAX_REASON {
        return Err(SendError::ReasonTooLong { len: reason.len() });
    }
    let Some(code) = code else {
        return if reason.is_empty() { Ok(Vec::new()) } else { Err(SendError::InvalidCloseCode(1005)) };
    };
    let code = u16::from(code);
    if !may_be_sent(code) {
        return Err(SendError::InvalidCloseCode(code));
    }
    Ok([&code.to_be_bytes(), reason.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b085_only_registered_and_private_codes_pass_in_either_direction() {
        let allowed = [1000, 1001, 1002, 1003, 1007, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999];
        let refused = [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535];
        for (codes, ok) in [(&allowed[..], true), (&refused[..], false)] {
            for &code in codes {
                let code: u16 = code;
                assert_eq!(CloseFrame::parse(&code.to_be_bytes()).is_ok(), ok, "{code} received");
                assert_eq!(payload(Some(code.into()), "").is_ok(), ok, "{code} sent");
            }
        }
    }

    #[test]
    fn b085_a_body_of_one_byte_is_refused() {
        assert_eq!(CloseFrame::parse(&[3]), Err(ProtocolError::CloseBodyTooShort));
    }

    #[test]
    fn b040_an_empty_body_has_neither_code_nor_reason() {
        assert_eq!(CloseFrame::parse(&[]), Ok(CloseFrame { code: None, reason: String::new() }));
    }

    #[test]
    fn b046_an_invalid_reason_is_refused_with_1007_and_kept_lossy() {
        let error = CloseFrame::parse(b"\x03\xe8ab\xff").unwrap_err();
        assert_eq!(error, ProtocolError::CloseReasonNotUtf8("ab\u{fffd}".into()));
        assert_eq!(error.close_code(), CloseCode::Invalid);
    }

    #[test]
    fn b110_reasons_above_123_bytes_are_refused() {
        assert_eq!(payload(Some(CloseCode::Normal), &"x".repeat(123)).unwrap().len(), 125);
        assert_eq!(
            payload(Some(CloseCode::Normal), &"x".repeat(124)),
            Err(SendError::ReasonTooLong { len: 124 })
        );
    }

    #[test]
    fn b110_a_reason_without_a_code_is_refused() {
        assert_eq!(payload(None, "why"), Err(SendError::InvalidCloseCode(1005)));
        assert_eq!(payload(None, ""), Ok(Vec::new()));
    }
}
