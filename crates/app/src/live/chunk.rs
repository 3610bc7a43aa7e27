//! What reading brings.

use std::io;

use websocket_dispatcher::Io;

use super::kernel_time;
use super::observers::Observers;

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

/// Reads some bytes.
pub(super) fn read(
    io: &mut Io,
    observers: &mut Option<Box<Observers>>,
    room: &mut [u8],
) -> Result<usize, Stop> {
    loop {
        return match kernel_time::read(io, observers, room) {
            Ok(0) => Err(Stop::End),
            Ok(len) => Ok(len),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(Stop::Dry),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(Stop::Failed(error)),
        };
    }
}
