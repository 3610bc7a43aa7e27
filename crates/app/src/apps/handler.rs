//! The events of one app.

use std::any::Any;
use std::fmt;
use std::time::Duration;

use websocket_connection::{Fragment, Input, Message, Messages, Opcode, Part, Response};
#[cfg(feature = "tls")]
use websocket_link::tls::TlsInfo;

use super::{Context, Delivery};
use crate::app_url::AppUrl;
use crate::attempts::Attempts;
use crate::error::{BoxError, Error};
use crate::never::Never;
use crate::outcome::{Closed, Outcome};

/// What a callback returns. An error goes to [`Handler::on_error`] as [`Error::Callback`], and the connection
/// continues.
///
/// A closure with `?` in it needs this as its return type: any error becomes a [`BoxError`], and the compiler does
/// not guess that from the closure's body (E0282).
///
/// ```
/// use websocket_app::{CallbackResult, WebSocketApp};
///
/// let app = WebSocketApp::new("ws://127.0.0.1:9001/").on_open(|app, _open| -> CallbackResult {
///     app.send_text("first")?;
///     app.send_text("second")?;
///     Ok(())
/// });
/// # let _ = app;
/// ```
pub type CallbackResult = Result<(), BoxError>;

/// What a closure may return: nothing, or a `Result` whose error goes to `on_error`. A closure may also never
/// return, as one that ends with `panic!` or [`exit`](std::process::exit).
#[diagnostic::on_unimplemented(
    message = "a callback returns nothing or a `Result<(), E>`, not `{Self}`",
    note = "end the closure's body with a semicolon if it is to return nothing"
)]
pub trait IntoCallbackResult {
    /// The result as the reactor takes it.
    #[allow(clippy::missing_errors_doc, reason = "the error is the closure's")]
    fn into_callback_result(self) -> CallbackResult;
}

impl IntoCallbackResult for () {
    fn into_callback_result(self) -> CallbackResult {
        Ok(())
    }
}

impl<E: Into<BoxError>> IntoCallbackResult for Result<(), E> {
    fn into_callback_result(self) -> CallbackResult {
        self.map_err(Into::into)
    }
}

impl IntoCallbackResult for Never {
    fn into_callback_result(self) -> CallbackResult {
        self
    }
}

/// What `on_open` gets.
#[derive(Debug)]
#[non_exhaustive]
pub struct Open<'a> {
    /// The server's response: status, headers, the selected subprotocol.
    pub response: &'a Response,
    /// The attempts of this run: `started` is the number of the one that has led here, `opened` is 1 for the
    /// first connection.
    pub attempts: Attempts,
    /// Whether the connection takes the place of one that is still open, as [`Context::renew`] describes.
    pub is_successor: bool,
    /// The URL that the connection leads to, after redirects; see [`Context::final_url`].
    pub url: AppUrl<'a>,
    /// What was negotiated with TLS: version, cipher suite, whether a session was resumed; `None` for `ws`.
    #[cfg(feature = "tls")]
    pub tls: Option<&'a TlsInfo>,
}

/// Small messages that have arrived together, for [`Handler::on_messages`].
pub struct Batch<'a, 'b> {
    context: Context<'a>,
    messages: Messages<'a>,
    input: &'a mut Input<'b>,
    /// A message was taken, and what follows from that is yet to be done.
    is_due: bool,
    is_paused: bool,
}

impl<'a, 'b> Batch<'a, 'b> {
    /// The messages at the front of `input`. `context` has the connection that they come from.
    pub(crate) const fn new(context: Context<'a>, messages: Messages<'a>, input: &'a mut Input<'b>) -> Self {
        Self { context, messages, input, is_due: false, is_paused: false }
    }

    /// Returns the next message, with the app's context. `None` where the batch ends: what has arrived is used up, or is not a small
    /// message, or other apps have their turn, or the app was closed, paused or removed.
    #[inline(always)]
    #[allow(clippy::should_implement_trait, reason = "the context is lent")]
    pub fn next(&mut self) -> Option<(&mut Context<'a>, Message<'b>)> {
        if std::mem::take(&mut self.is_due) && self.ends() {
            return None;
        }
        let message = self.messages.next(self.context.connected.as_mut()?.tx, self.input)?;
        self.is_due = true;
        Some((&mut self.context, message))
    }

    /// A message was delivered: whether the delivery ends with it.
    #[inline(always)]
    fn ends(&mut self) -> bool {
        let Context { apps, control, connected, .. } = &mut self.context;
        if apps.interrupted || control.delivery != Delivery::Messages {
            return true;
        }
        if apps.may_pause() && !self.input.rest().is_empty() {
            let is_paused = connected.as_ref().is_some_and(|connected| connected.tx.is_paused());
            self.is_paused = apps.ends_visit(is_paused);
        }
        self.is_paused
    }

