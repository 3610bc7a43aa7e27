//! Whether the peer is there: a ping with its own deadline, and no deadline while the caller does not listen.

use std::time::Duration;

use crate::ping::Purpose;
use crate::{Connection, Env, SendError, State, Tx};

impl Tx {
    /// Sends a ping, and ends the connection with [`Timeout::Probe`](crate::Timeout::Probe) unless the peer gives a sign
    /// of life, as [`Config::liveness`](crate::Config::liveness) says, within `timeout` from when the ping was written. Of
    /// several probes that wait for an answer, the earliest deadline holds. With a timeout of zero no answer can be in time.
    ///
    /// # Errors
    /// [`SendError`]; nothing was queued.
    pub fn probe(&mut self, timeout: Duration, env: &mut Env) -> Result<(), SendError> {
        self.admit_control(&[0; 8])?;
        let payload = self.pings.next_payload();
        self.queue_ping(payload, Purpose::Probe(timeout), env);
        Ok(())
    }

    /// The caller reads nothing for now, or reads again: whether the peer answers cannot be told meanwhile, so no ping
    /// waits for a sign of life. Keep-alive pings are still sent. Without effect once the connection is not open.
    pub fn set_paused(&mut self, paused: bool) {
        self.paused = paused;
        if paused {
            self.pings.forgive();
        }
    }

    /// Whether the caller reads nothing for now, of a connection that is open.
    pub const fn is_paused(&self) -> bool {
        self.paused && matches!(self.state(), State::Open)
    }
}

impl Connection {
    /// Whether the caller reads nothing for now, of a connection that is open; see [`Tx::set_paused`].
    pub const fn is_paused(&self) -> bool {
        self.tx.is_paused()
    }
}
