//! What a callback can do.

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use websocket_connection::{Close, Kind, Opcode, Rtt, SendError, State, Tx};
use websocket_dispatcher::Io;

use super::app::Control;
use super::{Apps, CallbackResult, IntoCallbackResult};
use crate::app_url::AppUrl;
use crate::attempts::Attempts;
use crate::id::{AppId, TimerId};
use crate::live::write_all;
use crate::plan::Plan;
use crate::threads::{Mailbox, Outbox, Sender};

/// One app in the hands of a callback: send, close, timers, and the other apps of the reactor.
///
/// Nothing here blocks. What is sent is encoded at once and leaves in one write when the reactor's turn ends.
pub struct Context<'a> {
    pub(crate) apps: &'a mut Apps,
    pub(crate) identity: Identity<'a>,
    pub(crate) control: &'a mut Control,
    pub(crate) connected: Option<Connected<'a>>,
}

/// Which app it is, for log lines and for the app itself.
#[derive(Clone, Copy)]
pub(crate) struct Identity<'a> {
    pub(crate) id: AppId,
    /// Has the URL. A message does not need it, so no memory but this reference is touched.
    pub(crate) plan: &'a Plan,
}

impl fmt::Display for Identity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.id, self.plan.url())
    }
}

/// The connection of an app that has one.
pub(crate) struct Connected<'a> {
    pub(crate) tx: &'a mut Tx,
    /// Where to write at once; `None` where that must wait.
    pub(crate) io: Option<&'a mut Io>,
}

