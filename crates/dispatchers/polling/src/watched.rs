//! What keeps the promise that the poller asks for: a source is deleted before it is closed.

use std::io;
#[cfg(unix)]
pub(crate) use std::os::fd::OwnedFd as Source;
#[cfg(windows)]
pub(crate) use std::os::windows::io::OwnedSocket as Source;
use std::sync::Arc;

use polling::{Event, PollMode, Poller};
use websocket_dispatcher::Io;

/// A duplicate of the stream's descriptor, since the stream may be closed at any time.
pub(crate) fn source(io: &Io) -> io::Result<Source> {
    #[cfg(unix)]
    let source = io.fd();
    #[cfg(windows)]
    let source = io.socket();
    source.ok_or_else(unwatchable)?.try_clone_to_owned()
}

/// One stream in the poller.
#[derive(Debug)]
pub(crate) struct Watched {
    poller: Arc<Poller>,
    source: Source,
    event: Event,
}

impl Watched {
    pub(crate) fn new(
        poller: &Arc<Poller>,
        source: Source,
        event: Event,
        mode: PollMode,
    ) -> io::Result<Self> {
        // SAFETY: the source is owned here and cannot be taken out; `drop` deletes it from the same poller
        // before it is closed.
        unsafe { poller.add_with_mode(&source, event, effective(event, mode))? };
        Ok(Self { poller: poller.clone(), source, event })
    }

    pub(crate) fn modify(&mut self, event: Event, mode: PollMode) -> io::Result<()> {
        self.event = event;
        self.rearm(mode)
    }

    /// Whether it is watched for anything.
    pub(crate) const fn is_watched(&self) -> bool {
        self.event.readable || self.event.writable
    }

    pub(crate) fn rearm(&self, mode: PollMode) -> io::Result<()> {
        self.poller.modify_with_mode(&self.source, self.event, effective(self.event, mode))
    }
}

/// A hang-up is reported also by a source that is watched for nothing: once is enough.
const fn effective(event: Event, mode: PollMode) -> PollMode {
    if event.readable || event.writable { mode } else { PollMode::Oneshot }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Err(error) = self.poller.delete(&self.source) {
            log::debug!(target: "websocket::dispatcher", "a stream left the poller with an error: {error}");
        }
    }
}

fn unwatchable() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "this stream has no descriptor or socket that a poller could watch; run it on a dispatcher that knows its type",
    )
}
