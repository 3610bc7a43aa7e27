//! Points 2 and 3 of the contract: what becomes ready is reported, under its own key.

use std::collections::BTreeSet;

use websocket_dispatcher::{Dispatcher as _, Interest, Key, Ready, Wait as _};

use super::rig::{Line, Rig, drain, fill, read_once};
use super::{Far, Host};

/// More than one batch of most loops, and in descriptors less than most systems allow.
const MANY: u32 = 300;

/// Bytes that arrive end a wait.
pub fn readable_is_reported<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    let mut line = rig.open(0, Interest::Read);
    line.far.write(b"x");
    rig.until_readable("bytes", line.key);
    assert_eq!(drain(&mut line.io).expect("an open stream"), (b"x".to_vec(), false));
}

/// Room to write ends a wait.
pub fn writable_is_reported<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    let write = rig.open(0, Interest::Write);
    rig.until_writable("room", write.key);
    let both = rig.open(1, Interest::ReadWrite);
    rig.until_writable("room, where reading is of interest too,", both.key);
}

/// Bytes that arrived before the registration are reported after it.
pub fn what_is_ready_at_registration_is_reported<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    let (io, far) = rig.pair();
    let mut line = Line { key: Key::new(0, 0), io, far };
    line.receive_all_but_first(b"two");
    rig.dispatcher.register(line.key, &mut line.io, Interest::Read).expect("a new key can be registered");
    rig.until_readable("bytes from before the registration", line.key);
}

/// What arrives after a read to `WouldBlock` is reported again, time after time.
pub fn new_bytes_after_draining_are_reported<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    let mut line = rig.open(0, Interest::Read);
    for round in 0..5 {
        line.far.write(&[round; 3]);
        let mut received = Vec::new();
        while received.len() < 3 {
            rig.until_readable("bytes after all earlier ones were read", line.key);
            received.extend(drain(&mut line.io).expect("an open stream").0);
        }
        assert_eq!(received, [round; 3]);
    }
}

/// Room that comes after a write hit `WouldBlock` is reported, time after time.
pub fn room_after_a_full_buffer_is_reported<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    let mut line = rig.open(0, Interest::Write);
    rig.until_writable("room", line.key);
    for _ in 0..3 {
        fill(&mut line.io);
        let (key, far) = (line.key, &mut line.far);
        rig.until_done("room after the peer has read", |ready| {
            far.drain();
            ready.iter().any(|ready| ready.key == key && ready.writable)
        });
    }
}

/// The end of the peer's side is something to read.
pub fn a_half_close_is_readable<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    let mut line = rig.open(0, Interest::Read);
    line.far.shutdown();
    rig.until_readable("the end of the peer's side", line.key);
    assert_eq!(drain(&mut line.io).expect("an orderly end"), (vec![], true));
}

/// The end of the peer is something to read, behind its last bytes.
pub fn a_hang_up_is_readable<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    let mut line = rig.open(0, Interest::Read);
    line.far.write(b"bye");
    line.far.close();
    let mut received = Vec::new();
    loop {
        rig.until_readable("the peer's last bytes and its end", line.key);
        let (bytes, ended) = drain(&mut line.io).expect("an orderly end");
        received.extend(bytes);
        if ended {
            break;
        }
    }
    assert_eq!(received, b"bye");
}

/// A reset is something to read.
pub fn a_reset_is_readable<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    let mut line = rig.open(0, Interest::Read);
    line.far.reset();
    rig.until_readable("a reset", line.key);
    drain(&mut line.io).expect_err("reading tells of the reset");
}

/// A reset is also reported to a stream that waits for room.
pub fn a_reset_ends_the_wait_for_room<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    let mut line = rig.open(0, Interest::Write);
    rig.until_writable("room", line.key);
    fill(&mut line.io);
    line.far.reset();
    rig.until_writable("a reset while the buffer was full", line.key);
}

/// Where hundreds of streams are ready, each is reported, and every wait that has something to report reports
/// something.
pub fn many_streams_at_once_are_all_reported<H: Host>(host: &mut H) {
    #[cfg(unix)]
    allow_descriptors();
    let mut rig = Rig::new(host);
    let mut lines: Vec<_> = (0..MANY).map(|slot| rig.open(slot, Interest::Read)).collect();
    for _ in 0..2 {
        for line in &mut lines {
            line.far.write(b"x");
        }
        let mut missing: BTreeSet<_> = lines.iter().map(|line| line.key).collect();
        rig.until("each of hundreds of streams", |ready| {
            for ready in ready.iter().filter(|ready| ready.readable && missing.remove(&ready.key)) {
                drain(&mut lines[ready.key.slot()].io).expect("an open stream");
            }
            missing.is_empty()
        });
    }
}

/// Lets this process open as many descriptors as the system would give it, within reason: some start with
/// 256.
#[cfg(unix)]
fn allow_descriptors() {
    use nix::sys::resource::{Resource::RLIMIT_NOFILE, getrlimit, setrlimit};
    if let Ok((soft, hard)) = getrlimit(RLIMIT_NOFILE) {
        // Where it is refused, opening the streams tells.
        let _ = setrlimit(RLIMIT_NOFILE, soft.max(hard.min(4096)), hard);
    }
}

/// A wait adds to the list that it is given and removes nothing.
pub fn observations_are_appended<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    let mut line = rig.open(0, Interest::Read);
    line.far.write(b"x");
    let earlier = Ready::new(Key::new(7, 7), false, true);
    let mut ready = vec![earlier];
    while !ready.iter().any(|ready| ready.key == line.key) {
        let deadline = rig.dispatcher.now() + H::PATIENCE;
        rig.dispatcher.wait(Some(deadline), &mut ready).expect("a wait succeeds");
        assert_eq!(ready.first(), Some(&earlier), "what was in the list is gone");
        assert!(rig.dispatcher.now() < deadline, "bytes: not reported");
    }
}

/// Where [`short_read_drains`](websocket_dispatcher::Dispatcher::short_read_drains) is promised: what arrives
/// after a short read is reported, and an end that had arrived before it was flagged, or is reported once
/// more.
pub fn a_short_read_that_drains_is_followed_by_news<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    if !rig.dispatcher.short_read_drains() {
        return;
    }
    for slot in 0..8 {
        let mut line = rig.open(slot, Interest::Read);
        let (key, io) = (line.key, &mut line.io);
        let is_mine = |ready: &&Ready| ready.key == key && ready.readable;
        for _ in 0..3 {
            line.far.write(b"abc");
            rig.until("bytes after a short read", |ready| {
                ready.iter().any(|ready| is_mine(&ready)) && read_once(io) == Some(3)
            });
        }
        // The end may arrive with the bytes or after them, and after the wait or the read. It must come out
        // each time.
        line.far.write(b"abc");
        line.far.shutdown();
        rig.until("the end that came with the last bytes", |ready| {
            ready.iter().filter(is_mine).any(|ready| read_once(io) == Some(0) || ready.read_closed)
        });
        assert!(drain(io).expect("an orderly end").1, "an end was flagged that is none");
        rig.dispatcher.deregister(key, line.io);
    }
}
