//! The dispatcher of the guide, a plain poll(2) loop that knows nothing but the public seam, keeps the contract.
#![cfg(unix)]

use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use websocket_dispatcher::{Dispatcher, Interest, Io, Key, KeyTable, Ready, Shared, Wait};

struct PollDispatcher {
    /// A share keeps the descriptor open, which a `register` only borrows.
    watched: KeyTable<(Shared, PollFlags)>,
    bell: UnixStream,
    waker: Waker,
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
        Ok(Self { watched: KeyTable::new(), bell, waker: Arc::new(Bell(ringer)).into() })
    }
}

fn flags(interest: Interest) -> PollFlags {
    let flag = |wanted, flag| if wanted { flag } else { PollFlags::empty() };
    flag(interest.is_read(), PollFlags::POLLIN) | flag(interest.is_write(), PollFlags::POLLOUT)
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
        self.watched.insert(key, (io.share()?, flags(interest)))
    }

    fn reregister(&mut self, key: Key, _: &mut Io, interest: Interest) -> io::Result<()> {
        self.watched.get_mut(key)?.1 = flags(interest);
        Ok(())
    }

    fn deregister(&mut self, key: Key, io: Io) {
        self.watched.remove(key);
        drop(io);
    }

    fn waker(&self) -> Waker {
        self.waker.clone()
    }
}

impl Wait for PollDispatcher {
    fn wait(&mut self, deadline: Option<Instant>, ready: &mut Vec<Ready>) -> io::Result<()> {
        // Asked for nothing, poll(2) would still report a hang-up.
        let watched = self.watched.iter().filter(|(_, (_, flags))| !flags.is_empty());
        let streams = watched.clone().map(|(_, (shared, flags))| PollFd::new(shared.as_fd(), *flags));
        let bell = PollFd::new(self.bell.as_fd(), PollFlags::POLLIN);
        let mut fds: Vec<_> = [bell].into_iter().chain(streams).collect();
        let polled = poll(&mut fds, timeout(deadline));
        polled.or_else(|error| if error == Errno::EINTR { Ok(0) } else { Err(error) })?;
        for ((key, _), fd) in watched.zip(&fds[1..]) {
            let seen = fd.revents().unwrap_or(PollFlags::empty());
            if !seen.is_empty() {
                let broken = PollFlags::POLLERR | PollFlags::POLLHUP;
                let (readable, writable) = (PollFlags::POLLIN | broken, PollFlags::POLLOUT | broken);
                ready.push(Ready::new(key, seen.intersects(readable), seen.intersects(writable)));
            }
        }
        while (&self.bell).read(&mut [0; 64]).is_ok_and(|read| read == 64) {}
        Ok(())
    }
}

websocket_testkit::conformance!(PollDispatcher::new().unwrap());

#[test]
fn the_guide_shows_this_dispatcher() {
    let guide = include_str!("../docs/src/event-loops.md");
    let (_, code) = include_str!("dispatcher_poll.rs").split_once("#![cfg(unix)]\n\n").unwrap();
    let (code, _) = code.split_once("\nwebsocket_testkit::").unwrap();
    let (imports, dispatcher) = code.split_once("\n\nstruct ").unwrap();
    assert!(guide.contains(dispatcher));
    // The guide's program imports more.
    assert!(imports.lines().all(|import| guide.lines().any(|line| line == import)));
    assert!(code.lines().filter(|line| !line.is_empty()).count() < 80);
}
