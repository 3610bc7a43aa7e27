//! Many apps on one thread, on one dispatcher.

mod app;
mod apps;
mod attempt;
mod connect;
mod drive;
mod end;
mod receive;
mod schedule;
#[cfg_attr(not(feature = "tls"), path = "no_tls.rs")]
mod secure;
mod tunnel;

use std::any::Any;
use std::fmt;
use std::future::poll_fn;
use std::io;
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::resume_unwind;
use std::task::Poll;
use std::time::{Duration, Instant};

use rand::TryRng as _;
use rand::rngs::SysRng;
use websocket_connection::{Entropy, Env, SeededEntropy};
use websocket_dispatcher::{Dispatcher, MioDispatcher, Next, PollWait, Ready, Wait};
use websocket_link::{Connector, Resolver, SystemConnector, SystemResolver};

pub(crate) use app::{App, Control};
pub use apps::{AppId, Apps, PanicPolicy};
pub use schedule::TimerId;
use schedule::later;

use crate::inbox::{Inbox, Job, ReactorHandle};
use crate::{Error, Outcome};
use drive::{Driver, Work};

/// The receive buffer that all connections of a reactor take turns in.
const BUFFER: usize = 128 << 10;

/// Observations that a turn of `run_async` handles at most: its task should not keep the thread for longer than a millisecond or so.
const SHARE: usize = 256;

/// Apps whose reading goes on in a turn, at most: each of them may read as much as `receive::BUDGET`.
const RUNNABLE: usize = 16;

/// Runs many apps on one thread. Dropping it drops its apps silently; [`Apps::stop`] ends them with `on_close`.
///
/// On a dispatcher that may be blocked in, [`run`](Self::run) does everything; on one that runs futures, [`run_async`](Self::run_async)
/// does. A host loop that owns the thread and calls back collects [`Ready`] and calls [`turn`](Self::turn). Any unix loop can also watch a reactor on mio by its one descriptor ([`AsFd`]) and
/// [`next_deadline`](Self::next_deadline), and call [`poll`](Self::poll) with a zero timeout when either is due.
///
/// A turn handles, in this order: what other threads asked for, readiness, apps whose reading stopped early, deadlines and timers,
/// apps just added; then it writes what was sent, and stops if it was asked to. Everything that a turn itself adds waits for the next one, so a turn always ends.
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
    buffer: Vec<u8>,
    /// What was seen since the last turn, by the waits of the reactor itself.
    ready: Vec<Ready>,
    /// Takes the place of what was seen while that is worked through.
    share: Vec<Ready>,
    /// A wait has ended, and the turn that it was for has not been taken: the future may be dropped in between.
    turn_is_due: bool,
    /// The task of `run_async` has let others run since the last turn.
    gave_way: bool,
    jobs: Vec<Job>,
    /// Takes the place of a list of apps while that is worked through.
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
        let apps = Apps::new(env, inbox, Box::new(SystemResolver::default()), Box::new(SystemConnector));
        Ok(Self {
            dispatcher,
            apps,
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
        self.apps.resolver = Box::new(resolver);
        self
    }

    /// Connects with `connector` instead of over TCP.
    #[must_use]
    pub fn connector(mut self, connector: impl Connector + 'static) -> Self {
        self.apps.connector = Box::new(connector);
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
    /// The caller sees to it that the next turn comes when [`Next`] says, or when the [waker](Dispatcher::waker) was woken.
    pub fn turn(&mut self, ready: &[Ready]) -> Next {
        match self.take_turn(ready) {
            Ok(next) => {
                self.apps.told = Some(next);
                next
            }
            Err(panic) => {
                // The host does not learn what is next.
                self.apps.inbox.announce();
                resume_unwind(panic)
            }
        }
    }

    /// What is next, or a panic that is to go on.
    fn take_turn(&mut self, ready: &[Ready]) -> Result<Next, Box<dyn Any + Send>> {
        self.apps.env.now = self.dispatcher.now();
        self.apps.in_turn = true;
        if self.apps.inbox.has_jobs() {
            self.apps.inbox.take(&mut self.jobs);
        }
        let mut driver =
            Driver { dispatcher: &mut self.dispatcher, apps: &mut self.apps, buffer: &mut self.buffer };
        // What this turn adds to a list waits for the next one.
        let (runnable, newest) = (driver.apps.runnable.len().min(RUNNABLE), driver.apps.schedule.newest());
        for job in self.jobs.drain(..) {
            driver.job(job);
        }
        for ready in ready {
            if let Some(id) = driver.apps.owner(ready.key) {
                driver.attend(id, Work::Ready(*ready));
            }
        }
        for _ in 0..runnable {
            let Some(id) = driver.apps.runnable.pop_front() else { break };
            driver.attend(id, Work::Read);
        }
        while let Some(entry) = driver.apps.schedule.pop_due(driver.apps.env.now, newest) {
            driver.attend(entry.app, Work::Due(entry));
        }
        driver.each(&mut self.listed, |apps| &mut apps.waiting, |driver, id| driver.attend(id, Work::Look));
        driver.drain_apps();
        driver.each(&mut self.listed, |apps| &mut apps.dirty, |driver, id| driver.attend(id, Work::Write));
        // Before the stop, which is over when no app is left, and for what the stop itself removes.
        driver.each(&mut self.listed, |apps| &mut apps.removals, Driver::discard);
        driver.stop_apps();
        driver.each(&mut self.listed, |apps| &mut apps.removals, Driver::discard);
        self.apps.tidy_schedule();
        self.apps.in_turn = false;
        match self.apps.panic.take() {
            Some(panic) => Err(panic),
            None => Ok(self.apps.next()),
        }
    }

    /// When the next turn is due, on the dispatcher's clock, as [`Next::deadline`].
    pub fn next_deadline(&self) -> Option<Instant> {
        let next = self.apps.next();
        if next.again { Some(self.apps.env.now) } else { next.deadline }
    }

    /// Takes a turn with `at_most` of the observations; the rest is for the next one.
    fn turn_with_what_was_seen(&mut self, at_most: usize) -> Next {
        let mut share = std::mem::take(&mut self.share);
        share.clear();
        if self.ready.len() <= at_most {
            std::mem::swap(&mut share, &mut self.ready);
        } else {
            share.extend(self.ready.drain(..at_most));
        }
        (self.turn_is_due, self.gave_way) = (!self.ready.is_empty(), false);
        self.apps.told = None;
        let next = self.take_turn(&share);
        self.share = share;
        next.unwrap_or_else(|panic| resume_unwind(panic))
    }

    fn driver(&mut self) -> Driver<'_> {
        Driver { dispatcher: &mut self.dispatcher, apps: &mut self.apps, buffer: &mut self.buffer }
    }

    fn is_done(&mut self) -> bool {
        self.apps.stopped || (self.apps.is_empty() && !self.apps.inbox.has_jobs())
    }
}

