//! WebSocket apps on a loop that cannot watch sockets, but can be woken: of a GUI, of a game, over a channel.
//!
//! [`WaitingThread`] has a thread of its own for what such a loop cannot do: it waits on a dispatcher that may be blocked in, mio's for one, and
//! calls a closure that wakes the host. That is all that the thread does. Turns, apps and callbacks stay on the host's thread, so callbacks may
//! touch windows and need not be `Send`.
//!
//! The host needs three lines: one that makes the dispatcher, one that makes the reactor, and one where it was woken.
//!
//! ```
//! use std::sync::mpsc;
//!
//! use websocket_app::dispatcher::MioDispatcher;
//! use websocket_app::{Reactor, RunOptions, WebSocketApp};
//! use websocket_dispatcher_waiting_thread::WaitingThread;
//! # let server = websocket_testkit::server::EchoServer::start()?;
//! # let url = server.url();
//!
//! enum Event {
//!     Woken,
//!     // ... keys, clicks, frames ...
//! }
//!
//! let (events, host) = mpsc::channel();
//! let wake = move || _ = events.send(Event::Woken);
//! let (dispatcher, driver) = WaitingThread::new(MioDispatcher::new()?, wake)?;
//! let mut reactor = Reactor::with_dispatcher(dispatcher)?;
//! WebSocketApp::new(url)
//!     .on_open(|app, _| app.send_text("hello"))
//!     .on_message(|app, _| app.close())
//!     .run_on(&mut reactor, &RunOptions::new())?;
//!
//! while !reactor.apps().is_empty() {
//!     match host.recv()? {
//!         Event::Woken => driver.turn(|ready| reactor.turn(ready))?,
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Turns
//!
//! The thread waits until a stream is ready, a deadline has passed, or another thread asks for something; then it calls the closure, once, and
//! sleeps until the host has [taken the turn](Driver::turn). A host that takes it late, or never, is not called again for it. If a turn leaves
//! more to do, the thread only looks for readiness, and calls again. A wait that a signal interrupts brings a turn, too.
//!
//! What is done to the apps between two turns, by `reactor.apps()`, wakes the host for a turn. The first turn is due at once, for apps that are
//! there before the host's loop runs.
//!
//! # The closure
//!
//! It is called on the thread that waits, never while another call is under way. It should do no more than post an event. It may block until the
//! host has taken the turn, or has dropped the reactor. It must not need the host in order to be dropped, which also happens on that
//! thread.
//!
//! A panic in it, or in the wait of the dispatcher inside, is resumed on the host's thread by the next turn.
//!
//! # The end
//!
//! Dropping the dispatcher, which its reactor does, ends a wait and joins the thread, unless that is just in the closure: then it ends
//! when the closure returns. The dispatcher inside is dropped on the host's thread. The closure is not called any more then; while a reactor is
//! being dropped it may be called once, for a turn in which [`Driver::turn`] does nothing.
//!
//! # Costs
//!
//! - One thread, with the stack that the system gives; no descriptor but those of the dispatcher inside.
//! - Two switches between threads for each turn. A change outside of a turn, such as dropping a reactor that waits, interrupts the wait: another
//!   two, once.
//! - No system call while nothing happens, of either thread.
//! - Timers are as fine as those of the dispatcher inside, and a turn comes when the host gets to it.
#![forbid(unsafe_code)]

mod driver;
mod exchange;

use std::fmt;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::thread;

use websocket_dispatcher::{Clock, Dispatcher, Interest, Io, Key, MioDispatcher, Wait};

pub use driver::Driver;
use driver::HostEnd;
use exchange::Exchange;

/// A [`Dispatcher`] whose waits are on a thread of their own, which wakes the host for each turn. The [crate's page](crate) shows its use.
///
/// It belongs to the thread that made it, as its reactor does.
pub struct WaitingThread<D = MioDispatcher> {
    end: Rc<HostEnd<D>>,
    waker: Waker,
    clock: Clock,
    short_read_drains: bool,
}

impl<D: Wait + Send + 'static> WaitingThread<D> {
    /// Starts the thread, which waits on `inner` and calls `wake` whenever a turn is due; and what the host calls then. The first turn is due
    /// at once.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn new(inner: D, wake: impl FnMut() + Send + 'static) -> io::Result<(Self, Driver<D>)> {
        let (clock, short_read_drains) = (inner.clock(), inner.short_read_drains());
        let exchange = Arc::new(Exchange::new(inner.waker()));
        let waker = exchange.clone().into();
        let waiting = exchange.clone();
        let thread =
            thread::Builder::new().name("websocket-wait".to_owned()).spawn(move || waiting.run(wake))?;
        let end = HostEnd::new(exchange, inner, thread);
        let driver = Driver::new(&end);
        Ok((Self { end, waker, clock, short_read_drains }, driver))
    }
}

impl<D: Dispatcher> Dispatcher for WaitingThread<D> {
    fn register(&mut self, key: Key, io: &mut Io, interest: Interest) -> io::Result<()> {
        self.end.change(|inner| inner.register(key, io, interest))
    }

    fn reregister(&mut self, key: Key, io: &mut Io, interest: Interest) -> io::Result<()> {
        self.end.change(|inner| inner.reregister(key, io, interest))
    }

    fn deregister(&mut self, key: Key, io: Io) {
        self.end.change(|inner| inner.deregister(key, io));
        self.end.forget(key);
    }

    fn waker(&self) -> Waker {
        self.waker.clone()
    }

    fn clock(&self) -> Clock {
        self.clock.clone()
    }

    fn short_read_drains(&self) -> bool {
        self.short_read_drains
    }

    fn hand_over(&mut self) {
        self.end.change(Dispatcher::hand_over);
    }
}

impl<D> Drop for WaitingThread<D> {
    fn drop(&mut self) {
        self.end.close();
    }
}

impl<D> fmt::Debug for WaitingThread<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitingThread").finish_non_exhaustive()
    }
}
