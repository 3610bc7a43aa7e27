//! Kernels that are not this one: the contract holds on them as well.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
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

mod polling {
    use super::*;
    websocket_testkit::conformance!(or_mio(Ring::new(ENTRIES)));
}

mod full {
    use super::*;
    websocket_testkit::conformance!(or_mio(Ring::completing(FEW)));
}

mod polling_and_full {
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

/// One that receives and sends, where the kernel can.
fn completing() -> Option<IoUringDispatcher> {
    open().filter(|dispatcher| dispatcher.mode() == Mode::Completions)
}

#[test]
fn the_mode_is_what_the_ring_does() {
    let Some(dispatcher) = open() else { return };
    let polling = IoUringDispatcher::polling().unwrap();
    assert_eq!(polling.mode(), Mode::Polling);
    assert_eq!(dispatcher.mode() == Mode::Completions, Ring::completing(FEW).is_ok());
    assert!(format!("{polling:?}").contains("Polling"), "{polling:?}");
}

#[test]
fn a_socket_is_driven_only_where_the_ring_receives() {
    let Some(mut dispatcher) = completing() else { return };
    let (io, _far) = watched(&mut dispatcher, Key::new(0, 0), Interest::Read);
    assert!(io.is_driven() && io.is_socket());
    let mut polling = IoUringDispatcher::polling().unwrap();
    assert!(!watched(&mut polling, Key::new(0, 0), Interest::Read).0.is_driven());
}

#[test]
fn what_was_received_is_read_in_pieces_of_any_size() {
    let Some(mut dispatcher) = completing() else { return };
    let (mut io, mut far) = watched(&mut dispatcher, Key::new(0, 0), Interest::Read);
    look(&mut dispatcher);
    let sent: Vec<u8> = (0..30_000_u32).map(|at| (at ^ at >> 8) as u8).collect();
    far.write_all(&sent).unwrap();
    assert_eq!(look(&mut dispatcher).len(), 1, "several buffers are one report");
    let mut received = Vec::new();
    let mut piece = [0; 9000];
    for len in [1, 9000, 4096, 3, 8192, 9000] {
        let read = io.read(&mut piece[..len]).unwrap();
        received.extend_from_slice(&piece[..read]);
        // What is left is moved out of the ring's buffers.
        look(&mut dispatcher);
    }
    while received.len() < sent.len() {
        let read = io.read(&mut piece).unwrap();
        received.extend_from_slice(&piece[..read]);
    }
    assert!(received == sent);
    assert_eq!(io.read(&mut piece).unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

/// More arrives at once than there are buffers at first.
#[test]
fn streams_that_found_no_buffer_receive_later() {
    const EACH: usize = 120_000;
    let Some(mut dispatcher) = completing() else { return };
    let mut streams: Vec<_> =
        (0..8).map(|slot| watched(&mut dispatcher, Key::new(slot, 0), Interest::Read)).collect();
    look(&mut dispatcher);
    for (_, far) in &mut streams {
        far.write_all(&[7; EACH]).unwrap();
    }
    let mut received = [0; 8];
    let (patience, mut ready) = (Instant::now() + PATIENCE, Vec::new());
    while received.iter().sum::<usize>() < 8 * EACH {
        dispatcher.wait(Some(patience), &mut ready).unwrap();
        assert!(Instant::now() < patience, "{received:?} were received");
        for ready in ready.drain(..) {
            // Short reads are enough: what comes later is reported.
            let slot = ready.key.slot();
            received[slot] += streams[slot].0.read(&mut vec![0; EACH]).unwrap_or(0);
        }
    }
    assert_eq!(received, [EACH; 8]);
}

#[test]
fn a_socket_that_takes_no_more_is_flushed_when_there_is_room() {
    let Some(mut dispatcher) = completing() else { return };
    let key = Key::new(0, 0);
    let (mut io, mut far) = watched(&mut dispatcher, key, Interest::ReadWrite);
    let mut written = 0;
    while io.flush().is_ok() {
        written += io.write(&[7; 1000]).unwrap();
        look(&mut dispatcher);
    }
    assert_eq!(io.flush().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert_eq!(io.write(b"x").unwrap_err().kind(), io::ErrorKind::WouldBlock);
    far.read_exact(&mut vec![0; written - 1000]).unwrap();
    let (patience, mut ready) = (Instant::now() + PATIENCE, Vec::new());
    while !ready.iter().any(|ready: &Ready| ready.key == key && ready.writable) {
        dispatcher.wait(Some(patience), &mut ready).unwrap();
        assert!(Instant::now() < patience, "room was not reported");
    }
    io.flush().unwrap();
    look(&mut dispatcher);
    far.read_exact(&mut [0; 1000]).unwrap();
}

#[test]
fn output_that_was_refused_is_an_error_of_the_next_write() {
    let Some(mut dispatcher) = completing() else { return };
    let key = Key::new(0, 0);
    let (mut io, far) = watched(&mut dispatcher, key, Interest::Write);
    look(&mut dispatcher);
    drop(far);
    assert_eq!(io.write(b"to the dead").unwrap(), 11);
    assert!(look(&mut dispatcher).iter().any(|ready| ready.key == key && ready.writable));
    assert_eq!(io.flush().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn streams_may_outlive_their_dispatcher() {
    let Some(mut dispatcher) = completing() else { return };
    let (mut io, mut far) = watched(&mut dispatcher, Key::new(0, 0), Interest::Read);
    look(&mut dispatcher);
    drop(dispatcher);
    io.write_all(b"bye").unwrap();
    drop(io);
    let mut bytes = Vec::new();
    far.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, b"bye");
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
