//! One seed: a world is made, lives, is wound down, and nothing may be left of it.

use std::cell::Cell;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use websocket_app::{PanicPolicy, Reactor, SeededEntropy};
use websocket_testkit::sim::{Faults, SimDispatcher, SimNet, Trigger};
use websocket_tests::{Counting, SERVER};

use crate::actions::{MOST_APPS, act_from_afar, action, add};
use crate::coverage::Coverage;
use crate::memory::held;
use crate::pace::Sleeper;
use crate::server::{Conversation, PAUSES, react};
use crate::user::BROKEN;
use crate::wire::Wire;
use crate::world::{Record, World, port};

type Loop = Reactor<Counting<Sleeper<SimDispatcher>>>;

/// When the user has had enough.
const HORIZON: Duration = Duration::from_secs(20);
/// Longer than any deadline that still runs then.
const PATIENCE: Duration = Duration::from_secs(60);
/// Memory that a reactor without apps, its pools, contexts of compression and the rest of the world may hold together.
const MOST_HELD: i64 = 4 << 20;
/// The same after messages that do not fit into the receive buffer: two pools are full at 8 MiB each.
const MOST_HELD_AFTER_HUGE: i64 = 20 << 20;

/// Turns after the end of all apps, and the same where the budget leaves something out of most turns.
const FEW_TURNS: u32 = 2;
const MANY_TURNS: u32 = 100;

/// Seeds of a thread before memory that is left behind means something.
pub const WARM_UP: u64 = 8;

/// What a seed leaves behind.
pub struct Report {
    pub coverage: Coverage,
    pub log: Option<String>,
    pub turns: u64,
}

/// Runs one seed.
///
/// # Errors
/// The first breach of what must hold.
pub fn run(seed: u64, record: Record) -> Result<Report, String> {
    thread_local! {
        /// What is made once for each thread is made in the first seeds.
        static WARM: Cell<u64> = const { Cell::new(0) };
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
    let leaks = leak > 0 && WARM.replace(WARM.get() + 1) >= WARM_UP;
    match breach.or_else(|| leaks.then(|| format!("{leak} bytes are left behind"))) {
        None => Ok(Report { coverage, log, turns }),
        Some(breach) => Err(breach),
    }
}

/// What a panic says.
pub fn text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or(panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("?")
}

pub struct Run<'a> {
    pub world: &'a Rc<World>,
    pub reactor: Loop,
    /// Turns at this instant, and those of them in which nothing was done.
    pub instant: Duration,
    pub turns: u32,
    pub idle_turns: u32,
    pub propagates: bool,
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
        let reactor =
            Reactor::with_dispatcher(Counting::new(Sleeper(net.dispatcher()))).expect("there is entropy");
        let entropy = SeededEntropy::new([world.dice.next() as u8; 32]);
        let reactor = reactor.connector(net).resolver(resolver).entropy(entropy).panic_policy(policy);
        let reactor = reactor.turn_budget(world.pace.budget);
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
                // A callback may have asked for another one, and what is left for apps that have ended has its turns, too.
                idle += 1;
                if idle > FEW_TURNS && (self.reactor.next_deadline().is_none() || idle > MANY_TURNS) {
                    return self.ended();
                }
                self.turn(Duration::ZERO);
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
                world.stops();
                self.reactor.apps().stop();
            }
            1 => {
                world.drains(timeout);
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
                            life.closed = Some(world.ask(true));
                            life.codes.push(Some(1000));
                            life.closes_within(world.now(), life.settings.close);
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
        world.conversations.borrow_mut().values_mut().for_each(Conversation::forget_contexts);
        world.wires.borrow_mut().values_mut().for_each(Wire::forget_contexts);
        let held = held() - world.held_before;
        let most = if world.huge.get() { MOST_HELD_AFTER_HUGE } else { MOST_HELD };
        world.expect(held < most, || format!("{held} bytes are held although nothing runs"));
    }
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
    world.note_faults(&faults);
    faults
}

/// The servers of the network.
fn populate(net: &SimNet) {
    for me in 0..MOST_APPS {
        let address = |last: u8| ([192, 0, 2, last], port(me)).into();
        net.serve_arrivals(SocketAddr::new(SERVER.ip(), port(me)), react);
        net.refuse(address(2));
        net.delay(address(2), Duration::from_millis(300));
        net.black_hole(address(3));
        net.fail(address(4), std::io::ErrorKind::HostUnreachable);
        net.serve_arrivals(address(5), react);
        net.delay(address(5), Duration::from_millis(700));
    }
    net.tap(|index, what| crate::world::world().tapped(index, what));
}
