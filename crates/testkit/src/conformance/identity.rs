//! Points 3, 4, 5 and 15 of the contract: keys, descriptors, and the end of a registration.

use std::io::{self, Read, Write};

use websocket_dispatcher::{Dispatcher as _, Interest, Io, Key, Stream};

use super::rig::{Rig, drain};
use super::{Far, Host};

/// A second stream under a live key is refused with `AlreadyExists`, and the first never notices.
pub fn registering_a_live_key_fails_and_changes_nothing<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    let mut first = rig.open(0, Interest::Read);
    let (mut io, mut far) = rig.pair();
    let error = rig.dispatcher.register(first.key, &mut io, Interest::ReadWrite);
    let error = error.expect_err("a live key cannot be registered again");
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists, "{error}");

    first.far.write(b"x");
    rig.until_readable("the first stream after the second was refused", first.key);
    drain(&mut first.io).expect("an open stream");
    let second = Key::new(1, 0);
    rig.dispatcher
        .register(second, &mut io, Interest::Read)
        .expect("the second stream is free for another key");
    far.write(b"x");
    rig.until_readable("the second stream under its own key", second);
}

/// A stream that no loop could know.
pub(super) struct Unknown;

impl Read for Unknown {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

impl Write for Unknown {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Unknown {}

/// A stream that the loop cannot watch is refused with `Unsupported`, and its key stays free.
pub fn a_refused_stream_leaves_its_key_free<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    let mut unknown = Io::custom(Unknown);
    let error = rig.dispatcher.register(Key::new(0, 0), &mut unknown, Interest::Read);
    let error = error.expect_err("what cannot be watched cannot be registered");
    assert_eq!(error.kind(), io::ErrorKind::Unsupported, "{error}");
    let mut line = rig.open(0, Interest::Read);
    line.far.write(b"x");
    rig.until_readable("a stream under a key that was refused to another", line.key);
}

/// Re-registering a key that was never registered, is not any more, or lost its slot to another fails with
/// `NotFound`.
pub fn reregistering_a_dead_key_fails<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    let (mut io, _far) = rig.pair();
    let mut refused = |rig: &mut Rig<'_, H>, key| {
        let error = rig.dispatcher.reregister(key, &mut io, Interest::ReadWrite);
        let error = error.expect_err("a dead key cannot be re-registered");
        assert_eq!(error.kind(), io::ErrorKind::NotFound, "{error}");
    };
    let (dead, heir) = (Key::new(3, 1), Key::new(3, 2));
    refused(&mut rig, dead);
    let line = rig.open_as(dead, Interest::Read);
    refused(&mut rig, heir);
    rig.dispatcher.deregister(dead, line.io);
    refused(&mut rig, dead);
    let mut line = rig.open_as(heir, Interest::Read);
    refused(&mut rig, dead);
    line.far.write(b"x");
    rig.until_readable("the heir of a slot", heir);
}

/// Deregistering closes the stream, at the latest with the next wait.
pub fn deregistering_closes_the_stream<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    let mut line = rig.open(0, Interest::ReadWrite);
    rig.until_writable("room", line.key);
    rig.dispatcher.deregister(line.key, line.io);
    rig.until_done("the end of a deregistered stream", |_| line.far.has_ended());
}

/// Deregistering under a stale key drops that stream and leaves the slot's new owner alone.
pub fn deregistering_a_stale_key_only_drops_the_stream<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    let (stale, live) = (Key::new(0, 1), Key::new(0, 2));
    let old = rig.open_as(stale, Interest::Read);
    rig.dispatcher.deregister(stale, old.io);
    let mut line = rig.open_as(live, Interest::Read);
    let (io, mut far) = rig.pair();
    rig.dispatcher.deregister(stale, io);
    rig.until_done("the end of the stream", |_| far.has_ended());
    line.far.write(b"x");
    rig.until_readable("the live stream in the slot of a stale key", live);
    assert!(!line.far.has_ended(), "the live stream was closed");
    rig.reregister(&mut line, Interest::ReadWrite);
}

/// Two streams are ready; handling one removes the other. What the batch still holds may come out, later
/// nothing.
pub fn a_stream_removed_inside_a_batch_stays_silent<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    let mut lines = [rig.open(0, Interest::Read), rig.open(1, Interest::ReadWrite)];
    rig.until_writable("room", lines[1].key);
    for line in &mut lines {
        line.receive_all_but_first(b"two");
    }
    let keys = lines.each_ref().map(|line| line.key);
    let mut reported = None;
    rig.until("either of two streams", |ready| {
        reported = ready.iter().find(|ready| ready.readable).map(|ready| ready.key);
        reported.is_some()
    });
    let [first, second] = lines;
    let (mut kept, removed) = if reported == Some(keys[0]) { (first, second) } else { (second, first) };
    rig.dispatcher.deregister(removed.key, removed.io);
    rig.stays_silent(removed.key);
    drain(&mut kept.io).expect("an open stream");
    kept.far.write(b"x");
    rig.until_readable("the stream that was kept", kept.key);
    rig.stays_silent(removed.key);
}

