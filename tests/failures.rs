//! What was measured to fail in Python's websocket-client under a loop of the user's own (F1 to F9): each of these would fail on the old
//! behaviour. So would those of the twelve changes that matter most (C1 to C12), in `changes.rs`. Much of it has tests elsewhere as well:
//!
//! | | what | also shown by |
//! |---|---|---|
//! | F1 | a reset with reconnect | `reconnecting.rs`, `panics.rs` |
//! | F2 | no pong | `keep_alive.rs` |
//! | F3 | timers pile up | `schedule.rs` of the crate, `allocations.rs` |
//! | F4 | a close in a callback | `closing_stages.rs`, `closing.rs`: `b111_...`, `endings.rs`: `b050_...` |
//! | F5 | frames that come together | `tls.rs`: `b209_...` |
//! | F6 | leaks | `many_apps.rs`: `after_a_thousand_apps_came_and_went_nothing_is_left` |
//! | F7 | a close frame with reconnect | `reconnecting.rs`: `b036_...` |
//! | F8 | latency, idle load, throughput | `embedding.rs`, `idle.rs`, the benchmark |
//! | F9 | one app blocks all | `resolving.rs`: `b195_...` |
//! | C1 | one writer | `threads.rs`: `b064_...`, `b112_...` |
//! | C2 | never block | `sending.rs`: `b063_...`, `backoff.rs`: `b124_...` |
//! | C3 | one `on_open`, one `on_close` | `endings.rs`, `closing_stages.rs`: `b036_...` |
//! | C4 | a close frame is an outcome | `endings.rs`: `b041_...` |
//! | C5 | deadlines | `timeouts.rs`, `attempt_timeout.rs`, `close_timeout.rs`, `tls_failures.rs` |
//! | C6 | deadlines of pings | `keep_alive.rs` |
//! | C7 | incremental parsing | `framing.rs` |
//! | C8 | back-off and classifier | `backoff.rs`, `retry_policy.rs`, `waiting.rs` |
//! | C9 | decrypted bytes | `tls.rs`: `b209_...` |
//! | C10 | safe headers | `url_and_handshake.rs`, `redirect/` and `cookies/` of the crate |
//! | C11 | proxies | `real_parts.rs`: `b178_...`, `proxy/` of the link crate |
//! | C12 | typed errors | `callbacks.rs`: `b023_...`, `url_and_handshake.rs` |
#![allow(clippy::unwrap_used, reason = "a test")]

use std::rc::Rc;
use std::time::Duration;

use websocket_app::{Liveness, Reactor, RunOptions, Unsent, WebSocketApp};
use websocket_testkit::frame;
use websocket_testkit::sim::{Faults, SimNet};
use websocket_tests::{Counting, Log, SERVER, URL, World, neighbour};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn options() -> RunOptions {
    RunOptions::new()
}

/// As Python's `reconnect=1`.
fn reconnect() -> RunOptions {
    options().reconnect(SECOND)
}

/// Python's `ping_interval=1, ping_timeout=0.5`.
fn pinging(options: RunOptions) -> RunOptions {
    options.ping_interval(SECOND).ping_timeout(500 * MS)
}

#[test]
fn f1_a_reset_leads_to_one_retry_and_harms_no_other() {
    let mut world = World::new();
    let log = Log::new();
    let echoes = neighbour(&mut world);
    let listener = world.start(log.app(URL), &reconnect());
    for round in 0..3 {
        let peer = world.accept(&listener);
        log.take();
        peer.reset();
        world.run_until((round + 1) * SECOND);
        assert_eq!(log.take(), ["error Io(ConnectionReset)", "close: Io(ConnectionReset), retry in 1s"]);
    }
    let attempts = world.net.attempts();
    assert_eq!(attempts.iter().filter(|(_, to)| *to == SERVER).count(), 4, "{attempts:?}");
    world.run_until(60 * SECOND);
    assert_eq!(echoes.get(), 60);
}

#[test]
fn f2_a_server_that_never_pongs_is_told_to_its_app_and_to_no_other() {
    for (options, retry) in [(options(), ""), (reconnect(), ", retry in 1s")] {
        let mut world = World::new();
        let log = Log::new();
        let echoes = neighbour(&mut world);
        let peer = world.open(log.app(URL), &pinging(options));
        world.run_until(2 * SECOND);
        assert_eq!(log.take(), ["open", "error Timeout(Pong)", &format!("close: Timeout(Pong){retry}")]);
        assert!(peer.ended().is_some());
        world.run_until(60 * SECOND);
        assert_eq!(echoes.get(), 60);
    }
}

#[test]
fn f3_a_hundred_reconnects_leave_no_timer_behind() {
    let mut world = World::new();
    let listener = world.start(Log::new().app(URL), &pinging(reconnect().liveness(Liveness::PongOnly)));
    let mut waits = Vec::new();
    for _ in 0..100 {
        let peer = world.accept(&listener);
        let (before, now) = (world.net.waits(), world.net.elapsed());
        // A ping, half a second without a pong, a second's wait.
        world.run_until(now + 2500 * MS);
        waits.push(world.net.waits() - before);
        assert!(peer.ended().is_some());
    }
    assert!(waits[1..].iter().all(|count| *count == waits[1]), "{waits:?}");
}

