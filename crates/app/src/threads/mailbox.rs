//! What an app and its senders share.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Poll, Waker};

use websocket_connection::{Close, SendError, State};

use super::inbox::{Inbox, Job, ReactorHandle};
use super::waits::{Need, Waits, wake_all};
use crate::apps::{CallbackResult, Context};
use crate::id::AppId;
use crate::message::{MAX_HEADER, OwnedMessage};
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

/// How an app's connection stands, as its senders see it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum SenderState {
    Connecting,
    Open,
    Closing,
    /// The connection was lost, and another attempt follows.
    Waiting,
    Closed,
}

impl From<State> for SenderState {
    fn from(state: State) -> Self {
        match state {
            State::Connecting => Self::Connecting,
            State::Open => Self::Open,
            State::Closing => Self::Closing,
            _ => Self::Closed,
        }
    }
}

impl SenderState {
    /// Why nothing can be sent.
    const fn refusal(self) -> Option<SendError> {
        Some(match self {
            Self::Open => return None,
            Self::Connecting => SendError::NotOpen(State::Connecting),
            Self::Closing => SendError::NotOpen(State::Closing),
            Self::Waiting => SendError::WaitingToReconnect,
            Self::Closed => SendError::NotOpen(State::Closed),
        })
    }
}

/// What an app and its senders share.
pub(crate) struct Mailbox {
    /// A [`SenderState`], as of the last turn.
    state: AtomicU8,
    /// Futures wait for something.
    awaited: AtomicBool,
    /// Bytes of the messages that are not in the output yet.
    accepted: AtomicUsize,
    /// Bytes in the connection's output, as of the last turn.
    output: AtomicUsize,
    limit: AtomicUsize,
    /// The most bytes that a message may have to be sent at all.
    max_len: AtomicUsize,
    /// A sender has asked for the app's numbers: they are published whenever the loop has looked at the app.
    wants_stats: AtomicBool,
    /// The numbers that were published last.
    stats: Mutex<Option<Box<Stats>>>,
    queue: Mutex<Queue>,
    /// The app's mailbox, where this one was made before the app and the app came with its own.
    successor: OnceLock<Arc<Self>>,
}

#[derive(Default)]
struct Queue {
    commands: VecDeque<Command>,
    /// The reactor's inbox, and the app's name there; `None` until the app runs and after it has ended.
    home: Option<(Arc<Inbox>, AppId)>,
    notified: bool,
    /// The app has ended; commands are dropped until it runs again.
    ended: bool,
    /// A message was accepted, and the loop has not been seen without one since.
    unflushed: bool,
    waits: Waits,
}

