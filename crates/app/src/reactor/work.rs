//! What there is to do about one app.

use std::io;
use std::net::SocketAddr;

use websocket_dispatcher::Ready;

use crate::dial::{Place, Server};
use crate::error::Error;
use crate::id::QueryId;
use crate::schedule::{Armed, Entry};

/// What there is to do about one app.
pub(super) enum Work {
    Ready(Ready),
    /// Reading stopped early.
    Read,
    Write,
    Due(Entry),
    /// The app was added, or a callback has asked for what needs the whole app: the end of an attempt, another connection, a successor.
    Look,
    Commands,
    Resolved(QueryId, io::Result<Vec<SocketAddr>>),
    /// The turn to resolve a name has come.
    MayAsk(Place<String>),
    /// The turn to make a connection has come.
    MayConnect(Place<Server>),
    /// Begin to stop.
    Drain,
    /// The reactor stops, because its loop is broken if there is an error.
    Stop(Option<Error>),
}

impl Work {
    /// Whether it came from this entry of the schedule.
    pub(super) fn uses_up(&self, armed: Armed) -> bool {
        matches!(self, Self::Due(entry) if entry.armed() == armed)
    }
}
