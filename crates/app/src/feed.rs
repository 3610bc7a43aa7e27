//! What is expected of a server that sends by itself, and what it is sent to keep it doing so.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::message::OwnedMessage;

/// How a feed is watched and kept going.
#[derive(Clone, Default, Debug)]
pub(crate) struct FeedOptions {
    pub(crate) silence_timeout: Option<Duration>,
    pub(crate) heartbeat: Option<Heartbeat>,
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
        })
    }
}

impl std::error::Error for FeedError {}
