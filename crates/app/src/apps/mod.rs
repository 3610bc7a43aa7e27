//! What a callback can reach: the apps of one reactor, an app's context, timers, sources.

mod app;
mod connection;
mod context;
mod handler;
mod large;
mod limits;
mod numbers;
mod queue;
mod rare;
mod retry;
mod source;
mod stage;
mod successor;
mod timers;

use std::any::Any;
use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use websocket_dispatcher::{Key, Next};

use crate::id::{AppId, Holder};
use crate::live::Scratch;
use crate::meter::Meter;
use crate::outcome::Outcome;
use crate::pace::Pace;
use crate::panics::PanicPolicy;
use crate::schedule::{Due, Entry, Schedule, later};
use crate::stats::Reading;
use crate::surroundings::Surroundings;
use crate::table::Table;
use crate::threads::{Inbox, Job, ReactorHandle};

pub(crate) use app::{App, Control, Delivery, check, check_lent};
pub use context::Context;
pub(crate) use context::{Connected, Identity};
pub use handler::{Batch, CallbackResult, Handler, IntoCallbackResult, Open};
pub(crate) use source::{SourceCall, Sources};
pub use source::{SourceContext, SourceEvent, WatchError};
pub(crate) use stage::{OpenDetails, Stage};
use timers::ReactorTimers;

struct Slot {
    /// Absent while it runs.
    app: Option<Box<App>>,
    removed: bool,
}

/// Where there may be something to read.
pub(crate) enum ToRead {
    /// The dispatcher has reported this stream.
    Stream(Key),
    /// The app's reading stopped early.
    App(AppId),
}

/// How an app whose outcome is waited for has ended.
pub(crate) struct Finished {
    pub(crate) outcome: Outcome,
    pub(crate) app: Box<App>,
}

/// The apps that share one reactor.
///
/// Callbacks reach it with [`Context::apps`], the reactor's owner with
/// [`Reactor::apps`](crate::Reactor::apps).
pub struct Apps {
    pub(crate) env: Surroundings,
    pub(crate) pace: Pace,
    pub(crate) meter: Meter,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) schedule: Schedule,
    /// Apps with unwritten output.
    pub(crate) dirty: Vec<AppId>,
    /// Apps that need a look for another reason: just added, or a close was asked for.
    pub(crate) waiting: Vec<AppId>,
    /// What other threads asked for and this one has yet to do.
    pub(crate) jobs: VecDeque<Job>,
    /// Streams and apps to read from, in their turn.
    pub(crate) reads: VecDeque<ToRead>,
    pub(crate) removals: Vec<AppId>,
    pub(crate) stopping: bool,
    /// Asked to close all apps; the turn begins with that.
    pub(crate) draining: bool,
    /// The reactor stops when all apps have ended, or else at this time.
    pub(crate) stop_at: Option<Instant>,
    /// The last turn has stopped the apps.
    pub(crate) stopped: bool,
    pub(crate) in_turn: bool,
    /// What a host that calls `turn` itself waits for; a reactor that waits itself asks before it sleeps.
    pub(crate) host_waits_for: Option<Next>,
    /// The app whose callback is running, the innermost one where [`with`](Self::with) is at work.
    pub(crate) running: Option<AppId>,
    /// Nothing else is delivered to the app that is running: it was removed, or its connection is to be dropped.
    pub(crate) interrupted: bool,
    /// While an app is delivered what was read.
    pub(crate) reading: Option<Reading>,
    /// A panic that is resumed when the turn has ended.
    pub(crate) panic: Option<Box<dyn Any + Send>>,
    pub(crate) panic_policy: PanicPolicy,
    pub(crate) finished: Option<Finished>,
    /// The app whose outcome is waited for.
    pub(crate) keeps_outcome_of: Option<AppId>,
    /// Memory to encrypt into, which all connections take turns in.
    pub(crate) scratch: Scratch,
    /// Timers that belong to no app.
    pub(crate) timers: ReactorTimers,
    pub(crate) sources: Sources,
    /// Timers and sources that keep the reactor running.
    pub(crate) holders: BTreeSet<Holder>,
    slots: Table<Slot>,
}