    /// Settles the last message that was taken. Returns whether others have their turn now.
    #[inline]
    pub(crate) fn finish(&mut self) -> bool {
        if std::mem::take(&mut self.is_due) {
            self.ends();
        }
        self.is_paused
    }

    /// The context, for the error of a callback.
    pub(crate) const fn context(&mut self) -> &mut Context<'a> {
        &mut self.context
    }
}

impl fmt::Debug for Batch<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("bytes", &self.input.rest().len()).finish_non_exhaustive()
    }
}

/// Reacts to the events of one app. Every method has a default that does nothing.
///
/// This is the primitive that the closures of [`WebSocketApp`](crate::WebSocketApp) sit on: implement it for
/// a type that keeps its own state. All methods run on the reactor's thread, one at a time, and must not
/// block it.
///
/// Each connection attempt ends with exactly one [`on_close`](Self::on_close), its last event, also when it
/// never opened. A successor, which [`Context::renew`] opens, continues the attempt that it replaces. Each run ends with exactly
/// one [`on_end`](Self::on_end), after the last `on_close`.
///
/// ```
/// use websocket_app::{CallbackResult, Context, Handler, Message, WebSocketApp};
///
/// #[derive(Default)]
/// struct Counter {
///     messages: u64,
/// }
///
/// impl Handler for Counter {
///     fn on_message(&mut self, app: &mut Context<'_>, message: Message<'_>) -> CallbackResult {
///         self.messages += 1;
///         Ok(app.send_text(format!("{} bytes, message {}", message.len(), self.messages))?)
///     }
/// }
///
/// let app = WebSocketApp::with_handler("ws://127.0.0.1:9001/", Counter::default());
/// # let _ = app;
/// ```
#[expect(unused_variables, reason = "the names document the parameters")]
pub trait Handler: Any {
    /// The connection is open.
    #[allow(clippy::missing_errors_doc, reason = "see CallbackResult")]
    fn on_open(&mut self, app: &mut Context<'_>, open: &Open<'_>) -> CallbackResult {
        Ok(())
    }

    /// The connection is open again after one of the same run was lost; comes after
    /// [`on_open`](Self::on_open).
    #[allow(clippy::missing_errors_doc, reason = "see CallbackResult")]
    fn on_reconnect(&mut self, app: &mut Context<'_>, open: &Open<'_>) -> CallbackResult {
        Ok(())
    }

    /// A whole message. Before it comes [`on_data`](Self::on_data).
    #[allow(clippy::missing_errors_doc, reason = "see CallbackResult")]
    fn on_message(&mut self, app: &mut Context<'_>, message: Message<'_>) -> CallbackResult {
        Ok(())
    }

    /// Small messages that have arrived together: by default, [`on_message`](Self::on_message) is called for each. Implement it to handle them in
    /// one loop, with what they share looked up once, or to look at the last one only.
    ///
    /// It gets the messages that came whole in one read, one frame each and below 64 KiB, which are most of them; all others, and one that follows
    /// them, come one by one to `on_message`, so that must be implemented, too. What is not taken from [`Batch::next`] is not lost: the next message goes to `on_message`, and
    /// then this method is called again. After an error, which goes to [`on_error`](Self::on_error), it is called for the messages that are left. Not
    /// called where the handler [`wants_data`](Self::wants_data), since `on_data` comes before each message.
    ///
    /// ```
    /// use websocket_app::{Batch, CallbackResult, Context, Handler, Message};
    ///
    /// #[derive(Default)]
    /// struct Meter {
    ///     bytes: usize,
    /// }
    ///
    /// impl Handler for Meter {
    ///     fn on_messages(&mut self, batch: &mut Batch<'_, '_>) -> CallbackResult {
    ///         while let Some((_app, message)) = batch.next() {
    ///             self.bytes += message.len();
    ///         }
    ///         Ok(())
    ///     }
    ///
    ///     fn on_message(&mut self, _app: &mut Context<'_>, message: Message<'_>) -> CallbackResult {
    ///         self.bytes += message.len();
    ///         Ok(())
    ///     }
    ///
    ///     fn wants_data(&self) -> bool {
    ///         false
    ///     }
    /// }
    /// # let _ = Meter::default();
    /// ```
    #[allow(clippy::missing_errors_doc, reason = "see CallbackResult")]
    fn on_messages(&mut self, batch: &mut Batch<'_, '_>) -> CallbackResult {
        while let Some((app, message)) = batch.next() {
            self.on_message(app, message)?;
        }
        Ok(())
    }

    /// The payload of a message, or of a fragment where these are delivered, with the message's opcode and which part of
    /// the message it is. Called unless [`wants_data`](Self::wants_data) says `false`.
    #[allow(clippy::missing_errors_doc, reason = "see CallbackResult")]
    fn on_data(
        &mut self,
        app: &mut Context<'_>,
        payload: &[u8],
        opcode: Opcode,
        part: Part,
    ) -> CallbackResult {
        Ok(())
    }

