//! After which ends a connection is made again, in virtual time.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use websocket_app::{Error, Outcome, Reconnect, RunOptions, Verdict, WebSocketApp};
use websocket_testkit::frame;
use websocket_testkit::sim::SimPeer;
use websocket_tests::{Log, SERVER, URL, World, outcome_line};

const SECOND: Duration = Duration::from_secs(1);

fn options(policy: impl Into<Reconnect>) -> RunOptions {
    RunOptions::new().reconnect(policy)
}

/// What the first `on_close` said about a retry, against a server that does that.
#[track_caller]
fn first_retry(options: &RunOptions, script: impl FnMut(&SimPeer) + 'static) -> Option<Duration> {
    let mut world = World::new();
    world.net.serve(SERVER, script);
    retry_in(&mut world, URL, options)
}

#[track_caller]
fn retry_in(world: &mut World, url: &str, options: &RunOptions) -> Option<Duration> {
    let told = Rc::new(Cell::new(None));
    let seen = told.clone();
    let app = WebSocketApp::new(url).on_close(move |app, closed| {
        assert!(seen.replace(Some(closed.retry_in)).is_none());
        app.close();
    });
    app.run_on(&mut world.reactor, options).unwrap();
    world.run_for(60 * SECOND);
    assert!(world.reactor.apps().is_empty());
    told.get().unwrap()
}

/// What is retried after a response of that status and these header lines, with a policy of one second.
#[track_caller]
fn after_status(status: u16, lines: &str) -> Option<Duration> {
    let response = format!("HTTP/1.1 {status} No\r\n{lines}Content-Length: 0\r\n\r\n");
    first_retry(&options(SECOND), move |peer| peer.write(response.as_bytes()))
}

#[test]
fn b125_a_refusal_that_stays_one_is_not_retried() {
    for status in [200, 301, 307, 400, 401, 403, 404, 405, 407, 410, 426, 451, 501, 505] {
        assert_eq!(after_status(status, ""), None, "{status}");
        assert_eq!(after_status(status, "Retry-After: 5\r\n"), None, "{status}");
    }
    for status in [408, 425, 429, 500, 502, 503, 504, 506, 520, 599] {
        assert_eq!(after_status(status, ""), Some(SECOND), "{status}");
    }
}

#[test]
fn b125_a_busy_server_says_when_to_come_back() {
    const DATE: &str = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    let hour = Some(3600 * SECOND);
    let (usual, longer) = (Some(SECOND), Some(20 * SECOND));
    let table: [(&str, Option<Duration>); 20] = [
        ("Retry-After: 20\r\n", longer),
        ("retry-after:    20  \r\n", longer),
        ("Retry-After: 0020\r\n", longer),
        // The policy's own delay is longer.
        ("Retry-After: 0\r\n", usual),
        ("Retry-After: 1\r\n", usual),
        // Nobody waits for ever because a server says so.
        ("Retry-After: 3601\r\n", hour),
        ("Retry-After: 18446744073709551615\r\n", hour),
        ("Retry-After: 999999999999999999999999999999\r\n", hour),
        // What cannot be understood asks for nothing.
        ("Retry-After:\r\n", usual),
        ("Retry-After: -20\r\n", usual),
        ("Retry-After: +20\r\n", usual),
        ("Retry-After: 20.5\r\n", usual),
        ("Retry-After: 20 s\r\n", usual),
        ("Retry-After: soon\r\n", usual),
        ("Retry-After: \u{661}\u{662}\r\n", usual),
        // A date counts from the server's own.
        ("Retry-After: Sun, 06 Nov 1994 08:49:57 GMT\r\n", longer),
        ("Retry-After: Sunday, 06-Nov-94 08:49:57 GMT\r\n", longer),
        ("Retry-After: Sun Nov  6 08:49:57 1994\r\n", longer),
        ("Retry-After: Sun, 06 Nov 1994 08:49:17 GMT\r\n", usual),
        ("Retry-After: Sat, 06 Nov 2094 08:49:17 GMT\r\n", hour),
    ];
    for status in [429, 503] {
        for (line, expected) in table {
            assert_eq!(after_status(status, &format!("{DATE}{line}")), expected, "{status} {line}");
        }
        let date = "Retry-After: Sun, 06 Nov 1994 08:49:57 GMT\r\n";
        assert_eq!(after_status(status, date), usual, "no Date to count from");
        assert_eq!(after_status(status, &format!("Date: yesterday\r\n{date}")), usual);
    }
    for status in [408, 425, 500, 502, 504] {
        assert_eq!(after_status(status, "Retry-After: 20\r\n"), usual, "{status}");
    }
}