impl Apps {
    pub(crate) fn new(env: Surroundings, inbox: Arc<Inbox>) -> Self {
        Self {
            pace: Pace::new(),
            meter: Meter::default(),
            env,
            inbox,
            schedule: Schedule::default(),
            dirty: Vec::new(),
            waiting: Vec::new(),
            jobs: VecDeque::new(),
            reads: VecDeque::new(),
            removals: Vec::new(),
            stopping: false,
            draining: false,
            stop_at: None,
            stopped: false,
            in_turn: false,
            host_waits_for: None,
            running: None,
            interrupted: false,
            reading: None,
            panic: None,
            panic_policy: PanicPolicy::default(),
            finished: None,
            keeps_outcome_of: None,
            scratch: Scratch::default(),
            timers: ReactorTimers::default(),
            sources: Sources::default(),
            holders: BTreeSet::new(),
            slots: Table::default(),
        }
    }

    pub(crate) fn insert(&mut self, app: Box<App>) -> AppId {
        let attached = app
            .control
            .outbox
            .as_ref()
            .map(|outbox| (outbox.mailbox().clone(), app.plan.config().max_queued_bytes));
        let id = AppId(self.slots.insert(Slot { app: Some(app), removed: false }));
        if let Some((mailbox, limit)) = attached {
            mailbox.attach(self.inbox.clone(), id, limit);
        }
        self.waiting.push(id);
        self.call_host();
        id
    }

    /// Ends an app at once and silently: no closing handshake, no further callback. Returns whether it was
    /// there.
    pub fn remove(&mut self, id: AppId) -> bool {
        let Some(slot) = self.slots.get_mut(id.0) else { return false };
        if slot.removed {
            return false;
        }
        slot.removed = true;
        self.interrupted |= self.running == Some(id);
        self.removals.push(id);
        self.call_host();
        true
    }

