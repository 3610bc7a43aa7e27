//! The apps of one reactor, as callbacks and the reactor's owner reach them.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use slab::Slab;
use websocket_connection::Env;
use websocket_dispatcher::{Key, Next};
use websocket_link::{Connector, Resolver};

use super::app::App;
use super::schedule::{Due, Entry, Schedule, later};
use super::secure::Shared;
use crate::inbox::{Inbox, ReactorHandle};
use crate::{Context, Error, Outcome, RunOptions, WebSocketApp};

/// Names one app on its reactor. The name of an app that has ended is not used again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct AppId {
    slot: u32,
    generation: u32,
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "app {}.{}", self.slot, self.generation)
    }
}

struct Slot {
    generation: u32,
    /// Absent while it runs.
    app: Option<Box<App>>,
    removed: bool,
}

/// What to do about an app's callback that panics.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[allow(clippy::exhaustive_enums, reason = "a panic either ends here or goes on")]
pub enum PanicPolicy {
    /// The app gets `on_error` with [`Error::CallbackPanicked`] and, unless it was waiting to connect again, `on_close`; its neighbours
    /// notice nothing.
    #[default]
    Catch,
    /// The same, and then the panic goes on out of the reactor's `turn`. A host that calls that itself is [woken](websocket_dispatcher::Dispatcher::waker),
    /// so that the next turn comes at once if its loop goes on.
    Propagate,
}

/// How an app that somebody waits for has ended.
pub(crate) struct Finished {
    pub(crate) outcome: Outcome,
    pub(crate) app: Box<App>,
}

/// The apps that share one reactor.
///
/// Callbacks reach it with [`Context::apps`], the reactor's owner with [`Reactor::apps`](crate::Reactor::apps).
pub struct Apps {
    pub(crate) env: Env,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) schedule: Schedule,
    /// Apps with unwritten output.
    pub(crate) dirty: Vec<AppId>,
    /// Apps that need a look for another reason: just added, or a close was asked for.
    pub(super) waiting: Vec<AppId>,
    /// Apps whose reading stopped early.
    pub(super) runnable: VecDeque<AppId>,
    pub(super) removals: Vec<AppId>,
    pub(super) stopping: bool,
    /// Asked to close all apps; the turn begins with that.
    pub(super) draining: bool,
    /// The reactor stops when all apps have ended, or else at this time.
    pub(super) stop_at: Option<Instant>,
    /// The last turn has stopped the apps.
    pub(super) stopped: bool,
    pub(super) in_turn: bool,
    /// What the host was told to wait for, if it calls `turn` itself; who waits with the reactor asks before it sleeps.
    pub(super) told: Option<Next>,
    /// The app whose callback is running, the innermost one where [`with`](Self::with) is at work.
    pub(super) running: Option<AppId>,
    /// The app that is running was removed.
    pub(super) interrupted: bool,
    /// A panic that goes on when the turn has ended.
    pub(super) panic: Option<Box<dyn Any + Send>>,
    pub(super) resolver: Box<dyn Resolver>,
    pub(super) connector: Box<dyn Connector>,
    pub(super) panic_policy: PanicPolicy,
    pub(super) finished: Option<Finished>,
    /// For connections over TLS.
    pub(super) shared: Shared,
    slots: Slab<Slot>,
    sources: Slab<(u32, AppId)>,
    generation: u32,
    pub(super) queries: u64,
}

impl Apps {
    pub(super) fn new(
        env: Env,
        inbox: Arc<Inbox>,
        resolver: Box<dyn Resolver>,
        connector: Box<dyn Connector>,
    ) -> Self {
        Self {
            env,
            inbox,
            schedule: Schedule::default(),
            dirty: Vec::new(),
            waiting: Vec::new(),
            runnable: VecDeque::new(),
            removals: Vec::new(),
            stopping: false,
            draining: false,
            stop_at: None,
            stopped: false,
            in_turn: false,
            told: None,
            running: None,
            interrupted: false,
            panic: None,
            resolver,
            connector,
            panic_policy: PanicPolicy::default(),
            finished: None,
            shared: Shared::default(),
            slots: Slab::new(),
            sources: Slab::new(),
            generation: 0,
            queries: 0,
        }
    }

    /// Adds an app, which begins to connect in the next turn.
    ///
    /// # Errors
    /// An [`Error`] about the URL, a header or an option. There was no I/O, and no callback is called.
    pub fn add(&mut self, mut app: WebSocketApp, options: &RunOptions) -> Result<AppId, Error> {
        Ok(self.insert(app.build(options)?))
    }

    pub(crate) fn insert(&mut self, app: Box<App>) -> AppId {
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        let entry = self.slots.vacant_entry();
        let id = AppId { slot: u32::try_from(entry.key()).unwrap_or(u32::MAX), generation };
        if let Some(outbox) = &app.control.outbox {
            outbox.shared().attach(self.inbox.clone(), id, app.control.limit);
        }
        entry.insert(Slot { generation, app: Some(app), removed: false });
        self.waiting.push(id);
        self.call_host();
        id
    }

    /// Ends an app at once and silently: no closing handshake, no further callback. Whether it was there.
    pub fn remove(&mut self, id: AppId) -> bool {
        let Some(slot) = self.slot(id) else { return false };
        if slot.removed {
            return false;
        }
        slot.removed = true;
        self.interrupted |= self.running == Some(id);
        self.removals.push(id);
        self.call_host();
        true
    }

