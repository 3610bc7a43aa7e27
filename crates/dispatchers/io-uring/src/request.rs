//! The names of requests, and what their reports mean.

use websocket_dispatcher::{Interest, Key, Ready};

/// The request for wakes.
pub(crate) const BELL: u64 = u64::MAX;
/// The requests that end others.
pub(crate) const CANCEL: u64 = u64::MAX - 1;

/// What a request is for, in the two highest bits of its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Poll,
    Receive,
    Send,
    /// One of the constants above.
    Other,
}

const KIND: u32 = 62;
const NUMBERS: u32 = 1 << 30;

/// Gives each request its own name: its kind, a number that no other request has for a long time, and the slot of its stream.
///
/// The report of a request that was ended may come late, when another is under way for the same slot.
#[derive(Default)]
pub(crate) struct Names(u32);

impl Names {
    pub(crate) const fn name(&mut self, kind: Kind, key: Key) -> u64 {
        self.0 = (self.0 + 1) % NUMBERS;
        (kind as u64) << KIND | (self.0 as u64) << 32 | key.slot() as u64
    }
}

/// The name of the request that sends the output at `place` of those under way.
pub(crate) const fn send(place: usize) -> u64 {
    (Kind::Send as u64) << KIND | place as u64
}

/// The kind in a name.
pub(crate) const fn kind(name: u64) -> Kind {
    match name >> KIND {
        0 => Kind::Poll,
        1 => Kind::Receive,
        2 => Kind::Send,
        _ => Kind::Other,
    }
}

/// The slot in a name, or the place of an output.
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
        let mut names = Names(NUMBERS - 3);
        let kinds = [Kind::Poll, Kind::Receive].into_iter().cycle();
        let mut given: Vec<_> = kinds.take(6).map(|kind| names.name(kind, key)).collect();
        given.extend([send(key.slot()), BELL, CANCEL]);
        for (at, name) in given.iter().enumerate() {
            let expected = match at {
                0..6 if at % 2 == 0 => Kind::Poll,
                0..6 => Kind::Receive,
                6 => Kind::Send,
                _ => Kind::Other,
            };
            assert_eq!(kind(*name), expected);
            assert!(expected == Kind::Other || slot(*name) == key.slot());
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