impl<D: PollWait> Reactor<D> {
    /// Runs until all apps have ended, or the reactor is stopped, and leaves the thread to others while there is nothing to do.
    ///
    /// It takes one turn each time that its task is polled, for 256 ready streams at most, so other tasks of the thread have theirs between
    /// two turns. Dropping the future loses nothing: the next one goes on. Other tasks reach the reactor by its [handle](Self::handle) and by senders.
    ///
    /// # Errors
    /// [`Error::Dispatcher`] when the event loop is broken.
    pub async fn run_async(&mut self) -> Result<(), Error> {
        self.apps.stopped = false;
        while !self.is_done() {
            self.poll_wait().await?;
            self.turn_with_what_was_seen(SHARE);
        }
        Ok(())
    }

    /// Waits until a turn is due, and gives way to other tasks at least once.
    async fn poll_wait(&mut self) -> Result<(), Error> {
        let deadline = self.next_deadline();
        poll_fn(|cx| {
            if !self.turn_is_due {
                let Poll::Ready(waited) = self.dispatcher.poll_wait(cx, deadline, &mut self.ready) else {
                    self.gave_way = true;
                    return Poll::Pending;
                };
                waited?;
                self.turn_is_due = true;
            }
            if std::mem::replace(&mut self.gave_way, true) {
                return Poll::Ready(Ok(()));
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await
        .map_err(Error::Dispatcher)
    }
}

impl<D: Wait> Reactor<D> {
    /// Runs one app and nothing else; returns its outcome and the app.
    pub(crate) fn run_alone(mut self, mut app: Box<App>) -> (Result<Outcome, Error>, Option<Box<App>>) {
        app.keep_outcome = true;
        let id = self.apps.insert(app);
        let ran = self.run();
        // Where the loop broke, the app is still there, and its stream goes back like any other.
        self.driver().discard(id);
        let Some(finished) = self.apps.finished.take() else { return (ran.map(|()| Outcome::Stopped), None) };
        (ran.map(|()| finished.outcome), Some(finished.app))
    }

    /// Waits until something happens, at most `timeout` long, then takes a turn. `None` waits without limit, zero only looks.
    ///
    /// # Errors
    /// [`Error::Dispatcher`] when the event loop is broken.
    pub fn poll(&mut self, timeout: Option<Duration>) -> Result<Next, Error> {
        let limit = timeout.map(|timeout| later(self.dispatcher.now(), timeout));
        let deadline = [self.next_deadline(), limit].into_iter().flatten().min();
        let waited = self.dispatcher.wait(deadline, &mut self.ready);
        let next = self.turn_with_what_was_seen(usize::MAX);
        waited.map_err(Error::Dispatcher)?;
        Ok(next)
    }

    /// Runs until all apps have ended, or the reactor is stopped.
    ///
    /// # Errors
    /// As [`poll`](Self::poll).
    pub fn run(&mut self) -> Result<(), Error> {
        self.apps.stopped = false;
        while !self.is_done() {
            self.poll(None)?;
        }
        Ok(())
    }

    /// Runs until `done`, which is asked before every turn, or the reactor is stopped.
    ///
    /// # Errors
    /// As [`poll`](Self::poll).
    pub fn run_until(&mut self, mut done: impl FnMut(&mut Apps) -> bool) -> Result<(), Error> {
        self.apps.stopped = false;
        while !self.apps.stopped && !done(self.apps()) {
            self.poll(None)?;
        }
        Ok(())
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
        // A host loop may live on: it must not go on watching descriptors that are about to be closed.
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
