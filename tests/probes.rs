//! `Context::probe`, and the probe after a jump of the clock. In virtual time.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use websocket_app::{Error, FeedError, Liveness, RunOptions, SendError, State, WebSocketApp};
use websocket_testkit::frame;
use websocket_testkit::sim::SimPeer;
use websocket_tests::{Log, URL, World, busy, run_forever};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

const LOST: [&str; 2] = ["error Timeout(Probe)", "close: Timeout(Probe)"];

/// How many pings the server was sent, all of which are answered if it `answers`.
fn pings(peer: &SimPeer, answers: bool) -> usize {
    let frames = std::iter::from_fn(|| peer.read_frame()).filter(|frame| frame.opcode == frame::PING);
    frames
        .map(|frame| {
            if answers {
                peer.write(&frame::pong(&frame.payload))
            }
        })
        .count()
}

fn probe(world: &mut World, deadline: Duration) -> Result<(), SendError> {
    let id = world.reactor.apps().ids()[0];
    world.reactor.apps().with(id, |app| app.probe(deadline)).unwrap()
}

#[test]
fn a_server_that_answers_keeps_its_connection_and_one_that_does_not_loses_it() {
    for answers in [true, false] {
        let (mut world, log) = (World::new(), Log::new());
        let peer =
            world.open(log.app(URL).on_pong(|_, _, rtt| assert_eq!(rtt, Some(MS))), &RunOptions::new());
        probe(&mut world, 3 * SECOND).unwrap();
        world.run_for(MS);
        assert_eq!(pings(&peer, answers), 1);
        world.run_until(3 * SECOND - MS);
        assert_eq!(log.take(), ["open"]);
        world.run_until(10 * SECOND);
        assert_eq!(log.take(), if answers { &[] } else { &LOST[..] });
    }
}

#[test]
fn it_is_retried_by_default_and_may_be_asked_for_by_a_sender() {
    let (mut world, log) = (World::new(), Log::new());
    let mut app = log.app(URL);
    let sender = app.sender();
    let listener = world.start(app, &RunOptions::new().reconnect(SECOND));
    world.accept(&listener);
    sender.run(|app| app.probe(SECOND));
    world.run_until(2 * SECOND);
    assert_eq!(log.take(), ["open", "error Timeout(Probe)", "close: Timeout(Probe), retry in 1s"]);
    world.accept(&listener);
    assert_eq!(log.take(), ["open", "reconnect"]);
}

#[test]
fn liveness_says_what_answers_it() {
    for (liveness, lives) in [(Liveness::AnyData, true), (Liveness::PongOnly, false)] {
        let mut world = World::new();
        let peer = world.open(WebSocketApp::new(URL), &RunOptions::new().liveness(liveness));
        probe(&mut world, SECOND).unwrap();
        world.settle();
        peer.write(&frame::text("hello"));
        world.run_until(SECOND);
        assert_eq!(world.reactor.apps().len(), usize::from(lives));
    }
}

#[test]
fn an_answer_that_came_while_another_app_was_busy_counts() {
    for answers in [true, false] {
        let (mut world, log) = (World::new(), Log::new());
        let peer = world.open(log.app(URL).on_pong(|_, _, _| ()), &RunOptions::new());
        probe(&mut world, 3 * SECOND).unwrap();
        world.settle();
        log.take();
        busy(&mut world, SECOND, 10 * SECOND);
        if answers {
            world.net.at(2 * SECOND, move |_| assert_eq!(pings(&peer, true), 1));
        }
        world.run_until(15 * SECOND);
        assert_eq!(log.take(), if answers { &[] } else { &LOST[..] });
    }
}

#[test]
fn without_an_open_connection_it_is_refused() {
    let mut world = World::new();
    let listener = world.start(WebSocketApp::new(URL), &RunOptions::new());
    assert_eq!(probe(&mut world, SECOND), Err(SendError::NotOpen(State::Connecting)));
    world.accept(&listener);
    let id = world.reactor.apps().ids()[0];
    world.reactor.apps().with(id, |app| app.close()).unwrap();
    assert_eq!(probe(&mut world, SECOND), Err(SendError::NotOpen(State::Closing)));
}

/// The process is stopped, which takes `time`, and continues.
fn stop_process(world: &mut World, time: Duration) {
    world.net.advance(time);
    world.settle();
}

#[test]
fn an_open_connection_is_probed_after_the_process_was_stopped() {
    let options = RunOptions::new().probe_after_jump(3 * SECOND);
    for answers in [true, false] {
        let (mut world, log) = (World::new(), Log::new());
        let peer = world.open(log.app(URL).on_pong(|_, _, _| ()), &options);
        world.run_until(60 * SECOND);
        // While everything is well there is none, nor after a short stop.
        stop_process(&mut world, 4 * SECOND);
        world.run_until(70 * SECOND);
        assert_eq!(pings(&peer, answers), 0);
        stop_process(&mut world, 600 * SECOND);
        assert_eq!(pings(&peer, answers), 1);
        world.run_for(3 * SECOND);
        assert_eq!(log.take().split_off(1), if answers { &[] } else { &LOST[..] });
        // Once.
        world.run_for(60 * SECOND);
        assert_eq!(pings(&peer, answers), 0);
    }
}

#[test]
fn apps_without_the_option_and_connections_that_are_not_open_are_not_probed() {
    let mut world = World::new();
    let peer = world.open(WebSocketApp::new(URL), &RunOptions::new());
    stop_process(&mut world, 600 * SECOND);
    assert_eq!(pings(&peer, false), 0);

    let (mut world, log) = (World::new(), Log::new());
    let options = RunOptions::new().probe_after_jump(3 * SECOND).close_timeout(7200 * SECOND);
    let peer = world.open(log.app(URL).on_open(|app, _| app.close()), &options);
    stop_process(&mut world, 600 * SECOND);
    assert_eq!(pings(&peer, false), 0);
    assert!(log.take().is_empty());
}

#[test]
fn a_deadline_of_zero_is_refused_before_any_io() {
    let options = RunOptions::new().probe_after_jump(Duration::ZERO);
    let refused = run_forever(&mut WebSocketApp::new(URL), &options).unwrap_err();
    assert!(matches!(refused, Error::Feed(FeedError::ProbeZero)));
}
