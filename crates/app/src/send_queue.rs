//! Messages that wait until the limits on sending allow them.

use std::collections::VecDeque;
use std::mem::{swap, take};
use std::time::Instant;

use websocket_connection::{Env, Message, Opcode, SendError, State, Tx};

use crate::message::{MAX_HEADER, OwnedMessage};
use crate::send_limit::{SendLimit, SendWindows};
use crate::surroundings::Surroundings;

/// The queue between an app that limits what it sends and the output of its connection. Control frames go past it.
pub(crate) struct SendQueue {
    windows: SendWindows,
    /// The most bytes that a message may have to be sent at all.
    max_len: usize,
    /// The most bytes that may wait, here and in the output.
    max_queued_bytes: usize,
    waiting: VecDeque<Waiting>,
    /// What waits while a connection that has just taken over is sent something else first.
    held_back: VecDeque<Waiting>,
    /// Bytes of all these frames.
    waiting_bytes: usize,
    /// When the first of them may be sent, as of the last change; `None` also while that depends on when the output is written.
    sends_at: Option<Instant>,
    /// What the output of the connection in use holds.
    output: LimitedOutput,
    /// The same of the app's other connection, if there are two.
    other_output: LimitedOutput,
}

/// A message that may not be sent yet.
pub(crate) struct Waiting {
    pub(crate) message: OwnedMessage,
    /// It belongs to the app, not to the connection that it was to be sent on.
    pub(crate) is_of_sender: bool,
}

/// The messages that the output of one connection holds, and that count.
#[derive(Default)]
struct LimitedOutput {
    messages: VecDeque<Unwritten>,
    /// The position up to which the output was written.
    written: u64,
}

struct Unwritten {
    /// The positions in the output where its frame starts and ends.
    start: u64,
    end: u64,
    len: usize,
    /// When a part of it was written last.
    begun: Option<Instant>,
}

impl SendQueue {
    /// `None` where nothing limits what is sent.
    pub(crate) fn new(limits: &[SendLimit], max_queued_bytes: usize) -> Option<Box<Self>> {
        if limits.is_empty() {
            return None;
        }
        let windows = SendWindows::new(limits);
        Some(Box::new(Self {
            max_len: windows.max_len(),
            windows,
            max_queued_bytes,
            waiting: VecDeque::new(),
            held_back: VecDeque::new(),
            waiting_bytes: 0,
            sends_at: None,
            output: LimitedOutput::default(),
            other_output: LimitedOutput::default(),
        }))
    }

    /// The most bytes that a message may have to be sent at all.
    pub(crate) const fn max_len(&self) -> usize {
        self.max_len
    }

