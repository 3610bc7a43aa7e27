//! What is expected of a server that sends by itself, and what it is sent to keep it doing so.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::message::OwnedMessage;
use crate::send_limit::SendLimit;

/// How a feed is watched and kept going.
#[derive(Clone, Default, Debug)]
pub(crate) struct FeedOptions {
    pub(crate) silence_timeout: Option<Duration>,
    pub(crate) heartbeat: Option<Heartbeat>,
    /// The time that the server has for its answer.
    pub(crate) probe_after_jump: Option<Duration>,
    pub(crate) renew_every: Option<Duration>,
    /// How long a connection stays open after its successor has opened.
    pub(crate) renew_overlap: Duration,
    pub(crate) send_limits: Vec<SendLimit>,
    #[cfg(feature = "kernel-receive-time")]
    pub(crate) kernel_receive_time: bool,
}

/// A message that is sent every so often.
#[derive(Clone)]
pub(crate) struct Heartbeat {
    pub(crate) every: Duration,
    pub(crate) message: Arc<dyn Fn() -> OwnedMessage + Send + Sync>,
}

impl fmt::Debug for Heartbeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The message may hold a token.
        f.debug_struct("Heartbeat").field("every", &self.every).finish_non_exhaustive()
    }
}

impl FeedOptions {
    /// Checks that the values make sense.
    ///
    /// # Errors
    /// The first value that does not.
    pub(crate) fn check(&self) -> Result<(), FeedError> {
        if self.silence_timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(FeedError::SilenceTimeoutZero);
        }
        if self.heartbeat.as_ref().is_some_and(|heartbeat| heartbeat.every.is_zero()) {
            return Err(FeedError::HeartbeatZero);
        }
        if self.probe_after_jump.is_some_and(|deadline| deadline.is_zero()) {
            return Err(FeedError::ProbeZero);
        }
        if self.renew_every.is_some_and(|every| every.is_zero()) {
            return Err(FeedError::RenewZero);
        }
        if self.send_limits.iter().any(SendLimit::allows_nothing) {
            return Err(FeedError::SendLimitZero);
        }
        if self.send_limits.iter().any(SendLimit::is_instant) {
            return Err(FeedError::SendIntervalZero);
        }
        Ok(())
    }
}

/// An option for feeds that cannot work.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum FeedError {
    /// `silence_timeout` is zero.
    SilenceTimeoutZero,
    /// The interval of `heartbeat` or `heartbeat_with` is zero.
    HeartbeatZero,
    /// The deadline of `probe_after_jump` is zero.
    ProbeZero,
    /// The interval of `renew_every` is zero.
    RenewZero,
    /// A `send_limit` allows nothing.
    SendLimitZero,
    /// The interval of a `send_limit` is zero.
    SendIntervalZero,
}

impl fmt::Display for FeedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SilenceTimeoutZero => {
                "silence_timeout must be above zero; leave it out to wait without limit"
            }
            Self::HeartbeatZero => {
                "the interval of a heartbeat must be above zero; leave it out to send none"
            }
            Self::ProbeZero => {
                "the deadline of probe_after_jump must be above zero; leave it out to send no probe"
            }
            Self::RenewZero => {
                "the interval of renew_every must be above zero; leave it out to keep each connection"
            }
            Self::SendLimitZero => "a send_limit must allow at least one message or byte",
            Self::SendIntervalZero => {
                "the interval of a send_limit must be above zero; leave it out to send without limit"
            }
        })
    }
}

impl std::error::Error for FeedError {}

/// The loop's clock and the wall clock, as of the last look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clocks {
    monotonic: Instant,
    wall: SystemTime,
}

impl Clocks {
    /// Time between two looks.
    pub(crate) const LOOK: Duration = Duration::from_secs(5);

    /// A look is this much later than it was to be, or the wall clock this much ahead, if the clocks have jumped. A shorter stop is one that
    /// most connections survive.
    const JUMP: Duration = Duration::from_secs(5);

    pub(crate) const fn new(monotonic: Instant, wall: SystemTime) -> Self {
        Self { monotonic, wall }
    }

    /// Looks again. Returns whether the process, or the whole system, has stood still since the last look. On most systems
    /// the monotonic clock stands still in a suspend, and the wall clock is ahead afterwards.
    pub(crate) fn have_jumped(&mut self, monotonic: Instant, wall: SystemTime) -> bool {
        let before = std::mem::replace(self, Self { monotonic, wall });
        let passed = monotonic.saturating_duration_since(before.monotonic);
        // A wall clock that was set back says nothing.
        let by_the_wall = wall.duration_since(before.wall).unwrap_or_default();
        passed >= Self::LOOK + Self::JUMP || by_the_wall >= passed + Self::JUMP
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Whether clocks that are looked at again so much later have jumped.
    fn jumped(monotonic: Duration, wall: Duration, forward: bool) -> bool {
        let (start, wall_start) = (Instant::now(), SystemTime::UNIX_EPOCH + 1_000_000 * SECOND);
        let wall = if forward { wall_start + wall } else { wall_start - wall };
        Clocks::new(start, wall_start).have_jumped(start + monotonic, wall)
    }

    #[test]
    fn clocks_that_go_on_together_have_not_jumped() {
        assert!(!jumped(5 * SECOND, 5 * SECOND, true));
        assert!(!jumped(9 * SECOND, 9 * SECOND, true));
        assert!(!jumped(5 * SECOND, 9 * SECOND, true));
        // Set back by the user.
        assert!(!jumped(5 * SECOND, 3600 * SECOND, false));
    }

    #[test]
    fn a_process_that_was_stopped_and_a_system_that_slept_are_noticed_once() {
        assert!(jumped(10 * SECOND, 10 * SECOND, true));
        assert!(jumped(5 * SECOND, 10 * SECOND, true));
        let (start, wall) = (Instant::now(), SystemTime::UNIX_EPOCH);
        let mut clocks = Clocks::new(start, wall);
        assert!(clocks.have_jumped(start + SECOND, wall + 3600 * SECOND));
        assert!(!clocks.have_jumped(start + 6 * SECOND, wall + 3605 * SECOND));
    }
}
