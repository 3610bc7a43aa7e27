//! Options for feeds: what is expected of a server that sends by itself, and what it is sent to keep it doing so.

use std::sync::Arc;
use std::time::Duration;

use super::RunOptions;
use crate::feed::Heartbeat;
use crate::message::OwnedMessage;

impl RunOptions {
    /// Ends an open connection on which no data message was delivered for this long, with
    /// [`Timeout::Silence`](crate::Timeout::Silence), which the default policy for reconnecting retries. Pings and pongs
    /// do not count: they show that the server is there, not that it still sends. Where fragments are delivered one by
    /// one, each of them counts; otherwise a fragmented message counts when it is whole.
    ///
    /// The time begins when `on_open` returns, and again with each message when its callback returns. Time that callbacks
    /// take does not count, and what has arrived is read before the connection is given up. Must be above zero.
    /// Default: no limit.
    ///
    /// ```
    /// use std::time::Duration;
    /// use websocket_app::{Reconnect, RunOptions};
    ///
    /// let options =
    ///     RunOptions::new().silence_timeout(Duration::from_secs(30)).reconnect(Reconnect::default());
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn silence_timeout(self, timeout: Duration) -> Self {
        self.with_connect(|connect| connect.feed.silence_timeout = Some(timeout))
    }

    /// Sends `message` this often while the connection is open, for servers that expect a message of the application as
    /// a sign of life; [`ping_interval`](Self::ping_interval) sends pings. The first one is sent one interval after the
    /// connection has opened. Must be above zero. Default: none.
    ///
    /// Where the message does not fit into the queue, or a fragmented message is being sent, this time is skipped. Another
    /// error goes to `on_error`, and the connection continues.
    ///
    /// ```
    /// use std::time::Duration;
    /// use websocket_app::{OwnedMessage, RunOptions};
    ///
    /// let heartbeat = OwnedMessage::Text(r#"{"op":"ping"}"#.into());
    /// let options = RunOptions::new().heartbeat(Duration::from_secs(15), heartbeat);
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn heartbeat(self, every: Duration, message: impl Into<OwnedMessage>) -> Self {
        let message = message.into();
        self.heartbeat_with(every, move || message.clone())
    }

    /// Sends what `make` returns this often while the connection is open, as [`heartbeat`](Self::heartbeat) does. `make`
    /// is called on the reactor's thread each time; a panic in it is one in a callback. Options may be shared by many apps
    /// and sent to other threads, and so must `make`.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use std::time::Duration;
    /// use websocket_app::{OwnedMessage, RunOptions};
    ///
    /// let sequence = AtomicU64::new(0);
    /// let options = RunOptions::new().heartbeat_with(Duration::from_secs(15), move || {
    ///     let number = sequence.fetch_add(1, Ordering::Relaxed);
    ///     OwnedMessage::Text(format!(r#"{{"op":"ping","id":{number}}}"#).into())
    /// });
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn heartbeat_with<M: Into<OwnedMessage>>(
        self,
        every: Duration,
        make: impl Fn() -> M + Send + Sync + 'static,
    ) -> Self {
        let message = Arc::new(move || make().into());
        self.with_connect(|connect| connect.feed.heartbeat = Some(Heartbeat { every, message }))
    }

    /// Probes an open connection, with this deadline, after the clock has jumped: the process or the system stood still
    /// for five seconds or more, as after SIGSTOP or a suspend, and the server may have given the connection up meanwhile. See
    /// [`Context::probe`](crate::Context::probe). Must be above zero. Default: no probe.
    ///
    /// The app looks at the clocks every five seconds while its connection is open, so a jump is noticed within that
    /// time.
    ///
    /// ```
    /// use std::time::Duration;
    /// use websocket_app::{Reconnect, RunOptions};
    ///
    /// // For a laptop.
    /// let options =
    ///     RunOptions::new().probe_after_jump(Duration::from_secs(3)).reconnect(Reconnect::default());
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn probe_after_jump(self, deadline: Duration) -> Self {
        self.with_connect(|connect| connect.feed.probe_after_jump = Some(deadline))
    }
}
