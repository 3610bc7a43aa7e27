//! A stream that tokio watches.

use std::io;
use std::task::{Context, Poll, ready};

use tokio::io::unix::AsyncFd;
use websocket_dispatcher::{PollReady, Shared};

/// A stream that tokio watches in both directions, by a share of it: its descriptor must stay open for as long
/// as tokio knows it.
#[derive(Debug)]
pub(crate) struct Watched(AsyncFd<Shared>);

impl Watched {
    /// Watches it in the runtime whose context is entered.
    pub(crate) fn new(shared: Shared) -> io::Result<Self> {
        // Deprecated for types that do not own their descriptor; the new function is `unsafe`, and younger
        // than the oldest tokio that this crate supports.
        #[allow(deprecated)]
        Ok(Self(AsyncFd::try_new(shared)?))
    }
}

impl PollReady for Watched {
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut guard = ready!(self.0.poll_read_ready(cx))?;
        let closed = guard.ready().is_read_closed();
        guard.clear_ready();
        Poll::Ready(Ok(closed))
    }

    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut guard = ready!(self.0.poll_write_ready(cx))?;
        let closed = guard.ready().is_write_closed();
        guard.clear_ready();
        Poll::Ready(Ok(closed))
    }
}
