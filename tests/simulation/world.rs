//! One world: what its parts share, and what they have done.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use websocket_app::dispatcher::Io;
use websocket_app::link::{Connector as _, SocketOptions};
use websocket_app::{AppId, State};
use websocket_testkit::sim::SimNet;
use websocket_tests::SERVER;

use crate::coverage::Coverage;
use crate::dice::Dice;
use crate::life::{Asked, Life, Phase};
use crate::memory::{held, uncounted};
use crate::pace::Pace;
use crate::server::{Conversation, PAUSES};
use crate::settings::Settings;
use crate::stops::{Drain, Stop};
use crate::wire::Wire;

thread_local! {
    static WORLD: RefCell<Option<Rc<World>>> = const { RefCell::new(None) };
}

/// Characters that are enough to say what went wrong.
const MOST_WORDS: usize = 500;

/// What panics on purpose says.
pub const ON_PURPOSE: &str = "on purpose";

/// The world of this thread: closures that must be `Send` reach it so, and nothing that the network holds needs to hold it.
pub fn world() -> Rc<World> {
    WORLD.with_borrow(|world| world.clone()).expect("a seed is running")
}

/// What was called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Callback {
    Open,
    Reconnect,
    Message,
    Data,
    Fragment,
    Ping,
    Pong,
    Drain,
    Error,
    Close,
    End,
    Timer,
    /// A closure of a sender's.
    Work,
    /// A closure of a handle's.
    Run,
    Url,
    Header,
    Socket,
    Authorize,
    Classify,
}

impl Callback {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "on_open",
            Self::Reconnect => "on_reconnect",
            Self::Message => "on_message",
            Self::Data => "on_data",
            Self::Fragment => "on_cont_message",
            Self::Ping => "on_ping",
            Self::Pong => "on_pong",
            Self::Drain => "on_drain",
            Self::Error => "on_error",
            Self::Close => "on_close",
            Self::End => "on_end",
            Self::Timer => "timer",
            Self::Work => "closure",
            Self::Run => "work",
            Self::Url => "url_with",
            Self::Header => "header_with",
            Self::Socket => "socket_with",
            Self::Authorize => "authorize_with",
            Self::Classify => "classify",
        }
    }

    /// Whether an event of a connection begins with it.
    pub const fn begins_event(self) -> bool {
        matches!(self, Self::Open | Self::Data | Self::Ping | Self::Pong)
    }

    /// Whether it belongs to an event that has begun.
    pub const fn is_of_event(self) -> bool {
        matches!(self, Self::Reconnect | Self::Message | Self::Fragment | Self::Error)
    }
}

/// The port of the servers of `me`.
pub fn port(me: usize) -> u16 {
    8000 + me as u16
}

pub struct World {
    /// Memory of this thread that is not the world's.
    pub held_before: i64,
    pub dice: Dice,
    pub net: SimNet,
    pub pace: Pace,
    /// Whether a read, and a write, of the client shows what there is.
    pub sharp: Cell<(bool, bool)>,
    /// Little goes wrong here.
    pub calm: bool,
    /// How long the slow name takes.
    pub slow: Duration,
    pub lives: RefCell<Vec<Life>>,
    pub wires: RefCell<BTreeMap<usize, Wire>>,
    pub conversations: RefCell<BTreeMap<usize, Conversation>>,
    /// Held by whatever the user has handed over.
    pub alive: Arc<()>,
    pub turn: Cell<u64>,
    /// Counts what has been done, for turns in which nothing is.
    pub done: Cell<u64>,
    pub messages: Cell<u64>,
    pub drains: RefCell<Vec<Drain>>,
    pub stops: RefCell<Vec<Stop>>,
    /// Closures of handles that wait for the loop.
    pub runs: RefCell<VecDeque<Asked>>,
    /// A message has come that does not fit into the receive buffer.
    pub huge: Cell<bool>,
    /// The user has had enough, and adds no more apps.
    pub over: Cell<bool>,
    /// A callback has panicked in this turn.
    pub panicked: Cell<bool>,
    pub coverage: RefCell<Coverage>,
    breaches: RefCell<Vec<String>>,
    log: Option<RefCell<String>>,
    verbose: bool,
}

/// How much of a run is written down.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Record {
    Nothing,
    Log,
    /// The log is printed as it grows.
    Print,
}

impl World {
    /// Makes the world of this thread.
    pub fn enter(seed: u64, record: Record) -> Rc<Self> {
        let dice = Dice::new(seed);
        let net = SimNet::new(dice.next());
        let world = Rc::new(Self {
            held_before: held(),
            calm: dice.one_in(2),
            slow: Duration::from_millis(dice.pick(&PAUSES)),
            pace: Pace::draw(&dice),
            sharp: Cell::new((true, true)),
            dice,
            net,
            lives: RefCell::default(),
            wires: RefCell::default(),
            conversations: RefCell::default(),
            alive: Arc::default(),
            turn: Cell::new(0),
            done: Cell::new(0),
            messages: Cell::new(0),
            drains: RefCell::default(),
            stops: RefCell::default(),
            runs: RefCell::default(),
            huge: Cell::new(false),
            over: Cell::new(false),
            panicked: Cell::new(false),
            coverage: RefCell::default(),
            breaches: RefCell::default(),
            log: (record != Record::Nothing).then(RefCell::default),
            verbose: record == Record::Print,
        });
        WORLD.set(Some(world.clone()));
        world
    }

    /// Leaves it; what it had written down.
    pub fn leave() -> Option<String> {
        let world = WORLD.take()?;
        world.log.as_ref().map(RefCell::take)
    }

    pub fn now(&self) -> Duration {
        self.net.elapsed()
    }

