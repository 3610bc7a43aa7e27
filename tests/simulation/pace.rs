//! What time callbacks take, what a turn may do with its own, and when something is late.

use std::cell::Cell;
use std::io;
use std::time::{Duration, Instant};

use websocket_app::dispatcher::{Dispatcher, Ready, Wait};
use websocket_tests::forward_to;

use crate::dice::Dice;
use crate::life::{Asked, Life, Phase};
use crate::world::{Callback, World, world};

/// The parts of a turn. One that the budget leaves out is the first of a later turn, at the latest of that many turns after.
const PARTS: u64 = 4;

/// The most messages between two looks at the clock, after messages that took no time.
const STRIDE: u32 = 64;

/// An app uses this part of a turn before the others have theirs.
const VISITS_PER_TURN: u32 = 4;

/// Visits to an app in one turn: when a deadline of its connection is due, and when it is ready.
const MOST_VISITS: u32 = 3;

/// While requests of other threads wait, a turn delivers messages for this long.
const REQUESTS_WAIT: Duration = Duration::from_micros(100);

/// What a callback takes that takes time.
const TIMES: [Duration; 11] = [
    Duration::from_micros(1),
    Duration::from_micros(40),
    Duration::from_micros(300),
    Duration::from_millis(1),
    Duration::from_millis(4),
    Duration::from_millis(6),
    Duration::from_millis(40),
    Duration::from_millis(150),
    Duration::from_millis(400),
    Duration::from_millis(1100),
    Duration::from_millis(3300),
];

/// What every event of an app takes that always takes the same.
const STEADY: [Duration; 4] = [
    Duration::from_micros(90),
    Duration::from_micros(700),
    Duration::from_millis(7),
    Duration::from_millis(60),
];

/// All callbacks of a world together take that long at most, so that it comes to an end.
const ALLOWANCE: Duration = Duration::from_secs(12);

const BUDGETS: [Duration; 9] = [
    Duration::from_millis(5),
    Duration::from_millis(5),
    Duration::from_millis(5),
    Duration::from_millis(5),
    Duration::from_millis(5),
    Duration::from_millis(1),
    Duration::from_millis(200),
    Duration::ZERO,
    Duration::MAX,
];

/// The time of one world.
pub struct Pace {
    /// Of each turn.
    pub budget: Duration,
    /// One in so many callbacks takes time; with 0, none does.
    one_in: usize,
    /// The time that callbacks may still take.
    left: Cell<Duration>,
    /// When the loop has last slept, to the end of its sleep: what was due then was seen.
    woke: Cell<Duration>,
    /// When the last thing that took time was over.
    busy_until: Cell<Duration>,
    /// When the turn began.
    began: Cell<Duration>,
    /// The last turn that had time for everything.
    unhurried: Cell<u64>,
    /// The last call of this turn.
    last: Cell<Option<(usize, Callback)>>,
    /// Events since the budget of this turn was used up.
    events: Cell<u32>,
    /// Closures that were handed over so far.
    pub closures: Cell<u64>,
    /// Turns after which everything has had its turn.
    patience: Cell<u64>,
    /// A handle was used in this turn.
    is_requested: Cell<bool>,
}

/// How an app has used the current turn.
#[derive(Clone, Copy, Default)]
pub struct Visits {
    turn: u64,
    began: Duration,
    count: u32,
    /// Times at which there were events although a request had waited for long enough, and the last of them. Events that take no time hold
    /// nothing up.
    unheeding: u32,
    unheeding_at: Duration,
}

impl Pace {
    pub fn draw(dice: &Dice) -> Self {
        Self {
            budget: dice.pick(&BUDGETS),
            one_in: dice.pick(&[0, 0, 0, 2, 10, 40]),
            left: Cell::new(ALLOWANCE),
            woke: Cell::default(),
            busy_until: Cell::default(),
            began: Cell::default(),
            unhurried: Cell::default(),
            last: Cell::default(),
            events: Cell::default(),
            closures: Cell::default(),
            patience: Cell::default(),
            is_requested: Cell::default(),
        }
    }

    /// What every event of a new app takes, if that is always the same.
    pub fn draw_steady(&self, dice: &Dice) -> Option<Duration> {
        (self.one_in > 0 && dice.one_in(4)).then(|| dice.pick(&STEADY))
    }

    /// Whether what was read may have to wait for its turn.
    pub const fn may_pause(&self) -> bool {
        self.one_in > 0 || self.budget.is_zero()
    }

    /// Something was asked for that is to end the reading of this turn.
    pub fn request(&self) {
        self.is_requested.set(true);
    }

