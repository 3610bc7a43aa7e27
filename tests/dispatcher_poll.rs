//! A dispatcher that knows nothing but the public seam keeps the contract: a plain poll(2) loop.
#![cfg(unix)]

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use websocket_dispatcher::{Dispatcher, Interest, Io, Key, KeyTable, Ready, Wait};

struct PollDispatcher {
    watched: KeyTable<Watched>,
    bell: UnixStream,
    waker: Arc<Bell>,
}

struct Watched {
    /// A descriptor of its own for the same socket: that of the stream is lent for one call only.
    fd: OwnedFd,
    interest: Interest,
}

struct Bell(UnixStream);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        // A full pipe has rung already; one without a listener needs not ring.
        let _ = (&self.0).write(&[0]);
    }
}

impl PollDispatcher {
    fn new() -> io::Result<Self> {
        let (bell, ringer) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        ringer.set_nonblocking(true)?;
        Ok(Self { watched: KeyTable::new(), bell, waker: Arc::new(Bell(ringer)) })
    }
}

fn flags(interest: Interest) -> PollFlags {
    let mut flags = PollFlags::empty();
    flags.set(PollFlags::POLLIN, interest.is_read());
    flags.set(PollFlags::POLLOUT, interest.is_write());
    flags
}

fn timeout(deadline: Option<Instant>) -> PollTimeout {
    let Some(deadline) = deadline else { return PollTimeout::NONE };
    let left = deadline.saturating_duration_since(Instant::now());
    // Milliseconds, rounded up; what they cannot hold ends early, which is allowed.
    PollTimeout::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(PollTimeout::MAX)
}

impl Dispatcher for PollDispatcher {
    fn register(&mut self, key: Key, io: &mut Io, interest: Interest) -> io::Result<()> {
        self.watched.vacant(key)?;
        let Some(fd) = io.fd() else {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "poll(2) watches descriptors only"));
        };
        self.watched.insert(key, Watched { fd: fd.try_clone_to_owned()?, interest })
    }

    fn reregister(&mut self, key: Key, _: &mut Io, interest: Interest) -> io::Result<()> {
        self.watched.get_mut(key)?.interest = interest;
        Ok(())
    }

    fn deregister(&mut self, key: Key, io: Io) {
        self.watched.remove(key);
        drop(io);
    }

    fn waker(&self) -> Waker {
        self.waker.clone().into()
    }

    fn short_read_drains(&self) -> bool {
        true
    }
}

impl Wait for PollDispatcher {
    fn wait(&mut self, deadline: Option<Instant>, ready: &mut Vec<Ready>) -> io::Result<()> {
        let watched = self.watched.iter().map(|(_, it)| PollFd::new(it.fd.as_fd(), flags(it.interest)));
        let bell = PollFd::new(self.bell.as_fd(), PollFlags::POLLIN);
        let mut fds: Vec<_> = watched.chain([bell]).collect();
        match poll(&mut fds, timeout(deadline)) {
            Ok(_) => {}
            Err(Errno::EINTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let seen: Vec<PollFlags> = fds.iter().map(|fd| fd.revents().unwrap_or(PollFlags::empty())).collect();
        for ((key, _), seen) in self.watched.iter().zip(&seen) {
            let broken = seen.intersects(PollFlags::POLLERR | PollFlags::POLLHUP);
            let (readable, writable) = (seen.contains(PollFlags::POLLIN), seen.contains(PollFlags::POLLOUT));
            if readable || writable || broken {
                ready.push(Ready::new(key, readable || broken, writable || broken).with_read_closed(broken));
            }
        }
        if seen.last().is_some_and(|bell| !bell.is_empty()) {
            while self.bell.read(&mut [0; 64]).is_ok_and(|read| read == 64) {}
        }
        Ok(())
    }
}

websocket_testkit::conformance!(PollDispatcher::new().unwrap());
