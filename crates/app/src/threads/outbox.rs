//! The loop's end of an app's senders.

use std::collections::VecDeque;
use std::mem::swap;
use std::sync::Arc;
use std::time::Instant;

use websocket_connection::{SendError, Tx};
use websocket_dispatcher::Io;

use super::mailbox::{Command, Mailbox, Order};
use crate::live::{is_large, write_some};
use crate::message::OwnedMessage;
use crate::options::Unsent;
use crate::send_queue::{SendQueue, Waiting};
use crate::surroundings::Surroundings;
use crate::unwritten::UnwrittenMessages;

/// What senders have asked for, from the mailbox to the wire.
///
/// A message is kept until its last byte was written, so that it can be handed back when the connection ends
/// before that.
pub(crate) struct Outbox {
    mailbox: Arc<Mailbox>,
    /// Out of the mailbox and not done yet.
    commands: VecDeque<Command>,
    /// Messages whose turn has come, which the full output could not take yet.
    backlog: VecDeque<OwnedMessage>,
    output: UnwrittenMessages,
    /// Where what the app sends is limited.
    send_queue: Option<Box<SendQueue>>,
}

impl Outbox {
    pub(crate) fn new(mailbox: Arc<Mailbox>) -> Box<Self> {
        Box::new(Self {
            mailbox,
            commands: VecDeque::new(),
            backlog: VecDeque::new(),
            output: UnwrittenMessages::default(),
            send_queue: None,
        })
    }

    /// From now on everything that the app sends goes through this queue, if there is one.
    pub(crate) fn set_send_queue(&mut self, queue: Option<Box<SendQueue>>) {
        self.mailbox.set_max_len(queue.as_ref().map_or(usize::MAX, |queue| queue.max_len()));
        self.send_queue = queue;
    }

    /// Whether it is limited how much the app sends.
    #[inline]
    pub(crate) const fn is_limited(&self) -> bool {
        self.send_queue.is_some()
    }

    /// The queue that everything goes through which the app sends, if that is limited.
    pub(crate) fn send_queue(&mut self) -> Option<&mut SendQueue> {
        self.send_queue.as_deref_mut()
    }

