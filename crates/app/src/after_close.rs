//! What becomes of messages, in both directions, when a connection is closed.

use crate::options::{RunOptions, Unsent};

impl RunOptions {
    /// What becomes of messages that a [`Sender`](crate::Sender) accepted and that were not wholly written
    /// when their connection ended. Default [`Unsent::HandBack`].
    #[must_use]
    pub fn unsent(self, unsent: Unsent) -> Self {
        self.with_connect(|connect| connect.unsent = unsent)
    }

    /// Whether messages that arrive after the program's own close are delivered. With `false`, `on_data`,
    /// `on_message` and `on_cont_message` are not called from the close on, be it in a callback, by a sender
    /// or by `stop_within`. What the server sends is still read, for its close frame comes behind it.
    /// Default `true`.
    #[must_use]
    pub fn deliver_after_close(self, deliver: bool) -> Self {
        self.with_connect(|connect| connect.deliver_after_close = deliver)
    }
}
