//! How a connection ended.

use std::time::Duration;

use websocket_connection::{CloseCode, Side};

use crate::error::Error;
use crate::message::OwnedMessage;

/// How a run ended: the end of its last connection, or of its last attempt to make one.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// One side closed, as it should.
    #[non_exhaustive]
    Clean {
        /// The code of the server's close frame; `None` when it had none, or when the server closed the
        /// stream without one after our close.
        code: Option<CloseCode>,
        /// The reason in it.
        reason: String,
        /// The side that began.
        by: Side,
    },
    /// The connection failed, or was never made.
    Lost(Error),
    /// The reactor was stopped.
    Stopped,
}

impl Outcome {
    /// Returns whether an error ended the run, which is what `run_forever` returns in Python.
    pub const fn is_error(&self) -> bool {
        matches!(self, Self::Lost(_))
    }
}

/// How a connection ended, as `on_close` gets it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Closed<'a> {
    /// The code of the server's close frame; `None` without a frame or without a code in it (1005 and 1006 in
    /// other APIs).
    pub code: Option<CloseCode>,
    /// The reason in it; empty when there is none.
    pub reason: &'a str,
    /// The side whose close frame came first; `None` when the connection was lost or never made.
    pub by: Option<Side>,
    /// Whether the closing handshake was completed: the server's close frame came and ours was written (RFC
    /// 6455 section 7.1.4).
    pub clean: bool,
    /// The failure that ended the connection.
    pub error: Option<&'a Error>,
    /// Messages that a [`Sender`](crate::Sender) had accepted and that are not wholly on the wire;
    /// [`RunOptions::unsent`](crate::RunOptions::unsent) says what becomes of them.
    pub unsent: &'a [OwnedMessage],
    /// The time until the next attempt begins; `None` when the run ends with this one.
    /// [`Context::close`](crate::Context::close) still prevents it.
    pub retry_in: Option<Duration>,
}