    /// Calls `work` with the [`Context`] of another app, to send to a peer for instance. `None` when that app has ended, or when it is
    /// the one whose callback is running: use its own context.
    pub fn with<R>(&mut self, id: AppId, work: impl FnOnce(&mut Context<'_>) -> R) -> Option<R> {
        let app = self.take(id)?;
        let running = self.running.replace(id);
        let mut lent = Lent { apps: self, id, app: Some(app), running };
        let app = lent.app.as_mut()?;
        let (_, mut context) = app.split(id, lent.apps);
        Some(work(&mut context))
    }

    /// Ends all apps now, at the end of the turn: each open connection is sent a close frame with code 1001 if its socket takes it, and each
    /// app gets `on_close`, but for those that wait to connect again, whose last attempt has had it. `run` returns. Apps that are added meanwhile stay for the next run.
    pub fn stop(&mut self) {
        self.stopping = true;
        self.call_host();
    }

    /// Closes all apps with code 1001, and stops when they have ended or, as [`stop`](Self::stop) does, when `timeout` has passed. Apps that
    /// are not open yet, or wait to connect again, end at once, and so do apps that are added meanwhile. Asked again, the earlier time
    /// holds.
    pub fn stop_within(&mut self, timeout: Duration) {
        let at = later(self.env.now, timeout);
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
        self.slots.is_empty()
    }

    /// The apps that have not ended.
    pub fn ids(&self) -> Vec<AppId> {
        self.slots
            .iter()
            .map(|(slot, entry)| AppId { slot: slot as u32, generation: entry.generation })
            .collect()
    }

    /// A handle for other threads.
    pub fn handle(&self) -> ReactorHandle {
        ReactorHandle(self.inbox.clone())
    }

    /// The app is looked at before the turn ends, or in the next.
    pub(crate) fn attend(&mut self, id: AppId) {
        self.waiting.push(id);
    }

    /// What the reactor waits for.
    pub(super) fn next(&self) -> Next {
        let again = !(self.runnable.is_empty()
            && self.waiting.is_empty()
            && self.dirty.is_empty()
            && self.removals.is_empty())
            || self.stopping
            || self.draining
            || self.inbox.has_jobs();
        Next::new([self.schedule.next(), self.stop_at].into_iter().flatten().min(), again)
    }

    /// After a change outside of a turn: wakes the host if it would sleep over it.
    fn call_host(&self) {
        let Some(told) = self.told.filter(|_| !self.in_turn) else { return };
        let next = self.next();
        let sooner = |at| told.deadline.is_none_or(|known| at < known);
        if next.again || next.deadline.is_some_and(sooner) {
            self.inbox.announce();
        }
    }

    pub(super) fn new_key(&mut self, app: AppId) -> Key {
        self.generation = self.generation.wrapping_add(1);
        let slot = self.sources.insert((self.generation, app));
        Key::new(u32::try_from(slot).unwrap_or(u32::MAX), self.generation)
    }

    pub(super) fn free_key(&mut self, key: Key) {
        if self.owner(key).is_some() {
            self.sources.remove(key.slot());
        }
    }

    pub(super) fn owner(&self, key: Key) -> Option<AppId> {
        self.sources
            .get(key.slot())
            .filter(|(generation, _)| *generation == key.generation())
            .map(|(_, app)| *app)
    }

    pub(super) fn take(&mut self, id: AppId) -> Option<Box<App>> {
        self.slot(id).filter(|slot| !slot.removed)?.app.take()
    }

    /// Takes a removed app out for good, or a running one out of the table.
    pub(super) fn take_removed(&mut self, id: AppId) -> Option<Box<App>> {
        let app = self.slot(id)?.app.take();
        self.slots.remove(id.slot as usize);
        app
    }

    pub(super) fn put_back(&mut self, id: AppId, app: Box<App>) {
        if let Some(slot) = self.slot(id) {
            slot.app = Some(app);
        }
    }

    pub(super) fn is_removed(&self, id: AppId) -> bool {
        self.slots.get(id.slot as usize).is_none_or(|slot| slot.generation != id.generation || slot.removed)
    }

    pub(super) fn tidy_schedule(&mut self) {
        let slots = &self.slots;
        self.schedule.tidy(|entry: &Entry| {
            let slot =
                slots.get(entry.app.slot as usize).filter(|slot| slot.generation == entry.app.generation);
            slot.and_then(|slot| slot.app.as_ref()).is_some_and(|app| match entry.due {
                Due::Deadline => app.control.armed == Some(entry.armed()),
                Due::Timer(timer) => app.control.timers.contains(timer),
            })
        });
    }

    fn slot(&mut self, id: AppId) -> Option<&mut Slot> {
        self.slots.get_mut(id.slot as usize).filter(|slot| slot.generation == id.generation)
    }
}

/// An app in foreign hands; it comes back also when these panic.
struct Lent<'a> {
    apps: &'a mut Apps,
    id: AppId,
    app: Option<Box<App>>,
    /// The app that lends a hand.
    running: Option<AppId>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(app) = self.app.take() {
            app.publish();
            self.apps.put_back(self.id, app);
        }
        self.apps.running = self.running;
        self.apps.interrupted = self.running.is_some_and(|id| self.apps.is_removed(id));
        self.apps.call_host();
    }
}

impl fmt::Debug for Apps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Apps").field("len", &self.len()).finish_non_exhaustive()
    }
}
