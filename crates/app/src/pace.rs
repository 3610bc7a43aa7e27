//! How long a turn takes: its budget, and when to look at the clock.

use std::time::{Duration, Instant};

use crate::schedule::later;

/// The time after which a turn ends, unless the user says otherwise.
pub(crate) const DEFAULT_BUDGET: Duration = Duration::from_millis(5);

/// An app may use this part of a turn before the others have theirs.
const VISITS_PER_TURN: u32 = 4;

/// Messages that an app is delivered before the others have their turn.
const MAX_MESSAGES: u32 = 16 << 10;

/// The most messages between two looks at the clock. A look costs some 30 ns, so it is half a nanosecond per message.
const MAX_STRIDE: u32 = 64;

/// An app whose messages took so many nanoseconds each is looked at after every message, and only slowly less often again.
const SLOW: u64 = 50_000;

/// While requests of other threads wait, a turn delivers messages for this long: callbacks that take longer are interrupted after each, and
/// a thread that sends all the time does not end a turn for each of its messages.
const REQUESTS_WAIT: Duration = Duration::from_micros(100);

/// The budget of one turn, in time and in messages.
pub(crate) struct Pace {
    budget: Duration,
    turn_ends: Instant,
    /// From here on requests of other threads end the reading.
    requests_from: Instant,
    visit_ends: Instant,
    visit_is_over: bool,
    /// Messages of this visit until the last look.
    messages: u32,
    /// Messages until the next look, of this many.
    left: u32,
    stride: u32,
    /// The most of them that this app is trusted with.
    max_stride: u32,
    looked: Instant,
}

impl Pace {
    pub(crate) const fn new(now: Instant) -> Self {
        Self {
            budget: DEFAULT_BUDGET,
            turn_ends: now,
            requests_from: now,
            visit_ends: now,
            visit_is_over: false,
            messages: 0,
            left: 1,
            stride: 1,
            max_stride: 1,
            looked: now,
        }
    }

    pub(crate) const fn set_budget(&mut self, budget: Duration) {
        self.budget = budget;
    }

    pub(crate) fn begin_turn(&mut self, now: Instant) {
        self.turn_ends = later(now, self.budget);
        self.requests_from = later(now, REQUESTS_WAIT.min(self.budget));
    }

    /// Whether the turn is to end.
    pub(crate) fn turn_is_over(&self, now: Instant) -> bool {
        now >= self.turn_ends
    }

    /// An app begins to be delivered its messages. `max_stride` is what [`max_stride`](Self::max_stride) was at the end of its last visit.
    pub(crate) fn begin_visit(&mut self, now: Instant, max_stride: u32) {
        self.visit_ends = later(now, self.budget / VISITS_PER_TURN).min(self.turn_ends);
        self.visit_is_over = false;
        self.messages = 0;
        (self.left, self.stride, self.max_stride, self.looked) = (1, 1, max_stride, now);
    }

    /// A message was delivered; whether it is time to [`look`](Self::look).
    #[inline]
    pub(crate) const fn count(&mut self) -> bool {
        self.left = self.left.wrapping_sub(1);
        self.left == 0
    }

    /// How many messages may pass without a look, by what those of this app have taken so far; 1 for a new app.
    pub(crate) const fn max_stride(&self) -> u32 {
        self.max_stride
    }

    /// Whether the visit is to end, and when to look next: so often that the visit does not last much longer than it should, by what the
    /// last messages took.
    pub(crate) fn look(&mut self, now: Instant, requests_wait: bool) -> bool {
        let count = (self.stride - self.left).max(1);
        let elapsed = nanos(now, self.looked);
        let is_slow = elapsed >= SLOW.saturating_mul(count.into());
        self.max_stride = if is_slow { 1 } else { (self.max_stride + 1).min(MAX_STRIDE) };
        // As many messages as fit into an eighth of the time that is left.
        let fit = nanos(self.visit_ends, now).saturating_mul(count.into()) / elapsed.saturating_mul(8).max(1);
        let most = (2 * self.stride).min(self.max_stride);
        self.stride = u32::try_from(fit).map_or(most, |fit| fit.clamp(1, most));
        (self.left, self.looked) = (self.stride, now);
        self.messages += count;
        self.visit_is_over = now >= self.visit_ends
            || self.messages >= MAX_MESSAGES
            || (requests_wait && now >= self.requests_from);
        self.visit_is_over
    }

    /// Whether the last [`look`](Self::look) has said so.
    pub(crate) const fn visit_is_over(&self) -> bool {
        self.visit_is_over
    }
}

/// Nanoseconds from `earlier` to `later`; none if it is the other way round.
fn nanos(later: Instant, earlier: Instant) -> u64 {
    let time = later.saturating_duration_since(earlier);
    time.as_secs().saturating_mul(1_000_000_000).saturating_add(time.subsec_nanos().into())
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