/// A slot that is used again is reported under its new key, and never under its old one.
pub fn a_reused_slot_reports_under_its_new_key<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    for generation in 0..4 {
        let (old, new) = (Key::new(5, 2 * generation), Key::new(5, 2 * generation + 1));
        let mut line = rig.open_as(old, Interest::Read);
        line.receive_all_but_first(b"two");
        rig.dispatcher.deregister(old, line.io);
        let mut line = rig.open_as(new, Interest::Read);
        line.far.write(b"x");
        rig.until_readable("the new stream in a slot", new);
        rig.stays_silent(old);
        rig.dispatcher.deregister(new, line.io);
    }
}

/// A unix stream socket is watched like any other.
#[cfg(unix)]
pub fn unix_streams_are_watched<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    let (near, mut far) = std::os::unix::net::UnixStream::pair().expect("a pair of unix sockets");
    let mut io = Io::unix(near).expect("a non-blocking unix socket");
    let key = Key::new(0, 0);
    rig.dispatcher.register(key, &mut io, Interest::ReadWrite).expect("a unix socket can be registered");
    rig.until_writable("room in a unix socket", key);
    far.write_all(b"x").expect("room for a byte");
    rig.until_readable("bytes in a unix socket", key);
    assert_eq!(drain(&mut io).expect("an open stream").0, b"x");
    rig.dispatcher.deregister(key, io);
    rig.stays_silent(key);
}

/// The kernel gives a closed descriptor's number to the next stream. That one is reported under its own key,
/// the dead one never.
#[cfg(unix)]
pub fn a_reused_descriptor_reports_under_its_own_key<H: Host>(host: &mut H) {
    use std::os::fd::AsRawFd as _;

    /// Other threads take numbers, too, so it may need some attempts.
    const ATTEMPTS: u32 = 1000;

    let number = |io: &Io| io.fd().map(|fd| fd.as_raw_fd());
    let mut rig = Rig::new(host);
    let mut reuses = 0;
    for attempt in 0..ATTEMPTS {
        let (dead, live) = (Key::new(0, attempt), Key::new(1, attempt));
        let mut line = rig.open_as(dead, Interest::ReadWrite);
        line.far.write(b"x");
        rig.until_readable("bytes", dead);
        let before = number(&line.io);
        // Should both ends be closed, the number could as well go to the far end of the next stream.
        let old_far = line.far;
        rig.dispatcher.deregister(dead, line.io);
        let mut line = rig.open_as(live, Interest::Read);
        let reused = number(&line.io) == before;
        if reused {
            line.far.write(b"x");
            rig.until_readable("a stream with a descriptor that was used before", live);
            rig.stays_silent(dead);
            drain(&mut line.io).expect("an open stream");
            line.far.write(b"x");
            rig.until_readable("more on a stream with a descriptor that was used before", live);
            reuses += 1;
        }
        rig.dispatcher.deregister(live, line.io);
        rig.look();
        old_far.close();
        if reuses == 3 {
            return;
        }
    }
    panic!("in {ATTEMPTS} attempts the system reused {reuses} descriptors, which is too few to tell");
}

/// No descriptor but that of the stream leads to its socket, whatever it is watched for.
#[cfg(target_os = "linux")]
pub fn a_socket_is_watched_by_its_own_descriptor<H: Host>(host: &mut H) {
    use std::os::fd::AsRawFd as _;

    let mut rig = Rig::new(host);
    let mut line = rig.open(0, Interest::ReadWrite);
    rig.until_writable("room", line.key);
    for interest in [Interest::Read, Interest::None, Interest::ReadWrite] {
        rig.reregister(&mut line, interest);
        rig.look();
        let own = line.io.fd().expect("a socket has a descriptor").as_raw_fd().to_string();
        let target = |descriptor: &str| std::fs::read_link(format!("/proc/self/fd/{descriptor}")).ok();
        let socket = target(&own);
        let all = std::fs::read_dir("/proc/self/fd").expect("the system shows the descriptors");
        let others: Vec<_> = all
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|descriptor| *descriptor != own && target(descriptor) == socket)
            .collect();
        assert!(others.is_empty(), "descriptor {own} is watched by {others:?}: see `Io::share`");
    }
    rig.dispatcher.deregister(line.key, line.io);
}
