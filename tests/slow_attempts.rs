//! Deadlines of attempts beside slow callbacks: none is judged before the reactor has looked at what has arrived. In virtual time.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::Cell;
use std::time::Duration;

use websocket_app::link::proxy::Proxy;
use websocket_app::{Context, RunOptions, WebSocketApp};
use websocket_testkit::sim::{Faults, SimNet};
use websocket_tests::{Log, SECURE_URL, SERVER, SecureWorld, URL, World, busy};

const MS: Duration = Duration::from_millis(1);
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
// b132
fn a_deadline_of_an_attempt_is_judged_after_what_has_arrived_was_looked_at() {
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
// b132
fn a_tls_handshake_that_was_answered_in_time_is_not_given_up() {
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

/// The user's `flush` does not bypass `upgrade_timeout`.
#[test]
// b132
fn a_request_whose_rest_a_callback_could_flush_has_its_time_from_when_that_was_written() {
    let mut faults = Faults::default();
    faults.send_buffer = 100;
    let mut world = World::on(SimNet::new(1).with_faults(faults));
    let log = Log::new();
    let listener = world.start(log.app(URL), &RunOptions::new().upgrade_timeout(3 * SECOND));
    let id = world.reactor.apps().ids()[0];
    let peer = listener.accept().unwrap();
    world.net.at(SECOND, move |_| assert_eq!(peer.read_available().len(), 100));
    // Another app's timer, which is due before the stream is looked at that has room again.
    world.net.black_hole(([192, 0, 2, 9], 80).into());
    let other = WebSocketApp::new("ws://192.0.2.9/").run_on(&mut world.reactor, &patient()).unwrap();
    let flush = move |app: &mut Context<'_>| {
        app.set_timeout(SECOND, move |app| app.apps().with(id, |app| app.flush()).unwrap());
    };
    world.reactor.apps().with(other, flush).unwrap();
    world.run_until(4 * SECOND - MS);
    assert_eq!(log.take(), [""; 0]);
    world.run_until(4 * SECOND);
    assert_eq!(log.take(), ["error Timeout(Upgrade)", "close: Timeout(Upgrade)"]);
}
