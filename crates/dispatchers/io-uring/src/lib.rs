//! WebSocket apps on io_uring (Linux).
//!
//! [`IoUringDispatcher`] has the kernel's ring receive and send: what arrives on any socket comes with the wait, in
//! buffers that the ring shares with the kernel, and what the apps have written in a turn goes out with the
//! next wait. One system call does what otherwise takes two per message. It may be blocked in, so the reactor's
//! `run` does everything.
//!
//! Where the kernel cannot do that, before Linux 6.1, the ring only reports when streams are ready, and
//! the reactor reads and writes them by system calls. [`IoUringDispatcher::mode`] and the log (target `websocket::dispatcher`, level info) say
//! which it is; [`IoUringDispatcher::polling`] asks for the latter. Streams that are not sockets, and sources, are
//! polled in any case.
//!
//! ```
//! # #[cfg(all(target_os = "linux", target_pointer_width = "64", target_endian = "little"))]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
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
//! # Ok(())
//! # }
//! # #[cfg(not(all(target_os = "linux", target_pointer_width = "64", target_endian = "little")))]
//! # fn main() {}
//! ```
//!
//! # Receiving and sending
//!
//! - **What is written** waits for the end of the turn, up to 16 KiB per connection; it goes out with the next
//!   wait, or when the connection is closed. It counts as written, like what is in the socket's own buffer. A
//!   larger write goes to the socket at once and is not copied. When the socket is full, the connection
//!   takes nothing more until the rest has gone out. If it is closed before, up to 16 KiB that were taken are lost,
//!   as is what the reactor itself had queued.
//! - **What is received** is copied once more, from the ring's buffers to where the reactor reads it. If an app leaves
//!   bytes unread, by pausing or because its turn was over, they are moved out of the ring's buffers, which belong to
//!   all, and receiving ends until they were read: at most some 64 KiB are held per connection (before Linux 6.8 up to 4 MiB),
//!   and TCP holds the server back. A bulk transfer is read by system calls for the most part.
//! - **Memory.** 256 buffers of 1 KiB, and up to 4096 when the kernel runs out of them. Pages that were never received into
//!   take none.
//! - **The kernel's receive time** does not come with what a ring receives: the socket of an app that asks for it
//!   (`RunOptions::kernel_receive_time`) is polled, and read by system calls.
//!
//! # Costs
//!
//! - **System calls.** One per wait, whatever was received and sent; one to release a closed connection
//!   at once. When polling: none for registering and changing interests; none for a wait if something has come
//!   meanwhile, otherwise one, or two after a change of interest.
//! - **Descriptors.** Three for the ring and the wakes, and none for a socket. A request names its descriptor, so one that is polled
//!   is shared with its connection: it must not be closed before the request is made or has to be made again. For a
//!   custom stream or a source that takes a duplicate, a descriptor more.
//! - **Timers** are those of the kernel, to the nanosecond, with its slack of some 50 microseconds.
//!
//! # Which kernels
//!
//! The ring receives and sends from Linux 6.1 on. 5.11 is the oldest that it polls on. From 5.17 on, one request for each stream continues to
//! report, by edges; on those before, a request ends with its report, and the next wait makes another. [`IoUringDispatcher::new`]
//! says in words why a kernel refuses. The processor must have 64 bits and be little-endian, as the
//! crate io-uring knows it: x86-64, AArch64, RISC-V, LoongArch or PowerPC. Elsewhere this crate is empty.
//!
//! # Traps of io_uring
//!
//! - **Reports come late**, also after a request was ended or its stream closed. Each request has its own
//!   name, and a report under the name of another than the last is dropped.
//! - **The kernel holds a socket open while it is polled.** Deregistering a stream ends its request before it
//!   closes the stream.
//! - **Full queues.** Requests that find no room are made later; reports that find none are kept by the
//!   kernel.
//! - **Threads.** The kernel runs the requests inside the calls of the thread that has made the ring, so a dispatcher
//!   stays on its thread: make it where its reactor runs.
//! - **No descriptor to embed.** Changes take effect with the next wait, so a loop that only watched the
//!   ring's descriptor would miss them. That is why the dispatcher does not show it.
#![cfg(all(target_os = "linux", target_pointer_width = "64", target_endian = "little"))]
#![deny(unsafe_op_in_unsafe_fn)]

mod bell;
mod buffers;
mod dispatcher;
mod engine;
mod flow;
mod outputs;
mod request;
mod ring;
mod socket;

pub use crate::dispatcher::{IoUringDispatcher, Mode};
