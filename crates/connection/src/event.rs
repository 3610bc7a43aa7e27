//! What a connection reports.

use std::time::Duration;

use crate::{CloseFrame, Kind, Response};

/// A whole message, borrowed from the receive buffer or from the buffer it was reassembled in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(clippy::exhaustive_enums, reason = "a message is one of these; matching it must be complete")]
pub enum Message<'a> {
    /// Text.
    Text(&'a str),
    /// Bytes.
    Binary(&'a [u8]),
    /// Text whose UTF-8 was not checked, since `validate_utf8` is off.
    UncheckedText(&'a [u8]),
}

impl<'a> Message<'a> {
    /// The payload, whatever its kind.
    pub const fn as_bytes(&self) -> &'a [u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) | Self::UncheckedText(bytes) => bytes,
        }
    }

    /// The text, if it is (checked) text.
    pub const fn as_text(&self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether the server sent it as text or as binary.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Text(_) | Self::UncheckedText(_) => Kind::Text,
            Self::Binary(_) => Kind::Binary,
        }
    }

    /// Bytes of payload.
    pub const fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether the payload is empty.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One fragment of a fragmented message, as it comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Fragment<'a> {
    /// The kind of the whole message.
    pub kind: Kind,
    /// The bytes. Text is checked over the whole message, but a fragment may end inside a character.
    pub payload: &'a [u8],
    /// Whether the message starts here.
    pub first: bool,
    /// Whether the message ends here.
    pub last: bool,
}

impl Fragment<'_> {
    /// Which part of the message this is.
    pub const fn part(&self) -> Part {
        Part::Fragment { first: self.first, last: self.last }
    }
}

/// Which part of a message a payload is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(clippy::exhaustive_enums, reason = "a payload is one of these")]
pub enum Part {
    /// The whole message, however the server has sent it.
    Whole,
    /// One fragment of a fragmented message, as it comes.
    Fragment {
        /// Whether the message starts here.
        first: bool,
        /// Whether the message ends here.
        last: bool,
    },
}

impl Part {
    /// Whether the message ends here.
    pub const fn is_last(self) -> bool {
        matches!(self, Self::Whole | Self::Fragment { last: true, .. })
    }
}

/// What happened on a connection.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The server completed the upgrade.
    Open(Box<Response>),
    /// A whole message.
    Message(Message<'a>),
    /// A fragment, when `deliver_fragments` is set.
    Fragment(Fragment<'a>),
    /// A ping; its pong is queued already, unless too much waits to be written or the connection is closing.
    Ping(&'a [u8]),
    /// A pong.
    Pong {
        /// What it carries.
        payload: &'a [u8],
        /// The time since the ping that it answers was written; `None` for a pong that answers none of ours.
        rtt: Option<Duration>,
    },
    /// The server's close frame; the answer, if one is due, is queued already.
    Close(CloseFrame),
}
