//! A loop over poll(2) as a C program has one: functions that are called back with the program's data, and timers in milliseconds.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use websocket_dispatcher::Interest;
use websocket_dispatcher_callback::{Descriptor, Driver, Host};

/// Who watches, and which of the descriptors of that one.
type Id = (&'static str, u64);

/// Called with the program's data, the number from the [`Id`], and what was seen.
type OnEvent<Data> = fn(&Data, u64, PollFlags);
type OnTimer<Data> = fn(&Data);

pub(crate) struct MiniLoop<Data> {
    start: Instant,
    watched: RefCell<BTreeMap<Id, Watched<Data>>>,
    /// When each is due, in milliseconds since the start.
    timers: RefCell<BTreeMap<&'static str, (u64, OnTimer<Data>)>>,
    bell: UnixStream,
    ringer: UnixStream,
}

struct Watched<Data> {
    fd: Rc<dyn AsFd>,
    events: PollFlags,
    call: OnEvent<Data>,
}

impl<Data> MiniLoop<Data> {
    pub(crate) fn new() -> io::Result<Self> {
        let (bell, ringer) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        ringer.set_nonblocking(true)?;
        Ok(Self {
            start: Instant::now(),
            watched: RefCell::default(),
            timers: RefCell::default(),
            bell,
            ringer,
        })
    }

    /// Watches a descriptor, or changes what it is watched for. poll(2) would do with the number; in Rust it takes an owner.
    pub(crate) fn watch(&self, id: Id, fd: Rc<dyn AsFd>, events: PollFlags, call: OnEvent<Data>) {
        self.watched.borrow_mut().insert(id, Watched { fd, events, call });
    }

    pub(crate) fn unwatch(&self, id: Id) {
        self.watched.borrow_mut().remove(&id);
    }

    /// Rounds up to whole milliseconds; what has passed is due at once.
    pub(crate) fn set_timer(&self, name: &'static str, at: Instant, call: OnTimer<Data>) {
        let at = if at <= Instant::now() {
            self.now()
        } else {
            let after = at.saturating_duration_since(self.start).as_nanos().div_ceil(1_000_000);
            u64::try_from(after).unwrap_or(u64::MAX)
        };
        self.timers.borrow_mut().insert(name, (at, call));
    }

    pub(crate) fn clear_timer(&self, name: &'static str) {
        self.timers.borrow_mut().remove(name);
    }

    /// Ends the sleep of the loop, from any thread.
    pub(crate) fn waker(&self) -> io::Result<impl Fn() + Send + Sync + use<Data>> {
        let ringer = self.ringer.try_clone()?;
        Ok(move || {
            // A full pipe has rung already; one without a listener needs not ring.
            let _ = (&ringer).write(&[0]);
        })
    }

    /// Sleeps until something happens, `limit` long at most, and calls back.
    pub(crate) fn round(&self, data: &Data, limit: Option<Duration>) -> io::Result<()> {
        let watched: Vec<_> =
            self.watched.borrow().iter().map(|(id, it)| (*id, it.fd.clone(), it.events)).collect();
        let mut polled: Vec<_> =
            watched.iter().map(|(_, fd, events)| PollFd::new(fd.as_fd(), *events)).collect();
        polled.push(PollFd::new(self.bell.as_fd(), PollFlags::POLLIN));
        match poll(&mut polled, self.timeout(limit)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        while (&self.bell).read(&mut [0; 64]).is_ok_and(|read| read == 64) {}
        for ((id, ..), polled) in watched.iter().zip(&polled) {
            let seen = polled.revents().unwrap_or(PollFlags::empty());
            // An earlier callback may have ended it.
            let call = self.watched.borrow().get(id).map(|it| it.call);
            if let Some(call) = call.filter(|_| !seen.is_empty()) {
                call(data, id.1, seen);
            }
        }
        let now = self.now();
        let due: Vec<_> =
            self.timers.borrow().iter().filter(|(_, (at, _))| *at <= now).map(|(name, _)| *name).collect();
        for name in due {
            let timer = self.timers.borrow_mut().remove(name);
            if let Some((_, call)) = timer {
                call(data);
            }
        }
        Ok(())
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn timeout(&self, limit: Option<Duration>) -> PollTimeout {
        let timer = self.timers.borrow().values().map(|(at, _)| *at).min();
        let timer = timer.map(|at| Duration::from_millis(at.saturating_sub(self.now())));
        match [timer, limit].into_iter().flatten().min() {
            None => PollTimeout::NONE,
            Some(left) => {
                PollTimeout::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(PollTimeout::MAX)
            }
        }
    }
}

/// The data of a program that has a driver.
pub(crate) trait Drives {
    fn driver(&self) -> &Driver;
}

/// The loop as a host: what is written in C once for all programs.
pub(crate) struct MiniHost<Data>(pub(crate) Rc<MiniLoop<Data>>);

const NAME: &str = "websocket";

fn on_event<Data: Drives>(data: &Data, key: u64, seen: PollFlags) {
    let broken = seen.intersects(PollFlags::POLLERR | PollFlags::POLLHUP);
    let readable = seen.contains(PollFlags::POLLIN) || broken;
    data.driver().ready(key, readable, seen.contains(PollFlags::POLLOUT) || broken);
}

impl<Data: Drives> Host for MiniHost<Data> {
    fn watch(&self, key: u64, descriptor: Descriptor<'_>, interest: Interest) -> io::Result<()> {
        let mut events = PollFlags::empty();
        events.set(PollFlags::POLLIN, interest.is_read());
        events.set(PollFlags::POLLOUT, interest.is_write());
        self.0.watch((NAME, key), Rc::new(descriptor.share()?), events, on_event);
        Ok(())
    }

    fn unwatch(&self, key: u64) {
        self.0.unwatch((NAME, key));
    }

    fn set_deadline(&self, deadline: Option<Instant>) {
        match deadline {
            Some(at) => self.0.set_timer(NAME, at, |data| data.driver().deadline_passed()),
            None => self.0.clear_timer(NAME),
        }
    }

    fn is_level_triggered(&self) -> bool {
        true
    }
}
