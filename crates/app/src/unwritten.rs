//! What senders have sent and the stream has not taken yet.

use std::collections::VecDeque;

use crate::message::OwnedMessage;

/// What the output of one connection holds of senders' messages.
#[derive(Default)]
pub(crate) struct UnwrittenMessages {
    /// Each with the position at which its frame ends.
    pub(crate) messages: VecDeque<(u64, OwnedMessage)>,
    /// The position up to which the output was written.
    pub(crate) written: u64,
}
