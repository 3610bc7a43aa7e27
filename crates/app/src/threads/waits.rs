//! What waits for an app's connection: the wakers of futures, for any executor, on any thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

/// What a future waits for.
#[derive(Clone, Copy)]
pub(super) enum Need {
    /// An open connection.
    Open,
    /// An open connection, and room for a message of this many bytes.
    Room(usize),
    /// That nothing which was accepted waits any more.
    Flushed,
}

/// The futures that wait, each with a name and the waker of its task. Most apps have none.
#[derive(Default)]
pub(super) struct Waits(Option<Box<List>>);

#[derive(Default)]
struct List {
    newest: u64,
    waits: Vec<(u64, Need, Waker)>,
}

impl Waits {
    pub(super) fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|list| list.waits.is_empty())
    }

    /// Notes that a future waits. Returns the waker of its last poll, unless it has only begun to wait.
    pub(super) fn wait(&mut self, name: &mut Option<u64>, need: Need, waker: Waker) -> Option<Waker> {
        let list = self.0.get_or_insert_default();
        if let Some((.., known)) = list.waits.iter_mut().find(|(known, ..)| Some(*known) == *name) {
            return Some(std::mem::replace(known, waker));
        }
        list.newest += 1;
        *name = Some(list.newest);
        list.waits.push((list.newest, need, waker));
        None
    }

    /// Removes a future that does not wait any more, and returns its waker.
    pub(super) fn forget(&mut self, name: Option<u64>) -> Option<Waker> {
        let list = self.0.as_mut()?;
        let index = list.waits.iter().position(|(known, ..)| Some(*known) == name)?;
        Some(list.waits.swap_remove(index).2)
    }

    /// Takes the wakers of the futures whose need `is_met`.
    pub(super) fn take_met(&mut self, is_met: impl Fn(Need) -> bool) -> Vec<Waker> {
        let Some(list) = &mut self.0 else { return Vec::new() };
        let met = list.waits.extract_if(.., |(_, need, _)| is_met(*need));
        met.map(|(.., waker)| waker).collect()
    }
}

/// Wakes tasks. A waker is code of its executor, and its panic must not take the loop down.
pub(super) fn wake_all(wakers: Vec<Waker>) {
    for waker in wakers {
        if catch_unwind(AssertUnwindSafe(|| waker.wake())).is_err() {
            log::error!(target: "websocket::app", "the waker of a future that waits for a connection panicked");
        }
    }
}
