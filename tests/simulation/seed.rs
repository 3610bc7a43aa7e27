//! One seed: a world is made, lives, is wound down, and nothing may be left of it.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use websocket_app::{AppId, PanicPolicy, Reactor, SeededEntropy, SendError, Sender, State};
use websocket_testkit::sim::{Faults, SimDispatcher, SimNet, Trigger};
use websocket_tests::{Counting, SERVER};

use crate::actions::{act_from_afar, action, add};
use crate::coverage::Coverage;
use crate::life::Phase;
use crate::memory::held;
use crate::server::{PAUSES, react};
use crate::user::BROKEN;
use crate::world::{Drain, ON_PURPOSE, Record, World};

type Loop = Reactor<Counting<SimDispatcher>>;

/// When the user has had enough.
const HORIZON: Duration = Duration::from_secs(20);
/// Longer than any deadline that still runs then.
const PATIENCE: Duration = Duration::from_secs(60);
/// Memory that a reactor without apps, its pools and the rest of the world may hold together.
const MOST_HELD: i64 = 1 << 20;
/// The same after messages that do not fit into the receive buffer: two pools are full at 8 MiB each.
const MOST_HELD_AFTER_HUGE: i64 = 20 << 20;
/// Turns at one instant of virtual time after which something runs in circles.
const MOST_TURNS: u32 = 1500;
/// The same, of turns in which nothing was done.
const MOST_IDLE_TURNS: u32 = 150;

/// What a seed leaves behind.
pub struct Report {
    pub coverage: Coverage,
    pub log: Option<String>,
    pub turns: u64,
}

/// Runs one seed.
///
/// # Errors
/// The first breach of what must hold, and the log.
pub fn run(seed: u64, record: Record) -> Result<Report, (String, Option<String>)> {
    thread_local! {
        /// What is made once for each thread is made in the first seeds.
        static WARM: Cell<u32> = const { Cell::new(0) };
    }
    let before = held();
    let world = World::enter(seed, record);
    let outcome = catch_unwind(AssertUnwindSafe(|| Run::new(&world).live()));
    let coverage = world.coverage.take();
    let turns = world.turn.get();
    // What is left on the agenda holds the network, which holds the agenda.
    let drained = catch_unwind(AssertUnwindSafe(|| world.net.advance(Duration::from_secs(1000))));
    let breach = match outcome {
        Err(panic) => Some(format!("a panic: {}", text(&*panic))),
        Ok(()) => world.first_breach().or(drained.err().map(|panic| format!("a panic: {}", text(&*panic)))),
    };
    drop(world);
    let log = World::leave();
    let leak = held() - before;
    let leaks = leak > 0 && WARM.replace(WARM.get() + 1) > 5;
    match breach.or_else(|| leaks.then(|| format!("{leak} bytes are left behind"))) {
        None => Ok(Report { coverage, log, turns }),
        Some(breach) => Err((breach, log)),
    }
}

fn text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or(panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("?")
}

struct Run<'a> {
    world: &'a Rc<World>,
    reactor: Loop,
    /// Turns at this instant, and those of them in which nothing was done.
    instant: Duration,
    turns: u32,
    idle_turns: u32,
    propagates: bool,
}

impl<'a> Run<'a> {
    fn new(world: &'a Rc<World>) -> Self {
        let (net, dice) = (&world.net, &world.dice);
        net.set_faults(faults(world));
        let net = net.clone().with_trigger(dice.pick(&[Trigger::Edge, Trigger::Level]));
        populate(&net);
        let resolver = net.resolver();
        let server = SERVER.ip();
        let (refuses, mute) = ([192, 0, 2, 2].into(), [192, 0, 2, 3].into());
        resolver.name("quick.test", &[server]);
        resolver.name("slow.test", &[server]);
        resolver.delay("slow.test", Some(world.slow));
        resolver.name("never.test", &[server]);
        resolver.delay("never.test", None);
        resolver.failing("broken.test", std::io::ErrorKind::TimedOut);
        resolver.delay("broken.test", Some(BROKEN));
        resolver.name("many.test", &[refuses, [192, 0, 2, 4].into(), server]);
        resolver.name("dead.test", &[refuses, mute, server]);
        resolver.name("lost.test", &[]);
        let propagates = dice.one_in(6);
        let policy = if propagates { PanicPolicy::Propagate } else { PanicPolicy::Catch };
        let reactor = Reactor::with_dispatcher(Counting::new(net.dispatcher())).expect("there is entropy");
        let entropy = SeededEntropy::new([world.dice.next() as u8; 32]);
        let reactor = reactor.connector(net).resolver(resolver).entropy(entropy).panic_policy(policy);
        Self { world, reactor, instant: Duration::ZERO, turns: 0, idle_turns: 0, propagates }
    }

