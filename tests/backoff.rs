//! How soon and how often a connection is made again, in virtual time.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use websocket_app::{
    Entropy, Error, Reconnect, ReconnectError, RunOptions, SeededEntropy, Verdict, WebSocketApp,
};
use websocket_tests::{Log, SERVER, URL, World};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// An [`Entropy`] that is the same number for ever.
struct Always(u32);

impl Entropy for Always {
    fn next_u32(&mut self) -> u32 {
        self.0
    }
}

fn options(policy: impl Into<Reconnect>) -> RunOptions {
    RunOptions::new().reconnect(policy)
}

/// The delays that a policy leads to against a server that refuses, up to `most` of them.
fn delays(policy: Reconnect, entropy: impl Entropy + 'static, most: usize) -> Vec<Option<Duration>> {
    let delays = Rc::new(RefCell::new(Vec::new()));
    let seen = delays.clone();
    let app = WebSocketApp::new(URL).on_close(move |app, closed| {
        seen.borrow_mut().push(closed.retry_in);
        if seen.borrow().len() == most {
            app.close();
        }
    });
    let mut world = World::new().map(|reactor| reactor.entropy(entropy));
    world.net.refuse(SERVER);
    app.run_on(&mut world.reactor, &options(policy)).unwrap();
    world.reactor.run().unwrap();
    delays.take()
}

fn seconds(delays: &[Option<Duration>]) -> Vec<Option<u64>> {
    delays.iter().map(|delay| delay.map(|delay| delay.as_secs())).collect()
}

#[test]
fn b123_the_upper_bound_doubles_up_to_the_cap() {
    let policy = Reconnect::backoff(SECOND, 10 * SECOND);
    let longest = delays(policy.clone(), Always(u32::MAX), 6);
    assert_eq!(longest, [1, 2, 4, 8, 10, 10].map(|bound| Some(bound * SECOND)));
    let shortest = delays(policy.clone(), Always(0), 6);
    assert_eq!(shortest, [Some(Duration::ZERO); 6]);
    let halves = delays(policy, Always(u32::MAX / 2), 6);
    for (half, bound) in halves.iter().zip([1, 2, 4, 8, 10, 10]) {
        let expected = bound * SECOND / 2;
        assert!(half.unwrap().abs_diff(expected) < Duration::from_micros(10), "{half:?} {expected:?}");
    }
}

#[test]
fn b123_the_delay_is_uniform_below_its_bound_and_the_same_for_the_same_seed() {
    let policy = Reconnect::backoff(8 * SECOND, 8 * SECOND);
    let seeded = |seed| delays(policy.clone(), SeededEntropy::new([seed; 32]), 4000);
    let some = seeded(1);
    assert_eq!(some, seeded(1));
    assert_ne!(some, seeded(2));
    let mut eighths = [0; 8];
    for delay in some {
        eighths[delay.unwrap().as_secs().min(7) as usize] += 1;
    }
    assert!(eighths.iter().all(|count| (400..600).contains(count)), "{eighths:?}");
}

#[test]
fn b123_no_delay_is_too_long_for_the_clock() {
    for policy in [
        Reconnect::fixed(Duration::MAX),
        Reconnect::backoff(Duration::MAX, Duration::MAX),
        Reconnect::fixed(SECOND).classify(|_| Verdict::RetryAfter(Duration::MAX)),
    ] {
        let longest = delays(policy.clone(), Always(u32::MAX), 1);
        assert_eq!(longest, [Some(Duration::MAX)]);
        assert_eq!(delays(policy.max_elapsed(SECOND), Always(u32::MAX), 1), [None]);
    }
    // Doubling does not overflow.
    let policy = Reconnect::backoff(Duration::from_nanos(1), MS).max_retries(100);
    let longest = delays(policy, Always(u32::MAX), 1000);
    assert_eq!((longest[99], longest[100], longest.len()), (Some(MS), None, 101));
}

#[test]
fn b123_retries_are_limited_in_number() {
    for (most, attempts) in [(0, 1), (1, 2), (5, 6)] {
        let told = delays(Reconnect::fixed(SECOND).max_retries(most), Always(0), 100);
        assert_eq!(told.len(), attempts);
        assert_eq!(told.last(), Some(&None));
        assert!(told[..attempts - 1].iter().all(|delay| *delay == Some(SECOND)));
    }
}

#[test]
fn b123_retries_are_limited_in_time() {
    let limited = |elapsed: Duration| {
        let policy = Reconnect::backoff(SECOND, 60 * SECOND).max_elapsed(elapsed);
        seconds(&delays(policy, Always(u32::MAX), 100))
    };
    // Failures at 0, 1, 3 and 7 s; the next retry would be at 15 s.
    assert_eq!(limited(15 * SECOND), [Some(1), Some(2), Some(4), Some(8), None]);
    assert_eq!(limited(15 * SECOND - MS), [Some(1), Some(2), Some(4), None]);
    assert_eq!(limited(Duration::ZERO), [None]);
}

