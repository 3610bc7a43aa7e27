//! An app as other threads see it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tungstenite::{Bytes, Utf8Bytes};
use websocket_connection::{Close, MAX_CONTROL_PAYLOAD, SendError, State};

use crate::inbox::{Inbox, Job};
use crate::{AppId, CallbackResult, Context, Error, ReactorHandle, RunOptions, WebSocketApp};

/// The longest header of a frame that a client sends (RFC 6455 section 5.2), which the output reckons with for every frame.
const MAX_HEADER: usize = 14;

/// A message on its way to the loop. Cloning it is cheap: the payload is shared.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum OwnedMessage {
    /// Text.
    Text(Utf8Bytes),
    /// Bytes.
    Binary(Bytes),
    /// A ping, at most 125 bytes.
    Ping(Bytes),
}

impl OwnedMessage {
    /// The payload, whatever its kind.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) | Self::Ping(bytes) => bytes,
        }
    }

    /// The bytes that it may take up in the output.
    fn frame_len(&self) -> usize {
        self.as_bytes().len().saturating_add(MAX_HEADER)
    }
}

/// A message that a [`Sender`] did not take, handed back with the reason.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Refused {
    /// The message.
    pub message: OwnedMessage,
    /// Why it was refused.
    pub reason: SendError,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl std::error::Error for Refused {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.reason)
    }
}

type Work = Box<dyn FnOnce(&mut Context<'_>) -> CallbackResult + Send>;

pub(crate) enum Command {
    Send(OwnedMessage),
    Do(Order),
}

/// Anything but sending.
pub(crate) enum Order {
    Close(Close),
    Remove,
    Run(Work),
}

/// What an app and its senders share.
pub(crate) struct Shared {
    /// A [`State`], as of the last turn.
    state: AtomicU8,
    /// Bytes of the messages that are not in the output yet.
    accepted: AtomicUsize,
    /// Bytes in the connection's output, as of the last turn.
    output: AtomicUsize,
    limit: AtomicUsize,
    mailbox: Mutex<Mailbox>,
}

#[derive(Default)]
struct Mailbox {
    commands: VecDeque<Command>,
    /// Where to announce commands; `None` until the app runs and after it has ended.
    home: Option<(Arc<Inbox>, AppId)>,
    announced: bool,
    /// The app has ended; what is asked of it until it runs again is dropped.
    ended: bool,
}

impl Shared {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: AtomicU8::new(State::Connecting as u8),
            accepted: AtomicUsize::new(0),
            output: AtomicUsize::new(0),
            limit: AtomicUsize::new(0),
            mailbox: Mutex::default(),
        })
    }

    /// The app runs from now on; what was asked before is announced.
    pub(crate) fn attach(&self, inbox: Arc<Inbox>, app: AppId, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
        let mut mailbox = self.lock();
        self.set_state(State::Connecting);
        if !mailbox.commands.is_empty() {
            mailbox.announced = true;
            inbox.push(Job::Commands(app));
        }
        mailbox.home = Some((inbox, app));
        mailbox.ended = false;
    }

    /// The app has ended; returns what was not done.
    pub(crate) fn detach(&self) -> VecDeque<Command> {
        let mut mailbox = self.lock();
        mailbox.home = None;
        mailbox.ended = true;
        self.clear(&mut mailbox)
    }

    /// The connection has ended and another attempt follows; returns what was not done.
    pub(crate) fn pause(&self) -> VecDeque<Command> {
        self.clear(&mut self.lock())
    }

    /// A message waits again.
    pub(crate) fn keep(&self, message: &OwnedMessage) {
        self.accepted.fetch_add(message.frame_len(), Ordering::Relaxed);
    }

    pub(crate) fn set_state(&self, state: State) {
        self.state.store(state as u8, Ordering::Release);
    }

    fn state(&self) -> State {
        let state = self.state.load(Ordering::Acquire);
        let known = [State::Connecting, State::Open, State::Closing];
        known.into_iter().find(|known| *known as u8 == state).unwrap_or(State::Closed)
    }

    pub(crate) fn set_output(&self, bytes: usize) {
        self.output.store(bytes, Ordering::Relaxed);
    }

    /// A message has gone to the output.
    pub(crate) fn release(&self, message: &OwnedMessage) {
        self.accepted.fetch_sub(message.frame_len(), Ordering::Relaxed);
    }

    pub(crate) fn take(&self) -> VecDeque<Command> {
        let mut mailbox = self.lock();
        mailbox.announced = false;
        std::mem::take(&mut mailbox.commands)
    }

    fn order(&self, order: Order) {
        // A closure that is not taken is dropped without the lock: its destructor may use this very sender.
        let refused = self.lock().post(Command::Do(order));
        drop(refused);
    }

    /// Takes a message, or hands it back. All is decided under the lock, so that nothing is accepted after [`detach`](Self::detach).
    fn accept(&self, message: OwnedMessage) -> Result<(), (OwnedMessage, SendError)> {
        let len = message.frame_len();
        let mut mailbox = self.lock();
        let state = self.state();
        if state != State::Open {
            return Err((message, SendError::NotOpen(state)));
        }
        let (queued, limit) = (self.queued(), self.limit.load(Ordering::Relaxed));
        if len > limit {
            return Err((message, SendError::TooBig { len, limit }));
        }
        if queued.saturating_add(len) > limit {
            return Err((message, SendError::QueueFull { queued, len, limit }));
        }
        self.accepted.fetch_add(len, Ordering::Relaxed);
        // Open apps have not ended: it is taken.
        let _taken = mailbox.post(Command::Send(message));
        Ok(())
    }

    fn queued(&self) -> usize {
        self.accepted.load(Ordering::Relaxed) + self.output.load(Ordering::Relaxed)
    }

    fn clear(&self, mailbox: &mut Mailbox) -> VecDeque<Command> {
        self.set_state(State::Closed);
        self.accepted.store(0, Ordering::Relaxed);
        self.output.store(0, Ordering::Relaxed);
        mailbox.announced = false;
        std::mem::take(&mut mailbox.commands)
    }

    fn lock(&self) -> MutexGuard<'_, Mailbox> {
        self.mailbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mailbox {
    /// Takes the command, or hands it back when the app has ended.
    fn post(&mut self, command: Command) -> Option<Command> {
        if self.ended {
            return Some(command);
        }
        self.commands.push_back(command);
        if let (Some((inbox, app)), false) = (&self.home, self.announced) {
            inbox.push(Job::Commands(*app));
            self.announced = true;
        }
        None
    }
}

