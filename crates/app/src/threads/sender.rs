//! An app as other threads see it.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;

use tungstenite::{Bytes, Utf8Bytes};
use websocket_connection::{Close, MAX_CONTROL_PAYLOAD, SendError};

use super::inbox::ReactorHandle;
use super::mailbox::{Mailbox, Order, SenderState};
use super::waits::Need;
use crate::apps::{Context, IntoCallbackResult};
use crate::message::{OwnedMessage, Refused};
use crate::stats::Stats;

/// A cheap handle on one app for other threads: it queues and wakes, the loop does the work.
///
/// Messages that one thread sends are written in that order. A message that is accepted is either written or,
/// when the connection ends first, handed to `on_close` as [`Closed::unsent`](crate::Closed::unsent).
///
/// ```no_run
/// use std::thread;
/// use websocket_app::{RunOptions, WebSocketApp};
///
/// let mut app = WebSocketApp::new("ws://127.0.0.1:9001/").on_open(|app, _| {
///     let sender = app.sender();
///     thread::spawn(move || {
///         if let Err(refused) = sender.send_text("from another thread") {
///             eprintln!("{:?} was not sent: {}", refused.message, refused.reason);
///         }
///         sender.close();
///     });
/// });
/// app.run_forever(&RunOptions::default())?;
/// # Ok::<(), websocket_app::Error>(())
/// ```
#[derive(Clone)]
pub struct Sender(pub(crate) Arc<Mailbox>);

impl Sender {
    /// Queues a text message.
    ///
    /// # Errors
    /// [`Refused`] with the message when the connection is not open, which is [`SendError::WaitingToReconnect`] while
    /// another attempt follows, when it would exceed `max_queued_bytes`, or when it is larger than a
    /// [`send_limit`](crate::RunOptions::send_limit) ever allows.
    #[allow(clippy::result_large_err, reason = "the error is the message that is handed back")]
    pub fn send_text(&self, text: impl Into<Utf8Bytes>) -> Result<(), Refused> {
        self.send(OwnedMessage::Text(text.into()))
    }

    /// Queues a binary message.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text).
    #[allow(clippy::result_large_err, reason = "the error is the message that is handed back")]
    pub fn send_bytes(&self, bytes: impl Into<Bytes>) -> Result<(), Refused> {
        self.send(OwnedMessage::Binary(bytes.into()))
    }

    /// Queues a ping, at most 125 bytes.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text), or when the payload is too long.
    #[allow(clippy::result_large_err, reason = "the error is the message that is handed back")]
    pub fn ping(&self, payload: impl Into<Bytes>) -> Result<(), Refused> {
        self.send(OwnedMessage::Ping(payload.into()))
    }

