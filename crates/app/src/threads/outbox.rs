//! The loop's end of an app's senders.

use std::collections::VecDeque;
use std::sync::Arc;

use websocket_connection::{Env, SendError, Tx};

use super::mailbox::{Command, Mailbox, Order};
use crate::message::OwnedMessage;
use crate::options::Unsent;
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
}

impl Outbox {
    pub(crate) fn new(mailbox: Arc<Mailbox>) -> Box<Self> {
        Box::new(Self {
            mailbox,
            commands: VecDeque::new(),
            backlog: VecDeque::new(),
            output: UnwrittenMessages::default(),
        })
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
        !self.backlog.is_empty()
    }

    /// Encodes the backlog, until the output is full.
    ///
    /// # Errors
    /// Why a message has to wait: the output is full, a fragmented message is being sent, or the connection
    /// closes.
    pub(crate) fn encode(&mut self, tx: &mut Tx, env: &mut Env) -> Result<(), SendError> {
        while let Some(message) = self.backlog.front() {
            message.encode(tx, env)?;
            self.mailbox.release(message);
            let end = self.output.written + tx.queued_bytes() as u64;
            self.output.messages.extend(self.backlog.pop_front().map(|message| (end, message)));
        }
        Ok(())
    }

    /// `len` bytes more of the output were written.
    pub(crate) fn wrote(&mut self, len: usize) {
        let UnwrittenMessages { messages, written } = &mut self.output;
        *written += len as u64;
        while messages.front().is_some_and(|(end, _)| *end <= *written) {
            messages.pop_front();
        }
    }

    /// What the output of the connection in use holds.
    pub(crate) const fn output(&mut self) -> &mut UnwrittenMessages {
        &mut self.output
    }

    /// Another connection has ended with this in its output, which goes to the front of the backlog.
    pub(crate) fn resend(&mut self, output: UnwrittenMessages) {
        for (_, message) in output.messages.into_iter().rev() {
            self.mailbox.keep(&message);
            self.backlog.push_front(message);
        }
    }

    /// The connection has ended, and if it was the `last` one, so has the app. Returns what was promised to
    /// senders and is not wholly on the wire.
    pub(crate) fn interrupt(&mut self, last: bool, unsent: Unsent) -> Vec<OwnedMessage> {
        self.commands.append(&mut if last { self.mailbox.detach() } else { self.mailbox.pause() });
        let mut messages: Vec<_> = self.output.messages.drain(..).map(|(_, message)| message).collect();
        messages.extend(self.backlog.drain(..));
        // Orders stay: they are done if the app continues. If not, they are dropped with the app, since some
        // are the user's closures.
        for command in std::mem::take(&mut self.commands) {
            match command {
                Command::Send(message) => messages.push(message),
                order @ Command::Do(_) => self.commands.push_back(order),
            }
        }
        match unsent {
            Unsent::HandBack => {}
            Unsent::Keep if last => {}
            Unsent::Keep => {
                messages.iter().for_each(|message| self.mailbox.keep(message));
                self.backlog.extend(messages.iter().cloned());
            }
            Unsent::Drop => messages.clear(),
        }
        messages
    }

    /// Whether there are orders that wait to be done.
    pub(crate) fn has_orders(&self) -> bool {
        !self.commands.is_empty()
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        // Senders outlive the app and its reactor: they must not queue what nothing will take.
        self.mailbox.detach();
    }
}
