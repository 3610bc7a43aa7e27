//! What users do, in callbacks and from elsewhere.

use std::time::Duration;

use websocket_app::{Apps, CallbackResult, Close, CloseCode, Context, SendError, Sender, State};

use crate::feed;
use crate::life::{Phase, Timer};
use crate::sending::{fragments, ping, send, send_from_afar};
use crate::server::PAUSES;
use crate::settings::Settings;
use crate::user;
use crate::world::{Callback, World, world};

/// Most apps of a world.
pub const MOST_APPS: usize = 6;

/// Does a few things, or nothing; the result of the callback.
pub fn act(world: &World, app: &mut Context<'_>, me: usize, callback: Callback) -> CallbackResult {
    let is_first = world.dice.one_in(2);
    if is_first {
        world.dawdle(Some(me), callback);
    }
    let result = act_at_once(world, app, me, callback);
    if !is_first {
        world.dawdle(Some(me), callback);
    }
    result
}

fn act_at_once(world: &World, app: &mut Context<'_>, me: usize, callback: Callback) -> CallbackResult {
    let left = world.life(me, |life| life.actions);
    for _ in 0..world.dice.below(3).min(left as usize) {
        world.life(me, |life| life.actions -= 1);
        action(world, app, me);
    }
    if left == 0 {
        return Ok(());
    }
    if world.dice.one_in(400) {
        world.panic(me, callback.name());
    }
    if world.dice.one_in(20) {
        let text = format!("on purpose in {}", callback.name());
        world.returns_error(me, callback, &text);
        return Err(text.into());
    }
    Ok(())
}

pub fn action(world: &World, app: &mut Context<'_>, me: usize) {
    let dice = &world.dice;
    match dice.below(if world.calm { 140 } else { 70 }) {
        0 | 1 => close(world, app, me),
        2 | 3 => close_from_afar(world, &sender(world, app, me), me),
        4 => remove(world, app, me),
        5 => {
            world.log(|| format!("{me}: removal by a sender"));
            world.life(me, |life| life.removal = life.removal.or(Some(world.turn.get())));
            sender(world, app, me).remove();
        }
        6 => stop(world, app, me),
        7 => add(world, app.apps()),
        8 => {
            sender(world, app, me).reactor().into_iter().for_each(|reactor| {
                world.log(|| format!("{me}: uses a handle"));
                let panics = dice.one_in(8);
                world.run_by(&reactor, move |apps| work(apps, panics));
            });
        }
        9..12 => with_another(world, app, me),
        12..18 => set_timer(world, app, me),
        18 => {
            let timer = world.life(me, |life| {
                let last = life.timers.len().checked_sub(1)?;
                Some(life.timers.swap_remove(dice.below(last + 1)))
            });
            if let Some(Timer { id: Some(id), .. }) = timer {
                let cancelled = app.cancel(id);
                world.expect(cancelled, || format!("{me}: a timer to come could not be cancelled"));
            }
        }
        19 => interval(world, app, me),
        20..23 => run_later(world, &sender(world, app, me), me),
        23 => drop(app.flush()),
        24..29 => ping(world, app, me),
        29..33 => fragments(world, app, me),
        48 | 49 => feed::reconnect(world, app, me),
        50 | 51 => feed::pause(world, app, me),
        52 => feed::resume(world, app, me),
        33..48 => {
            let times = dice.pick(&[1, 1, 1, 2, 8]);
            let sender = sender(world, app, me);
            for _ in 0..times {
                send_from_afar(world, &sender, me, Some(app.state()));
            }
        }
        _ => {
            for _ in 0..dice.pick(&[1, 1, 1, 2, 8]) {
                send(world, app, me);
            }
        }
    }
}

/// Work of a handle's.
fn work(apps: &mut Apps, panics: bool) {
    let world = world();
    world.calls(usize::MAX, Callback::Run);
    world.dawdle(None, Callback::Run);
    if panics {
        world.panic_elsewhere();
    }
    add(&world, apps);
}

/// The app's sender, which is kept for use from elsewhere.
pub fn sender(world: &World, app: &mut Context<'_>, me: usize) -> Sender {
    let sender = app.sender();
    world.life(me, |life| life.sender = Some(sender.clone()));
    sender
}

fn some_close(world: &World) -> (Close, Option<u16>, Option<Duration>) {
    let dice = &world.dice;
    let code = dice.pick(&[Some(1000), Some(1001), Some(3001), Some(4000), None]);
    let mut close = match code {
        Some(code) => Close::from((CloseCode::from(code), "done")),
        None => Close::without_code(),
    };
    let timeout = dice.pick(&[None, Some(0), Some(100), Some(1000), Some(5000)]).map(Duration::from_millis);
    if let Some(timeout) = timeout {
        close = close.timeout(timeout);
    }
    (close, code, timeout)
}

