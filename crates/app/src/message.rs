//! Messages that are owned: on their way to the loop, or handed back.

use std::fmt;

use tungstenite::{Bytes, Utf8Bytes};
use websocket_connection::{Env, SendError, Tx};

/// The longest header of a frame that a client sends (RFC 6455 section 5.2), which the output reckons with
/// for every frame.
const MAX_HEADER: usize = 14;

/// A message on its way to the loop. Cloning it is cheap: the payload is shared.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum OwnedMessage {
    /// Text.
    Text(Utf8Bytes),
    /// Bytes.
    Binary(Bytes),
    /// A ping, at most 125 bytes.
    Ping(Bytes),
}

impl OwnedMessage {
    /// The payload, whatever its kind.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) | Self::Ping(bytes) => bytes,
        }
    }

    /// Encodes it into the output.
    ///
    /// # Errors
    /// As for a message that a callback sends.
    pub(crate) fn encode(&self, tx: &mut Tx, env: &mut Env) -> Result<(), SendError> {
        match self {
            Self::Text(text) => tx.send_text(text, env),
            Self::Binary(bytes) => tx.send_binary(bytes, env),
            Self::Ping(payload) => tx.ping(payload, env),
        }
    }

    /// The bytes that it may take up in the output.
    pub(crate) fn frame_len(&self) -> usize {
        self.as_bytes().len().saturating_add(MAX_HEADER)
    }
}

/// A message that a [`Sender`](crate::Sender) did not take, handed back with the reason.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Refused {
    /// The message.
    pub message: OwnedMessage,
    /// Why it was refused.
    pub reason: SendError,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

// The text is that of the reason; a source would repeat it.
impl std::error::Error for Refused {}
