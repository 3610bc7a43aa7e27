//! Connections that are made again after they were lost, in virtual time.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use websocket_app::{Reconnect, ReconnectError, RunOptions, WebSocketApp};
use websocket_testkit::frame;
use websocket_testkit::server::ScriptedServer;
use websocket_testkit::sim::SimListener;
use websocket_tests::{Log, SERVER, URL, World, error_line, outcome_line, run_forever};

const SECOND: Duration = Duration::from_secs(1);

fn fixed(delay: Duration) -> RunOptions {
    RunOptions::new().reconnect(delay)
}

/// A world with one app on it, and its server's backlog.
fn world_with(app: WebSocketApp, options: &RunOptions) -> (World, SimListener) {
    let mut world = World::new();
    let listener = world.net.listen(SERVER);
    app.run_on(&mut world.reactor, options).unwrap();
    world.settle();
    (world, listener)
}

#[test]
fn b121_b033_b037_a_lost_connection_is_made_again_after_the_delay() {
    let log = Log::new();
    let (mut world, listener) = world_with(log.app(URL), &fixed(3 * SECOND));
    for round in 0..3 {
        let peer = listener.accept().unwrap();
        peer.accept_upgrade().unwrap();
        world.settle();
        let opened: &[_] = if round == 0 { &["open"] } else { &["open", "reconnect"] };
        assert_eq!(log.take(), opened);
        peer.reset();
        world.settle();
        assert_eq!(
            log.take(),
            ["error Io(ConnectionReset)", "close: Io(ConnectionReset), retry in 3s"],
            "b035: each loss is told"
        );
        let lost = world.net.elapsed();
        world.run_until(lost + 3 * SECOND - Duration::from_nanos(1));
        assert!(listener.accept().is_none());
        world.run_until(lost + 3 * SECOND);
        assert_eq!(log.lines(), [""; 0]);
        if round == 2 {
            break;
        }
    }
}

#[test]
fn b113_a_close_during_the_delay_cancels_it() {
    let log = Log::new();
    let mut app = log.app(URL);
    let sender = app.sender();
    let (mut world, listener) = world_with(app, &fixed(SECOND));
    listener.accept().unwrap().reset();
    world.settle();
    assert_eq!(log.take().last().unwrap(), "close: Io(ConnectionReset), retry in 1s");
    sender.close();
    world.reactor.poll(Some(Duration::ZERO)).unwrap();
    assert!(world.reactor.apps().is_empty(), "within one turn");
    assert_eq!(world.reactor.next_deadline(), None);
    assert_eq!(log.lines(), [""; 0]);
}

#[test]
fn b017_one_socket_cannot_serve_several_attempts() {
    let (stream, _peer) = std::os::unix::net::UnixStream::pair().unwrap();
    let stream = websocket_app::dispatcher::Io::unix(stream).unwrap();
    let refused = WebSocketApp::new(URL).socket(stream).run_forever(&fixed(SECOND)).unwrap_err();
    assert!(matches!(refused, websocket_app::Error::Reconnect(ReconnectError::OneSocket)), "{refused}");
}

#[test]
fn b038_a_server_that_closes_as_it_should_is_not_bothered_again() {
    for (code, retried) in
        [(1000, false), (1001, true), (1008, false), (1011, true), (1012, true), (4000, false)]
    {
        let log = Log::new();
        let (mut world, listener) = world_with(log.app(URL), &fixed(SECOND));
        let peer = listener.accept().unwrap();
        peer.accept_upgrade().unwrap();
        peer.write(&frame::close(code, ""));
        world.settle();
        peer.shutdown();
        world.run_for(5 * SECOND);
        assert_eq!(listener.accept().is_some(), retried, "{code}");
        let retry = if retried { ", retry in 1s" } else { "" };
        assert_eq!(log.lines(), ["open".to_owned(), format!("close {code}, by server, clean{retry}")]);
    }
}

#[test]
fn b123_back_off_doubles_within_its_cap_and_limits() {
    let delays = Rc::new(Cell::new(Vec::new()));
    let seen = delays.clone();
    let app = WebSocketApp::new(URL).on_close(move |_, closed| {
        let mut delays = seen.take();
        delays.push(closed.retry_in);
        seen.set(delays);
    });
    let mut world = World::new();
    world.net.refuse(SERVER);
    let policy = Reconnect::backoff(SECOND, 10 * SECOND).max_retries(6);
    app.run_on(&mut world.reactor, &RunOptions::new().reconnect(policy)).unwrap();
    world.reactor.run().unwrap();
    let delays = delays.take();
    assert_eq!(delays.len(), 7);
    assert_eq!(delays[6], None);
    for (delay, bound) in delays.iter().zip([1, 2, 4, 8, 10, 10]) {
        assert!(delay.unwrap() <= bound * SECOND, "{delay:?} {bound}");
    }
    assert!(delays[..6].windows(2).any(|pair| pair[0] != pair[1]), "jitter");
}

#[test]
fn b037_on_close_promises_no_retry_to_whom_on_error_has_stopped() {
    for within in [None, Some(SECOND)] {
        let log = Log::new();
        let error = log.clone();
        let app = log.app(URL).on_error(move |app, it| {
            error.push(error_line(it));
            match within {
                None => app.apps().stop(),
                Some(timeout) => app.apps().stop_within(timeout),
            }
        });
        let (mut world, listener) = world_with(app, &fixed(SECOND));
        listener.accept().unwrap().reset();
        world.run_for(5 * SECOND);
        assert_eq!(log.lines(), ["error Io(ConnectionReset)", "close: Io(ConnectionReset)"]);
        assert!(world.reactor.apps().is_empty());
    }
}

#[test]
fn b011_the_outcome_of_an_earlier_attempt_is_not_that_of_the_run() {
    let server = ScriptedServer::start(|mut peer| {
        if peer.index() > 0 {
            peer.accept_upgrade();
            peer.read_to_end();
        }
    })
    .unwrap();
    let log = Log::new();
    let mut app = log.app(server.url()).on_open(|app, _| app.remove());
    let outcome = run_forever(&mut app, &fixed(Duration::from_millis(1))).unwrap();
    assert_eq!(outcome_line(&outcome), "stopped");
    assert_eq!(app.attempts().started, 2);
    server.join();
}

#[test]
fn an_app_that_waits_to_connect_again_holds_nothing_of_the_last_attempt() {
    #[derive(Debug)]
    struct Heavy(#[expect(dead_code, reason = "it is held, and that is what counts")] Arc<()>);
    impl std::fmt::Display for Heavy {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("as heavy as the body of a response")
        }
    }
    impl std::error::Error for Heavy {}

    let body = Arc::new(());
    let held = body.clone();
    let log = Log::new();
    let app = log.app(URL).socket_with(move || Err(io::Error::other(Heavy(held.clone()))));
    let (_world, _listener) = world_with(app, &fixed(SECOND));
    assert_eq!(log.lines(), ["error Connect(Other)", "close: Connect(Other), retry in 1s"]);
    assert_eq!(Arc::strong_count(&body), 2, "the test's and the function's");
}
