//! The loop's side: the handles, and the turns that they lead to.

use std::any::Any;
use std::cell::{Cell, RefCell, RefMut};
use std::io;
use std::os::fd::RawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use libuv::{CheckHandle, HandleTrait as _, IdleHandle, Loop, PollHandle, TimerHandle};
use websocket_dispatcher::{KeyTable, Next, Ready};

use crate::bell::Bell;
use crate::failure;

pub(crate) type Turn = Box<dyn FnMut(&[Ready]) -> Next>;

/// What callbacks, dispatcher and turns have in common. The callbacks hold it until their handles are closed.
///
/// In a round, libuv polls, which collects, then comes the check, which takes the turn, then timers. Whatever
/// wants a turn sets `due`, and what comes after the check keeps the loop awake for the next one.
pub(crate) struct Shared {
    uv: Loop,
    bell: Arc<Bell>,
    check: CheckHandle,
    /// Active while the loop must not sleep.
    idle: IdleHandle,
    timer: TimerHandle,
    /// What the timer is set to.
    deadline: Cell<Option<Instant>>,
    polls: RefCell<KeyTable<PollHandle>>,
    ready: RefCell<Vec<Ready>>,
    due: Rc<Cell<bool>>,
    turn: RefCell<Option<Turn>>,
    panic: RefCell<Option<Box<dyn Any + Send>>>,
    closed: Cell<bool>,
}

impl Shared {
    pub(crate) fn new(uv: &Loop) -> libuv::Result<Rc<Self>> {
        let due = Rc::new(Cell::new(false));
        // Only this one can fail for want of anything but memory.
        let bell = Bell::new(uv, due.clone())?;
        let shared = Rc::new(Self {
            uv: uv.clone(),
            bell,
            check: uv.check()?,
            idle: uv.idle()?,
            timer: uv.timer()?,
            deadline: Cell::new(None),
            polls: RefCell::default(),
            ready: RefCell::default(),
            due,
            turn: RefCell::default(),
            panic: RefCell::default(),
            closed: Cell::new(false),
        });
        let mut check = shared.check;
        let turns = shared.clone();
        check.start(move |_: CheckHandle| turns.take_turn())?;
        Ok(shared)
    }

    pub(crate) fn polls(&self) -> RefMut<'_, KeyTable<PollHandle>> {
        self.polls.borrow_mut()
    }

    pub(crate) fn open(&self, fd: RawFd) -> io::Result<PollHandle> {
        if self.closed.get() {
            return Err(io::Error::other("the dispatcher has left its loop"));
        }
        self.uv.poll(fd).map_err(failure)
    }

    pub(crate) fn saw(&self, ready: Ready) {
        self.ready.borrow_mut().push(ready);
    }

    pub(crate) fn waker(&self) -> Waker {
        self.bell.clone().into()
    }

    pub(crate) fn start(&self, turn: Turn) {
        let former = self.turn.replace(Some(turn));
        drop(former);
        self.waker().wake();
    }

    pub(crate) fn take_panic(&self) -> Option<Box<dyn Any + Send>> {
        self.panic.take()
    }

    /// Ends the turns; what the closure holds is dropped, unless it is running.
    pub(crate) fn end(&self) {
        self.close();
        let turn = self.turn.take();
        drop(turn);
    }

    /// Closes all handles, once.
    pub(crate) fn close(&self) {
        if self.closed.replace(true) {
            return;
        }
        self.bell.close();
        let (mut check, mut idle, mut timer) = (self.check, self.idle, self.timer);
        check.close(());
        idle.close(());
        timer.close(());
        for (_, poll) in self.polls.take().iter() {
            let mut poll = *poll;
            poll.close(());
        }
    }

    /// Called by libuv, so nothing may unwind out of it.
    fn take_turn(self: &Rc<Self>) {
        if self.ready.borrow().is_empty() && !self.due.get() {
            return;
        }
        let Some(mut turn) = self.turn.take() else { return };
        self.due.set(false);
        let mut ready = self.ready.take();
        let next = self.guard(|| turn(&ready));
        // No callback has run in between that could have seen more.
        ready.clear();
        self.ready.replace(ready);
        if self.closed.get() || self.turn.borrow().is_some() {
            self.guard(|| drop(turn));
        } else {
            self.turn.replace(Some(turn));
        }
        if !self.closed.get() {
            // After a panic there may be more to do, once the loop runs again.
            self.mind(next.unwrap_or(Next::new(None, true)));
        }
    }

    /// Keeps a panic for later, when libuv's frames are gone, and ends the loop.
    fn guard<R>(&self, work: impl FnOnce() -> R) -> Option<R> {
        match catch_unwind(AssertUnwindSafe(work)) {
            Ok(done) => Some(done),
            Err(panic) => {
                // Another one that waits already came first.
                self.panic.borrow_mut().get_or_insert(panic);
                self.uv.clone().stop();
                None
            }
        }
    }

    fn mind(self: &Rc<Self>, next: Next) {
        if next.again {
            self.due.set(true);
            self.stay_awake();
        } else {
            let mut idle = self.idle;
            succeeds(idle.stop());
            self.arm(next.deadline);
        }
    }

    fn stay_awake(&self) {
        let mut idle = self.idle;
        succeeds(idle.start(|_: IdleHandle| ()));
    }

    fn arm(self: &Rc<Self>, deadline: Option<Instant>) {
        if self.deadline.replace(deadline) == deadline {
            return;
        }
        let mut timer = self.timer;
        let Some(deadline) = deadline else { return succeeds(timer.stop()) };
        let left = deadline.saturating_duration_since(Instant::now());
        let millis = u64::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        let shared = self.clone();
        // libuv counts from the beginning of the round, which may be long ago, and rounds that down.
        self.uv.clone().update_time();
        succeeds(timer.start(millis.saturating_add(1), 0, move |_: TimerHandle| {
            shared.deadline.set(None);
            shared.due.set(true);
            shared.stay_awake();
        }));
    }
}

/// Starting an open handle with a callback, and stopping it, cannot fail.
fn succeeds(_: libuv::Result<()>) {}
