//! Running on real sockets until something has happened, but not for ever.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use websocket_app::dispatcher::Wait;
use websocket_app::{Apps, Error, Outcome, Reactor, RunOptions, WebSocketApp};

use super::dispatcher;

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

/// [`WebSocketApp::run_forever`] on the host under test, but not for ever.
///
/// # Errors
/// Those of the run.
///
/// # Panics
/// When it does not end.
#[track_caller]
pub fn run_forever(app: &mut WebSocketApp, options: &RunOptions) -> Result<Outcome, Error> {
    let sender = app.sender();
    let (ended, end) = mpsc::channel::<()>();
    let watchdog = thread::spawn(move || {
        let late = end.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout);
        if late {
            sender.stop();
        }
        late
    });
    let outcome = app.run_forever_on(dispatcher(), options);
    drop(ended);
    assert!(!watchdog.join().expect("the watchdog lives"), "the run does not end");
    outcome
}
