//! WebSocket apps on tokio.
//!
//! The apps run in your runtime, beside your tasks: tokio watches their sockets and their one timer.
//!
//! ```
//! # fn main() -> Result<(), websocket_app::BoxError> {
//! use websocket_app::{Reactor, RunOptions, WebSocketApp};
//! use websocket_dispatcher_tokio::TokioDispatcher;
//! # use websocket_testkit::server::EchoServer;
//!
//! # let server = EchoServer::start()?;
//! # let url = server.url();
//! let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! runtime.block_on(async {
//!     let mut reactor = Reactor::with_dispatcher(TokioDispatcher::new()?)?;
//!     WebSocketApp::new(url)
//!         .on_open(|app, _| app.send_text("hello"))
//!         .on_message(|app, message| {
//!             println!("{message:?}");
//!             app.close();
//!         })
//!         .run_on(&mut reactor, &RunOptions::new())?;
//!     reactor.run_async().await?;
//!     Ok(())
//! })
//! # }
//! ```
//!
//! `run_async` is a future like any other: put it in `join!` or `select!`, in a task of a `LocalSet`, or in
//! `Runtime::block_on`. Dropping it loses nothing, the next one continues. Callbacks may call
//! [`tokio::spawn`] and send into channels; other tasks reach the apps by their senders and by the reactor's
//! handle.
//!
//! A reactor stays on its thread, because callbacks need not be [`Send`]. On a runtime whose tasks move
//! between threads, [`spawn()`] gives it a thread and you a future that is `Send`.
//!
//! # What it costs
//!
//! - Each socket is registered with tokio itself, once, for both directions. The dispatcher shares the socket with its connection, since
//!   tokio must not be left with the number of a closed one; it takes no further descriptor, except for custom streams and sources.
//!   Changing what it is watched for makes no system call.
//! - On Windows tokio watches a second handle of each socket, and each report is followed by a system call, by which it looks at the socket
//!   again.
//! - No task for a stream. Per turn, work is proportional to what is ready.
//! - A turn is one poll of the task. The reactor gives way after each, so tasks and apps take turns; tokio's
//!   budget for a poll plays no part.
//! - Deadlines are tokio timers: milliseconds, rounded up.
//!
//! # Time in tests
//!
//! The apps live on tokio's clock: with `tokio::time::pause`, an hour of back-off or ping interval passes as
//! soon as nothing else is to be done. Mind that tokio takes waiting for a real socket for nothing to be
//! done.
//!
//! # Which runtime
//!
//! [`TokioDispatcher::new`] takes the one that it is called in, which must have I/O and timers enabled
//! (`enable_all`), and stays with it: apps can be added and the reactor be dropped anywhere. When that
//! runtime shuts down, `run_async` ends with an error or, where it waits for nothing but a deadline, with the
//! panic that tokio's timers end with then.
#![forbid(unsafe_code)]

mod dispatcher;
mod spawn;
#[cfg_attr(windows, path = "watched_socket.rs")]
mod watched;

pub use crate::dispatcher::TokioDispatcher;
pub use crate::spawn::{Running, spawn};
