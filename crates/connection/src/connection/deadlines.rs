//! The deadlines of every state, and what is done when one has passed.

use std::time::Instant;

use super::Connection;
use crate::ping::Purpose;
use crate::{Env, Error, State, Timeout};

impl Connection {
    /// The stream is ready for the upgrade only now: `upgrade_timeout` runs from here.
    pub fn restart_upgrade(&mut self, env: &Env) {
        if let Some(upgrade) = &mut self.upgrade {
            upgrade.started = env.now;
        }
    }

    /// Ends the connection with the refusal that the server has sent, if the head of one is complete, without waiting for the rest of its
    /// body. Returns `None` otherwise, and nothing has changed.
    ///
    /// To be called when a deadline of the caller's passes while the connection is [`State::Connecting`]: the refusal says more than the
    /// deadline. At the end of the stream [`end_of_stream`](Self::end_of_stream) does the same.
    pub fn take_refusal(&mut self, env: &mut Env) -> Option<Error> {
        let error = Error::from(self.upgrade.as_mut()?.take_refusal()?);
        self.finish(Some(error), env).err()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called at the latest. Receiving a message does not change it; the head of a
    /// refusal brings it nearer, to half a second from then.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self.tx.state() {
            State::Connecting => {
                let upgrade = self.upgrade.as_ref()?;
                let timeout = upgrade.started.checked_add(self.config.upgrade_timeout);
                [timeout, upgrade.deadline()].into_iter().flatten().min()
            }
            State::Open => [self.tx.pings.deadline(), self.write_deadline()].into_iter().flatten().min(),
            State::Closing => self.tx.lifecycle.closing()?.deadline(&self.config),
            State::Closed => None,
        }
    }

    /// Whether the connection is open and [`deadline`](Self::deadline) is `None` since no ping was ever sent or is to be, and output is not stuck,
    /// as on most connections most of the time. Cheaper than the deadline itself.
    #[inline]
    #[must_use]
    pub fn waits_for_nothing(&self) -> bool {
        self.tx.state() == State::Open && self.tx.pings.is_unused() && self.tx.stalled.is_none()
    }

    /// Whether the connection is open and not [paused](Self::is_paused), and its output is not stuck. From one time to another that it is so,
    /// only a [new ping](Self::pings_sent) brings [`deadline`](Self::deadline) nearer.
    #[inline]
    #[must_use]
    pub const fn is_flowing(&self) -> bool {
        matches!(self.tx.state(), State::Open) && !self.tx.paused && self.tx.stalled.is_none()
    }

    /// Returns how many pings were sent so far, those that wait to be written included.
    #[inline]
    #[must_use]
    pub fn pings_sent(&self) -> u64 {
        self.tx.pings.sent()
    }

    /// Does what is due: sends a keep-alive ping, or ends the connection. Calls before the deadline do nothing.
    ///
    /// # Errors
    /// [`Error::Timeout`] when a deadline has ended the connection; [`UpgradeError::Status`](crate::UpgradeError::Status) when what was
    /// waited for is the rest of a refusal.
    pub fn handle_timeout(&mut self, env: &mut Env) -> Result<(), Error> {
        if self.deadline().is_none_or(|deadline| env.now < deadline) {
            return Ok(());
        }
        match self.tx.state() {
            State::Connecting => {
                let refusal = self.upgrade.as_mut().and_then(|upgrade| upgrade.take_refusal());
                let error = refusal.map_or(Error::Timeout(Timeout::Upgrade), Error::from);
                self.finish(Some(error), env)
            }
            State::Open if self.write_deadline().is_some_and(|deadline| deadline <= env.now) => {
                self.finish(Some(Error::Timeout(Timeout::Write)), env)
            }
            State::Open if self.tx.pings.is_dead(&self.config, env.now) => {
                self.finish(Some(Error::Timeout(Timeout::Pong)), env)
            }
            State::Open if self.tx.pings.is_dead_after_probe(&self.config, env.now) => {
                self.finish(Some(Error::Timeout(Timeout::Probe)), env)
            }
            State::Open => {
                if let Some(payload) = self.tx.pings.due(&self.config, env.now) {
                    self.tx.queue_ping(payload, Purpose::KeepAlive, env);
                }
                Ok(())
            }
            // The handshake is done, or the server has been told what it did wrong: only the stream was still open.
            State::Closing if self.close_frame.is_some() || self.error.is_some() => self.finish(None, env),
            State::Closing
                if self.tx.lifecycle.closing().is_some_and(|closing| !closing.waits(&self.config)) =>
            {
                self.finish(None, env)
            }
            State::Closing => self.finish(Some(Error::Timeout(Timeout::Close)), env),
            State::Closed => Ok(()),
        }
    }

    /// As [`handle_timeout`](Self::handle_timeout), while input waits that was not passed to [`receive`](Self::receive) yet: does only what
    /// that input cannot prevent. A keep-alive ping is sent, and a stream that takes no bytes ends the connection.
    ///
    /// # Errors
    /// [`Error::Timeout`] when the time to write has ended the connection.
    pub fn handle_timeout_of_output(&mut self, env: &mut Env) -> Result<(), Error> {
        if self.tx.state() != State::Open {
            return Ok(());
        }
        if self.write_deadline().is_some_and(|deadline| deadline <= env.now) {
            return self.finish(Some(Error::Timeout(Timeout::Write)), env);
        }
        if let Some(payload) = self.tx.pings.due(&self.config, env.now) {
            self.tx.queue_ping(payload, Purpose::KeepAlive, env);
        }
        Ok(())
    }

    fn write_deadline(&self) -> Option<Instant> {
        self.tx.stalled?.checked_add(self.config.write_timeout)
    }
}
