//! Deadlines of attempts beside slow callbacks: none is judged before the reactor has looked at what has arrived. In virtual time.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::Cell;
use std::time::Duration;

use websocket_app::RunOptions;
use websocket_app::link::proxy::Proxy;
use websocket_tests::{Log, SECURE_URL, SERVER, SecureWorld, URL, World, busy};

const SECOND: Duration = Duration::from_secs(1);

/// A step of an attempt, and when its answer comes.
struct Attempt {
    url: &'static str,
    options: RunOptions,
    timeout: &'static str,
    prepare: fn(&mut World, Option<Duration>),
}

fn patient() -> RunOptions {
    let age = 3600 * SECOND;
    let options = RunOptions::new().resolve_timeout(age).connect_timeout(age).proxy_timeout(age);
    options.upgrade_timeout(age).attempt_timeout(age)
}

fn open_after(world: &mut World, after: Option<Duration>) {
    world.net.serve_arrivals(SERVER, move |peer| {
        let Some(after) = after else { return };
        let peer = peer.clone();
        peer.net().clone().after(after, move |_| drop(peer.accept_upgrade()));
    });
}

fn resolve_after(world: &mut World, after: Option<Duration>) {
    world.resolver.name("slow.test", &[SERVER.ip()]);
    world.resolver.delay("slow.test", after);
    open_after(world, Some(Duration::ZERO));
}

fn connect_after(world: &mut World, after: Option<Duration>) {
    open_after(world, Some(Duration::ZERO));
    match after {
        Some(after) => world.net.delay(SERVER, after),
        None => world.net.black_hole(SERVER),
    }
}

/// A proxy and the server behind it.
fn tunnel_after(world: &mut World, after: Option<Duration>) {
    let asked = Cell::new(false);
    world.net.serve_arrivals(([192, 0, 2, 5], 8080).into(), move |peer| {
        let Some(after) = after else { return };
        if asked.get() {
            peer.accept_upgrade();
        } else if !peer.read_available().is_empty() {
            asked.set(true);
            let peer = peer.clone();
            let granted = b"HTTP/1.1 200 Connection established\r\n\r\n";
            peer.net().clone().after(after, move |_| peer.write(granted));
        }
    });
}

#[test]
fn a_deadline_of_an_attempt_is_judged_after_what_has_arrived_was_looked_at() {
    // b132
    let proxied = || patient().proxy(Proxy::parse("http://192.0.2.5:8080").unwrap());
    let attempts = [
        Attempt {
            url: "ws://slow.test/",
            options: patient().resolve_timeout(10 * SECOND),
            timeout: "Resolve",
            prepare: resolve_after,
        },
        Attempt {
            url: URL,
            options: patient().connect_timeout(10 * SECOND),
            timeout: "Connect",
            prepare: connect_after,
        },
        Attempt {
            url: URL,
            options: proxied().proxy_timeout(10 * SECOND),
            timeout: "Proxy",
            prepare: tunnel_after,
        },
        Attempt {
            url: URL,
            options: patient().upgrade_timeout(10 * SECOND),
            timeout: "Upgrade",
            prepare: open_after,
        },
        Attempt {
            url: URL,
            options: patient().attempt_timeout(10 * SECOND),
            timeout: "Attempt",
            prepare: open_after,
        },
    ];
    for Attempt { url, options, timeout, prepare } in attempts {
        for answers in [Some(9 * SECOND), None] {
            let mut world = World::new();
            prepare(&mut world, answers);
            busy(&mut world, SECOND, 11 * SECOND);
            let log = Log::new();
            log.app(url).run_on(&mut world.reactor, &options).unwrap();
            world.run_until(12 * SECOND);
            let expected = match answers {
                Some(_) => vec!["open".to_owned()],
                None => vec![format!("error Timeout({timeout})"), format!("close: Timeout({timeout})")],
            };
            assert_eq!(log.take(), expected, "{timeout}, {answers:?}");
        }
    }
}

#[test]
fn a_tls_handshake_that_was_answered_in_time_is_not_given_up() {
    // b132
    let mut secure = SecureWorld::new();
    secure.options = secure.options.clone().tls_timeout(10 * SECOND);
    let log = Log::new();
    let listener = secure.start(log.app(SECURE_URL));
    busy(&mut secure.world, SECOND, 11 * SECOND);
    let mut peer = secure.arrived(&listener);
    secure.world.net.at(9 * SECOND, move |_| peer.receive().unwrap());
    secure.world.run_until(13 * SECOND);
    assert_eq!(log.take(), [""; 0]);
    assert_eq!(secure.world.reactor.apps().len(), 2);
}
