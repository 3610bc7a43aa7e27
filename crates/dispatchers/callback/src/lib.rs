//! WebSocket apps on your own loop that calls back: in C or another language, of a GUI, of a game.
//!
//! The loop gives three functions, which are the trait [`Host`], and a fourth that wakes it from any thread.
//! In return it gets a [`Driver`], which its callbacks call:
//!
//! | when | the loop calls |
//! |---|---|
//! | a watched descriptor may be ready, or is broken | [`Driver::ready`], with the key that it was given |
//! | the deadline has passed | [`Driver::deadline_passed`] |
//! | the other callbacks of a round have run, or it was woken | [`Driver::turn`], which does nothing if nothing happened |
//!
//! A game that draws frames needs no poll at all: that a stream may be ready is never wrong, it only costs a
//! look.
//!
//! ```
//! use std::cell::RefCell;
//! use std::collections::BTreeMap;
//! use std::io;
//! use std::rc::Rc;
//! use std::time::{Duration, Instant};
//!
//! use websocket_app::dispatcher::Interest;
//! use websocket_app::{Reactor, RunOptions, WebSocketApp};
//! use websocket_dispatcher_callback::{CallbackDispatcher, Descriptor, Host};
//! # let server = websocket_testkit::server::EchoServer::start()?;
//! # let url = server.url();
//!
//! #[derive(Clone, Default)]
//! struct Frames(Rc<RefCell<BTreeMap<u64, Interest>>>);
//!
//! impl Host for Frames {
//!     fn watch(&self, key: u64, _: Descriptor<'_>, interest: Interest) -> io::Result<()> {
//!         self.0.borrow_mut().insert(key, interest);
//!         Ok(())
//!     }
//!
//!     fn unwatch(&self, key: u64) {
//!         self.0.borrow_mut().remove(&key);
//!     }
//!
//!     // The next frame comes anyway.
//!     fn set_deadline(&self, _: Option<Instant>) {}
//! }
//!
//! let frames = Frames::default();
//! let (dispatcher, driver) = CallbackDispatcher::new(frames.clone(), || {});
//! let mut reactor = Reactor::with_dispatcher(dispatcher)?;
//! WebSocketApp::new(url)
//!     .on_open(|app, _| app.send_text("hello"))
//!     .on_message(|app, _| app.close())
//!     .run_on(&mut reactor, &RunOptions::new())?;
//!
//! while !reactor.apps().is_empty() {
//!     // ... draw a frame ...
//!     for (key, interest) in frames.0.borrow().iter() {
//!         driver.ready(*key, interest.is_read(), interest.is_write());
//!     }
//!     driver.deadline_passed();
//!     driver.turn(|ready| reactor.turn(ready));
//!     std::thread::sleep(Duration::from_millis(1));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The example `callback` is a loop over poll(2) as a C program has one, with its own descriptors and timers.
//!
//! # A shim for C
//!
//! All that crosses is a number: keys are `u64`, a [`Descriptor`] has its raw number (`as_raw_fd`,
//! `as_raw_socket`), a deadline is the milliseconds that are left, rounded up. A `Host` is a struct of three
//! function pointers and the `void *` that they are given; the wake is a fourth with its own. Driver and
//! reactor live behind one pointer, which the loop's callbacks are given.
//!
//! # Turns
//!
//! A turn is never taken inside another, nor inside a function of the host: [`Driver::turn`] does nothing
//! there, and the turn follows. So the host's functions may call the driver. A callback of an app that runs
//! the host's loop in itself (a modal dialog) holds all apps up until it returns; a level-triggered loop
//! keeps reporting what they leave unread for so long.
//!
//! A panic of the turn passes. Then the host is woken, for the turn after it.
//!
//! # Costs
//!
//! None but the host's: no descriptor beside the stream's own, no allocation for an event or a turn, no
//! system call. A stream that the host [shares](Descriptor::share) takes a small allocation. A burst of wakes calls the host once. Timers are as fine as the host's.
#![forbid(unsafe_code)]

mod driver;

use std::io;
#[cfg(unix)]
use std::os::fd::{AsRawFd, RawFd as Raw};
#[cfg(windows)]
use std::os::windows::io::{AsRawSocket, RawSocket as Raw};
use std::rc::Rc;
use std::task::Waker;
use std::time::Instant;

use websocket_dispatcher::{Dispatcher, Interest, Io, Key, KeyTable, Shared};

use driver::Core;
pub use driver::Driver;

/// What is watched: its number is that of a file descriptor (`as_raw_fd`) or, on Windows, of a socket (`as_raw_socket`).
#[derive(Debug)]
pub struct Descriptor<'a> {
    io: &'a mut Io,
    raw: Raw,
}

impl<'a> Descriptor<'a> {
    /// `None` where there is nothing that a loop could watch.
    fn of(io: &'a mut Io) -> Option<Self> {
        #[cfg(unix)]
        let raw = io.fd()?.as_raw_fd();
        #[cfg(windows)]
        let raw = io.socket()?.as_raw_socket();
        Some(Self { io, raw })
    }

