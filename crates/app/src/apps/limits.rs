//! Sending where it is limited how much an app may send.

use std::time::Instant;

use websocket_connection::{Message, SendError, State};

use super::{App, Context, Control, Stage};
use crate::send_queue::{Waiting, encode};

impl Context<'_> {
    /// Sends a message now or, where the limits demand it, later.
    ///
    /// # Errors
    /// Why it is not sent; nothing was queued.
    #[cold]
    pub(super) fn send_limited(&mut self, message: Message<'_>) -> Result<(), SendError> {
        let Some(connected) = &mut self.connected else { return Err(self.without_connection()) };
        let Some(queue) = self.control.outbox.as_mut().and_then(|outbox| outbox.send_queue()) else {
            return self.transmit(|tx, apps| encode(message, tx, apps.env.untimed()));
        };
        let sent = queue.try_send(message, connected.tx, &mut self.apps.env);
        if matches!(sent, Ok(false)) {
            let waiting = Waiting { message: message.into(), is_of_sender: false };
            queue.push(waiting, connected.tx, &mut self.apps.env);
        }
        self.control.blocked |= matches!(sent, Ok(false) | Err(SendError::QueueFull { .. }));
        // The deadline of what waits is armed with the next visit to the app.
        self.control.mark_dirty(self.apps, self.identity.id);
        sent.map(drop)
    }
}

impl Control {
    /// Whether it is limited how much is sent.
    #[inline]
    pub(super) fn is_limited(&self) -> bool {
        self.outbox.as_ref().is_some_and(|outbox| outbox.is_limited())
    }

    /// Bytes that wait until they may be sent.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.outbox.as_ref().map_or(0, |outbox| outbox.waiting_bytes())
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