impl Context<'_> {
    /// Sends a text message.
    ///
    /// # Errors
    /// [`SendError`]: the connection is not open, or the message would exceed `max_queued_bytes`. Nothing was
    /// queued.
    pub fn send_text(&mut self, text: &str) -> Result<(), SendError> {
        self.transmit(|tx, apps| tx.send_text(text, apps.env.untimed()))
    }

    /// Sends a binary message.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text).
    pub fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        self.transmit(|tx, apps| tx.send_binary(bytes, apps.env.untimed()))
    }

    /// Sends `data` in one frame with `opcode`. Text must be UTF-8.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text); close frames and continuations are refused: see
    /// [`close`](Self::close) and [`send_fragment`](Self::send_fragment).
    pub fn send(&mut self, data: impl AsRef<[u8]>, opcode: Opcode) -> Result<(), SendError> {
        self.transmit(|tx, apps| tx.send(data.as_ref(), opcode, apps.env.untimed()))
    }

    /// Sends one fragment of a message: the first with its `kind`, the others with `None`, the last with
    /// `fin`.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text), or a fragment out of place.
    pub fn send_fragment(&mut self, kind: Option<Kind>, payload: &[u8], fin: bool) -> Result<(), SendError> {
        self.transmit(|tx, apps| tx.send_fragment(kind, payload, fin, apps.env.untimed()))
    }

    /// Whether messages of this connection that begin from now on are compressed, where that was agreed: turn
    /// it off for secrets that are sent together with text which another party chooses, and for messages that
    /// do not become shorter. It applies to a [`Sender`]'s messages too, when their turn comes.
    #[cfg(feature = "deflate")]
    pub fn set_compression(&mut self, compress: bool) {
        if let Some(connected) = &mut self.connected {
            connected.tx.set_compression(compress);
        }
    }

    /// Sends a ping, at most 125 bytes; `on_pong` gets the round-trip time.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text), or a payload that is too long.
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.transmit(|tx, apps| tx.ping(payload, apps.env.untimed()))
    }

    /// Closes with code 1000, as [`close_with`](Self::close_with).
    pub fn close(&mut self) {
        self.request_close(&Close::default());
    }

    /// Ends the run: starts the closing handshake, and no other attempt follows. Never blocks. Messages
    /// continue to arrive until the server answers or the close's timeout passes, then `on_close` comes.
    /// Before the connection is open the attempt is ended instead; while the app waits to connect again, it
    /// ends without another callback. Closing twice is harmless.
    ///
    /// # Errors
    /// A code or reason that must not be sent; nothing has changed.
    pub fn close_with(&mut self, close: impl Into<Close>) -> Result<(), SendError> {
        let close = close.into();
        close.check()?;
        self.request_close(&close);
        Ok(())
    }

    pub(crate) fn request_close(&mut self, close: &Close) {
        self.control.close_requested = true;
        self.apps.env.user_code_ran();
        match &mut self.connected {
            Some(connected) if connected.tx.state() != State::Connecting => {
                // Code and reason were checked when the close was asked for.
                let _checked = connected.tx.close(close, self.apps.env.current());
                self.control.mark_dirty(self.apps, self.identity.id);
            }
            _ => self.apps.look_at(self.identity.id),
        }
    }

    /// Ends this app at once and silently: no closing handshake, no further callback.
    pub fn remove(&mut self) {
        self.apps.remove(self.identity.id);
    }

    /// Writes what has been sent so far now, as far as the socket takes it, instead of at the end of the
    /// turn. Over TLS it is written then all the same. Before the connection is open there is nothing to flush.
    ///
    /// # Errors
    /// When the connection breaks; `on_error` and `on_close` follow.
    pub fn flush(&mut self) -> io::Result<()> {
        let Some(Connected { tx, io: Some(io) }) = &mut self.connected else { return Ok(()) };
        self.apps.env.user_code_ran();
        self.control.wrote(write_all(tx, io, self.apps.env.current())).map(drop)
    }

    /// The state of the connection, in the words of RFC 6455: closed from `on_close` on, until the next
    /// attempt begins if there is one.
    pub fn state(&self) -> State {
        match &self.connected {
            Some(connected) => connected.tx.state(),
            None if self.control.ended || self.retry_at().is_some() => State::Closed,
            None => State::Connecting,
        }
    }

    /// Whether the connection is open: messages can be sent.
    pub fn is_open(&self) -> bool {
        self.state() == State::Open
    }

    /// Whether the app is still at work: `false` from the `on_close` on that no other attempt follows.
    pub fn is_running(&self) -> bool {
        !self.control.ended
    }

    /// The attempts of this run so far.
    pub const fn attempts(&self) -> Attempts {
        self.control.attempts
    }

    /// When the next attempt begins, while the app waits for it.
    pub fn retry_at(&self) -> Option<Instant> {
        self.control.retry_at()
    }

    /// Bytes that were sent here and are not written yet.
    pub fn queued_bytes(&self) -> usize {
        self.connected.as_ref().map_or(0, |connected| connected.tx.queued_bytes())
    }

    /// Round-trip times of pings so far.
    pub fn rtt(&self) -> Rtt {
        self.connected.as_ref().map(|connected| connected.tx.rtt()).unwrap_or_default()
    }

    /// This app's name on its reactor.
    pub const fn id(&self) -> AppId {
        self.identity.id
    }

    /// The URL of the current attempt: the one that the app was made with, or the one that
    /// [`url_with`](crate::WebSocketApp::url_with) returned last. Redirects do not change it.
    ///
    /// What it displays may be logged; [`AppUrl::as_str`] has all of it.
    ///
    /// ```
    /// use websocket_app::WebSocketApp;
    ///
    /// let app = WebSocketApp::new("wss://feed.example/prices?token=secret")
    ///     // wss://feed.example/prices: connecting to 192.0.2.1:443 failed: ...
    ///     .on_error(|app, error| eprintln!("{}: {error}", app.url()));
    /// # let _ = app;
    /// ```
    pub const fn url(&self) -> AppUrl<'_> {
        self.identity.plan.url()
    }

    /// The time on the dispatcher's clock.
    pub fn now(&self) -> Instant {
        self.apps.env.clock().now()
    }

    /// A handle on this app for other threads.
    pub fn sender(&mut self) -> Sender {
        let outbox = self.control.outbox.get_or_insert_with(|| {
            let mailbox = Mailbox::new();
            let limit = self.identity.plan.config().max_queued_bytes;
            mailbox.attach(self.apps.inbox.clone(), self.identity.id, limit);
            if self.control.ended {
                drop(mailbox.detach());
            }
            Outbox::new(mailbox)
        });
        let mailbox = outbox.mailbox().clone();
        mailbox.set_state(self.state());
        mailbox.set_output(self.queued_bytes());
        Sender(mailbox)
    }

    /// Calls `callback` once, `after` this long. An error from it goes to `on_error`. The timer ends with the
    /// connection attempt; one that is set in `on_close`, while another attempt follows, ends with that one.
    pub fn set_timeout<R: IntoCallbackResult>(
        &mut self,
        after: Duration,
        callback: impl FnOnce(&mut Context<'_>) -> R + 'static,
    ) -> TimerId {
        let mut callback = Some(callback);
        let call = move |app: &mut Context<'_>| -> CallbackResult {
            callback.take().map_or(Ok(()), |callback| callback(app).into_callback_result())
        };
        self.control.timers.add(self.identity.id, self.apps, after, None, Box::new(call))
    }

    /// Calls `callback` repeatedly, `every` this long; calls that were missed are not made up for. An error
    /// from it goes to `on_error`. The timer ends as that of [`set_timeout`](Self::set_timeout). Zero means
    /// once a turn.
    pub fn set_interval<R: IntoCallbackResult>(
        &mut self,
        every: Duration,
        mut callback: impl FnMut(&mut Context<'_>) -> R + 'static,
    ) -> TimerId {
        let call = move |app: &mut Context<'_>| callback(app).into_callback_result();
        self.control.timers.add(self.identity.id, self.apps, every, Some(every), Box::new(call))
    }

    /// Cancels a timer of this app, also from inside its own callback. Returns whether it was still to come.
    pub fn cancel(&mut self, timer: TimerId) -> bool {
        self.control.timers.cancel(timer, self.apps)
    }

    /// The other apps of this reactor: add, remove, send to a peer, stop.
    pub const fn apps(&mut self) -> &mut Apps {
        self.apps
    }

    #[inline]
    fn transmit(
        &mut self,
        send: impl FnOnce(&mut Tx, &mut Apps) -> Result<(), SendError>,
    ) -> Result<(), SendError> {
        let Some(connected) = &mut self.connected else { return Err(SendError::NotOpen(self.state())) };
        let sent = send(connected.tx, self.apps);
        match &sent {
            Ok(()) => self.control.mark_dirty(self.apps, self.identity.id),
            Err(SendError::QueueFull { .. }) => self.control.blocked = true,
            Err(_) => {}
        }
        sent
    }
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("id", &self.identity.id)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
