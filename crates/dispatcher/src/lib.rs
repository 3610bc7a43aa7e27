//! The seam between WebSocket apps and any event loop.
//!
//! A reactor (crate `websocket-app`) needs very little of a loop: watch streams, sleep until a deadline, be
//! woken from another thread. [`Dispatcher`] and [`Wait`] are that little; [`MioDispatcher`] is the default.
//! Nothing here knows WebSocket or TLS.
//!
//! To bring another loop, implement [`Dispatcher`] (its page carries the contract), add [`Wait`] if the loop
//! may be blocked in or [`PollWait`] if it runs futures, and run the conformance suite of `websocket-testkit`
//! over it.
//!
//! ```
//! use websocket_dispatcher::{Dispatcher, MioDispatcher, Wait};
//!
//! let mut dispatcher = MioDispatcher::new()?;
//! dispatcher.waker().wake(); // from this or any other thread
//! let mut ready = Vec::new();
//! dispatcher.wait(None, &mut ready)?; // returns at once
//! assert!(ready.is_empty());
//! # Ok::<(), std::io::Error>(())
//! ```
#![forbid(unsafe_code)]

mod clock;
mod dispatcher;
mod interest;
mod io;
mod key;
mod mio;
mod polled;
mod signals;
mod source;

pub use crate::clock::Clock;
pub use crate::dispatcher::{Dispatcher, Next, PollWait, Wait};
pub use crate::interest::{Interest, Ready};
pub use crate::io::{Io, Shared, Stream};
pub use crate::key::{Key, KeyTable};
pub use crate::mio::MioDispatcher;
pub use crate::polled::{PollReady, Polled};
pub use crate::signals::Signals;
pub use crate::source::Source;
