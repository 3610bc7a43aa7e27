//! What a stream fails with.

use std::fmt;
use std::io;

use websocket_app::SendError;

/// Why a stream was not opened, has ended, or does not send.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The connection was not made, or was lost, and no other attempt follows.
    Connection(websocket_app::Error),
    /// The message was not accepted.
    Send(SendError),
    /// The reactor was stopped or dropped, or has removed the stream's app.
    Stopped,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(error) => write!(f, "{error}"),
            Self::Send(error) => write!(f, "{error}"),
            Self::Stopped => {
                f.write_str("the reactor of the stream was stopped or dropped; connect on one that runs")
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The text of the error inside is part of this one's.
        match self {
            Self::Connection(error) => error.source(),
            Self::Send(error) => error.source(),
            Self::Stopped => None,
        }
    }
}

impl From<websocket_app::Error> for Error {
    fn from(error: websocket_app::Error) -> Self {
        Self::Connection(error)
    }
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        Self::Send(error)
    }
}

/// For byte streams and functions that return [`io::Result`]. The error is found by [`io::Error::get_ref`]; sending on a connection that is not
/// open is a broken pipe.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Connection(error) => error.into(),
            Error::Send(SendError::NotOpen(_)) => Self::new(io::ErrorKind::BrokenPipe, error),
            Error::Send(_) => Self::new(io::ErrorKind::InvalidInput, error),
            Error::Stopped => Self::new(io::ErrorKind::ConnectionAborted, error),
        }
    }
}
