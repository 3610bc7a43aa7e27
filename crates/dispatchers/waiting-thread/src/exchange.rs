//! The protocol between the two threads: there is one dispatcher, and one of them has it.
//!
//! | [`Place`] | who may use the dispatcher | what follows |
//! |---|---|---|
//! | `Host` | the host: it takes a turn or makes changes | the host lends it, or ends |
//! | `Lent` | neither | the waiting thread begins a wait, or the host takes it back |
//! | `Waiting` | the waiting thread, in a wait | the wait returns |
//! | `Back` | neither; a turn is due | the host takes it, for that turn or for changes |
//! | `Gone` | neither; it was dropped | the waiting thread ends |
//!
//! Each end of a wait calls the host once. The host lends the dispatcher after a turn only, so waits never overlap, and no second
//! call comes before the turn that the first one was for. Where the host takes it back outside of a turn, it is called as well: the wait that it gave up
//! has to begin again, and only a turn lends. The host's closure, the dispatcher and its waker are foreign code and run without the lock.

use std::any::Any;
use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

use websocket_dispatcher::{Key, Next, Ready, Wait};

pub(crate) struct Exchange<D> {
    state: Mutex<State<D>>,
    /// Either thread waits for the other here, never both: the host while the other one is in a wait.
    changed: Condvar,
    /// Ends a wait of the dispatcher.
    interrupt: Waker,
}

struct State<D> {
    place: Place<D>,
    /// What the last wait saw, until a turn begins.
    ready: Vec<Ready>,
    /// What went wrong on the waiting thread, until a turn ends.
    failure: Option<Failure>,
    /// A wake came since a turn began.
    woken: bool,
    /// A turn is due that the host was not called for.
    must_call: bool,
    /// The waiting thread is in the host's closure.
    is_calling: bool,
    /// The host is called no more.
    is_ending: bool,
}

enum Place<D> {
    Host,
    Lent(Box<D>, Next),
    Waiting,
    Back(Box<D>),
    Gone,
}

pub(crate) enum Failure {
    /// Of the dispatcher's wait.
    Error(io::Error),
    /// Of the dispatcher's wait or the host's closure.
    Panic(Box<dyn Any + Send>),
}

/// What the waiting thread does next.
enum Job<D> {
    Wait(Box<D>, Next),
    Call,
    Sleep,
    End,
}

impl<D> State<D> {
    fn job(&mut self) -> Job<D> {
        match mem::replace(&mut self.place, Place::Waiting) {
            Place::Lent(dispatcher, next) => return Job::Wait(dispatcher, next),
            place => self.place = place,
        }
        match self.place {
            Place::Gone => Job::End,
            _ if !self.is_ending && mem::take(&mut self.must_call) => Job::Call,
            _ => Job::Sleep,
        }
    }

    /// Of two failures, the host gets the first.
    fn fail(&mut self, failure: Failure) {
        self.failure.get_or_insert(failure);
    }
}

impl<D> Exchange<D> {
    /// Begins with the host, for which the first turn is due. `interrupt` is the dispatcher's waker.
    pub(crate) fn new(interrupt: Waker) -> Self {
        let state = State {
            place: Place::Host,
            ready: Vec::new(),
            failure: None,
            woken: false,
            must_call: true,
            is_calling: false,
            is_ending: false,
        };
        Self { state: Mutex::new(state), changed: Condvar::new(), interrupt }
    }

