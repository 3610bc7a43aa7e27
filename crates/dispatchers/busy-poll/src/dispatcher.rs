//! The dispatcher itself.

use std::hint::spin_loop;
use std::io;
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use websocket_dispatcher::{Clock, Dispatcher, Interest, Io, Key, MioDispatcher, Ready, Wait};

use crate::bell::Bell;

/// How long to look before sleeping, unless set: some ten times what it takes to be woken.
const SPIN: Duration = Duration::from_micros(50);

/// A [`Dispatcher`] that polls repeatedly for a while before it lets the one inside sleep: see the [crate's
/// page](crate).
#[derive(Debug)]
pub struct BusyPoll<D = MioDispatcher> {
    inner: D,
    bell: Arc<Bell>,
    spin: Duration,
    /// When the first wait after something has happened began; `None` until that begins.
    since: Option<Instant>,
}

impl BusyPoll {
    /// Spins over mio's poll.
    ///
    /// # Errors
    /// When the system has no descriptors left.
    pub fn new() -> io::Result<Self> {
        MioDispatcher::new().map(Self::over)
    }
}

impl<D: Dispatcher> BusyPoll<D> {
    /// Spins over `inner`.
    pub fn over(inner: D) -> Self {
        let bell = Arc::new(Bell::new(inner.waker()));
        Self { inner, bell, spin: SPIN, since: None }
    }

    /// How long to continue polling after something has happened, by the system's clock. Zero sleeps at once.
    /// Default 50 microseconds.
    #[must_use]
    pub const fn spin(mut self, spin: Duration) -> Self {
        self.spin = spin;
        self
    }
}

impl<D: Wait> BusyPoll<D> {
    /// Waits, and says whether a stream was seen.
    fn look_then_sleep(
        &mut self,
        deadline: Option<Instant>,
        since: Instant,
        ready: &mut Vec<Ready>,
    ) -> io::Result<bool> {
        let before = ready.len();
        loop {
            let now = self.inner.now();
            let over = deadline.is_some_and(|deadline| deadline <= now) || self.bell.has_rung();
            if !over && since.elapsed() >= self.spin && self.bell.leave() {
                self.inner.wait(deadline, ready)?;
                return Ok(ready.len() > before);
            }
            self.inner.wait(Some(now), ready)?;
            if over || ready.len() > before {
                return Ok(ready.len() > before);
            }
            spin_loop();
        }
    }
}

impl<D: Dispatcher> Dispatcher for BusyPoll<D> {
    fn register(&mut self, key: Key, io: &mut Io, interest: Interest) -> io::Result<()> {
        self.inner.register(key, io, interest)
    }

    fn reregister(&mut self, key: Key, io: &mut Io, interest: Interest) -> io::Result<()> {
        self.inner.reregister(key, io, interest)
    }

    fn deregister(&mut self, key: Key, io: Io) {
        self.inner.deregister(key, io);
    }

    fn waker(&self) -> Waker {
        self.bell.clone().into()
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

impl<D: Wait> Wait for BusyPoll<D> {
    fn wait(&mut self, deadline: Option<Instant>, ready: &mut Vec<Ready>) -> io::Result<()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        self.bell.watch();
        let waited = self.look_then_sleep(deadline, since, ready);
        let woken = self.bell.take();
        if waited? || woken {
            self.since = None;
        }
        Ok(())
    }
}

/// As that of the dispatcher inside: readable while a stream is ready or a wake is pending.
#[cfg(unix)]
impl<D: AsFd> AsFd for BusyPoll<D> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}
