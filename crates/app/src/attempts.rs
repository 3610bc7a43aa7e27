//! How often a run has tried to connect.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::failed_addresses::FailedAddresses;
use crate::outcome::{NoRetry, Outcome};
use crate::reconnect::Reconnect;

/// The attempts of one run so far. Without [`RunOptions::reconnect`](crate::RunOptions::reconnect) there is
/// one.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct Attempts {
    /// Attempts that have begun, the one that is under way included, and those to open a [successor](crate::Context::renew).
    pub started: u32,
    /// Attempts that led to an open connection, those of successors included.
    pub opened: u32,
    /// How often in a row a connection was lost or not made, since one was open for
    /// [`stable_after`](Reconnect::stable_after); always 0 where nothing is tried again.
    pub failures: u32,
}

impl Attempts {
    /// Whether the connection that is open now has had a predecessor in this run.
    pub const fn is_reconnect(&self) -> bool {
        self.opened > 1
    }
}

/// What only a run that reconnects must remember.
#[derive(Default, Debug)]
pub(crate) struct Streak {
    /// When the connection opened.
    opened: Option<Instant>,
    /// When the first failure of the streak happened.
    failing_since: Option<Instant>,
    /// When the next attempt begins.
    pub(crate) retry_at: Option<Instant>,
    /// The address that the attempt is connected to, until the connection opens.
    pub(crate) on_trial: Option<SocketAddr>,
    /// What the attempts since the last open connection were connected to.
    pub(crate) failed_addresses: FailedAddresses,
}

impl Streak {
    /// The connection has opened.
    pub(crate) fn opened(&mut self, now: Instant) {
        self.opened = Some(now);
        self.on_trial = None;
        self.failed_addresses.clear();
    }

    /// The attempt is over, and another one follows.
    pub(crate) fn conclude(&mut self) {
        if let Some(address) = self.on_trial.take() {
            self.failed_addresses.add(address);
        }
    }

    /// Returns the delay until the next attempt after one that has ended, or why none follows.
    pub(crate) fn ended(
        &mut self,
        policy: &Reconnect,
        outcome: &Outcome,
        attempts: &mut Attempts,
        now: Instant,
        random: u32,
    ) -> Result<Duration, NoRetry> {
        let opened = self.opened.take();
        if opened.is_some_and(|opened| policy.is_stable(now.saturating_duration_since(opened))) {
            attempts.failures = 0;
            self.failing_since = None;
        }
        attempts.failures = attempts.failures.saturating_add(1);
        let elapsed = now.saturating_duration_since(*self.failing_since.get_or_insert(now));
        policy.delay(outcome, attempts.failures, elapsed, random)
    }
}
