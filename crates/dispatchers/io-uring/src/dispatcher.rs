//! The dispatcher itself.

use std::fmt;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::task::Waker;
use std::time::Instant;

use websocket_dispatcher::{Dispatcher, Interest, Io, Key, KeyTable, Ready, Wait};

use crate::bell::Bell;
use crate::request::{self, BELL, CANCEL, Names};
use crate::ring::{ENTRIES, Ring};

/// A [`Dispatcher`] on io_uring: see the [crate's page](crate).
pub struct IoUringDispatcher {
    ring: Ring,
    watched: KeyTable<Watched>,
    names: Names,
    /// Streams that no request is under way for.
    unasked: Vec<Key>,
    /// Requests to be ended.
    obsolete: Vec<u64>,
    bell: Bell,
    bell_is_asked: bool,
}

struct Watched {
    /// A duplicate descriptor for the same socket: that of the stream is lent for one call only.
    fd: OwnedFd,
    interest: Interest,
    request: Option<u64>,
}

/// What was taken from the ring.
#[derive(Default)]
struct Taken {
    /// A stream was seen, or a wake.
    news: bool,
    /// The end of a request, if nothing else.
    anything: bool,
}

impl IoUringDispatcher {
    /// Opens a ring.
    ///
    /// # Errors
    /// When the kernel has no io_uring, is older than Linux 5.11, or forbids it, as many containers do; the
    /// message says which, and that [`MioDispatcher`](websocket_dispatcher::MioDispatcher) works everywhere.
    /// When the system has no descriptors left.
    pub fn new() -> io::Result<Self> {
        Ring::new(ENTRIES).and_then(Self::on)
    }

    fn on(ring: Ring) -> io::Result<Self> {
        Ok(Self {
            ring,
            watched: KeyTable::new(),
            names: Names::default(),
            unasked: Vec::new(),
            obsolete: Vec::new(),
            bell: Bell::new()?,
            bell_is_asked: false,
        })
    }

    /// Puts requests into the ring for all that has changed. What finds no room waits for the next time.
    fn ask(&mut self) -> io::Result<()> {
        while let Some(request) = self.obsolete.last() {
            if !self.ring.cancel(*request, CANCEL)? {
                return Ok(());
            }
            self.obsolete.pop();
        }
        if !self.bell_is_asked {
            self.bell_is_asked = self.ring.poll(self.bell.as_fd(), request::events(Interest::Read), BELL)?;
        }
        while let Some(&key) = self.unasked.last() {
            if let Ok(watched) = self.watched.get_mut(key)
                && watched.request.is_none()
                && !watched.interest.is_none()
            {
                let name = self.names.name(key);
                if !self.ring.poll(watched.fd.as_fd(), request::events(watched.interest), name)? {
                    return Ok(());
                }
                watched.request = Some(name);
            }
            self.unasked.pop();
        }
        Ok(())
    }

    fn take(&mut self, ready: &mut Vec<Ready>) -> Taken {
        let mut taken = Taken::default();
        let mut rung = false;
        for report in self.ring.completions() {
            if report.data == BELL {
                rung = true;
                self.bell_is_asked = report.more;
                continue;
            }
            taken.anything = true;
            // A report for a request that is not its stream's any more comes late.
            let Some(key) = self.watched.key_in(request::slot(report.data)) else { continue };
            let Ok(watched) = self.watched.get_mut(key) else { continue };
            if watched.request != Some(report.data) {
                continue;
            }
            // The kernel ends the requests of a thread that ends.
            let ended_with_its_thread = report.result == -libc::ECANCELED;
            if !report.more {
                watched.request = None;
                if report.result >= 0 || ended_with_its_thread {
                    self.unasked.push(key);
                }
            }
            if !ended_with_its_thread {
                ready.push(request::ready(key, report.result));
                taken.news = true;
            }
        }
        if rung {
            self.bell.hush();
            taken.news = true;
        }
        taken
    }

    /// Cancels requests that are obsolete, so that the kernel releases the sockets.
    fn let_go(&mut self) -> io::Result<()> {
        if self.obsolete.is_empty() {
            return Ok(());
        }
        self.ask()?;
        self.ring.submit()
    }
}

impl Dispatcher for IoUringDispatcher {
    fn register(&mut self, key: Key, io: &mut Io, interest: Interest) -> io::Result<()> {
        self.watched.vacant(key)?;
        let Some(fd) = io.fd() else {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "this stream has no descriptor that io_uring could poll; run it on a dispatcher that knows its type",
            ));
        };
        self.watched.insert(key, Watched { fd: fd.try_clone_to_owned()?, interest, request: None })?;
        self.unasked.push(key);
        Ok(())
    }

    fn reregister(&mut self, key: Key, _: &mut Io, interest: Interest) -> io::Result<()> {
        let watched = self.watched.get_mut(key)?;
        watched.interest = interest;
        self.obsolete.extend(watched.request.take());
        self.unasked.push(key);
        Ok(())
    }

    fn deregister(&mut self, key: Key, io: Io) {
        if let Some(Watched { fd, request, .. }) = self.watched.remove(key) {
            drop(fd);
            self.obsolete.extend(request);
            if let Err(error) = self.let_go() {
                log::debug!(target: "websocket::dispatcher", "{key:?} left the ring with an error: {error}");
            }
        }
        drop(io);
    }

    fn waker(&self) -> Waker {
        self.bell.waker()
    }

    // An end that came with the bytes is flagged, and what comes later is reported again.
    fn short_read_drains(&self) -> bool {
        true
    }
}

impl Wait for IoUringDispatcher {
    fn wait(&mut self, deadline: Option<Instant>, ready: &mut Vec<Ready>) -> io::Result<()> {
        loop {
            self.ask()?;
            // What came while the reactor was at work costs no system call.
            if self.ring.is_settled() {
                let taken = self.take(ready);
                if taken.news {
                    return Ok(());
                }
                if taken.anything {
                    continue;
                }
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            self.ring.enter(left)?;
            let taken = self.take(ready);
            // With nothing taken it was the deadline or a signal.
            if taken.news || !taken.anything || deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Ok(());
            }
        }
    }
}

impl fmt::Debug for IoUringDispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IoUringDispatcher")
            .field("streams", &self.watched.iter().count())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests;
