//! How a wait sleeps.
//!
//! The poller sleeps on when a signal comes, and the contract wants the wait to end. Where the poller is one descriptor, poll(2) sleeps for
//! it; elsewhere the poller does it itself.

#[cfg(any(
    target_vendor = "apple",
    target_os = "android",
    target_os = "dragonfly",
    target_os = "freebsd",
    target_os = "linux",
    target_os = "netbsd",
    target_os = "openbsd",
))]
mod imp {
    use std::io;
    use std::os::fd::AsFd as _;
    use std::time::Instant;

    use nix::errno::Errno;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use polling::{Events, Poller};

    pub(crate) fn wait(poller: &Poller, events: &mut Events, deadline: Option<Instant>) -> io::Result<()> {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left.is_none_or(|left| !left.is_zero()) {
            // Milliseconds, rounded up; what they cannot hold ends early, which is allowed.
            let timeout = left.map_or(PollTimeout::NONE, |left| {
                PollTimeout::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(PollTimeout::MAX)
            });
            match poll(&mut [PollFd::new(poller.as_fd(), PollFlags::POLLIN)], timeout) {
                Ok(0) | Err(Errno::EINTR) => return Ok(()),
                Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
        }
        poller.wait_deadline(events, Instant::now()).map(drop)
    }
}

#[cfg(not(any(
    target_vendor = "apple",
    target_os = "android",
    target_os = "dragonfly",
    target_os = "freebsd",
    target_os = "linux",
    target_os = "netbsd",
    target_os = "openbsd",
)))]
mod imp {
    use std::io;
    use std::time::Instant;

    use polling::{Events, Poller};

    pub(crate) fn wait(poller: &Poller, events: &mut Events, deadline: Option<Instant>) -> io::Result<()> {
        match deadline {
            Some(deadline) => poller.wait_deadline(events, deadline).map(drop),
            None => poller.wait(events, None).map(drop),
        }
    }
}

/// Sleeps until the poller has something to tell, a signal comes or the deadline has passed; adds what there is to `events`.
pub(crate) use imp::wait;
