//! What can go wrong, sorted by whose fault it is.

use std::fmt;

use crate::{CloseCode, Opcode, State, UpgradeError};

/// Why a connection ended in failure.
///
/// The first one is kept: every later call returns it again.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The server broke the WebSocket protocol.
    Protocol(ProtocolError),
    /// The server did not complete the opening handshake.
    Upgrade(UpgradeError),
    /// The server was silent for too long.
    Timeout(Timeout),
    /// The stream ended without a closing handshake.
    EndOfStream,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol(error) => write!(f, "the server broke the WebSocket protocol: {error}"),
            Self::Upgrade(error) => write!(f, "the opening handshake failed: {error}"),
            Self::Timeout(timeout) => write!(f, "{timeout}"),
            Self::EndOfStream => f.write_str("the server closed the stream without a closing handshake"),
        }
    }
}

// The text has that of the error inside; a source would repeat it.
impl std::error::Error for Error {}

impl From<ProtocolError> for Error {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}

impl From<UpgradeError> for Error {
    fn from(error: UpgradeError) -> Self {
        Self::Upgrade(error)
    }
}

/// The deadline that passed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Timeout {
    /// The response to the upgrade request was not complete in time.
    Upgrade,
    /// A ping found no sign of life in time.
    Pong,
    /// A probe found no sign of life in time.
    Probe,
    /// The server took none of the waiting bytes in time.
    Write,
    /// The closing handshake did not complete in time.
    Close,
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Upgrade => "the server did not complete the opening handshake within upgrade_timeout",
            Self::Pong => "the server gave no sign of life within ping_timeout of a ping",
            Self::Probe => "the server gave no sign of life within the time of a probe",
            Self::Write => "the server took no byte of what waits for it within write_timeout",
            Self::Close => "the server did not complete the closing handshake within close_timeout",
        })
    }
}

/// A breach of RFC 6455 by the server after the upgrade.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ProtocolError {
    /// Reserved bits are set without an extension that defines them for this frame (section 5.2).
    ReservedBits(u8),
    /// An opcode that RFC 6455 does not define (section 5.2).
    UnknownOpcode(u8),
    /// A control frame without FIN (section 5.4).
    FragmentedControl(Opcode),
    /// A control frame above 125 bytes (section 5.5).
    ControlTooLong(Opcode),
    /// A masked frame from a server (section 5.1).
    MaskedFrame,
    /// A length in more bytes than it needs (section 5.2).
    NonMinimalLength(u64),
    /// A 64-bit length with its most significant bit set (section 5.2).
    LengthTopBit,
    /// A continuation without a message to continue (section 5.4).
    UnexpectedContinuation,
    /// A new message before the fragmented one has ended (section 5.4).
    UnfinishedMessage,
    /// Text that is not UTF-8 (section 8.1).
    InvalidUtf8,
    /// A close frame with a body of one byte (section 5.5.1).
    CloseBodyTooShort,
    /// A close code that must not be sent (section 7.4).
    InvalidCloseCode(u16),
    /// A close reason that is not UTF-8 (section 5.5.1); invalid parts are replaced here.
    CloseReasonNotUtf8(String),
    /// A frame above `max_frame_size`.
    FrameTooBig {
        /// What the header announces, in bytes.
        len: u64,
        /// What is allowed.
        limit: u64,
    },
    /// A message above `max_message_size`.
    MessageTooBig {
        /// Its length so far with the announced frame, in bytes.
        len: u64,
        /// What is allowed.
        limit: u64,
    },
    /// A message in more fragments than `max_fragments`.
    TooManyFragments {
        /// What is allowed.
        limit: u32,
    },
    /// A compressed message that cannot be inflated (RFC 7692 section 7.2.2).
    InvalidDeflate,
    /// A compressed message whose data breaks off (RFC 7692 section 7.2.1).
    UnfinishedDeflate,
}

impl ProtocolError {
    /// The code that the close frame carries (RFC 6455 section 7.4.1).
    pub const fn close_code(&self) -> CloseCode {
        match self {
            Self::InvalidUtf8
            | Self::CloseReasonNotUtf8(_)
            | Self::InvalidDeflate
            | Self::UnfinishedDeflate => CloseCode::Invalid,
            Self::FrameTooBig { .. } | Self::MessageTooBig { .. } | Self::TooManyFragments { .. } => {
                CloseCode::Size
            }
            _ => CloseCode::Protocol,
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReservedBits(bits) => write!(f, "reserved bits {bits:03b} that no extension defines here"),
            Self::UnknownOpcode(opcode) => write!(f, "unknown opcode {opcode}"),
            Self::FragmentedControl(opcode) => write!(f, "fragmented {opcode:?} frame"),
            Self::ControlTooLong(opcode) => write!(f, "{opcode:?} frame above 125 bytes"),
            Self::MaskedFrame => f.write_str("masked frame from a server"),
            Self::NonMinimalLength(len) => write!(f, "length {len} in more bytes than it needs"),
            Self::LengthTopBit => f.write_str("frame length of 2^63 or more"),
            Self::UnexpectedContinuation => f.write_str("continuation without a message"),
            Self::UnfinishedMessage => f.write_str("new message inside a fragmented one"),
            Self::InvalidUtf8 => f.write_str("text is not UTF-8"),
            Self::CloseBodyTooShort => f.write_str("close frame with a body of one byte"),
            Self::InvalidCloseCode(code) => write!(f, "close code {code} must not be sent"),
            Self::CloseReasonNotUtf8(_) => f.write_str("close reason is not UTF-8"),
            Self::FrameTooBig { len, limit } => write!(f, "frame of {len} bytes, {limit} are allowed"),
            Self::MessageTooBig { len, limit } => {
                write!(f, "message of {len} bytes or more, {limit} are allowed")
            }
            Self::TooManyFragments { limit } => write!(f, "message of more than {limit} fragments"),
            Self::InvalidDeflate => f.write_str("compressed message that cannot be inflated"),
            Self::UnfinishedDeflate => f.write_str("compressed message that breaks off"),
        }
    }
}

