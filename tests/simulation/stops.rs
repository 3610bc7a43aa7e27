//! Stops of the reactor: asked for in a callback or by a handle, at once or with time for the apps to close.

use std::time::Duration;

use websocket_app::{ReactorHandle, Sender};

use crate::world::{World, world};

/// The reactor was asked to stop at once.
#[derive(Clone, Copy, Debug)]
pub struct Stop {
    /// The turn by whose end it was done; `None` while it waits.
    done: Option<u64>,
}

/// The reactor was asked to stop when all apps have ended, or at a certain time.
#[derive(Clone, Copy, Debug)]
pub struct Drain {
    asked: u64,
    timeout: Duration,
    /// The earliest time that it may have set.
    not_before: Duration,
    /// The turn by whose end it was heard, and the time that it has set then; `None` while it waits.
    heard: Option<(u64, Duration)>,
    /// The reactor may have stopped meanwhile, and so forgotten it.
    faint: bool,
}

impl World {
    /// The user stops the reactor in a callback.
    pub fn stops(&self) {
        let turn = self.turn.get();
        self.stops.borrow_mut().push(Stop { done: Some(turn) });
        self.stop_all(turn, turn);
    }

    /// The user stops the reactor from elsewhere.
    pub fn stops_from_afar(&self, sender: &Sender) {
        let reactor = sender.reactor();
        sender.stop();
        let Some(reactor) = reactor else { return };
        let asked = self.turn.get();
        let index = self.stops.borrow().len();
        self.stops.borrow_mut().push(Stop { done: None });
        // It comes right behind.
        self.run_by(&reactor, move |_| {
            let world = world();
            let turn = world.turn.get();
            world.stops.borrow_mut()[index].done = Some(turn);
            world.stop_all(asked, turn);
        });
    }

    fn stop_all(&self, asked: u64, by: u64) {
        for life in self.lives.borrow_mut().iter_mut().filter(|life| life.added < asked) {
            life.stopped_by = Some(life.stopped_by.map_or(by, |earlier| earlier.min(by)));
        }
        self.cover("stopped");
    }

    /// The user stops the reactor within `timeout` in a callback.
    pub fn drains(&self, timeout: Duration) {
        let asked = self.turn.get();
        let not_before = self.now() + timeout;
        let heard = Some((asked, not_before));
        self.drains.borrow_mut().push(Drain { asked, timeout, not_before, heard, faint: false });
        self.may_close_within_default();
        self.cover("drained");
    }

    /// The user stops the reactor within `timeout` from elsewhere.
    pub fn drains_from_afar(&self, sender: &Sender, timeout: Duration) {
        let reactor = sender.reactor();
        sender.stop_within(timeout);
        let Some(reactor) = reactor else { return };
        let (asked, not_before) = (self.turn.get(), self.now() + timeout);
        self.drains.borrow_mut().push(Drain { asked, timeout, not_before, heard: None, faint: false });
        self.may_close_within_default();
        self.run_by(&reactor, move |_| {
            let world = world();
            let heard = Some((world.turn.get(), world.now() + timeout));
            let is_it = |drain: &&mut Drain| {
                drain.asked == asked && drain.timeout == timeout && drain.heard.is_none()
            };
            world
                .drains
                .borrow_mut()
                .iter_mut()
                .find(is_it)
                .into_iter()
                .for_each(|drain| drain.heard = heard);
        });
        self.cover("drained");
    }

    /// Any app may be closed with its own timeout from now on.
    fn may_close_within_default(&self) {
        let now = self.now();
        self.lives.borrow_mut().iter_mut().for_each(|life| life.closes_within(now, life.settings.close));
    }

    /// Has `work` run on the loop by way of a handle.
    pub fn run_by(
        &self,
        reactor: &ReactorHandle,
        work: impl FnOnce(&mut websocket_app::Apps) + Send + 'static,
    ) {
        self.runs.borrow_mut().push_back(self.ask(false));
        self.pace.request();
        self.pace.closures.set(self.pace.closures.get() + 1);
        reactor.run(move |apps| {
            let world = world();
            world.runs.borrow_mut().pop_front();
            work(apps);
        });
    }

    /// Whether the reactor is surely ending all apps, and has been since before `turn`.
    pub fn drains_since_before(&self, turn: u64) -> bool {
        // Other callbacks may have come between it and what tells here that it was heard.
        let is_heard = |drain: &Drain| {
            !drain.faint
                && self.now() < drain.not_before
                && drain.heard.is_some_and(|(heard, _)| heard < turn)
        };
        self.drains.borrow().iter().any(is_heard)
    }

    /// Whether the reactor may be ending all apps now.
    pub fn may_stop(&self) -> bool {
        !self.drains.borrow().is_empty() || self.may_be_cut()
    }

    /// Whether the reactor may end all apps in this turn, and leave what else there is to do.
    pub fn may_be_cut(&self) -> bool {
        let turn = self.turn.get();
        self.stops.borrow().iter().any(|stop| stop.done.is_none_or(|done| done >= turn))
    }

    /// Of the drains whose time was over when the turn began, the last turn in which one was asked for.
    pub fn fired(&self) -> Option<u64> {
        let (turn, began) = (self.turn.get(), self.pace.turn_began());
        let is_due = |drain: &&Drain| {
            !drain.faint && drain.heard.is_some_and(|(heard, at)| heard <= turn && at <= began)
        };
        self.drains.borrow().iter().filter(is_due).map(|drain| drain.asked).max()
    }

    /// The turn is over, which has ended all apps if `is_over`. What the reactor may have forgotten by that is not relied on.
    pub fn forget_drains(&self, is_over: bool) {
        let (turn, began, now) = (self.turn.get(), self.pace.turn_began(), self.now());
        let mut drains = self.drains.borrow_mut();
        let is_over = is_over || self.may_be_cut() || drains.iter().any(|drain| drain.not_before <= now);
        drains.retain(|drain| drain.heard.is_none_or(|(heard, at)| heard > turn || at > began));
        drains.iter_mut().for_each(|drain| drain.faint |= is_over && drain.asked <= turn);
    }
}
