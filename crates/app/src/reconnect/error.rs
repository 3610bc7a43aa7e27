//! Policies for reconnecting that cannot work.

use std::fmt;
use std::time::Duration;

/// A policy for reconnecting that cannot work.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ReconnectError {
    /// The first delay of a back-off is zero, which doubling does not change.
    FirstDelayZero,
    /// The cap of a back-off is below its first delay.
    #[non_exhaustive]
    CapBelowFirst {
        /// The first delay.
        first: Duration,
        /// The cap.
        cap: Duration,
    },
    /// [`WebSocketApp::socket`](crate::WebSocketApp::socket) gives one stream, and reconnecting needs one for
    /// each attempt.
    OneSocket,
}

impl fmt::Display for ReconnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FirstDelayZero => f.write_str("the first delay of a back-off must be above zero"),
            Self::CapBelowFirst { first, cap } => {
                write!(f, "the cap of a back-off ({cap:?}) must not be below its first delay ({first:?})")
            }
            Self::OneSocket => f.write_str(
                "one socket cannot serve several attempts: give socket_with a function that makes them, or do not reconnect",
            ),
        }
    }
}

impl std::error::Error for ReconnectError {}
