//! `on_error` knows whether another attempt follows, and `on_close` says the same. In virtual time.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use websocket_app::{Context, NoRetry, Reconnect, RunOptions, Verdict, WebSocketApp};
use websocket_testkit::frame;
use websocket_tests::{Log, SERVER, URL, World};

const SECOND: Duration = Duration::from_secs(1);

/// An app that writes down what `retry` returns in each callback, and checks it against `closed`.
fn app(log: &Log) -> WebSocketApp {
    let [opens, errors, closes] = std::array::from_fn(|_| log.clone());
    WebSocketApp::new(URL)
        .on_open(move |app, _| opens.push(format!("open {:?}", app.retry())))
        .on_error(move |app, _| errors.push(format!("error {:?}", app.retry())))
        .on_close(move |app, closed| {
            let said = closed.retry_in.ok_or_else(|| closed.no_retry.unwrap());
            assert_eq!(app.retry(), None, "it is said already");
            closes.push(format!("close {said:?}"));
        })
}

fn policy() -> RunOptions {
    RunOptions::new().reconnect(Reconnect::fixed(SECOND).max_retries(1))
}

#[test]
fn on_error_tells_a_failure_that_is_retried_from_one_that_is_the_end() {
    let mut world = World::new();
    let log = Log::new();
    world.net.refuse(SERVER);
    app(&log).run_on(&mut world.reactor, &policy()).unwrap();
    world.settle();
    assert_eq!(log.take(), ["error Some(Ok(1s))", "close Ok(1s)"]);
    let id = world.reactor.apps().ids()[0];
    let waits = world.reactor.apps().with(id, |app| (app.retry(), app.retry_at())).unwrap();
    assert_eq!(waits, (None, Some(world.net.now() + SECOND)));
    world.run_for(SECOND);
    let last = "Err(MaxRetries { limit: 1 })";
    assert_eq!(log.take(), [format!("error Some({last})"), format!("close {last}")]);

    app(&log).run_on(&mut world.reactor, &RunOptions::new()).unwrap();
    world.reactor.run().unwrap();
    assert_eq!(log.take(), ["error Some(Err(NoPolicy))", "close Err(NoPolicy)"]);
}

#[test]
fn a_callback_that_fails_ends_nothing_and_a_clean_end_needs_no_on_error() {
    let mut world = World::new();
    let log = Log::new();
    let peer = world.open(app(&log).on_message(|_, _| Err::<(), _>("no")), &policy());
    peer.write(&frame::text("hello"));
    world.settle();
    assert_eq!(log.take(), ["open None", "error None"]);
    peer.write(&frame::close(1001, ""));
    world.settle();
    peer.shutdown();
    world.settle();
    assert_eq!(log.take(), ["close Ok(1s)"]);
}

#[test]
fn the_decision_of_a_failure_holds_until_the_attempt_ends_and_its_delay_begins_there() {
    let mut world = World::new();
    let log = Log::new();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let policy = Reconnect::fixed(SECOND).classify(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        Verdict::Retry
    });
    let options = RunOptions::new().reconnect(policy).close_timeout(10 * SECOND);
    let peer = world.open(app(&log), &options);
    peer.write(&[0xf1, 0]);
    world.settle();
    // It has a bad frame and waits for the server to end the stream.
    assert_eq!(log.take(), ["open None", "error Some(Ok(1s))"]);
    world.run_for(10 * SECOND);
    assert_eq!(log.take(), ["close Ok(1s)"]);
    let id = world.reactor.apps().ids()[0];
    let retry_at = world.reactor.apps().with(id, |app| app.retry_at()).unwrap();
    assert_eq!(retry_at, Some(world.net.now() + SECOND));
    assert_eq!(asked.load(Ordering::Relaxed), 1, "the policy is asked once for each attempt");
}

#[test]
fn a_close_or_a_stop_in_on_error_overrules_the_decision() {
    type End = fn(&mut Context<'_>);
    let ends: [(NoRetry, End); 2] =
        [(NoRetry::Closed, |app| app.close()), (NoRetry::Stopped, |app| app.apps().stop())];
    for (reason, end) in ends {
        let mut world = World::new();
        let log = Log::new();
        world.net.refuse(SERVER);
        let errors = log.clone();
        let app = app(&log).on_error(move |app, _| {
            errors.push(format!("error {:?}", app.retry()));
            end(app);
            errors.push(format!("then {:?}", app.retry()));
        });
        app.run_on(&mut world.reactor, &policy()).unwrap();
        world.reactor.run().unwrap();
        let said = format!("Err({reason:?})");
        assert_eq!(
            log.take(),
            ["error Some(Ok(1s))".to_owned(), format!("then Some({said})"), format!("close {said}")]
        );
    }
}

#[test]
fn after_a_panic_no_attempt_follows_and_the_policy_is_not_asked() {
    let mut world = World::new();
    let log = Log::new();
    let options =
        RunOptions::new().reconnect(Reconnect::fixed(SECOND).classify(|_| unreachable!("not asked")));
    let peer = world.open(app(&log).on_message(|_, _| panic!("boom")), &options);
    peer.write(&frame::text("hello"));
    world.settle();
    assert_eq!(log.take(), ["open None", "error Some(Err(Panicked))", "close Err(Panicked)"]);
}

#[test]
fn a_policy_that_panics_when_on_error_asks_ends_the_run_with_the_failure() {
    let mut world = World::new();
    let log = Log::new();
    world.net.refuse(SERVER);
    let options = RunOptions::new().reconnect(Reconnect::fixed(SECOND).classify(|_| panic!("no verdict")));
    app(&log).run_on(&mut world.reactor, &options).unwrap();
    world.reactor.run().unwrap();
    assert_eq!(log.take(), ["close Err(Panicked)"]);
}
