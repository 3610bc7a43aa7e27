//! What is special to the poller: sources of the host beside the streams, shares of these, levels. The poller itself watches only
//! what poll(2) has no seats for, so each test runs with the seats free and with all of them taken.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use polling::Event;
use websocket_app::{Reactor, RunOptions, WebSocketApp};
use websocket_dispatcher::{Dispatcher as _, Interest, Io, Key, Wait as _};
use websocket_dispatcher_polling::PollingDispatcher;
use websocket_testkit::server::ScriptedServer;

const PATIENCE: Duration = Duration::from_secs(10);
const MORE_THAN_SEATS: usize = 20;
const FIRST_IDLE: u32 = 100;

fn pair() -> (Io, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (far, _) = listener.accept().unwrap();
    far.set_read_timeout(Some(PATIENCE)).unwrap();
    (Io::tcp(near).unwrap(), far)
}

/// Dispatchers with their seats free and taken, and the streams that are in them.
fn dispatchers() -> impl Iterator<Item = (PollingDispatcher, Vec<(Io, TcpStream)>)> {
    [0, MORE_THAN_SEATS].into_iter().map(|streams| {
        let mut dispatcher = PollingDispatcher::new().unwrap();
        let mut idle: Vec<_> = (0..streams).map(|_| pair()).collect();
        for (slot, (io, _)) in (FIRST_IDLE..).zip(&mut idle) {
            dispatcher.register(Key::new(slot, 0), io, Interest::Read).unwrap();
        }
        (dispatcher, idle)
    })
}

#[test]
fn a_source_of_the_host_ends_a_wait_and_is_no_stream() {
    for (mut dispatcher, _idle) in dispatchers() {
        let (mut io, mut far) = pair();
        let key = Key::new(0, 0);
        dispatcher.register(key, &mut io, Interest::Read).unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let own = PollingDispatcher::OWN_KEYS;
        // SAFETY: the socket is deleted below, before it is dropped.
        unsafe { dispatcher.poller().add(&socket, Event::readable(own)).unwrap() };

        let mut ready = Vec::new();
        socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
        while dispatcher.own_events().next().is_none() {
            dispatcher.wait(Some(dispatcher.now() + PATIENCE), &mut ready).unwrap();
        }
        assert!(dispatcher.own_events().all(|event| event.key == own && event.readable));
        assert!(ready.is_empty(), "a source of the host was taken for a stream: {ready:?}");
        dispatcher.poller().delete(&socket).unwrap();

        far.write_all(b"x").unwrap();
        dispatcher.wait(Some(dispatcher.now() + PATIENCE), &mut ready).unwrap();
        assert!(ready.iter().all(|ready| ready.key == key && ready.readable) && !ready.is_empty());
        assert_eq!(dispatcher.own_events().count(), 0, "what an earlier wait saw is still there");
    }
}

#[test]
fn the_share_is_released_with_the_stream() {
    for (mut dispatcher, _idle) in dispatchers() {
        let (mut io, mut far) = pair();
        let key = Key::new(0, 0);
        dispatcher.register(key, &mut io, Interest::ReadWrite).unwrap();
        dispatcher.deregister(key, io);
        assert_eq!(far.read(&mut [0]).unwrap(), 0);
    }
}

#[test]
fn a_stream_that_is_dropped_too_early_does_no_harm() {
    for (mut dispatcher, _idle) in dispatchers() {
        let (mut io, mut far) = pair();
        dispatcher.register(Key::new(0, 0), &mut io, Interest::Read).unwrap();
        drop(io);
        let (mut io, mut heir) = pair();
        let key = Key::new(1, 0);
        dispatcher.register(key, &mut io, Interest::Read).unwrap();
        heir.write_all(b"x").unwrap();
        let mut ready = Vec::new();
        dispatcher.wait(Some(dispatcher.now() + PATIENCE), &mut ready).unwrap();
        assert!(ready.iter().all(|ready| ready.key == key) && !ready.is_empty(), "{ready:?}");
        drop(dispatcher);
        assert_eq!(far.read(&mut [0]).unwrap(), 0, "the dispatcher kept the connection open");
    }
}

#[test]
fn nothing_of_a_reactor_is_left_in_a_poller_that_lives_on() {
    let server = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        peer.read_to_end();
    })
    .unwrap();
    let (dispatcher, _idle) = dispatchers().last().unwrap();
    let mut reactor = Reactor::with_dispatcher(dispatcher).unwrap();
    let app = WebSocketApp::new(server.url());
    let id = app.run_on(&mut reactor, &RunOptions::new()).unwrap();
    reactor.run_until(|apps| apps.with(id, |app| app.is_open()).unwrap_or(true)).unwrap();
    let poller = reactor.dispatcher().poller().clone();
    drop(reactor);
    assert_eq!(Arc::strong_count(&poller), 1, "somebody still watches");
    server.join();
}

#[test]
fn the_end_of_a_peer_that_stays_to_read_does_not_make_the_loop_spin() {
    for (dispatcher, _idle) in dispatchers() {
        let server = ScriptedServer::start(|mut peer| {
            peer.accept_upgrade();
            peer.send_text("last words");
            peer.shutdown();
            peer.read_to_end();
        })
        .unwrap();
        let mut reactor = Reactor::with_dispatcher(dispatcher).unwrap();
        WebSocketApp::new(server.url()).run_on(&mut reactor, &RunOptions::new()).unwrap();
        let mut turns = 0;
        while !reactor.apps().is_empty() {
            reactor.poll(None).unwrap();
            turns += 1;
        }
        assert!(turns < 100, "{turns} turns");
        server.join();
    }
}
