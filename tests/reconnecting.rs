//! Connections that are made again after they were lost: what each attempt is told, asked and given, in virtual time.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use websocket_app::dispatcher::Io;
use websocket_app::link::{Connector as _, SocketOptions};
use websocket_app::{
    Attempts, Entropy, Liveness, Reconnect, ReconnectError, RunOptions, SeededEntropy, WebSocketApp,
};
use websocket_testkit::frame;
use websocket_testkit::server::ScriptedServer;
use websocket_testkit::sim::SimPeer;
use websocket_tests::{Log, SERVER, URL, World, error_line, outcome_line, run_forever};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn fixed(delay: Duration) -> RunOptions {
    RunOptions::new().reconnect(delay)
}

#[test]
fn b121_b033_b035_b037_a_lost_connection_is_made_again_after_the_delay() {
    let log = Log::new();
    let mut world = World::new();
    let listener = world.start(log.app(URL), &fixed(3 * SECOND));
    for round in 0..3 {
        let peer = world.accept(&listener);
        let opened: &[_] = if round == 0 { &["open"] } else { &["open", "reconnect"] };
        assert_eq!(log.take(), opened);
        peer.reset();
        world.settle();
        assert_eq!(log.take(), ["error Io(ConnectionReset)", "close: Io(ConnectionReset), retry in 3s"]);
        let lost = world.net.elapsed();
        world.run_until(lost + 3 * SECOND - Duration::from_nanos(1));
        assert!(listener.accept().is_none());
        world.run_until(lost + 3 * SECOND);
        assert_eq!(log.lines(), [""; 0]);
    }
}

#[test]
fn b017_one_socket_cannot_serve_several_attempts() {
    let mut world = World::new();
    let _listener = world.net.listen(SERVER);
    let stream = world.net.clone().connect(SERVER, &SocketOptions::default()).unwrap();
    let app = WebSocketApp::new(URL).socket(stream);
    let refused = app.run_on(&mut world.reactor, &fixed(SECOND)).unwrap_err();
    assert!(matches!(refused, websocket_app::Error::Reconnect(ReconnectError::OneSocket)), "{refused}");
    assert!(refused.to_string().contains("socket_with"), "it says what to do: {refused}");
}

#[test]
fn b036_b038_a_close_frame_is_told_with_the_coming_retry_and_a_normal_one_ends_the_run() {
    for (code, retried) in
        [(1000, false), (1001, true), (1008, false), (1011, true), (1012, true), (4000, false)]
    {
        let log = Log::new();
        let mut world = World::new();
        let listener = world.start(log.app(URL), &fixed(SECOND));
        let peer = world.accept(&listener);
        peer.write(&frame::close(code, "going"));
        world.settle();
        peer.shutdown();
        world.run_for(5 * SECOND);
        assert_eq!(listener.accept().is_some(), retried, "{code}");
        let retry = if retried { ", retry in 1s" } else { "" };
        assert_eq!(log.lines(), ["open".to_owned(), format!("close {code} going, by server, clean{retry}")]);
    }
}

/// `started`, `opened` and `failures`.
fn numbers(attempts: Attempts) -> [u32; 3] {
    [attempts.started, attempts.opened, attempts.failures]
}

#[test]
fn b034_b037_a_first_attempt_that_fails_is_followed_by_on_open_alone_and_attempts_are_counted() {
    let log = Log::new();
    let [open, reconnect, error, close] = std::array::from_fn(|_| log.clone());
    let app = WebSocketApp::new(URL)
        .on_open(move |app, it| {
            assert_eq!(app.attempts(), it.attempts);
            open.push(format!("open {:?}", numbers(it.attempts)));
        })
        .on_reconnect(move |_, it| reconnect.push(format!("reconnect {:?}", numbers(it.attempts))))
        .on_error(move |app, _| error.push(format!("error {:?}", numbers(app.attempts()))))
        .on_close(move |app, _| close.push(format!("close {:?}", numbers(app.attempts()))));
    let mut world = World::new();
    world.net.refuse(SERVER);
    app.run_on(&mut world.reactor, &fixed(SECOND)).unwrap();
    world.settle();
    assert_eq!(log.take(), ["error [1, 0, 0]", "close [1, 0, 1]"]);
    world.run_for(SECOND);
    assert_eq!(log.take(), ["error [2, 0, 1]", "close [2, 0, 2]"]);

    let listener = world.net.listen(SERVER);
    world.run_for(SECOND);
    let peer = world.accept(&listener);
    assert_eq!(log.take(), ["open [3, 1, 2]"]);
    peer.reset();
    world.run_for(SECOND);
    assert_eq!(log.take(), ["error [3, 1, 2]", "close [3, 1, 3]"]);
    let peer = world.accept(&listener);
    assert_eq!(log.take(), ["open [4, 2, 3]", "reconnect [4, 2, 3]"]);
    // Long enough to be stable: the row of failures begins anew.
    world.run_for(30 * SECOND);
    peer.reset();
    world.run_for(SECOND);
    assert_eq!(log.take(), ["error [4, 2, 3]", "close [4, 2, 1]"]);
}

