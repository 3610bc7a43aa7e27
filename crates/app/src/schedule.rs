//! Deadlines and timers: one heap for all apps and the reactor's own, re-armed lazily.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use crate::id::{AppId, TimerId};

/// What is due.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Due {
    /// A deadline of the app's connection; it may have moved on.
    Deadline(AppId),
    /// A timer of the app's; it may have been cancelled.
    AppTimer(AppId, TimerId),
    /// A timer that belongs to no app; it may have been cancelled.
    Timer(TimerId),
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Entry {
    pub(crate) at: Instant,
    sequence: u64,
    pub(crate) due: Due,
}

impl Entry {
    /// The entry as its app remembers it.
    pub(crate) const fn armed(&self) -> Armed {
        Armed { at: self.at, sequence: self.sequence }
    }
}

/// The entry that an app's deadline is armed with. Another of the same time may be left of an earlier
/// deadline, and means nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Armed {
    pub(crate) at: Instant,
    sequence: u64,
}

/// Everything that will be due, the earliest first. Entries that no longer mean anything stay until their
/// time or until they are many.
#[derive(Default, Debug)]
pub(crate) struct Schedule {
    heap: BinaryHeap<Reverse<Entry>>,
    sequence: u64,
    stale: usize,
}

impl Schedule {
    pub(crate) fn push(&mut self, at: Instant, due: Due) -> Armed {
        self.sequence += 1;
        let entry = Entry { at, sequence: self.sequence, due };
        self.heap.push(Reverse(entry));
        entry.armed()
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(entry)| entry.at)
    }

    /// The next entry that is due at `now` and was there before the entry of number `until`.
    pub(crate) fn pop_due(&mut self, now: Instant, until: u64) -> Option<Entry> {
        let Reverse(entry) = self.heap.peek()?;
        if entry.at > now || entry.sequence > until {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }

    /// The number of the newest entry.
    pub(crate) const fn newest(&self) -> u64 {
        self.sequence
    }

    /// Notes that this many more entries no longer mean anything.
    pub(crate) const fn forget(&mut self, entries: usize) {
        self.stale += entries;
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    /// Drops entries that mean nothing, when these are more than the others.
    pub(crate) fn tidy(&mut self, mut is_live: impl FnMut(&Entry) -> bool) {
        // Each entry that is looked at is paid for by one that was forgotten.
        if self.stale > self.heap.len() / 2 {
            self.heap.retain(|Reverse(entry)| is_live(entry));
            self.stale = 0;
        }
    }
}

/// Returns `now` plus `after`; what is beyond the clock's range becomes a hundred years.
pub(crate) fn later(now: Instant, after: Duration) -> Instant {
    const AN_AGE: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    now.checked_add(after).unwrap_or_else(|| now + AN_AGE)
}

/// The earliest of several deadlines; of two at the same time, the one that comes first in the list.
pub(crate) fn earliest<T>(deadlines: impl IntoIterator<Item = Option<(Instant, T)>>) -> Option<(Instant, T)> {
    deadlines.into_iter().flatten().min_by_key(|(at, _)| *at)
}
