//! The default loop: mio's poll (epoll, kqueue, IOCP).

use std::io;
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Instant;

use mio::{Events, Poll, Registry, Token};

use crate::{Dispatcher, Interest, Io, Key, KeyTable, Ready, Wait};

const WAKE: Token = Token(usize::MAX);
/// Observations taken per wait; what is left is reported by the next one.
const BATCH: usize = 1024;

/// The default [`Dispatcher`]: one `mio::Poll`, edge-triggered.
///
/// On unix it is [`AsFd`]: the poll's own descriptor is readable while a registered stream is ready or a wake
/// is pending, so that another loop can watch a whole reactor by one descriptor.
#[derive(Debug)]
pub struct MioDispatcher {
    poll: Poll,
    events: Events,
    keys: KeyTable<Watched>,
    waker: Waker,
}

/// One stream.
#[derive(Debug)]
struct Watched {
    /// What it is watched for.
    interest: Interest,
    /// What the poll watches it for. `None`: it is not in the poll.
    polled: Interest,
    /// It became readable while that was of no interest: the poll does not report that again by itself.
    withheld: bool,
}

#[derive(Debug)]
struct MioWaker(mio::Waker);

impl Wake for MioWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Err(error) = self.0.wake() {
            log::error!(target: "websocket::dispatcher", "a wake was lost: {error}");
        }
    }
}

impl MioDispatcher {
    /// Opens the poll and its waker.
    ///
    /// # Errors
    /// When the system has no descriptors left.
    pub fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::from(Arc::new(MioWaker(mio::Waker::new(poll.registry(), WAKE)?)));
        Ok(Self { poll, events: Events::with_capacity(BATCH), keys: KeyTable::new(), waker })
    }
}

/// mio cannot watch for nothing.
fn mio_interest(interest: Interest) -> Option<mio::Interest> {
    match interest {
        Interest::None => None,
        Interest::Read => Some(mio::Interest::READABLE),
        Interest::Write => Some(mio::Interest::WRITABLE),
        Interest::ReadWrite => Some(mio::Interest::READABLE | mio::Interest::WRITABLE),
    }
}

/// What the poll watches a stream for from the beginning. A socket that is connecting is watched for room, then for bytes; where edges cost
/// nothing until they come, it is watched for both at once, which spares it a system call.
fn first_interest(io: &Io, interest: Interest) -> Interest {
    let edges_are_free = cfg!(any(target_os = "linux", target_os = "android"));
    if edges_are_free && interest == Interest::Write && io.is_socket() {
        Interest::ReadWrite
    } else {
        interest
    }
}

/// Puts a source into the poll, changes what it is watched for there, or takes it out.
fn watch(registry: &Registry, key: Key, io: &mut Io, before: Interest, interest: Interest) -> io::Result<()> {
    let token = Token(key.slot());
    io.with_source(|source| match (before, mio_interest(interest)) {
        (Interest::None, None) => Ok(()),
        (Interest::None, Some(interest)) => registry.register(source, token, interest),
        (_, Some(interest)) => registry.reregister(source, token, interest),
        (_, None) => registry.deregister(source),
    })
    .unwrap_or_else(|| Err(unwatchable()))
}

fn unwatchable() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "this stream has no descriptor that mio could watch; run it on a dispatcher that knows its type",
    )
}

impl Dispatcher for MioDispatcher {
    fn register(&mut self, key: Key, io: &mut Io, interest: Interest) -> io::Result<()> {
        self.keys.vacant(key)?;
        let polled = first_interest(io, interest);
        watch(self.poll.registry(), key, io, Interest::None, polled)?;
        self.keys.insert(key, Watched { interest, polled, withheld: false })
    }

    fn reregister(&mut self, key: Key, io: &mut Io, interest: Interest) -> io::Result<()> {
        let watched = self.keys.get_mut(key)?;
        let is_polled = (watched.interest, watched.polled, interest)
            == (Interest::Write, Interest::ReadWrite, Interest::Read);
        if !is_polled || watched.withheld {
            watch(self.poll.registry(), key, io, watched.polled, interest)?;
            watched.polled = interest;
        }
        (watched.interest, watched.withheld) = (interest, false);
        Ok(())
    }

    fn deregister(&mut self, key: Key, mut io: Io) {
        if self.keys.remove(key).is_some_and(|watched| !watched.polled.is_none()) {
            let registry = self.poll.registry();
            if let Some(Err(error)) = io.with_source(|source| registry.deregister(source)) {
                log::debug!(target: "websocket::dispatcher", "{key:?} left the poll with an error: {error}");
            }
        }
    }

    fn waker(&self) -> Waker {
        self.waker.clone()
    }

    // mio re-arms a stream only when it has seen `WouldBlock`, except where the system's own edges suffice.
    fn short_read_drains(&self) -> bool {
        cfg!(any(target_os = "linux", target_os = "android"))
    }
}

impl Wait for MioDispatcher {
    fn wait(&mut self, deadline: Option<Instant>, ready: &mut Vec<Ready>) -> io::Result<()> {
        let timeout = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        match self.poll.poll(&mut self.events, timeout) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(error),
        }
        for event in &self.events {
            // An event for a slot that is used again is at worst spurious; one for an empty slot or the waker
            // names no key.
            let Some((key, watched)) = self.keys.in_slot_mut(event.token().0) else { continue };
            let (read_closed, write_closed) = (event.is_read_closed(), event.is_write_closed());
            // The end of a pipe is a hang-up and nothing else.
            let broken = event.is_error() || read_closed && write_closed;
            let is_readable = event.is_readable() || read_closed;
            let readable = broken || is_readable && watched.interest.is_read();
            let writable = broken || (event.is_writable() || write_closed) && watched.interest.is_write();
            watched.withheld |= is_readable && !readable;
            if readable || writable {
                ready.push(
                    Ready::new(key, readable, writable).with_read_closed(readable && (read_closed || broken)),
                );
            }
        }
        Ok(())
    }
}

#[cfg(unix)]
impl AsFd for MioDispatcher {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poll.registry().as_fd()
    }
}
