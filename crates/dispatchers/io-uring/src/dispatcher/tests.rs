//! Kernels that are not this one: the contract holds on them as well.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use websocket_dispatcher::MioDispatcher;

use super::*;

/// Rings so small that they are always full.
const FEW: u32 = 2;

const PATIENCE: Duration = Duration::from_secs(10);

fn or_mio(ring: io::Result<Ring>) -> Box<dyn Wait> {
    match ring.and_then(IoUringDispatcher::on) {
        Ok(dispatcher) => Box::new(dispatcher),
        Err(error) => {
            eprintln!("skipped: {error}");
            Box::new(MioDispatcher::new().unwrap())
        }
    }
}

mod one_shot {
    use super::*;
    websocket_testkit::conformance!(or_mio(Ring::one_shot(ENTRIES)));
}

mod full {
    use super::*;
    websocket_testkit::conformance!(or_mio(Ring::new(FEW)));
}

mod one_shot_and_full {
    use super::*;
    websocket_testkit::conformance!(or_mio(Ring::one_shot(FEW)));
}

fn open() -> Option<IoUringDispatcher> {
    IoUringDispatcher::new().inspect_err(|error| eprintln!("skipped: {error}")).ok()
}

/// A stream under a key in `dispatcher`, and its far end.
fn watched(dispatcher: &mut IoUringDispatcher, key: Key, interest: Interest) -> (Io, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    far.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut io = Io::unix(near).unwrap();
    dispatcher.register(key, &mut io, interest).unwrap();
    (io, far)
}

fn look(dispatcher: &mut IoUringDispatcher) -> Vec<Ready> {
    let mut ready = Vec::new();
    dispatcher.wait(Some(Instant::now()), &mut ready).unwrap();
    ready
}

/// The kernel ends the requests of a thread that ends, also those of streams that live on.
#[test]
fn a_dispatcher_may_move_to_another_thread() {
    let Some(mut dispatcher) = open() else { return };
    // That the request for wakes is made here leaves only the stream's to be lost.
    look(&mut dispatcher);
    let key = Key::new(0, 0);
    let (_io, mut far) = watched(&mut dispatcher, key, Interest::Read);
    let asked = thread::spawn(move || {
        assert_eq!(look(&mut dispatcher), []);
        dispatcher
    });
    let mut dispatcher = asked.join().unwrap();
    far.write_all(b"x").unwrap();
    let (patience, mut ready) = (Instant::now() + PATIENCE, Vec::new());
    while ready.is_empty() {
        dispatcher.wait(Some(patience), &mut ready).unwrap();
        assert!(Instant::now() < patience, "the request was lost with its thread");
    }
    assert_eq!(ready, [Ready::new(key, true, false)]);
}

/// Without another wait: the kernel holds a socket open while it is polled.
#[test]
fn deregistering_closes_at_once() {
    let Some(mut dispatcher) = open() else { return };
    let key = Key::new(0, 0);
    let (mut io, mut far) = watched(&mut dispatcher, key, Interest::ReadWrite);
    look(&mut dispatcher);
    dispatcher.reregister(key, &mut io, Interest::Read).unwrap();
    dispatcher.deregister(key, io);
    assert_eq!(far.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_report_for_an_obsolete_request_is_dropped() {
    let Some(mut dispatcher) = open() else { return };
    let (old, new) = (Key::new(0, 0), Key::new(0, 1));
    let (io, mut far) = watched(&mut dispatcher, old, Interest::Read);
    look(&mut dispatcher);
    // In the ring from here on, and not taken.
    far.write_all(b"x").unwrap();
    dispatcher.deregister(old, io);
    let (_heir, _far) = watched(&mut dispatcher, new, Interest::Read);
    for _ in 0..3 {
        assert_eq!(look(&mut dispatcher), []);
    }
}
