//! The host's end: the dispatcher while the host has it, and its turns.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::panic::resume_unwind;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::thread::JoinHandle;

use websocket_dispatcher::{Key, MioDispatcher, Next, Ready};

use crate::exchange::{Exchange, Failure};

/// Takes the turns of a reactor on a [`WaitingThread`](crate::WaitingThread), on the host's thread. Clones drive the same reactor.
pub struct Driver<D = MioDispatcher>(Weak<HostEnd<D>>);

impl<D> Driver<D> {
    pub(crate) fn new(end: &Rc<HostEnd<D>>) -> Self {
        Self(Rc::downgrade(end))
    }

    /// Takes a turn by `turn`, which is `reactor.turn`, if one is due; then the thread waits again.
    ///
    /// Call it when the host was woken. At any other time it does no harm: it does nothing while the thread still waits, inside a turn, and
    /// when the dispatcher is gone.
    ///
    /// # Errors
    /// What the wait before the turn failed with, after that turn: the event loop of the dispatcher inside is broken, and
    /// `reactor.apps().stop()` ends the apps with `on_close`. The thread waits again, so a host that carries on gets the error of each wait.
    ///
    /// # Panics
    /// When `turn` does: the host is then woken for another turn. And after a turn when the dispatcher's wait has panicked, or the closure
    /// that wakes the host; without that call, a host that sleeps takes this turn only when it calls unasked.
    pub fn turn(&self, turn: impl FnOnce(&[Ready]) -> Next) -> io::Result<()> {
        let Some(end) = self.0.upgrade() else { return Ok(()) };
        let Ok(mut ready) = end.ready.try_borrow_mut() else { return Ok(()) };
        ready.clear();
        if !end.begin_turn(&mut ready) {
            return Ok(());
        }
        let mut lending = Lending { end: &end, next: Next::new(None, true) };
        lending.next = turn(&ready);
        let failure = end.exchange.take_failure();
        drop(lending);
        match failure {
            None => Ok(()),
            Some(Failure::Error(error)) => Err(error),
            Some(Failure::Panic(panic)) => resume_unwind(panic),
        }
    }
}

impl<D> Clone for Driver<D> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<D> fmt::Debug for Driver<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Driver")
    }
}

/// What dispatcher and driver share. The dispatcher is the only owner.
pub(crate) struct HostEnd<D> {
    exchange: Arc<Exchange<D>>,
    /// Absent while it is lent.
    dispatcher: RefCell<Option<Box<D>>>,
    /// What the turn is given. Borrowed where none may begin.
    ready: RefCell<Vec<Ready>>,
    thread: RefCell<Option<JoinHandle<()>>>,
}

impl<D> HostEnd<D> {
    pub(crate) fn new(exchange: Arc<Exchange<D>>, dispatcher: D, thread: JoinHandle<()>) -> Rc<Self> {
        Rc::new(Self {
            exchange,
            dispatcher: RefCell::new(Some(Box::new(dispatcher))),
            ready: RefCell::default(),
            thread: RefCell::new(Some(thread)),
        })
    }

    /// Whether a turn is due; the dispatcher is here then. Not inside a change, which may drop one of the user's streams.
    fn begin_turn(&self, ready: &mut Vec<Ready>) -> bool {
        let Ok(mut held) = self.dispatcher.try_borrow_mut() else { return false };
        self.exchange.begin_turn(&mut held, ready)
    }

    /// Makes a change. Outside of a turn that ends a wait, and the turn that follows begins another.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut D) -> R) -> R {
        change(self.dispatcher.borrow_mut().get_or_insert_with(|| self.exchange.take_back()))
    }

    /// Forgets what was seen of a stream that is gone.
    pub(crate) fn forget(&self, key: Key) {
        self.exchange.forget(key);
    }

    /// Drops the dispatcher, and ends its thread.
    pub(crate) fn close(&self) {
        let held = self.dispatcher.take();
        let (lent, may_join) = self.exchange.end();
        drop((held, lent));
        let thread = self.thread.take().filter(|_| may_join);
        // It catches what panics in it.
        let _ended = thread.map(JoinHandle::join);
    }
}

/// Lends the dispatcher when a turn has ended. One that panics has not said what is next.
struct Lending<'a, D> {
    end: &'a HostEnd<D>,
    next: Next,
}

impl<D> Drop for Lending<'_, D> {
    fn drop(&mut self) {
        // None when the turn has dropped it.
        if let Some(dispatcher) = self.end.dispatcher.take() {
            self.end.exchange.lend(dispatcher, self.next);
        }
    }
}