    /// Bytes that wait here.
    pub(crate) const fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.held_back.is_empty()
    }

    /// When the first message that waits may be sent.
    pub(crate) const fn sends_at(&self) -> Option<Instant> {
        self.sends_at
    }

    /// Sends a message if that is allowed now. Returns whether it was; otherwise it is to be [pushed](Self::push).
    ///
    /// # Errors
    /// Why it can neither be sent nor wait.
    pub(crate) fn try_send(
        &mut self,
        message: Message<'_>,
        tx: &mut Tx,
        env: &mut Surroundings,
    ) -> Result<bool, SendError> {
        let len = message.as_bytes().len();
        if tx.state() != State::Open {
            return Err(SendError::NotOpen(tx.state()));
        }
        if len > self.max_len {
            return Err(SendError::ExceedsSendLimit { len, limit: self.max_len });
        }
        let (queued, limit) = (tx.queued_bytes() + self.waiting_bytes, self.max_queued_bytes);
        let frame_len = len.saturating_add(MAX_HEADER);
        if frame_len > limit {
            return Err(SendError::TooBig { len: frame_len, limit });
        }
        if queued.saturating_add(frame_len) > limit {
            return Err(SendError::QueueFull { queued, len: frame_len, limit });
        }
        let now = env.now();
        let is_allowed = self.waiting.is_empty() && self.windows.ready_at(len, now) == Some(now);
        if is_allowed {
            self.encode(len, tx, now, |tx| encode(message, tx, env.untimed()))?;
        }
        Ok(is_allowed)
    }

    /// Queues a message that may not be sent yet.
    pub(crate) fn push(&mut self, waiting: Waiting, tx: &mut Tx, env: &mut Surroundings) {
        self.waiting_bytes += waiting.message.frame_len();
        self.waiting.push_back(waiting);
        tx.note_waiting(self.waiting_bytes);
        self.look(env.now());
    }

    /// Sends the first message that waits, if that is allowed now, and returns it.
    ///
    /// # Errors
    /// Why the output does not take it.
    pub(crate) fn send_next(
        &mut self,
        tx: &mut Tx,
        env: &mut Surroundings,
    ) -> Result<Option<Waiting>, SendError> {
        let now = env.now();
        self.waiting.append(&mut self.held_back);
        self.look(now);
        if self.sends_at != Some(now) {
            return Ok(None);
        }
        let Some(waiting) = self.waiting.pop_front() else { return Ok(None) };
        let message = &waiting.message;
        let sent = self.encode(message.as_bytes().len(), tx, now, |tx| message.encode(tx, env.untimed()));
        if let Err(error) = sent {
            self.waiting.push_front(waiting);
            return Err(error);
        }
        self.waiting_bytes -= message.frame_len();
        self.look(now);
        Ok(Some(waiting))
    }

    /// `len` bytes more of the output of the connection in use were written.
    pub(crate) fn wrote(&mut self, len: usize, env: &mut Surroundings) {
        self.output.written += len as u64;
        if len == 0 || self.output.messages.is_empty() {
            return;
        }
        // Not before it was.
        let now = env.now();
        let written = self.output.written;
        while let Some(message) = self.output.messages.front().filter(|message| message.end <= written) {
            self.windows.written(message.len, now);
            self.output.messages.pop_front();
        }
        if let Some(message) = self.output.messages.front_mut().filter(|message| message.start < written) {
            message.begun = Some(now);
        }
        self.look(now);
    }

    /// The app's two connections have changed places.
    pub(crate) const fn swap(&mut self) {
        swap(&mut self.output, &mut self.other_output);
    }

    /// The connection in use has ended. Returns what has waited to be sent on it.
    pub(crate) fn interrupt(&mut self) -> VecDeque<Waiting> {
        self.output.end(&mut self.windows);
        self.waiting_bytes = 0;
        self.sends_at = None;
        self.waiting.append(&mut self.held_back);
        take(&mut self.waiting)
    }

    /// The other connection has ended.
    pub(crate) fn other_has_ended(&mut self) {
        self.other_output.end(&mut self.windows);
    }

    /// Another connection takes over. What waits is sent behind what is sent on it before [`send_next`](Self::send_next) is called.
    pub(crate) fn hold_back(&mut self) {
        self.held_back.append(&mut self.waiting);
        self.sends_at = None;
    }

    /// Notes when the first message that waits may be sent.
    fn look(&mut self, now: Instant) {
        let first = self.waiting.front();
        self.sends_at = first.and_then(|first| self.windows.ready_at(first.message.as_bytes().len(), now));
    }

    /// Has a message of `len` bytes encoded into the output.
    fn encode(
        &mut self,
        len: usize,
        tx: &mut Tx,
        now: Instant,
        encode: impl FnOnce(&mut Tx) -> Result<(), SendError>,
    ) -> Result<(), SendError> {
        let start = self.output.written + tx.queued_bytes() as u64;
        encode(tx)?;
        let end = self.output.written + tx.queued_bytes() as u64;
        self.windows.queued(len, now);
        self.output.messages.push_back(Unwritten { start, end, len, begun: None });
        Ok(())
    }
}

impl LimitedOutput {
    /// Nothing more of it will be written. What was written in part has been seen by the server.
    fn end(&mut self, windows: &mut SendWindows) {
        for message in self.messages.drain(..) {
            match message.begun {
                Some(at) => windows.written(message.len, at),
                None => windows.dropped(message.len),
            }
        }
    }
}

/// Encodes a message into the output.
#[inline]
pub(crate) fn encode(message: Message<'_>, tx: &mut Tx, env: &mut Env) -> Result<(), SendError> {
    match message {
        Message::Text(text) => tx.send_text(text, env),
        Message::Binary(bytes) => tx.send_binary(bytes, env),
        Message::UncheckedText(bytes) => tx.send(bytes, Opcode::Text, env),
    }
}
