//! The sending half of a stream.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_sink::Sink;
use websocket_app::{Close, Refused, SendError, Sender, SenderWait, State};

use crate::Message;
use crate::error::Error;
use crate::link::Link;

/// The half of a [`WebSocketStream`](crate::WebSocketStream) that sends.
///
/// Dropping it while the other half is there has no effect.
pub struct WriteHalf {
    link: Arc<Link>,
    /// A message that was accepted here and has to wait: for room in the app's queue, or for the next connection.
    pending: Option<Message>,
    /// While there is such a message.
    room: Option<SenderWait>,
    flush: Option<SenderWait>,
    is_closing: bool,
}

impl WriteHalf {
    pub(crate) const fn new(link: Arc<Link>) -> Self {
        Self { link, pending: None, room: None, flush: None, is_closing: false }
    }

    /// A handle on the stream's app: to ping, to read its numbers, to run a closure with its context. What it sends is in one order
    /// with what this half sends. [`Sender::remove`] ends the stream with [`Error::Stopped`].
    pub fn sender(&self) -> &Sender {
        &self.link.sender
    }

    /// Closes with code 1000, as [`close_with`](Self::close_with).
    ///
    /// # Errors
    /// As [`close_with`](Self::close_with).
    pub async fn close(&mut self) -> Result<(), Error> {
        self.close_with(Close::default()).await
    }

    /// Writes what was fed, closes with the closing handshake, and waits until the connection has ended; no other attempt follows. Messages that
    /// arrive meanwhile can still be read afterwards; those that exceed [`Connect::buffer`](crate::Connect::buffer) are dropped. If this is cancelled
    /// once the close is on its way, the connection ends all the same.
    ///
    /// # Errors
    /// A code or reason that must not be sent, before anything is done. The error with which the connection ended, unless it was read as the
    /// last item before.
    pub async fn close_with(&mut self, close: impl Into<Close>) -> Result<(), Error> {
        let close = close.into();
        let checked: Result<(), SendError> = close.check();
        checked?;
        let mut close = Some(close);
        std::future::poll_fn(|cx| self.poll_closed(cx, &mut close)).await
    }

    /// Passes the message that waits to the app.
    fn poll_accepted(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while let Some(message) = self.pending.take() {
            let len = message.as_bytes().len();
            self.offer(message)?;
            if self.pending.is_some() {
                let room = self.room.get_or_insert_with(|| self.link.sender.ready(len));
                let result = ready!(Pin::new(room).poll(cx));
                self.room = None;
                if let Err(error) = result {
                    self.pending = None;
                    return Poll::Ready(Err(error.into()));
                }
            }
        }
        self.room = None;
        Poll::Ready(Ok(()))
    }

    /// Passes a message to the app, or keeps it where waiting helps.
    fn offer(&mut self, message: Message) -> Result<(), Error> {
        match self.link.sender.send(message) {
            Ok(()) => Ok(()),
            Err(Refused { message, reason, .. }) => match reason {
                SendError::NotOpen(State::Closed) => Err(reason.into()),
                SendError::NotOpen(_) if self.is_closing => Err(reason.into()),
                SendError::NotOpen(_) | SendError::WaitingToReconnect | SendError::QueueFull { .. } => {
                    self.pending = Some(message);
                    Ok(())
                }
                _ => Err(reason.into()),
            },
        }
    }

    /// Closes once what was fed is written, and waits for the end.
    fn poll_closed(&mut self, cx: &mut Context<'_>, close: &mut Option<Close>) -> Poll<Result<(), Error>> {
        if !self.is_closing {
            // Where it fails, the connection has ended, and the end says why.
            let _ended = ready!(self.poll_written(cx));
            self.is_closing = true;
            self.link.shared.lock().is_closing = true;
            // The code and the reason were checked.
            let _checked = self.link.sender.close_with(close.take().unwrap_or_default());
        }
        self.link.poll_end(cx).map_or(Poll::Pending, Poll::Ready)
    }

    fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.poll_accepted(cx))?;
        let flush = self.flush.get_or_insert_with(|| self.link.sender.flushed());
        let flushed = ready!(Pin::new(flush).poll(cx));
        self.flush = None;
        Poll::Ready(flushed.map_err(Error::from))
    }
}

/// See [`WebSocketStream`](crate::WebSocketStream#sending) for what each step promises.
impl Sink<Message> for WriteHalf {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.get_mut().poll_accepted(cx)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        let this = self.get_mut();
        // Not where `poll_ready` was asked before.
        if let Some(earlier) = this.pending.take() {
            this.offer(earlier)?;
        }
        if this.pending.is_some() {
            return Err(SendError::WaitingToReconnect.into());
        }
        this.offer(message)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.get_mut().poll_written(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.get_mut().poll_closed(cx, &mut None)
    }
}

impl fmt::Debug for WriteHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteHalf").field("sender", &self.link.sender).finish_non_exhaustive()
    }
}
