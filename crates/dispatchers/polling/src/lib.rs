//! WebSocket apps on the poller of the crate polling.
//!
//! [`PollingDispatcher`] is for programs that have a [`polling::Poller`] already, and for streams that mio
//! cannot take: it watches whatever has a descriptor (unix) or a socket (Windows). The reactor may block in
//! it, so the reactor's `run` does everything; the program's own sources can be watched by the same
//! [poller](PollingDispatcher::poller).
//!
//! ```
//! use websocket_app::{Reactor, RunOptions, WebSocketApp};
//! use websocket_dispatcher_polling::PollingDispatcher;
//!
//! # let server = websocket_testkit::server::EchoServer::start()?;
//! # let url = server.url();
//! let mut reactor = Reactor::with_dispatcher(PollingDispatcher::new()?)?;
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
//! - **A share of each stream.** The poller wants a source to be deleted before it is closed, on pain of undefined behaviour, and a
//!   dispatcher cannot keep others from dropping a stream. So it shares the socket with its connection, which takes a small
//!   allocation, and releases its share behind the deletion: when the stream is deregistered or the dispatcher dropped. The
//!   connection of a stream that is dropped without being deregistered stays open until the dispatcher goes. A custom stream or a
//!   source cannot be shared: for each of these the dispatcher takes a duplicate, another descriptor.
//! - **System calls.** Where mio's wait is one call, the poller's is five on Linux: it sets a timer, arms it,
//!   looks, clears its bell and arms that. One more sleeps, poll(2), and that looks at up to 16 streams
//!   itself, those that were registered while fewer were there: as long as nothing else happens, the poller
//!   is left alone and the wait is one call. Streams beyond them are in the poller, and share its calls with
//!   all that is ready at the time.
//! - **Timers.** Deadlines are rounded up to a millisecond where poll(2) sleeps, which is on Linux, Android,
//!   Apple's systems and the BSDs, and to the resolution of the poller elsewhere.
//!
//! # Traps of the poller
//!
//! - **It does not return when a signal interrupts it**, but sleeps on. A program that looks at a flag after
//!   each turn would not see that a signal has set it. So poll(2) sleeps on the poller's own descriptor where
//!   it has one.
//! - **Modes.** Streams are watched by level, where the poller has that. A level reports again what was not
//!   read, the end of the stream included, so a short read needs no second one to make sure. Event ports have
//!   one-shot sources only: the next wait watches these again, which is equivalent.
//! - **Keys.** The key of a source is the slot of the stream's [`Key`](websocket_dispatcher::Key). Those from
//!   [`OWN_KEYS`](PollingDispatcher::OWN_KEYS) on are yours, but for `usize::MAX`.
//! - **Wakes** go through [`notify`](polling::Poller::notify), which makes one system call of many. A waker
//!   that is kept keeps the poller open.
//!
#![deny(unsafe_op_in_unsafe_fn)]

mod dispatcher;
mod front;
mod streams;

pub use crate::dispatcher::PollingDispatcher;
