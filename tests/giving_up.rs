//! Which policy gives up after which end, and the reason that `on_close` gets, in virtual time.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use websocket_app::{NoRetry, Reconnect, RunOptions, Verdict, WebSocketApp};
use websocket_testkit::frame;
use websocket_testkit::sim::SimPeer;
use websocket_tests::{SERVER, URL, World};

const SECOND: Duration = Duration::from_secs(1);

type Reasons = Rc<RefCell<Vec<Result<Duration, NoRetry>>>>;

fn options(policy: impl Into<Reconnect>) -> RunOptions {
    RunOptions::new().reconnect(policy)
}

/// An app that writes down, for each attempt, when the next follows or why none does.
fn app(url: &str) -> (WebSocketApp, Reasons) {
    let reasons = Reasons::default();
    let written = reasons.clone();
    let app = WebSocketApp::new(url).on_close(move |_, closed| {
        // One of the two is there.
        written.borrow_mut().push(match (closed.retry_in, closed.no_retry) {
            (Some(delay), None) => Ok(delay),
            (None, Some(reason)) => Err(reason),
            both => panic!("{both:?}"),
        });
    });
    (app, reasons)
}

fn response(status: &str) -> impl Fn(&SimPeer) + 'static {
    let response = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
    move |peer| {
        if peer.read_request().is_some() {
            peer.write(response.as_bytes());
        }
    }
}

fn closes_with(code: u16) -> impl Fn(&SimPeer) + 'static {
    move |peer| {
        if peer.accept_upgrade().is_some() {
            peer.write(&frame::close(code, ""));
            peer.shutdown();
        }
    }
}

/// What the app was told within some seconds, where the server does that to each connection.
fn told(
    options: &RunOptions,
    seconds: u32,
    script: impl FnMut(&SimPeer) + 'static,
) -> Vec<Result<Duration, NoRetry>> {
    let mut world = World::new();
    world.net.serve(SERVER, script);
    let (app, reasons) = app(URL);
    app.run_on(&mut world.reactor, options).unwrap();
    world.run_for(seconds * SECOND);
    reasons.take()
}

#[test]
fn a_policy_that_always_retries_does_so_after_answers_too() {
    let always = options(Reconnect::fixed(SECOND).always());
    let usual = options(SECOND);
    for code in [1000, 1002, 1008, 3000, 4999] {
        assert_eq!(told(&usual, 3, closes_with(code)), [Err(NoRetry::GaveUp)], "{code}");
        assert_eq!(told(&always, 3, closes_with(code)), [Ok(SECOND); 4], "{code}");
    }
    for status in ["200 OK", "401 Who", "403 No", "404 Where", "501 How"] {
        assert_eq!(told(&usual, 3, response(status)), [Err(NoRetry::GaveUp)], "{status}");
        assert_eq!(told(&always, 3, response(status)), [Ok(SECOND); 4], "{status}");
    }
    // A URL that a function has made, too.
    let mut world = World::new();
    let (app, reasons) = app(URL);
    app.url_with(|| "http://192.0.2.1/").run_on(&mut world.reactor, &always).unwrap();
    world.run_for(2 * SECOND);
    assert_eq!(reasons.take(), [Ok(SECOND); 3]);
}

#[test]
fn a_policy_that_always_retries_leaves_a_busy_server_alone_and_keeps_its_limits() {
    let busy = || response("503 Busy\r\nRetry-After: 20");
    assert_eq!(told(&options(Reconnect::fixed(SECOND).always()), 1, busy()), [Ok(20 * SECOND)]);

    let limited = options(Reconnect::fixed(SECOND).always().max_retries(2));
    let reached = Err(NoRetry::MaxRetries { limit: 2 });
    assert_eq!(told(&limited, 9, closes_with(1000)), [Ok(SECOND), Ok(SECOND), reached]);
    let limited = options(Reconnect::fixed(SECOND).always().max_elapsed(2 * SECOND));
    let reached = Err(NoRetry::MaxElapsed { limit: 2 * SECOND });
    assert_eq!(told(&limited, 9, closes_with(1000)), [Ok(SECOND), Ok(SECOND), reached]);
}

#[test]
fn of_always_and_a_classifier_the_later_holds() {
    let never = |_: &_| Verdict::GiveUp;
    let later = options(Reconnect::fixed(SECOND).classify(never).always());
    assert_eq!(told(&later, 0, closes_with(1001)), [Ok(SECOND)]);
    let earlier = options(Reconnect::fixed(SECOND).always().classify(never));
    assert_eq!(told(&earlier, 0, closes_with(1001)), [Err(NoRetry::GaveUp)]);
}

#[test]
fn a_run_without_a_policy_says_so() {
    for options in
        [RunOptions::new(), options(Duration::ZERO), options(Reconnect::fixed(Duration::ZERO).always())]
    {
        assert_eq!(told(&options, 9, closes_with(1001)), [Err(NoRetry::NoPolicy)]);
    }
}

#[test]
fn the_programs_own_ends_are_reasons_whatever_the_policy() {
    type End = fn(&mut World);
    let ends: [(End, NoRetry); 4] = [
        (
            |world| {
                let id = world.reactor.apps().ids()[0];
                world.reactor.apps().with(id, |app| app.close()).unwrap();
            },
            NoRetry::Closed,
        ),
        (|world| world.reactor.apps().stop(), NoRetry::Stopped),
        (|world| world.reactor.apps().stop_within(Duration::ZERO), NoRetry::Stopped),
        (
            |world| {
                let id = world.reactor.apps().ids()[0];
                let handle = world.reactor.apps().with(id, |app| app.sender()).unwrap();
                handle.run(|_| panic!("in work of another thread"));
            },
            NoRetry::Panicked,
        ),
    ];
    let policies = [RunOptions::new(), options(SECOND), options(Reconnect::fixed(SECOND).always())];
    for options in policies {
        for (index, (end, reason)) in ends.into_iter().enumerate() {
            let mut world = World::new();
            let (app, reasons) = app(URL);
            let peer = world.open(app, &options);
            end(&mut world);
            world.settle();
            peer.write(&frame::close(1001, ""));
            peer.shutdown();
            world.settle();
            assert_eq!(reasons.take(), [Err(reason)], "end {index}");
            assert!(world.reactor.apps().is_empty());
        }
    }
}

#[test]
fn a_policy_that_panics_is_a_reason() {
    let broken = options(Reconnect::fixed(SECOND).classify(|_| panic!("no verdict")));
    assert_eq!(told(&broken, 9, closes_with(1001)), [Err(NoRetry::Panicked)]);
}

#[test]
fn every_reason_says_what_it_is() {
    let texts = [
        (NoRetry::NoPolicy, "there is no policy for reconnecting"),
        (NoRetry::GaveUp, "the policy for reconnecting gives up after such an end"),
        (NoRetry::MaxRetries { limit: 3 }, "max_retries (3) is reached"),
        (
            NoRetry::MaxElapsed { limit: SECOND / 2 },
            "max_elapsed (500ms) would have passed before the next attempt",
        ),
        (NoRetry::Closed, "the program has closed the app"),
        (NoRetry::Stopped, "the program has stopped the reactor"),
        (NoRetry::Panicked, "a callback has panicked"),
    ];
    for (reason, text) in texts {
        assert_eq!(reason.to_string(), text);
    }
}
