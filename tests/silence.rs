//! `silence_timeout`: an open connection that brings no data message is lost. In virtual time.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use websocket_app::{Error, FeedError, RunOptions, WebSocketApp};
use websocket_testkit::frame;
use websocket_testkit::sim::{Faults, SimNet, SimPeer};
use websocket_tests::{Log, URL, World, busy, run_forever};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn options() -> RunOptions {
    RunOptions::new().silence_timeout(5 * SECOND)
}

const LOST: [&str; 2] = ["error Timeout(Silence)", "close: Timeout(Silence)"];

/// Lets the server write `bytes` after `time`.
fn at(world: &World, time: Duration, peer: &SimPeer, bytes: Vec<u8>) {
    let peer = peer.clone();
    world.net.at(time, move |_| peer.write(&bytes));
}

/// What is told after the connection has opened, when it is and `bytes` come a second before the time is over; and whether
/// that put it off.
#[track_caller]
fn puts_off(bytes: &[u8], app: impl FnOnce(WebSocketApp) -> WebSocketApp) -> bool {
    let (mut world, log) = (World::new(), Log::new());
    let peer = world.open(app(log.app(URL)), &options());
    at(&world, 4 * SECOND, &peer, bytes.to_vec());
    world.run_until(5 * SECOND - MS);
    assert_eq!(world.reactor.apps().len(), 1);
    world.run_until(5 * SECOND);
    let lives = !world.reactor.apps().is_empty();
    world.run_until(9 * SECOND - MS);
    assert_eq!(!world.reactor.apps().is_empty(), lives);
    world.run_until(9 * SECOND);
    assert!(world.reactor.apps().is_empty());
    assert_eq!(log.take().last().unwrap(), LOST[1]);
    lives
}

#[test]
fn a_connection_without_a_message_is_lost_and_made_again_by_default() {
    let (mut world, log) = (World::new(), Log::new());
    let listener = world.start(log.app(URL), &options().reconnect(SECOND));
    let peer = world.accept(&listener);
    world.run_until(5 * SECOND - MS);
    assert_eq!(log.take(), ["open"]);
    world.run_until(5 * SECOND);
    assert_eq!(log.take(), ["error Timeout(Silence)", "close: Timeout(Silence), retry in 1s"]);
    // A server that is there is told.
    assert_eq!(peer.read_frame().unwrap().close(), Some((1001, String::new())));
    // The next connection has its time from when it is open.
    world.run_until(6 * SECOND);
    world.run_until(9 * SECOND);
    world.accept(&listener);
    world.run_until(14 * SECOND - MS);
    assert_eq!(log.take(), ["open", "reconnect"]);
    world.run_until(14 * SECOND);
    assert_eq!(log.take(), ["error Timeout(Silence)", "close: Timeout(Silence), retry in 1s"]);
}

#[test]
fn messages_put_it_off_and_pings_do_not() {
    assert!(puts_off(&frame::text("hello"), |app| app));
    assert!(puts_off(&frame::binary(b"hello"), |app| app));
    assert!(puts_off(&frame::text(""), |app| app));
    assert!(puts_off(&frame::text(&"x".repeat(100_000)), |app| app));
    assert!(!puts_off(&frame::ping(b"hello"), |app| app));
    assert!(!puts_off(&frame::pong(b"hello"), |app| app));
    assert!(!puts_off(&frame::text("cut")[..3], |app| app));
}

#[test]
fn fragments_put_it_off_where_they_are_delivered_and_else_the_whole_message() {
    let first = frame::encode(false, 0, frame::TEXT, b"fragment");
    assert!(puts_off(&first, |app| app.on_cont_message(|_, _| ())));
    assert!(!puts_off(&first, |app| app));
    let whole = [first, frame::encode(true, 0, 0, b"last")].concat();
    assert!(puts_off(&whole, |app| app));
}

