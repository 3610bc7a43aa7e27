//! The dispatcher itself.

use std::io;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Instant;

use polling::{Event, Events, Poller};
use websocket_dispatcher::{Dispatcher, Interest, Io, Key, Ready, Wait};

use crate::front::Front;
use crate::streams::Streams;

/// A [`Dispatcher`] on a [`Poller`]: see the [crate's page](crate).
#[derive(Debug)]
pub struct PollingDispatcher {
    events: Events,
    /// All streams; none of those at the front is in the poller.
    streams: Streams,
    front: Front,
    /// Reported and not watched since, where the poller forgets what it has reported.
    disarmed: Vec<Key>,
    waker: Waker,
}

struct Bell(Arc<Poller>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Err(error) = self.0.notify() {
            log::error!(target: "websocket::dispatcher", "a wake was lost: {error}");
        }
    }
}

impl PollingDispatcher {
    /// The first key for your own sources; `usize::MAX` belongs to the poller.
    pub const OWN_KEYS: usize = 1 << (usize::BITS - 1);

    /// Opens a poller.
    ///
    /// # Errors
    /// When the system has no descriptors left.
    pub fn new() -> io::Result<Self> {
        Self::with_front(Front::new())
    }

    fn with_front(front: Front) -> io::Result<Self> {
        let poller = Arc::new(Poller::new()?);
        let waker = Waker::from(Arc::new(Bell(poller.clone())));
        Ok(Self { events: Events::new(), streams: Streams::new(poller), front, disarmed: Vec::new(), waker })
    }

    /// The poller, to watch your own sources with it under keys from [`OWN_KEYS`](Self::OWN_KEYS) on.
    /// Leave the waiting to the dispatcher: another waiter would take the events that streams are waiting
    /// for. Some streams are not in it, so it does not show when the reactor is due.
    pub const fn poller(&self) -> &Arc<Poller> {
        self.streams.poller()
    }

    /// What the last wait saw of your own sources.
    pub fn own_events(&self) -> impl Iterator<Item = Event> + '_ {
        self.events.iter().filter(|event| event.key >= Self::OWN_KEYS)
    }
}

impl Dispatcher for PollingDispatcher {
    fn register(&mut self, key: Key, io: &mut Io, interest: Interest) -> io::Result<()> {
        self.streams.vacant(key)?;
        if key.slot() >= Self::OWN_KEYS {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                format!("{key:?} is among the keys of the host"),
            ));
        }
        match self.front.add(key, io.share()?, interest) {
            Ok(()) => self.streams.note(key),
            Err(source) => self.streams.add(key, source, interest),
        }
    }

    fn reregister(&mut self, key: Key, _: &mut Io, interest: Interest) -> io::Result<()> {
        self.streams.modify(key, interest)?;
        self.front.modify(key, interest);
        Ok(())
    }

    fn deregister(&mut self, key: Key, io: Io) {
        self.streams.remove(key);
        self.front.remove(key);
        drop(io);
    }

    fn waker(&self) -> Waker {
        self.waker.clone()
    }

    // What is left of a stream is reported by each wait until it is read.
    fn short_read_drains(&self) -> bool {
        true
    }
}

impl Wait for PollingDispatcher {
    fn wait(&mut self, deadline: Option<Instant>, ready: &mut Vec<Ready>) -> io::Result<()> {
        for key in self.disarmed.drain(..) {
            self.streams.rearm(key)?;
        }
        self.events.clear();
        self.front.wait(self.streams.poller(), deadline, ready, &mut self.events)?;
        for event in self.events.iter() {
            // An event for a slot that is used again is at worst spurious; one for an empty slot, or of a
            // source of the host, names no key.
            let Some(key) = self.streams.key_in(event.key) else { continue };
            let broken = event.is_interrupt() || event.is_err() == Some(true);
            ready.push(
                Ready::new(key, event.readable || broken, event.writable || broken).with_read_closed(broken),
            );
            if self.streams.disarms() {
                self.disarmed.push(key);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Front, PollingDispatcher};

    websocket_testkit::conformance!(PollingDispatcher::with_front(Front::without_seats()).unwrap());
}
