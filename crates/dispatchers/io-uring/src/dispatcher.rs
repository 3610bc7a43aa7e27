//! The dispatcher itself.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::rc::Rc;
use std::task::Waker;
use std::time::Instant;

use websocket_dispatcher::{Dispatcher, Interest, Io, Key, Ready, Wait};

use crate::engine::Engine;
use crate::ring::{ENTRIES, MANY_ENTRIES, Ring};
use crate::socket::RingSocket;

/// A [`Dispatcher`] on io_uring: see the [crate's page](crate).
pub struct IoUringDispatcher {
    engine: Rc<RefCell<Engine>>,
}

/// What a ring does for sockets: see [`IoUringDispatcher::mode`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Mode {
    /// It receives and sends: Linux 6.1 or later.
    Completions,
    /// It reports when they are ready, and they are read and written by system calls.
    Polling,
}

impl IoUringDispatcher {
    /// Opens a ring that receives and sends, or one that polls where the kernel does not support the former: see [`mode`](Self::mode).
    ///
    /// # Errors
    /// When the kernel has no io_uring, is older than Linux 5.11, or forbids it, as many containers do; the
    /// message says which, and that [`MioDispatcher`](websocket_dispatcher::MioDispatcher) works everywhere.
    /// When the system has no descriptors left.
    pub fn new() -> io::Result<Self> {
        match Ring::completing(MANY_ENTRIES) {
            Ok(ring) => Self::on(ring),
            Err(error) => {
                let dispatcher = Self::polling()?;
                log::info!(target: "websocket::dispatcher", "io_uring polls here, and does not receive and send: {error}");
                Ok(dispatcher)
            }
        }
    }

    /// Opens a ring that polls, whatever the kernel supports.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn polling() -> io::Result<Self> {
        Ring::new(ENTRIES).and_then(Self::on)
    }

    fn on(ring: Ring) -> io::Result<Self> {
        Ok(Self { engine: Rc::new(RefCell::new(Engine::on(ring)?)) })
    }

    /// Returns what the ring does for sockets. Streams of other kinds and sources are polled in any case.
    pub fn mode(&self) -> Mode {
        if self.engine.borrow().completes() { Mode::Completions } else { Mode::Polling }
    }
}

impl Dispatcher for IoUringDispatcher {
    fn register(&mut self, key: Key, io: &mut Io, interest: Interest) -> io::Result<()> {
        let mut engine = self.engine.borrow_mut();
        engine.vacant(key)?;
        if engine.completes() {
            let mut outcome = Ok(());
            let is_driven = io.drive(|socket| {
                outcome = engine.drive(key, &socket, interest);
                RingSocket::new(key, socket, self.engine.clone())
            });
            if is_driven {
                return outcome;
            }
        }
        engine.poll(key, io.share()?, interest)
    }

    fn reregister(&mut self, key: Key, _: &mut Io, interest: Interest) -> io::Result<()> {
        self.engine.borrow_mut().change(key, interest)
    }

    fn deregister(&mut self, key: Key, io: Io) {
        self.engine.borrow_mut().forget(key);
        // A socket that is driven takes itself from the ring.
        drop(io);
    }

    fn waker(&self) -> Waker {
        self.engine.borrow().waker()
    }

    // An end that came with the bytes is flagged, and what comes later is reported again.
    fn short_read_drains(&self) -> bool {
        true
    }

    fn hand_over(&mut self) {
        self.engine.borrow_mut().hand_over();
    }
}

impl Wait for IoUringDispatcher {
    fn wait(&mut self, deadline: Option<Instant>, ready: &mut Vec<Ready>) -> io::Result<()> {
        self.engine.borrow_mut().wait(deadline, ready)
    }
}

impl fmt::Debug for IoUringDispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IoUringDispatcher")
            .field("mode", &self.mode())
            .field("streams", &self.engine.borrow().streams())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests;
