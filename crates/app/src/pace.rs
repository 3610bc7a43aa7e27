//! How long a turn takes: its budget, and when to look at the clock.

use std::time::Duration;

use crate::surroundings::nanos;

/// The time after which a turn ends, unless the user says otherwise.
pub(crate) const DEFAULT_BUDGET: Duration = Duration::from_millis(5);

/// An app may use this part of a turn before the others have theirs.
const VISITS_PER_TURN: u64 = 4;

/// Messages that an app is delivered before the others have their turn: more than there are in what is read at once, unless they are tiny.
const MAX_MESSAGES: u32 = 32 << 10;

/// The most messages between two looks at the clock. A look costs some 30 ns, so it is half a nanosecond per message.
const MAX_STRIDE: u32 = 64;

/// An app whose messages took so many nanoseconds each is looked at after every message, and only slowly less often again.
const SLOW: u64 = 50_000;

/// While requests of other threads wait, a turn delivers messages for this many nanoseconds at least. Callbacks that take longer are
/// interrupted after each, and a thread that sends all the time does not end a turn for each of its messages.
const REQUESTS_WAIT: u64 = 100_000;

/// The budget of one turn, in time and in messages. Times are those of [`Surroundings::nanos`](crate::surroundings::Surroundings::nanos).
pub(crate) struct Pace {
    budget: u64,
    turn_ends: u64,
    /// From here on requests of other threads end the reading.
    requests_from: u64,
    visit_ends: u64,
    /// Messages of this visit until the last look.
    messages: u32,
    /// Messages until the next look, of this many.
    left: u32,
    stride: u32,
    /// The most of them that this app is trusted with.
    max_stride: u32,
    looked: u64,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self {
            budget: nanos(DEFAULT_BUDGET),
            turn_ends: 0,
            requests_from: 0,
            visit_ends: 0,
            messages: 0,
            left: 1,
            stride: 1,
            max_stride: 1,
            looked: 0,
        }
    }

    pub(crate) fn set_budget(&mut self, budget: Duration) {
        self.budget = nanos(budget);
    }

    pub(crate) fn begin_turn(&mut self, now: u64) {
        self.turn_ends = now.saturating_add(self.budget);
        // Deadlines read, too.
        self.requests_from = now.saturating_add(REQUESTS_WAIT.min(self.budget));
    }

    /// Apps begin to be delivered what has arrived. However long the requests of other threads have taken so far, and however many wait,
    /// reading gets somewhere.
    pub(crate) fn begin_reads(&mut self, now: u64) {
        self.requests_from = now.saturating_add(REQUESTS_WAIT.min(self.budget));
    }

    /// Whether the turn is to end.
    pub(crate) const fn turn_is_over(&self, now: u64) -> bool {
        now >= self.turn_ends
    }

    /// An app begins to be delivered its messages. `max_stride` is what [`max_stride`](Self::max_stride) was at the end of its last visit.
    #[inline]
    pub(crate) fn begin_visit(&mut self, now: u64, max_stride: u8) {
        self.visit_ends = now.saturating_add(self.budget / VISITS_PER_TURN).min(self.turn_ends);
        self.messages = 0;
        (self.left, self.stride, self.max_stride, self.looked) = (1, 1, max_stride.into(), now);
    }

    /// A message was delivered; whether it is time to [`look`](Self::look).
    #[inline]
    pub(crate) const fn count(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left == 0
    }

    /// It is time to [`look`](Self::look) after the next message.
    pub(crate) const fn look_soon(&mut self) {
        self.left = 1;
    }

    /// Whether it is time to [`look`](Self::look) before more is read.
    pub(crate) const fn is_to_look_before_more(&self, requests_wait: bool) -> bool {
        self.left == 0 || (requests_wait && self.messages > 0)
    }

    /// How many messages may pass without a look, by what those of this app have taken so far; 1 for a new app.
    pub(crate) const fn max_stride(&self) -> u8 {
        self.max_stride as u8
    }

    /// Whether the visit is to end, and when to look next: so often that the visit does not last much longer than it should, by what the
    /// last messages took.
    pub(crate) fn look(&mut self, now: u64, requests_wait: bool) -> bool {
        let count = (self.stride - self.left).max(1);
        let elapsed = now.saturating_sub(self.looked);
        let is_slow = elapsed >= SLOW * u64::from(count);
        self.max_stride = if is_slow { 1 } else { (self.max_stride + 1).min(MAX_STRIDE) };
        let most = (2 * self.stride).min(self.max_stride);
        self.stride = most.min(self.messages_that_fit(now, count, elapsed)).max(1);
        (self.left, self.looked) = (self.stride, now);
        self.messages += count;
        now >= self.visit_ends
            || self.messages >= MAX_MESSAGES
            || (requests_wait && now >= self.requests_from)
    }

    /// As many messages as fit into an eighth of the time that is left, where `count` of them took `elapsed`; [`MAX_STRIDE`] for more.
    fn messages_that_fit(&self, now: u64, count: u32, elapsed: u64) -> u32 {
        let left = self.visit_ends.saturating_sub(now) / 8;
        let most = elapsed.saturating_mul(MAX_STRIDE.into()) / u64::from(count);
        if most <= left { MAX_STRIDE } else { (left.saturating_mul(count.into()) / elapsed) as u32 }
    }
}

/// What a turn serves, in this order. One that the budget left nothing for comes first in the next turn.
#[derive(Clone, Copy, Default)]
pub(crate) enum TurnPart {
    /// What other threads asked for.
    #[default]
    Jobs,
    /// Deadlines and timers.
    Due,
    /// What has arrived.
    Reads,
    /// Apps that were just added or closed, and those that may resolve or connect now.
    Starts,
}

impl TurnPart {
    /// All parts, this one first.
    pub(crate) const fn and_the_others(self) -> [Self; 4] {
        use TurnPart::{Due, Jobs, Reads, Starts};
        match self {
            Jobs => [Jobs, Due, Reads, Starts],
            Due => [Due, Reads, Starts, Jobs],
            Reads => [Reads, Starts, Jobs, Due],
            Starts => [Starts, Jobs, Due, Reads],
        }
    }
}