    /// When the turn began.
    pub fn turn_began(&self) -> Duration {
        self.began.get()
    }

    /// When the last thing that took time was over.
    pub fn busy_until(&self) -> Duration {
        self.busy_until.get()
    }
}

impl World {
    /// The callback takes its time, with everything that happens meanwhile.
    pub fn dawdle(&self, me: Option<usize>, what: Callback) {
        let pace = &self.pace;
        let steady = me.and_then(|me| self.life(me, |life| life.steady));
        let time = match steady {
            Some(time) if what.begins_event() => time,
            Some(_) if what.is_of_event() => return,
            _ if pace.one_in > 0 && self.dice.one_in(pace.one_in) => self.dice.pick(&TIMES),
            _ => return,
        };
        if time > pace.left.get() {
            return;
        }
        pace.left.set(pace.left.get() - time);
        self.log(|| format!("{} takes {time:?}", what.name()));
        self.net.advance(time);
        pace.busy_until.set(self.now());
        self.cover(&format!("slow: {}", what.name()));
    }

    /// The loop is kept from turning for a while.
    pub fn oversleep(&self, time: Duration) {
        self.log(|| format!("the loop oversleeps by {time:?}"));
        self.net.advance(time);
        self.pace.busy_until.set(self.now());
        self.cover("overslept");
    }

    /// Whether something that is due at `due` may be done now: not before, and not after the loop has slept.
    pub fn is_time(&self, due: Duration) -> bool {
        (self.pace.woke.get()..=self.now()).contains(&due)
    }

    /// Whether the loop has slept since `due`, so that it must have been done.
    pub fn is_late(&self, due: Duration) -> bool {
        due < self.pace.woke.get()
    }

    /// The last turn had time for everything that was due at `due`, or the loop has slept since.
    pub fn is_overdue(&self, due: Duration) -> bool {
        self.is_late(due) || (self.was_unhurried() && due < self.pace.began.get())
    }

    /// Whether the turn that is over had time for everything.
    pub fn was_unhurried(&self) -> bool {
        self.pace.unhurried.get() == self.turn.get()
    }

    /// Whether there were enough turns since then for everything else.
    pub fn is_over(&self, since: u64) -> bool {
        self.turn.get() > since + self.pace.patience.get()
    }

    /// Whether what was asked for from elsewhere in turn `asked`, or before it, must have been done: a turn that began later had time for
    /// everything, or there were enough turns for whatever may have been before it.
    pub fn surely(&self, asked: u64) -> bool {
        self.pace.unhurried.get() > asked || self.is_over(asked)
    }

    /// The same in the middle of a turn, which begins with what was asked for if the one before it has left nothing.
    pub fn surely_by_now(&self, asked: u64) -> bool {
        let turn = self.turn.get();
        self.surely(asked) || (asked < turn && self.pace.unhurried.get() + 1 == turn)
    }

    /// Turns for everything that may be before anything else, one thing in each round of the parts.
    fn rounds(&self) -> u64 {
        let lives = self.lives.borrow();
        let timers: usize = lives.iter().map(|life| life.timers.len()).sum();
        PARTS * (4 + 4 * lives.len() as u64 + timers as u64 + self.pace.closures.get())
    }

    /// The wait before a turn is over.
    pub fn turn_begins(&self, slept: bool) {
        let now = self.now();
        if slept {
            self.pace.woke.set(now);
            self.slept();
        }
        self.pace.began.set(now);
        self.pace.patience.set(self.rounds());
        self.pace.last.set(None);
        self.pace.events.set(0);
        self.pace.is_requested.set(false);
    }

    /// The turn is over.
    pub fn turn_ends(&self) {
        let Pace { budget, began, unhurried, .. } = &self.pace;
        if self.now() >= began.get().saturating_add(*budget) {
            self.cover("a turn has used up its budget");
        } else if !self.may_be_cut() {
            unhurried.set(self.turn.get());
        }
    }

    /// The loop has slept: nothing may have been left to do.
    fn slept(&self) {
        let is_old = |asked: &Asked| self.is_late(asked.at);
        let slept_over = self.lives.borrow().iter().enumerate().find_map(|(me, life)| {
            let what = match life.phase {
                Phase::Open if life.failure.is_none() && !life.heard.is_empty() && !life.paused => {
                    self.log(|| format!("{:?}", life.heard));
                    "a message"
                }
                Phase::Idle if life.id.is_some() => "its start",
                Phase::Trying | Phase::Open | Phase::Waiting if life.works.front().is_some_and(is_old) => {
                    "a closure"
                }
                _ => return None,
            };
            Some((me, what))
        });
        if let Some((me, what)) = slept_over {
            self.breach(format!("{me}: the loop has slept over {what}"));
        }
        let is_left = self.runs.borrow().front().is_some_and(is_old);
        self.expect(!is_left, || "the loop has slept over a closure".to_owned());
    }

