//! How much may be sent in an interval, and when the next message may be.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::schedule::later;

/// Entries of a window that are kept apart. Where there are more, those that are close to each other become one.
const EXACT: usize = 512;

/// A limit on what an app sends: so many messages, or so many bytes of them, in any interval of a length. See
/// [`RunOptions::send_limit`](crate::RunOptions::send_limit).
///
/// ```
/// use std::time::Duration;
/// use websocket_app::{RunOptions, SendLimit};
///
/// let options = RunOptions::new()
///     .send_limit(SendLimit::messages(5, Duration::from_secs(1)))
///     .send_limit(SendLimit::bytes(10 << 10, Duration::from_secs(1)));
/// # let _ = options;
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SendLimit {
    unit: Unit,
    most: usize,
    interval: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Unit {
    Messages,
    Bytes,
}

impl SendLimit {
    /// At most `most` text and binary messages in any interval of this length. Pings, pongs and close frames do not count.
    #[must_use]
    pub const fn messages(most: usize, interval: Duration) -> Self {
        Self { unit: Unit::Messages, most, interval }
    }

    /// At most `most` bytes of text and binary messages in any interval of this length. What counts is the payload before
    /// compression, as the application behind the server sees it. A server that counts bytes of the stream sees 6 to 14 more
    /// per message, for the header of the frame.
    #[must_use]
    pub const fn bytes(most: usize, interval: Duration) -> Self {
        Self { unit: Unit::Bytes, most, interval }
    }

    /// Whether nothing can ever be sent.
    pub(crate) const fn allows_nothing(&self) -> bool {
        self.most == 0
    }

    /// Whether the interval is zero.
    pub(crate) const fn is_instant(&self) -> bool {
        self.interval.is_zero()
    }

    /// What a message of `len` bytes takes of it.
    const fn cost(&self, len: usize) -> usize {
        match self.unit {
            Unit::Messages => 1,
            Unit::Bytes => len,
        }
    }
}

/// What was sent under several limits, as far as it still counts.
///
/// A message counts from when it is queued for writing until one interval has passed since its last byte was written. So no
/// interval, wherever it begins, has more than the limit.
pub(crate) struct SendWindows(Box<[Window]>);

impl SendWindows {
    pub(crate) fn new(limits: &[SendLimit]) -> Self {
        Self(limits.iter().map(|limit| Window::new(*limit)).collect())
    }

    /// The most bytes that a message may have to be sent at all.
    pub(crate) fn max_len(&self) -> usize {
        let bytes = self.0.iter().filter(|window| window.limit.unit == Unit::Bytes);
        bytes.map(|window| window.limit.most).min().unwrap_or(usize::MAX)
    }

    /// When a message of `len` bytes may be queued for writing, `now` or later, if nothing else is until then. `None` while it
    /// depends on when messages that are queued will be written.
    pub(crate) fn ready_at(&self, len: usize, now: Instant) -> Option<Instant> {
        self.0.iter().try_fold(now, |at, window| Some(window.ready_at(len, now)?.max(at)))
    }

    /// A message of `len` bytes is queued for writing.
    pub(crate) fn queued(&mut self, len: usize, now: Instant) {
        self.0.iter_mut().for_each(|window| window.queued(len, now));
    }

    /// The last byte of such a message was written.
    pub(crate) fn written(&mut self, len: usize, now: Instant) {
        self.0.iter_mut().for_each(|window| window.written(len, now));
    }

    /// Such a message will not be written.
    pub(crate) fn dropped(&mut self, len: usize) {
        self.0.iter_mut().for_each(|window| window.used -= window.limit.cost(len));
    }
}

/// What was sent under one limit.
struct Window {
    limit: SendLimit,
    /// What was written, the oldest first.
    entries: VecDeque<Entry>,
    /// What the entries and the messages that are queued for writing take of the limit.
    used: usize,
}

/// Messages that were written at about the same time.
struct Entry {
    first: Instant,
    /// All of them count until an interval after this.
    last: Instant,
    cost: usize,
}

impl Window {
    const fn new(limit: SendLimit) -> Self {
        Self { limit, entries: VecDeque::new(), used: 0 }
    }

    fn ready_at(&self, len: usize, now: Instant) -> Option<Instant> {
        // This much has to leave the window before.
        let mut excess = self.used.saturating_add(self.limit.cost(len)).saturating_sub(self.limit.most);
        let mut at = now;
        let mut entries = self.entries.iter();
        while excess > 0 {
            let entry = entries.next()?;
            excess = excess.saturating_sub(entry.cost);
            at = at.max(self.end_of(entry));
        }
        Some(at)
    }

    fn queued(&mut self, len: usize, now: Instant) {
        while let Some(entry) = self.entries.front().filter(|entry| self.end_of(entry) <= now) {
            self.used -= entry.cost;
            self.entries.pop_front();
        }
        self.used += self.limit.cost(len);
    }

    fn written(&mut self, len: usize, now: Instant) {
        let cost = self.limit.cost(len);
        let is_full = self.entries.len() >= EXACT;
        let apart = self.limit.interval / EXACT as u32;
        match self.entries.back_mut() {
            Some(entry) if entry.last == now || (is_full && now < later(entry.first, apart)) => {
                entry.last = entry.last.max(now);
                entry.cost += cost;
            }
            _ => self.entries.push_back(Entry { first: now, last: now, cost }),
        }
    }

    /// From when on an entry counts no longer.
    fn end_of(&self, entry: &Entry) -> Instant {
        later(entry.last, self.limit.interval)
    }
}

#[cfg(test)]
mod tests;