    /// Calls `work` with the [`Context`] of another app, to send to a peer for instance. `None` when that app
    /// has ended, or when it is the one whose callback is running: use its own context.
    pub fn with<R>(&mut self, id: AppId, work: impl FnOnce(&mut Context<'_>) -> R) -> Option<R> {
        let app = self.take(id)?;
        let running = self.running.replace(id);
        let interrupted = std::mem::take(&mut self.interrupted);
        let mut lent = Lent { apps: self, id, app: Some(app), running, interrupted };
        let app = lent.app.as_mut()?;
        Some(work(&mut app.lend(id, lent.apps)))
    }

    /// Ends all apps now, at the end of the turn: each open connection is sent a close frame with code 1001
    /// if its socket takes it, and each app gets `on_close`, but for those that wait to connect again, whose
    /// last attempt has had it; then each gets `on_end`. `run` returns. Apps that are added meanwhile stay for
    /// the next run.
    pub fn stop(&mut self) {
        self.stopping = true;
        self.call_host();
    }

    /// Closes all apps with code 1001, and stops when they have ended or, as [`stop`](Self::stop) does, when
    /// `timeout` has passed. Apps that are not open yet, or wait to connect again, end at once, and so do
    /// apps that are added meanwhile. Asked again, the earlier time holds.
    pub fn stop_within(&mut self, timeout: Duration) {
        let at = later(self.env.now(), timeout);
        self.stop_at = Some(self.stop_at.map_or(at, |earlier| earlier.min(at)));
        self.draining = true;
        self.call_host();
    }

    /// How many apps have not ended.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether all apps have ended.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The apps that have not ended.
    pub fn ids(&self) -> Vec<AppId> {
        self.slots.keys().map(AppId).collect()
    }

    /// The time on the dispatcher's clock.
    pub fn now(&self) -> Instant {
        self.env.clock().now()
    }

    /// A handle for other threads.
    pub fn handle(&self) -> ReactorHandle {
        ReactorHandle(self.inbox.clone())
    }

    /// The app is looked at before the turn ends, or in the next.
    pub(crate) fn look_at(&mut self, id: AppId) {
        self.waiting.push(id);
    }

    /// What the reactor waits for.
    pub(crate) fn next(&self) -> Next {
        let again = !(self.jobs.is_empty()
            && self.reads.is_empty()
            && self.waiting.is_empty()
            && self.dirty.is_empty()
            && self.removals.is_empty()
            && !self.sources.has_changes())
            || self.stopping
            || self.draining
            || self.inbox.has_jobs();
        // Nothing wakes a reactor that has no app for it.
        let frees_at = self.env.frees_at().filter(|_| !self.is_empty());
        let deadlines = [self.schedule.next(), self.stop_at, frees_at];
        Next::new(deadlines.into_iter().flatten().min(), again)
    }

    /// After a change outside of a turn: wakes the host if it would sleep over it.
    fn call_host(&self) {
        let Some(expected) = self.host_waits_for.filter(|_| !self.in_turn) else { return };
        let next = self.next();
        let sooner = |at| expected.deadline.is_none_or(|known| at < known);
        if next.again || next.deadline.is_some_and(sooner) {
            self.inbox.notify();
        }
    }

    /// Whether no app is to connect again.
    pub(crate) const fn is_stopping(&self) -> bool {
        self.stopping || self.stop_at.is_some()
    }

    /// Keeps a panic, to resume it at the end of the turn, if the policy says so. Until then the other apps
    /// have their turn.
    pub(crate) fn keep_panic(&mut self, panic: Box<dyn Any + Send>) {
        if self.panic_policy == PanicPolicy::Propagate {
            self.panic = Some(panic);
        }
    }

    pub(crate) fn take(&mut self, id: AppId) -> Option<Box<App>> {
        self.slots.get_mut(id.0).filter(|slot| !slot.removed)?.app.take()
    }

    /// Takes a removed app out for good, or a running one out of the table.
    pub(crate) fn take_removed(&mut self, id: AppId) -> Option<Box<App>> {
        self.slots.remove(id.0)?.app
    }

    pub(crate) fn put_back(&mut self, id: AppId, app: Box<App>) {
        if let Some(slot) = self.slots.get_mut(id.0) {
            slot.app = Some(app);
        }
    }

    pub(crate) fn is_removed(&self, id: AppId) -> bool {
        self.slots.get(id.0).is_none_or(|slot| slot.removed)
    }

    /// Ensures that the schedule has an entry for the app's deadline. An entry that comes too early is
    /// enough: the app is looked at then, and armed again.
    #[inline]
    pub(crate) fn arm(&mut self, app: &mut App, id: AppId) {
        // What is overdue and cannot be done yet is due now: in the past it would be before everything else each time.
        let now = self.env.untimed().now;
        let (due, armed) = (app.due().map(|due| due.max(now)), app.control.armed);
        let serves = match (due, armed) {
            (Some(due), Some(armed)) => armed.at <= due,
            (due, armed) => due.is_none() && armed.is_none(),
        };
        if !serves {
            self.schedule.forget(usize::from(armed.is_some()));
            app.control.armed = due.map(|at| self.schedule.push(at, Due::Deadline(id)));
        }
    }

    pub(crate) fn tidy_schedule(&mut self) {
        let Self { slots, timers, .. } = self;
        let app = |id: AppId| slots.get(id.0).and_then(|slot| slot.app.as_ref());
        self.schedule.tidy(|entry: &Entry| match entry.due {
            Due::Deadline(id) => app(id).is_some_and(|app| app.control.armed == Some(entry.armed())),
            Due::AppTimer(id, timer) => app(id).is_some_and(|app| app.control.timers.contains(timer)),
            Due::Timer(timer) => timers.contains(timer),
        });
    }
}

/// An app that is lent to other code; it comes back also when that panics.
struct Lent<'a> {
    apps: &'a mut Apps,
    id: AppId,
    app: Option<Box<App>>,
    /// The app whose callback was running before.
    running: Option<AppId>,
    /// Whether nothing else is delivered to that one.
    interrupted: bool,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(mut app) = self.app.take() {
            app.publish(&mut self.apps.env);
            self.apps.put_back(self.id, app);
        }
        self.apps.running = self.running;
        self.apps.interrupted = self.interrupted || self.running.is_some_and(|id| self.apps.is_removed(id));
        self.apps.call_host();
    }
}

impl fmt::Debug for Apps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Apps").field("len", &self.len()).finish_non_exhaustive()
    }
}
