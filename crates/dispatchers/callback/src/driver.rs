//! What the host calls, and when the reactor takes its turns.

use std::cell::{Cell, RefCell};
use std::mem;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};
use std::time::Instant;

use websocket_dispatcher::{Key, Next, Ready};

use crate::Host;

/// What the callbacks of the host call, on the thread of the dispatcher. Clones drive the same reactor.
///
/// When the dispatcher is gone, it does nothing.
#[derive(Clone)]
pub struct Driver(Weak<Core>);

impl Driver {
    pub(crate) fn new(core: &Rc<Core>) -> Self {
        Self(Rc::downgrade(core))
    }

    /// Notes that the stream `key` may be ready to read, to write, or both. What is broken or has hung up is
    /// both.
    ///
    /// Nothing happens to the apps before the [turn](Self::turn). A key that is watched no more does no harm.
    pub fn ready(&self, key: u64, readable: bool, writable: bool) {
        let Some(core) = self.0.upgrade() else { return };
        let key = Key::from_u64(key);
        let mut noted = core.noted.borrow_mut();
        // A level-triggered loop that runs inside a turn reports the same repeatedly.
        let in_turn = core.ready.try_borrow().is_err();
        if let Some(known) = noted.iter_mut().find(|known| in_turn && known.key == key) {
            known.readable |= readable;
            known.writable |= writable;
        } else {
            noted.push(Ready::new(key, readable, writable));
        }
    }

    /// Notes that the deadline has passed. The turn then sets the next one. Too early does no harm.
    pub fn deadline_passed(&self) {
        if let Some(core) = self.0.upgrade() {
            core.deadline_passed.set(true);
            core.armed.set(None);
        }
    }

    /// Takes a turn by `turn`, which is `reactor.turn`, if something was noted or a wake came; then sets the
    /// host's deadline.
    ///
    /// Does nothing inside a turn or a function of the host.
    pub fn turn(&self, turn: impl FnOnce(&[Ready]) -> Next) {
        let Some(core) = self.0.upgrade() else { return };
        let Ok(mut ready) = core.ready.try_borrow_mut() else { return };
        if !core.is_due() {
            return;
        }
        core.deadline_passed.set(false);
        // Before the turn, which sees all that came before a wake that found the bell rung.
        core.bell.rung.swap(false, Ordering::AcqRel);
        // Not after the turn, which may panic.
        ready.clear();
        mem::swap(&mut *ready, &mut *core.noted.borrow_mut());
        let unfinished = Unfinished(&core);
        let next = turn(&ready);
        mem::forget(unfinished);
        core.finish(next);
    }
}

/// What dispatcher and driver share. The dispatcher is the only owner.
pub(crate) struct Core {
    host: Box<dyn Host>,
    bell: Arc<Bell>,
    noted: RefCell<Vec<Ready>>,
    /// What the turn is given. Borrowed where none may begin.
    ready: RefCell<Vec<Ready>>,
    deadline_passed: Cell<bool>,
    /// What the host's deadline is set to.
    armed: Cell<Option<Instant>>,
    closed: Cell<bool>,
}

/// Rings once for each turn.
struct Bell {
    rung: AtomicBool,
    ring: Box<dyn Fn() + Send + Sync>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            (self.ring)();
        }
    }
}

impl Core {
    /// The first turn is due at once, for the apps that are there before the loop runs.
    pub(crate) fn new(host: Box<dyn Host>, ring: Box<dyn Fn() + Send + Sync>) -> Rc<Self> {
        let core = Rc::new(Self {
            host,
            bell: Arc::new(Bell { rung: AtomicBool::new(false), ring }),
            noted: RefCell::default(),
            ready: RefCell::default(),
            deadline_passed: Cell::new(true),
            armed: Cell::new(None),
            closed: Cell::new(false),
        });
        core.arm(Some(Instant::now()));
        core
    }

    pub(crate) fn waker(&self) -> Waker {
        self.bell.clone().into()
    }

    /// Calls a function of the host. No turn begins inside.
    pub(crate) fn call<R>(&self, call: impl FnOnce(&dyn Host) -> R) -> R {
        let _no_turn = self.ready.try_borrow_mut();
        call(&*self.host)
    }

    fn is_due(&self) -> bool {
        self.deadline_passed.get()
            || !self.noted.borrow().is_empty()
            || self.bell.rung.load(Ordering::Acquire)
    }

    fn finish(&self, next: Next) {
        let now = || Some(Instant::now());
        self.arm(if next.again { now() } else { next.deadline });
        // What the host has noted meanwhile may never come again, and a round inside the turn may have
        // answered the bell.
        if !next.again && self.is_due() {
            self.arm(now());
        }
    }

    fn arm(&self, deadline: Option<Instant>) {
        if !self.closed.get() && self.armed.replace(deadline) != deadline {
            self.call(|host| host.set_deadline(deadline));
        }
    }

    /// The dispatcher is gone.
    pub(crate) fn close(&self) {
        self.arm(None);
        self.closed.set(true);
        // Late wakes find it rung.
        self.bell.rung.store(true, Ordering::Release);
    }
}

/// A turn that panics has not said what is next.
struct Unfinished<'a>(&'a Core);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.0.deadline_passed.set(true);
        // Again, if it has rung during the turn: a round inside that may have answered it.
        self.0.bell.rung.store(false, Ordering::Release);
        self.0.bell.wake_by_ref();
    }
}
