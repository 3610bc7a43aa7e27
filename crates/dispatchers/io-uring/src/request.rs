//! The names of requests, and what their reports mean.

use websocket_dispatcher::{Interest, Key, Ready};

/// The request for wakes.
pub(crate) const BELL: u64 = u64::MAX;
/// The requests that end others.
pub(crate) const CANCEL: u64 = u64::MAX - 1;

/// Gives each request its own name: the slot of its stream, and above it a number that no other request has
/// for a long time.
///
/// The report of a request that was ended may come late, when another is under way for the same slot.
#[derive(Default)]
pub(crate) struct Names(u32);

impl Names {
    pub(crate) const fn name(&mut self, key: Key) -> u64 {
        // The last number is that of the constants above.
        self.0 = (self.0 + 1) % u32::MAX;
        (self.0 as u64) << 32 | key.slot() as u64
    }
}

/// The slot in a name.
pub(crate) const fn slot(name: u64) -> usize {
    (name & u32::MAX as u64) as usize
}

/// What to poll for.
pub(crate) fn events(interest: Interest) -> u32 {
    let mut events = 0;
    if interest.is_read() {
        events |= libc::POLLIN | libc::POLLRDHUP;
    }
    if interest.is_write() {
        events |= libc::POLLOUT;
    }
    events as u32
}

/// What `result` says of the stream `key`. An error of the request itself shows up in whatever the stream is
/// used for.
pub(crate) fn ready(key: Key, result: i32) -> Ready {
    let seen = |events| result < 0 || result & i32::from(events) != 0;
    let broken = seen(libc::POLLERR | libc::POLLHUP | libc::POLLNVAL);
    Ready::new(key, broken || seen(libc::POLLIN | libc::POLLRDHUP), broken || seen(libc::POLLOUT))
        .with_read_closed(broken || seen(libc::POLLRDHUP))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_requests_have_the_same_name() {
        let key = Key::new(u32::MAX, 7);
        let mut names = Names(u32::MAX - 3);
        let given: Vec<_> = (0..6).map(|_| names.name(key)).collect();
        for (at, name) in given.iter().enumerate() {
            assert_eq!(slot(*name), key.slot());
            assert!(*name != BELL && *name != CANCEL);
            assert!(!given[..at].contains(name));
        }
    }

    #[test]
    fn an_end_and_an_error_are_readable() {
        let key = Key::new(0, 0);
        let read = |events: libc::c_short| ready(key, events.into());
        assert_eq!(read(libc::POLLIN), Ready::new(key, true, false));
        assert_eq!(read(libc::POLLOUT), Ready::new(key, false, true));
        assert_eq!(read(libc::POLLRDHUP), Ready::new(key, true, false).with_read_closed(true));
        for broken in [read(libc::POLLERR), read(libc::POLLHUP), ready(key, -libc::EINVAL)] {
            assert_eq!(broken, Ready::new(key, true, true).with_read_closed(true));
        }
    }
}