    fn lock(&self) -> MutexGuard<'_, State<D>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sleep<'a>(&self, state: MutexGuard<'a, State<D>>) -> MutexGuard<'a, State<D>> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a turn of the host, if one is due: appends what was seen to `ready`, and puts the dispatcher into `held` unless it is there.
    pub(crate) fn begin_turn(&self, held: &mut Option<Box<D>>, ready: &mut Vec<Ready>) -> bool {
        let mut state = self.lock();
        match mem::replace(&mut state.place, Place::Host) {
            Place::Host => {}
            Place::Back(dispatcher) => *held = Some(dispatcher),
            place => {
                state.place = place;
                return false;
            }
        }
        ready.append(&mut state.ready);
        (state.woken, state.must_call) = (false, false);
        true
    }

    /// Takes the dispatcher back for a change of the host outside of a turn, which ends a wait.
    pub(crate) fn take_back(&self) -> Box<D> {
        let mut state = self.end_wait(self.lock());
        match mem::replace(&mut state.place, Place::Host) {
            Place::Back(dispatcher) => dispatcher,
            Place::Lent(dispatcher, _) => {
                state.must_call = true;
                self.changed.notify_all();
                dispatcher
            }
            Place::Host | Place::Waiting | Place::Gone => unreachable!("only what was lent is taken back"),
        }
    }

    fn end_wait<'a>(&'a self, mut state: MutexGuard<'a, State<D>>) -> MutexGuard<'a, State<D>> {
        if matches!(state.place, Place::Waiting) {
            drop(state);
            self.interrupt.wake_by_ref();
            state = self.lock();
        }
        while matches!(state.place, Place::Waiting) {
            state = self.sleep(state);
        }
        state
    }

    /// Forgets what was seen of a stream that is gone.
    pub(crate) fn forget(&self, key: Key) {
        self.lock().ready.retain(|ready| ready.key != key);
    }

    /// Has the thread wait with `dispatcher` until `next` is due.
    pub(crate) fn lend(&self, dispatcher: Box<D>, next: Next) {
        self.lock().place = Place::Lent(dispatcher, next);
        self.changed.notify_all();
    }

    /// What went wrong since this was last asked.
    pub(crate) fn take_failure(&self) -> Option<Failure> {
        self.lock().failure.take()
    }

    /// Ends the waiting thread, without another call. Returns the dispatcher, unless the host has it, and whether the thread may be joined: not
    /// while it is in the host's closure, which may wait for the host.
    pub(crate) fn end(&self) -> (Option<Box<D>>, bool) {
        let mut state = self.lock();
        state.is_ending = true;
        let mut state = self.end_wait(state);
        let place = mem::replace(&mut state.place, Place::Gone);
        self.changed.notify_all();
        let may_join = !state.is_calling;
        match place {
            Place::Lent(dispatcher, _) | Place::Back(dispatcher) => (Some(dispatcher), may_join),
            Place::Host | Place::Waiting | Place::Gone => (None, may_join),
        }
    }

    /// Is the waiting thread: `call` wakes the host.
    pub(crate) fn run(&self, mut call: impl FnMut())
    where
        D: Wait,
    {
        let mut state = self.lock();
        loop {
            state = match state.job() {
                Job::Wait(dispatcher, next) => self.wait(state, dispatcher, next),
                Job::Call => self.call(state, &mut call),
                Job::Sleep => self.sleep(state),
                Job::End => return,
            };
        }
    }

    fn wait<'a>(
        &'a self,
        mut state: MutexGuard<'a, State<D>>,
        mut dispatcher: Box<D>,
        next: Next,
    ) -> MutexGuard<'a, State<D>>
    where
        D: Wait,
    {
        let only_look = next.again || state.woken;
        let mut ready = mem::take(&mut state.ready);
        drop(state);
        let waited = catch_unwind(AssertUnwindSafe(|| {
            let deadline = if only_look { Some(dispatcher.now()) } else { next.deadline };
            dispatcher.wait(deadline, &mut ready)
        }));
        let mut state = self.lock();
        match waited {
            Ok(Ok(())) => {}
            Ok(Err(error)) => state.fail(Failure::Error(error)),
            Err(panic) => state.fail(Failure::Panic(panic)),
        }
        state.ready = ready;
        state.must_call = true;
        state.place = Place::Back(dispatcher);
        self.changed.notify_all();
        state
    }

    fn call<'a>(
        &'a self,
        mut state: MutexGuard<'a, State<D>>,
        call: &mut impl FnMut(),
    ) -> MutexGuard<'a, State<D>> {
        state.is_calling = true;
        drop(state);
        let called = catch_unwind(AssertUnwindSafe(call));
        let mut state = self.lock();
        state.is_calling = false;
        if let Err(panic) = called {
            log::error!(target: "websocket::dispatcher", "the closure that wakes the host panicked");
            state.fail(Failure::Panic(panic));
        }
        state
    }
}

/// A wake is for the next turn, whichever thread has the dispatcher.
impl<D: Send> Wake for Exchange<D> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut state = self.lock();
        let is_first = !mem::replace(&mut state.woken, true);
        let is_waiting = matches!(state.place, Place::Waiting);
        drop(state);
        if is_first && is_waiting {
            self.interrupt.wake_by_ref();
        }
    }
}
