//! Every part of the way has a deadline, in virtual time, and a response has limits.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use websocket_app::{Error, Outcome, RunOptions, UpgradeError};
use websocket_testkit::frame;
use websocket_testkit::server::ScriptedServer;
use websocket_tests::{Log, SERVER, URL, World, run_forever};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const DEFAULT: Duration = Duration::from_secs(10);

/// Runs a world until `at`, where `log` must get these lines, and not earlier.
#[track_caller]
fn expect_at(world: &mut World, log: &Log, at: Duration, lines: &[&str]) {
    world.run_until(at - MS);
    assert_eq!(log.take(), [""; 0]);
    world.run_until(at);
    assert_eq!(log.take(), lines);
    assert!(world.reactor.apps().is_empty());
}

#[test]
fn b132_resolving_has_a_deadline() {
    let short = RunOptions::new().resolve_timeout(250 * MS);
    for (options, timeout) in [(RunOptions::new(), DEFAULT), (short, 250 * MS)] {
        let mut world = World::new();
        world.resolver.delay("slow.test", None);
        let log = Log::new();
        log.app("ws://slow.test/").run_on(&mut world.reactor, &options).unwrap();
        expect_at(&mut world, &log, timeout, &["error Timeout(Resolve)", "close: Timeout(Resolve)"]);
        assert_eq!(world.net.attempts(), []);
    }
}

#[test]
fn b132_connecting_has_a_deadline() {
    let short = RunOptions::new().connect_timeout(250 * MS);
    for (options, timeout) in [(RunOptions::new(), DEFAULT), (short, 250 * MS)] {
        let mut world = World::new();
        world.net.black_hole(SERVER);
        let log = Log::new();
        log.app(URL).run_on(&mut world.reactor, &options).unwrap();
        expect_at(&mut world, &log, timeout, &["error Timeout(Connect)", "close: Timeout(Connect)"]);
    }
}

#[test]
fn b132_b133_connecting_has_one_deadline_for_all_addresses_which_starts_after_resolving() {
    let mut world = World::new();
    let addresses: Vec<std::net::IpAddr> = (1..=20).map(|last| [198, 51, 100, last].into()).collect();
    for address in &addresses {
        world.net.black_hole((*address, 80).into());
    }
    world.resolver.name("many.test", &addresses);
    world.resolver.delay("many.test", Some(5 * SECOND));
    let log = Log::new();
    log.app("ws://many.test/").run_on(&mut world.reactor, &RunOptions::new()).unwrap();
    expect_at(&mut world, &log, 15 * SECOND, &["error Timeout(Connect)", "close: Timeout(Connect)"]);
    let times: Vec<_> = world.net.attempts().into_iter().map(|(at, _)| at).collect();
    let staggered: Vec<_> = (0..20).map(|turn| 5 * SECOND + turn * 250 * MS).collect();
    assert_eq!(times, staggered);
}

#[test]
fn b132_a_server_that_accepts_and_never_answers_is_given_up() {
    let short = RunOptions::new().upgrade_timeout(250 * MS);
    for (options, timeout) in [(RunOptions::new(), DEFAULT), (short, 250 * MS)] {
        let mut world = World::new();
        let listener = world.net.listen(SERVER);
        let log = Log::new();
        log.app(URL).run_on(&mut world.reactor, &options).unwrap();
        world.settle();
        let peer = listener.accept().unwrap();
        assert!(peer.read_request().is_some());
        expect_at(&mut world, &log, timeout, &["error Timeout(Upgrade)", "close: Timeout(Upgrade)"]);
        assert!(peer.ended().is_some());
    }
}

#[test]
fn b133_a_response_that_drips_does_not_move_the_deadline() {
    let mut world = World::new();
    world.net.serve(SERVER, |peer| {
        let bytes = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nX-Slow: ".iter();
        for (step, byte) in bytes.chain([&b'x'; 10_000]).enumerate() {
            let peer = peer.clone();
            let byte = *byte;
            peer.net().clone().after(step as u32 * 300 * MS, move |_| peer.write(&[byte]));
        }
    });
    let log = Log::new();
    let options = RunOptions::new().upgrade_timeout(SECOND);
    log.app(URL).run_on(&mut world.reactor, &options).unwrap();
    expect_at(&mut world, &log, SECOND, &["error Timeout(Upgrade)", "close: Timeout(Upgrade)"]);
}

#[test]
fn b133_a_refusal_whose_body_drips_does_not_move_the_deadline() {
    let mut world = World::new();
    world.net.serve(SERVER, |peer| {
        peer.write(b"HTTP/1.1 500 Oops\r\nContent-Length: 1000\r\n\r\n");
        for step in 0..100 {
            let peer = peer.clone();
            peer.net().clone().after(step * 300 * MS, move |_| peer.write(b"x"));
        }
    });
    let log = Log::new();
    log.app(URL).run_on(&mut world.reactor, &RunOptions::new()).unwrap();
    world.run_until(500 * MS);
    assert_eq!(log.lines(), ["error Upgrade(Status 500)", "close: Upgrade(Status 500)"]);
}

