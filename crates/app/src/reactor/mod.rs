//! Many apps on one thread, on one dispatcher.

mod attend;
mod begin;
mod dispatch;
mod drive;
mod end;
mod ordinary;
mod receive;
mod run;
mod shared;
mod show;
mod slow;
mod spawn;
mod successor;
#[cfg(test)]
mod tests;
mod turn;
mod work;

use std::fmt;
use std::io;
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::TryRng as _;
use rand::rngs::SysRng;
use websocket_connection::{Entropy, SeededEntropy};
use websocket_dispatcher::{Dispatcher, MioDispatcher, Next, Ready};
use websocket_link::{Connector, Resolver, SystemConnector, SystemResolver};

use crate::apps::Apps;
use crate::dial::Links;
use crate::error::Error;
use crate::id::AppId;
use crate::meter::LongCallback;
use crate::pace::TurnPart;
use crate::panics::PanicPolicy;
use crate::surroundings::Surroundings;
use crate::threads::{Inbox, Job, ReactorHandle};
use drive::Driver;

/// The receive buffer that all connections of a reactor take turns in: eight full records of TLS 1.3, with their headers and tags. In 128 KiB, the
/// last one would be cut in every read of a bulk transfer, copied out, and copied in again.
const BUFFER: usize = 8 * ((16 << 10) + 22);

/// Runs many apps on one thread. Dropping it drops its apps silently; [`Apps::stop`] ends them with `on_close`.
///
/// On a dispatcher that may be blocked in, [`run`](Self::run) does everything; on one that runs futures, [`run_async`](Self::run_async)
/// does. A host loop that owns the thread and calls back collects [`Ready`] and calls [`turn`](Self::turn). Any unix loop can also watch a reactor on mio by its one descriptor ([`AsFd`]) and
/// [`next_deadline`](Self::next_deadline), and call [`poll`](Self::poll) with a zero timeout when either is due.
///
/// A turn handles, in this order: what other threads asked for, deadlines and timers, what has arrived, apps just added and those whose
/// turn to connect has come; then it writes what was sent, and stops if it was asked to. Everything that a turn itself adds waits for
/// the next one, and a turn that has used up its [budget](Self::turn_budget) leaves the rest to the next one, so a turn always ends.
///
/// ```no_run
/// use websocket_app::{Reactor, RunOptions, WebSocketApp};
///
/// let mut reactor = Reactor::new()?;
/// for room in 0..1000 {
///     WebSocketApp::new(format!("ws://127.0.0.1:9001/{room}"))
///         .on_message(|app, message| println!("{}: {} bytes", app.id(), message.len()))
///         .run_on(&mut reactor, &RunOptions::default())?;
/// }
/// reactor.run()?;
/// # Ok::<(), websocket_app::Error>(())
/// ```
pub struct Reactor<D: Dispatcher = MioDispatcher> {
    dispatcher: D,
    apps: Apps,
    links: Links,
    buffer: Vec<u8>,
    /// What was seen since the last turn, by the waits of the reactor itself.
    ready: Vec<Ready>,
    /// Swapped with `ready` while that is worked through.
    share: Vec<Ready>,
    /// A wait has ended, and the turn that it was for has not been taken: the future may be dropped in between.
    turn_is_due: bool,
    /// The task of `run_async` has let others run since the last turn.
    gave_way: bool,
    /// Takes the place of a list of apps while that is worked through.
    listed: Vec<AppId>,
    /// What the next turn begins with.
    first_part: TurnPart,
}

impl Reactor {
    /// A reactor on mio's poll.
    ///
    /// # Errors
    /// [`Error::Dispatcher`] when the system has no descriptors, or no entropy, to give.
    pub fn new() -> Result<Self, Error> {
        Self::with_dispatcher(MioDispatcher::new().map_err(Error::Dispatcher)?)
    }
}