fn close(world: &World, app: &mut Context<'_>, me: usize) {
    if world.dice.one_in(5) {
        let bad = world.dice.pick(&[0_u16, 999, 1005, 1006, 1015, 5000]);
        let before = app.state();
        let refused = app.close_with(CloseCode::from(bad));
        let right = refused == Err(SendError::InvalidCloseCode(bad)) && app.state() == before;
        return world.expect(right, || format!("{me}: closing with {bad}: {refused:?}, {:?}", app.state()));
    }
    let was = app.state();
    world.closes(me, was, true);
    let (close, code, timeout) = some_close(world);
    world.life(me, |life| {
        life.closed = Some(world.ask(true));
        life.codes.push(code);
        let timeout = timeout.unwrap_or(life.settings.close);
        life.longest_close = life.longest_close.max(timeout);
        life.closes_within(world.now(), timeout);
        if was == State::Open && life.phase == Phase::Open {
            life.closing.timeout = Some(timeout);
        }
    });
    world.log(|| format!("{me}: closes with {code:?} within {timeout:?} when {was:?}"));
    let closed = app.close_with(close);
    world.expect(closed.is_ok(), || format!("{me}: closing: {closed:?}"));
    let after = if was == State::Open { State::Closing } else { was };
    world.expect(app.state() == after, || format!("{me}: closed when {was:?}, then {:?}", app.state()));
}

pub fn close_from_afar(world: &World, sender: &Sender, me: usize) {
    let (close, code, timeout) = some_close(world);
    world.closes(me, State::Open, false);
    world.life(me, |life| {
        life.closed = life.closed.or(Some(world.ask(false)));
        life.codes.push(code);
        life.longest_close = life.longest_close.max(timeout.unwrap_or_default());
        life.closes_within(world.now(), timeout.unwrap_or(life.settings.close));
    });
    world.log(|| format!("{me}: sender closes with {code:?} within {timeout:?}"));
    let closed = sender.close_with(close);
    world.expect(closed.is_ok(), || format!("{me}: closing: {closed:?}"));
}

fn remove(world: &World, app: &mut Context<'_>, me: usize) {
    let known = world.someone();
    let own = app.id();
    match known.filter(|(other, _)| *other != me && world.dice.one_in(2)) {
        None => {
            world.removed(me);
            app.remove();
        }
        Some((other, id)) => {
            world.log(|| format!("{me}: removes {other}"));
            let gone = world.life(other, |life| life.is_gone());
            let removed = app.apps().remove(id);
            world.expect(own != id && !(removed && gone), || format!("{other} was removed after its end"));
            if removed {
                world.removed(other);
            }
        }
    }
}

fn stop(world: &World, app: &mut Context<'_>, me: usize) {
    let timeout = Duration::from_millis(world.dice.pick(&PAUSES));
    let how = world.dice.below(4);
    world.log(|| format!("{me}: stops the reactor, in way {how}, {timeout:?}"));
    match how {
        0 => {
            world.stops();
            app.apps().stop();
        }
        1 => {
            world.drains(timeout);
            app.apps().stop_within(timeout);
        }
        2 => world.stops_from_afar(&sender(world, app, me)),
        _ => world.drains_from_afar(&sender(world, app, me), timeout),
    }
}

/// Adds an app, if there are not too many.
pub fn add(world: &World, apps: &mut Apps) {
    if world.over.get() || world.lives.borrow().len() >= MOST_APPS {
        return;
    }
    let settings = Settings::draw(&world.dice);
    let actions = 6 + world.dice.below(40) as u32;
    let me = world.new_life(settings.clone(), actions);
    let mut app = user::app(me);
    if world.dice.one_in(3) {
        let sender = app.sender();
        world.life(me, |life| life.sender = Some(sender.clone()));
        send_from_afar(world, &sender, me, Some(State::Connecting));
        if world.dice.one_in(6) {
            close_from_afar(world, &sender, me);
            world.cover("closed before the start");
        }
        if world.dice.one_in(4) {
            run_later(world, &sender, me);
        }
    }
    match apps.add(app, &settings.options(me)) {
        Ok(id) => world.added(me, id),
        Err(error) => world.breach(format!("{me} was refused: {error}")),
    }
}

