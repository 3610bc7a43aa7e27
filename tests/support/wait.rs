//! Running a reactor on real sockets until something has happened.

use std::time::{Duration, Instant};

use websocket_app::dispatcher::Wait;
use websocket_app::{Apps, Reactor};

/// A safety net: it turns a test that would hang into one that fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs until all apps have ended.
///
/// # Panics
/// When they do not, or the loop breaks.
#[track_caller]
pub fn run<D: Wait>(reactor: &mut Reactor<D>) {
    until(reactor, |apps| apps.is_empty());
}

/// Takes turns until `done`, and tells how many that took.
///
/// # Panics
/// When that never is, or the loop breaks.
#[track_caller]
pub fn until<D: Wait>(reactor: &mut Reactor<D>, mut done: impl FnMut(&mut Apps) -> bool) -> usize {
    let end = Instant::now() + PATIENCE;
    for turns in 0.. {
        if done(reactor.apps()) {
            return turns;
        }
        let left = end.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "what the test waits for does not happen: {reactor:?}");
        reactor.poll(Some(left)).expect("the loop works");
    }
    unreachable!("turns are counted without end")
}
