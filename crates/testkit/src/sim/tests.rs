//! The simulation, seen by a client that keeps to the contract of the dispatcher.

mod serving;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use websocket_dispatcher::{Dispatcher as _, Interest, Io, Key, Ready, Wait as _};
use websocket_link::{Answer, Connector as _, Query, Resolver as _, SocketOptions};

use super::*;
use crate::frame;

const KEY: Key = Key::new(0, 0);
const SECOND: Duration = Duration::from_secs(1);

fn addr(last: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, last], 80))
}

fn connect(net: &SimNet, address: SocketAddr) -> Io {
    net.clone().connect(address, &SocketOptions::default()).unwrap()
}

/// A connection without faults, registered for reading and writing, with its first readiness taken.
fn open(net: &SimNet) -> (SimDispatcher, Io, SimPeer) {
    let listener = net.listen(addr(1));
    let mut io = connect(net, addr(1));
    let mut dispatcher = net.dispatcher();
    dispatcher.register(KEY, &mut io, Interest::ReadWrite).unwrap();
    let peer = listener.accept().unwrap();
    assert!(wait(&mut dispatcher, None).unwrap()[0].writable);
    (dispatcher, io, peer)
}

fn wait(dispatcher: &mut SimDispatcher, timeout: Option<Duration>) -> io::Result<Vec<Ready>> {
    let mut ready = Vec::new();
    let deadline = timeout.map(|timeout| dispatcher.now() + timeout);
    dispatcher.wait(deadline, &mut ready).map(|()| ready)
}

fn stuck(outcome: io::Result<Vec<Ready>>) -> Stuck {
    *outcome.unwrap_err().into_inner().unwrap().downcast::<Stuck>().unwrap()
}

#[test]
fn an_edge_is_reported_once_and_a_level_as_long_as_it_lasts() {
    let net = SimNet::new(1);
    let (mut dispatcher, mut io, peer) = open(&net);
    peer.write(b"ab");
    assert!(wait(&mut dispatcher, Some(SECOND)).unwrap()[0].readable);
    assert_eq!(io.read(&mut [0]).unwrap(), 1);
    assert_eq!(peer.client_end().unread, 1);
    assert_eq!(wait(&mut dispatcher, Some(SECOND)).unwrap(), []);
    dispatcher.reregister(KEY, &mut io, Interest::Read).unwrap();
    assert_eq!(wait(&mut dispatcher, None).unwrap(), [Ready::new(KEY, true, false)]);

    let net = SimNet::new(1).with_trigger(Trigger::Level);
    let (mut dispatcher, mut io, peer) = open(&net);
    dispatcher.reregister(KEY, &mut io, Interest::Read).unwrap();
    peer.write(b"ab");
    for _ in 0..3 {
        assert_eq!(wait(&mut dispatcher, None).unwrap(), [Ready::new(KEY, true, false)]);
    }
    assert_eq!(io.read(&mut [0; 9]).unwrap(), 2);
    assert_eq!(wait(&mut dispatcher, Some(SECOND)).unwrap(), []);
}

#[test]
fn the_clock_moves_only_while_nothing_is_ready() {
    let net = SimNet::new(1);
    let (mut dispatcher, _io, peer) = open(&net);
    net.at(5 * SECOND, move |_| peer.write(b"x"));
    assert_eq!(wait(&mut dispatcher, Some(2 * SECOND)).unwrap(), []);
    assert_eq!(net.elapsed(), 2 * SECOND);
    dispatcher.waker().wake();
    assert_eq!(wait(&mut dispatcher, None).unwrap(), []);
    assert_eq!(net.elapsed(), 2 * SECOND);
    assert!(wait(&mut dispatcher, None).unwrap()[0].readable);
    assert_eq!((net.elapsed(), dispatcher.now()), (5 * SECOND, net.now()));
    assert_eq!(net.waits(), 4);
    assert_eq!(wait(&mut dispatcher, Some(Duration::ZERO)).unwrap(), []);
    assert_eq!(net.elapsed(), 5 * SECOND);
}

#[test]
fn a_wait_that_could_never_end_fails_instead() {
    let net = SimNet::new(1);
    let (mut dispatcher, _io, _peer) = open(&net);
    let error = dispatcher.wait(None, &mut Vec::new()).unwrap_err();
    assert_eq!(stuck(Err(error)), Stuck::Deadlock);
    let circles = (0..2_000_000).find_map(|_| wait(&mut dispatcher, Some(Duration::ZERO)).err());
    assert_eq!(stuck(Err(circles.unwrap())), Stuck::BusyLoop);
    net.advance(SECOND);
    assert_eq!(wait(&mut dispatcher, Some(Duration::ZERO)).unwrap(), []);
}