    fn live(mut self) {
        let world = self.world;
        for _ in 0..world.dice.pick(&[1, 2, 3, 4]) {
            add(world, self.reactor.apps());
        }
        for _ in 0..world.dice.below(12) {
            let me = world.dice.below(4);
            let at = Duration::from_millis(world.dice.pick(&PAUSES) + world.dice.pick(&PAUSES));
            world.net.after(at, move |_| {
                if crate::world::world().lives.borrow().len() > me {
                    act_from_afar(me);
                }
            });
        }
        if world.dice.one_in(4) {
            let new = faults(world);
            world.net.after(Duration::from_millis(1700), move |net| net.set_faults(new));
        }
        let forget = world.dice.one_in(30).then(|| Duration::from_millis(world.dice.pick(&PAUSES)));
        let mut wound_down = false;
        let mut idle = 0;
        while world.first_breach().is_none() {
            if self.reactor.apps().is_empty() {
                // Somebody may have asked for another one.
                idle += 1;
                match idle {
                    1..3 => self.turn(Duration::ZERO),
                    _ => return self.ended(),
                }
                continue;
            }
            idle = 0;
            let now = world.now();
            if forget.is_some_and(|at| at <= now) {
                return self.forget();
            }
            let limit = match wound_down {
                false if now >= HORIZON => {
                    wound_down = true;
                    self.wind_down();
                    continue;
                }
                false => forget.unwrap_or(HORIZON).max(now) - now,
                true if now >= HORIZON + PATIENCE => {
                    let left = self.reactor.apps().ids();
                    return world.breach(format!("it does not end: {left:?}"));
                }
                true => HORIZON + PATIENCE - now,
            };
            self.turn(limit);
            if !wound_down {
                self.between_turns();
            }
        }
    }

    /// What the owner of the reactor does, or does not do.
    fn between_turns(&mut self) {
        let world = self.world;
        match world.dice.below(100) {
            0 => world.oversleep(Duration::from_millis(world.dice.pick(&[1, 400, 3000]))),
            1..4 => {
                let Some((me, id)) = world.someone() else { return };
                // It is part of the turn that follows.
                world.turn.set(world.turn.get() + 1);
                self.reactor.apps().with(id, |app| {
                    if world.life(me, |life| life.actions > 0) {
                        world.cover("acted between turns");
                        action(world, app, me);
                    }
                });
                world.turn.set(world.turn.get() - 1);
            }
            _ => {}
        }
    }

