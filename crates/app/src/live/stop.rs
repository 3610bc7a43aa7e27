//! What it means for the connection that reading has come to its end.

use websocket_connection::{Env, Error as ConnectionError, Input, State, UpgradeError};

use super::Live;
use super::chunk::Stop;
use crate::error::Error;

impl Live {
    /// The reading of this turn has come to its end: what is `held` in the buffer goes into the connection,
    /// and an end of the stream gets its meaning.
    ///
    /// # Errors
    /// How the connection ends by this.
    #[inline]
    pub(crate) fn stopped(&mut self, held: &[u8], stop: Stop, env: &mut Env) -> Result<(), Error> {
        let is_nothing = match stop {
            Stop::Dry => !self.connection.has_unchecked_text(),
            Stop::Budget => true,
            Stop::End | Stop::Failed(_) => false,
        };
        if is_nothing && held.is_empty() && self.broken.is_none() {
            return Ok(());
        }
        self.settle(held, stop, env)
    }

    /// [`stopped`](Self::stopped), where there is something to do.
    fn settle(&mut self, held: &[u8], stop: Stop, env: &mut Env) -> Result<(), Error> {
        let mut outcome = Ok(());
        if self.connection.error().is_none() {
            // What TLS has left is not the connection's.
            let mut input = Input::new(if self.secure.is_some() { &[] } else { held });
            let taken = match stop {
                Stop::Budget => self.connection.set_aside(&mut input, env),
                _ => self.connection.absorb(&mut input, env),
            };
            outcome = taken.map_err(Error::from);
        }
        // What the server said before it stopped listening has been read now.
        let stop = match stop {
            Stop::Dry => self.broken.take().map_or(Stop::Dry, Stop::Failed),
            stop => stop,
        };
        match stop {
            Stop::Dry | Stop::Budget => outcome,
            Stop::End => {
                let secure = self.secure.as_ref().map_or(Ok(()), |secure| secure.end_of_stream());
                let ended = self.connection.end_of_stream(env).map_err(|error| match error {
                    error if self.is_unanswered(&error) => Error::NoResponse { source: None },
                    error => error.into(),
                });
                outcome.and(secure).and(ended)
            }
            Stop::Failed(error) => {
                let closing = self.connection.state() == State::Closing;
                // A reset after the close frames, or after ours, is how some servers hang up.
                outcome.and(match self.connection.end_of_stream(env) {
                    // The head of the response came whole, and says more.
                    Err(refusal @ ConnectionError::Upgrade(UpgradeError::Status { .. })) => {
                        Err(refusal.into())
                    }
                    Err(ended) if self.is_unanswered(&ended) => {
                        Err(Error::NoResponse { source: Some(error) })
                    }
                    Err(_) if !closing => Err(Error::Io(error)),
                    _ => Ok(()),
                })
            }
        }
    }

    /// Whether `ended`, the end of the stream, came before any byte of the response, and without TLS, which may be the reason.
    fn is_unanswered(&self, ended: &ConnectionError) -> bool {
        self.secure.is_none()
            && !self.has_answered
            && matches!(ended, ConnectionError::Upgrade(UpgradeError::EndOfStream))
    }
}
