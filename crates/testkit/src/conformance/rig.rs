//! What the points have in common: waiting for something within limits, and for nothing without circles.

use std::io::{self, Read as _, Write as _};
use std::time::{Duration, Instant};

use websocket_dispatcher::{Dispatcher as _, Interest, Io, Key, Ready, Wait as _};

use super::{Far, Host};

/// How often an idle wait may return before its deadline. Once would do; a loop that rounds down or watches
/// too much returns thousands of times.
pub(super) const MAX_IDLE_WAITS: usize = 20;

/// One dispatcher under test.
pub(super) struct Rig<'h, H: Host> {
    host: &'h mut H,
    pub(super) dispatcher: H::Dispatcher,
}

/// One stream under test.
pub(super) struct Line<F> {
    pub(super) key: Key,
    pub(super) io: Io,
    pub(super) far: F,
}

impl<'h, H: Host> Rig<'h, H> {
    pub(super) fn new(host: &'h mut H) -> Self {
        let dispatcher = host.dispatcher();
        Self::on(host, dispatcher)
    }

    pub(super) fn on(host: &'h mut H, dispatcher: H::Dispatcher) -> Self {
        Self { host, dispatcher }
    }

    pub(super) fn pair(&mut self) -> (Io, H::Far) {
        self.host.pair()
    }

    /// A new stream, registered under the first key of `slot`.
    pub(super) fn open(&mut self, slot: u32, interest: Interest) -> Line<H::Far> {
        self.open_as(Key::new(slot, 0), interest)
    }

    pub(super) fn open_as(&mut self, key: Key, interest: Interest) -> Line<H::Far> {
        let (mut io, far) = self.pair();
        self.dispatcher.register(key, &mut io, interest).expect("a new key can be registered");
        Line { key, io, far }
    }

    pub(super) fn reregister(&mut self, line: &mut Line<H::Far>, interest: Interest) {
        self.dispatcher
            .reregister(line.key, &mut line.io, interest)
            .expect("a live key can be re-registered");
    }

    /// One wait.
    pub(super) fn wait(&mut self, deadline: Option<Instant>) -> Vec<Ready> {
        let mut ready = Vec::new();
        self.dispatcher.wait(deadline, &mut ready).expect("a wait succeeds");
        ready
    }

    /// One wait that may look but not sleep.
    pub(super) fn look(&mut self) -> Vec<Ready> {
        let now = self.dispatcher.now();
        self.wait(Some(now))
    }

    /// Waits until `seen` has seen enough. It must be readiness that ends the wait, so the deadline is far
    /// away.
    pub(super) fn until(&mut self, what: &str, mut seen: impl FnMut(&[Ready]) -> bool) {
        let deadline = self.dispatcher.now() + H::PATIENCE;
        loop {
            let ready = self.wait(Some(deadline));
            assert!(self.dispatcher.now() < deadline, "{what}: not reported");
            if seen(&ready) {
                return;
            }
        }
    }

    pub(super) fn until_readable(&mut self, what: &str, key: Key) {
        self.until(what, |ready| ready.iter().any(|ready| ready.key == key && ready.readable));
    }

    pub(super) fn until_writable(&mut self, what: &str, key: Key) {
        self.until(what, |ready| ready.iter().any(|ready| ready.key == key && ready.writable));
    }

    /// Waits in short steps until `done` says so of what they reported, where it takes more than the
    /// dispatcher.
    pub(super) fn until_done(&mut self, what: &str, mut done: impl FnMut(&[Ready]) -> bool) {
        let patience = self.dispatcher.now() + H::PATIENCE;
        let mut ready = Vec::new();
        while !done(&ready) {
            assert!(self.dispatcher.now() < patience, "{what}: did not happen");
            let step = self.dispatcher.now() + H::PATIENCE / 1000;
            ready = self.wait(Some(step));
        }
    }

    /// Waits until `time` has passed in which nothing happens, and fails if the waits return in circles.
    /// Returns what was reported.
    pub(super) fn rest(&mut self, time: Duration) -> Vec<Ready> {
        let deadline = self.dispatcher.now() + time;
        let mut reported = Vec::new();
        let mut waits = 0;
        while self.dispatcher.now() < deadline {
            reported.extend(self.wait(Some(deadline)));
            waits += 1;
            assert!(
                waits <= MAX_IDLE_WAITS,
                "{waits} waits returned before their deadline, reporting {reported:?}"
            );
        }
        reported
    }

    /// Fails if `key` is reported in any of several waits after the next one, which may still hold what was
    /// seen earlier.
    pub(super) fn stays_silent(&mut self, key: Key) {
        self.look();
        for _ in 0..4 {
            let ready = self.look();
            assert!(
                ready.iter().all(|ready| ready.key != key),
                "{key:?} was reported long after it died: {ready:?}"
            );
        }
    }
}

/// Reads what has arrived, to `WouldBlock` or the end.
///
/// Returns the bytes, and whether the stream has ended.
pub(super) fn drain(io: &mut Io) -> io::Result<(Vec<u8>, bool)> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        match io.read(&mut buffer) {
            Ok(0) => return Ok((bytes, true)),
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok((bytes, false)),
            Err(error) => return Err(error),
        }
    }
}

/// Reads once. `None` if there was nothing, which any observation may turn out to mean.
pub(super) fn read_once(io: &mut Io) -> Option<usize> {
    match io.read(&mut [0; 64]) {
        Ok(read) => Some(read),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
        Err(error) => panic!("an open stream can be read: {error}"),
    }
}

/// Writes until the stream takes no more.
pub(super) fn fill(io: &mut Io) {
    let bytes = [0; 64 * 1024];
    loop {
        match io.write(&bytes) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(error) => panic!("an open stream can be written to: {error}"),
        }
    }
}

impl<F: Far> Line<F> {
    /// Has the far end send `bytes`, and waits until they can be read here, where all but the first are left.
    pub(super) fn receive_all_but_first(&mut self, bytes: &[u8]) {
        self.far.write(bytes);
        let mut first = [0];
        while let Err(error) = self.io.read(&mut first) {
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{error}");
            std::thread::yield_now();
        }
    }
}
