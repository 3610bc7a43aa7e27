//! What few apps have, or few at a time: an idle app has one empty pointer for all of it.

use std::time::Duration;

use websocket_connection::ConnectionStats;

use crate::error::Error;
use crate::outcome::NoRetry;
use crate::stats::Ended;

/// What few apps have. It takes memory from the first time that it holds something.
#[derive(Default)]
pub(crate) struct Rare(Option<Box<Fields>>);

#[derive(Default)]
struct Fields {
    ended_connections: Ended,
    retry: Option<Result<Duration, NoRetry>>,
    drop_for: Option<Error>,
}

impl Rare {
    fn fields(&mut self) -> &mut Fields {
        self.0.get_or_insert_default()
    }

    /// An attempt begins: nothing is decided about it, and its numbers are not those of the last connection.
    pub(super) fn begin_attempt(&mut self) {
        if let Some(fields) = &mut self.0 {
            fields.retry = None;
            fields.ended_connections.last = None;
        }
    }

    /// Whether another attempt follows this one, once the policy has been asked.
    pub(super) fn retry(&self) -> Option<Result<Duration, NoRetry>> {
        self.0.as_ref()?.retry
    }

    pub(super) fn set_retry(&mut self, decided: Result<Duration, NoRetry>) {
        self.fields().retry = Some(decided);
    }

    /// A callback wants the connection to be dropped, with this error.
    pub(super) fn drop_for(&mut self, error: Error) {
        self.fields().drop_for = Some(error);
    }

    /// Whether a callback wants the connection to be dropped.
    pub(crate) fn is_to_be_dropped(&self) -> bool {
        self.0.as_ref().is_some_and(|fields| fields.drop_for.is_some())
    }

    /// Takes the error with which a callback wants the connection to be dropped.
    pub(crate) fn take_drop(&mut self) -> Option<Error> {
        self.0.as_mut()?.drop_for.take()
    }

    /// A connection has ended.
    pub(crate) fn keep_stats(&mut self, connection: ConnectionStats) {
        self.fields().ended_connections.keep(connection);
    }

    /// The numbers of the connections of this run that have ended, together.
    pub(super) fn ended_stats(&self) -> ConnectionStats {
        self.0.as_ref().map(|fields| fields.ended_connections.sum).unwrap_or_default()
    }

    /// The numbers of the last connection, until the next attempt begins.
    pub(super) fn last_stats(&self) -> Option<ConnectionStats> {
        self.0.as_ref()?.ended_connections.last.as_deref().copied()
    }
}
