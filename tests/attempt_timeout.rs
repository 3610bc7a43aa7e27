//! One deadline for a whole attempt, beside those of its steps; the error names the one that has passed.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::thread;
use std::time::Duration;

use websocket_app::link::{Connector as _, SocketOptions};
use websocket_app::{Error, RunOptions};
use websocket_testkit::frame;
use websocket_testkit::server::ScriptedServer;
use websocket_testkit::sim::SimPeer;
use websocket_tests::{Log, SERVER, URL, World, outcome_line, run_forever};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// All steps may take as long as they like.
fn patient() -> RunOptions {
    let age = 3600 * SECOND;
    RunOptions::new().resolve_timeout(age).connect_timeout(age).upgrade_timeout(age)
}

/// Runs an app until `at`, where its attempt must end with that timeout, and not earlier.
#[track_caller]
fn expect(world: &mut World, url: &str, options: &RunOptions, at: Duration, timeout: &str) {
    let log = Log::new();
    log.app(url).run_on(&mut world.reactor, options).unwrap();
    world.run_until(at - MS);
    assert_eq!(log.lines(), [""; 0]);
    world.run_until(at);
    assert_eq!(log.lines(), [format!("error Timeout({timeout})"), format!("close: Timeout({timeout})")]);
    assert!(world.reactor.apps().is_empty());
}

/// Worlds in which an attempt stays in its first, second or third step.
fn stuck(step: usize) -> (World, &'static str) {
    let world = World::new();
    match step {
        0 => {
            world.resolver.delay("slow.test", None);
            return (world, "ws://slow.test/");
        }
        1 => world.net.black_hole(SERVER),
        _ => drop(world.net.listen(SERVER)),
    }
    (world, URL)
}

#[test]
fn b132_an_attempt_has_a_deadline_whatever_its_steps_may_take() {
    for step in 0..3 {
        for (options, at) in [(patient(), 30 * SECOND), (patient().attempt_timeout(2 * SECOND), 2 * SECOND)] {
            let (mut world, url) = stuck(step);
            expect(&mut world, url, &options, at, "Attempt");
        }
    }
}

#[test]
fn b132_the_error_names_the_deadline_that_has_passed() {
    let names = ["Resolve", "Connect", "Upgrade"];
    for (step, name) in names.into_iter().enumerate() {
        let with = |attempt: Duration| {
            let options = RunOptions::new().attempt_timeout(attempt);
            options.resolve_timeout(5 * SECOND).connect_timeout(5 * SECOND).upgrade_timeout(5 * SECOND)
        };
        // Of two at the same time, the one that says more.
        for (attempt, at, name) in [(6, 5, name), (5, 5, name), (4, 4, "Attempt")] {
            let (mut world, url) = stuck(step);
            expect(&mut world, url, &with(attempt * SECOND), at * SECOND, name);
        }
    }
}

#[test]
fn every_timeout_says_in_words_which_option_it_was() {
    use websocket_app::Timeout;
    for (timeout, option) in [
        (Timeout::Attempt, "attempt_timeout"),
        (Timeout::Resolve, "resolve_timeout"),
        (Timeout::Connect, "connect_timeout"),
        (Timeout::Upgrade, "upgrade_timeout"),
        (Timeout::Pong, "ping_timeout"),
        (Timeout::Write, "write_timeout"),
        (Timeout::Close, "close_timeout"),
    ] {
        let text = Error::Timeout(timeout).to_string();
        assert!(text.contains(option), "{text}");
    }
}

#[test]
fn b133_slow_steps_that_each_keep_their_time_add_up() {
    let mut world = World::new();
    world.resolver.name("slow.test", &["192.0.2.9".parse().unwrap(), SERVER.ip()]);
    world.resolver.delay("slow.test", Some(4 * SECOND));
    // The first address takes 4 s to refuse, the second as long to accept, and then the response drips.
    world.net.delay("192.0.2.9:80".parse().unwrap(), 4 * SECOND);
    world.net.delay(SERVER, 4 * SECOND);
    world.net.serve(SERVER, |peer| {
        drip(peer.clone(), b"HTTP/1.1 101 Switching Protocols\r\nX-Slow: ".to_vec());
    });
    let options = RunOptions::new().attempt_timeout(15 * SECOND);
    expect(&mut world, "ws://slow.test/", &options, 15 * SECOND, "Attempt");
    let at: Vec<_> = world.net.attempts().into_iter().map(|(at, _)| at.as_secs()).collect();
    assert_eq!(at, [4, 4]);
}

/// One byte every 300 ms, without end.
fn drip(peer: SimPeer, mut bytes: Vec<u8>) {
    let byte = if bytes.is_empty() { b'x' } else { bytes.remove(0) };
    peer.net().clone().after(300 * MS, move |_| {
        if peer.ended().is_none() {
            peer.write(&[byte]);
            drip(peer, bytes);
        }
    });
}