/// One app that is lost as often as there are `open` times, each after so long; what it is told about retries.
fn retries_after(policy: Reconnect, open: &[Duration]) -> Vec<Option<u64>> {
    let told = Rc::new(RefCell::new(Vec::new()));
    let seen = told.clone();
    let mut world = World::new().map(|reactor| reactor.entropy(Always(u32::MAX)));
    let app = WebSocketApp::new(URL).on_close(move |_, closed| seen.borrow_mut().push(closed.retry_in));
    let listener = world.start(app, &options(policy));
    for open in open {
        let peer = world.accept(&listener);
        world.run_for(*open);
        peer.reset();
        world.settle();
        let Some(Some(delay)) = told.borrow().last().copied() else { break };
        world.run_for(delay);
    }
    seconds(&told.take())
}

#[test]
fn b123_a_connection_that_is_lost_at_once_keeps_backing_off_and_one_that_lasts_begins_anew() {
    let policy = Reconnect::backoff(SECOND, 60 * SECOND);
    let (short, long) = (30 * SECOND - MS, 30 * SECOND);
    let told = retries_after(policy, &[Duration::ZERO, Duration::ZERO, short, long, Duration::ZERO, long]);
    assert_eq!(told, [1, 2, 4, 1, 2, 1].map(Some));

    let policy = Reconnect::backoff(SECOND, 60 * SECOND).stable_after(5 * SECOND);
    let told = retries_after(policy, &[Duration::ZERO, 4 * SECOND, 5 * SECOND, Duration::ZERO]);
    assert_eq!(told, [1, 2, 1, 2].map(Some));

    // Every connection that opens at all is a success.
    let policy = Reconnect::backoff(SECOND, 60 * SECOND).stable_after(Duration::ZERO);
    assert_eq!(retries_after(policy, &[Duration::ZERO; 4]), [Some(1); 4]);
}

#[test]
fn b123_the_limits_begin_anew_as_well() {
    let policy = Reconnect::fixed(SECOND).max_retries(2).stable_after(10 * SECOND);
    let (short, long) = (SECOND, 10 * SECOND);
    let told = retries_after(policy, &[short, short, long, short, short]);
    assert_eq!(told, [Some(1), Some(1), Some(1), Some(1), None]);
    let policy = Reconnect::fixed(SECOND).max_elapsed(5 * SECOND).stable_after(10 * SECOND);
    let told = retries_after(policy, &[short, long, short, short, short]);
    assert_eq!(told, [Some(1), Some(1), Some(1), Some(1), None]);
}

#[test]
fn a_policy_that_cannot_work_is_refused_before_any_io() {
    let refused = |policy: Reconnect| {
        let mut world = World::new();
        let error = Log::new().app(URL).run_on(&mut world.reactor, &options(policy)).unwrap_err();
        assert_eq!(world.net.attempts(), []);
        let Error::Reconnect(error) = error else { panic!("{error:?}") };
        error
    };
    let error = refused(Reconnect::backoff(Duration::ZERO, SECOND));
    assert_eq!(error, ReconnectError::FirstDelayZero);
    let error = refused(Reconnect::backoff(SECOND, SECOND - MS));
    assert!(matches!(error, ReconnectError::CapBelowFirst { first: SECOND, .. }), "{error:?}");
    assert!(error.to_string().contains("999ms") && error.to_string().contains("1s"), "{error}");
}

#[test]
fn b121_zero_means_that_there_is_no_retry() {
    for policy in [Reconnect::from(Duration::ZERO), Reconnect::fixed(Duration::ZERO)] {
        assert_eq!(delays(policy, Always(0), 10), [None]);
    }
}

#[test]
fn b122_b124_each_app_has_a_delay_of_its_own_and_none_holds_up_another() {
    let mut world = World::new();
    world.net.refuse(SERVER);
    let logs: Vec<_> = (1..=3)
        .map(|seconds| {
            let log = Log::new();
            log.app(URL).run_on(&mut world.reactor, &options(seconds * SECOND)).unwrap();
            log
        })
        .collect();
    world.run_until(12 * SECOND);
    for (log, attempts) in logs.iter().zip([13, 7, 5]) {
        assert_eq!(log.count(|line| line.starts_with("close")), attempts);
    }
}

#[test]
fn b124_a_delay_is_a_timer_and_the_loop_sleeps_until_then() {
    let mut world = World::new();
    world.net.refuse(SERVER);
    let hour = 3600 * SECOND;
    Log::new().app(URL).run_on(&mut world.reactor, &options(hour)).unwrap();
    // The deadlines of the first attempt may still be in the books.
    world.run_until(60 * SECOND);
    let (waits, tried) = (world.net.waits(), world.net.attempts().len());
    world.reactor.poll(None).unwrap();
    assert_eq!((world.net.elapsed(), world.net.waits() - waits), (hour, 1));
    assert_eq!(world.net.attempts().len(), tried + 1);
}
