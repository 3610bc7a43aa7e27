//! Apps that are renewed: each may have two connections at a time. A seed draws the network's faults, what servers do to either, and when
//! users renew, pause, reconnect, send and close. What is promised of a handover is checked at every event and after every turn.

mod checks;
mod events;
mod feed;
mod line;
mod server;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::time::Duration;

use websocket_app::{Reactor, SeededEntropy};
use websocket_testkit::sim::{Faults, SimDispatcher, SimNet, Trigger};
use websocket_tests::Counting;

use self::feed::Feed;
use self::line::Line;
use crate::coverage::Coverage;
use crate::dice::Dice;
use crate::seed::{Report, text};
use crate::world::{ON_PURPOSE, Record};

type Loop = Reactor<Counting<SimDispatcher>>;

/// Most apps of a scene.
const MOST_FEEDS: usize = 3;
/// When the users have had enough.
const HORIZON: Duration = Duration::from_secs(25);
/// Longer than any deadline that still runs then.
const PATIENCE: Duration = Duration::from_secs(60);
/// Turns at one instant of virtual time after which something runs in circles.
const MOST_TURNS: u32 = 1000;

/// What the default seeds must have done.
pub const WANTED: [&str; 10] = [
    "renewals: a callback panicked",
    "renewals: a predecessor closed cleanly",
    "renewals: a predecessor was sent a close frame",
    "renewals: a server ended a connection",
    "renewals: a successor failed",
    "renewals: a successor took over",
    "renewals: closed beside a predecessor",
    "renewals: closed beside a successor",
    "renewals: heard from a predecessor",
    "renewals: paused",
];

/// What the apps, the servers and the test share.
struct Scene {
    dice: Dice,
    net: SimNet,
    /// What has arrived can be read, and what is written is taken, at once.
    sharp: bool,
    /// Nothing is delayed for long, or cut.
    is_prompt: bool,
    feeds: RefCell<Vec<Feed>>,
    /// All connections, by their number.
    lines: RefCell<BTreeMap<usize, Line>>,
    turn: Cell<u64>,
    tokens: Cell<u64>,
    /// The users have had enough.
    over: Cell<bool>,
    coverage: RefCell<Coverage>,
    breaches: RefCell<Vec<String>>,
    record: Record,
    log: RefCell<String>,
}

impl Scene {
    fn new(seed: u64, record: Record) -> Rc<Self> {
        let dice = Dice::new(!seed);
        let faults = faults(&dice);
        let sharp = faults.would_block == 0 && faults.send_buffer >= 64 << 10;
        let is_prompt = sharp && faults.stall == 0 && faults.fin == 0 && faults.reset == 0;
        let net = SimNet::new(dice.next()).with_faults(faults);
        Rc::new(Self {
            dice,
            net,
            sharp,
            is_prompt,
            feeds: RefCell::default(),
            lines: RefCell::default(),
            turn: Cell::default(),
            tokens: Cell::default(),
            over: Cell::default(),
            coverage: RefCell::default(),
            breaches: RefCell::default(),
            record,
            log: RefCell::default(),
        })
    }

    fn now(&self) -> Duration {
        self.net.elapsed()
    }

    fn log(&self, line: impl FnOnce() -> String) {
        if self.record == Record::Nothing {
            return;
        }
        let line = format!("{:>12?} turn {:>4}  {}", self.now(), self.turn.get(), line());
        if self.record == Record::Print {
            println!("{line}");
        }
        let _infallible = writeln!(self.log.borrow_mut(), "{line}");
    }

    fn expect(&self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            let what = format!("at {:?}, turn {}: {}", self.now(), self.turn.get(), what());
            self.log(|| format!("BREACH {what}"));
            self.breaches.borrow_mut().push(what);
        }
    }

    fn cover(&self, what: &str) {
        self.coverage.borrow_mut().count(&format!("renewals: {what}"));
    }

    fn feed<R>(&self, me: usize, look: impl FnOnce(&mut Feed) -> R) -> R {
        look(&mut self.feeds.borrow_mut()[me])
    }

    fn line<R>(&self, index: usize, look: impl FnOnce(&mut Line) -> R) -> R {
        look(self.lines.borrow_mut().entry(index).or_default())
    }

    /// A number that nothing else has.
    fn token(&self) -> u64 {
        self.tokens.set(self.tokens.get() + 1);
        self.tokens.get()
    }

    /// Panics in a callback, without the hook, which would print it.
    fn panic(&self) {
        self.cover("a callback panicked");
        resume_unwind(Box::new(ON_PURPOSE));
    }

    fn pause(&self) -> Duration {
        Duration::from_millis(self.dice.pick(&[0, 0, 50, 100, 300, 1000, 2000]))
    }
}

