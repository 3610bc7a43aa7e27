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
    /// Whether each is in the poll: those that are watched for nothing are not.
    keys: KeyTable<bool>,
    waker: Waker,
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

/// Puts a source into the poll, changes what it is watched for there, or takes it out. Returns whether it is
/// in the poll then.
fn watch(
    registry: &Registry,
    key: Key,
    io: &mut Io,
    is_in_poll: bool,
    interest: Interest,
) -> io::Result<bool> {
    let token = Token(key.slot());
    io.with_source(|source| match (is_in_poll, mio_interest(interest)) {
        (false, None) => Ok(false),
        (false, Some(interest)) => registry.register(source, token, interest).map(|()| true),
        (true, Some(interest)) => registry.reregister(source, token, interest).map(|()| true),
        (true, None) => registry.deregister(source).map(|()| false),
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
        let is_in_poll = watch(self.poll.registry(), key, io, false, interest)?;
        self.keys.insert(key, is_in_poll)
    }

    fn reregister(&mut self, key: Key, io: &mut Io, interest: Interest) -> io::Result<()> {
        let is_in_poll = self.keys.get_mut(key)?;
        *is_in_poll = watch(self.poll.registry(), key, io, *is_in_poll, interest)?;
        Ok(())
    }

    fn deregister(&mut self, key: Key, mut io: Io) {
        if let Some(true) = self.keys.remove(key) {
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
            let Some(key) = self.keys.key_in(event.token().0) else { continue };
            let broken = event.is_error();
            let (read_closed, write_closed) =
                (event.is_read_closed() || broken, event.is_write_closed() || broken);
            // The end of a pipe is a hang-up and nothing else.
            let readable = event.is_readable() || read_closed;
            let writable = event.is_writable() || write_closed;
            ready.push(Ready::new(key, readable, writable).with_read_closed(read_closed));
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
