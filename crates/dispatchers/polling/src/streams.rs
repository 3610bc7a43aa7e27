//! What keeps the promise that the poller asks for: a source is deleted before it is closed.

use std::io;
use std::sync::Arc;

use polling::{Event, PollMode, Poller};
use websocket_dispatcher::{Interest, Key, KeyTable, Shared};

/// All streams of a dispatcher, and the poller that watches most of them.
///
/// A share of each is here as long as it is in the poller: it is released after the stream was deleted, which happens when it leaves,
/// or when this is dropped.
#[derive(Debug)]
pub(crate) struct Streams {
    poller: Arc<Poller>,
    mode: PollMode,
    /// `None` for those that are watched without the poller.
    table: KeyTable<Option<Watched>>,
}

/// One stream in the poller.
#[derive(Debug)]
struct Watched {
    source: Shared,
    interest: Interest,
}

impl Streams {
    pub(crate) fn new(poller: Arc<Poller>) -> Self {
        // Levels need no second read to learn that a stream has run dry. Without levels, a one-shot source
        // that is watched again is equivalent.
        let mode = if poller.supports_level() { PollMode::Level } else { PollMode::Oneshot };
        Self { poller, mode, table: KeyTable::new() }
    }

    pub(crate) const fn poller(&self) -> &Arc<Poller> {
        &self.poller
    }

    /// Whether the poller forgets what it has reported.
    pub(crate) fn disarms(&self) -> bool {
        self.mode == PollMode::Oneshot
    }

    pub(crate) fn vacant(&self, key: Key) -> io::Result<()> {
        self.table.vacant(key)
    }

    pub(crate) fn key_in(&self, slot: usize) -> Option<Key> {
        self.table.key_in(slot)
    }

    /// Notes a stream that is watched without the poller.
    pub(crate) fn note(&mut self, key: Key) -> io::Result<()> {
        self.table.insert(key, None)
    }

    /// Puts a stream into the poller.
    pub(crate) fn add(&mut self, key: Key, source: Shared, interest: Interest) -> io::Result<()> {
        self.table.vacant(key)?;
        // SAFETY: its share keeps the source open. It goes into the table, from where it is taken by `remove` and `drop` only, and both
        // delete it from the same poller before they release it. Nothing can fail in between.
        unsafe { self.poller.add_with_mode(&source, event(key, interest), mode(self.mode, interest))? };
        self.table.insert(key, Some(Watched { source, interest }))
    }

    /// Changes what a stream is watched for.
    pub(crate) fn modify(&mut self, key: Key, interest: Interest) -> io::Result<()> {
        if let Some(watched) = self.table.get_mut(key)? {
            watched.interest = interest;
            self.arm(key)?;
        }
        Ok(())
    }

    /// Watches a stream again that was reported, if it is watched for anything.
    pub(crate) fn rearm(&self, key: Key) -> io::Result<()> {
        match self.table.get(key) {
            Some(Some(watched)) if !watched.interest.is_none() => self.arm(key),
            _ => Ok(()),
        }
    }

    fn arm(&self, key: Key) -> io::Result<()> {
        let Some(Some(Watched { source, interest })) = self.table.get(key) else { return Ok(()) };
        self.poller.modify_with_mode(source, event(key, *interest), mode(self.mode, *interest))
    }

    /// Forgets a stream.
    pub(crate) fn remove(&mut self, key: Key) {
        if let Some(Some(watched)) = self.table.remove(key) {
            self.delete(&watched.source);
        }
    }

    fn delete(&self, source: &Shared) {
        if let Err(error) = self.poller.delete(source) {
            log::debug!(target: "websocket::dispatcher", "a stream left the poller with an error: {error}");
        }
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        for (_, watched) in self.table.iter() {
            watched.iter().for_each(|watched| self.delete(&watched.source));
        }
    }
}

fn event(key: Key, interest: Interest) -> Event {
    Event::new(key.slot(), interest.is_read(), interest.is_write())
}

/// A hang-up is reported also by a source that is watched for nothing: once is enough.
const fn mode(mode: PollMode, interest: Interest) -> PollMode {
    if interest.is_none() { PollMode::Oneshot } else { mode }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use websocket_dispatcher::Io;

    use super::*;

    #[test]
    fn a_stream_has_left_the_poller_when_its_share_is_released() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut io = Io::tcp(TcpStream::connect(listener.local_addr().unwrap()).unwrap()).unwrap();
        let poller = Arc::new(Poller::new().unwrap());
        let key = Key::new(0, 0);
        let mut first = Streams::new(poller.clone());
        let mut second = Streams::new(poller);
        first.add(key, io.share().unwrap(), Interest::Read).unwrap();
        second.add(key, io.share().unwrap(), Interest::Read).expect_err("the poller has it already");
        first.remove(key);
        second.add(key, io.share().unwrap(), Interest::Read).expect("it was removed");
        drop(second);
        first.add(key, io.share().unwrap(), Interest::Read).expect("its owner was dropped");
    }
}
