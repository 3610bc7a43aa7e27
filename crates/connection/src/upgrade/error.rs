//! Why a server did not complete the opening handshake.

use std::fmt;

use super::response::Response;
#[cfg(feature = "deflate")]
use crate::DeflateError;

/// Why the opening handshake failed.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum UpgradeError {
    /// The server does not speak HTTP/1.1.
    NotHttp,
    /// The response cannot be parsed; the text says where.
    Malformed(&'static str),
    /// The headers exceed `max_header_bytes`.
    HeadersTooLong {
        /// What is allowed, in bytes.
        limit: usize,
    },
    /// There are more headers than `max_headers`.
    TooManyHeaders {
        /// What is allowed.
        limit: usize,
    },
    /// The server refused: any status but 101.
    Status {
        /// Status and headers.
        response: Box<Response>,
        /// The body, as far as it came and at most `max_error_body` bytes.
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
    /// A subprotocol that was not offered, or more than one.
    UnrequestedSubprotocol(String),
    /// None of the offered subprotocols was selected.
    NoSubprotocol,
    /// The stream ended before the response was complete.
    EndOfStream,
}

impl fmt::Display for UpgradeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHttp => {
                f.write_str("the server does not answer in HTTP/1.1 (is it TLS, or another protocol?)")
            }
            Self::Malformed(what) => write!(f, "the response is malformed: {what}"),
            Self::HeadersTooLong { limit } => {
                write!(f, "the response's headers exceed max_header_bytes ({limit})")
            }
            Self::TooManyHeaders { limit } => {
                write!(f, "the response has more than max_headers ({limit}) headers")
            }
            Self::Status { response, .. } => {
                write!(f, "the server answered {} {}", response.status.as_u16(), response.status_message)
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
            Self::NoSubprotocol => f.write_str("the server selected none of the offered subprotocols"),
            Self::EndOfStream => f.write_str("the server closed the stream before the response was complete"),
        }
    }
}

impl fmt::Debug for UpgradeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers and body may hold cookies and tokens: whoever wants them takes them from the fields.
        write!(f, "UpgradeError({self})")
    }
}

impl std::error::Error for UpgradeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            #[cfg(feature = "deflate")]
            Self::Deflate(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(feature = "deflate")]
impl From<DeflateError> for UpgradeError {
    fn from(error: DeflateError) -> Self {
        Self::Deflate(error)
    }
}
