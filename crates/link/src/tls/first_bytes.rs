//! Whether a peer speaks TLS at all.

/// The header of a record. What begins like one is left to TLS once it is whole.
const HEADER: usize = 5;

/// How an HTTP answer begins.
const HTTP: &[u8] = b"HTTP/";

/// What the first bytes of a peer are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum FirstBytes {
    Tls,
    /// They may become a record or an HTTP answer.
    TooFew,
    /// Of another protocol: a plain HTTP answer, or something else.
    Other {
        http: bool,
    },
}

impl FirstBytes {
    pub(super) fn recognise(bytes: &[u8]) -> Self {
        if bytes.starts_with(HTTP) {
            return Self::Other { http: true };
        }
        // RFC 8446 section 5.1: one of four types, and a version that begins with 3.
        match bytes {
            [20..=23, 3, ..] if bytes.len() >= HEADER => Self::Tls,
            [] | [20..=23] | [20..=23, 3, ..] => Self::TooFew,
            _ if HTTP.starts_with(bytes) => Self::TooFew,
            _ => Self::Other { http: false },
        }
    }
}
