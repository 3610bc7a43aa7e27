//! WebSocket apps that spin before they sleep, for latency.
//!
//! A thread that sleeps in the kernel is woken some microseconds after its data has come: the processor has
//! to leave its idle state and switch to it. [`BusyPoll`] wraps any dispatcher that can be blocked in, and
//! polls it repeatedly for a while before it lets it sleep. It is for programs whose answers count in
//! microseconds and that have a processor to spare.
//!
//! ```
//! use std::time::Duration;
//!
//! use websocket_app::{Reactor, RunOptions, WebSocketApp};
//! use websocket_dispatcher_busy_poll::BusyPoll;
//!
//! # let server = websocket_testkit::server::EchoServer::start()?;
//! # let url = server.url();
//! let dispatcher = BusyPoll::new()?.spin(Duration::from_micros(100));
//! let mut reactor = Reactor::with_dispatcher(dispatcher)?;
//! WebSocketApp::new(url)
//!     .on_open(|app, _| app.send_text("hello"))
//!     .on_message(|app, _| app.close())
//!     .run_on(&mut reactor, &RunOptions::new())?;
//! reactor.run()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Costs
//!
//! - **Processor time**: up to the spin, 50 microseconds unless set, each time that something has happened. A
//!   reactor with nothing to do goes to sleep once and makes no system call until something happens. One that
//!   is woken a thousand times a second spins for 5 % of the time at most.
//! - **System calls**: one look of the dispatcher inside for each round of the spin. A wake that comes while
//!   the loop spins costs none.
//! - **A core.** Where the peer, or the thread that wakes the loop, needs the core that the loop spins on,
//!   spinning makes it slower.
//! - **Signals**: one that comes while the loop spins does not interrupt a sleep, so the wait continues.
//!
//! Each look is at the poll, whatever the number of streams. The sockets are left as they are: `SO_BUSY_POLL` is for a program to set, with
//! the permission that this takes, on sockets that it makes for `WebSocketApp::socket_with`.
//!
//! Streams are registered with the dispatcher inside, which decides on descriptors, the resolution of timers,
//! and whether a short read drains. Deadlines that fall into the spin are met to the microsecond.
#![forbid(unsafe_code)]

mod bell;
mod dispatcher;

pub use crate::dispatcher::BusyPoll;
