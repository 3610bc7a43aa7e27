//! What a callback can do with its app and its connection besides sending and closing.

use std::any::Any;
use std::time::{Duration, SystemTime};

use websocket_connection::{Close, CloseCode, SendError, State};

use super::{Context, Handler};
use crate::error::Error;
use crate::feed::Clocks;

impl Context<'_> {
    /// Returns the app's handler, if it is an `H`: in timers, in [`Apps::with`](crate::Apps::with) and in
    /// [`Sender::run`](crate::Sender::run), so that these share its state without `Rc<RefCell<_>>`.
    ///
    /// Returns `None` for any other type, for an app of closures, and in the handler's own callbacks, where it is `self`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use websocket_app::{CallbackResult, Context, Handler, Message, Open, WebSocketApp};
    ///
    /// #[derive(Default)]
    /// struct Counter {
    ///     messages: u64,
    /// }
    ///
    /// impl Handler for Counter {
    ///     fn on_open(&mut self, app: &mut Context<'_>, _open: &Open<'_>) -> CallbackResult {
    ///         app.set_interval(Duration::from_secs(1), |app| {
    ///             if let Some(counter) = app.handler_mut::<Self>() {
    ///                 println!("{} messages in the last second", std::mem::take(&mut counter.messages));
    ///             }
    ///         });
    ///         Ok(())
    ///     }
    ///
    ///     fn on_message(&mut self, _app: &mut Context<'_>, _message: Message<'_>) -> CallbackResult {
    ///         self.messages += 1;
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let app = WebSocketApp::with_handler("ws://127.0.0.1:9001/", Counter::default());
    /// # let _ = app;
    /// ```
    pub fn handler_mut<H: Handler>(&mut self) -> Option<&mut H> {
        let handler: &mut dyn Any = &mut **self.handler.as_mut()?;
        handler.downcast_mut()
    }

    /// Finds out whether the server is still there: sends a ping, and ends the connection with
    /// [`Timeout::Probe`](crate::Timeout::Probe) unless there is a sign of life within `deadline` from when the ping was
    /// written. [`RunOptions::liveness`](crate::RunOptions::liveness) says what counts as one. The default policy for
    /// reconnecting retries after that; `on_pong` gets the answer with its round-trip time.
    ///
    /// It is independent of [`ping_interval`](crate::RunOptions::ping_interval). Of several probes that wait for an answer,
    /// the earliest deadline holds. What has arrived is read before the deadline is judged. A deadline of zero leaves the
    /// server no time.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text).
    ///
    /// ```
    /// use std::time::Duration;
    /// use websocket_app::Sender;
    ///
    /// /// To be called when the network has changed.
    /// fn network_changed(feed: &Sender) {
    ///     feed.run(|app| app.probe(Duration::from_secs(3)));
    /// }
    /// # let _ = network_changed;
    /// ```
    pub fn probe(&mut self, deadline: Duration) -> Result<(), SendError> {
        self.transmit(|tx, apps| tx.probe(deadline, apps.env.untimed()))
    }

    /// Sends `bytes` as they are, without a frame around them: for tools that find out what a server does with what breaks the protocol.
    /// The server is expected to close with 1002 after most of what can be sent this way. Over TLS they are encrypted.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text). A [`send_limit`](crate::RunOptions::send_limit) does not hold them back.
    ///
    /// ```
    /// use websocket_app::WebSocketApp;
    ///
    /// // A text frame without the mask that RFC 6455 section 5.1 asks of a client.
    /// let app = WebSocketApp::new("ws://127.0.0.1:9001/").on_open(|app, _open| app.send_unframed(b"\x81\x05hello"));
    /// # let _ = app;
    /// ```
    pub fn send_unframed(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        self.transmit(|tx, apps| tx.send_unframed(bytes, apps.env.untimed()))
    }

    /// Stops reading from this connection until [`resume_reading`](Self::resume_reading): no message is delivered after
    /// the running callback, the dispatcher watches the stream for nothing or for room alone, and once the buffers of the
    /// two systems are full, TCP holds the server back. Each connection begins unpaused. It has no effect unless the
    /// connection is open.
    ///
    /// Meanwhile nothing that the server says is noticed, not even that it has closed. So it cannot fail for want of a sign of
    /// life: pings are still sent, but no [`probe`](Self::probe) and no keep-alive ping that was or is sent waits for its
    /// answer, and [`silence_timeout`](crate::RunOptions::silence_timeout) begins again afterwards. Sending continues, and
    /// so does its `write_timeout`. Closing resumes reading, so that the server's answer is found, and so does a stream that
    /// breaks while it is written to.
    ///
    /// ```
    /// use std::time::Duration;
    /// use websocket_app::WebSocketApp;
    ///
    /// // At most ten messages a second.
    /// let app = WebSocketApp::new("ws://127.0.0.1:9001/").on_message(|app, message| {
    ///     println!("{message:?}");
    ///     app.pause_reading();
    ///     app.set_timeout(Duration::from_millis(100), |app| app.resume_reading());
    /// });
    /// # let _ = app;
    /// ```
    pub fn pause_reading(&mut self) {
        if self.is_open() {
            self.set_paused(true);
            // The messages behind the one that is being delivered wait, too.
            self.apps.pace.look_soon();
        }
    }

    /// Reads again after [`pause_reading`](Self::pause_reading). The messages that wait come next, in one of the next
    /// turns. Harmless if reading is not paused.
    pub fn resume_reading(&mut self) {
        self.set_paused(false);
    }

    fn set_paused(&mut self, paused: bool) {
        if let Some(connected) = &mut self.connected {
            connected.tx.set_paused(paused);
            // What the stream is watched for changes with the next write.
            self.control.mark_dirty(self.apps, self.identity.id);
        }
    }

    /// Starts what the options want while the connection is open. All of it is timers, which end with the attempt.
    pub(crate) fn start_feed(&mut self) {
        self.start_heartbeat();
        if let Some(every) = self.identity.plan.options.connect.feed.renew_every {
            self.set_interval(every, |app| app.renew());
        }
        if let Some(deadline) = self.identity.plan.options.connect.feed.probe_after_jump {
            let mut clocks = Clocks::new(self.now(), SystemTime::now());
            self.set_interval(Clocks::LOOK, move |app| {
                let jumped = clocks.have_jumped(app.now(), SystemTime::now());
                if jumped && app.is_open() { app.probe(deadline) } else { Ok(()) }
            });
        }
    }

    fn start_heartbeat(&mut self) {
        let Some(heartbeat) = self.identity.plan.options.connect.feed.heartbeat.clone() else { return };
        self.set_interval(heartbeat.every, move |app| {
            if !app.is_open() {
                return Ok(());
            }
            let message = (heartbeat.message)();
            let sent = match message.as_message() {
                Some(message) if app.control.is_limited() => app.send_limited(message),
                _ => app.transmit(|tx, apps| message.encode(tx, apps.env.untimed())),
            };
            match sent {
                // The server is behind, or hears of the app by what is being sent.
                Err(SendError::QueueFull { .. } | SendError::InsideFragmented) => Ok(()),
                sent => sent,
            }
        });
    }

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
        self.control.rare.drop_for(Error::ReconnectRequested(reason.into()));
        self.apps.interrupted = true;
        // The app may be lent, and then the reactor is not at work on it.
        self.apps.look_at(self.identity.id);
    }
}