#[test]
fn what_the_app_sends_and_keep_alive_do_not_put_it_off() {
    let (mut world, log) = (World::new(), Log::new());
    let app = log.app(URL).on_open(|app, _| {
        app.set_interval(SECOND, |app| app.send_text("hello"));
    });
    let peer = world.open(app, &options().ping_interval(2 * SECOND).ping_timeout(SECOND));
    for answered in [2500 * MS, 4500 * MS] {
        at(&world, answered, &peer, frame::pong(b"alive"));
    }
    world.run_until(5 * SECOND);
    assert_eq!(log.take().split_off(2), LOST);
}

#[test]
fn the_time_begins_when_on_open_has_returned_and_again_when_a_callback_has() {
    let (mut world, log) = (World::new(), Log::new());
    let (slow_open, slow_message) = (world.net.clone(), world.net.clone());
    let app = log
        .app(URL)
        .on_open(move |_, _| slow_open.advance(20 * SECOND))
        .on_message(move |_, _| slow_message.advance(20 * SECOND));
    let peer = world.open(app, &options());
    assert_eq!(world.net.elapsed(), 20 * SECOND);
    at(&world, 25 * SECOND - MS, &peer, frame::text("in time"));
    world.run_until(45 * SECOND - MS);
    world.run_until(50 * SECOND - 2 * MS);
    assert!(log.take().is_empty());
    world.run_until(50 * SECOND - MS);
    assert_eq!(log.take(), LOST);
}

#[test]
fn messages_that_wait_for_slow_callbacks_are_no_silence() {
    let (mut world, log) = (World::new(), Log::new());
    let net = world.net.clone();
    // Each takes nearly as long as the limit, and there are many in one read.
    let app = log.app(URL).on_message(move |_, _| net.advance(4900 * MS));
    let peer = world.open(app, &options());
    log.take();
    peer.write(&frame::text("slow").repeat(20));
    world.run_until(20 * 4900 * MS + 5 * SECOND - MS);
    assert!(log.take().is_empty());
    world.run_until(20 * 4900 * MS + 5 * SECOND);
    assert_eq!(log.take(), LOST);
}

#[test]
fn what_arrived_while_another_app_was_busy_is_read_before_the_verdict() {
    for arrives in [true, false] {
        let (mut world, log) = (World::new(), Log::new());
        let peer = world.open(log.app(URL), &options());
        log.take();
        busy(&mut world, SECOND, 10 * SECOND);
        if arrives {
            at(&world, 4 * SECOND, &peer, frame::text("in time"));
        }
        world.run_until(11 * SECOND);
        let expected: &[_] = if arrives { &["text in time"] } else { &LOST };
        assert_eq!(log.take(), expected);
    }
}

#[test]
fn a_connection_that_is_not_open_yet_or_closes_is_not_silent() {
    let mut faults = Faults::default();
    faults.latency = 3 * SECOND..=3 * SECOND;
    let mut world = World::on(SimNet::new(1).with_faults(faults));
    let log = Log::new();
    let listener = world.start(log.app(URL), &options().close_timeout(20 * SECOND));
    world.run_until(6 * SECOND);
    let peer = listener.accept().unwrap();
    world.run_until(8 * SECOND);
    peer.accept_upgrade().unwrap();
    world.run_until(12 * SECOND);
    assert_eq!(log.take(), ["open"]);
    let id = world.reactor.apps().ids()[0];
    world.reactor.apps().with(id, |app| app.close()).unwrap();
    world.run_until(30 * SECOND);
    assert!(log.take().is_empty());
    world.run_until(32 * SECOND);
    assert_eq!(log.take(), ["error Timeout(Close)", "close: Timeout(Close)"]);
}

#[test]
fn a_time_of_zero_is_refused_before_any_io() {
    let options = RunOptions::new().silence_timeout(Duration::ZERO);
    let refused = run_forever(&mut WebSocketApp::new(URL), &options).unwrap_err();
    assert!(matches!(refused, Error::Feed(FeedError::SilenceTimeoutZero)));
    assert_eq!(refused.to_string(), "silence_timeout must be above zero; leave it out to wait without limit");
}
