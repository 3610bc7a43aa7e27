//! What a stream and its app on the reactor share: a queue of what has arrived, and how it ended.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use websocket_app::{Close, CloseCode, Response, Sender, Side};

use crate::Message;
use crate::error::Error;
use crate::events::Event;

/// What a message takes up besides its payload, as far as the limit on the queue is concerned.
const OVERHEAD: usize = 64;

/// How the run of a stream's app has ended.
#[derive(Clone, PartialEq, Debug, Default)]
#[non_exhaustive]
pub struct Closed {
    /// The code of the server's close frame; `None` without a frame or without a code in it (1005 and 1006 in other APIs).
    pub code: Option<CloseCode>,
    /// The reason in it; empty when there is none.
    pub reason: String,
    /// The side that began to close; `None` when the connection was lost.
    pub by: Option<Side>,
    /// Messages that were fed and are not wholly with the operating system, in their order.
    pub unsent: Vec<Message>,
}

/// The end of the last connection.
pub(crate) struct End {
    pub(crate) closed: Closed,
    /// Until it is reported.
    pub(crate) error: Option<Error>,
}

/// What the app has for the stream. Never locked while code of an executor or of the user runs.
#[derive(Default)]
pub(crate) struct Inbound {
    pub(crate) queue: VecDeque<Event>,
    /// What the messages in the queue count.
    pub(crate) bytes: usize,
    /// The app has paused its reading, since the queue is full.
    pub(crate) is_paused: bool,
    /// Nothing reads any more.
    pub(crate) discards: bool,
    /// The stream was closed from here: reading cannot be paused any more.
    pub(crate) is_closing: bool,
    /// What happens besides messages is queued, too.
    pub(crate) shows_reconnects: bool,
    /// The response of the first connection, until it is taken.
    pub(crate) opened: Option<Response>,
    pub(crate) end: Option<End>,
    /// The task that waits for something to read, or for the first connection.
    reader: Option<Waker>,
    /// The task that waits for the end.
    closer: Option<Waker>,
}

/// See [`Inbound`].
pub(crate) struct Shared {
    inbound: Mutex<Inbound>,
    /// How much may be queued.
    limit: usize,
}

/// What follows for the app from what it has queued.
pub(crate) struct Queued {
    /// How much there is room for.
    pub(crate) room: usize,
    /// Reading is to be paused.
    pub(crate) pause: bool,
}

impl Shared {
    pub(crate) fn new(limit: usize) -> Self {
        Self { inbound: Mutex::default(), limit }
    }

    pub(crate) const fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inbound> {
        self.inbound.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves `events`, which count `bytes`, into the queue.
    pub(crate) fn push(&self, events: &mut VecDeque<Event>, bytes: usize) -> Queued {
        let mut inbound = self.lock();
        if inbound.discards || (inbound.is_closing && inbound.bytes >= self.limit) {
            drop(inbound);
            events.clear();
            return Queued { room: self.limit, pause: false };
        }
        if inbound.queue.is_empty() {
            std::mem::swap(&mut inbound.queue, events);
        } else {
            inbound.queue.append(events);
        }
        inbound.bytes += bytes;
        let room = self.limit.saturating_sub(inbound.bytes);
        let pause = room == 0 && !inbound.is_closing;
        inbound.is_paused |= pause;
        let reader = inbound.reader.take();
        drop(inbound);
        wake(reader);
        Queued { room, pause }
    }

    /// Queues something that is not a message, where such things are shown.
    pub(crate) fn show(&self, event: Event) {
        let mut inbound = self.lock();
        if !inbound.shows_reconnects || inbound.discards {
            return;
        }
        // A connection that brought nothing is not shown, or a server that ends each at once would fill the queue.
        if matches!((inbound.queue.back(), &event), (Some(Event::Reopened(_)), Event::Lost(_))) {
            inbound.queue.pop_back();
            if let Some(Event::Lost(_)) = inbound.queue.back() {
                inbound.queue.pop_back();
            }
        }
        inbound.queue.push_back(event);
        let reader = inbound.reader.take();
        drop(inbound);
        wake(reader);
    }

    /// The first connection is open.
    pub(crate) fn open(&self, response: Response) {
        let mut inbound = self.lock();
        inbound.opened = Some(response);
        let reader = inbound.reader.take();
        drop(inbound);
        wake(reader);
    }

    /// Nothing else comes. What was queued before is still read.
    pub(crate) fn end(&self, end: End) {
        let mut inbound = self.lock();
        if inbound.end.is_some() {
            return;
        }
        inbound.end = Some(end);
        let wakers = [inbound.reader.take(), inbound.closer.take()];
        drop(inbound);
        wakers.into_iter().for_each(wake);
    }

    /// Nothing is read any more: what has come is dropped, and so is what comes. Returns whether reading was paused.
    pub(crate) fn discard(&self) -> bool {
        let mut inbound = self.lock();
        inbound.discards = true;
        inbound.bytes = 0;
        let unread = std::mem::take(&mut inbound.queue);
        let reader = inbound.reader.take();
        let was_paused = std::mem::take(&mut inbound.is_paused);
        drop(inbound);
        drop((unread, reader));
        was_paused
    }

    /// How the run has ended, unless it continues.
    pub(crate) fn closed(&self) -> Option<Closed> {
        self.lock().end.as_ref().map(|end| end.closed.clone())
    }
}

impl Inbound {
    /// Has the task woken when there is something to read. Returns the waker that is to be dropped without the lock.
    #[must_use]
    pub(crate) fn wait_to_read(&mut self, waker: Waker) -> Option<Waker> {
        self.reader.replace(waker)
    }

    /// Has the task woken at the end. Returns the waker that is to be dropped without the lock.
    #[must_use]
    pub(crate) fn wait_to_end(&mut self, waker: Waker) -> Option<Waker> {
        self.closer.replace(waker)
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// What a message counts in the queue.
pub(crate) fn cost(len: usize) -> usize {
    len.saturating_add(OVERHEAD)
}

/// The stream's hold on its app, which ends with it.
pub(crate) struct Link {
    pub(crate) sender: Sender,
    pub(crate) shared: Arc<Shared>,
}

impl Link {
    /// Reads again after the app has paused for a full queue.
    pub(crate) fn resume(&self) {
        self.sender.run(|app| app.resume_reading());
    }

    /// Waits for the end with the task of `cx`. The error that ended the run is returned once, here or as the last item.
    pub(crate) fn poll_end(&self, cx: &Context<'_>) -> Option<Result<(), Error>> {
        // Without the lock, for it is code of the executor.
        let waker = cx.waker().clone();
        let mut inbound = self.shared.lock();
        if let Some(end) = &mut inbound.end {
            let error = end.error.take();
            drop(inbound);
            return Some(error.map_or(Ok(()), Err));
        }
        let old = inbound.wait_to_end(waker);
        drop(inbound);
        drop(old);
        None
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.shared.discard();
        // The code may be sent. An answer is not waited for, nor another attempt made.
        let _checked = self.sender.close_with(Close::from(CloseCode::Away).timeout(Duration::ZERO));
    }
}
