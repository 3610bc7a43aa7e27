//! The reading half of a stream.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::{FusedStream, Stream};

use crate::Message;
use crate::error::Error;
use crate::events::Event;
use crate::link::{Closed, Link};

/// The half of a [`WebSocketStream`](crate::WebSocketStream) that receives.
///
/// Dropping it while the other half is there drops what arrives from then on, so that pings are answered and the server's close is seen.
pub struct ReadHalf {
    link: Arc<Link>,
    /// Taken out of the queue, in one piece.
    taken: VecDeque<Event>,
    has_ended: bool,
}

impl ReadHalf {
    pub(crate) const fn new(link: Arc<Link>) -> Self {
        Self { link, taken: VecDeque::new(), has_ended: false }
    }

    pub(crate) const fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// How the run has ended; `None` while it continues. Messages that came before may still be unread.
    pub fn closed(&self) -> Option<Closed> {
        self.link.shared.closed()
    }

    /// The next of what has happened.
    pub(crate) fn poll_event(&mut self, cx: &Context<'_>) -> Poll<Option<Result<Event, Error>>> {
        loop {
            if let Some(event) = self.taken.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            if self.has_ended {
                return Poll::Ready(None);
            }
            if !self.take_queued() {
                return self.poll_queue(cx);
            }
        }
    }

    /// Takes everything out of the queue. Returns whether there was anything.
    fn take_queued(&mut self) -> bool {
        let mut inbound = self.link.shared.lock();
        std::mem::swap(&mut inbound.queue, &mut self.taken);
        inbound.bytes = 0;
        let was_paused = std::mem::take(&mut inbound.is_paused);
        drop(inbound);
        if was_paused {
            self.link.resume();
        }
        !self.taken.is_empty()
    }

    /// Waits for something in the queue, or for the end.
    #[cold]
    fn poll_queue(&mut self, cx: &Context<'_>) -> Poll<Option<Result<Event, Error>>> {
        // Without the lock, for it is code of the executor.
        let waker = cx.waker().clone();
        let mut inbound = self.link.shared.lock();
        if !inbound.queue.is_empty() {
            drop(inbound);
            return self.poll_event(cx);
        }
        if let Some(end) = &mut inbound.end {
            let error = end.error.take();
            drop(inbound);
            self.has_ended = true;
            return Poll::Ready(error.map(Err));
        }
        let old = inbound.wait_to_read(waker);
        drop(inbound);
        drop(old);
        Poll::Pending
    }
}

impl Stream for ReadHalf {
    type Item = Result<Message, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            match this.poll_event(cx) {
                Poll::Ready(Some(Ok(Event::Message(message)))) => return Poll::Ready(Some(Ok(message))),
                // Queued while they were shown.
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl FusedStream for ReadHalf {
    fn is_terminated(&self) -> bool {
        self.has_ended
    }
}

impl Drop for ReadHalf {
    fn drop(&mut self) {
        if self.link.shared.discard() {
            self.link.resume();
        }
    }
}

impl fmt::Debug for ReadHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadHalf").field("has_ended", &self.has_ended).finish_non_exhaustive()
    }
}