    /// One turn, and what must hold after it.
    fn turn(&mut self, limit: Duration) {
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
        let (now, turn) = (world.now(), world.turn.get());
        let ids = self.reactor.apps().ids();
        let count = world.lives.borrow().len();
        let is_due = |drain: &&Drain| !drain.faint && drain.at <= now && drain.from <= turn;
        let fired = world.drains.borrow().iter().filter(is_due).map(|drain| drain.asked).max();
        for me in 0..count {
            let Some(id) = world.life(me, |life| life.id) else { continue };
            let there = ids.contains(&id);
            let wrong = world.life(me, |life| {
                let closed = life.closed.is_some_and(|asked| asked.turn.max(life.added) < turn);
                let removed = life.removal.is_some_and(|asked| asked.max(life.added) < turn);
                let stopped = life.stopped_by.is_some_and(|by| by <= turn);
                let drained = fired.is_some_and(|asked| life.added < asked);
                match life.phase {
                    Phase::Over | Phase::Removed if there => Some("is still there after its end"),
                    _ if there && removed => Some("was not removed"),
                    _ if there && (stopped || drained) => Some("was not stopped"),
                    Phase::Waiting if there && closed => Some("waits although it was closed"),
                    Phase::Over | Phase::Removed => None,
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
        let over = fired.is_some() || ids.is_empty() || turn <= world.stop_until.get();
        let mut drains = world.drains.borrow_mut();
        drains.retain(|drain| drain.at > now || drain.from > turn);
        drains.iter_mut().for_each(|drain| drain.faint |= over && drain.asked <= turn);
    }

    fn look_at(&mut self, me: usize, id: AppId) {
        let world = self.world;
        let (now, turn) = (world.now(), world.turn.get());
        let seen = self.reactor.apps().with(id, |app| {
            let retry_at = app.retry_at().map(|at| world.time_of(at));
            (app.state(), app.is_running(), retry_at, app.queued_bytes(), app.attempts())
        });
        let Some((state, running, retry_at, queued, attempts)) = seen else {
            return world.breach(format!("{me} is there and not there"));
        };
        let wires = world.wires.borrow();
        let wrong = world.life(me, |life| {
            if state == State::Closing {
                life.closing_since = life.closing_since.or(Some(now));
            }
            match queued {
                0 => life.queued_since = None,
                _ => life.queued_at = now,
            }
            // What was written by a flush drains in the next turn.
            let undrained =
                queued == 0 && life.owes_drain && life.empty_since.is_some_and(|seen| seen < turn);
            life.empty_since = (queued == 0 && life.owes_drain).then_some(turn);
            let settings = &life.settings;
            let silent = retry_at.is_none() && life.retry_at.is_none();
            let wire = life.wire.and_then(|index| wires.get(&index));
            let overdue = match life.phase {
                Phase::Trying => Some(life.began_at + settings.attempt),
                Phase::Waiting => life.retry_at,
                Phase::Open => match (life.closing_since, wire) {
                    (Some(since), _) => Some(life.end_by.unwrap_or(since + life.longest_close)),
                    (None, Some(wire)) if queued > 0 => {
                        let since = *life.queued_since.get_or_insert(now);
                        Some(wire.last_written.max(since) + settings.write)
                    }
                    (None, Some(wire)) => settings.ping.and_then(|(interval, timeout)| {
                        timeout.map(|timeout| {
                            let since = wire.last_read.max(life.queued_at).max(world.overslept.get().1);
                            since + interval * 2 + timeout
                        })
                    }),
                    (None, None) => Some(Duration::ZERO),
                },
                _ => None,
            };
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
                _ if overdue.is_some_and(|by| world.is_late(by)) => {
                    Some(format!("should have moved on at {overdue:?}, {queued} bytes queued"))
                }
                (Phase::Open, State::Open) if !life.heard.is_empty() => {
                    Some(format!("was not told of {} events", life.heard.len()))
                }
                (Phase::Open, State::Open) if undrained => Some("did not drain".to_owned()),
                (Phase::Open, State::Open)
                    if queued == 0
                        && life.fragment.is_none()
                        && life.promised.front().is_some_and(|promise| promise.turn < turn) =>
                {
                    Some(format!("sits on {} messages", life.promised.len()))
                }
                (Phase::Open, State::Open) if queued == 0 && !life.direct.is_empty() => {
                    Some(format!("has lost {} messages", life.direct.len()))
                }
                (Phase::Open, State::Open) if life.is_surely_closed(turn) => {
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

    /// The user has had enough.
    fn wind_down(&mut self) {
        let world = self.world;
        let how = world.dice.below(5);
        world.log(|| format!("winding down in way {how}"));
        let timeout = Duration::from_millis(world.dice.pick(&PAUSES));
        // No further surprises from the user.
        world.over.set(true);
        world.lives.borrow_mut().iter_mut().for_each(|life| life.actions = 0);
        world.turn.set(world.turn.get() + 1);
        match how {
            0 => {
                world.stops(true);
                self.reactor.apps().stop();
            }
            1 => {
                world.drains(timeout, true);
                self.reactor.apps().stop_within(timeout);
            }
            _ => {
                let count = world.lives.borrow().len();
                for me in 0..count {
                    let Some(id) = world.life(me, |life| life.id) else { continue };
                    if how == 2 && self.reactor.apps().remove(id) {
                        world.removed(me);
                    }
                    let closed = self.reactor.apps().with(id, |app| {
                        world.life(me, |life| {
                            life.closed = Some(crate::life::Asked { turn: world.turn.get(), directly: true });
                            life.codes.push(Some(1000));
                        });
                        world.closes(me, app.state(), true);
                        app.close();
                    });
                    world.cover(if closed.is_some() { "closed at the end" } else { "gone at the end" });
                }
            }
        }
        world.turn.set(world.turn.get() - 1);
    }

    /// The reactor is dropped while apps run: nobody is told.
    fn forget(self) {
        let world = self.world;
        world.cover("the reactor was dropped");
        let Self { mut reactor, .. } = self;
        let watched = reactor.dispatcher().watched.clone();
        let handle = reactor.handle();
        let done = world.done.get();
        drop(reactor);
        world.expect(watched.get() == 0, || format!("{} streams are watched by nobody", watched.get()));
        world.expect(world.done.get() == done, || "a dropped reactor called".to_owned());
        handle.run(|_| ());
        nothing_is_held(world);
    }

    /// All apps have ended: nothing may be left of them.
    fn ended(mut self) {
        let world = self.world;
        let next = self.reactor.next_deadline();
        world.expect(next.is_none(), || {
            format!("{next:?} is left of the schedule, now {:?}", world.net.now())
        });
        let watched = self.reactor.dispatcher().watched.get();
        world.expect(watched == 0, || format!("{watched} streams are still watched"));
        nothing_is_held(world);
        let held = held() - world.held_before;
        let most = if world.huge.get() { MOST_HELD_AFTER_HUGE } else { MOST_HELD };
        world.expect(held < most, || format!("{held} bytes are held although nothing runs"));
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

fn nothing_is_held(world: &World) {
    let left = Arc::strong_count(&world.alive) - 1;
    world.expect(left == 0, || format!("{left} closures are still held"));
}

fn faults(world: &World) -> Faults {
    let dice = &world.dice;
    let mut faults = Faults::default();
    if world.calm && dice.one_in(2) {
        return faults;
    }
    faults.short = dice.pick(&[0, 20, 60]);
    faults.would_block = dice.pick(&[0, 10, 40]);
    faults.spurious = dice.pick(&[0, 0, 10]);
    faults.shuffle = dice.one_in(2);
    let latency = Duration::from_millis(dice.pick(&[0, 0, 1, 50]));
    faults.latency = Duration::ZERO..=latency;
    faults.stall = dice.pick(&[0, 0, 5, 20]);
    faults.stall_time = Duration::from_millis(dice.pick(&[100, 1000, 3000]));
    faults.fin = dice.pick(&[0, 0, 0, 3]);
    faults.reset = dice.pick(&[0, 0, 0, 3]);
    faults.send_buffer = dice.pick(&[64, 512, 4096, 256 << 10]);
    faults
}

/// The servers of the network.
fn populate(net: &SimNet) {
    let address = |last: u8| ([192, 0, 2, last], 80).into();
    net.serve(SERVER, react);
    net.refuse(address(2));
    net.delay(address(2), Duration::from_millis(300));
    net.black_hole(address(3));
    net.fail(address(4), std::io::ErrorKind::HostUnreachable);
    net.serve(address(5), react);
    net.delay(address(5), Duration::from_millis(700));
    net.tap(|index, what| crate::world::world().tapped(index, what));
}
