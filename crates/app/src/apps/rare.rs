//! What few apps have, or few at a time.

use std::time::Duration;

use websocket_connection::ConnectionStats;

use super::Control;
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

impl Control {
    /// What few apps have, or nothing yet.
    pub(super) fn rare(&self) -> Option<&RareControl> {
        self.rare.as_deref()
    }

    /// What few apps have, to add to it.
    pub(super) fn rare_mut(&mut self) -> &mut RareControl {
        self.rare.get_or_insert_default()
    }

    /// Whether a callback wants the connection to be dropped.
    pub(crate) fn is_to_be_dropped(&self) -> bool {
        self.rare().is_some_and(|rare| rare.drop_for.is_some())
    }

    /// Takes the error with which a callback wants the connection to be dropped.
    pub(crate) fn take_drop(&mut self) -> Option<Error> {
        self.rare.as_mut()?.drop_for.take()
    }

    /// A connection has ended.
    pub(crate) fn keep_stats(&mut self, connection: ConnectionStats) {
        self.rare_mut().ended_connections.get_or_insert_default().keep(connection);
    }
}