    /// The virtual time of an instant of the reactor's.
    pub fn time_of(&self, instant: Instant) -> Duration {
        instant.saturating_duration_since(self.net.now() - self.now())
    }

    pub fn log(&self, line: impl FnOnce() -> String) {
        let Some(log) = &self.log else { return };
        uncounted(|| {
            let line = format!("{:>12?} turn {:>4}  {}", self.now(), self.turn.get(), line());
            if self.verbose {
                println!("{line}");
            }
            let _infallible = writeln!(log.borrow_mut(), "{line}");
        });
    }

    /// What must hold does not.
    pub fn breach(&self, what: impl Into<String>) {
        let what: String = what.into().chars().take(MOST_WORDS).collect();
        let what = format!("at {:?}, turn {}: {what}", self.now(), self.turn.get());
        self.log(|| format!("BREACH {what}"));
        self.breaches.borrow_mut().push(what);
    }

    pub fn expect(&self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.breach(what());
        }
    }

    pub fn first_breach(&self) -> Option<String> {
        self.breaches.borrow().first().cloned()
    }

    pub fn cover(&self, what: &str) {
        uncounted(|| self.coverage.borrow_mut().count(what));
    }

    pub fn something_done(&self) {
        self.done.set(self.done.get() + 1);
    }

    pub fn life<R>(&self, me: usize, look: impl FnOnce(&mut Life) -> R) -> R {
        look(&mut self.lives.borrow_mut()[me])
    }

    pub fn new_life(&self, settings: Settings, actions: u32) -> usize {
        let steady = self.pace.draw_steady(&self.dice);
        let mut lives = self.lives.borrow_mut();
        lives.push(Life::new(settings, self.turn.get(), actions, steady));
        lives.len() - 1
    }

    pub fn added(&self, me: usize, id: AppId) {
        self.log(|| format!("{me}: added as {id}"));
        let used = self.lives.borrow().iter().any(|life| life.id == Some(id));
        self.expect(!used, || format!("{id} was the name of another app"));
        self.life(me, |life| life.id = Some(id));
    }

    /// Any app, ended or not.
    pub fn someone(&self) -> Option<(usize, AppId)> {
        let other = self.dice.below(self.lives.borrow().len());
        self.life(other, |life| life.id).map(|id| (other, id))
    }

    pub fn removed(&self, me: usize) {
        self.log(|| format!("{me}: removed"));
        let phase = self.step(me);
        self.cover(&format!("removed while {phase}"));
        self.life(me, |life| {
            life.phase = Phase::Removed;
            life.owes_error = None;
            life.owes_reconnect = false;
        });
    }

    /// The user closes the app.
    pub fn closes(&self, me: usize, state: State, directly: bool) {
        let step = if state == State::Closing { "closing" } else { self.step(me) };
        self.cover(&format!(
            "closed {} while {step}",
            if directly { "in a callback" } else { "by a sender" }
        ));
    }

    /// How far the app is, for the coverage.
    pub fn step(&self, me: usize) -> &'static str {
        let lives = self.lives.borrow();
        let life = &lives[me];
        match life.phase {
            Phase::Idle => "new",
            Phase::Trying if life.wire.is_some() => "upgrading",
            Phase::Trying if life.resolves_at.is_some_and(|at| self.now() <= at) => "resolving",
            Phase::Trying => "connecting",
            Phase::Open if life.closing_since.is_some() || life.closing.timeout.is_some() => "closing",
            Phase::Open => "open",
            Phase::Waiting => "waiting",
            Phase::Over | Phase::Removed => "ended",
        }
    }

    /// A number that nothing else has.
    pub fn payload_token(&self) -> u64 {
        self.messages.set(self.messages.get() + 1);
        self.messages.get()
    }

    /// Panics in a callback of the user's.
    pub fn panic(&self, me: usize, place: &str) {
        self.log(|| format!("{me}: panics in {place}"));
        self.cover(&format!("panicked in {place}"));
        self.panicked.set(true);
        self.life(me, |life| {
            life.panicked = Some(place == "on_error");
            life.owes_reconnect = false;
            life.owes_error = None;
        });
        // Without the hook, which would print it.
        resume_unwind(Box::new(ON_PURPOSE));
    }

    /// Panics in a closure that is no app's.
    pub fn panic_elsewhere(&self) {
        self.cover("panicked in a closure of the reactor's");
        self.panicked.set(true);
        resume_unwind(Box::new(ON_PURPOSE));
    }

    /// The callback of `me` is about to return an error.
    pub fn returns_error(&self, me: usize, callback: Callback, text: &str) {
        self.log(|| format!("{me}: {} returns an error", callback.name()));
        self.cover("a callback returned an error");
        let told = !matches!(callback, Callback::Error | Callback::Close);
        self.life(me, |life| {
            if told && life.phase != Phase::Removed {
                life.owes_error = Some(text.to_owned());
            }
        });
    }

    /// Something is asked for now.
    pub fn ask(&self, directly: bool) -> Asked {
        Asked { turn: self.turn.get(), at: self.now(), directly }
    }

    /// Whether the app may have ended without a callback.
    pub fn may_end_silently(&self, life: &Life) -> bool {
        let waits = matches!(life.phase, Phase::Waiting);
        life.removal.is_some()
            || (waits && (life.closed.is_some() || life.panicked.is_some() || self.may_stop()))
            || (waits && life.stopped_by.is_some())
    }

    /// A stream of the user's own.
    pub fn socket(&self, me: usize) -> io::Result<Io> {
        self.calls(me, Callback::Socket);
        self.cover("a stream of the user's own");
        self.dawdle(Some(me), Callback::Socket);
        if self.dice.one_in(6) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let server = SocketAddr::new(SERVER.ip(), port(me));
        self.net.clone().connect(server, &SocketOptions::default())
    }
}