impl std::error::Error for ProtocolError {}

/// Why something was not sent. The connection is as it was; nothing was queued.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SendError {
    /// The connection is not open: not yet, no longer, or a close has been sent.
    NotOpen(State),
    /// The connection was lost, and another one is made later: send when it is open. A connection does not return this
    /// itself, only what makes connections again does.
    WaitingToReconnect,
    /// The message would exceed `max_queued_bytes`; send it when the queue has drained.
    QueueFull {
        /// Bytes that wait already.
        queued: usize,
        /// Bytes of this frame.
        len: usize,
        /// What is allowed.
        limit: usize,
    },
    /// The message alone exceeds `max_queued_bytes`: waiting does not help.
    TooBig {
        /// Bytes of this frame.
        len: usize,
        /// What is allowed.
        limit: usize,
    },
    /// The message alone exceeds a limit on the bytes that may be sent in an interval: waiting does not help. A connection does
    /// not return this itself, only what limits it.
    ExceedsSendLimit {
        /// Bytes of the message.
        len: usize,
        /// What is allowed.
        limit: usize,
    },
    /// A fragment, where it is limited how much may be sent in an interval. A connection does not return this itself, only what
    /// limits it.
    FragmentsUnderSendLimit,
    /// A ping or pong above 125 bytes.
    ControlTooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// Text that is not UTF-8.
    NotUtf8,
    /// A whole message while a fragmented one is being sent.
    InsideFragmented,
    /// A continuation while no fragmented message is being sent.
    NothingToContinue,
    /// A close code that must not be sent: allowed are 1000 to 1003, 1007 to 1014 and 3000 to 4999.
    InvalidCloseCode(u16),
    /// A close reason above 123 bytes.
    ReasonTooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// Close frames are sent by `close` alone.
    CloseIsNotSent,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOpen(State::Connecting) => {
                f.write_str("the connection is not open yet; send from on_open or later")
            }
            Self::NotOpen(_) => f.write_str("the connection is already closed"),
            Self::WaitingToReconnect => {
                f.write_str("the connection was lost and is made again later; send when it is open")
            }
            Self::QueueFull { queued, len, limit } => write!(
                f,
                "{len} bytes more would exceed the limit of {limit} queued bytes ({queued} wait); send when they have drained"
            ),
            Self::TooBig { len, limit } => {
                write!(
                    f,
                    "a frame of {len} bytes exceeds the limit of {limit} queued bytes; send it in fragments"
                )
            }
            Self::ExceedsSendLimit { len, limit } => write!(
                f,
                "a message of {len} bytes exceeds the limit of {limit} bytes per interval; send smaller messages"
            ),
            Self::FragmentsUnderSendLimit => {
                f.write_str("fragments cannot be sent where sending is limited; send the message whole")
            }
            Self::ControlTooLong { len } => write!(f, "a ping or pong carries at most 125 bytes, not {len}"),
            Self::NotUtf8 => f.write_str("text must be UTF-8; send other bytes as binary"),
            Self::InsideFragmented => f.write_str("a fragmented message is being sent; end it first"),
            Self::NothingToContinue => {
                f.write_str("no fragmented message is being sent; start it with text or binary")
            }
            Self::InvalidCloseCode(code) => {
                write!(
                    f,
                    "close code {code} must not be sent; use 1000 to 1003, 1007 to 1014 or 3000 to 4999"
                )
            }
            Self::ReasonTooLong { len } => write!(f, "a close reason has at most 123 bytes, not {len}"),
            Self::CloseIsNotSent => f.write_str("send no close frame; call close"),
        }
    }
}

impl std::error::Error for SendError {}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn the_text_has_that_of_the_error_inside_and_no_source_repeats_it() {
        let table = [
            (Error::from(ProtocolError::MaskedFrame), "masked frame from a server"),
            (
                Error::from(UpgradeError::AcceptHeader),
                "Sec-WebSocket-Accept is missing or does not fit the key",
            ),
            (Error::Timeout(Timeout::Pong), "the server gave no sign of life within ping_timeout of a ping"),
            (Error::Timeout(Timeout::Probe), "the server gave no sign of life within the time of a probe"),
            (Error::EndOfStream, "the server closed the stream without a closing handshake"),
        ];
        for (error, text) in table {
            assert_eq!(error.to_string().matches(text).count(), 1, "{error}");
            assert!(error.source().is_none(), "{error}");
        }
    }
}
