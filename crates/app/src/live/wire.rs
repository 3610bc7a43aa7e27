//! A stream that the dispatcher watches, and writing to it.

use std::io::{self, Write as _};

use websocket_connection::{Env, Tx};
use websocket_dispatcher::{Dispatcher, Interest, Io, Key};

/// From this many bytes on a message is not left for the write at the end of the visit, by when it would not be in the cache any more.
const LARGE: usize = 64 << 10;

/// Whether a payload of `len` bytes is written while it is masked.
#[inline]
pub(crate) const fn is_large(len: usize) -> bool {
    len >= LARGE
}

/// A stream that the dispatcher watches.
pub(crate) struct Wire {
    pub(crate) key: Key,
    pub(crate) io: Io,
    pub(crate) interest: Interest,
}

impl Wire {
    /// Watches for `interest` from now on.
    ///
    /// # Errors
    /// What the dispatcher said.
    pub(crate) fn watch_for(
        &mut self,
        interest: Interest,
        dispatcher: &mut dyn Dispatcher,
    ) -> io::Result<()> {
        if std::mem::replace(&mut self.interest, interest) == interest {
            return Ok(());
        }
        dispatcher.reregister(self.key, &mut self.io, interest)
    }
}

/// What writing has come to.
#[must_use]
pub(crate) struct Written {
    /// Bytes of the connection's output that the stream has taken.
    pub(crate) bytes: usize,
    /// Whether nothing is left; otherwise the stream takes no more now, or is broken.
    pub(crate) emptied: io::Result<bool>,
}

/// Writes until nothing is left or the stream takes no more.
pub(crate) fn write_all(tx: &mut Tx, io: &mut Io, env: &mut Env) -> Written {
    let mut bytes = 0;
    while tx.queued_bytes() > 0 {
        match io.write(tx.output()) {
            Ok(0) => return Written { bytes, emptied: Err(io::ErrorKind::WriteZero.into()) },
            Ok(len) => {
                tx.wrote(len, env);
                bytes += len;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                tx.stall(env);
                return Written { bytes, emptied: Ok(false) };
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Written { bytes, emptied: Err(error) },
        }
    }
    Written { bytes, emptied: flush(tx, io, env) }
}

/// Writes once. Returns how many bytes the stream has taken: none if it takes no more now or is broken, which the next write finds, too.
pub(crate) fn write_some(io: &mut Io, bytes: &[u8]) -> usize {
    loop {
        match io.write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            written => return written.unwrap_or(0),
        }
    }
}

/// Flushes a stream that buffers bytes itself; `true` when nothing is left.
pub(super) fn flush(tx: &mut Tx, io: &mut Io, env: &mut Env) -> io::Result<bool> {
    match io.flush() {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            tx.stall(env);
            Ok(false)
        }
        flushed => flushed.map(|()| true),
    }
}