    /// Queues `message`: an [`OwnedMessage`] or what becomes one, such as a string or a received
    /// [`Message`](crate::Message).
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text).
    #[allow(clippy::result_large_err, reason = "the error is the message that is handed back")]
    pub fn send(&self, message: impl Into<OwnedMessage>) -> Result<(), Refused> {
        let message = message.into();
        let len = message.as_bytes().len();
        if matches!(message, OwnedMessage::Ping(_)) && len > MAX_CONTROL_PAYLOAD {
            return Err(Refused { message, reason: SendError::ControlTooLong { len } });
        }
        self.0.current().accept(message).map_err(|(message, reason)| Refused { message, reason })
    }

    /// Closes with code 1000, as [`close_with`](Self::close_with).
    pub fn close(&self) {
        self.0.current().order(Order::Close(Close::default()));
    }

    /// Starts the closing handshake in the loop's next turn; never blocks. It does not wait for a peer that
    /// takes no bytes: accepted messages that the full output could not take yet come back as
    /// [`Closed::unsent`](crate::Closed::unsent). Before the app runs, or before its connection is open, the
    /// attempt is ended instead; while it waits to connect again, it ends, and only `on_end` is called.
    ///
    /// # Errors
    /// A code or reason that must not be sent; nothing was queued.
    pub fn close_with(&self, close: impl Into<Close>) -> Result<(), SendError> {
        let close = close.into();
        close.check()?;
        self.0.current().order(Order::Close(close));
        Ok(())
    }

    /// Drops the connection in the loop's next turn and leaves the rest to the policy for reconnecting, as
    /// [`Context::reconnect`] does. It comes after everything that this thread has asked for before. Unless the
    /// connection is open then, it has no effect.
    pub fn reconnect(&self, reason: impl Into<String>) {
        let reason = reason.into();
        self.run(move |app| app.reconnect(reason));
    }

    /// Opens a successor of the connection, as [`Context::renew`] does, which says when it has no effect.
    pub fn renew(&self) {
        self.run(|app| app.renew());
    }

    /// Ends the app at once and silently: no closing handshake, no further callback.
    pub fn remove(&self) {
        self.0.current().order(Order::Remove);
    }

    /// Runs `work` with the app's [`Context`] on the reactor's thread; an error from it goes to `on_error`.
    /// If the app ends first, `work` is dropped.
    pub fn run<R: IntoCallbackResult>(&self, work: impl FnOnce(&mut Context<'_>) -> R + Send + 'static) {
        self.0.current().order(Order::Run(Box::new(move |app| work(app).into_callback_result())));
    }

    /// Stops the reactor, as [`Apps::stop`](crate::Apps::stop). Nothing happens when this app does not run.
    pub fn stop(&self) {
        if let Some(reactor) = self.reactor() {
            reactor.stop();
        }
    }

    /// Closes all apps of the reactor and stops it, as [`Apps::stop_within`](crate::Apps::stop_within).
    /// Nothing happens when this app does not run.
    pub fn stop_within(&self, timeout: Duration) {
        if let Some(reactor) = self.reactor() {
            reactor.stop_within(timeout);
        }
    }

    /// The reactor that the app runs on, while it runs.
    pub fn reactor(&self) -> Option<ReactorHandle> {
        self.0.current().reactor()
    }

    /// Waits until the connection is open. An app that has not begun to run, connects or waits to connect again is
    /// waited for. The future needs no runtime: it is for any executor, on any thread, and dropping it leaves nothing
    /// behind. By the time its task continues, the connection may have been lost again.
    ///
    /// # Errors
    /// [`SendError::NotOpen`] when the app has ended or was dropped, now or while it is waited for.
    pub fn opened(&self) -> SenderWait {
        SenderWait::new(self.0.clone(), Need::Open)
    }

    /// Waits until the connection is open and a message of `len` bytes would be accepted: what to do after
    /// [`SendError::QueueFull`]. The same holds as for [`opened`](Self::opened). Nothing is reserved: where several
    /// tasks send, another one may take the room first.
    ///
    /// ```
    /// use websocket_app::{OwnedMessage, Refused, SendError, Sender};
    ///
    /// /// Sends `message` when there is room for it.
    /// async fn send(sender: &Sender, mut message: OwnedMessage) -> Result<(), SendError> {
    ///     loop {
    ///         sender.ready(message.as_bytes().len()).await?;
    ///         match sender.send(message) {
    ///             Ok(()) => return Ok(()),
    ///             Err(refused) => message = refused.message,
    ///         }
    ///     }
    /// }
    /// # let _ = send;
    /// ```
    ///
    /// # Errors
    /// As [`opened`](Self::opened); [`SendError::TooBig`] or [`SendError::ExceedsSendLimit`] when a message of `len` bytes is never
    /// accepted.
    pub fn ready(&self, len: usize) -> SenderWait {
        SenderWait::new(self.0.clone(), Need::Room(len))
    }

    /// Waits until no message that was accepted waits any more: each was passed to the operating system to its last byte, or was
    /// handed back when its connection ended. Messages that [`Unsent::Keep`](crate::Unsent::Keep) takes to the next connection, or that a
    /// [`send_limit`](crate::RunOptions::send_limit) holds back, are waited for. What is accepted meanwhile is waited for, too, so where others send
    /// all the time it may never end.
    ///
    /// The same holds as for [`opened`](Self::opened).
    ///
    /// # Errors
    /// [`SendError::NotOpen`] when the app has ended or was dropped, now or while it is waited for.
    pub fn flushed(&self) -> SenderWait {
        SenderWait::new(self.0.clone(), Need::Flushed)
    }

    /// Bytes that wait: accepted here and not yet on the loop, and on the loop and not yet written, as of its
    /// last turn.
    pub fn queued_bytes(&self) -> usize {
        self.0.current().queued()
    }

    /// Returns the numbers of all connections of the app's run, as of the last time that the loop has looked at the app. Never blocks on the loop.
    ///
    /// Numbers are published only once they were asked for, so that other apps do not pay for it: the first call wakes the loop and returns
    /// `None`, and so may calls until it has looked. When the run is over, they are those of its end, also if nothing has asked before.
    /// They are replaced when the app runs again. [`run`](Self::run) with [`Context::stats`] is the way to the numbers of one connection.
    pub fn stats(&self) -> Option<Stats> {
        self.0.current().stats()
    }

    /// Whether the connection was open when the loop last looked.
    pub fn is_open(&self) -> bool {
        self.0.current().state() == SenderState::Open
    }
}

/// The future of [`Sender::opened`], [`Sender::ready`] and [`Sender::flushed`].
#[must_use = "a future does nothing unless it is awaited"]
pub struct SenderWait {
    mailbox: Arc<Mailbox>,
    need: Need,
    name: Option<u64>,
}

impl SenderWait {
    const fn new(mailbox: Arc<Mailbox>, need: Need) -> Self {
        Self { mailbox, need, name: None }
    }
}

impl Future for SenderWait {
    type Output = Result<(), SendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let Self { mailbox, need, name } = &mut *self;
        loop {
            if let Some(poll) = mailbox.poll(*need, name, cx.waker()) {
                return poll;
            }
            mailbox.forget(name.take());
            *mailbox = mailbox.current().clone();
        }
    }
}

impl fmt::Debug for SenderWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SenderWait")
    }
}

impl Drop for SenderWait {
    fn drop(&mut self) {
        if self.name.is_some() {
            self.mailbox.forget(self.name);
        }
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("open", &self.is_open())
            .field("queued_bytes", &self.queued_bytes())
            .finish()
    }
}
