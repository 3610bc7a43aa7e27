//! The app of a stream, on the reactor: it queues what arrives, and pauses its reading while the queue is full.

use std::collections::VecDeque;
use std::sync::Arc;

use websocket_app::{
    Batch, CallbackResult, Closed as AppClosed, Context, Error as AppError, Handler, Message, Open, Outcome,
};

use crate::error::Error;
use crate::events::{Event, Lost};
use crate::link::{Closed, End, Shared, cost};

/// Ends the stream when nothing is left that could: neither its app nor the closure that makes it, nor the one that is called where the app is
/// refused.
pub(crate) struct Lease(pub(crate) Arc<Shared>);

impl Lease {
    /// The app was not accepted.
    pub(crate) fn refused(&self, error: AppError) {
        self.0.end(End { closed: Closed::default(), error: Some(error.into()) });
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Where it has ended, this is not the first end.
        self.0.end(End { closed: Closed::default(), error: Some(Error::Stopped) });
    }
}

pub(crate) struct Feeder {
    lease: Arc<Lease>,
    /// What is being delivered, so that the queue is locked once for a whole batch. Empty otherwise.
    batch: VecDeque<Event>,
    /// Room in the queue, as of the last look. There may be more by now.
    room: usize,
    is_open: bool,
    /// Of the last connection.
    closed: Closed,
}

impl Feeder {
    pub(crate) fn new(lease: Arc<Lease>) -> Self {
        let room = lease.0.limit();
        Self { lease, batch: VecDeque::new(), room, is_open: false, closed: Closed::default() }
    }

    fn shared(&self) -> &Shared {
        &self.lease.0
    }

    /// Queues what was delivered. Returns whether reading is to be paused.
    fn hand_over(&mut self, bytes: usize) -> bool {
        let queued = self.lease.0.push(&mut self.batch, bytes);
        self.room = queued.room;
        queued.pause
    }
}

impl Handler for Feeder {
    fn on_open(&mut self, app: &mut Context<'_>, open: &Open<'_>) -> CallbackResult {
        self.is_open = true;
        if open.attempts.opened == 1 {
            self.shared().open(open.response.clone());
        } else if !open.is_successor {
            self.shared().show(Event::Reopened(Box::new(open.response.clone())));
        }
        // Each connection begins unpaused.
        if self.shared().lock().is_paused {
            app.pause_reading();
        }
        Ok(())
    }

    fn on_messages(&mut self, batch: &mut Batch<'_, '_>) -> CallbackResult {
        let mut bytes = 0;
        while let Some((app, message)) = batch.next() {
            bytes += cost(message.len());
            self.batch.push_back(Event::Message(message.into()));
            if bytes >= self.room {
                if self.hand_over(bytes) {
                    app.pause_reading();
                }
                bytes = 0;
            }
        }
        if bytes > 0 {
            self.hand_over(bytes);
        }
        Ok(())
    }

    fn on_message(&mut self, app: &mut Context<'_>, message: Message<'_>) -> CallbackResult {
        let bytes = cost(message.len());
        self.batch.push_back(Event::Message(message.into()));
        if self.hand_over(bytes) {
            app.pause_reading();
        }
        Ok(())
    }

    fn wants_data(&self) -> bool {
        false
    }

    fn wants_batch_end(&self) -> bool {
        false
    }

    /// It comes with the outcome, or as the event of a loss.
    fn on_error(&mut self, _app: &mut Context<'_>, _error: &AppError) -> CallbackResult {
        Ok(())
    }

    fn on_close(&mut self, _app: &mut Context<'_>, closed: &AppClosed<'_>) -> CallbackResult {
        let was_open = std::mem::take(&mut self.is_open);
        let (code, reason) = (closed.code, closed.reason.to_owned());
        match closed.retry_in {
            Some(retry_in) if was_open => {
                let error = closed.error.map(ToString::to_string);
                self.shared().show(Event::Lost(Lost { code, reason, error, retry_in }));
            }
            Some(_) => {}
            None => self.closed = Closed { code, reason, by: closed.by, unsent: closed.unsent.to_vec() },
        }
        Ok(())
    }

    fn take_outcome(&mut self, outcome: Outcome) {
        let mut closed = std::mem::take(&mut self.closed);
        let error = match outcome {
            Outcome::Clean { code, reason, by, .. } => {
                (closed.code, closed.reason, closed.by) = (code, reason, Some(by));
                None
            }
            Outcome::Lost(error) => Some(Error::Connection(error)),
            _ => Some(Error::Stopped),
        };
        self.shared().end(End { closed, error });
    }
}
