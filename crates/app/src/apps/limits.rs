//! Sending where it is limited how much an app may send.

use std::time::Instant;

use websocket_connection::{Message, SendError, State, Tx};

use super::{App, Control, Stage};
use crate::send_queue::{Waiting, encode};
use crate::surroundings::Surroundings;

impl Control {
    /// Sends a message now or, where limits demand it, later.
    ///
    /// # Errors
    /// Why it is not sent; nothing was queued.
    #[inline]
    pub(super) fn send(
        &mut self,
        message: Message<'_>,
        tx: &mut Tx,
        env: &mut Surroundings,
    ) -> Result<(), SendError> {
        if self.is_limited() {
            return self.send_limited(message, tx, env);
        }
        encode(message, tx, env.untimed())
    }

    /// Whether it is limited how much is sent.
    #[inline]
    pub(super) fn is_limited(&self) -> bool {
        self.outbox.as_ref().is_some_and(|outbox| outbox.is_limited())
    }

    /// Bytes that wait until they may be sent.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.outbox.as_ref().map_or(0, |outbox| outbox.waiting_bytes())
    }

    #[cold]
    fn send_limited(
        &mut self,
        message: Message<'_>,
        tx: &mut Tx,
        env: &mut Surroundings,
    ) -> Result<(), SendError> {
        if let Some(queue) = self.outbox.as_mut().and_then(|outbox| outbox.send_queue())
            && !queue.try_send(message, tx, env)?
        {
            queue.push(Waiting { message: message.into(), is_of_sender: false }, tx, env);
            self.blocked = true;
        }
        Ok(())
    }
}

impl App {
    /// When the first message that waits may be sent on this connection. What is not written yet is written first.
    #[inline]
    pub(crate) fn sends_at(&self) -> Option<Instant> {
        let at = self.control.outbox.as_ref()?.sends_at()?;
        let Stage::Live(live) = &self.stage else { return None };
        let is_ready = live.connection.state() == State::Open && live.connection.queued_bytes() == 0;
        is_ready.then_some(at)
    }
}
