//! Large messages, which are written while they are masked.

use websocket_connection::{Env, Message, SendError, Tx};

use super::context::{Connected, Context};
use crate::live::{Written, is_large, write_some};

impl Context<'_> {
    /// Whether a message of `len` bytes is queued and nothing else.
    #[inline]
    pub(super) fn is_only_queued(&self, len: usize) -> bool {
        !is_large(len) && !self.control.is_limited()
    }

    /// Sends a message that is not [only queued](Self::is_only_queued).
    ///
    /// # Errors
    /// Why it is not sent; nothing was queued.
    #[cold]
    pub(super) fn send_otherwise(&mut self, message: Message<'_>) -> Result<(), SendError> {
        if self.control.is_limited() {
            return self.send_limited(message);
        }
        self.send_large(|tx, env, write| tx.send_through(message, env, write))
    }

    /// Has `send` write what it sends, as far as the stream takes it. The rest, and what the stream has to say about it, is left for the write
    /// at the end of the visit.
    ///
    /// # Errors
    /// Why it is not sent; nothing was queued.
    #[cold]
    pub(super) fn send_large(
        &mut self,
        send: impl FnOnce(&mut Tx, &mut Env, &mut dyn FnMut(&[u8]) -> usize) -> Result<(), SendError>,
    ) -> Result<(), SendError> {
        let Some(Connected { tx, io, writes_at_once }) = &mut self.connected else {
            return Err(self.without_connection());
        };
        // A stream that took no more is not asked again before what waits has left.
        let is_blocked = self.control.blocked && tx.queued_bytes() > 0;
        let (is_at_once, mut bytes) = (*writes_at_once && !is_blocked, 0);
        self.apps.env.user_code_ran();
        let sent = send(tx, self.apps.env.current(), &mut |output| {
            let written = if is_at_once { write_some(io, output) } else { 0 };
            bytes += written;
            written
        });
        match &sent {
            Ok(()) => {
                let emptied = Ok(!is_at_once || tx.queued_bytes() == 0);
                self.apps.env.user_code_ran();
                let _no_error_here = self.control.wrote(Written { bytes, emptied }, &mut self.apps.env);
                self.control.mark_dirty(self.apps, self.identity.id);
            }
            Err(SendError::QueueFull { .. }) => self.control.blocked = true,
            Err(_) => {}
        }
        sent
    }
}
