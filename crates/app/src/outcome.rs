//! How a connection ended.

use std::fmt;
use std::time::Duration;

use websocket_connection::{CloseCode, Side};

use crate::error::Error;
use crate::message::OwnedMessage;

/// How a run ended: the end of its last connection, or of its last attempt to make one.
///
/// A connection that fails is not an error of [`run_forever`](crate::WebSocketApp::run_forever) but
/// [`Lost`](Self::Lost) here, and without `on_error` and without a logger nothing else reports it. So an outcome
/// must be looked at. [`into_result`](Self::into_result) turns a failure into an error:
///
/// ```no_run
/// use websocket_app::{RunOptions, WebSocketApp};
///
/// fn main() -> Result<(), websocket_app::Error> {
///     WebSocketApp::new("ws://127.0.0.1:9001/").run_forever(&RunOptions::new())?.into_result()
/// }
/// ```
///
/// The compiler warns where an outcome is dropped, as after this `?`:
///
/// ```compile_fail
/// #![deny(unused_must_use)]
/// use websocket_app::{RunOptions, WebSocketApp};
///
/// fn main() -> Result<(), websocket_app::Error> {
///     WebSocketApp::new("ws://127.0.0.1:9001/").run_forever(&RunOptions::new())?;
///     Ok(())
/// }
/// ```
#[derive(Debug)]
#[must_use = "a connection that failed is `Outcome::Lost`; `into_result()` turns it into an error"]
#[non_exhaustive]
pub enum Outcome {
    /// One side closed, with whatever code, and nothing failed.
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

    /// Returns the error of a run that ended with [`Lost`](Self::Lost), and `Ok` after any other end.
    ///
    /// `Ok` carries nothing, so that the call can be the last one of a `main`. A program that needs to know who
    /// closed, or with which code, matches on the outcome instead.
    ///
    /// # Errors
    /// The error of [`Lost`](Self::Lost).
    pub fn into_result(self) -> Result<(), Error> {
        match self {
            Self::Lost(error) => Err(error),
            Self::Clean { .. } | Self::Stopped => Ok(()),
        }
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
    /// [`RunOptions::unsent`](crate::RunOptions::unsent) says what becomes of them. What a callback has sent and a
    /// [`send_limit`](crate::RunOptions::send_limit) has held back until the end is listed, too, and never kept.
    pub unsent: &'a [OwnedMessage],
    /// The time until the next attempt begins; `None` when the run ends with this one.
    /// [`Context::close`](crate::Context::close) still prevents it.
    pub retry_in: Option<Duration>,
    /// Why the run ends with this attempt; `None` when another follows.
    pub no_retry: Option<NoRetry>,
}

/// Why no other attempt follows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum NoRetry {
    /// There is no policy: [`RunOptions::reconnect`](crate::RunOptions::reconnect) is not set, or its delay is zero.
    NoPolicy,
    /// The verdict of the policy on this outcome is [`GiveUp`](crate::Verdict::GiveUp).
    GaveUp,
    /// [`Reconnect::max_retries`](crate::Reconnect::max_retries) is reached.
    MaxRetries {
        /// How many retries in a row are allowed.
        limit: u32,
    },
    /// [`Reconnect::max_elapsed`](crate::Reconnect::max_elapsed) would have passed before the next attempt begins.
    MaxElapsed {
        /// How much time is allowed from the first failure in a row.
        limit: Duration,
    },
    /// The program has closed the app.
    Closed,
    /// The program has stopped the reactor.
    Stopped,
    /// A callback, or the policy itself, has panicked. The policy is not asked then.
    Panicked,
}

impl fmt::Display for NoRetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPolicy => f.write_str("there is no policy for reconnecting"),
            Self::GaveUp => f.write_str("the policy for reconnecting gives up after such an end"),
            Self::MaxRetries { limit } => write!(f, "max_retries ({limit}) is reached"),
            Self::MaxElapsed { limit } => {
                write!(f, "max_elapsed ({limit:?}) would have passed before the next attempt")
            }
            Self::Closed => f.write_str("the program has closed the app"),
            Self::Stopped => f.write_str("the program has stopped the reactor"),
            Self::Panicked => f.write_str("a callback has panicked"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_loss_is_an_error() {
        for code in [None, Some(CloseCode::Normal), Some(CloseCode::Policy), Some(CloseCode::Error)] {
            let clean = Outcome::Clean { code, reason: String::new(), by: Side::Server };
            assert!(clean.into_result().is_ok(), "{code:?}");
        }
        assert!(Outcome::Stopped.into_result().is_ok());
        let lost = Outcome::Lost(Error::EndOfStream);
        assert!(matches!(lost.into_result(), Err(Error::EndOfStream)));
    }
}
