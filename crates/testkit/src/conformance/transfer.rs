//! Point 14 of the contract: whatever a dispatcher does with the bytes on their way, they pass as on a socket.

use std::io::{self, Read as _, Write as _};

use websocket_dispatcher::{Dispatcher as _, Interest, Io};

use super::rig::{Rig, drain};
use super::{Far, Host};

/// Writes of these lengths, small ones beside large ones, which dispatchers may treat differently.
const LENGTHS: &[usize] = &[1, 700, 40_000, 2, 16 << 10, 3, 100_000, 5, 5, 9_000, 9_000, 33];

/// More than all buffers between two ends of a connection hold.
const TOO_MUCH: usize = 64 << 20;

/// Bytes that differ from what is before and behind them.
fn pattern(at: usize, len: usize) -> Vec<u8> {
    (at..at + len).map(|at| (at ^ at >> 8 ^ at >> 16) as u8).collect()
}

/// Writes all of `bytes`, while the far end takes what has come.
fn write_all<H: Host>(rig: &mut Rig<'_, H>, io: &mut Io, bytes: &[u8], mut far: impl FnMut()) {
    let mut rest = bytes;
    while !rest.is_empty() {
        match io.write(rest) {
            Ok(len) => rest = &rest[len..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                far();
                rig.look();
            }
            Err(error) => panic!("an open stream can be written to: {error}"),
        }
    }
}

/// What is written in pieces of many sizes arrives in order, and so does what is read.
pub fn bytes_keep_their_order<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    let mut line = rig.open(0, Interest::ReadWrite);
    let (mut sent, mut arrived) = (Vec::new(), Vec::new());
    for len in LENGTHS.iter().cycle().take(3 * LENGTHS.len()) {
        let bytes = pattern(sent.len(), *len);
        write_all(&mut rig, &mut line.io, &bytes, || {
            line.far.receive(&mut arrived);
        });
        sent.extend(bytes);
        if sent.len() % 3 == 0 {
            rig.look();
        }
    }
    rig.until_done("all that was written", |_| {
        line.far.receive(&mut arrived);
        arrived.len() >= sent.len()
    });
    assert!(arrived == sent, "what was written arrived in another order");

    let mut received = Vec::new();
    let mut at = 0;
    rig.until_done("all that the peer has sent", |_| {
        let rest = &sent[at..];
        at += line.far.send(&rest[..rest.len().min(30_000)]);
        received.extend(drain(&mut line.io).expect("an open stream").0);
        received.len() >= sent.len()
    });
    assert!(received == sent, "what the peer has sent was read in another order");
}

/// What was written arrives once the loop has waited, without another write.
pub fn what_was_written_goes_out_with_the_next_wait<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    let mut line = rig.open(0, Interest::Read);
    for round in 0..3 {
        write_all(&mut rig, &mut line.io, &[round; 3], || {});
        line.io.flush().expect("there is room");
        rig.look();
        let mut arrived = Vec::new();
        rig.until_done("what was written before a wait", |_| {
            line.far.receive(&mut arrived);
            arrived.len() == 3
        });
        assert_eq!(arrived, [round; 3]);
    }
}

/// What was written arrives once it is handed over, without a wait.
pub fn what_was_written_goes_out_when_it_is_handed_over<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    let mut line = rig.open(0, Interest::Read);
    rig.look();
    for round in 0..3 {
        line.io.write_all(&[round; 3]).expect("there is room");
        rig.dispatcher.hand_over();
        let deadline = std::time::Instant::now() + H::PATIENCE;
        let mut arrived = Vec::new();
        while arrived.len() < 3 && std::time::Instant::now() < deadline {
            line.far.receive(&mut arrived);
            std::thread::yield_now();
        }
        assert_eq!(arrived, [round; 3]);
        line.far.write(b"x");
        rig.until_readable("bytes after output was handed over", line.key);
        drain(&mut line.io).expect("an open stream");
    }
}

/// What was written arrives before the end of a stream that is deregistered right away.
pub fn what_was_written_goes_out_before_the_end<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    for (slot, interest) in (0..).zip([Interest::Read, Interest::ReadWrite, Interest::None]) {
        let mut line = rig.open(slot, interest);
        if slot == 1 {
            rig.look();
        }
        line.io.write_all(b"last words").expect("there is room");
        rig.dispatcher.deregister(line.key, line.io);
        let mut arrived = Vec::new();
        rig.until_done("the end behind the last words", |_| line.far.receive(&mut arrived));
        assert_eq!(arrived, b"last words");
    }
}

/// A peer that does not read is felt: writing ends with `WouldBlock`, and what was taken until then arrives.
pub fn a_peer_that_does_not_read_holds_back_the_writer<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    for (slot, len) in (0..).zip([500, 50_000]) {
        let mut line = rig.open(slot, Interest::ReadWrite);
        let mut written = 0;
        let mut refusals = 0;
        while refusals < 3 {
            match line.io.write(&pattern(written, len)) {
                Ok(taken) => written += taken,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    refusals += 1;
                    rig.look();
                }
                Err(error) => panic!("an open stream can be written to: {error}"),
            }
            assert!(written < TOO_MUCH, "{written} bytes were taken for a peer that does not read");
            if written % 7 == 0 {
                rig.look();
            }
        }
        let mut arrived = Vec::new();
        rig.until_done("what was taken from the writer", |_| {
            line.far.receive(&mut arrived);
            arrived.len() >= written
        });
        assert!(arrived == pattern(0, written), "what was taken is not what has arrived");
        rig.dispatcher.deregister(line.key, line.io);
    }
}

/// A peer whose bytes are not read is held back, whatever is of interest, and what it could send is read later.
pub fn a_peer_is_held_back_while_nothing_is_read<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    for (slot, interest) in (0..).zip([Interest::Read, Interest::None]) {
        let mut line = rig.open(slot, Interest::Read);
        rig.look();
        rig.reregister(&mut line, interest);
        let (mut sent, mut refusals) = (0, 0);
        while refusals < 20 {
            let bytes = pattern(sent, 10_000);
            let taken = line.far.send(&bytes);
            sent += taken;
            refusals = if taken == 0 { refusals + 1 } else { 0 };
            rig.look();
            assert!(sent < TOO_MUCH, "{sent} bytes were taken from a peer and not read");
        }
        rig.reregister(&mut line, Interest::Read);
        let mut received = Vec::new();
        while received.len() < sent {
            rig.until_readable("what the peer has sent meanwhile", line.key);
            received.extend(drain(&mut line.io).expect("an open stream").0);
        }
        assert!(received == pattern(0, sent), "what was read is not what the peer has sent");
        let mut other = rig.open(10 + slot, Interest::Read);
        other.far.write(b"x");
        rig.until_readable("bytes beside a stream that was not read", other.key);
        rig.dispatcher.deregister(other.key, other.io);
        rig.dispatcher.deregister(line.key, line.io);
    }
}

/// A read that finds nothing asks the system: what has arrived is not missed because the loop has not waited.
pub fn what_has_arrived_can_be_read_without_a_wait<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    let mut line = rig.open(0, Interest::Read);
    rig.look();
    for _ in 0..3 {
        line.receive_all_but_first(b"two");
        let mut rest = [0; 8];
        let deadline = std::time::Instant::now() + H::PATIENCE;
        let mut len = 0;
        while len < 2 && std::time::Instant::now() < deadline {
            len += line.io.read(&mut rest[len..]).unwrap_or(0);
        }
        assert_eq!(&rest[..len], b"wo");
        rig.look();
    }
}
