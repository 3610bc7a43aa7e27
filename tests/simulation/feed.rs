//! What users of feeds do: another connection on demand, pauses of reading; and the end of a run.

use std::time::Duration;

use websocket_app::{Context, Outcome, State};

use crate::actions::add;
use crate::life::Phase;
use crate::server::PAUSES;
use crate::world::{Callback, World};

/// Asks for another connection.
pub fn reconnect(world: &World, app: &mut Context<'_>, me: usize) {
    let was = app.state();
    world.log(|| format!("{me}: asks for another connection when {was:?}"));
    app.reconnect("on purpose");
    let is_open = was == State::Open;
    let after = if is_open { State::Closing } else { was };
    world.expect(app.state() == after, || format!("{me}: dropped when {was:?}, then {:?}", app.state()));
    world.life(me, |life| {
        if is_open && life.phase == Phase::Open && life.failure.is_none() {
            life.dropping = true;
            life.owes_reconnect = false;
            life.codes.push(Some(1001));
        }
    });
    world.cover(&format!("asked to reconnect while {}", world.step(me)));
}

/// Pauses reading, for a while.
pub fn pause(world: &World, app: &mut Context<'_>, me: usize) {
    if app.state() != State::Open || world.life(me, |life| life.phase != Phase::Open) {
        return app.pause_reading();
    }
    world.log(|| format!("{me}: pauses"));
    world.cover("paused");
    app.pause_reading();
    forgive(world, me);
    world.life(me, |life| (life.paused, life.was_paused) = (true, true));
    let after = Duration::from_millis(world.dice.pick(&PAUSES));
    let alive = world.alive.clone();
    app.set_timeout(after, move |app| {
        let _held = &alive;
        let world = crate::world::world();
        world.arrive(app, me, Callback::Timer);
        resume(&world, app, me);
    });
}

/// Reads again.
pub fn resume(world: &World, app: &mut Context<'_>, me: usize) {
    world.log(|| format!("{me}: resumes"));
    app.resume_reading();
    if !world.life(me, |life| std::mem::replace(&mut life.paused, false)) {
        return;
    }
    world.cover("resumed");
    forgive(world, me);
    world.life(me, |life| {
        life.resumed_at = world.now();
        (life.resumed_in, life.delivered_in) = (world.turn.get(), world.turn.get());
    });
}

/// No ping that was written so far needs an answer.
fn forgive(world: &World, me: usize) {
    let index = world.life(me, |life| life.wire);
    let mut wires = world.wires.borrow_mut();
    if let Some(wire) = index.and_then(|index| wires.get_mut(&index)) {
        wire.forgive();
    }
}

impl World {
    /// `on_end`
    pub fn run_ended(&self, app: &mut Context<'_>, me: usize, outcome: &Outcome) {
        self.something_done();
        self.calls(me, Callback::End);
        self.log(|| format!("{me}: on_end ({:?}): {outcome:?}", app.state()));
        let is_over = app.state() == State::Closed && !app.is_running() && app.retry_at().is_none();
        let wrong = self.life(me, |life| match life.phase {
            _ if std::mem::replace(&mut life.ended, true) => Some("for a second time"),
            _ if !is_over => Some("of an app that is running"),
            _ if life.owes_error.is_some() || life.owes_reconnect => Some("although another callback is due"),
            Phase::Over => None,
            Phase::Waiting if self.may_end_silently(life) => {
                life.phase = Phase::Over;
                None
            }
            _ => Some("out of turn"),
        });
        if let Some(wrong) = wrong {
            self.breach(format!("{me}: on_end {wrong}: {:?}", self.life(me, |life| life.phase)));
        }
        self.cover(match outcome {
            Outcome::Lost(_) => "a run ended: lost",
            Outcome::Stopped => "a run ended: stopped",
            _ => "a run ended: cleanly",
        });
        self.dawdle(Some(me), Callback::End);
        if self.dice.one_in(8) {
            add(self, app.apps());
        }
    }
}
