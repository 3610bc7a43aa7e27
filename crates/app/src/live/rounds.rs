//! Another request on the stream of one that was refused.

use websocket_connection::{Env, Request};

use super::Live;
use crate::error::Error;

impl Live {
    /// Whether another request can follow the one that was refused.
    pub(crate) fn can_ask_again(&self) -> bool {
        self.connection.can_ask_again() && !(self.read_closed || self.is_broken() || self.has_ended())
    }

    /// Sends another request on the stream of the one that was refused.
    ///
    /// # Errors
    /// Why it cannot be sent.
    pub(crate) fn ask_again(&mut self, request: &Request, env: &mut Env) -> Result<(), Error> {
        self.connection.ask_again(request, env)?;
        self.has_answered = false;
        if let Some(trace) = self.trace() {
            trace.restart();
        }
        Ok(())
    }
}
