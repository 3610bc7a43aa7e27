//! What a dial returns.

use crate::error::Error;
use crate::live::Wire;

/// How far a dial has come.
#[must_use]
pub(crate) enum Progress {
    /// Something has to happen first.
    Waiting,
    /// There is a stream that leads to the server.
    Arrived(Arrival),
    /// There will be none.
    Failed(Error),
}

/// A stream that leads to the server.
pub(crate) struct Arrival {
    pub(crate) wire: Wire,
    /// Bytes of the server that are at the front of the buffer. `Some(0)` if the stream may hold more of
    /// them, which the dispatcher does not report again.
    pub(crate) already_read: Option<usize>,
}
