//! How a wait sleeps.
//!
//! The poller sleeps on when a signal comes, and the contract wants the wait to end. Where the poller is one
//! descriptor, poll(2) sleeps for it, and looks at a few streams itself: it is called anyway, and what it
//! sees saves the poller's own calls. Elsewhere the poller does all.

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
    use std::array;
    use std::io;
    use std::os::fd::AsFd as _;
    use std::time::Instant;

    use nix::errno::Errno;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use polling::{Events, Poller};
    use websocket_dispatcher::{Interest, Key, Ready, Shared};

    /// As many as poll(2) looks at for less than the poller's calls cost.
    const SEATS: usize = 16;

    /// The streams that poll(2) looks at itself.
    #[derive(Debug)]
    pub(crate) struct Front {
        seats: Vec<Seat>,
        room: usize,
    }

    #[derive(Debug)]
    struct Seat {
        key: Key,
        source: Shared,
        interest: PollFlags,
    }

    impl Front {
        pub(crate) const fn new() -> Self {
            Self { seats: Vec::new(), room: SEATS }
        }

        /// One where the poller watches every stream.
        #[cfg(test)]
        pub(crate) const fn without_seats() -> Self {
            Self { seats: Vec::new(), room: 0 }
        }

        /// Takes a stream, or gives it back when all seats are taken.
        pub(crate) fn add(&mut self, key: Key, source: Shared, interest: Interest) -> Result<(), Shared> {
            if self.seats.len() == self.room {
                return Err(source);
            }
            self.seats.push(Seat { key, source, interest: flags(interest) });
            Ok(())
        }

        pub(crate) fn modify(&mut self, key: Key, interest: Interest) {
            if let Some(seat) = self.seats.iter_mut().find(|seat| seat.key == key) {
                seat.interest = flags(interest);
            }
        }

        pub(crate) fn remove(&mut self, key: Key) {
            self.seats.retain(|seat| seat.key != key);
        }

        /// Sleeps until there is something to report, a signal comes or the deadline has passed; adds what
        /// there is of these streams to `ready`, and what the poller has to `events`.
        pub(crate) fn wait(
            &self,
            poller: &Poller,
            deadline: Option<Instant>,
            ready: &mut Vec<Ready>,
            events: &mut Events,
        ) -> io::Result<()> {
            // Milliseconds, rounded up; what they cannot hold ends early, which is allowed.
            let timeout = deadline.map_or(PollTimeout::NONE, |deadline| {
                let left = deadline.saturating_duration_since(Instant::now());
                PollTimeout::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(PollTimeout::MAX)
            });
            let poller_itself = PollFd::new(poller.as_fd(), PollFlags::POLLIN);
            // poll(2) reports a hang-up also where it is asked for nothing.
            let watched = self.seats.iter().filter(|seat| !seat.interest.is_empty());
            let mut to_poll = watched.clone();
            let mut fds: [PollFd<'_>; 1 + SEATS] = array::from_fn(|_| match to_poll.next() {
                Some(seat) => PollFd::new(seat.source.as_fd(), seat.interest),
                None => poller_itself.clone(),
            });
            let count = watched.clone().count();
            let fds = &mut fds[..=count];
            match poll(fds, timeout) {
                Ok(0) | Err(Errno::EINTR) => return Ok(()),
                Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
            for (seat, fd) in watched.zip(&*fds) {
                // With a bit that nix does not know, whatever there is to see is found by reading and
                // writing.
                let seen = fd.revents().unwrap_or(PollFlags::all());
                if !seen.is_empty() {
                    // What poll(2) cannot look at (POLLNVAL), some systems' devices, is as good as always
                    // ready.
                    let broken =
                        seen.intersects(PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL);
                    let readable = seen.contains(PollFlags::POLLIN) || broken;
                    let writable = seen.contains(PollFlags::POLLOUT) || broken;
                    ready.push(Ready::new(seat.key, readable, writable).with_read_closed(broken));
                }
            }
            if fds[count].any().unwrap_or(true) {
                poller.wait_deadline(events, Instant::now())?;
            }
            Ok(())
        }
    }

    fn flags(interest: Interest) -> PollFlags {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::POLLIN, interest.is_read());
        flags.set(PollFlags::POLLOUT, interest.is_write());
        flags
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
    use websocket_dispatcher::{Interest, Key, Ready, Shared};

    /// Nothing: the poller watches every stream.
    #[derive(Debug)]
    pub(crate) struct Front;

    impl Front {
        pub(crate) const fn new() -> Self {
            Self
        }

        #[cfg(test)]
        pub(crate) const fn without_seats() -> Self {
            Self
        }

        pub(crate) fn add(&mut self, _: Key, source: Shared, _: Interest) -> Result<(), Shared> {
            Err(source)
        }

        pub(crate) fn modify(&mut self, _: Key, _: Interest) {}

        pub(crate) fn remove(&mut self, _: Key) {}

        pub(crate) fn wait(
            &self,
            poller: &Poller,
            deadline: Option<Instant>,
            _: &mut Vec<Ready>,
            events: &mut Events,
        ) -> io::Result<()> {
            match deadline {
                Some(deadline) => poller.wait_deadline(events, deadline).map(drop),
                None => poller.wait(events, None).map(drop),
            }
        }
    }
}

/// The streams that are watched without the poller, and how a wait sleeps.
pub(crate) use imp::Front;
