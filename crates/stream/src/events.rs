//! A stream that shows when its connection was lost and made again.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use futures_sink::Sink;
use websocket_app::{CloseCode, Response};

use crate::Message;
use crate::error::Error;
use crate::stream::WebSocketStream;

/// What happens to a stream that reconnects.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A message.
    Message(Message),
    /// The connection was lost, and another attempt follows. What is sent meanwhile waits for the next connection.
    Lost(Lost),
    /// The connection is open again, with this response.
    Reopened(Box<Response>),
}

/// How a connection was lost.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Lost {
    /// The code of the server's close frame, if there was one with a code.
    pub code: Option<CloseCode>,
    /// The reason in it; empty when there is none.
    pub reason: String,
    /// What failed, as text; `None` where the server has closed.
    pub error: Option<String>,
    /// The time until the next attempt begins.
    pub retry_in: Duration,
}

/// A [`WebSocketStream`] whose items are [`Event`]s, from [`WebSocketStream::events`].
///
/// A connection that is lost before it has brought a message is not shown, so that a stream which is not polled stays within its limit.
pub struct Events(pub(crate) WebSocketStream);

impl Events {
    /// Returns the stream, which hides reconnects again.
    pub fn into_stream(self) -> WebSocketStream {
        self.0.show_reconnects(false);
        self.0
    }

    /// The stream, to close it for instance.
    pub const fn stream(&mut self) -> &mut WebSocketStream {
        &mut self.0
    }
}

impl Stream for Events {
    type Item = Result<Event, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().0.read_half().poll_event(cx)
    }
}

impl Sink<Message> for Events {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.0).poll_ready(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        Pin::new(&mut self.0).start_send(message)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Events").field(&self.0).finish()
    }
}
