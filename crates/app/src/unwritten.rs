//! What senders have sent and the stream has not taken yet.

use std::collections::VecDeque;

use websocket_connection::Tx;

use crate::message::OwnedMessage;

/// What the output of one connection holds of senders' messages.
#[derive(Default)]
pub(crate) struct UnwrittenMessages {
    /// Each with the position at which its frame ends.
    pub(crate) messages: VecDeque<(u64, OwnedMessage)>,
    /// The position up to which the output was written.
    pub(crate) written: u64,
}

impl UnwrittenMessages {
    /// A message was encoded, and is the last in the output, unless all of it was written at once.
    pub(crate) fn push(&mut self, message: OwnedMessage, tx: &Tx) {
        if tx.queued_bytes() > 0 {
            self.messages.push_back((self.end(tx), message));
        }
    }

    /// The position at which the output ends.
    pub(crate) const fn end(&self, tx: &Tx) -> u64 {
        self.written + tx.queued_bytes() as u64
    }
}