#[test]
fn b125_a_busy_server_is_left_alone_for_longer_than_the_cap() {
    let policy = Reconnect::backoff(SECOND, 2 * SECOND);
    let mut world = World::new();
    world.net.serve(SERVER, |peer| {
        peer.write(b"HTTP/1.1 503 Busy\r\nRetry-After: 100\r\nContent-Length: 0\r\n\r\n");
    });
    let log = Log::new();
    log.app(URL).run_on(&mut world.reactor, &options(policy)).unwrap();
    world.run_until(250 * SECOND);
    assert_eq!(log.count(|line| line.starts_with("close: Upgrade(Status 503), retry in 10")), 3);
    let at: Vec<_> = world.net.attempts().into_iter().map(|(at, _)| at).collect();
    for pair in at.windows(2) {
        let waited = pair[1] - pair[0];
        // The random delay comes on top: not all clients of the server come back in the same second.
        assert!((100 * SECOND..=102 * SECOND).contains(&waited), "{waited:?}");
    }
    assert_ne!(at[1] - at[0], at[2] - at[1]);
}

#[test]
fn b038_b125_the_default_is_its_table_row_by_row() {
    let opened = |bytes: Vec<u8>| {
        move |peer: &SimPeer| {
            peer.accept_upgrade();
            peer.write(&bytes);
            peer.shutdown();
        }
    };
    let retry = Some(SECOND);
    for (code, expected) in [
        (1000, None),
        (1001, retry),
        (1002, None),
        (1003, None),
        (1007, None),
        (1008, None),
        (1009, None),
        (1010, None),
        (1011, retry),
        (1012, retry),
        (1013, retry),
        (1014, retry),
        (3000, None),
        (4999, None),
    ] {
        assert_eq!(first_retry(&options(SECOND), opened(frame::close(code, "why"))), expected, "{code}");
    }
    assert_eq!(first_retry(&options(SECOND), opened(frame::empty_close())), None);

    assert_eq!(first_retry(&options(SECOND), opened(Vec::new())), retry, "the end of the stream");
    assert_eq!(first_retry(&options(SECOND), SimPeer::reset), retry, "a reset");
    assert_eq!(first_retry(&options(SECOND), opened(frame::encode(true, 0, 3, b""))), retry, "a breach");
    assert_eq!(first_retry(&options(SECOND), SimPeer::shutdown), retry, "no response");
    let mute = |_: &SimPeer| {};
    assert_eq!(first_retry(&options(SECOND), mute), retry, "upgrade_timeout");
    let keep_alive = options(SECOND).ping_interval(10 * SECOND).ping_timeout(SECOND);
    let silent = |peer: &SimPeer| drop(peer.accept_upgrade());
    assert_eq!(first_retry(&keep_alive, silent), retry, "ping_timeout");
    let other = |peer: &SimPeer| peer.write(b"SSH-2.0-OpenSSH_9.9\r\n");
    assert_eq!(first_retry(&options(SECOND), other), None, "not HTTP");
    let liar = |peer: &SimPeer| {
        peer.write(b"HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
    };
    assert_eq!(first_retry(&options(SECOND), liar), None, "no Sec-WebSocket-Accept");

    let mut world = World::new();
    assert_eq!(retry_in(&mut world, URL, &options(SECOND)), retry, "refused");
    assert_eq!(retry_in(&mut world, "ws://nowhere.test/", &options(SECOND)), retry, "not resolved");
    world.net.black_hole(SERVER);
    assert_eq!(retry_in(&mut world, URL, &options(SECOND)), retry, "connect_timeout");
    let short = options(SECOND).attempt_timeout(SECOND);
    assert_eq!(retry_in(&mut world, URL, &short), retry, "attempt_timeout");
}

#[test]
fn b038_the_user_may_decide_otherwise_and_ask_the_default() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let lines = asked.clone();
    let policy = Reconnect::fixed(2 * SECOND).classify(move |outcome| {
        lines.lock().unwrap().push(outcome_line(outcome));
        match outcome {
            Outcome::Clean { code: Some(code), .. } if u16::from(*code) == 1000 => Verdict::Retry,
            Outcome::Clean { code: Some(code), .. } if u16::from(*code) == 4000 => {
                Verdict::RetryAfter(5 * SECOND)
            }
            Outcome::Lost(Error::EndOfStream) => Verdict::RetryAfter(SECOND),
            Outcome::Lost(Error::Io(_)) => Verdict::GiveUp,
            outcome => Verdict::of(outcome),
        }
    });
    let log = Log::new();
    let mut world = World::new();
    let listener = world.start(log.app(URL), &options(policy));
    type End = fn(&SimPeer);
    let ends: [(End, Option<u32>); 5] = [
        (|peer| peer.write(&frame::close(1000, "")), Some(2)),
        (|peer| peer.write(&frame::close(4000, "")), Some(5)),
        (|_| {}, Some(2)),
        (|peer| peer.write(&frame::close(1001, "")), Some(2)),
        (SimPeer::reset, None),
    ];
    for (end, retry) in ends {
        let peer = world.accept(&listener);
        end(&peer);
        peer.shutdown();
        world.settle();
        let told = retry.map_or_else(String::new, |retry| format!(", retry in {retry}s"));
        assert!(log.lines().last().unwrap().ends_with(&told), "{:?}", log.lines());
        world.run_for(retry.unwrap_or(60) * SECOND);
    }
    assert!(world.reactor.apps().is_empty());
    let told =
        ["clean 1000, by Server", "clean 4000, by Server", "lost EndOfStream", "clean 1001, by Server"];
    assert_eq!(asked.lock().unwrap()[..4], told);
    assert_eq!(asked.lock().unwrap()[4..], ["lost Io(ConnectionReset)"]);
}

