//! Many apps on one thread, on one dispatcher.

mod drive;
mod end;
mod receive;
mod run;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::fmt;
use std::io;
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Instant;

use rand::TryRng as _;
use rand::rngs::SysRng;
use websocket_connection::{Entropy, Env, SeededEntropy};
use websocket_dispatcher::{Dispatcher, MioDispatcher, Next, Ready};
use websocket_link::{Connector, Resolver, SystemConnector, SystemResolver};

use crate::apps::{Apps, PanicPolicy};
use crate::dial::Links;
use crate::id::AppId;
use crate::threads::{Inbox, Job, ReactorHandle};
use drive::{Driver, Work};

/// The receive buffer that all connections of a reactor take turns in.
const BUFFER: usize = 128 << 10;

/// Apps that continue reading in a turn, at most: each of them may read as much as `receive::BUDGET`.
const RUNNABLE: usize = 16;

/// Apps whose turn to resolve, or to connect, comes in one turn of the reactor, at most.
const ADMITTED: usize = 64;

/// Runs many apps on one thread. Dropping it drops its apps silently; [`Apps::stop`] ends them with `on_close`.
///
/// On a dispatcher that may be blocked in, [`run`](Self::run) does everything; on one that runs futures, [`run_async`](Self::run_async)
/// does. A host loop that owns the thread and calls back collects [`Ready`] and calls [`turn`](Self::turn). Any unix loop can also watch a reactor on mio by its one descriptor ([`AsFd`]) and
/// [`next_deadline`](Self::next_deadline), and call [`poll`](Self::poll) with a zero timeout when either is due.
///
/// A turn handles, in this order: what other threads asked for, readiness, apps whose reading stopped early, deadlines and timers,
/// apps just added, apps whose turn to connect has come; then it writes what was sent, and stops if it was asked to. Everything that a turn itself adds waits for the next one, so a turn always ends.
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
/// # Ok::<(), Box<dyn std::error::Error>>(())
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
    jobs: Vec<Job>,
    /// Swapped with a list of apps while that is worked through.
    listed: Vec<AppId>,
}

impl Reactor {
    /// A reactor on mio's poll.
    ///
    /// # Errors
    /// When the system has no descriptors, or no entropy, to give.
    pub fn new() -> io::Result<Self> {
        Self::with_dispatcher(MioDispatcher::new()?)
    }
}

impl<D: Dispatcher> Reactor<D> {
    /// A reactor on `dispatcher`.
    ///
    /// # Errors
    /// When the system has no entropy to give.
    pub fn with_dispatcher(dispatcher: D) -> io::Result<Self> {
        let mut seed = [0; 32];
        SysRng.try_fill_bytes(&mut seed).map_err(io::Error::other)?;
        let env = Env::new(dispatcher.now(), SeededEntropy::new(seed));
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
            jobs: Vec::new(),
            listed: Vec::new(),
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
        self.apps.env = Env::new(self.apps.env.now, entropy);
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
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn max_attempts_per_server(self, attempts: usize) -> Self {
        self.links.connections.set_max_per_server(attempts);
        self
    }

    /// The apps: add, remove, send, stop. What is changed here wakes a host that calls [`turn`](Self::turn).
    pub fn apps(&mut self) -> &mut Apps {
        self.apps.env.now = self.dispatcher.now();
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
        match self.take_turn(ready) {
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

    /// Takes a turn: what is next, or a panic that is to continue.
    fn take_turn(&mut self, ready: &[Ready]) -> Result<Next, Box<dyn Any + Send>> {
        self.apps.env.now = self.dispatcher.now();
        self.apps.in_turn = true;
        let mut jobs = std::mem::take(&mut self.jobs);
        if self.apps.inbox.has_jobs() {
            self.apps.inbox.take(&mut jobs);
        }
        let mut listed = std::mem::take(&mut self.listed);
        let mut driver = self.driver();
        // What this turn adds to a list waits for the next one.
        let (runnable, newest) = (driver.apps.runnable.len().min(RUNNABLE), driver.apps.schedule.newest());
        for job in jobs.drain(..) {
            driver.job(job);
        }
        for ready in ready {
            if let Some(id) = driver.links.keys.get(ready.key) {
                driver.attend(*id, Work::Ready(*ready));
            }
        }
        for _ in 0..runnable {
            let Some(id) = driver.apps.runnable.pop_front() else { break };
            driver.attend(id, Work::Read);
        }
        while let Some(entry) = driver.apps.schedule.pop_due(driver.apps.env.now, newest) {
            driver.attend(entry.app, Work::Due(entry));
        }
        each(&mut driver, &mut listed, |apps| &mut apps.waiting, |driver, id| driver.attend(id, Work::Look));
        for _ in 0..ADMITTED {
            let Some((id, place)) = driver.links.names.call() else { break };
            driver.attend(id, Work::MayAsk(place));
        }
        for _ in 0..ADMITTED {
            let Some((id, place)) = driver.links.connections.call() else { break };
            driver.attend(id, Work::MayConnect(place));
        }
        driver.drain_apps();
        each(&mut driver, &mut listed, |apps| &mut apps.dirty, |driver, id| driver.attend(id, Work::Write));
        // Before the stop, which is over when no app is left, and for what the stop itself removes.
        each(&mut driver, &mut listed, |apps| &mut apps.removals, Driver::discard);
        driver.stop_apps();
        each(&mut driver, &mut listed, |apps| &mut apps.removals, Driver::discard);
        (self.jobs, self.listed) = (jobs, listed);
        self.apps.tidy_schedule();
        self.apps.in_turn = false;
        match self.apps.panic.take() {
            Some(panic) => Err(panic),
            None => Ok(self.next()),
        }
    }

    /// What the reactor waits for.
    fn next(&self) -> Next {
        let next = self.apps.next();
        Next::new(
            next.deadline,
            next.again || self.links.names.can_call() || self.links.connections.can_call(),
        )
    }

    /// When the next turn is due, on the dispatcher's clock, as [`Next::deadline`].
    pub fn next_deadline(&self) -> Option<Instant> {
        let next = self.next();
        if next.again { Some(self.apps.env.now) } else { next.deadline }
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
        driver.apps.inbox.close();
    }
}

impl<D: Dispatcher> fmt::Debug for Reactor<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reactor").field("apps", &self.apps.len()).finish_non_exhaustive()
    }
}

/// Does something for each app on a list; what is added to the list meanwhile stays there. No list gives up
/// its memory.
fn each<'a>(
    driver: &mut Driver<'a>,
    listed: &mut Vec<AppId>,
    list: impl FnOnce(&mut Apps) -> &mut Vec<AppId>,
    mut work: impl FnMut(&mut Driver<'a>, AppId),
) {
    std::mem::swap(listed, list(driver.apps));
    for id in listed.drain(..) {
        work(driver, id);
    }
}
