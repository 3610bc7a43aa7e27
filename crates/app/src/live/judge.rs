//! When something is due, and what comes of it.

use std::ops::ControlFlow;
use std::time::Instant;

use websocket_connection::{Env, Input, State};

use super::behind::take_undelivered;
use super::chunk::{Location, Stop};
use super::feed::Feed;
use super::{Judgement, Live};
use crate::error::{Error, Timeout};
use crate::schedule::earliest;
use crate::surroundings::Surroundings;

/// Bytes that a stream holds at most, with room to spare: what arrived before them has been read after so many.
const MAX_IN_STREAM: usize = 16 << 20;

/// What is due.
enum Deadline {
    /// This ends the attempt.
    Timeout(Timeout),
    /// A deadline of the connection.
    Connection,
}

impl Live {
    /// When something is due next, with the deadline of an attempt that has yet to open.
    #[inline]
    pub(crate) fn due(&self, attempt: Option<Instant>) -> Option<Instant> {
        if self.secure.is_none() && self.observers.is_none() && self.connection.waits_for_nothing() {
            return None;
        }
        self.deadline(attempt).map(|(at, _)| at)
    }

    /// Of two at the same time it is the step's, which says more than the attempt's.
    fn deadline(&self, attempt: Option<Instant>) -> Option<(Instant, Deadline)> {
        let handshake = self.secure.as_ref().and_then(|secure| secure.deadline());
        let step = match handshake {
            Some(at) => Some((at, Deadline::Timeout(Timeout::Tls))),
            None => self.connection.deadline().map(|at| (at, Deadline::Connection)),
        };
        match (self.connection.state(), attempt, self.feed()) {
            (State::Connecting, Some(at), _) => {
                earliest([step, Some((at, Deadline::Timeout(Timeout::Attempt)))])
            }
            (State::Open, _, Some(feed)) if !self.connection.is_paused() => {
                let silence = feed.silent_until().map(|at| (at, Deadline::Timeout(Timeout::Silence)));
                earliest([step, silence])
            }
            _ => step,
        }
    }

    /// Judges a deadline, now that what had arrived when the reactor `looked` was read. `attempt` is as for [`due`](Self::due).
    pub(crate) fn judge(
        &mut self,
        attempt: Option<Instant>,
        looked: Instant,
        buffer: &mut [u8],
        env: &mut Surroundings,
    ) -> Judgement {
        let is_closing = self.connection.state() == State::Closing;
        let judged_at = if is_closing && self.queued { env.now() } else { looked };
        let Some((_, deadline)) = self.deadline(attempt).filter(|(at, _)| *at <= judged_at) else {
            self.is_in_time();
            return Judgement::Open;
        };
        match deadline {
            Deadline::Timeout(_) if !self.can_be_judged() => Judgement::Open,
            // The head of a refusal may be there, and says more.
            Deadline::Timeout(timeout) => match self.connection.take_refusal(env.current()) {
                Some(refusal) => Judgement::Met(Err(refusal.into())),
                None => Judgement::Timeout(timeout),
            },
            Deadline::Connection if is_closing => {
                // However slow the callbacks are, they do not hold up the end.
                let looked_for =
                    if self.queued { self.look_for_close(buffer, env.untimed()) } else { Ok(()) };
                let ended = self.connection.handle_timeout(env.as_of(judged_at)).map_err(Error::from);
                Judgement::Met(looked_for.and(ended))
            }
            Deadline::Connection if self.can_be_judged() => {
                Judgement::Met(self.connection.handle_timeout(env.as_of(judged_at)).map_err(Error::from))
            }
            // What waits to be read does not keep pings from being sent, nor does it say that the server reads them.
            Deadline::Connection if self.is_broken() => Judgement::Open,
            Deadline::Connection => {
                let outcome = self.connection.handle_timeout_of_output(env.as_of(judged_at));
                Judgement::Met(outcome.map_err(Error::from))
            }
        }
    }

    /// A deadline is due: whether it can be judged by what was read. Until the stream is dry, what the server sent in time may still be in
    /// it, but not behind more bytes than a stream holds.
    fn can_be_judged(&mut self) -> bool {
        !self.queued || *self.behind.get_or_insert_default().overdue.get_or_insert(MAX_IN_STREAM) == 0
    }

    /// No deadline is due.
    fn is_in_time(&mut self) {
        if let Some(behind) = &mut self.behind {
            behind.overdue = None;
        }
    }

    /// Looks through everything that has arrived for the end of the closing handshake, or of the stream, and delivers none of it.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    fn look_for_close(&mut self, buffer: &mut [u8], env: &mut Env) -> Result<(), Error> {
        let (mut left, mut held) = (MAX_IN_STREAM, 0);
        while self.connection.close_frame().is_none() && self.connection.error().is_none() && left > 0 {
            let chunk = match self.read(buffer, held, env) {
                Ok(chunk) => chunk,
                Err(Stop::Dry | Stop::Budget) if !self.is_broken() => break,
                Err(_) => return Ok(self.connection.end_of_stream(env)?),
            };
            left = left.saturating_sub(chunk.fresh);
            held = 0;
            let connection = &mut self.connection;
            let mut skip = |bytes: &[u8]| {
                let mut input = Input::new(bytes);
                while connection.receive(&mut input, env)?.is_some() {}
                connection.absorb(&mut input, env)
            };
            match (chunk.location, &mut self.secure) {
                (Location::Message, _) => connection.filled(chunk.fresh, env)?,
                (Location::Encrypted(len), Some(secure)) => {
                    let mut skipped = Ok(());
                    secure.receive(&mut buffer[..len], |plaintext| {
                        skipped = skip(plaintext);
                        if skipped.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
                    })?;
                    skipped?;
                    if secure.has_ended() {
                        return Ok(self.connection.end_of_stream(env)?);
                    }
                }
                (Location::Buffer(len) | Location::Encrypted(len), _) => skip(&buffer[..len])?,
                (Location::Undelivered, _) => skip(take_undelivered(&mut self.behind).rest())?,
            }
        }
        Ok(())
    }

    /// What messages are expected, if any.
    fn feed(&self) -> Option<&Feed> {
        self.observers.as_ref()?.feed.as_ref()
    }
}
