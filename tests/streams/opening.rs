//! From `connect` to an open stream, or to a typed error.

use std::time::Duration;

use futures_util::StreamExt as _;
use websocket_app::{Error as AppError, RunOptions, UpgradeError};
use websocket_stream::{Error, WebSocketStream, connect};
use websocket_tests::{SERVER, URL, World, poll_once};

use super::{open, to_server};

fn options() -> RunOptions {
    RunOptions::new()
}

const fn assert_send<T: Send>(_: &T) {}

#[test]
fn the_response_is_there_when_the_stream_is_open() {
    let mut world = World::new();
    let listener = world.net.listen(SERVER);
    let connect = to_server(&world, &options())
        .configure(|app| app.header("X-First", "1").subprotocols(["chat"]))
        .configure(|app| app.header("X-Second", "2"));
    let mut connecting = connect.into_future();
    assert_send(&connecting);
    assert!(poll_once(&mut connecting).is_pending());
    world.settle();
    let peer = listener.accept().unwrap();
    let request = peer.accept_upgrade_with(&["Sec-WebSocket-Protocol: chat", "X-Server: sim"]).unwrap();
    assert_eq!((request.header("x-first"), request.header("x-second")), (Some("1"), Some("2")));
    let stream = world.block_on(connecting).unwrap();
    assert_send(&stream);
    assert_eq!(stream.response().subprotocol.as_deref(), Some("chat"));
    assert_eq!(stream.response().headers["x-server"], "sim");
    assert_eq!(stream.closed(), None);
}

#[test]
fn what_cannot_work_is_refused_with_the_error_of_the_app() {
    let mut world = World::new();
    let handle = world.reactor.handle();
    let refusal = world.block_on(connect("http://nowhere", &options(), &handle).into_future()).unwrap_err();
    assert!(matches!(refusal, Error::Connection(AppError::Url(_))), "{refusal}");
    let header = to_server(&world, &options()).configure(|app| app.header("X", "a\nb"));
    let refusal = world.block_on(header.into_future()).unwrap_err();
    assert!(matches!(refusal, Error::Connection(AppError::Header(_))), "{refusal}");
    assert!(world.net.attempts().is_empty());
}

#[test]
fn a_server_that_is_not_there_or_refuses_is_a_typed_error() {
    let mut world = World::new();
    world.net.refuse(SERVER);
    let failure = world.block_on(to_server(&world, &options()).into_future());
    assert!(matches!(failure, Err(Error::Connection(AppError::Connect { .. }))), "{failure:?}");

    let mut world = World::new();
    let listener = world.net.listen(SERVER);
    let mut connecting = to_server(&world, &options()).into_future();
    world.settle();
    listener.accept().unwrap().write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    let failure = world.block_on(&mut connecting);
    let Err(Error::Connection(AppError::Upgrade(UpgradeError::Status { response, .. }))) = failure else {
        panic!("{failure:?}")
    };
    assert_eq!(response.status, 403);
    assert!(poll_once(&mut connecting).is_pending(), "a future that has ended");
    assert!(world.reactor.apps().is_empty());
}

#[test]
fn the_first_connection_is_tried_for_as_the_policy_says() {
    let mut world = World::new();
    world.net.refuse(SERVER);
    let mut connecting = to_server(&world, &options().reconnect(Duration::from_secs(1))).into_future();
    world.settle();
    assert!(poll_once(&mut connecting).is_pending());
    let listener = world.net.listen(SERVER);
    world.run_for(Duration::from_secs(1));
    let _peer = world.accept(&listener);
    world.block_on(connecting).unwrap();
}

#[test]
fn a_future_that_is_dropped_ends_the_attempt_wherever_it_is() {
    for settled in [false, true] {
        for accepted in [false, true] {
            let mut world = World::new();
            let listener = world.net.listen(SERVER);
            let mut connecting =
                to_server(&world, &options().reconnect(Duration::from_secs(1))).into_future();
            assert!(poll_once(&mut connecting).is_pending());
            if settled {
                world.settle();
                if accepted {
                    // Opened, and not noticed any more.
                    drop(world.accept(&listener));
                }
            }
            drop(connecting);
            world.run_for(Duration::from_secs(5));
            assert!(world.reactor.apps().is_empty(), "settled {settled}, accepted {accepted}");
        }
    }
}

#[test]
fn a_reactor_that_is_gone_is_a_typed_error_at_once() {
    let handle = World::new().reactor.handle();
    let mut world = World::new();
    let failure = world.block_on(connect(URL, &options(), &handle).into_future());
    assert!(matches!(failure, Err(Error::Stopped)), "{failure:?}");
}

#[test]
fn a_reactor_that_is_dropped_leaves_nobody_waiting() {
    let mut world = World::new();
    let mut connecting = to_server(&world, &options()).into_future();
    world.net.black_hole(SERVER);
    world.settle();
    assert!(poll_once(&mut connecting).is_pending());
    let pair = open();
    let (mut first, mut second) = (pair.stream, open().stream);
    assert!(poll_once(&mut first.next()).is_pending());
    drop((world.reactor, pair.world));
    let mut world = World::new();
    assert!(matches!(world.block_on(connecting), Err(Error::Stopped)));
    assert!(matches!(world.block_on(first.next()), Some(Err(Error::Stopped))));
    assert!(world.block_on(first.next()).is_none());
    // Its reactor was dropped while nothing waited.
    assert!(matches!(world.block_on(second.close()), Err(Error::Stopped)));
    assert!(world.block_on(second.next()).is_none());
}

#[test]
fn a_reactor_that_stops_ends_its_streams() {
    let mut pair = open();
    pair.world.reactor.handle().stop();
    pair.world.settle();
    assert!(matches!(pair.world.block_on(pair.stream.next()), Some(Err(Error::Stopped))));
    let mut stream: WebSocketStream = pair.stream;
    assert!(stream.closed().is_some());
    assert!(pair.world.block_on(stream.close()).is_ok(), "the error was reported before");
}
