//! Messages that are owned: on their way to the loop, or handed back.

use std::fmt;

use tungstenite::{Bytes, Utf8Bytes};
use websocket_connection::{Env, Message, SendError, Tx};

/// The longest header of a frame that a client sends (RFC 6455 section 5.2), which the output reckons with
/// for every frame.
pub(crate) const MAX_HEADER: usize = 14;

/// A message on its way to the loop. Cloning it is cheap: the payload is shared.
///
/// Text is made from `String`, `&str` and [`Utf8Bytes`], binary from `Vec<u8>` and [`Bytes`], either from a received
/// [`Message`].
///
/// ```
/// use websocket_app::{Message, OwnedMessage};
///
/// let kept: Vec<OwnedMessage> = vec!["text".into(), vec![1, 2, 3].into(), Message::Text("received").into()];
/// assert_eq!(kept[2].as_text(), Some("received"));
/// ```
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

    /// Returns the text, if it is text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text.as_str()),
            Self::Binary(_) | Self::Ping(_) => None,
        }
    }

    /// Returns it as a message, unless it is a ping.
    pub(crate) fn as_message(&self) -> Option<Message<'_>> {
        match self {
            Self::Text(text) => Some(Message::Text(text)),
            Self::Binary(bytes) => Some(Message::Binary(bytes)),
            Self::Ping(_) => None,
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

impl From<String> for OwnedMessage {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<&str> for OwnedMessage {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<Utf8Bytes> for OwnedMessage {
    fn from(text: Utf8Bytes) -> Self {
        Self::Text(text)
    }
}

impl From<Vec<u8>> for OwnedMessage {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes.into())
    }
}

impl From<Bytes> for OwnedMessage {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}

/// Copies the payload. [`Message::UncheckedText`] becomes text if it is UTF-8, which is checked here, and binary if it
/// is not, since text that is not UTF-8 must not be sent (RFC 6455 section 8.1).
impl From<Message<'_>> for OwnedMessage {
    fn from(message: Message<'_>) -> Self {
        match message {
            Message::Text(text) => text.into(),
            Message::UncheckedText(bytes) => {
                std::str::from_utf8(bytes).map_or_else(|_| bytes.to_vec().into(), Self::from)
            }
            Message::Binary(bytes) => bytes.to_vec().into(),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_become_text_and_bytes_become_binary() {
        let texts =
            ["a".into(), String::from("a").into(), Utf8Bytes::from("a").into(), Message::Text("a").into()];
        assert!(texts.iter().all(|text: &OwnedMessage| text.as_text() == Some("a")), "{texts:?}");
        let binary: [OwnedMessage; 3] =
            [vec![97].into(), Bytes::from_static(b"a").into(), Message::Binary(b"a").into()];
        assert_eq!(binary, [const { OwnedMessage::Binary(Bytes::from_static(b"a")) }; 3]);
        assert_eq!((binary[0].as_text(), OwnedMessage::Ping("a".into()).as_text()), (None, None));
    }

    #[test]
    fn unchecked_text_stays_text_where_it_may_be_sent_as_text() {
        assert_eq!(OwnedMessage::from(Message::UncheckedText("é".as_bytes())), OwnedMessage::from("é"));
        assert_eq!(OwnedMessage::from(Message::UncheckedText(&[0xff])), OwnedMessage::from(vec![0xff]));
    }
}
