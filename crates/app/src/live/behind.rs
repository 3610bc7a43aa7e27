//! What there is to remember of an app that does not keep up with what it receives.

use std::time::Instant;

/// The least that is read at a time where callbacks are slow.
const MIN_READ: usize = 4 << 10;

/// Where reads may be as large again, there is nothing to remember of earlier ones: no buffer has more room.
const MAX_READ: usize = 1 << 20;

/// Bytes that were read, and decrypted, and are yet to be delivered.
#[derive(Default)]
pub(crate) struct Undelivered {
    bytes: Vec<u8>,
    /// So many of them were delivered.
    start: usize,
    /// When they were read.
    read_at: Option<Instant>,
}

impl Undelivered {
    /// So many more of them were delivered.
    pub(super) const fn delivered(&mut self, len: usize) {
        self.start += len;
    }

    /// When they were read, if there are any.
    pub(super) fn since(&self) -> Option<Instant> {
        self.read_at.filter(|_| !self.rest().is_empty())
    }

    /// The bytes that are yet to be delivered.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

/// How far an app is behind. One that keeps up, as most do, holds no memory for it.
pub(super) struct Behind {
    pub(super) undelivered: Undelivered,
    /// How much one read may fill: little, where callbacks are so slow that a part is left each time.
    pub(super) read_limit: usize,
    /// While a deadline is due: bytes that may still be read before it is judged.
    pub(super) overdue: Option<usize>,
}

impl Default for Behind {
    fn default() -> Self {
        Self { undelivered: Undelivered::default(), read_limit: MAX_READ, overdue: None }
    }
}

impl Behind {
    /// `rest` is to be delivered when the app has its turn again, after `delivered` bytes of the same read.
    pub(super) fn keep(&mut self, rest: Vec<u8>, delivered: usize, read_at: Option<Instant>) {
        self.undelivered = Undelivered { bytes: rest, start: 0, read_at };
        self.read_limit = delivered.max(MIN_READ);
    }

    /// Everything that was read has been delivered. Returns whether there is nothing left to remember.
    pub(super) const fn catches_up(&mut self) -> bool {
        self.read_limit = self.read_limit.saturating_mul(2);
        self.read_limit >= MAX_READ && self.overdue.is_none()
    }
}

/// Takes the bytes that the app's last visit has left.
pub(super) fn take_undelivered(behind: &mut Option<Box<Behind>>) -> Undelivered {
    behind.as_mut().map(|behind| std::mem::take(&mut behind.undelivered)).unwrap_or_default()
}