#[test]
fn each_kind_of_address_answers_in_its_way() {
    let mut net = SimNet::new(1);
    net.delay(addr(2), SECOND);
    net.black_hole(addr(3));
    net.fail(addr(4), io::ErrorKind::NetworkUnreachable);
    let _listener = net.listen(addr(5));
    net.delay(addr(5), 2 * SECOND);

    let mut dispatcher = net.dispatcher();
    let mut streams: Vec<_> = [1, 2, 3, 5].map(|last| connect(&net, addr(last))).into();
    for (slot, io) in streams.iter_mut().enumerate() {
        dispatcher.register(Key::new(slot as u32, 0), io, Interest::Write).unwrap();
    }
    let mut slots = Vec::new();
    while let Ok(ready) = wait(&mut dispatcher, None) {
        slots.extend(ready.iter().map(|ready| (ready.key.slot(), net.elapsed())));
    }
    assert_eq!(slots, [(0, Duration::ZERO), (1, SECOND), (3, 2 * SECOND)]);
    let refused = io::ErrorKind::ConnectionRefused;
    assert_eq!(streams[0].connected().unwrap_err().kind(), refused);
    assert_eq!(streams[1].connected().unwrap_err().kind(), refused);
    assert!(!streams[2].connected().unwrap());
    assert!(streams[3].connected().unwrap());
    let failed = net.connect(addr(4), &SocketOptions::default()).unwrap_err();
    assert_eq!(failed.kind(), io::ErrorKind::NetworkUnreachable);
    assert_eq!(net.attempts().len(), 5);
    assert_eq!(net.attempts()[4], (2 * SECOND, addr(4)));
}