fn faults(dice: &Dice) -> Faults {
    let mut faults = Faults::default();
    if dice.one_in(3) {
        return faults;
    }
    faults.short = dice.pick(&[0, 20, 60]);
    faults.would_block = dice.pick(&[0, 0, 20]);
    faults.spurious = dice.pick(&[0, 10]);
    faults.shuffle = dice.one_in(2);
    faults.latency = Duration::ZERO..=Duration::from_millis(dice.pick(&[0, 1, 50]));
    faults.stall = dice.pick(&[0, 0, 5]);
    faults.stall_time = Duration::from_millis(dice.pick(&[100, 1000]));
    faults.fin = dice.pick(&[0, 0, 0, 1]);
    faults.reset = dice.pick(&[0, 0, 0, 1]);
    faults.send_buffer = dice.pick(&[512, 4096, 256 << 10, 256 << 10]);
    faults
}

/// Runs one seed.
///
/// # Errors
/// The first breach of what must hold.
pub fn run(seed: u64, record: Record) -> Result<Report, String> {
    let scene = Scene::new(seed, record);
    let outcome = catch_unwind(AssertUnwindSafe(|| live(&scene)));
    let breach = match &outcome {
        Err(panic) => Some(format!("a panic: {}", text(&**panic))),
        Ok(()) => scene.breaches.borrow().first().cloned(),
    };
    // What is left on the agenda.
    scene.net.advance(Duration::from_secs(1000));
    scene.lines.take();
    scene.feeds.take();
    let breach = breach.or_else(|| {
        let holders = Rc::strong_count(&scene);
        (holders > 1).then(|| format!("{} closures are still held", holders - 1))
    });
    match breach {
        Some(breach) => Err(breach),
        None => {
            let log = (record != Record::Nothing).then(|| scene.log.take());
            Ok(Report { coverage: scene.coverage.take(), log, turns: scene.turn.get() })
        }
    }
}

fn live(scene: &Rc<Scene>) {
    let net = scene.net.clone().with_trigger(scene.dice.pick(&[Trigger::Edge, Trigger::Level]));
    server::populate(scene);
    let reactor = Reactor::with_dispatcher(Counting::new(net.dispatcher())).expect("there is entropy");
    let entropy = SeededEntropy::new([scene.dice.next() as u8; 32]);
    let mut reactor = reactor.connector(net).entropy(entropy);
    for me in 0..=scene.dice.below(MOST_FEEDS) {
        feed::add(scene, reactor.apps(), me);
    }
    let mut wound_down = false;
    let (mut instant, mut turns) = (Duration::ZERO, 0);
    while scene.breaches.borrow().is_empty() && !reactor.apps().is_empty() {
        let now = scene.now();
        if now >= HORIZON && !wound_down {
            wound_down = true;
            wind_down(scene, &mut reactor);
        }
        let limit = if wound_down { HORIZON + PATIENCE } else { HORIZON };
        scene.expect(now < limit, || format!("it does not end: {:?}", reactor.apps().ids()));
        scene.turn.set(scene.turn.get() + 1);
        reactor.poll(Some(limit.saturating_sub(now))).expect("the loop works");
        turns = if instant == scene.now() { turns + 1 } else { 0 };
        instant = scene.now();
        scene.expect(turns < MOST_TURNS, || "runs in circles".to_owned());
        scene.look_at_all(&mut reactor);
        if !wound_down && scene.dice.one_in(20) {
            feed::act_between_turns(scene, &mut reactor);
        }
    }
    if scene.breaches.borrow().is_empty() {
        let watched = reactor.dispatcher().watched.get();
        scene.expect(watched == 0, || format!("{watched} streams are still watched"));
        // Timers of the reactor that resume reading come to nothing.
        for _ in 0..MOST_TURNS {
            if reactor.next_deadline().is_some() {
                reactor.poll(Some(PATIENCE)).expect("the loop works");
            }
        }
        let next = reactor.next_deadline();
        scene.expect(next.is_none(), || format!("{next:?} is left of the schedule"));
        scene.all_have_ended();
    }
}

/// The users have had enough.
fn wind_down(scene: &Rc<Scene>, reactor: &mut Loop) {
    scene.over.set(true);
    scene.log(|| "winding down".to_owned());
    scene.feeds.borrow_mut().iter_mut().for_each(|feed| feed.ends());
    match scene.dice.below(4) {
        0 => reactor.apps().stop(),
        1 => reactor.apps().stop_within(scene.pause()),
        how => {
            for id in reactor.apps().ids() {
                if how == 2 {
                    reactor.apps().with(id, |app| app.close());
                } else if reactor.apps().remove(id) {
                    let is_it = |feed: &&mut Feed| feed.id == Some(id);
                    scene.feeds.borrow_mut().iter_mut().find(is_it).into_iter().for_each(Feed::is_removed);
                }
            }
        }
    }
}