impl<D: Dispatcher> Reactor<D> {
    /// A reactor on `dispatcher`.
    ///
    /// # Errors
    /// [`Error::Dispatcher`] when the system has no entropy to give.
    pub fn with_dispatcher(dispatcher: D) -> Result<Self, Error> {
        let mut seed = [0; 32];
        SysRng.try_fill_bytes(&mut seed).map_err(|error| Error::Dispatcher(io::Error::other(error)))?;
        let env = Surroundings::new(dispatcher.clock(), SeededEntropy::new(seed));
        let inbox = Inbox::new(dispatcher.waker());
        let answers = inbox.clone();
        let reply =
            Arc::new(move |app, query, addresses| answers.push(Job::Resolved { app, query, addresses }));
        let (resolver, connector) = (Box::new(SystemResolver::default()), Box::new(SystemConnector));
        Ok(Self {
            dispatcher,
            apps: Apps::new(env, inbox),
            links: Links::new(resolver, connector, reply),
            buffer: vec![0; BUFFER],
            ready: Vec::new(),
            share: Vec::new(),
            turn_is_due: false,
            gave_way: false,
            listed: Vec::new(),
            first_part: TurnPart::default(),
        })
    }

    /// Resolves names with `resolver` instead of the system's.
    #[must_use]
    pub fn resolver(mut self, resolver: impl Resolver + 'static) -> Self {
        self.links.resolver = Box::new(resolver);
        self
    }

    /// Connects with `connector` instead of over TCP.
    #[must_use]
    pub fn connector(mut self, connector: impl Connector + 'static) -> Self {
        self.links.connector = Box::new(connector);
        self
    }

    /// Takes entropy from `entropy` instead of a generator that the system seeds.
    #[must_use]
    pub fn entropy(mut self, entropy: impl Entropy + 'static) -> Self {
        self.apps.env.set_entropy(entropy);
        self
    }

    /// What to do about callbacks that panic. Default [`PanicPolicy::Catch`].
    #[must_use]
    pub fn panic_policy(mut self, policy: PanicPolicy) -> Self {
        self.apps.panic_policy = policy;
        self
    }

    /// Sets how many connections may be in the making at once, over all servers: from the first address that is
    /// connected to, or the look-up of a proxy's name, to the open connection. The others wait for their turn, and
    /// no deadline runs meanwhile. At least 1; default 512.
    #[must_use]
    pub fn max_attempts(self, attempts: usize) -> Self {
        self.links.connections.set_max_total(attempts);
        self
    }

    /// Sets how many connections may be in the making at once to one server: an address and port, a unix socket,
    /// or a name and port behind a proxy and on the user's own streams. The others wait for their turn, and no
    /// deadline runs meanwhile. RFC 6455 section 4.1 asks for 1, which is the strict mode; with it, thousands of
    /// connections to one server take thousands of round trips. At least 1; default 64, which is fewer than a
    /// server with a usual backlog takes at once.
    ///
    /// ```
    /// use websocket_app::Reactor;
    ///
    /// let reactor = Reactor::new()?.max_attempts_per_server(1); // as RFC 6455 has it
    /// # let _ = reactor;
    /// # Ok::<(), websocket_app::Error>(())
    /// ```
    #[must_use]
    pub fn max_attempts_per_server(self, attempts: usize) -> Self {
        self.links.connections.set_max_per_server(attempts);
        self
    }

    /// After how much time a turn ends, whatever there is still to do: [`Next::again`] then tells a host to take the next turn at once, after
    /// its own work. A callback is never interrupted, so a turn takes the budget and one callback at most, besides writing what was sent.
    /// Within it an app may use a quarter before the others have their turn. Requests of other threads are noticed between two messages
    /// all the same. Default 5 ms.
    #[must_use]
    pub fn turn_budget(mut self, budget: Duration) -> Self {
        self.apps.pace.set_budget(budget);
        self
    }