    /// Whether [`on_data`](Self::on_data) is called. Called once per connection. A handler without an `on_data` of its own saves a call for
    /// every message with `false`.
    fn wants_data(&self) -> bool {
        true
    }

    /// One fragment of a fragmented message, as it comes, instead of [`on_message`](Self::on_message) with
    /// the whole message. Called only if [`wants_fragments`](Self::wants_fragments).
    #[allow(clippy::missing_errors_doc, reason = "see CallbackResult")]
    fn on_cont_message(&mut self, app: &mut Context<'_>, fragment: Fragment<'_>) -> CallbackResult {
        Ok(())
    }

    /// Whether fragments of fragmented messages are delivered one by one. Called once per connection.
    fn wants_fragments(&self) -> bool {
        false
    }

    /// The batch of messages ends with the one that was just delivered: nothing more has arrived for this app, or other apps have their
    /// turn. Acting here instead of in [`on_message`](Self::on_message) acts on the newest message of a burst only.
    ///
    /// A batch is what the reactor delivers to the app without doing anything else in between: at least one message or fragment, from one or
    /// more reads. A burst that takes more than the app's [part of a turn](crate::Reactor::turn_budget) comes in several batches. It comes before
    /// [`on_error`](Self::on_error) and [`on_close`](Self::on_close) if the connection ends behind the batch. Called unless
    /// [`wants_batch_end`](Self::wants_batch_end) says `false`.
    #[allow(clippy::missing_errors_doc, reason = "see CallbackResult")]
    fn on_batch_end(&mut self, app: &mut Context<'_>) -> CallbackResult {
        Ok(())
    }

    /// Whether [`on_batch_end`](Self::on_batch_end) is called. Called once per connection. A handler without an `on_batch_end` saves a call
    /// for every batch with `false`.
    fn wants_batch_end(&self) -> bool {
        true
    }

    /// A ping; its pong is on the way already.
    #[allow(clippy::missing_errors_doc, reason = "see CallbackResult")]
    fn on_ping(&mut self, app: &mut Context<'_>, payload: &[u8]) -> CallbackResult {
        Ok(())
    }

    /// A pong, with the round-trip time if it answers one of our pings.
    #[allow(clippy::missing_errors_doc, reason = "see CallbackResult")]
    fn on_pong(&mut self, app: &mut Context<'_>, payload: &[u8], rtt: Option<Duration>) -> CallbackResult {
        Ok(())
    }

    /// All outgoing bytes were written after the socket had refused to take more, after a message had been
    /// refused for that, or after a [`send_limit`](crate::RunOptions::send_limit) had held some back.
    #[allow(clippy::missing_errors_doc, reason = "see CallbackResult")]
    fn on_drain(&mut self, app: &mut Context<'_>) -> CallbackResult {
        Ok(())
    }

    /// Something failed: the connection, or a callback. A close frame is not a failure. An error returned
    /// from here is only logged.
    #[allow(clippy::missing_errors_doc, reason = "see CallbackResult")]
    fn on_error(&mut self, app: &mut Context<'_>, error: &Error) -> CallbackResult {
        log::warn!(target: "websocket::app", "{}: {error}", app.identity);
        Ok(())
    }

    /// The connection attempt is over; [`Closed::retry_in`] tells whether another follows.
    #[allow(clippy::missing_errors_doc, reason = "see CallbackResult")]
    fn on_close(&mut self, app: &mut Context<'_>, closed: &Closed<'_>) -> CallbackResult {
        Ok(())
    }

    /// Called when the run has ended, exactly once and last of all, however it ended: also when the app was
    /// closed or stopped while it waited for its next attempt, which no `on_close` reports. Only an app that is
    /// removed, or whose reactor is dropped, ends without it.
    ///
    /// The outcome is the one that [`run_forever`](crate::WebSocketApp::run_forever) returns. The app has no
    /// connection here and is not [running](Context::is_running); its timers and what is asked of its senders
    /// are dropped. Other apps can be reached and added. An error or a panic from here is only logged.
    #[allow(clippy::missing_errors_doc, reason = "see CallbackResult")]
    fn on_end(&mut self, app: &mut Context<'_>, outcome: &Outcome) -> CallbackResult {
        Ok(())
    }

    /// Takes the outcome, right after [`on_end`](Self::on_end), for a handler that passes it on: an [`Error`] has no copy. By default it is
    /// dropped. Not called for an app whose outcome [`run_forever`](crate::WebSocketApp::run_forever) returns.
    fn take_outcome(&mut self, outcome: Outcome) {}

    /// Returns whether [`on_end`](Self::on_end) is called. Called after each attempt. With `false` an app that
    /// waits for its next attempt does not keep the outcome of the last one, which may hold the body of a
    /// response.
    fn wants_end(&self) -> bool {
        true
    }
}
