//! What a callback can do.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use websocket_connection::{Close, Kind, Message, Opcode, Rtt, SendError, State, Tx};
use websocket_dispatcher::Io;

use super::app::{Control, Delivery};
use super::{Apps, Handler};
use crate::app_url::AppUrl;
use crate::attempts::Attempts;
use crate::error::Error;
use crate::id::AppId;
use crate::live::{is_large, write_all};
use crate::outcome::{NoRetry, Outcome};
use crate::plan::Plan;
use crate::threads::{Mailbox, Outbox, Sender, SenderState};

/// One app in the hands of a callback: send, close, timers, and the other apps of the reactor.
///
/// Nothing here blocks. What is sent is encoded at once and leaves in one write when the callbacks that the app is called for now have returned;
/// what another app makes it send, when the turn of the reactor ends. A message or fragment of 64 KiB or more is written while it is encoded, so that it
/// takes little memory; what the socket refuses of it leaves like everything else. Over TLS, and under a wire trace or a
/// [`send_limit`](crate::RunOptions::send_limit), it is queued like any other.
pub struct Context<'a> {
    pub(crate) apps: &'a mut Apps,
    pub(crate) identity: Identity<'a>,
    pub(crate) control: &'a mut Control,
    pub(crate) connected: Option<Connected<'a>>,
    /// In `on_error`, the failure that ends the attempt.
    pub(crate) failure: Option<&'a Outcome>,
    /// Where the code that runs is not the handler's own.
    pub(crate) handler: Option<&'a mut dyn Handler>,
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
    pub(crate) io: &'a mut Io,
    /// What is sent may be written before the turn ends.
    pub(crate) writes_at_once: bool,
}