    /// Sets the time from which a callback that held the loop is reported: with a warning in the log, target `websocket::app`, and to the hook of
    /// [`on_slow_callback`](Self::on_slow_callback). It is measured as [`ReactorStats`](crate::ReactorStats) says, and reported when
    /// the work on the app has ended, once for the longest callback in it. Zero reports all work; [`Duration::MAX`] reports nothing.
    /// Default 100 ms.
    #[must_use]
    pub fn slow_callback_threshold(mut self, threshold: Duration) -> Self {
        self.apps.meter.set_threshold(threshold);
        self
    }

    /// Calls `hook` on the reactor's thread for every callback that held the loop for the time of
    /// [`slow_callback_threshold`](Self::slow_callback_threshold) or longer, besides the warning in the log. The time that the hook takes
    /// is not measured. A panic in it is logged.
    ///
    /// ```
    /// use std::time::Duration;
    /// use websocket_app::Reactor;
    ///
    /// let reactor = Reactor::new()?
    ///     .slow_callback_threshold(Duration::from_millis(20))
    ///     .on_slow_callback(|slow| eprintln!("{:?} held the loop for {:?}", slow.app, slow.took));
    /// # let _ = reactor;
    /// # Ok::<(), websocket_app::Error>(())
    /// ```
    #[must_use]
    pub fn on_slow_callback(mut self, hook: impl FnMut(LongCallback) + 'static) -> Self {
        self.apps.meter.hook = Some(Box::new(hook));
        self
    }

    /// The apps: add, remove, send, stop. What is changed here wakes a host that calls [`turn`](Self::turn).
    pub fn apps(&mut self) -> &mut Apps {
        self.apps.env.user_code_ran();
        &mut self.apps
    }

    /// The dispatcher.
    pub const fn dispatcher(&mut self) -> &mut D {
        &mut self.dispatcher
    }

    /// A handle for other threads.
    pub fn handle(&self) -> ReactorHandle {
        self.apps.handle()
    }

    /// Does everything that there is to do now, with `ready` as the dispatcher's observations since the last turn. Never blocks.
    ///
    /// The caller must take the next turn when [`Next`] says so, or when the [waker](Dispatcher::waker) is woken.
    pub fn turn(&mut self, ready: &[Ready]) -> Next {
        let taken = self.take_turn(ready);
        self.dispatcher.hand_over();
        match taken {
            Ok(next) => {
                self.apps.host_waits_for = Some(next);
                next
            }
            Err(panic) => {
                // The host does not learn what is next.
                self.apps.inbox.notify();
                resume_unwind(panic)
            }
        }
    }

    /// When the next turn is due, on the dispatcher's clock, as [`Next::deadline`].
    pub fn next_deadline(&self) -> Option<Instant> {
        let next = self.next();
        if next.again { Some(self.apps.env.clock().now()) } else { next.deadline }
    }

    fn driver(&mut self) -> Driver<'_> {
        Driver {
            dispatcher: &mut self.dispatcher,
            apps: &mut self.apps,
            links: &mut self.links,
            buffer: &mut self.buffer,
        }
    }
}

/// The descriptor is readable when a turn is due, but for deadlines: see [`Reactor::next_deadline`].
#[cfg(unix)]
impl<D: Dispatcher + AsFd> AsFd for Reactor<D> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.dispatcher.as_fd()
    }
}

impl<D: Dispatcher> Drop for Reactor<D> {
    fn drop(&mut self) {
        // A host loop may outlive the reactor: it must not watch descriptors that are about to be closed.
        let mut driver = self.driver();
        for id in driver.apps.ids() {
            driver.discard(id);
        }
        for id in driver.apps.sources.ids() {
            driver.apps.unwatch(id);
        }
        shared::settle_sources(&mut driver);
        driver.apps.inbox.set_stats(driver.apps.stats());
        driver.apps.inbox.close();
    }
}

impl<D: Dispatcher> fmt::Debug for Reactor<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reactor").field("apps", &self.apps.len()).finish_non_exhaustive()
    }
}