#[test]
fn a_full_send_buffer_blocks_until_the_peer_reads() {
    let mut faults = Faults::default();
    faults.send_buffer = 10;
    let net = SimNet::new(1).with_faults(faults);
    let (mut dispatcher, mut io, peer) = open(&net);
    assert_eq!(peer.client_end().room, 10);
    assert_eq!(io.write(&[7; 25]).unwrap(), 10);
    assert_eq!(peer.client_end().room, 0);
    assert_eq!(io.write(b"x").unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert_eq!(wait(&mut dispatcher, Some(SECOND)).unwrap(), []);
    assert_eq!(peer.read_available(), [7; 10]);
    assert_eq!(wait(&mut dispatcher, Some(SECOND)).unwrap(), [Ready::new(KEY, false, true)]);
    assert_eq!(io.write(&[8; 3]).unwrap(), 3);
}

#[test]
fn ends_travel_behind_the_bytes_and_resets_answer_a_closed_socket() {
    let net = SimNet::new(1);
    let (mut dispatcher, mut io, peer) = open(&net);
    peer.write(b"last");
    peer.shutdown();
    assert_eq!(wait(&mut dispatcher, None).unwrap(), [Ready::new(KEY, true, false).with_read_closed(true)]);
    assert_eq!(io.read(&mut [0; 9]).unwrap(), 4);
    assert_eq!(io.read(&mut [0; 9]).unwrap(), 0);
    io.write_all(b"still here").unwrap();
    assert_eq!((peer.read_available(), peer.ended()), (b"still here".to_vec(), None));
    peer.close();
    io.write_all(b"hello?").unwrap();
    assert_eq!(io.write(b"?").unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(io.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::ConnectionReset);

    let (mut dispatcher, mut io, peer) = open(&net);
    peer.write(b"last");
    peer.reset();
    assert!(peer.client_end().reset);
    assert_eq!(wait(&mut dispatcher, None).unwrap(), [Ready::new(KEY, true, true).with_read_closed(true)]);
    assert_eq!(io.read(&mut [0; 9]).unwrap(), 4);
    assert_eq!(io.read(&mut [0; 9]).unwrap_err().kind(), io::ErrorKind::ConnectionReset);

    let (mut dispatcher, io, peer) = open(&net);
    dispatcher.deregister(KEY, io);
    assert_eq!(peer.ended(), Some(End::Fin));
    peer.write(b"too late");
    assert_eq!(peer.ended(), Some(End::Reset));
}

#[test]
fn names_resolve_fail_and_stall_as_set() {
    let net = SimNet::new(1);
    let mut resolver = net.resolver();
    let ip: IpAddr = [192, 0, 2, 9].into();
    resolver.name("now.test", &[ip]);
    resolver.failing("broken.test", io::ErrorKind::TimedOut);
    resolver.name("slow.test", &[ip]);
    resolver.delay("slow.test", Some(SECOND));
    resolver.delay("never.test", None);

    let answers = Arc::new(Mutex::new(Vec::new()));
    for host in ["now.test", "broken.test", "slow.test", "never.test", "unknown.test"] {
        let answers = answers.clone();
        let answer = Answer::new(move |outcome: io::Result<Vec<SocketAddr>>| {
            answers.lock().unwrap().push((host, outcome.map_err(|error| error.kind())));
        });
        resolver.resolve(Query::new(host, 443), answer);
    }
    let found = Ok(vec![SocketAddr::new(ip, 443)]);
    let mut expected = vec![
        ("now.test", found.clone()),
        ("broken.test", Err(io::ErrorKind::TimedOut)),
        ("unknown.test", Err(io::ErrorKind::NotFound)),
    ];
    assert_eq!(*answers.lock().unwrap(), expected);
    net.advance(100 * SECOND);
    expected.push(("slow.test", found));
    assert_eq!(*answers.lock().unwrap(), expected);
    assert_eq!(resolver.queries().len(), 5);
}

/// Sends `request` over a network with `faults` to a peer that upgrades and echoes frames, until `frames`
/// have come back or the stream ended. Returns what came and a journal of everything that the client saw.
fn conversation(seed: u64, trigger: Trigger, faults: Faults, frames: usize) -> (Vec<u8>, Vec<String>) {
    let net = SimNet::new(seed).with_trigger(trigger).with_faults(faults);
    net.serve_arrivals(addr(1), |peer| {
        peer.accept_upgrade();
        while let Some(frame) = peer.read_frame() {
            peer.write(&frame::binary(&frame.payload));
        }
    });
    let mut io = connect(&net, addr(1));
    let mut dispatcher = net.dispatcher();
    dispatcher.register(KEY, &mut io, Interest::ReadWrite).unwrap();
    let mut to_send = b"GET / HTTP/1.1\r\nSec-WebSocket-Key: x\r\n\r\n".to_vec();
    to_send.extend((0..frames).flat_map(|index| frame::masked(0x82, [index as u8; 4], &[index as u8; 100])));
    let (mut received, mut journal) = (Vec::new(), Vec::new());
    let mut watched_for = Interest::ReadWrite;
    let expected = 129 + frames * 102;
    while received.len() < expected {
        let ready = wait(&mut dispatcher, None).unwrap();
        journal.push(format!("{:?} {ready:?}", net.elapsed()));
        if ready.iter().any(|ready| ready.writable) && io.connected().is_ok_and(|connected| connected) {
            while !to_send.is_empty() {
                match io.write(&to_send) {
                    Ok(written) => drop(to_send.drain(..written)),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(_) => return (received, journal),
                }
            }
        }
        let interest = if to_send.is_empty() { Interest::Read } else { Interest::ReadWrite };
        if interest != watched_for {
            dispatcher.reregister(KEY, &mut io, interest).unwrap();
            watched_for = interest;
        }
        loop {
            let mut buffer = [0; 64];
            match io.read(&mut buffer) {
                Ok(0) => return (received, journal),
                Ok(read) => received.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => return (received, journal),
            }
        }
    }
    (received, journal)
}

#[test]
fn rough_weather_delays_but_never_loses_and_a_seed_decides_it_all() {
    let (calm, _) = conversation(1, Trigger::Edge, Faults::default(), 20);
    assert_eq!(calm.len(), 129 + 20 * 102);
    for trigger in [Trigger::Edge, Trigger::Level] {
        let mut journals = BTreeSet::new();
        for seed in 0..50 {
            let (rough, journal) = conversation(seed, trigger, Faults::rough(), 20);
            assert!(rough == calm, "seed {seed}, {trigger:?}");
            assert_eq!(journal, conversation(seed, trigger, Faults::rough(), 20).1);
            journals.insert(journal);
        }
        assert_eq!(journals.len(), 50);
    }
}

#[test]
fn a_server_that_may_vanish_does_so_after_any_byte() {
    let mut faults = Faults::rough();
    faults.fin = 5;
    faults.reset = 5;
    let lengths: Vec<_> =
        (0..50).map(|seed| conversation(seed, Trigger::Edge, faults.clone(), 20).0.len()).collect();
    let complete = 129 + 20 * 102;
    assert!(lengths.contains(&complete));
    assert!(lengths.iter().filter(|&&length| length < complete).count() > 20);
    assert!(lengths.iter().any(|&length| length > 129 && (length - 129) % 102 > 1));
}

#[test]
fn a_script_for_arrivals_is_called_when_the_connection_opens_and_when_something_arrives() {
    let net = SimNet::new(1);
    let calls = Rc::new(RefCell::new(Vec::new()));
    net.serve_arrivals(addr(1), {
        let calls = calls.clone();
        move |peer| calls.borrow_mut().push((peer.index(), peer.read_available(), peer.ended()))
    });
    let mut io = connect(&net, addr(1));
    net.advance(Duration::ZERO);
    io.write_all(b"a").unwrap();
    io.write_all(b"b").unwrap();
    net.advance(Duration::ZERO);
    drop(io);
    net.advance(Duration::ZERO);
    let expected = [(0, vec![], None), (0, b"ab".to_vec(), None), (0, vec![], Some(End::Fin))];
    assert_eq!(*calls.borrow(), expected);
}

#[test]
fn a_tap_hears_what_clients_read_and_write_and_nothing_else() {
    let net = SimNet::new(1);
    let heard = Rc::new(RefCell::new(Vec::new()));
    let lines = heard.clone();
    net.tap(move |index, what| lines.borrow_mut().push(format!("{index} {what:?}")));
    let (_, mut io, peer) = open(&net);
    peer.write(b"abc");
    assert_eq!(io.read(&mut [0; 2]).unwrap(), 2);
    io.write_all(b"de").unwrap();
    peer.reset();
    assert!(io.write(b"f").is_err());
    assert_eq!(*heard.borrow(), ["0 Read([97, 98])", "0 Written([100, 101])"]);
}
