//! One turn of the reactor, and what must hold after it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use websocket_app::{AppId, SendError, Sender, State};

use crate::life::Phase;
use crate::seed::{Run, text};
use crate::world::{ON_PURPOSE, World};

/// Turns at one instant of virtual time after which something runs in circles.
const MOST_TURNS: u32 = 1500;
/// The same, of turns in which nothing was done.
const MOST_IDLE_TURNS: u32 = 150;

impl Run<'_> {
    /// One turn, and what must hold after it.
    pub fn turn(&mut self, limit: Duration) {
        let world = self.world;
        world.turn.set(world.turn.get() + 1);
        world.panicked.set(false);
        let done = world.done.get();
        match catch_unwind(AssertUnwindSafe(|| self.reactor.poll(Some(limit)))) {
            Ok(Ok(_)) => {
                let swallowed = self.propagates && world.panicked.get();
                world.expect(!swallowed, || "a panic did not go on".to_owned());
            }
            Ok(Err(error)) => world.breach(format!("the loop broke: {error}")),
            Err(panic) => {
                let right = self.propagates && world.panicked.get() && text(&*panic) == ON_PURPOSE;
                world.expect(right, || format!("a panic: {}", text(&*panic)));
                world.cover("a panic went on");
            }
        }
        world.turn_ends();
        let now = world.now();
        if now != self.instant {
            (self.instant, self.turns, self.idle_turns) = (now, 0, 0);
        }
        self.turns += 1;
        self.idle_turns = if done == world.done.get() { self.idle_turns + 1 } else { 0 };
        if self.turns > MOST_TURNS || self.idle_turns > MOST_IDLE_TURNS {
            world.breach(format!("runs in circles: {} turns, {} of them idle", self.turns, self.idle_turns));
        }
        self.look_at_all();
    }

    /// Each app where its callbacks say that it is.
    fn look_at_all(&mut self) {
        let world = self.world;
        let turn = world.turn.get();
        let ids = self.reactor.apps().ids();
        let count = world.lives.borrow().len();
        let fired = world.fired();
        for me in 0..count {
            let Some(id) = world.life(me, |life| life.id) else { continue };
            let there = ids.contains(&id);
            let wrong = world.life(me, |life| {
                let closed = life.closed.is_some_and(|asked| world.surely(asked.turn.max(life.added)));
                let removed = life.removal.is_some_and(|asked| world.surely(asked.max(life.added)));
                let stopped = life.stopped_by.is_some_and(|by| by <= turn);
                let drained = fired.is_some_and(|asked| life.added < asked);
                match life.phase {
                    Phase::Over | Phase::Removed if there => Some("is still there after its end"),
                    _ if there && removed => Some("was not removed"),
                    _ if there && (stopped || drained) => Some("was not stopped"),
                    Phase::Waiting if there && closed => Some("waits although it was closed"),
                    Phase::Over if !life.ended && life.removal.is_none() => Some("has ended without on_end"),
                    Phase::Over | Phase::Removed => None,
                    _ if !there && life.removal.is_none() => Some("has gone without on_end"),
                    _ if !there && world.may_end_silently(life) => {
                        life.phase = Phase::Over;
                        None
                    }
                    _ if !there => Some("has gone without a word"),
                    _ if life.owes_error.is_some() || life.owes_reconnect => Some("was not told"),
                    _ => None,
                }
            });
            if let Some(wrong) = wrong {
                world.breach(format!("{me} {wrong}: {:?}", world.life(me, |life| life.phase)));
            }
            if there {
                self.look_at(me, id);
            } else if let Some(sender) = world.life(me, |life| life.sender.take()) {
                is_over(world, me, &sender);
            }
        }
        world.forget_drains(fired.is_some() || ids.is_empty());
        let is_left = world.runs.borrow().front().is_some_and(|asked| world.surely(asked.turn));
        world.expect(!is_left || ids.is_empty(), || "a closure of a handle's did not run".to_owned());
    }

    fn look_at(&mut self, me: usize, id: AppId) {
        let world = self.world;
        let (now, turn) = (world.now(), world.turn.get());
        let count = world.lives.borrow().len() as u64;
        let seen = self.reactor.apps().with(id, |app| {
            let retry_at = app.retry_at().map(|at| world.time_of(at));
            (app.state(), app.is_running(), retry_at, app.queued_bytes(), app.attempts())
        });
        let Some((state, running, retry_at, queued, attempts)) = seen else {
            return world.breach(format!("{me} is there and not there"));
        };
        let wires = world.wires.borrow();
        let wrong = world.life(me, |life| {
            match queued {
                0 => life.queued_since = None,
                _ => life.queued_at = now,
            }
            if state == State::Closing {
                // What one turn queues after its writing, the next one writes.
                if life.closing_since.is_some() && queued > 0 {
                    life.closing.left.get_or_insert(now);
                }
                life.closing_since.get_or_insert(now);
            }
            // After a flush, on_drain and what waits for room come in the next turn.
            let waits = life.fragment.is_none()
                && life.promised.front().is_some_and(|promise| world.surely(promise.turn));
            let is_stuck = queued == 0 && (life.owes_drain || waits);
            if !is_stuck {
                life.stuck_since = None;
            }
            let was_stuck = is_stuck && world.surely(*life.stuck_since.get_or_insert(turn));
            let silent = retry_at.is_none() && life.retry_at.is_none();
            let wire = life.wire.and_then(|index| wires.get(&index));
            let is_late = world.is_stuck(life, wire, queued).or_else(|| world.forgotten_timer(life));
            let is_left = life.works.front().is_some_and(|asked| world.surely(asked.turn.max(life.added)));
            match (life.phase, state) {
                _ if !running => Some("is not running".to_owned()),
                _ if attempts.started != life.begun || attempts.opened != life.opened => {
                    Some(format!("counts {attempts:?}"))
                }
                (Phase::Idle | Phase::Trying, State::Connecting) | (Phase::Open, State::Open) if !silent => {
                    Some(format!("retries at {retry_at:?}"))
                }
                (Phase::Waiting, State::Closed) if retry_at != life.retry_at => {
                    Some(format!("retries at {retry_at:?}"))
                }
                _ if is_late.is_some() => is_late,
                _ if is_left => Some("has a closure that did not run".to_owned()),
                (Phase::Idle, _) if world.surely(life.added) => Some("was not started".to_owned()),
                (Phase::Open, State::Open) if life.is_starved(world, count) => {
                    Some(format!("was not told of {} events", life.heard.len()))
                }
                (Phase::Open, State::Open) if was_stuck && life.owes_drain => {
                    Some("did not drain".to_owned())
                }
                (Phase::Open, State::Open) if was_stuck && waits => {
                    Some(format!("sits on {} messages", life.promised.len()))
                }
                (Phase::Open, State::Open) if queued == 0 && !life.direct.is_empty() => {
                    Some(format!("has lost {} messages", life.direct.len()))
                }
                (Phase::Open, State::Open) if life.is_surely_closed(world) => {
                    Some("does not close".to_owned())
                }
                (Phase::Idle | Phase::Trying, State::Connecting) => None,
                (Phase::Open, State::Open | State::Closing) | (Phase::Waiting, State::Closed) => None,
                _ => Some("disagrees".to_owned()),
            }
        });
        drop(wires);
        if let Some(wrong) = wrong {
            world.breach(format!("{me} {wrong}: {:?}, {state:?}", world.life(me, |life| life.phase)));
        }
        let (sender, idle) = world.life(me, |life| (life.sender.clone(), life.promised.is_empty()));
        if let (Some(sender), State::Open, 0, true) = (sender, state, queued, idle) {
            let right = sender.queued_bytes() == 0 && sender.is_open();
            world.expect(right, || format!("{me}: its sender counts {} bytes", sender.queued_bytes()));
        }
    }
}

/// What a sender says of an app that has ended.
fn is_over(world: &World, me: usize, sender: &Sender) {
    let refused = sender.send_text("too late").map_err(|refused| refused.reason);
    let right = refused == Err(SendError::NotOpen(State::Closed))
        && sender.reactor().is_none()
        && sender.queued_bytes() == 0
        && !sender.is_open();
    world.expect(right, || format!("{me}: after the end: {refused:?}, {sender:?}"));
    sender.close();
    sender.run(|_| crate::world::world().breach("a closure of an ended app ran"));
}
