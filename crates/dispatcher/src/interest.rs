//! What to watch a stream for, and what was seen on it.

use crate::Key;

/// What the reactor watches one stream for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(clippy::exhaustive_enums, reason = "there is nothing else to watch a socket for")]
pub enum Interest {
    /// Nothing for now: the stream stays registered under its key, and neither bytes nor room are reported.
    ///
    /// A hang-up or an error may be reported, but not repeatedly: the loop sleeps. An interest that comes
    /// back reports whatever is there by then.
    None,
    /// Bytes to read, the end of the stream, or an error.
    Read,
    /// Room to write, a connect that ended, or an error.
    Write,
    /// Both.
    ReadWrite,
}

impl Interest {
    /// Whether the stream is watched for nothing.
    pub const fn is_none(self) -> bool {
        matches!(self, Self::None)
    }

    /// Whether reading is included.
    pub const fn is_read(self) -> bool {
        matches!(self, Self::Read | Self::ReadWrite)
    }

    /// Whether writing is included.
    pub const fn is_write(self) -> bool {
        matches!(self, Self::Write | Self::ReadWrite)
    }
}

/// One observation: the stream `key` may be ready.
///
/// All fields but the key are hints. An error or a hang-up is reported as both readable and writable:
/// the system call that follows tells what it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Ready {
    /// Whose readiness this is.
    pub key: Key,
    /// A read may succeed, end or fail.
    pub readable: bool,
    /// A write may succeed or fail, or a connect has ended.
    pub writable: bool,
    /// The peer has shut its side down, so end-of-stream lies behind the bytes that are left.
    pub read_closed: bool,
}

impl Ready {
    /// `key` may be ready to read, to write, or both.
    pub const fn new(key: Key, readable: bool, writable: bool) -> Self {
        Self { key, readable, writable, read_closed: false }
    }

    /// The same, with the hint that the peer has shut down its side.
    #[must_use]
    pub const fn with_read_closed(mut self, read_closed: bool) -> Self {
        self.read_closed = read_closed;
        self
    }
}