#[test]
fn b016_what_an_attempt_needs_is_asked_for_once_each_time_and_in_order() {
    let log = Log::new();
    let [url, headers, subprotocols, socket] = std::array::from_fn(|_| log.clone());
    let mut world = World::new();
    let mut net = world.net.clone();
    let mut attempt = 0;
    let app = WebSocketApp::new("ws://never.used/")
        .headers([("X-Fixed", "yes"), ("X-Attempt", "fixed")])
        .url_with(move || {
            url.push("url");
            attempt += 1;
            format!("ws://host{attempt}.test/path{attempt}")
        })
        .header_with(move || {
            headers.push("headers");
            [("X-Attempt", headers.lines().len().to_string())]
        })
        .subprotocols_with(move || {
            subprotocols.push("subprotocols");
            [format!("v{}", subprotocols.lines().len())]
        })
        .socket_with(move || {
            socket.push("socket");
            net.connect(SERVER, &SocketOptions::default())
        });
    let listener = world.start(app, &fixed(SECOND));
    for attempt in 1..=3 {
        assert_eq!(log.lines(), ["url", "headers", "subprotocols", "socket"].repeat(attempt));
        let peer = listener.accept().unwrap();
        let request = peer.read_request().unwrap();
        assert_eq!(request.path, format!("/path{attempt}"));
        assert_eq!(request.header("Host"), Some(&*format!("host{attempt}.test")));
        assert_eq!(request.header("X-Fixed"), Some("yes"));
        let (told, count) = (4 * attempt - 2, 4 * attempt - 1);
        assert_eq!(request.header_values("X-Attempt").collect::<Vec<_>>(), [told.to_string()]);
        assert_eq!(request.header("Sec-WebSocket-Protocol"), Some(&*format!("v{count}")));
        peer.reset();
        world.run_for(SECOND);
    }
    assert_eq!(world.resolver.queries(), [], "the stream was given");
}

#[test]
fn a_url_header_or_subprotocol_that_cannot_be_used_ends_the_run_with_what_is_wrong() {
    type Set = fn(WebSocketApp, Rc<Cell<bool>>) -> WebSocketApp;
    let table: [(Set, &str); 5] = [
        (
            |app, bad| app.url_with(move || if bad.get() { "http://192.0.2.1/" } else { URL }),
            "Url(Scheme(\"http\"))",
        ),
        (|app, bad| app.url_with(move || if bad.get() { "ws://h:0/" } else { URL }), "Url(PortZero)"),
        (|app, bad| app.url_with(move || if bad.get() { "" } else { URL }), "Url("),
        (
            |app, bad| app.header_with(move || [("X", if bad.get() { "a\r\nb" } else { "a" })]),
            "Header(Value(\"X\"))",
        ),
        (|app, bad| app.subprotocols_with(move || [if bad.get() { "a b" } else { "a" }]), "Request("),
    ];
    for (set, error) in table {
        for bad_at_first in [true, false] {
            let bad = Rc::new(Cell::new(bad_at_first));
            let log = Log::new();
            let mut world = World::new();
            let listener = world.start(set(log.app(URL), bad.clone()), &fixed(SECOND));
            if !bad_at_first {
                listener.accept().unwrap().reset();
                world.settle();
                assert!(log.take()[1].ends_with("retry in 1s"));
                bad.set(true);
                world.run_for(SECOND);
            }
            let [on_error, on_close] = log.take().try_into().unwrap();
            assert!(on_error.starts_with(&format!("error {error}")), "{on_error}");
            assert!(on_close.starts_with(&format!("close: {error}")), "{on_close}");
            assert!(!on_close.contains("retry"));
            assert!(world.reactor.apps().is_empty());
            assert_eq!(world.net.attempts().len(), usize::from(!bad_at_first));
        }
    }
}

