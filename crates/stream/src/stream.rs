//! A connection as a stream and a sink.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::{FusedStream, Stream};
use futures_sink::Sink;
use websocket_app::{Close, Response, Sender};

use crate::Message;
use crate::bytes::ByteStream;
use crate::error::Error;
use crate::events::Events;
use crate::link::{Closed, Link};
use crate::read::ReadHalf;
use crate::write::WriteHalf;

/// A WebSocket connection, or the connections of a run that reconnects, as a [`Stream`] of messages and a [`Sink`] for them.
///
/// [`connect`](crate::connect()) makes it. It is `Send`, needs no runtime, and lives on while its reactor runs. Dropping it sends a close frame with
/// code 1001 behind what was sent, if the socket takes it at once, and waits for nothing; [`close`](Self::close) waits for the closing handshake.
///
/// # Receiving
///
/// Items are text and binary messages; pings are answered by the reactor. After the last message comes the error with which the connection ended, if
/// it was one, then `None`, and `None` again when it is polled further. A close of either side is not an error: [`closed`](Self::closed) has its code.
///
/// # Sending
///
/// - `poll_ready` is ready when what was fed before is in the queue of the reactor, which holds
///   [`max_queued_bytes`](websocket_app::RunOptions::max_queued_bytes). One message more waits in the sink.
/// - `start_send`, and so `feed`, queues the message; the reactor is woken, and writes it in its next turn together with what else is queued.
/// - `poll_flush`, and so `send`, is ready when the operating system has everything that was fed, to its last byte. As with any socket, the server may
///   not have it.
/// - While the connection is lost and another attempt follows, what is fed waits for the next connection, and so does what had not been written
///   wholly: the stream runs with [`Unsent::Keep`](websocket_app::Unsent::Keep). Without another attempt it is [`Closed::unsent`].
///
/// # Cancelling
///
/// Futures over a stream may be dropped at any time, in a `select!` for instance. `next` loses nothing. `feed` that was dropped has not queued its
/// message, and one that has ended queues it once. `flush` and `close` continue when they are called again. A `send` that was dropped may or may not have
/// queued its message; where that matters, `feed` it, then `flush`.
pub struct WebSocketStream {
    read: ReadHalf,
    write: WriteHalf,
    response: Response,
}

impl WebSocketStream {
    pub(crate) fn new(link: Link, response: Response) -> Self {
        let link = Arc::new(link);
        Self { read: ReadHalf::new(link.clone()), write: WriteHalf::new(link), response }
    }

    /// The server's response to the first upgrade: headers, the subprotocol, what was agreed about compression.
    pub const fn response(&self) -> &Response {
        &self.response
    }

    /// How the run has ended; `None` while it continues. Messages that came before may still be unread.
    pub fn closed(&self) -> Option<Closed> {
        self.read.closed()
    }

    /// A handle on the stream's app, as [`WriteHalf::sender`].
    pub fn sender(&self) -> &Sender {
        self.write.sender()
    }

    /// Divides the stream into halves, which may live in different tasks and threads. They share no lock but that of their queues. The connection
    /// is closed as that of a dropped stream when both are dropped.
    ///
    /// The order is that of `StreamExt::split`, which this takes the place of.
    pub fn split(self) -> (WriteHalf, ReadHalf) {
        (self.write, self.read)
    }

    /// Shows when the connection is lost and made again, from now on.
    ///
    /// ```
    /// use futures_util::StreamExt as _;
    /// use websocket_stream::{Error, Event, WebSocketStream};
    ///
    /// async fn watch(stream: WebSocketStream) -> Result<(), Error> {
    ///     let mut events = stream.events();
    ///     while let Some(event) = events.next().await {
    ///         match event? {
    ///             Event::Message(message) => println!("{message:?}"),
    ///             Event::Lost(lost) => println!("lost; the next attempt begins in {:?}", lost.retry_in),
    ///             Event::Reopened(response) => println!("open again: {}", response.status),
    ///             _ => {}
    ///         }
    ///     }
    ///     Ok(())
    /// }
    /// # let _ = watch;
    /// ```
    pub fn events(self) -> Events {
        self.show_reconnects(true);
        Events(self)
    }

    /// The payloads of the messages as a stream of bytes, for a tunnel.
    pub fn into_bytes(self) -> ByteStream {
        self.show_reconnects(true);
        ByteStream::new(self)
    }

    /// Closes with code 1000, as [`close_with`](Self::close_with).
    ///
    /// # Errors
    /// As [`close_with`](Self::close_with).
    pub async fn close(&mut self) -> Result<(), Error> {
        self.write.close().await
    }

    /// Closes with the closing handshake, and waits for the end, as [`WriteHalf::close_with`].
    ///
    /// # Errors
    /// As [`WriteHalf::close_with`].
    pub async fn close_with(&mut self, close: impl Into<Close>) -> Result<(), Error> {
        self.write.close_with(close).await
    }

    pub(crate) const fn read_half(&mut self) -> &mut ReadHalf {
        &mut self.read
    }

    pub(crate) const fn write_half(&mut self) -> &mut WriteHalf {
        &mut self.write
    }

    pub(crate) fn show_reconnects(&self, show: bool) {
        self.read.link().shared.lock().shows_reconnects = show;
    }
}

impl Stream for WebSocketStream {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.read).poll_next(cx)
    }
}

impl FusedStream for WebSocketStream {
    fn is_terminated(&self) -> bool {
        self.read.is_terminated()
    }
}

impl Sink<Message> for WebSocketStream {
    type Error = Error;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.write).poll_ready(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        Pin::new(&mut self.write).start_send(message)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.write).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Pin::new(&mut self.write).poll_close(cx)
    }
}

impl fmt::Debug for WebSocketStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketStream")
            .field("read", &self.read)
            .field("write", &self.write)
            .finish_non_exhaustive()
    }
}
