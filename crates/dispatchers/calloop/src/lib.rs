//! WebSocket apps on [calloop], the callback loop that Wayland compositors and clients are built on.
//!
//! calloop owns the thread and calls back, so the reactor lives in the loop's state and your function takes
//! its turns:
//!
//! ```
//! use calloop::{EventLoop, LoopSignal};
//! use websocket_app::{Reactor, RunOptions, WebSocketApp};
//! use websocket_dispatcher_calloop::CalloopDispatcher;
//! # let server = websocket_testkit::server::EchoServer::start()?;
//! # let url = server.url();
//!
//! struct State {
//!     reactor: Reactor<CalloopDispatcher<'static, State>>,
//!     signal: LoopSignal,
//! }
//!
//! // The dispatcher first, then the reactor on it, then the state.
//! let mut event_loop = EventLoop::try_new()?;
//! let dispatcher = CalloopDispatcher::new(event_loop.handle(), |state: &mut State, ready| {
//!     let next = state.reactor.turn(ready);
//!     if state.reactor.apps().is_empty() {
//!         state.signal.stop();
//!     }
//!     next
//! })?;
//! let mut state = State { reactor: Reactor::with_dispatcher(dispatcher)?, signal: event_loop.get_signal() };
//!
//! WebSocketApp::new(url)
//!     .on_open(|app, _| app.send_text("hello"))
//!     .on_message(|app, _| app.close())
//!     .run_on(&mut state.reactor, &RunOptions::new())?;
//! event_loop.run(None, &mut state, |_| {})?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The first turn comes with the first round of the loop. Other callbacks of the loop may do to the apps what
//! they like, through `state.reactor.apps()`; the turn that this takes comes by itself.
//!
//! # How it works
//!
//! Each stream is its own source, registered with the loop's poll by level. Its callback only notes what it
//! saw. The turn comes once in a round, when the round's other events have been handled: an idle callback of
//! calloop. One timer stands for the reactor's deadline; while there is more to do at once it is due already,
//! so that the loop does not sleep, yet has a round for its other sources between two turns. A wake from
//! another thread is a ping, written once until the loop has seen it.
//!
//! When the last app has ended, nothing of the reactor wakes the loop any more. Dropping the reactor takes
//! all sources out of the loop.
//!
//! # Costs
//!
//! - A small allocation for each stream: calloop owns what it watches, so the dispatcher shares the socket with its connection. A
//!   custom stream or a source takes a second descriptor instead.
//! - No system call for an event or a turn. calloop makes five in each of its rounds on Linux, whatever
//!   happens there.
//! - A small allocation for each round with a turn, which is the idle callback.
//! - Timers as fine as those of the system. calloop looks for a free place when a source is added, from the
//!   first on, so that adding the ten-thousandth stream takes a few microseconds.
//!
//! # Panics
//!
//! calloop lets a panic pass, and forgets the idle callbacks that were to come. A turn that is lost so, or
//! panics itself, is made up for in the next round of a loop that is run again.
//!
//! [calloop]: https://docs.rs/calloop
#![forbid(unsafe_code)]

mod turns;

use std::io;
use std::rc::Rc;
use std::task::Waker;

use calloop::generic::Generic;
use calloop::{LoopHandle, Mode, PostAction, RegistrationToken};
use websocket_dispatcher::{Dispatcher, Interest, Io, Key, KeyTable, Next, Ready, Shared};

use turns::Turns;

/// A [`Dispatcher`] on the calloop loop of a given [`LoopHandle`]. The [crate's page](crate) shows its use.
///
/// It holds the handle, so it belongs into the loop's state, not into a callback of the loop, which would
/// never be freed.
pub struct CalloopDispatcher<'l, State> {
    turns: Rc<Turns<'l, State>>,
    streams: KeyTable<Stream<'l, State>>,
}

struct Stream<'l, State> {
    source: calloop::Dispatcher<'l, Generic<Shared>, State>,
    token: RegistrationToken,
}

impl<'l, State: 'l> CalloopDispatcher<'l, State> {
    /// A dispatcher whose reactor takes its turns in `turn`, which is `reactor.turn` and whatever else there
    /// is to do then.
    ///
    /// # Errors
    /// When the system has no descriptors left.
    pub fn new(
        handle: LoopHandle<'l, State>,
        turn: impl FnMut(&mut State, &[Ready]) -> Next + 'l,
    ) -> io::Result<Self> {
        Ok(Self { turns: Turns::new(handle, Box::new(turn))?, streams: KeyTable::new() })
    }
}

fn calloop_interest(interest: Interest) -> calloop::Interest {
    calloop::Interest { readable: interest.is_read(), writable: interest.is_write() }
}

/// By level: what is left unread while others have their turn, or after a short read, is reported again
/// without a system call. A hang-up would be so too where a stream is watched for nothing: once is enough.
const fn mode(interest: Interest) -> Mode {
    if interest.is_none() { Mode::OneShot } else { Mode::Level }
}

impl<'l, State: 'l> Dispatcher for CalloopDispatcher<'l, State> {
    fn register(&mut self, key: Key, io: &mut Io, interest: Interest) -> io::Result<()> {
        self.streams.vacant(key)?;
        let source = Generic::new(io.share()?, calloop_interest(interest), mode(interest));
        let turns = Rc::downgrade(&self.turns);
        let source = calloop::Dispatcher::new(source, move |seen: calloop::Readiness, _, _| {
            if let Some(turns) = turns.upgrade() {
                turns.note(Ready::new(key, seen.readable, seen.writable));
            }
            Ok(PostAction::Continue)
        });
        let token = self.turns.handle().register_dispatcher(source.clone())?;
        self.streams.insert(key, Stream { source, token })
    }

    fn reregister(&mut self, key: Key, _: &mut Io, interest: Interest) -> io::Result<()> {
        let stream = self.streams.get_mut(key)?;
        let mut source = stream.source.as_source_mut();
        (source.interest, source.mode) = (calloop_interest(interest), mode(interest));
        drop(source);
        Ok(self.turns.handle().update(&stream.token)?)
    }

    fn deregister(&mut self, key: Key, io: Io) {
        if let Some(stream) = self.streams.remove(key) {
            self.turns.handle().remove(stream.token);
        }
        drop(io);
    }

    fn waker(&self) -> Waker {
        self.turns.waker()
    }

    fn short_read_drains(&self) -> bool {
        true
    }
}

impl<State> Drop for CalloopDispatcher<'_, State> {
    fn drop(&mut self) {
        for (_, stream) in self.streams.iter() {
            self.turns.handle().remove(stream.token);
        }
    }
}
