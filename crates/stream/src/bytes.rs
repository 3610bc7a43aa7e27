//! The payloads of messages as a stream of bytes.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncBufRead, AsyncRead, AsyncWrite};
use futures_sink::Sink;
use websocket_app::Bytes;

use crate::Message;
use crate::events::Event;
use crate::stream::WebSocketStream;

/// The most bytes that one message carries.
const MAX_MESSAGE: usize = 64 << 10;

/// A WebSocket connection as a stream of bytes, from [`WebSocketStream::into_bytes`]: for tunnels of another protocol.
///
/// Reading gives the payloads of all messages, text and binary, one after the other; where one ends is not visible. It ends when either side has
/// closed. Each write becomes a binary message of up to 64 KiB; wrap it in a `BufWriter` where many writes are small. Flushing waits until the
/// operating system has everything. Closing starts the closing handshake and waits for the end: WebSocket has no half-closed
/// connections, but what the server sends until it answers the close can still be read.
///
/// Bytes that were under way would be missing after a reconnect, so a connection that is lost ends the stream with
/// [`ConnectionReset`](io::ErrorKind::ConnectionReset), also where the policy would make another one. Errors of the connection come as what [`io::Error`] has
/// for them, with the [`Error`](crate::Error) inside.
///
/// It implements `AsyncRead`, `AsyncBufRead` and `AsyncWrite` of `futures-io`, and with the feature `tokio` those of tokio.
///
/// ```
/// use futures_util::{AsyncReadExt as _, AsyncWriteExt as _};
/// use websocket_app::{ReactorHandle, RunOptions};
/// use websocket_stream::connect;
///
/// async fn greet(reactor: &ReactorHandle) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
///     let mut tunnel = connect("ws://127.0.0.1:9001/", &RunOptions::new(), reactor).await?.into_bytes();
///     tunnel.write_all(b"EHLO client.example\r\n").await?;
///     tunnel.flush().await?;
///     let mut answer = vec![0; 3];
///     tunnel.read_exact(&mut answer).await?;
///     tunnel.close().await?;
///     Ok(answer)
/// }
/// # let _ = greet;
/// ```
pub struct ByteStream {
    stream: WebSocketStream,
    /// What of a message is not read yet.
    rest: Bytes,
    was_lost: bool,
}

impl ByteStream {
    pub(crate) const fn new(stream: WebSocketStream) -> Self {
        Self { stream, rest: Bytes::new(), was_lost: false }
    }

    /// The stream below, to look at its response or how it has ended.
    pub const fn stream(&self) -> &WebSocketStream {
        &self.stream
    }

    fn reset() -> io::Error {
        io::Error::new(io::ErrorKind::ConnectionReset, "the connection was lost; bytes may be missing")
    }

    /// Waits for bytes; none are left at the end.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        while self.rest.is_empty() {
            if self.was_lost {
                return Poll::Ready(Err(Self::reset()));
            }
            match ready!(self.stream.read_half().poll_event(cx)) {
                Some(Ok(Event::Message(Message::Text(text)))) => self.rest = text.into(),
                Some(Ok(Event::Message(Message::Binary(bytes) | Message::Ping(bytes)))) => self.rest = bytes,
                Some(Ok(Event::Message(_))) => {}
                Some(Ok(Event::Lost(_) | Event::Reopened(_))) => {
                    self.was_lost = true;
                    // Nothing is made of another connection.
                    self.stream.sender().close();
                }
                Some(Err(error)) => return Poll::Ready(Err(error.into())),
                None => break,
            }
        }
        Poll::Ready(Ok(&self.rest))
    }

    fn consume_bytes(&mut self, amount: usize) {
        // A slice, since asking for more than there is must not panic.
        self.rest = self.rest.slice(amount.min(self.rest.len())..);
    }

    fn poll_bytes_into(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        if room.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let bytes = ready!(self.poll_bytes(cx))?;
        let len = bytes.len().min(room.len());
        room[..len].copy_from_slice(&bytes[..len]);
        self.consume_bytes(len);
        Poll::Ready(Ok(len))
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.was_lost {
            return Poll::Ready(Err(Self::reset()));
        }
        let mut write = Pin::new(self.stream.write_half());
        ready!(write.as_mut().poll_ready(cx))?;
        let len = bytes.len().min(MAX_MESSAGE);
        if len > 0 {
            write.start_send(Message::Binary(Bytes::copy_from_slice(&bytes[..len])))?;
        }
        Poll::Ready(Ok(len))
    }

    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream.write_half()).poll_flush(cx).map_err(io::Error::from)
    }

    fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream.write_half()).poll_close(cx).map_err(io::Error::from)
    }
}

impl AsyncRead for ByteStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        self.get_mut().poll_bytes_into(cx, room)
    }
}

impl AsyncBufRead for ByteStream {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        self.get_mut().poll_bytes(cx)
    }

    fn consume(self: Pin<&mut Self>, amount: usize) {
        self.get_mut().consume_bytes(amount);
    }
}

impl AsyncWrite for ByteStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().poll_send(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_sent(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_ended(cx)
    }
}

#[cfg(feature = "tokio")]
impl tokio::io::AsyncRead for ByteStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if room.remaining() > 0 {
            let bytes = ready!(this.poll_bytes(cx))?;
            let len = bytes.len().min(room.remaining());
            room.put_slice(&bytes[..len]);
            this.consume_bytes(len);
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(feature = "tokio")]
impl tokio::io::AsyncBufRead for ByteStream {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        self.get_mut().poll_bytes(cx)
    }

    fn consume(self: Pin<&mut Self>, amount: usize) {
        self.get_mut().consume_bytes(amount);
    }
}

#[cfg(feature = "tokio")]
impl tokio::io::AsyncWrite for ByteStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().poll_send(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_sent(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_ended(cx)
    }
}

impl fmt::Debug for ByteStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteStream").field("stream", &self.stream).finish_non_exhaustive()
    }
}