impl Mailbox {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: AtomicU8::new(SenderState::Connecting as u8),
            awaited: AtomicBool::new(false),
            accepted: AtomicUsize::new(0),
            output: AtomicUsize::new(0),
            limit: AtomicUsize::new(0),
            max_len: AtomicUsize::new(usize::MAX),
            wants_stats: AtomicBool::new(false),
            stats: Mutex::default(),
            queue: Mutex::default(),
            successor: OnceLock::new(),
        })
    }

    /// The app runs from now on; the reactor is notified of commands that were queued before.
    pub(crate) fn attach(&self, inbox: Arc<Inbox>, app: AppId, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
        *self.lock_stats() = None;
        let mut queue = self.lock();
        self.set(SenderState::Connecting);
        if !queue.commands.is_empty() {
            queue.notified = true;
            inbox.push(Job::Commands(app));
        }
        queue.home = Some((inbox, app));
        queue.ended = false;
    }

    /// Refuses messages of more bytes than this, which limits on sending never allow.
    pub(super) fn set_max_len(&self, len: usize) {
        self.max_len.store(len, Ordering::Relaxed);
    }

    /// From now on `successor` has what this mailbox is asked for, and what it was asked for before.
    pub(crate) fn succeed(&self, successor: &Arc<Self>) {
        let mut queue = self.lock();
        if self.successor.set(successor.clone()).is_ok() {
            // Under the lock of this one, so that no later command overtakes them.
            for command in std::mem::take(&mut queue.commands) {
                let refused = successor.lock().post(command);
                drop(refused);
            }
        }
        drop(queue);
        self.wake();
    }

    /// The mailbox of the app.
    pub(super) fn current(self: &Arc<Self>) -> &Arc<Self> {
        self.successor.get().unwrap_or(self)
    }

    /// The app has ended; returns what was not done.
    pub(crate) fn detach(&self) -> VecDeque<Command> {
        let mut queue = self.lock();
        queue.home = None;
        queue.ended = true;
        let undone = self.clear(&mut queue, SenderState::Closed);
        drop(queue);
        self.wake();
        undone
    }

    /// The connection has ended and another attempt follows; returns what was not done.
    pub(crate) fn pause(&self) -> VecDeque<Command> {
        self.clear(&mut self.lock(), SenderState::Waiting)
    }

    /// The reactor that the app runs on, while it runs.
    pub(super) fn reactor(&self) -> Option<ReactorHandle> {
        self.lock().home.as_ref().map(|(inbox, _)| ReactorHandle(inbox.clone()))
    }

    /// A message waits again.
    pub(crate) fn keep(&self, message: &OwnedMessage) {
        self.accepted.fetch_add(message.frame_len(), Ordering::Relaxed);
    }

    /// How the connection stands, and the bytes in its output.
    pub(crate) fn publish(&self, state: SenderState, output: usize) {
        self.set(state);
        self.output.store(output, Ordering::Relaxed);
        // What has begun to wait meanwhile has asked the loop to look again.
        if self.awaited.load(Ordering::Relaxed) {
            self.wake();
        }
    }

    pub(crate) fn set(&self, state: SenderState) {
        self.state.store(state as u8, Ordering::Release);
    }

    pub(super) fn state(&self) -> SenderState {
        let state = self.state.load(Ordering::Acquire);
        let known = [SenderState::Connecting, SenderState::Open, SenderState::Closing, SenderState::Waiting];
        known.into_iter().find(|known| *known as u8 == state).unwrap_or(SenderState::Closed)
    }

    /// Asks whether `need` is met. Until it is, the future called `name` is woken when it may be. `None` where the successor is to be
    /// asked.
    pub(super) fn poll(
        &self,
        need: Need,
        name: &mut Option<u64>,
        waker: &Waker,
    ) -> Option<Poll<Result<(), SendError>>> {
        // A waker may be the last reference to a task that holds this very future: it is cloned and dropped without the lock.
        let waker = waker.clone();
        let mut queue = self.lock();
        if self.successor.get().is_some() {
            return None;
        }
        let met = self.meets(&queue, need);
        let old = match met {
            Some(_) => queue.waits.forget(name.take()),
            None => queue.waits.wait(name, need, waker),
        };
        if met.is_none() && old.is_none() {
            self.awaited.store(true, Ordering::Relaxed);
            queue.call();
        }
        drop(queue);
        drop(old);
        Some(met.map_or(Poll::Pending, Poll::Ready))
    }

    /// A future is dropped.
    pub(super) fn forget(&self, name: Option<u64>) {
        let old = self.lock().waits.forget(name);
        drop(old);
    }

    /// Wakes the futures whose need is met.
    fn wake(&self) {
        let mut queue = self.lock();
        // The loop is here, or nothing runs: what is neither queued here nor counted as waiting is with the system.
        queue.unflushed &= !queue.commands.is_empty() || self.queued() > 0;
        let mut waits = std::mem::take(&mut queue.waits);
        let met = waits.take_met(|need| self.meets(&queue, need).is_some());
        self.awaited.store(!waits.is_empty(), Ordering::Relaxed);
        queue.waits = waits;
        drop(queue);
        wake_all(met);
    }

    /// `None` while a future that needs this has to wait.
    fn meets(&self, queue: &Queue, need: Need) -> Option<Result<(), SendError>> {
        if self.successor.get().is_some() {
            // It is asked next.
            return Some(Ok(()));
        }
        if queue.ended {
            return Some(Err(SendError::NotOpen(State::Closed)));
        }
        if let Need::Flushed = need {
            return (!queue.unflushed).then_some(Ok(()));
        }
        if self.state() != SenderState::Open {
            return None;
        }
        match need {
            Need::Open | Need::Flushed => Some(Ok(())),
            Need::Room(len) => match self.room_for(len, true) {
                Err(SendError::QueueFull { .. }) => None,
                settled => Some(settled),
            },
        }
    }

    /// Whether there is room for a message of `len` bytes, which counts under limits on sending or does not.
    fn room_for(&self, len: usize, counts: bool) -> Result<(), SendError> {
        let max_len = self.max_len.load(Ordering::Relaxed);
        if counts && len > max_len {
            return Err(SendError::ExceedsSendLimit { len, limit: max_len });
        }
        let len = len.saturating_add(MAX_HEADER);
        let (queued, limit) = (self.queued(), self.limit.load(Ordering::Relaxed));
        if len > limit {
            return Err(SendError::TooBig { len, limit });
        }
        if queued.saturating_add(len) > limit {
            return Err(SendError::QueueFull { queued, len, limit });
        }
        Ok(())
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
        let mut queue = self.lock();
        if let Some(successor) = self.successor.get() {
            drop(queue);
            return successor.order(order);
        }
        let refused = queue.post(Command::Do(order));
        drop(queue);
        drop(refused);
    }

    /// Takes a message, or hands it back. All is decided under the lock, so that nothing is accepted after
    /// [`detach`](Self::detach).
    pub(super) fn accept(&self, message: OwnedMessage) -> Result<(), (OwnedMessage, SendError)> {
        let len = message.frame_len();
        let mut queue = self.lock();
        let room = || self.room_for(message.as_bytes().len(), message.as_message().is_some());
        let refusal = self.state().refusal().map_or_else(room, Err);
        if let Err(reason) = refusal {
            return Err((message, reason));
        }
        self.accepted.fetch_add(len, Ordering::Relaxed);
        queue.unflushed = true;
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
            self.lock().call();
        }
        self.lock_stats().as_deref().copied()
    }

    fn lock_stats(&self) -> MutexGuard<'_, Option<Box<Stats>>> {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn queued(&self) -> usize {
        self.accepted.load(Ordering::Relaxed) + self.output.load(Ordering::Relaxed)
    }

    fn clear(&self, queue: &mut Queue, state: SenderState) -> VecDeque<Command> {
        self.set(state);
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
        self.call();
        None
    }

    /// Has the loop look at the app.
    fn call(&mut self) {
        if let (Some((inbox, app)), false) = (&self.home, self.notified) {
            inbox.push(Job::Commands(*app));
            self.notified = true;
        }
    }
}
