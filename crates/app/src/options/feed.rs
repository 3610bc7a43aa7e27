//! Options for feeds: what is expected of a server that sends by itself, and what it is sent to keep it doing so.

use std::sync::Arc;
use std::time::Duration;

use super::RunOptions;
use crate::feed::Heartbeat;
use crate::message::OwnedMessage;
use crate::send_limit::SendLimit;

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

    /// Replaces an open connection this often by a successor that is opened before the old one is closed, as
    /// [`Context::renew`](crate::Context::renew) does: for servers that end every connection after some hours. The time begins when a connection has
    /// opened. A successor that fails is tried again after the same time, so choose one of which several fit into what the server allows.
    /// Must be above zero. Default: never.
    ///
    /// Apps that have connected together renew together, within the reactor's limits for connections in the making.
    ///
    /// ```
    /// use std::time::Duration;
    /// use websocket_app::{Reconnect, RunOptions, WebSocketApp};
    ///
    /// let hour = Duration::from_secs(3600);
    /// let options = RunOptions::new()
    ///     .renew_every(8 * hour) // the server cuts connections after 24 hours
    ///     .renew_overlap(Duration::from_secs(5)) // the time to subscribe
    ///     .reconnect(Reconnect::default());
    /// let app = WebSocketApp::new("wss://feed.example/").on_open(|app, open| {
    ///     if open.is_successor {
    ///         println!("a new connection takes over");
    ///     }
    ///     app.send_text(r#"{"op":"subscribe","channel":"trades"}"#)
    /// });
    /// # let _ = (app, options);
    /// ```
    #[must_use]
    pub fn renew_every(self, interval: Duration) -> Self {
        self.with_connect(|connect| connect.feed.renew_every = Some(interval))
    }

    /// How long the old connection stays open, and its messages are delivered, after a successor has opened and `on_open` was called for it;
    /// [`Context::end_overlap`](crate::Context::end_overlap) ends that earlier. A feed that has to be subscribed to needs some time for
    /// it, in which both connections may bring the same messages; [`Context::is_from_predecessor`](crate::Context::is_from_predecessor) tells them apart.
    /// Default zero: the old connection is closed when `on_open` has returned, and what the server sends until it answers the close
    /// frame is delivered.
    #[must_use]
    pub fn renew_overlap(self, overlap: Duration) -> Self {
        self.with_connect(|connect| connect.feed.renew_overlap = overlap)
    }

    /// Adds a limit on what the app sends, for servers that end a connection which sends too much. With several limits, all of them
    /// hold. A limit of zero, or one without an interval, is refused. Default: none.
    ///
    /// Text and binary messages count, from callbacks, timers, [`heartbeat`](Self::heartbeat) and senders on other threads. One that
    /// would exceed a limit waits until it does not, and those that are sent after it wait behind it. Pings, pongs and close frames
    /// neither count nor wait.
    ///
    /// A limit holds in every interval of its length, wherever it begins, for what is written to the stream, and over all
    /// connections of the app's run, one after another or two at a time, since servers count per client.
    ///
    /// What waits is a part of the queue, for `queued_bytes`, [`max_queued_bytes`](Self::max_queued_bytes), statistics and
    /// [`on_drain`](crate::Handler::on_drain), with 14 bytes for the header of each frame. A close does not wait for it. What still
    /// waits when the connection ends is in [`Closed::unsent`](crate::Closed::unsent), also what a callback has sent;
    /// [`unsent`](Self::unsent) says what follows, and keeps only what came from a [`Sender`](crate::Sender).
    ///
    /// A message larger than a limit on bytes is refused with [`SendError::ExceedsSendLimit`](crate::SendError::ExceedsSendLimit), and fragments with
    /// [`SendError::FragmentsUnderSendLimit`](crate::SendError::FragmentsUnderSendLimit).
    ///
    /// ```
    /// use std::time::Duration;
    /// use websocket_app::{RunOptions, SendLimit, WebSocketApp};
    ///
    /// let options = RunOptions::new()
    ///     .send_limit(SendLimit::messages(5, Duration::from_secs(1)))
    ///     .send_limit(SendLimit::messages(100, Duration::from_secs(60)));
    /// let app = WebSocketApp::new("wss://feed.example/").on_open(|app, _open| {
    ///     for channel in 0..20 {
    ///         // Five now, five more after a second, and so on.
    ///         app.send_text(format!(r#"{{"op":"subscribe","channel":{channel}}}"#))?;
    ///     }
    ///     Ok::<(), websocket_app::SendError>(())
    /// });
    /// # let _ = (app, options);
    /// ```
    #[must_use]
    pub fn send_limit(self, limit: SendLimit) -> Self {
        self.with_connect(|connect| connect.feed.send_limits.push(limit))
    }

    /// Whether [`Context::kernel_received_at`](crate::Context::kernel_received_at) returns when the kernel received a message. Default `false`.
    ///
    /// It sets the socket option `SO_TIMESTAMPNS`, and each read is a `recvmsg` with a control message instead of a `recv`. While any socket
    /// of the machine has the option set, its kernel reads the clock for each packet that arrives.
    ///
    /// Without effect on other systems than Linux, and on streams that are not TCP sockets of the system.
    #[cfg(feature = "kernel-receive-time")]
    #[must_use]
    pub fn kernel_receive_time(self, ask: bool) -> Self {
        self.with_connect(|connect| connect.feed.kernel_receive_time = ask)
    }
}
