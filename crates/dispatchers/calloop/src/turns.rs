//! When the reactor takes its turns.

use std::cell::{Cell, OnceCell, RefCell};
use std::io;
use std::mem;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use calloop::ping::{Ping, make_ping};
use calloop::timer::{TimeoutAction, Timer};
use calloop::{LoopHandle, RegistrationToken};
use websocket_dispatcher::{Next, Ready};

type Turn<'l, State> = Box<dyn FnMut(&mut State, &[Ready]) -> Next + 'l>;

/// The sources that are not streams, and what was seen since the last turn.
///
/// The dispatcher is the only owner: callbacks that the loop still holds find nothing when it is gone.
pub(crate) struct Turns<'l, State> {
    handle: LoopHandle<'l, State>,
    bell: Arc<Bell>,
    ping: OnceCell<RegistrationToken>,
    timer: OnceCell<(calloop::Dispatcher<'l, Timer, State>, RegistrationToken)>,
    seen: RefCell<Vec<Ready>>,
    /// The turn and the observations that it is given.
    turn: RefCell<(Turn<'l, State>, Vec<Ready>)>,
    /// An idle callback is to take the turn.
    scheduled: Cell<bool>,
}

/// Rings once until the loop has heard it.
struct Bell {
    rung: AtomicBool,
    ping: Ping,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            self.ping.ping();
        }
    }
}

impl<'l, State: 'l> Turns<'l, State> {
    pub(crate) fn new(handle: LoopHandle<'l, State>, turn: Turn<'l, State>) -> io::Result<Rc<Self>> {
        let (ping, pinged) = make_ping()?;
        let this = Rc::new(Self {
            handle,
            bell: Arc::new(Bell { rung: AtomicBool::new(false), ping }),
            ping: OnceCell::new(),
            timer: OnceCell::new(),
            seen: RefCell::default(),
            turn: RefCell::new((turn, Vec::new())),
            scheduled: Cell::new(false),
        });
        let turns = Rc::downgrade(&this);
        // Due at once, for the apps that are there before the loop runs.
        let timer = calloop::Dispatcher::new(Timer::immediate(), move |deadline, _, _| {
            if let Some(turns) = turns.upgrade() {
                turns.schedule();
            }
            // Until the turn sets the next one; if it does not come in this round, it must in the next.
            TimeoutAction::ToInstant(deadline)
        });
        let token = this.handle.register_dispatcher(timer.clone())?;
        this.timer.get_or_init(|| (timer, token));
        let turns = Rc::downgrade(&this);
        let token = this.handle.insert_source(pinged, move |(), _, _| {
            if let Some(turns) = turns.upgrade() {
                turns.woken();
            }
        });
        let token = token.map_err(|refused| refused.error)?;
        this.ping.get_or_init(|| token);
        Ok(this)
    }

    pub(crate) fn note(self: &Rc<Self>, ready: Ready) {
        self.seen.borrow_mut().push(ready);
        self.schedule();
    }

    fn woken(self: &Rc<Self>) {
        // Before the turn, which sees all that came before a wake that found the bell rung.
        self.bell.rung.swap(false, Ordering::AcqRel);
        // The ping is used up, so if a callback panics before the turn, the next round must not sleep.
        self.arm(Some(Instant::now()));
        self.schedule();
    }

    /// Has the turn taken when this round's events are handled.
    fn schedule(self: &Rc<Self>) {
        if !self.scheduled.replace(true) {
            let scheduled = Scheduled(Rc::downgrade(self));
            self.handle.insert_idle(move |state| scheduled.run(state));
        }
    }
}

impl<'l, State> Turns<'l, State> {
    pub(crate) fn handle(&self) -> &LoopHandle<'l, State> {
        &self.handle
    }

    pub(crate) fn waker(&self) -> Waker {
        self.bell.clone().into()
    }

    fn turn(&self, state: &mut State) {
        let (turn, ready) = &mut *self.turn.borrow_mut();
        // Not after the turn, which may panic.
        ready.clear();
        mem::swap(ready, &mut *self.seen.borrow_mut());
        let next = turn(state, ready);
        self.arm(if next.again { Some(Instant::now()) } else { next.deadline });
    }

    fn arm(&self, deadline: Option<Instant>) {
        let Some((timer, token)) = self.timer.get() else { return };
        let mut source = timer.as_source_mut();
        if source.current_deadline() == deadline {
            return;
        }
        match deadline {
            Some(deadline) => source.set_deadline(deadline),
            // As calloop says never.
            None => source.set_duration(Duration::MAX),
        }
        drop(source);
        // An error says that the turn has dropped the dispatcher, and the timer with it.
        let _ = self.handle.update(token);
    }
}

impl<State> Drop for Turns<'_, State> {
    fn drop(&mut self) {
        // Late wakes find it rung and write nowhere.
        self.bell.rung.store(true, Ordering::Release);
        let timer = self.timer.get().map(|(_, token)| token);
        for token in [timer, self.ping.get()].into_iter().flatten() {
            self.handle.remove(*token);
        }
    }
}

/// A turn that the loop owes.
struct Scheduled<'l, State>(Weak<Turns<'l, State>>);

impl<State> Scheduled<'_, State> {
    fn run(self, state: &mut State) {
        if let Some(turns) = self.0.upgrade() {
            turns.turn(state);
            turns.scheduled.set(false);
        }
    }
}

impl<State> Drop for Scheduled<'_, State> {
    fn drop(&mut self) {
        // A panic, here or in a callback before: calloop forgets its idle callbacks then.
        if let Some(turns) = self.0.upgrade()
            && turns.scheduled.replace(false)
        {
            turns.bell.wake_by_ref();
        }
    }
}
