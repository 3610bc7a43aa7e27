//! A dispatcher that waits for what a test says, and writes down its waits.

use std::io;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::task::{Wake, Waker};
use std::thread::{self, ThreadId};
use std::time::Instant;

use websocket_dispatcher::{Dispatcher, Interest, Io, Key, KeyTable, Ready, Wait};

type Outcome = fn() -> io::Result<()>;

/// What the test and the dispatcher share.
#[derive(Default)]
pub(crate) struct Script {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    ready: Vec<Ready>,
    /// Reported by the next wait, which it does not end.
    later: Vec<Ready>,
    outcome: Option<Outcome>,
    is_woken: bool,
    is_waiting: bool,
    deadlines: Vec<Option<Instant>>,
    dropped_by: Option<ThreadId>,
}

impl State {
    fn is_over(&self) -> bool {
        self.is_woken || !self.ready.is_empty() || self.outcome.is_some()
    }
}

impl Script {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// Ends the current or next wait with an observation.
    pub(crate) fn report(&self, ready: Ready) {
        self.change(|state| state.ready.push(ready));
    }

    /// Adds an observation to what the current wait reports when it ends.
    pub(crate) fn report_later(&self, ready: Ready) {
        self.change(|state| state.later.push(ready));
    }

    /// Ends the current or next wait with what `outcome` returns.
    pub(crate) fn fail(&self, outcome: Outcome) {
        self.change(|state| state.outcome = Some(outcome));
    }

    /// Returns when the dispatcher is in a wait that nothing ends.
    pub(crate) fn until_waiting(&self) {
        let mut state = self.lock();
        while !state.is_waiting || state.is_over() {
            state = self.changed.wait(state).unwrap();
        }
    }

    /// The deadlines of all waits.
    pub(crate) fn deadlines(&self) -> Vec<Option<Instant>> {
        self.lock().deadlines.clone()
    }

    /// Whether the dispatcher was dropped, and by this thread.
    pub(crate) fn is_dropped_by(&self, thread: ThreadId) -> bool {
        self.lock().dropped_by == Some(thread)
    }
}

impl Wake for Script {
    fn wake(self: Arc<Self>) {
        self.change(|state| state.is_woken = true);
    }
}

pub(crate) struct Scripted {
    script: Arc<Script>,
    keys: KeyTable<()>,
}

impl Scripted {
    pub(crate) fn new(script: &Arc<Script>) -> Self {
        Self { script: script.clone(), keys: KeyTable::new() }
    }
}

impl Dispatcher for Scripted {
    fn register(&mut self, key: Key, _: &mut Io, _: Interest) -> io::Result<()> {
        assert!(!self.script.lock().is_waiting, "a change while the thread waits");
        self.keys.insert(key, ())
    }

    fn reregister(&mut self, key: Key, _: &mut Io, _: Interest) -> io::Result<()> {
        assert!(!self.script.lock().is_waiting, "a change while the thread waits");
        self.keys.get_mut(key).copied()
    }

    fn deregister(&mut self, key: Key, io: Io) {
        assert!(!self.script.lock().is_waiting, "a change while the thread waits");
        self.keys.remove(key);
        drop(io);
    }

    fn waker(&self) -> Waker {
        self.script.clone().into()
    }
}

impl Wait for Scripted {
    fn wait(&mut self, deadline: Option<Instant>, ready: &mut Vec<Ready>) -> io::Result<()> {
        let script = &self.script;
        let mut state = script.lock();
        state.deadlines.push(deadline);
        state.is_waiting = true;
        script.changed.notify_all();
        while !state.is_over() {
            state = match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                None => script.changed.wait(state).unwrap(),
                Some(left) if left.is_zero() => break,
                Some(left) => script.changed.wait_timeout(state, left).unwrap().0,
            };
        }
        (state.is_waiting, state.is_woken) = (false, false);
        ready.append(&mut state.later);
        ready.append(&mut state.ready);
        let outcome = mem::take(&mut state.outcome);
        drop(state);
        outcome.map_or(Ok(()), |outcome| outcome())
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.script.change(|state| state.dropped_by = Some(thread::current().id()));
    }
}
