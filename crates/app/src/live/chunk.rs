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
pub(crate) enum Place {
    /// So many at the front of the buffer.
    Buffer(usize),
    /// So many at the front of the buffer, which are to be decrypted first.
    Encrypted(usize),
    /// In the message that they belong to.
    Message,
    /// Where the app's last visit has left them.
    Undelivered,
}

/// Bytes that were read, and decrypted, and are yet to be delivered.
#[derive(Default)]
pub(crate) struct Undelivered {
    bytes: Vec<u8>,
    /// So many of them were delivered.
    start: usize,
}

impl Undelivered {
    pub(super) const fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, start: 0 }
    }

    /// So many more of them were delivered.
    pub(super) const fn delivered(&mut self, len: usize) {
        self.start += len;
    }

    /// The bytes that are yet to be delivered.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

/// What one read has brought.
pub(crate) struct Chunk {
    /// Bytes that came.
    pub(crate) fresh: usize,
    pub(crate) place: Place,
    /// The read left room, and is small enough for the stream to be dry.
    pub(crate) short: bool,
}
