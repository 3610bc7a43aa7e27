//! WebSocket apps on async-io: smol and other executors.
//!
//! The apps run in your executor, beside your tasks; async-io watches their sockets and their one timer.
//!
//! ```
//! use websocket_app::{Reactor, RunOptions, WebSocketApp};
//! use websocket_dispatcher_async_io::AsyncIoDispatcher;
//! # use websocket_testkit::server::EchoServer;
//!
//! # fn main() -> Result<(), websocket_app::BoxError> {
//! # let server = EchoServer::start()?;
//! # let url = server.url();
//! async_io::block_on(async {
//!     let mut reactor = Reactor::with_dispatcher(AsyncIoDispatcher::new())?;
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
//! `run_async` is a future like any other: it can be raced, joined, or be a task of a `smol::LocalExecutor`.
//! Dropping it loses nothing, the next one continues. Other tasks reach the apps by their senders and by the
//! reactor's handle. The future is not [`Send`], because callbacks need not be; an executor that moves its
//! tasks between threads gives it a thread, in smol `smol::unblock(|| smol::block_on(async { .. }))`.
//!
//! # Which executor
//!
//! Any: async-io has one reactor for the process, and a thread that drives it when no executor does. Best is
//! an executor that is run by `async_io::block_on`, as `smol::block_on` is: it sleeps on the sockets itself.
//! With any other (`futures_lite::future::block_on`, a pool) each event comes by way of async-io's thread and
//! costs a switch between threads.
//!
//! # What it costs
//!
//! - Each socket is registered with async-io itself. async-io owns what it watches, so that is a second
//!   descriptor for the same socket: count two for each connection.
//! - async-io watches for one event at a time. Each time that a stream was ready costs a system call to watch
//!   it again; this is done for what is wanted only, and when the reactor has read what there was. Changing
//!   what a stream is watched for costs one as well.
//! - No task for a stream. Per turn, work is proportional to what is ready.
//! - Deadlines are async-io timers, as fine as the system's clock (a millisecond on Windows), rounded up. A
//!   timer is set again only for an earlier deadline.
#![forbid(unsafe_code)]

mod dispatcher;

pub use crate::dispatcher::AsyncIoDispatcher;
