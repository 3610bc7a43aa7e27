//! Why a server did not complete the opening handshake.

use std::fmt;

use super::printable::shortened;
use super::response::Response;
#[cfg(feature = "deflate")]
use crate::DeflateError;

/// Why the opening handshake failed.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum UpgradeError {
    /// The server answers in another protocol than HTTP and TLS.
    NotHttp,
    /// The server answers in TLS: the URL should begin with `wss`.
    Tls,
    /// The server answers in a version of HTTP that does not know the upgrade. A refusal in HTTP/1.0 is [`Status`](Self::Status).
    HttpVersion,
    /// The response cannot be parsed; the text says where.
    Malformed(&'static str),
    /// The headers, with those of interim responses (1xx) before them, exceed `max_header_bytes`.
    HeadersTooLong {
        /// What is allowed, in bytes.
        limit: usize,
    },
    /// The upgrade was accepted with more headers than `max_headers`.
    TooManyHeaders {
        /// What is allowed.
        limit: usize,
    },
    /// The server refused: any final status but 101, also in HTTP/1.0.
    Status {
        /// Status and headers.
        response: Box<Response>,
        /// The body, as far as it came within half a second, at most `max_error_body` bytes; empty for a redirect.
        body: Vec<u8>,
    },
    /// `Upgrade` is not `websocket`.
    UpgradeHeader,
    /// `Connection` does not contain `upgrade`.
    ConnectionHeader,
    /// `Sec-WebSocket-Accept` is missing or does not fit the key.
    AcceptHeader,
    /// An extension that was not offered.
    UnrequestedExtension(String),
    /// permessage-deflate in a way that was not offered, or that RFC 7692 does not know.
    #[cfg(feature = "deflate")]
    Deflate(DeflateError),
    /// A subprotocol that was not offered.
    UnrequestedSubprotocol(String),
    /// More than one subprotocol, or the same one twice: here are the first two.
    SeveralSubprotocols(String, String),
    /// None of the offered subprotocols was selected.
    NoSubprotocol,
    /// The stream ended before the response was complete.
    EndOfStream,
}

impl fmt::Display for UpgradeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHttp => {
                f.write_str("the server does not answer in HTTP/1.1; does it speak another protocol?")
            }
            Self::Tls => f.write_str("the server answers in TLS on this port; use wss:// rather than ws://"),
            Self::HttpVersion => {
                f.write_str("the server answers in a version of HTTP without the upgrade; it needs 1.1")
            }
            Self::Malformed(what) => write!(f, "the response is malformed: {what}"),
            Self::HeadersTooLong { limit } => {
                write!(
                    f,
                    "the headers of the response, with any interim ones, exceed max_header_bytes ({limit})"
                )
            }
            Self::TooManyHeaders { limit } => {
                write!(f, "the response has more than max_headers ({limit}) headers")
            }
            Self::Status { response, .. } => {
                write!(f, "{}", Answer(response))?;
                match &response.first_line {
                    Some(line) => write!(f, ": {}", shortened(line)),
                    None => Ok(()),
                }
            }
            Self::UpgradeHeader => f.write_str("the response lacks 'Upgrade: websocket'"),
            Self::ConnectionHeader => f.write_str("the response lacks 'Connection: Upgrade'"),
            Self::AcceptHeader => f.write_str("Sec-WebSocket-Accept is missing or does not fit the key"),
            Self::UnrequestedExtension(name) => {
                write!(f, "the server selected extension {name:?}, which was not offered")
            }
            #[cfg(feature = "deflate")]
            Self::Deflate(error) => write!(f, "the server's permessage-deflate: {error}"),
            Self::UnrequestedSubprotocol(name) => {
                write!(f, "the server selected subprotocol {name:?}, which was not offered")
            }
            Self::SeveralSubprotocols(first, second) if first == second => {
                write!(f, "the server selected subprotocol {first:?} twice, once is allowed")
            }
            Self::SeveralSubprotocols(first, second) => {
                write!(f, "the server selected subprotocols {first:?} and {second:?}, one is allowed")
            }
            Self::NoSubprotocol => f.write_str("the server selected none of the offered subprotocols"),
            Self::EndOfStream => f.write_str("the server closed the stream before the response was complete"),
        }
    }
}

impl fmt::Debug for UpgradeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers and body may hold cookies and tokens: the caller finds them in the fields.
        match self {
            Self::Status { response, .. } => write!(f, "UpgradeError({})", Answer(response)),
            _ => write!(f, "UpgradeError({self})"),
        }
    }
}

/// Shows the status line of a response.
struct Answer<'a>(&'a Response);

impl fmt::Display for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server answered {}", self.0.status.as_u16())?;
        match shortened(&self.0.status_message) {
            message if message.is_empty() => Ok(()),
            message => write!(f, " {message}"),
        }
    }
}

// The text has that of the error inside; a source would repeat it.
impl std::error::Error for UpgradeError {}

#[cfg(feature = "deflate")]
impl From<DeflateError> for UpgradeError {
    fn from(error: DeflateError) -> Self {
        Self::Deflate(error)
    }
}