/// A cheap handle on one app for other threads: it queues and wakes, the loop does the work.
///
/// Messages are put on the wire in the order in which one thread sends them. A message that is accepted is either written or, when
/// the connection ends first, handed to `on_close` as [`Closed::unsent`](crate::Closed::unsent).
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
pub struct Sender(pub(crate) Arc<Shared>);

impl Sender {
    /// Queues a text message.
    ///
    /// # Errors
    /// [`Refused`] with the message when the connection is not open, or when it would exceed `max_queued_bytes`.
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

    /// Queues `message`.
    ///
    /// # Errors
    /// As [`send_text`](Self::send_text).
    #[allow(clippy::result_large_err, reason = "the error is the message that is handed back")]
    pub fn send(&self, message: OwnedMessage) -> Result<(), Refused> {
        let len = message.as_bytes().len();
        if matches!(message, OwnedMessage::Ping(_)) && len > MAX_CONTROL_PAYLOAD {
            return Err(Refused { message, reason: SendError::ControlTooLong { len } });
        }
        self.0.accept(message).map_err(|(message, reason)| Refused { message, reason })
    }

    /// Closes with code 1000, as [`close_with`](Self::close_with).
    pub fn close(&self) {
        self.0.order(Order::Close(Close::default()));
    }

    /// Starts the closing handshake in the loop's next turn; never blocks. It does not wait for a peer that takes no bytes: accepted
    /// messages that the full output could not take yet come back as [`Closed::unsent`](crate::Closed::unsent). Before the app runs, or
    /// before its connection is open, the attempt is ended instead; while it waits to connect again, it ends without another callback.
    ///
    /// # Errors
    /// A code or reason that must not be sent; nothing was queued.
    pub fn close_with(&self, close: impl Into<Close>) -> Result<(), SendError> {
        let close = close.into();
        close.check()?;
        self.0.order(Order::Close(close));
        Ok(())
    }

    /// Ends the app at once and silently: no closing handshake, no further callback.
    pub fn remove(&self) {
        self.0.order(Order::Remove);
    }

    /// Runs `work` with the app's [`Context`] on the reactor's thread; an error from it goes to `on_error`. If the app ends first, `work`
    /// is dropped.
    pub fn run<R: crate::IntoCallbackResult>(
        &self,
        work: impl FnOnce(&mut Context<'_>) -> R + Send + 'static,
    ) {
        self.0.order(Order::Run(Box::new(move |app| work(app).into_callback_result())));
    }

    /// Adds another app to the same reactor, as [`ReactorHandle::add`]. Nothing happens when this app does not run.
    pub fn add(
        &self,
        options: RunOptions,
        make: impl FnOnce() -> WebSocketApp + Send + 'static,
        refused: impl FnOnce(Error) + Send + 'static,
    ) {
        if let Some(reactor) = self.reactor() {
            reactor.add(options, make, refused);
        }
    }

    /// Stops the reactor, as [`Apps::stop`](crate::Apps::stop). Nothing happens when this app does not run.
    pub fn stop(&self) {
        if let Some(reactor) = self.reactor() {
            reactor.stop();
        }
    }

    /// Closes all apps of the reactor and stops it, as [`Apps::stop_within`](crate::Apps::stop_within). Nothing happens when this app does
    /// not run.
    pub fn stop_within(&self, timeout: Duration) {
        if let Some(reactor) = self.reactor() {
            reactor.stop_within(timeout);
        }
    }

    /// The reactor that the app runs on, while it runs.
    pub fn reactor(&self) -> Option<ReactorHandle> {
        self.0.lock().home.as_ref().map(|(inbox, _)| ReactorHandle(inbox.clone()))
    }

    /// Bytes that wait: accepted here and not yet on the loop, and on the loop and not yet written, as of its last turn.
    pub fn queued_bytes(&self) -> usize {
        self.0.queued()
    }

    /// Whether the connection was open when the loop last looked.
    pub fn is_open(&self) -> bool {
        self.0.state() == State::Open
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