    /// Bytes that wait until they may be sent.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.send_queue.as_ref().map_or(0, |queue| queue.waiting_bytes())
    }

    /// When the first message that waits may be sent.
    pub(crate) fn sends_at(&self) -> Option<Instant> {
        self.send_queue.as_ref()?.sends_at()
    }

    /// For the next run of the same app.
    pub(crate) fn emptied(&self) -> Box<Self> {
        Self::new(self.mailbox.clone())
    }

    pub(crate) const fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailbox
    }

    /// Empties the mailbox.
    pub(crate) fn fetch(&mut self) {
        self.commands.append(&mut self.mailbox.take());
    }

    /// The next order; messages on the way to it join the backlog.
    pub(crate) fn next_order(&mut self) -> Option<Order> {
        loop {
            match self.commands.pop_front()? {
                Command::Send(message) => self.backlog.push_back(message),
                Command::Do(order) => return Some(order),
            }
        }
    }

    pub(crate) fn has_backlog(&self) -> bool {
        !self.backlog.is_empty() || self.send_queue.as_ref().is_some_and(|queue| !queue.is_empty())
    }

    /// Encodes what may be sent by now, then the backlog, until the output is full. Large messages are written to `io`
    /// meanwhile, if it is given and takes them.
    ///
    /// # Errors
    /// Why a message has to wait: the output is full, a fragmented message is being sent, or the connection
    /// closes.
    pub(crate) fn encode(
        &mut self,
        tx: &mut Tx,
        mut io: Option<&mut Io>,
        env: &mut Surroundings,
    ) -> Result<(), SendError> {
        if let Some(queue) = &mut self.send_queue {
            while let Some(Waiting { message, is_of_sender }) = queue.send_next(tx, env)? {
                if is_of_sender {
                    self.output.push(message, tx);
                }
            }
        }
        while let Some(message) = self.backlog.front() {
            let mut written = 0;
            let may_be_sent = match (&mut self.send_queue, message.as_message(), &mut io) {
                (Some(queue), Some(message), _) => queue.try_send(message, tx, env)?,
                (None, Some(message), Some(io)) if is_large(message.as_bytes().len()) => {
                    env.user_code_ran();
                    let write = |output: &[u8]| {
                        let taken = write_some(io, output);
                        written += taken;
                        taken
                    };
                    tx.send_through(message, env.current(), write)?;
                    true
                }
                _ => message.encode(tx, env.untimed()).map(|()| true)?,
            };
            self.mailbox.release(message);
            let Some(message) = self.backlog.pop_front() else { break };
            if written > 0 {
                self.wrote(written, env);
            }
            match &mut self.send_queue {
                Some(queue) if !may_be_sent => queue.push(of_sender(message), tx, env),
                _ => self.output.push(message, tx),
            }
            // The stream takes no more for now.
            io = io.filter(|_| tx.queued_bytes() == 0);
        }
        Ok(())
    }

    /// The position at which what was encoded so far ends.
    pub(crate) const fn end(&self, tx: &Tx) -> u64 {
        self.output.end(tx)
    }

    /// `len` bytes more of the output were written.
    pub(crate) fn wrote(&mut self, len: usize, env: &mut Surroundings) {
        if let Some(queue) = &mut self.send_queue {
            queue.wrote(len, env);
        }
        let UnwrittenMessages { messages, written } = &mut self.output;
        *written += len as u64;
        while messages.front().is_some_and(|(end, _)| *end <= *written) {
            messages.pop_front();
        }
    }

    /// The app's two connections change places; `output` is what the other one holds.
    pub(crate) fn swap(&mut self, output: &mut UnwrittenMessages) {
        swap(&mut self.output, output);
        if let Some(queue) = &mut self.send_queue {
            queue.swap();
        }
    }

    /// The other connection has ended with this in its output, which goes to the front of the backlog.
    pub(crate) fn resend(&mut self, output: UnwrittenMessages) {
        for (_, message) in output.messages.into_iter().rev() {
            self.mailbox.keep(&message);
            self.backlog.push_front(message);
        }
        if let Some(queue) = &mut self.send_queue {
            queue.other_has_ended();
        }
    }

    /// The connection has ended, and if it was the `last` one, so has the app. Returns what was promised to
    /// senders, or had to wait, and is not wholly on the wire.
    pub(crate) fn interrupt(&mut self, last: bool, unsent: Unsent) -> Vec<OwnedMessage> {
        self.commands.append(&mut if last { self.mailbox.detach() } else { self.mailbox.pause() });
        let output = self.output.messages.drain(..).map(|(_, message)| of_sender(message));
        let mut left: Vec<Waiting> = output.collect();
        left.extend(self.send_queue.iter_mut().flat_map(|queue| queue.interrupt()));
        left.extend(self.backlog.drain(..).map(of_sender));
        // Orders stay: they are done if the app continues. If not, they are dropped with the app, since some
        // are the user's closures.
        for command in std::mem::take(&mut self.commands) {
            match command {
                Command::Send(message) => left.push(of_sender(message)),
                order @ Command::Do(_) => self.commands.push_back(order),
            }
        }
        match unsent {
            Unsent::HandBack => {}
            Unsent::Keep if last => {}
            Unsent::Keep => {
                let kept = left.iter().filter(|it| it.is_of_sender).map(|it| it.message.clone());
                self.backlog.extend(kept);
                self.backlog.iter().for_each(|message| self.mailbox.keep(message));
            }
            Unsent::Drop => left.clear(),
        }
        left.into_iter().map(|it| it.message).collect()
    }

    /// Whether nothing that the app or a sender has sent waits here, and the app may send as much as it likes.
    pub(crate) fn is_idle(&self) -> bool {
        !self.is_limited()
            && self.commands.is_empty()
            && self.backlog.is_empty()
            && self.output.messages.is_empty()
    }

    /// Whether there are orders that wait to be done.
    pub(crate) fn has_orders(&self) -> bool {
        !self.commands.is_empty()
    }
}

/// A message that a sender was promised.
const fn of_sender(message: OwnedMessage) -> Waiting {
    Waiting { message, is_of_sender: true }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        // Senders outlive the app and its reactor: they must not queue what nothing will take.
        self.mailbox.detach();
    }
}
