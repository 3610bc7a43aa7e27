//! What few apps have, or few at a time.

use std::time::Duration;

use crate::error::Error;
use crate::outcome::NoRetry;
use crate::stats::Ended;

/// What few apps have: an idle app has no memory for it.
#[derive(Default)]
pub(crate) struct RareControl {
    /// The connections of this run that have ended, in numbers.
    pub(super) ended_connections: Option<Box<Ended>>,
    /// Whether another attempt follows this one, once the policy has been asked.
    pub(super) retry: Option<Result<Duration, NoRetry>>,
    /// A callback wants the connection to be dropped, with this error.
    pub(super) drop_for: Option<Error>,
}