fn with_another(world: &World, app: &mut Context<'_>, me: usize) {
    let Some((other, id)) = world.someone() else { return };
    let what = world.dice.below(10);
    let worked = app.apps().with(id, |app| match what {
        0 => close(world, app, other),
        1..3 => ping(world, app, other),
        _ => send(world, app, other),
    });
    let (gone, silent) = world.life(other, |life| (life.is_gone(), world.may_end_silently(life)));
    let right = if worked.is_some() { !gone && other != me } else { gone || silent || other == me };
    world.expect(right, || format!("{me} reached {other}: {}, gone: {gone}", worked.is_some()));
}

fn set_timer(world: &World, app: &mut Context<'_>, me: usize) {
    let after = Duration::from_millis(world.dice.pick(&PAUSES));
    let token = world.payload_token();
    let (due, epoch) = (world.now() + after, world.life(me, |life| life.closes));
    let alive = world.alive.clone();
    let id = app.set_timeout(after, move |app| {
        let _held = &alive;
        let world = crate::world::world();
        world.arrive(app, me, Callback::Timer);
        world.timer(me, token);
        act(&world, app, me, Callback::Timer)
    });
    let set = world.turn.get();
    world.life(me, |life| life.timers.push(Timer { token, id: Some(id), due, set, left_in: None, epoch }));
}

/// An interval that cancels itself after three times.
fn interval(world: &World, app: &mut Context<'_>, me: usize) {
    let every = Duration::from_millis(world.dice.pick(&[0, 100, 700]));
    let alive = world.alive.clone();
    let (mut times, mut due, mut own) = (0, world.now() + every, None);
    let epoch = world.life(me, |life| life.closes);
    let slot = std::rc::Rc::new(std::cell::Cell::new(None));
    let name = slot.clone();
    let id = app.set_interval(every, move |app| {
        let _held = &alive;
        let world = crate::world::world();
        world.arrive(app, me, Callback::Timer);
        let now = world.now();
        let right = world.is_time(due) && times < 3 && world.life(me, |life| life.closes) == epoch;
        world.expect(right, || format!("{me}: interval at {now:?} instead of {due:?}, {times} times before"));
        world.dawdle(Some(me), Callback::Timer);
        // What was missed is not made up for.
        let now = world.now();
        let next = if due + every < now { now + every } else { due + every };
        (times, due) = (times + 1, next);
        own = own.or(name.take());
        if times == 3 {
            let cancelled = own.is_some_and(|own| app.cancel(own));
            world.expect(cancelled, || format!("{me}: an interval could not be cancelled"));
            world.cover("an interval was cancelled");
        }
    });
    slot.set(Some(id));
}

/// Has a closure run on the loop.
pub fn run_later(world: &World, sender: &Sender, me: usize) {
    let alive = world.alive.clone();
    world.log(|| format!("{me}: has a closure run"));
    world.life(me, |life| life.works.push_back(world.ask(false)));
    world.pace.closures.set(world.pace.closures.get() + 1);
    sender.run(move |app| {
        let _held = &alive;
        let world = crate::world::world();
        world.life(me, |life| life.works.pop_front());
        world.arrive(app, me, Callback::Work);
        act(&world, app, me, Callback::Work)
    });
}

/// What another thread does, between turns or while the loop waits.
pub fn act_from_afar(me: usize) {
    let world = world();
    world.something_done();
    let Some(sender) = world.life(me, |life| life.sender.clone()) else { return };
    let turn = world.turn.get();
    match world.dice.below(if world.calm { 31 } else { 17 }) {
        8 => {
            world.log(|| format!("{me}: another thread asks for another connection"));
            world.life(me, |life| life.works.push_back(world.ask(false)));
            world.pace.closures.set(world.pace.closures.get() + 1);
            sender.run(move |app| {
                let world = crate::world::world();
                world.life(me, |life| life.works.pop_front());
                world.arrive(app, me, Callback::Work);
                feed::reconnect(&world, app, me);
            });
        }
        0..2 => close_from_afar(&world, &sender, me),
        2 => {
            world.life(me, |life| life.removal = life.removal.or(Some(turn)));
            sender.remove();
        }
        3 => {
            let timeout = Duration::from_millis(world.dice.pick(&PAUSES));
            world.log(|| format!("{me}: another thread stops the reactor within {timeout:?}"));
            world.drains_from_afar(&sender, timeout);
        }
        4 => {
            if let Some(reactor) = sender.reactor() {
                world.run_by(&reactor, |apps| work(apps, false));
            }
        }
        5..8 => run_later(&world, &sender, me),
        _ => {
            for _ in 0..world.dice.pick(&[1, 2, 10]) {
                send_from_afar(&world, &sender, me, None);
            }
        }
    }
}