impl Context<'_> {
    /// Sends a text message. It is written as [`Context`] says, or when a [`send_limit`](crate::RunOptions::send_limit) allows it.
    ///
    /// # Errors
    /// [`SendError`]: the connection is not open, which is [`SendError::WaitingToReconnect`] while another attempt
    /// follows, or the message would exceed `max_queued_bytes`, or is larger than a
    /// [`send_limit`](crate::RunOptions::send_limit) ever allows. Nothing was queued.
    #[inline]
    pub fn send_text(&mut self, text: impl AsRef<str>) -> Result<(), SendError> {
        let text = text.as_ref();
        if !self.is_only_queued(text.len()) {
            return self.send_otherwise(Message::Text(text));
        }
        self.transmit(|tx, apps| tx.send_text(text, apps.env.untimed()))
    }

    /// Sends a binary message.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text).
    #[inline]
    pub fn send_bytes(&mut self, bytes: impl AsRef<[u8]>) -> Result<(), SendError> {
        let bytes = bytes.as_ref();
        if !self.is_only_queued(bytes.len()) {
            return self.send_otherwise(Message::Binary(bytes));
        }
        self.transmit(|tx, apps| tx.send_binary(bytes, apps.env.untimed()))
    }

    /// Sends `data` in one frame with `opcode`. Text must be UTF-8.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text); close frames and continuations are refused: see
    /// [`close`](Self::close) and [`send_fragment`](Self::send_fragment).
    pub fn send(&mut self, data: impl AsRef<[u8]>, opcode: Opcode) -> Result<(), SendError> {
        let data = data.as_ref();
        if !self.is_only_queued(data.len()) {
            match opcode {
                Opcode::Text => {
                    let text = std::str::from_utf8(data).map_err(|_| SendError::NotUtf8)?;
                    return self.send_otherwise(Message::Text(text));
                }
                Opcode::Binary => return self.send_otherwise(Message::Binary(data)),
                _ => {}
            }
        }
        self.transmit(|tx, apps| tx.send(data, opcode, apps.env.untimed()))
    }

    /// Sends one fragment of a message: the first with its `kind`, the others with `None`, the last with
    /// `fin`.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text), or a fragment out of place. [`SendError::FragmentsUnderSendLimit`] where a
    /// [`send_limit`](crate::RunOptions::send_limit) holds.
    pub fn send_fragment(&mut self, kind: Option<Kind>, payload: &[u8], fin: bool) -> Result<(), SendError> {
        if self.control.is_limited() {
            return Err(SendError::FragmentsUnderSendLimit);
        }
        if is_large(payload.len()) {
            return self
                .send_large(|tx, env, write| tx.send_fragment_through(kind, payload, fin, env, write));
        }
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

    /// Ends the run: starts the closing handshake, and no other attempt follows. Never blocks, and does not wait for
    /// what a [`send_limit`](crate::RunOptions::send_limit) holds back. Messages
    /// continue to arrive until the server answers or the close's timeout passes, unless
    /// [`deliver_after_close`](crate::RunOptions::deliver_after_close) is off; then `on_close` comes.
    /// Before the connection is open the attempt is ended instead; while the app waits to connect again, it
    /// ends, and only `on_end` is called. Closing twice is harmless.
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
                if !self.identity.plan.options.connect.deliver_after_close {
                    self.control.delivery = Delivery::Nothing;
                }
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
        let Some(Connected { tx, io, writes_at_once: true }) = &mut self.connected else { return Ok(()) };
        self.apps.env.user_code_ran();
        let written = write_all(tx, io, self.apps.env.current());
        self.control.wrote(written, &mut self.apps.env).map(drop)
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

    /// Whether another attempt follows the failure that [`on_error`](crate::Handler::on_error) is called with, and how long
    /// after the end of this one, or why none does. `None` where no failure has ended the attempt or will: outside of
    /// `on_error`, and for an error of a callback, after which the connection continues.
    ///
    /// The policy for reconnecting is asked by the first call, and not again when the attempt ends. A close, a stop of the
    /// reactor and a panic still prevent the attempt; [`Closed`](crate::Closed) has the last word.
    ///
    /// ```
    /// use websocket_app::WebSocketApp;
    ///
    /// let app = WebSocketApp::new("wss://feed.example/").on_error(|app, error| match app.retry() {
    ///     None => eprintln!("{error}; the connection continues"),
    ///     Some(Ok(delay)) => eprintln!("{error}; the next attempt begins in {delay:?}"),
    ///     Some(Err(reason)) => eprintln!("{error}; this is the end: {reason}"),
    /// });
    /// # let _ = app;
    /// ```
    pub fn retry(&mut self) -> Option<Result<Duration, NoRetry>> {
        let failure = self.failure?;
        if matches!(failure, Outcome::Lost(Error::CallbackPanicked(_))) {
            return Some(Err(NoRetry::Panicked));
        }
        Some(self.control.decide(self.identity.plan, failure, self.apps))
    }

    /// Bytes that were sent here and are not written yet, with everything that a
    /// [`send_limit`](crate::RunOptions::send_limit) holds back.
    pub fn queued_bytes(&self) -> usize {
        let output = self.connected.as_ref().map_or(0, |connected| connected.tx.queued_bytes());
        output + self.control.waiting_bytes()
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

    /// The URL that the current attempt leads to: [`url`](Self::url), or where redirects have led it, without user and
    /// password. It may be logged as that one.
    pub fn final_url(&self) -> AppUrl<'_> {
        self.identity.plan.final_url()
    }

    /// The address of the peer: the server, or the proxy on the way to it. `None` without a connection, and for a stream
    /// that has no address, such as a unix socket. Each call asks the system.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.io()?.peer_addr()
    }

    /// The address of this end, as [`peer_addr`](Self::peer_addr).
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.io()?.local_addr()
    }

    /// Returns the stream below the connection, to set or read its options and to see what your own stream knows.
    /// `None` without a connection: before it, in `on_close`, and while the app waits to connect again.
    ///
    /// ```no_run
    /// use websocket_app::link::socket2::SockRef;
    /// use websocket_app::{CallbackResult, RunOptions, WebSocketApp};
    ///
    /// let mut app = WebSocketApp::new("wss://feed.example/").on_open(|app, _open| -> CallbackResult {
    ///     # #[cfg(unix)]
    ///     if let Some(socket) = app.io().and_then(|io| io.fd()) {
    ///         SockRef::from(&socket).set_recv_buffer_size(1 << 20)?;
    ///     }
    ///     Ok(())
    /// });
    /// app.run_forever(&RunOptions::new())?;
    /// # Ok::<(), websocket_app::Error>(())
    /// ```
    pub fn io(&self) -> Option<&Io> {
        self.connected.as_ref().map(|connected| &*connected.io)
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
        let waits = self.control.waits_to_reconnect();
        let state = if waits { SenderState::Waiting } else { self.state().into() };
        mailbox.publish(state, self.queued_bytes());
        Sender(mailbox)
    }

    /// The other apps of this reactor: add, remove, send to a peer, stop.
    pub const fn apps(&mut self) -> &mut Apps {
        self.apps
    }

    #[inline]
    pub(super) fn transmit(
        &mut self,
        send: impl FnOnce(&mut Tx, &mut Apps) -> Result<(), SendError>,
    ) -> Result<(), SendError> {
        let Some(connected) = &mut self.connected else {
            return Err(self.without_connection());
        };
        let sent = send(connected.tx, self.apps);
        match &sent {
            Ok(()) => self.control.mark_dirty(self.apps, self.identity.id),
            Err(SendError::QueueFull { .. }) => self.control.blocked = true,
            Err(_) => {}
        }
        sent
    }

    /// Why nothing can be sent before or after a connection.
    #[cold]
    pub(super) fn without_connection(&self) -> SendError {
        match self.control.waits_to_reconnect() {
            true => SendError::WaitingToReconnect,
            false => SendError::NotOpen(self.state()),
        }
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
