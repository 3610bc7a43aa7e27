//! What a callback can do with its connection besides sending and closing.

use websocket_connection::{Close, CloseCode, State};

use super::Context;
use crate::error::Error;

impl Context<'_> {
    /// Drops this connection, and leaves the rest to the policy for reconnecting, as after a loss: `on_error` and
    /// `on_close` come with [`Error::ReconnectRequested`], which has the `reason`, and another attempt follows after the
    /// policy's delay. Attempts, limits, `AppId` and senders continue. By default the policy retries; without
    /// [`RunOptions::reconnect`](crate::RunOptions::reconnect) the run ends.
    ///
    /// From here on nothing can be sent on this connection, and once the running callback has returned nothing else of
    /// it is delivered. The server is sent a close frame with code 1001 if the socket takes it at once; an answer is not
    /// waited for.
    ///
    /// It has no effect unless the connection is open: not while an attempt is under way or waited for, not in
    /// `on_close`, not after a [`close`](Self::close), which ends the run, and not in `on_error` for a failure that ends
    /// the connection anyway. If it is called several times, the first reason counts.
    ///
    /// ```
    /// use websocket_app::{Reconnect, RunOptions, WebSocketApp};
    ///
    /// let app = WebSocketApp::new("ws://127.0.0.1:9001/").on_message(|app, message| {
    ///     if message.as_bytes() == b"out of sync" {
    ///         app.reconnect("the server has lost the sequence");
    ///     }
    /// });
    /// let options = RunOptions::new().reconnect(Reconnect::default());
    /// # let _ = (app, options);
    /// ```
    pub fn reconnect(&mut self, reason: impl Into<String>) {
        let Some(connected) = self.connected.as_mut().filter(|it| it.tx.state() == State::Open) else {
            return;
        };
        self.apps.env.user_code_ran();
        // It begins the closing handshake, so that nothing is sent behind it. The code may be sent, and the connection is open.
        let _begun = connected.tx.close(&Close::from(CloseCode::Away), self.apps.env.current());
        self.control.drop_for = Some(Box::new(Error::ReconnectRequested(reason.into())));
        self.apps.interrupted = true;
        // The app may be lent, and then the reactor is not at work on it.
        self.apps.look_at(self.identity.id);
    }
}
