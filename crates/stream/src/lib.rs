//! WebSocket connections as [`Stream`] and [`Sink`], on any runtime.
//!
//! [`connect()`] opens a connection on a reactor and returns a [`WebSocketStream`], which is used as one of tokio-tungstenite is. Many of them
//! share one reactor. Where that runs is your choice: on its own thread as here, as a task of your runtime
//! ([`Reactor::run_async_until`](websocket_app::Reactor::run_async_until)), or on any loop that the project has a dispatcher for.
//!
//! ```
//! use futures_util::{SinkExt as _, StreamExt as _};
//! use websocket_app::{Reactor, RunOptions};
//! use websocket_stream::connect;
//! # let server = websocket_testkit::server::EchoServer::start()?;
//! # let url = server.url();
//!
//! # let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
//! # runtime.block_on(async {
//! let reactor = Reactor::spawn(Reactor::new)?;
//! let mut stream = connect(url, &RunOptions::new(), reactor.handle()).await?;
//! stream.send("hello".into()).await?;
//! while let Some(message) = stream.next().await {
//!     println!("{:?}", message?);
//!     stream.close().await?;
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - **Reading** takes what has arrived in one piece, and holds the server back while the stream is not polled: see [`Connect::buffer`].
//! - **Sending** with `send` or `flush` ends when the operating system has the message; `feed` only queues it.
//! - **Reconnecting** is one option, [`RunOptions::reconnect`](websocket_app::RunOptions::reconnect). The stream then continues over all connections of
//!   the run. [`WebSocketStream::events`] shows the reconnects, [`WebSocketStream`] itself hides them.
//! - **Splitting** with [`WebSocketStream::split`] needs no lock; the halves may live in different tasks and threads.
//! - **Dropping** a stream sends a close frame with code 1001 behind what was sent, and waits for nothing. To end with a closing handshake,
//!   [`close`](WebSocketStream::close) it.
//! - **Cancelling** is safe at every await: no message is lost or doubled. See [`WebSocketStream`].
//! - **Tunnels** are a [`ByteStream`]: `AsyncRead` and `AsyncWrite`.
//!
//! [`Stream`]: futures_core::Stream
//! [`Sink`]: futures_sink::Sink
#![forbid(unsafe_code)]

mod bytes;
mod connect;
mod error;
mod events;
mod feeder;
mod link;
mod read;
mod stream;
mod write;

pub use crate::bytes::ByteStream;
pub use crate::connect::{Connect, Connecting, connect};
pub use crate::error::Error;
pub use crate::events::{Event, Events, Lost};
pub use crate::link::Closed;
pub use crate::read::ReadHalf;
pub use crate::stream::WebSocketStream;
pub use crate::write::WriteHalf;
pub use websocket_app::OwnedMessage as Message;
