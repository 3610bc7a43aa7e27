//! WebSocket apps on a libuv loop, beside whatever else runs there.
//!
//! A [`LibuvDispatcher`] watches each stream by its own poll handle. The loop owns the thread and calls back:
//! once in a round, if there is something to do, it calls the closure that was given to [`Turns::start`],
//! which takes a turn of the reactor.
//!
//! ```
//! # let server = websocket_testkit::server::EchoServer::start()?;
//! # let url = server.url();
//! use std::cell::RefCell;
//! use std::rc::Rc;
//!
//! use libuv::{Loop, RunMode};
//! use websocket_app::{Reactor, RunOptions, WebSocketApp};
//! use websocket_dispatcher_libuv::LibuvDispatcher;
//!
//! let mut uv = Loop::new()?;
//! let (dispatcher, turns) = LibuvDispatcher::new(&uv)?;
//! let reactor = Rc::new(RefCell::new(Reactor::with_dispatcher(dispatcher)?));
//! WebSocketApp::new(url)
//!     .on_open(|app, _| app.send_text("hello"))
//!     .on_message(|app, message| {
//!         println!("{message:?}");
//!         app.close();
//!     })
//!     .run_on(&mut reactor.borrow_mut(), &RunOptions::new())?;
//!
//! turns.start({
//!     let (reactor, mut uv) = (reactor.clone(), uv.clone());
//!     move |ready| {
//!         let mut reactor = reactor.borrow_mut();
//!         let next = reactor.turn(ready);
//!         if reactor.apps().is_empty() {
//!             uv.stop();
//!         }
//!         next
//!     }
//! });
//! uv.run(RunMode::Default)?;
//!
//! // The end: the handles are closed, and the loop has to run to release them.
//! drop(turns);
//! uv.run(RunMode::Default)?;
//! # assert!(!uv.is_alive());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Callbacks of other handles may use the reactor between two turns, `reactor.borrow_mut().apps()` for one: a
//! turn follows. Other threads use `reactor.handle()` and senders. If nothing else needs the reactor, the
//! closure may own it.
//!
//! # Costs
//!
//! - No thread, and no descriptor but the streams' own: the handle for wakes shares libuv's.
//! - libuv reports as long as a stream is ready, and forgets and adds a stream whose interest changes: two
//!   system calls instead of one. An observation allocates nothing.
//! - One timer, touched only when the deadline changes, in milliseconds. It is rounded up to libuv's clock,
//!   so a turn comes up to two milliseconds late.
//!
//! # Traps
//!
//! - **The end of a loop.** libuv aborts the process when a [`Loop`] is dropped with an open handle. Dropping
//!   [`Turns`] or the dispatcher, which its reactor does, closes all handles, but libuv releases them only in
//!   its next round. So drop first, run the loop once more, and drop the loop last. `Loop::close` is not for
//!   loops that are dropped.
//! - **A loop that does not end.** The handle for wakes keeps its loop alive, as there may always come one.
//!   Call `stop` as above, or drop [`Turns`], from a callback for one.
//! - **Panics** cannot cross libuv's frames. With `PanicPolicy::Catch`, the default, none tries to. Otherwise
//!   it ends the loop as `stop` does, and [`Turns::resume_panic`] resumes it.
//! - **One handle for each descriptor**: libuv refuses to watch one twice in one loop.
//! - **Non-blocking**: libuv makes every descriptor that it watches non-blocking. Standard input as a source
//!   shares that flag with other processes at the same terminal.
//! - **Making loops.** `Loop::new` of the crate `libuv` 2.15 sets a loop up twice and leaves five descriptors
//!   open each time (on Linux). Make one and keep it, or take `Loop::default`.
//!
//! Unix only: elsewhere this crate is empty.
#![cfg(unix)]
#![forbid(unsafe_code)]

mod bell;
mod shared;
mod turns;

use std::fmt;
use std::io;
use std::os::fd::AsRawFd as _;
use std::rc::Rc;
use std::task::Waker;

use libuv::{HandleTrait as _, Loop, PollEvents, PollHandle};
use websocket_dispatcher::{Dispatcher, Interest, Io, Key, Ready};

use shared::Shared;
pub use turns::Turns;

/// A [`Dispatcher`] on a libuv [`Loop`]. The [crate's page](crate) shows how to use it.
///
/// Dropping it closes its handles.
pub struct LibuvDispatcher(Rc<Shared>);

impl LibuvDispatcher {
    /// A dispatcher on `uv`, and what takes the turns of its reactor. `uv` must be dropped after both.
    ///
    /// # Errors
    /// When the system has no descriptors left.
    pub fn new(uv: &Loop) -> io::Result<(Self, Turns)> {
        let shared = Shared::new(uv).map_err(failure)?;
        Ok((Self(shared.clone()), Turns::new(shared)))
    }

    fn watch(&self, key: Key, mut poll: PollHandle, interest: Interest) -> io::Result<()> {
        if interest.is_none() {
            return poll.stop().map_err(failure);
        }
        let mut events = PollEvents::empty();
        events.set(PollEvents::READABLE | PollEvents::DISCONNECT, interest.is_read());
        events.set(PollEvents::WRITABLE, interest.is_write());
        let shared = self.0.clone();
        let seen = move |_: PollHandle, status: libuv::Result<u32>, seen: PollEvents| {
            // After an error libuv watches no more. The next read tells what it was.
            let broken = status.is_err();
            let ended = broken || seen.contains(PollEvents::DISCONNECT);
            let readable = ended || seen.contains(PollEvents::READABLE);
            let writable = broken || seen.contains(PollEvents::WRITABLE);
            shared.saw(Ready::new(key, readable, writable).with_read_closed(ended));
        };
        poll.start(events, seen).map_err(failure)
    }
}

/// An error of libuv's, without its kind: a descriptor that exists already is none of the contract's errors.
fn failure(error: libuv::Error) -> io::Error {
    io::Error::other(error.to_string())
}

impl Dispatcher for LibuvDispatcher {
    fn register(&mut self, key: Key, io: &mut Io, interest: Interest) -> io::Result<()> {
        self.0.polls().vacant(key)?;
        let Some(fd) = io.fd() else {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "libuv watches descriptors only"));
        };
        let mut poll = self.0.open(fd.as_raw_fd())?;
        if let Err(error) = self.watch(key, poll, interest) {
            poll.close(());
            return Err(error);
        }
        self.0.polls().insert(key, poll)
    }

    fn reregister(&mut self, key: Key, _: &mut Io, interest: Interest) -> io::Result<()> {
        let poll = *self.0.polls().get_mut(key)?;
        self.watch(key, poll, interest)
    }

    fn deregister(&mut self, key: Key, io: Io) {
        if let Some(mut poll) = self.0.polls().remove(key) {
            // libuv forgets the descriptor at once, and the handle in its next round.
            poll.close(());
        }
        drop(io);
    }

    fn waker(&self) -> Waker {
        self.0.waker()
    }

    fn short_read_drains(&self) -> bool {
        true
    }
}

impl Drop for LibuvDispatcher {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl fmt::Debug for LibuvDispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LibuvDispatcher").finish_non_exhaustive()
    }
}
