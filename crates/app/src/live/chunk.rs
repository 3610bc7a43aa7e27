//! What reading brings.

use std::io;

/// How reading came to its end.
pub(crate) enum Stop {
    /// The stream has no more bytes now.
    Dry,
    /// The budget is used up.
    Budget,
    End,
    Failed(io::Error),
}

/// Where bytes are that are to be delivered.
#[derive(Clone, Copy)]
pub(crate) enum Location {
    /// So many at the front of the buffer.
    Buffer(usize),
    /// So many at the front of the buffer, which are to be decrypted first.
    Encrypted(usize),
    /// In the message that they belong to.
    Message,
    /// Where the app's last visit has left them.
    Undelivered,
}

/// What one read has brought.
pub(crate) struct Chunk {
    /// Bytes that came.
    pub(crate) fresh: usize,
    pub(crate) location: Location,
    /// The read left room, and is small enough for the stream to be dry.
    pub(crate) short: bool,
}
