//! What an app and its senders share.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use websocket_connection::{Close, SendError, State};

use super::inbox::{Inbox, Job, ReactorHandle};
use crate::apps::{CallbackResult, Context};
use crate::id::AppId;
use crate::message::OwnedMessage;
use crate::stats::Stats;

type ContextWork = Box<dyn FnOnce(&mut Context<'_>) -> CallbackResult + Send>;

pub(crate) enum Command {
    Send(OwnedMessage),
    Do(Order),
}

/// A command that is not a message.
pub(crate) enum Order {
    Close(Close),
    Remove,
    Run(ContextWork),
}

/// What an app and its senders share.
pub(crate) struct Mailbox {
    /// A [`State`], as of the last turn.
    state: AtomicU8,
    /// Bytes of the messages that are not in the output yet.
    accepted: AtomicUsize,
    /// Bytes in the connection's output, as of the last turn.
    output: AtomicUsize,
    limit: AtomicUsize,
    /// A sender has asked for the app's numbers: they are published whenever the loop has looked at the app.
    wants_stats: AtomicBool,
    /// The numbers that were published last.
    stats: Mutex<Option<Box<Stats>>>,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    commands: VecDeque<Command>,
    /// The reactor's inbox, and the app's name there; `None` until the app runs and after it has ended.
    home: Option<(Arc<Inbox>, AppId)>,
    notified: bool,
    /// The app has ended; commands are dropped until it runs again.
    ended: bool,
}

impl Mailbox {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: AtomicU8::new(State::Connecting as u8),
            accepted: AtomicUsize::new(0),
            output: AtomicUsize::new(0),
            limit: AtomicUsize::new(0),
            wants_stats: AtomicBool::new(false),
            stats: Mutex::default(),
            queue: Mutex::default(),
        })
    }

    /// The app runs from now on; the reactor is notified of commands that were queued before.
    pub(crate) fn attach(&self, inbox: Arc<Inbox>, app: AppId, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
        *self.lock_stats() = None;
        let mut queue = self.lock();
        self.set_state(State::Connecting);
        if !queue.commands.is_empty() {
            queue.notified = true;
            inbox.push(Job::Commands(app));
        }
        queue.home = Some((inbox, app));
        queue.ended = false;
    }

    /// The app has ended; returns what was not done.
    pub(crate) fn detach(&self) -> VecDeque<Command> {
        let mut queue = self.lock();
        queue.home = None;
        queue.ended = true;
        self.clear(&mut queue)
    }

    /// The connection has ended and another attempt follows; returns what was not done.
    pub(crate) fn pause(&self) -> VecDeque<Command> {
        self.clear(&mut self.lock())
    }

    /// The reactor that the app runs on, while it runs.
    pub(super) fn reactor(&self) -> Option<ReactorHandle> {
        self.lock().home.as_ref().map(|(inbox, _)| ReactorHandle(inbox.clone()))
    }

    /// A message waits again.
    pub(crate) fn keep(&self, message: &OwnedMessage) {
        self.accepted.fetch_add(message.frame_len(), Ordering::Relaxed);
    }

    pub(crate) fn set_state(&self, state: State) {
        self.state.store(state as u8, Ordering::Release);
    }

    pub(super) fn state(&self) -> State {
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
        let mut queue = self.lock();
        queue.notified = false;
        std::mem::take(&mut queue.commands)
    }

    pub(super) fn order(&self, order: Order) {
        // A closure that is not taken is dropped without the lock: its destructor may use this very sender.
        let refused = self.lock().post(Command::Do(order));
        drop(refused);
    }

    /// Takes a message, or hands it back. All is decided under the lock, so that nothing is accepted after
    /// [`detach`](Self::detach).
    pub(super) fn accept(&self, message: OwnedMessage) -> Result<(), (OwnedMessage, SendError)> {
        let len = message.frame_len();
        let mut queue = self.lock();
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
        let _taken = queue.post(Command::Send(message));
        Ok(())
    }

    /// Whether the app's numbers are to be published.
    pub(crate) fn wants_stats(&self) -> bool {
        self.wants_stats.load(Ordering::Relaxed)
    }

    /// Publishes the app's numbers.
    pub(crate) fn set_stats(&self, stats: Stats) {
        **self.lock_stats().get_or_insert_with(|| Box::new(stats)) = stats;
    }

    /// The numbers that were published last. The first call asks the loop for them.
    pub(super) fn stats(&self) -> Option<Stats> {
        if !self.wants_stats.swap(true, Ordering::Relaxed) {
            self.lock().notify();
        }
        self.lock_stats().as_deref().copied()
    }

    fn lock_stats(&self) -> MutexGuard<'_, Option<Box<Stats>>> {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn queued(&self) -> usize {
        self.accepted.load(Ordering::Relaxed) + self.output.load(Ordering::Relaxed)
    }

    fn clear(&self, queue: &mut Queue) -> VecDeque<Command> {
        self.set_state(State::Closed);
        self.accepted.store(0, Ordering::Relaxed);
        self.output.store(0, Ordering::Relaxed);
        queue.notified = false;
        std::mem::take(&mut queue.commands)
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Takes the command, or hands it back when the app has ended.
    fn post(&mut self, command: Command) -> Option<Command> {
        if self.ended {
            return Some(command);
        }
        self.commands.push_back(command);
        self.notify();
        None
    }

    /// Asks the loop to look at the app, while it runs.
    fn notify(&mut self) {
        if let (Some((inbox, app)), false) = (&self.home, self.notified) {
            inbox.push(Job::Commands(*app));
            self.notified = true;
        }
    }
}