#[test]
fn b130_an_open_connection_may_be_silent_for_as_long_as_it_likes() {
    let mut world = World::new();
    let log = Log::new();
    let peer = world.open(log.app(URL), &RunOptions::new());
    world.run_for(30 * 24 * 3600 * SECOND);
    assert_eq!(log.lines(), ["open"]);
    peer.write(&frame::text("still there"));
    world.settle();
    assert_eq!(log.lines(), ["open", "text still there"]);
}

#[test]
fn b130_a_deadline_that_the_clock_cannot_reach_is_as_good_as_none() {
    let mut world = World::new();
    let far = Duration::MAX;
    let options = RunOptions::new()
        .resolve_timeout(far)
        .connect_timeout(far)
        .upgrade_timeout(far)
        .close_timeout(far)
        .attempt_timeout(far)
        .ping_interval(far)
        .ping_timeout(far - SECOND);
    world.resolver.name("server.test", &[SERVER.ip()]);
    world.resolver.delay("server.test", Some(3600 * SECOND));
    let listener = world.net.listen(SERVER);
    world.net.delay(SERVER, 3600 * SECOND);
    let log = Log::new();
    let app = log.app("ws://server.test/").on_message(|app, _| {
        app.set_timeout(Duration::MAX, |_| ());
        app.set_interval(Duration::MAX, |_| ());
        app.close();
    });
    app.run_on(&mut world.reactor, &options).unwrap();
    world.run_until(3 * 3600 * SECOND);
    let peer = listener.accept().unwrap();
    peer.accept_upgrade().unwrap();
    world.run_for(3600 * SECOND);
    peer.write(&frame::text("close"));
    world.run_for(3600 * SECOND);
    assert_eq!(log.lines(), ["open"]);
    peer.write(&frame::close(1000, ""));
    world.run_for(3600 * SECOND);
    peer.shutdown();
    world.reactor.run().unwrap();
    assert_eq!(log.lines(), ["open", "close 1000, by client, clean"]);
}

#[test]
fn b132_a_server_that_never_answers_a_close_is_left() {
    let mut world = World::new();
    let log = Log::new();
    let peer =
        world.open(log.app(URL).on_message(|_, _| {}).on_open(|app, _| app.close()), &RunOptions::new());
    // Data is no answer.
    for step in 0..100 {
        let peer = peer.clone();
        world.net.after(step * 100 * MS, move |_| peer.write(&frame::text("busy")));
    }
    expect_at(&mut world, &log, 3 * SECOND, &["error Timeout(Close)", "close: Timeout(Close)"]);
}

#[test]
fn b132_a_server_that_broke_the_protocol_and_stays_is_left_too() {
    let mut world = World::new();
    let log = Log::new();
    let peer = world.open(log.app(URL), &RunOptions::new());
    world.run_for(SECOND);
    peer.write(&frame::encode(true, 0, 3, b""));
    world.settle();
    assert_eq!(log.take(), ["open", "error Protocol(UnknownOpcode(3))"]);
    assert_eq!(peer.read_frame().unwrap().close().map(|(code, _)| code), Some(1002));
    expect_at(&mut world, &log, 4 * SECOND, &["close: Protocol(UnknownOpcode(3))"]);
}

/// The error that a response of `head` leads to.
fn upgrade_error(head: String, options: &RunOptions) -> UpgradeError {
    let server = ScriptedServer::start(move |mut peer| {
        peer.read_request();
        // The client may hang up before all of it was written.
        let _ = peer.try_write(head.as_bytes());
        peer.read_to_end();
    })
    .unwrap();
    let log = Log::new();
    match run_forever(&mut log.app(server.url()), options).unwrap() {
        Outcome::Lost(Error::Upgrade(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn b134_the_headers_of_a_response_are_limited_in_bytes_and_number() {
    let endless = format!("HTTP/1.1 101 OK\r\nX: {}", "x".repeat(3 << 20));
    let error = upgrade_error(endless.clone(), &RunOptions::new());
    assert!(matches!(error, UpgradeError::HeadersTooLong { limit: 65536 }), "{error:?}");
    let error = upgrade_error(endless, &RunOptions::new().max_header_bytes(1000));
    assert!(matches!(error, UpgradeError::HeadersTooLong { limit: 1000 }), "{error:?}");
    let many = format!("HTTP/1.1 101 OK\r\n{}\r\n", "X: y\r\n".repeat(129));
    let error = upgrade_error(many.clone(), &RunOptions::new());
    assert!(matches!(error, UpgradeError::TooManyHeaders { limit: 128 }), "{error:?}");
    let error = upgrade_error(many, &RunOptions::new().max_headers(10));
    assert!(matches!(error, UpgradeError::TooManyHeaders { limit: 10 }), "{error:?}");
}