    /// Returns an owner, for a loop that asks for one: what is watched stays open while the owner is there. Drop it when the key is unwatched, so
    /// that the connection can be closed.
    ///
    /// # Errors
    /// What the system says when it cannot duplicate the descriptor of a custom stream or a source: see [`Io::share`].
    pub fn share(self) -> io::Result<Shared> {
        self.io.share()
    }
}

#[cfg(unix)]
impl AsRawFd for Descriptor<'_> {
    fn as_raw_fd(&self) -> Raw {
        self.raw
    }
}

#[cfg(windows)]
impl AsRawSocket for Descriptor<'_> {
    fn as_raw_socket(&self) -> Raw {
        self.raw
    }
}

/// What a loop does for the reactor. All functions are called on the loop's thread.
///
/// Any of the functions may call the [`Driver`]. [`set_deadline`](Self::set_deadline) is called as soon as
/// there is a dispatcher.
pub trait Host {
    /// Watches `descriptor` for `interest` and reports it under `key`, or watches a key that is watched
    /// already for another interest.
    ///
    /// What is ready by then must be reported too, also by an edge-triggered loop that has reported it
    /// before. The number stays good until [`unwatch`](Self::unwatch) has returned, although the borrow ends
    /// with this call; a loop in Rust that asks for an owner gets one by [`Descriptor::share`]. `interest` is never [`Interest::None`]: a stream that is watched for nothing is
    /// unwatched, and watched as a new key later.
    ///
    /// # Errors
    /// Whatever the loop says. It fails that one stream only; a new key that could not be watched is not
    /// unwatched.
    fn watch(&self, key: u64, descriptor: Descriptor<'_>, interest: Interest) -> io::Result<()>;

    /// Forgets `key`. Its descriptor may be closed as soon as this returns, or watched again later.
    fn unwatch(&self, key: u64);

    /// Calls [`Driver::deadline_passed`] at `deadline` or a little later, once, and no more at the deadline
    /// before. `None`: never.
    ///
    /// One that has passed means the next round, which must not sleep but should look after the loop's other
    /// work. So round what is left of the time up to the host's unit, not the moment itself: nothing left is
    /// nothing to sleep.
    fn set_deadline(&self, deadline: Option<Instant>);

    /// Whether what stays ready is reported again in every round. It saves a system call per event. Default:
    /// `false`.
    fn is_level_triggered(&self) -> bool {
        false
    }
}

/// A [`Dispatcher`] on a loop that is a [`Host`]. The [crate's page](crate) shows its use.
pub struct CallbackDispatcher {
    core: Rc<Core>,
    /// Whether the host watches each: not those that are watched for nothing.
    keys: KeyTable<bool>,
}

impl CallbackDispatcher {
    /// A dispatcher on `host`, and what the host calls.
    ///
    /// `wake` makes the loop call [`Driver::turn`] soon, even if it sleeps. It is called on any thread, and
    /// at most once before that. Another thread may still be in it when the dispatcher is dropped, so what it
    /// uses is to be its own.
    pub fn new(host: impl Host + 'static, wake: impl Fn() + Send + Sync + 'static) -> (Self, Driver) {
        let core = Core::new(Box::new(host), Box::new(wake));
        let driver = Driver::new(&core);
        (Self { core, keys: KeyTable::new() }, driver)
    }

    /// Whether the host watches it then.
    fn watch(&self, key: Key, io: &mut Io, interest: Interest) -> io::Result<bool> {
        let Some(descriptor) = Descriptor::of(io) else {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "this stream has no descriptor that a loop could watch; run it on a dispatcher that knows its type",
            ));
        };
        if interest.is_none() {
            self.unwatch(key);
            return Ok(false);
        }
        self.core.call(|host| host.watch(key.as_u64(), descriptor, interest))?;
        Ok(true)
    }

    fn unwatch(&self, key: Key) {
        if let Some(true) = self.keys.get(key) {
            self.core.call(|host| host.unwatch(key.as_u64()));
        }
    }
}

impl Dispatcher for CallbackDispatcher {
    fn register(&mut self, key: Key, io: &mut Io, interest: Interest) -> io::Result<()> {
        self.keys.vacant(key)?;
        let is_watched = self.watch(key, io, interest)?;
        self.keys.insert(key, is_watched)
    }

    fn reregister(&mut self, key: Key, io: &mut Io, interest: Interest) -> io::Result<()> {
        self.keys.get_mut(key)?;
        let is_watched = self.watch(key, io, interest)?;
        *self.keys.get_mut(key)? = is_watched;
        Ok(())
    }

    fn deregister(&mut self, key: Key, io: Io) {
        self.unwatch(key);
        self.keys.remove(key);
        drop(io);
    }

    fn waker(&self) -> Waker {
        self.core.waker()
    }

    fn short_read_drains(&self) -> bool {
        self.core.call(|host| host.is_level_triggered())
    }
}

impl Drop for CallbackDispatcher {
    fn drop(&mut self) {
        for (key, _) in self.keys.iter() {
            self.unwatch(key);
        }
        self.core.close();
    }
}