    /// Something of `me` is called; `usize::MAX` stands for no app.
    pub fn calls(&self, me: usize, what: Callback) {
        let (pace, now) = (&self.pace, self.now());
        let last = pace.last.replace(Some((me, what)));
        if what.begins_event() {
            self.visits(me, now);
        }
        if last.is_none() || now < pace.began.get().saturating_add(pace.budget) {
            return;
        }
        let is_same = last.is_some_and(|(other, _)| other == me);
        let first = matches!(last, Some((_, Callback::Drain | Callback::Error)));
        let right = match what {
            // These begin a piece of work.
            Callback::Timer | Callback::Work | Callback::Run | Callback::Url => false,
            Callback::Open | Callback::Data | Callback::Ping | Callback::Pong => {
                is_same && (first || self.may_continue(me)) || self.is_broken(me)
            }
            // These belong to the one before.
            Callback::Header
            | Callback::Socket
            | Callback::Authorize
            | Callback::Message
            | Callback::Fragment
            | Callback::Reconnect => is_same,
            // Ends, and what writing calls.
            Callback::Error | Callback::Close | Callback::End | Callback::Classify | Callback::Drain => true,
        };
        self.expect(right, || {
            let began = pace.began.get();
            format!(
                "{me}: {} after the budget of the turn, which began at {began:?}; last: {last:?}",
                what.name()
            )
        });
    }

    /// Whether another event may come although the budget is used up: as many as were counted before they were known to be slow.
    fn may_continue(&self, me: usize) -> bool {
        let pace = &self.pace;
        pace.events.set(pace.events.get() + 1);
        let is_known = self.life(me, |life| life.steady.is_some()) || pace.budget.is_zero();
        !is_known && pace.events.get() < STRIDE
    }

    /// Writing to the stream fails, and what the server has said before that is read in the middle of anything.
    pub fn is_broken(&self, me: usize) -> bool {
        let Some(index) = self.life(me, |life| life.wire) else { return false };
        self.conversations.borrow().get(&index).is_some_and(|it| it.peer.client_end().reset)
    }

    /// An event of `me`: no app has more than its part of a turn, nor more than one event in each visit while requests wait.
    fn visits(&self, me: usize, now: Duration) {
        let (turn, pace) = (self.turn.get(), &self.pace);
        let part = pace.budget / VISITS_PER_TURN;
        let (is_requested, wait) = (pace.is_requested.get(), REQUESTS_WAIT.min(pace.budget));
        let visits = self.life(me, |life| {
            life.delivered_in = turn;
            let visits = &mut life.visits;
            if visits.turn != turn {
                *visits = Visits { turn, began: now, count: 1, ..Visits::default() };
            } else if now >= visits.began.saturating_add(part) {
                (visits.began, visits.count) = (now, visits.count + 1);
            }
            if is_requested && now >= visits.began + wait && now > visits.unheeding_at {
                (visits.unheeding, visits.unheeding_at) = (visits.unheeding + 1, now);
            }
            *visits
        });
        let is_too_long = visits.count > MOST_VISITS && self.life(me, |life| life.steady.is_some());
        self.expect(!is_too_long, || format!("{me} uses more than its part of a turn"));
        // Reading may go on for as long as a request waits at least, though something else has taken longer before it.
        self.expect(visits.unheeding <= MOST_VISITS + 1, || {
            format!("{me} is told of events at {} times although a request waits", visits.unheeding)
        });
    }
}

impl Life {
    /// What was read waits for its turn for too long.
    pub fn is_starved(&self, world: &World, lives: u64) -> bool {
        let is_slow = world.now() > world.pace.turn_began() || world.pace.budget.is_zero();
        let is_read = !self.paused && self.resumed_in + 2 <= world.turn.get();
        let waited = world.turn.get() - self.delivered_in;
        is_read && !self.heard.is_empty() && (!is_slow || waited > PARTS * (lives + 2))
    }
}

/// Tells the world when the loop sleeps.
pub struct Sleeper<D>(pub D);

impl<D: Dispatcher> Dispatcher for Sleeper<D> {
    forward_to!(0);
}

impl<D: Wait> Wait for Sleeper<D> {
    fn wait(&mut self, deadline: Option<Instant>, ready: &mut Vec<Ready>) -> io::Result<()> {
        let world = world();
        let before = world.now();
        let waited = self.0.wait(deadline, ready);
        world.turn_begins(world.now() > before);
        waited
    }
}