#[test]
fn b133_a_drip_defeats_none_of_the_deadlines_of_an_upgrade() {
    for (options, at, name) in [
        (RunOptions::new(), 10, "Upgrade"),
        (RunOptions::new().upgrade_timeout(3 * SECOND), 3, "Upgrade"),
        (patient().attempt_timeout(3 * SECOND), 3, "Attempt"),
    ] {
        for head in ["", "HTTP/1.1 101 Yes\r\nX: "] {
            let mut world = World::new();
            let head = head.as_bytes().to_vec();
            world.net.serve(SERVER, move |peer| {
                peer.write(&head);
                drip(peer.clone(), b"HTTP/1.1 101 Yes\r\nX: ".to_vec());
            });
            expect(&mut world, URL, &options, at * SECOND, name);
        }
    }
}

#[test]
fn b133_a_drip_does_not_defeat_the_deadline_of_a_close_or_of_a_ping() {
    let mut world = World::new();
    let log = Log::new();
    let peer = world.open(log.app(URL), &RunOptions::new());
    // A frame of a hundred bytes that takes half a minute.
    peer.write(&frame::raw(0x82, frame::Length::Claimed(100), b""));
    drip(peer, Vec::new());
    world.run_for(SECOND);
    let id = world.reactor.apps().ids()[0];
    world.reactor.apps().with(id, |app| app.close()).unwrap();
    world.run_until(4 * SECOND - MS);
    assert_eq!(log.take(), ["open"]);
    world.run_until(4 * SECOND);
    assert_eq!(log.take(), ["error Timeout(Close)", "close: Timeout(Close)"]);

    let options = RunOptions::new().ping_interval(5 * SECOND).ping_timeout(2 * SECOND);
    let options = options.liveness(websocket_app::Liveness::PongOnly);
    let peer = world.open(log.app(URL), &options);
    let opened = world.net.elapsed();
    peer.write(&frame::raw(0x82, frame::Length::Claimed(100), b""));
    drip(peer, Vec::new());
    world.run_until(opened + 7 * SECOND);
    assert_eq!(log.take(), ["open", "error Timeout(Pong)", "close: Timeout(Pong)"]);
}

#[test]
fn the_deadline_counts_anew_for_each_attempt_and_ends_when_the_connection_is_open() {
    let mut world = World::new();
    let log = Log::new();
    let options = patient().attempt_timeout(2 * SECOND).reconnect(10 * SECOND);
    let listener = world.start(log.app(URL), &options);
    let lines = ["error Timeout(Attempt)", "close: Timeout(Attempt), retry in 10s"];
    for round in 0..3 {
        let begun = round * 12 * SECOND;
        assert!(listener.accept().is_some());
        world.run_until(begun + 2 * SECOND - MS);
        assert_eq!(log.take(), [""; 0]);
        world.run_until(begun + 2 * SECOND);
        assert_eq!(log.take(), lines);
        world.run_until(begun + 12 * SECOND);
    }
    world.run_for(SECOND);
    world.accept(&listener);
    world.run_for(3600 * SECOND);
    assert_eq!(log.take(), ["open"]);
}

#[test]
fn a_given_stream_that_never_connects_has_the_deadlines_of_connecting() {
    for (options, at, name) in
        [(RunOptions::new(), 10, "Connect"), (patient().attempt_timeout(3 * SECOND), 3, "Attempt")]
    {
        let mut world = World::new();
        world.net.black_hole(SERVER);
        let log = Log::new();
        let mut net = world.net.clone();
        let app = log.app(URL).socket_with(move || net.connect(SERVER, &SocketOptions::default()));
        app.run_on(&mut world.reactor, &options).unwrap();
        world.run_until(at * SECOND - MS);
        assert_eq!(log.lines(), [""; 0]);
        world.run_until(at * SECOND);
        assert_eq!(log.lines()[0], format!("error Timeout({name})"));
    }
}

#[test]
fn b132_b133_on_real_sockets_servers_that_are_mute_or_drip_are_left() {
    let server = ScriptedServer::start(|mut peer| {
        peer.read_request();
        if peer.index() % 2 == 0 {
            peer.read_to_end();
        } else {
            peer.write(b"HTTP/1.1 101 Yes\r\nX-Slow: ");
            // Until the client has gone.
            while peer.try_write(b"x").is_ok() {
                thread::yield_now();
            }
        }
    })
    .unwrap();
    let short = 20 * MS;
    for (options, expected) in [
        (RunOptions::new().upgrade_timeout(short).max_header_bytes(usize::MAX), "lost Timeout(Upgrade)"),
        (RunOptions::new().attempt_timeout(short).max_header_bytes(usize::MAX), "lost Timeout(Attempt)"),
    ] {
        for _ in 0..2 {
            let outcome = run_forever(&mut Log::new().app(server.url()), &options).unwrap();
            assert_eq!(outcome_line(&outcome), expected);
        }
    }
    server.join();
}