#[test]
fn the_user_is_not_asked_after_a_close_or_a_stop_of_their_own() {
    let asked = Arc::new(AtomicU32::new(0));
    let count = asked.clone();
    let policy = Reconnect::fixed(SECOND).classify(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        Verdict::Retry
    });
    let ends: [fn(&mut World); 3] = [
        |world| {
            let id = world.reactor.apps().ids()[0];
            world.reactor.apps().with(id, |app| app.close()).unwrap();
        },
        |world| world.reactor.apps().stop(),
        |world| world.reactor.apps().stop_within(SECOND),
    ];
    for end in ends {
        let mut world = World::new();
        let peer = world.open(Log::new().app(URL), &options(policy.clone()));
        end(&mut world);
        world.settle();
        peer.write(&frame::close(1001, ""));
        peer.shutdown();
        world.settle();
        assert!(world.reactor.apps().is_empty());
    }
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}

#[test]
fn a_panic_while_the_user_decides_ends_the_run_with_on_error_and_on_close() {
    for clean in [false, true] {
        let policy = Reconnect::fixed(SECOND).classify(|outcome| panic!("{}", outcome_line(outcome)));
        let log = Log::new();
        let mut world = World::new();
        let neighbour = Log::new();
        let other = world.open(neighbour.app(URL), &RunOptions::new());
        let peer = world.open(log.app(URL), &options(policy));
        if clean {
            peer.write(&frame::close(1000, ""));
            peer.shutdown();
        } else {
            peer.reset();
        }
        other.write(&frame::text("hello"));
        world.settle();
        let panicked = if clean { "clean 1000, by Server" } else { "lost Io(ConnectionReset)" };
        let panicked = format!("CallbackPanicked(\"{panicked}\")");
        let mut expected = vec!["open".to_owned()];
        if clean {
            expected.push(format!("error {panicked}"));
            expected.push("close 1000, by server, clean".into());
        } else {
            expected.push("error Io(ConnectionReset)".into());
            expected.push(format!("error {panicked}"));
            expected.push("close: Io(ConnectionReset)".into());
        }
        assert_eq!(log.lines(), expected);
        assert_eq!(world.reactor.apps().len(), 1);
        assert_eq!(neighbour.lines(), ["open", "text hello"]);
    }
}
