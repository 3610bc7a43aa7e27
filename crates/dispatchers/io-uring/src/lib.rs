//! WebSocket apps on io_uring (Linux).
//!
//! [`IoUringDispatcher`] asks the kernel's ring when streams are ready; the reactor reads and writes them as
//! ever. It may be blocked in, so the reactor's `run` does everything. What it spares are the system calls
//! round the reading: changes of interest travel with the wait, and what has come while the reactor was at
//! work is taken from shared memory without any call.
//!
//! ```
//! use websocket_app::{Reactor, RunOptions, WebSocketApp};
//! use websocket_dispatcher::{MioDispatcher, Wait};
//! use websocket_dispatcher_io_uring::IoUringDispatcher;
//!
//! # let server = websocket_testkit::server::EchoServer::start()?;
//! # let url = server.url();
//! // Many containers forbid io_uring, and old kernels lack it.
//! let dispatcher: Box<dyn Wait> = match IoUringDispatcher::new() {
//!     Ok(dispatcher) => Box::new(dispatcher),
//!     Err(error) => {
//!         eprintln!("{error}");
//!         Box::new(MioDispatcher::new()?)
//!     }
//! };
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
//! - **System calls.** None for registering and changing interests; none for a wait if something has come
//!   meanwhile, otherwise one, or two after a change of interest; one to release a closed connection at once.
//! - **One more descriptor for each stream**, a duplicate: a request names its descriptor, and the stream's
//!   own may be closed before the request is made or has to be made again. Besides, three descriptors for the
//!   ring and the wakes.
//! - **Timers** are those of the kernel, to the nanosecond, with its slack of some 50 microseconds.
//!
//! # Which kernels
//!
//! Linux 5.11 is the oldest. From 5.17 on, one request for each stream continues to report, by edges; on
//! those before, a request ends with its report, and the next wait makes another. [`IoUringDispatcher::new`]
//! says in words why a kernel refuses. The processor must be one that the crate io-uring knows: x86-64,
//! AArch64, RISC-V, LoongArch or PowerPC, of 64 bits. On other systems than Linux this crate is empty.
//!
//! # Traps of io_uring
//!
//! - **Reports come late**, also after a request was ended or its stream closed. Each request has its own
//!   name, and a report under the name of another than the last is dropped.
//! - **The kernel holds a socket open while it is polled.** Deregistering a stream ends its request before it
//!   closes the stream.
//! - **Full queues.** Requests that find no room are made later; reports that find none are kept by the
//!   kernel.
//! - **Threads.** The kernel ends the requests of a thread that ends. They are made again, so a dispatcher
//!   may move to another thread.
//! - **No descriptor to embed.** Changes take effect with the next wait, so a loop that only watched the
//!   ring's descriptor would miss them. That is why the dispatcher does not show it.
#![cfg(target_os = "linux")]
#![deny(unsafe_op_in_unsafe_fn)]

mod bell;
mod dispatcher;
mod request;
mod ring;

pub use crate::dispatcher::IoUringDispatcher;
