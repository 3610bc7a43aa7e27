//! The streams that the dispatcher watches: whose each is, and what was reported of it and is not served yet.

use websocket_dispatcher::{Key, Ready};

use crate::id::{AppId, SourceId};
use crate::table::Table;

/// Whose stream a key of the dispatcher names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum KeyOwner {
    App(AppId),
    Source(SourceId),
}

/// The streams that the dispatcher watches.
#[derive(Default)]
pub(crate) struct Watched(Table<Stream>);

/// Every connection has one: it is as small as it can be.
struct Stream {
    owner: Key,
    is_source: bool,
    /// It was reported, and is in the queue of what is to be read.
    queued: bool,
    readable: bool,
    writable: bool,
    read_closed: bool,
}

impl Watched {
    /// Adds a stream, under a new key.
    pub(crate) fn insert(&mut self, owner: KeyOwner) -> Key {
        let (owner, is_source) = match owner {
            KeyOwner::App(id) => (id.0, false),
            KeyOwner::Source(id) => (id.0, true),
        };
        self.0.insert(Stream {
            owner,
            is_source,
            queued: false,
            readable: false,
            writable: false,
            read_closed: false,
        })
    }

    pub(crate) fn remove(&mut self, key: Key) {
        self.0.remove(key);
    }

    /// How many there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The dispatcher has reported a stream. Returns whether it is to be queued: one that is queued already keeps its place, for a
    /// level-triggered loop repeats itself until the stream has been read.
    pub(crate) fn report(&mut self, ready: Ready) -> bool {
        let Some(stream) = self.0.get_mut(ready.key) else { return false };
        stream.readable |= ready.readable;
        stream.writable |= ready.writable;
        stream.read_closed |= ready.read_closed;
        !std::mem::replace(&mut stream.queued, true)
    }

    /// The turn of a stream has come: takes what was reported of it, and says whose it is. `None` if it is not watched any more.
    pub(crate) fn take_report(&mut self, key: Key) -> Option<(KeyOwner, Ready)> {
        let stream = self.0.get_mut(key)?;
        let ready = Ready::new(key, stream.readable, stream.writable).with_read_closed(stream.read_closed);
        (stream.queued, stream.readable, stream.writable, stream.read_closed) = (false, false, false, false);
        let owner = match stream.is_source {
            true => KeyOwner::Source(SourceId(stream.owner)),
            false => KeyOwner::App(AppId(stream.owner)),
        };
        Some((owner, ready))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: KeyOwner = KeyOwner::App(AppId(Key::new(7, 1)));

    #[test]
    fn what_is_reported_again_before_its_turn_is_queued_once_and_served_together() {
        let mut watched = Watched::default();
        let key = watched.insert(OWNER);
        assert!(watched.report(Ready::new(key, true, false)));
        assert!(!watched.report(Ready::new(key, false, true).with_read_closed(true)));
        assert_eq!(
            watched.take_report(key),
            Some((OWNER, Ready::new(key, true, true).with_read_closed(true)))
        );
        assert!(watched.report(Ready::new(key, false, true)));
        assert_eq!(watched.take_report(key), Some((OWNER, Ready::new(key, false, true))));
    }

    #[test]
    fn a_stream_that_is_not_watched_any_more_is_neither_queued_nor_served() {
        let mut watched = Watched::default();
        let old = watched.insert(OWNER);
        assert!(watched.report(Ready::new(old, true, false)));
        watched.remove(old);
        assert!(!watched.report(Ready::new(old, true, false)));
        let owner = KeyOwner::Source(SourceId(Key::new(3, 1)));
        let new = watched.insert(owner);
        assert_eq!(watched.take_report(old), None);
        assert!(watched.report(Ready::new(new, true, false)));
        assert_eq!(watched.take_report(new), Some((owner, Ready::new(new, true, false))));
    }
}
