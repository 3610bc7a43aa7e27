//! The loop in virtual time.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use websocket_dispatcher::{Clock, Dispatcher, Interest, Io, Key, KeyTable, Ready, Wait};

use super::connection::{Edges, SharedConnection};
use super::{SimNet, SimStream};

/// Waits at one virtual instant after which something must be running in circles.
const MAX_WAITS_AN_INSTANT: u64 = 1_000_000;

/// Why a simulation cannot continue; the source of the error that [`SimDispatcher`]'s wait returns then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Stuck {
    /// Nothing is ready, nothing is due, the loop was not woken and there is no deadline: it would sleep
    /// indefinitely.
    Deadlock,
    /// A million waits went by without the clock moving on.
    BusyLoop,
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deadlock => {
                "the simulation is over: no stream is ready, no job is due, and the wait has no deadline"
            }
            Self::BusyLoop => "the simulation runs in circles: a million waits at one virtual instant",
        })
    }
}

impl Error for Stuck {}

/// A [`Dispatcher`] over the streams of one [`SimNet`], on its clock. Other streams are `Unsupported`.
///
/// A wait that finds nothing ready moves the clock to the next job of the network or to its deadline,
/// whichever is first. It fails with [`Stuck`] where a real loop would never return.
#[derive(Debug)]
pub struct SimDispatcher {
    net: SimNet,
    keys: KeyTable<Watched>,
    woken: Arc<Flag>,
    /// The instant of the last wait, and how many there were at it.
    instant: (Duration, u64),
}

struct Watched {
    shared: SharedConnection,
    interest: Interest,
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("interest", &self.interest).finish_non_exhaustive()
    }
}

#[derive(Default, Debug)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

impl SimDispatcher {
    pub(super) fn new(net: SimNet) -> Self {
        Self { net, keys: KeyTable::new(), woken: Arc::default(), instant: (Duration::ZERO, 0) }
    }

    /// How many streams are registered.
    pub fn registrations(&self) -> usize {
        self.keys.iter().count()
    }

    fn watched(&self, io: &mut Io, interest: Interest) -> io::Result<Watched> {
        let Some(stream) = io.downcast_mut::<SimStream>() else {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "the simulation watches only streams of its own network",
            ));
        };
        let shared = stream.shared().clone();
        let mut connection = shared.borrow_mut();
        let send_buffer = self.net.faults().send_buffer;
        connection.edges =
            Edges { readable: connection.is_readable(), writable: connection.is_writable(send_buffer) };
        drop(connection);
        Ok(Watched { shared, interest })
    }

    /// Appends what there is to report now.
    fn observe(&self, ready: &mut Vec<Ready>) {
        let faults = self.net.faults();
        let first = ready.len();
        for (key, watched) in self.keys.iter() {
            let mut connection = watched.shared.borrow_mut();
            let edges = connection.observe(self.net.trigger(), faults.send_buffer);
            let spurious = self.net.hit(faults.spurious);
            let readable = watched.interest.is_read() && (edges.readable || spurious);
            let writable = watched.interest.is_write() && (edges.writable || spurious);
            if readable || writable {
                ready.push(Ready::new(key, readable, writable).with_read_closed(connection.is_read_closed()));
            }
        }
        if faults.shuffle {
            self.net.shuffle(&mut ready[first..]);
        }
    }

    fn count_wait(&mut self) -> io::Result<()> {
        self.net.count_wait();
        let now = self.net.elapsed();
        if self.instant.0 != now {
            self.instant = (now, 0);
        }
        self.instant.1 += 1;
        if self.instant.1 > MAX_WAITS_AN_INSTANT { Err(io::Error::other(Stuck::BusyLoop)) } else { Ok(()) }
    }
}

impl Dispatcher for SimDispatcher {
    fn register(&mut self, key: Key, io: &mut Io, interest: Interest) -> io::Result<()> {
        self.keys.vacant(key)?;
        let watched = self.watched(io, interest)?;
        self.keys.insert(key, watched)
    }

    fn reregister(&mut self, key: Key, io: &mut Io, interest: Interest) -> io::Result<()> {
        self.keys.get_mut(key)?;
        *self.keys.get_mut(key)? = self.watched(io, interest)?;
        Ok(())
    }

    fn deregister(&mut self, key: Key, io: Io) {
        self.keys.remove(key);
        drop(io);
    }

    fn waker(&self) -> Waker {
        self.woken.clone().into()
    }

    fn clock(&self) -> Clock {
        let net = self.net.clone();
        Clock::new(move || net.now())
    }
}

impl Wait for SimDispatcher {
    fn wait(&mut self, deadline: Option<Instant>, ready: &mut Vec<Ready>) -> io::Result<()> {
        self.count_wait()?;
        let deadline = deadline.map(|deadline| self.net.elapsed_at(deadline));
        let before = ready.len();
        loop {
            self.net.run_due();
            self.observe(ready);
            let woken = self.woken.0.swap(false, Ordering::AcqRel);
            if woken
                || ready.len() > before
                || deadline.is_some_and(|deadline| deadline <= self.net.elapsed())
            {
                return Ok(());
            }
            let Some(next) = self.net.next_job().into_iter().chain(deadline).min() else {
                return Err(io::Error::other(Stuck::Deadlock));
            };
            self.net.move_clock(next);
        }
    }
}
