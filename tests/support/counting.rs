//! A dispatcher that counts what is asked of it.

use std::cell::Cell;
use std::io;
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;
use std::task::Waker;
use std::time::Instant;

use websocket_app::dispatcher::{Clock, Dispatcher, Interest, Io, Key, Ready, Wait};

/// Any dispatcher, with counters.
#[derive(Default, Debug)]
pub struct Counting<D> {
    inner: D,
    /// How often it was waited on.
    pub waits: usize,
    /// How many streams it watches now; clones tell it when the dispatcher itself is gone.
    pub watched: Rc<Cell<usize>>,
    /// How many it has watched at the same time.
    pub most_watched: usize,
    /// The highest slot of a key so far.
    pub highest_slot: usize,
}

impl<D> Counting<D> {
    /// Counts what is asked of `inner`.
    pub fn new(inner: D) -> Self {
        Self { inner, waits: 0, watched: Rc::default(), most_watched: 0, highest_slot: 0 }
    }
}

impl<D: Dispatcher> Dispatcher for Counting<D> {
    fn register(&mut self, key: Key, io: &mut Io, interest: Interest) -> io::Result<()> {
        self.inner.register(key, io, interest)?;
        self.watched.set(self.watched.get() + 1);
        self.most_watched = self.most_watched.max(self.watched.get());
        self.highest_slot = self.highest_slot.max(key.slot());
        Ok(())
    }

    fn reregister(&mut self, key: Key, io: &mut Io, interest: Interest) -> io::Result<()> {
        self.inner.reregister(key, io, interest)
    }

    fn deregister(&mut self, key: Key, io: Io) {
        self.watched.set(self.watched.get() - 1);
        self.inner.deregister(key, io);
    }

    fn waker(&self) -> Waker {
        self.inner.waker()
    }

    fn clock(&self) -> Clock {
        self.inner.clock()
    }

    fn short_read_drains(&self) -> bool {
        self.inner.short_read_drains()
    }

    fn hand_over(&mut self) {
        self.inner.hand_over();
    }
}

impl<D: Wait> Wait for Counting<D> {
    fn wait(&mut self, deadline: Option<Instant>, ready: &mut Vec<Ready>) -> io::Result<()> {
        self.waits += 1;
        self.inner.wait(deadline, ready)
    }
}

#[cfg(unix)]
impl<D: AsFd> AsFd for Counting<D> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}
