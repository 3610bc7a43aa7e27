//! What there is to remember of a connection that is expected to bring messages.

use std::time::{Duration, Instant};

use crate::feed::FeedOptions;
use crate::schedule::later;

/// Exists only where an option asks for it.
pub(super) struct Feed {
    /// How long there may be no data message.
    silence_timeout: Duration,
    /// When the connection opened, or the last message was delivered.
    silent_since: Option<Instant>,
}

impl Feed {
    pub(super) fn new(options: &FeedOptions) -> Option<Self> {
        Some(Self { silence_timeout: options.silence_timeout?, silent_since: None })
    }

    /// What was read on an open connection has been delivered: whether there was a data message in it. `now` is only
    /// asked for where it matters.
    pub(super) fn delivered(&mut self, message: bool, now: impl FnOnce() -> Instant) {
        if message || self.silent_since.is_none() {
            self.silent_since = Some(now());
        }
    }

    /// By when a message must come.
    pub(super) fn silent_until(&self) -> Option<Instant> {
        self.silent_since.map(|since| later(since, self.silence_timeout))
    }
}