#[test]
fn f4_a_close_in_a_callback_or_timer_holds_up_nobody_is_sent_and_leads_to_on_close() {
    for in_timer in [false, true] {
        let mut world = World::new();
        let log = Log::new();
        let echoes = neighbour(&mut world);
        let app = log.app(URL).on_open(move |app, _| {
            if in_timer {
                app.set_timeout(Duration::ZERO, |app| app.close());
            } else {
                app.close();
            }
        });
        let peer = world.open(app, &options());
        assert_eq!(peer.read_frame().unwrap().close(), Some((1000, String::new())));
        assert_eq!(world.net.elapsed(), Duration::ZERO);
        // The server does not answer; the others go on meanwhile.
        world.run_until(3 * SECOND);
        assert_eq!(echoes.get(), 3);
        assert_eq!(log.lines(), ["error Timeout(Close)", "close: Timeout(Close)"]);
    }
}

#[test]
fn f5_frames_that_came_together_are_delivered_together() {
    let mut world = World::new();
    let log = Log::new();
    let peer = world.open(log.app(URL), &options());
    peer.write(&["1", "2", "3", "4", "5"].map(frame::text).concat());
    world.reactor.poll(Some(Duration::ZERO)).unwrap();
    assert_eq!(log.lines(), ["open", "text 1", "text 2", "text 3", "text 4", "text 5"]);
}

#[test]
fn f6_fifty_connections_later_one_is_watched_and_nothing_is_held() {
    let net = SimNet::new(1);
    let listener = net.listen(SERVER);
    let mut reactor = Reactor::with_dispatcher(Counting::new(net.dispatcher())).unwrap();
    reactor = reactor.connector(net.clone());
    let held = Rc::new(());
    let timer = held.clone();
    let app = WebSocketApp::new(URL).on_error(|_, _| {}).on_open(move |app, _| {
        let held = timer.clone();
        app.set_timeout(3600 * SECOND, move |_| drop(held));
        app.send_text("hello")
    });
    app.run_on(&mut reactor, &pinging(reconnect()).unsent(Unsent::Keep)).unwrap();
    for _ in 0..51 {
        let mut peer = listener.accept();
        while peer.as_ref().is_none_or(|peer| peer.accept_upgrade().is_none()) {
            reactor.poll(None).unwrap();
            peer = peer.or_else(|| listener.accept());
        }
        for _ in 0..4 {
            reactor.poll(Some(Duration::ZERO)).unwrap();
        }
        // The test's, the callback's and that of the one timer.
        assert_eq!((reactor.dispatcher().watched.get(), Rc::strong_count(&held)), (1, 3));
        peer.unwrap().reset();
        reactor.poll(Some(Duration::ZERO)).unwrap();
        assert_eq!((reactor.dispatcher().watched.get(), Rc::strong_count(&held)), (0, 2));
    }
    assert_eq!((reactor.dispatcher().most_watched, reactor.dispatcher().highest_slot), (1, 0));
    drop(reactor);
    assert_eq!(Rc::strong_count(&held), 1);
}

#[test]
fn f7_a_close_frame_is_told_also_when_a_retry_follows() {
    let mut world = World::new();
    let log = Log::new();
    let listener = world.start(log.app(URL), &reconnect());
    for opened in [&["open"][..], &["open", "reconnect"]] {
        let peer = world.accept(&listener);
        peer.write(&frame::close(1001, "going"));
        peer.shutdown();
        world.run_for(SECOND);
        assert_eq!(log.take(), [opened, &["close 1001 going, by server, clean, retry in 1s"]].concat());
    }
}

#[test]
fn f8_idle_costs_nothing_an_echo_one_wait_and_a_megabyte_one_turn() {
    let mut world = World::on(SimNet::new(1).with_faults({
        let mut faults = Faults::default();
        faults.send_buffer = 2 << 20;
        faults
    }));
    let log = Log::new();
    let peers: Vec<_> = (0..100).map(|_| world.open(log.app(URL), &options())).collect();
    // The deadlines of the openings may still be in the books.
    world.run_for(60 * SECOND);
    let before = world.net.waits();
    let day = world.net.elapsed() + 24 * 3600 * SECOND;
    let late = peers[50].clone();
    world.net.at(day, move |_| late.write(&frame::text("morning")));
    world.reactor.poll(None).unwrap();
    assert_eq!((world.net.elapsed(), world.net.waits() - before), (day, 1));
    assert_eq!(log.lines().last().unwrap(), "text morning");

    let id = world.reactor.apps().ids()[0];
    world.reactor.apps().with(id, |app| app.send_bytes(vec![7; 1 << 20])).unwrap().unwrap();
    world.reactor.poll(Some(Duration::ZERO)).unwrap();
    assert_eq!(peers[0].read_frame().unwrap().payload.len(), 1 << 20);
}

#[test]
fn f9_apps_that_resolve_connect_or_wait_for_a_response_hold_up_nobody() {
    let mut world = World::new();
    world.resolver.delay("slow.test", None);
    world.net.black_hole("192.0.2.66:80".parse().unwrap());
    let _mute = world.net.listen("192.0.2.67:80".parse().unwrap());
    for url in ["ws://slow.test/", "ws://192.0.2.66/", "ws://192.0.2.67/"] {
        Log::new().app(url).run_on(&mut world.reactor, &options()).unwrap();
    }
    let echoes = neighbour(&mut world);
    world.run_until(5 * SECOND);
    assert_eq!((echoes.get(), world.reactor.apps().len()), (5, 4));
}
