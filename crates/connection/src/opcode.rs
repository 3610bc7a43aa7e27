//! What frames and messages carry (RFC 6455 sections 5.2 and 5.6).

/// Longest payload of a control frame (RFC 6455 section 5.5).
pub const MAX_CONTROL_PAYLOAD: usize = 125;

/// What a frame carries (RFC 6455 section 11.8).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(clippy::exhaustive_enums, reason = "the registry of RFC 6455 section 11.8; the rest is refused")]
#[repr(u8)]
pub enum Opcode {
    /// A later fragment of a message.
    Continuation = 0,
    /// UTF-8 text, or its first fragment.
    Text = 1,
    /// Bytes, or their first fragment.
    Binary = 2,
    /// The closing handshake.
    Close = 8,
    /// A ping.
    Ping = 9,
    /// A pong.
    Pong = 10,
}

impl Opcode {
    /// Whether this is a close, ping or pong.
    pub const fn is_control(self) -> bool {
        self as u8 & 8 != 0
    }

    /// The kind of message that a frame with this first byte is all of.
    #[inline]
    pub(crate) const fn whole_message(first: u8) -> Option<Kind> {
        match first {
            0x81 => Some(Kind::Text),
            0x82 => Some(Kind::Binary),
            _ => None,
        }
    }
}

/// Text or binary.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(clippy::exhaustive_enums, reason = "RFC 6455 section 5.6 knows two kinds of data")]
pub enum Kind {
    /// UTF-8 text.
    Text,
    /// Bytes.
    Binary,
}

impl From<Kind> for Opcode {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Text => Self::Text,
            Kind::Binary => Self::Binary,
        }
    }
}