#[test]
fn b017_a_factory_of_sockets_serves_every_attempt_and_may_fail_at_one() {
    let mut world = World::new();
    let mut net = world.net.clone();
    let mut calls = 0;
    let log = Log::new();
    let app = log.app(URL).socket_with(move || -> io::Result<Io> {
        calls += 1;
        if calls == 2 {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        net.connect(SERVER, &SocketOptions::default())
    });
    let listener = world.start(app, &fixed(SECOND));
    world.accept(&listener).reset();
    world.settle();
    let lost = ["open", "error Io(ConnectionReset)", "close: Io(ConnectionReset), retry in 1s"];
    assert_eq!(log.take(), lost);
    world.run_for(SECOND);
    let refused = "Connect(PermissionDenied)";
    assert_eq!(log.take(), [format!("error {refused}"), format!("close: {refused}, retry in 1s")]);
    world.run_for(SECOND);
    world.accept(&listener);
    assert_eq!(log.take(), ["open", "reconnect"]);
}

#[test]
fn b127_b128_keep_alive_begins_anew_with_each_connection() {
    let options =
        fixed(SECOND).ping_interval(10 * SECOND).ping_timeout(4 * SECOND).liveness(Liveness::PongOnly);
    let log = Log::new();
    let rtt = Rc::new(RefCell::new(Vec::new()));
    let seen = rtt.clone();
    let app = log.app(URL).on_open(move |app, _| seen.borrow_mut().push(app.rtt().last));
    let mut world = World::new();
    let listener = world.start(app, &options);
    let pings = |peer: &SimPeer| -> Vec<Vec<u8>> {
        std::iter::from_fn(|| peer.read_frame()).map(|frame| frame.payload).collect()
    };
    for _ in 0..3 {
        let peer = world.accept(&listener);
        let opened = world.net.elapsed();
        world.run_until(opened + 10 * SECOND - MS);
        assert_eq!(pings(&peer), [[0; 0]; 0], "the first ping comes after one interval");
        world.run_until(opened + 10 * SECOND);
        let first = pings(&peer);
        assert_eq!(first, [[0, 0, 0, 0, 0, 0, 0, 1]], "the counter begins anew");
        peer.write(&frame::pong(&first[0]));
        // The second goes unanswered.
        world.run_until(opened + 24 * SECOND - MS);
        assert_eq!(pings(&peer).len(), 1);
        assert_eq!(log.take().last().unwrap(), "pong \0\0\0\0\0\0\0\u{1}");
        world.run_until(opened + 24 * SECOND);
        assert_eq!(log.take(), ["error Timeout(Pong)", "close: Timeout(Pong), retry in 1s"]);
        world.run_for(SECOND);
    }
    assert_eq!(*rtt.borrow(), [None; 3], "what an earlier connection measured is forgotten");
}

#[test]
fn a_late_answer_to_the_question_of_an_earlier_attempt_is_ignored() {
    let mut world = World::new();
    let listener = world.net.listen(SERVER);
    world.resolver.name("slow.test", &["192.0.2.66".parse().unwrap()]);
    world.resolver.delay("slow.test", Some(11 * SECOND + 500 * MS));
    let log = Log::new();
    log.app("ws://slow.test/").run_on(&mut world.reactor, &fixed(SECOND)).unwrap();
    world.run_until(10 * SECOND);
    assert_eq!(log.take()[1], "close: Timeout(Resolve), retry in 1s");
    // The second attempt has asked again when the first answer comes.
    world.resolver.name("slow.test", &[SERVER.ip()]);
    world.resolver.delay("slow.test", Some(5 * SECOND));
    world.run_until(12 * SECOND);
    assert_eq!((world.resolver.queries().len(), world.net.attempts().len()), (2, 0));
    world.run_until(16 * SECOND);
    world.accept(&listener);
    assert_eq!(log.lines(), ["open"]);
}

#[test]
fn b009_b011_a_run_returns_its_last_outcome_and_the_next_one_starts_afresh() {
    let server = ScriptedServer::start(|mut peer| {
        if peer.index() % 3 == 2 {
            peer.accept_upgrade();
            peer.send_close(1000, "enough");
            peer.read_close();
        }
    })
    .unwrap();
    let log = Log::new();
    let mut app = log.app(server.url());
    for _ in 0..2 {
        let outcome = run_forever(&mut app, &fixed(MS)).unwrap();
        assert_eq!(outcome_line(&outcome), "clean 1000 enough, by Server");
        assert!(!outcome.is_error());
        assert_eq!(numbers(app.attempts())[..2], [3, 1]);
        let lines = log.take();
        assert_eq!(lines.iter().filter(|line| line.ends_with("retry in 1ms")).count(), 2);
        assert_eq!(lines[4..], ["open", "close 1000 enough, by server, clean"]);
    }
    server.join();
}

#[test]
fn b011_a_close_of_ours_after_a_loss_is_a_clean_end() {
    let server = ScriptedServer::start(|mut peer| {
        if peer.index() > 0 {
            peer.accept_upgrade();
            peer.read_close();
            peer.send_close(1000, "");
        }
    })
    .unwrap();
    let mut app = Log::new().app(server.url()).on_open(|app, _| app.close());
    let outcome = run_forever(&mut app, &fixed(MS)).unwrap();
    assert_eq!(outcome_line(&outcome), "clean 1000, by Client");
    server.join();
}

#[test]
fn b011_the_removal_of_a_connection_that_was_made_again_does_not_bring_the_first_loss_back() {
    let server = ScriptedServer::start(|mut peer| {
        if peer.index() > 0 {
            peer.accept_upgrade();
            peer.read_to_end();
        }
    })
    .unwrap();
    let mut app = Log::new().app(server.url()).on_open(|app, _| app.remove());
    assert_eq!(outcome_line(&run_forever(&mut app, &fixed(MS)).unwrap()), "stopped");
    server.join();
}

#[test]
fn a_panic_of_a_callback_ends_the_run_whatever_the_policy() {
    let policy = Reconnect::fixed(SECOND).classify(|_| websocket_app::Verdict::Retry);
    for at_second in [false, true] {
        let log = Log::new();
        let mut calls = 0;
        let app = log.app(URL).url_with(move || {
            calls += 1;
            assert!(calls == 1 || !at_second, "no url");
            URL
        });
        let app = app.on_open(move |_, _| assert!(at_second, "in on_open"));
        let mut world = World::new();
        let listener = world.start(app, &RunOptions::new().reconnect(policy.clone()));
        let peer = world.accept(&listener);
        if at_second {
            peer.reset();
            world.settle();
            log.take();
            world.run_for(SECOND);
        }
        let panicked = format!("CallbackPanicked(\"{}\")", if at_second { "no url" } else { "in on_open" });
        assert_eq!(log.lines(), [format!("error {panicked}"), format!("close: {panicked}")]);
        assert!(world.reactor.apps().is_empty());
    }
}

/// Entropy, and the depth of the stack from which each number of it was asked for.
struct Depth {
    inner: SeededEntropy,
    deepest: Rc<Cell<usize>>,
}

impl Entropy for Depth {
    fn next_u32(&mut self) -> u32 {
        let here = 0_u8;
        // Stacks grow downwards wherever this runs.
        let depth = usize::MAX - std::ptr::from_ref(&here).addr();
        self.deepest.set(self.deepest.get().max(depth));
        self.inner.next_u32()
    }
}

#[test]
fn b126_ten_thousand_retries_in_a_row_need_no_more_stack_than_ten() {
    let deepest = Rc::new(Cell::new(0));
    let entropy = Depth { inner: SeededEntropy::new([1; 32]), deepest: deepest.clone() };
    let mut world = World::new().map(|reactor| reactor.entropy(entropy));
    world.net.serve_arrivals(SERVER, SimPeer::reset);
    let (closed, count) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let (seen, nested) = (closed.clone(), count);
    let app = WebSocketApp::new(URL).on_error(|_, _| {}).on_close(move |_, _| {
        assert_eq!(nested.replace(nested.get() + 1), 0, "one inside another");
        seen.set(seen.get() + 1);
        nested.set(0);
    });
    let policy = Reconnect::backoff(SECOND, SECOND);
    app.run_on(&mut world.reactor, &RunOptions::new().reconnect(policy)).unwrap();
    world.reactor.run_until(|_| closed.get() == 10).unwrap();
    let early = deepest.get();
    world.reactor.run_until(|_| closed.get() == 10_000).unwrap();
    assert_eq!(deepest.get(), early);
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
        let mut world = World::new();
        let listener = world.start(app, &fixed(SECOND));
        listener.accept().unwrap().reset();
        world.run_for(5 * SECOND);
        assert_eq!(log.lines(), ["error NoResponse(ConnectionReset)", "close: NoResponse(ConnectionReset)"]);
        assert!(world.reactor.apps().is_empty());
    }
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
    let mut world = World::new();
    let _listener = world.start(app, &fixed(SECOND));
    assert_eq!(log.lines(), ["error Connect(Other)", "close: Connect(Other), retry in 1s"]);
    assert_eq!(Arc::strong_count(&body), 2, "the test's and the function's");
}
