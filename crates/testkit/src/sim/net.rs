//! The simulated network: clock, agenda, addresses.

use std::cell::{Cell, Ref, RefCell, RefMut};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use websocket_dispatcher::Io;
use websocket_link::{Connector, SocketOptions};

use super::connection::{Called, ConnectState, Script, SharedConnection, SimConnection, call_script, settle};
use super::faults::Dice;
use super::peer::{Backlog, SimListener, SimPeer};
use super::{Faults, SimDispatcher, SimResolver, SimStream, Trigger};

type Job = Box<dyn FnOnce(&SimNet)>;
type Tap = Box<dyn FnMut(usize, Tapped<'_>)>;

/// What a client has just done with its end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(clippy::exhaustive_enums, reason = "a stream of bytes has two directions and an end")]
pub enum Tapped<'a> {
    /// It has read these bytes.
    Read(&'a [u8]),
    /// The stream has taken these bytes, which the peer need not get.
    Written(&'a [u8]),
    /// It has dropped the stream.
    Dropped,
}

/// A simulated network with its own clock. Clones are handles to the same network.
///
/// It is the [`Connector`] for the code under test. An address without a server ([`listen`](Self::listen),
/// [`serve`](Self::serve), [`serve_arrivals`](Self::serve_arrivals)) refuses connections.
#[derive(Clone)]
pub struct SimNet {
    world: Rc<World>,
}

struct World {
    start: Instant,
    trigger: RefCell<Trigger>,
    faults: RefCell<Faults>,
    dice: RefCell<Dice>,
    agenda: RefCell<Agenda>,
    addresses: RefCell<BTreeMap<SocketAddr, Address>>,
    attempts: RefCell<Vec<(Duration, SocketAddr)>>,
    tap: RefCell<Option<Tap>>,
    waits: Cell<u64>,
}

#[derive(Default)]
struct Agenda {
    elapsed: Duration,
    jobs: BTreeMap<(Duration, u64), Job>,
    /// Counts jobs, so that those of the same time run in the order in which they were asked for.
    count: u64,
}

#[derive(Clone)]
struct Address {
    answer: Answer,
    delay: Duration,
}

#[derive(Clone)]
enum Answer {
    Refuse,
    Fail(io::ErrorKind),
    Silence,
    Listen(Backlog),
    Serve(Script),
}

impl SimNet {
    /// A network without faults, reported edge-triggered, whose dice start at `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            world: Rc::new(World {
                start: Instant::now(),
                trigger: RefCell::default(),
                faults: RefCell::default(),
                dice: RefCell::new(Dice::new(seed)),
                agenda: RefCell::default(),
                addresses: RefCell::default(),
                attempts: RefCell::default(),
                tap: RefCell::default(),
                waits: Cell::default(),
            }),
        }
    }

    /// Lets these things go wrong from now on.
    #[must_use]
    pub fn with_faults(self, faults: Faults) -> Self {
        self.set_faults(faults);
        self
    }

    /// Reports readiness as `trigger` says.
    #[must_use]
    pub fn with_trigger(self, trigger: Trigger) -> Self {
        *self.world.trigger.borrow_mut() = trigger;
        self
    }

    /// Lets these things go wrong from now on, and no others.
    pub fn set_faults(&self, faults: Faults) {
        *self.world.faults.borrow_mut() = faults;
    }

    /// A loop over this network's streams.
    pub fn dispatcher(&self) -> SimDispatcher {
        SimDispatcher::new(self.clone())
    }

    /// A name service that knows no names yet.
    pub fn resolver(&self) -> SimResolver {
        SimResolver::new(self.clone())
    }

    /// Queues connections to `address` until the test accepts them.
    pub fn listen(&self, address: SocketAddr) -> SimListener {
        let backlog = Backlog::default();
        self.answer(address, Answer::Listen(backlog.clone()));
        SimListener { backlog }
    }

    /// Calls `script` once for each connection to `address`, when the client's request has arrived: to accept
    /// or refuse the upgrade, to send something, and to plan the rest with [`after`](Self::after).
    ///
    /// What the client sends later waits until it is read, and the script is not called for it: a server that
    /// answers frames is [`serve_arrivals`](Self::serve_arrivals). A client that sends something other than a
    /// request, to a proxy for one, is never served.
    ///
    /// ```
    /// use std::time::Duration;
    /// use websocket_testkit::frame;
    /// use websocket_testkit::sim::SimNet;
    ///
    /// let net = SimNet::new(1);
    /// net.serve("192.0.2.1:80".parse()?, |server| {
    ///     server.accept_upgrade();
    ///     for minute in 1..=90 {
    ///         let server = server.clone();
    ///         server.net().clone().after(Duration::from_secs(60 * minute), move |_| {
    ///             server.write(&frame::text(&format!("price {minute}")));
    ///         });
    ///     }
    /// });
    /// # Ok::<(), std::net::AddrParseError>(())
    /// ```
    pub fn serve(&self, address: SocketAddr, script: impl FnMut(&SimPeer) + 'static) {
        self.answer_with(address, script, Called::AtTheRequest);
    }

    /// Calls `script` for each connection to `address` when it opens, and again whenever bytes or an end have
    /// arrived on it: it does what can be done with what is there.
    ///
    /// ```
    /// use websocket_testkit::frame;
    /// use websocket_testkit::sim::SimNet;
    ///
    /// let net = SimNet::new(1);
    /// net.serve_arrivals("192.0.2.1:80".parse()?, |server| {
    ///     if server.accept_upgrade().is_some() {
    ///         server.write(&frame::text("welcome"));
    ///     }
    ///     while let Some(frame) = server.read_frame() {
    ///         server.write(&frame::encode(frame.fin, 0, frame.opcode, &frame.payload));
    ///     }
    /// });
    /// # Ok::<(), std::net::AddrParseError>(())
    /// ```
    pub fn serve_arrivals(&self, address: SocketAddr, script: impl FnMut(&SimPeer) + 'static) {
        self.answer_with(address, script, Called::AtEachArrival);
    }

    fn answer_with(&self, address: SocketAddr, script: impl FnMut(&SimPeer) + 'static, called: Called) {
        let function = Rc::new(RefCell::new(script));
        self.answer(address, Answer::Serve(Script { function, called }));
    }

    /// Refuses connections to `address`, as an address does that was never named.
    pub fn refuse(&self, address: SocketAddr) {
        self.answer(address, Answer::Refuse);
    }

    /// Never answers connections to `address`.
    pub fn black_hole(&self, address: SocketAddr) {
        self.answer(address, Answer::Silence);
    }

    /// Fails connections to `address` before they have begun, as the system does without a route.
    pub fn fail(&self, address: SocketAddr, kind: io::ErrorKind) {
        self.answer(address, Answer::Fail(kind));
    }

    /// Lets connecting to `address`, or being refused there, take that much longer.
    pub fn delay(&self, address: SocketAddr, delay: Duration) {
        self.with_address(address, |known| known.delay = delay);
    }

    /// All attempts to connect so far: when, by the time since the start, and where to.
    pub fn attempts(&self) -> Vec<(Duration, SocketAddr)> {
        self.world.attempts.borrow().clone()
    }

    /// Calls `tap` whenever a client has read or written bytes, or dropped its stream, with the number of the connection
    /// ([`SimPeer::index`]): what was wholly written is known so, also when it never arrives. It must not use
    /// a stream.
    pub fn tap(&self, tap: impl FnMut(usize, Tapped<'_>) + 'static) {
        *self.world.tap.borrow_mut() = Some(Box::new(tap));
    }

    pub(super) fn tapped(&self, index: usize, what: Tapped<'_>) {
        if let Some(tap) = &mut *self.world.tap.borrow_mut() {
            tap(index, what);
        }
    }

    fn answer(&self, address: SocketAddr, answer: Answer) {
        self.with_address(address, |known| known.answer = answer);
    }

    fn with_address(&self, address: SocketAddr, change: impl FnOnce(&mut Address)) {
        let mut addresses = self.world.addresses.borrow_mut();
        change(addresses.entry(address).or_insert(Address { answer: Answer::Refuse, delay: Duration::ZERO }));
    }

    /// The time on the virtual clock.
    pub fn now(&self) -> Instant {
        self.world.start + self.elapsed()
    }

    /// The virtual time since the network was made.
    pub fn elapsed(&self) -> Duration {
        self.world.agenda.borrow().elapsed
    }

    /// How often the network's dispatchers have been waited on: what tells whether an idle reactor is idle.
    pub fn waits(&self) -> u64 {
        self.world.waits.get()
    }

    pub(super) fn count_wait(&self) {
        self.world.waits.set(self.waits() + 1);
    }

    /// The virtual time at `instant`.
    pub(super) fn elapsed_at(&self, instant: Instant) -> Duration {
        instant.saturating_duration_since(self.world.start)
    }

    /// Runs `job` when the virtual time since the start is `elapsed`; during the next wait if that has
    /// passed.
    pub fn at(&self, elapsed: Duration, job: impl FnOnce(&Self) + 'static) {
        let mut agenda = self.world.agenda.borrow_mut();
        let count = agenda.count;
        agenda.count += 1;
        agenda.jobs.insert((elapsed, count), Box::new(job));
    }

    /// Runs `job` after `delay` of virtual time.
    pub fn after(&self, delay: Duration, job: impl FnOnce(&Self) + 'static) {
        self.at(self.elapsed() + delay, job);
    }

    /// Lets `time` pass, with everything that happens in it: for tests that drive streams without a
    /// dispatcher, and for callbacks that are to take that long.
    pub fn advance(&self, time: Duration) {
        let end = self.elapsed() + time;
        self.run_due();
        while let Some(at) = self.next_job().filter(|at| *at <= end) {
            self.move_clock(at);
            self.run_due();
        }
        self.move_clock(end);
    }

    /// Runs all jobs whose time has come, and those that they add for now.
    pub(super) fn run_due(&self) {
        loop {
            let mut agenda = self.world.agenda.borrow_mut();
            let now = agenda.elapsed;
            match agenda.jobs.first_entry() {
                Some(entry) if entry.key().0 <= now => {
                    let job = entry.remove();
                    drop(agenda);
                    job(self);
                }
                _ => return,
            }
        }
    }

    pub(super) fn next_job(&self) -> Option<Duration> {
        self.world.agenda.borrow().jobs.keys().next().map(|(at, _)| *at)
    }

    /// Moves the clock forward to `elapsed`.
    pub(super) fn move_clock(&self, elapsed: Duration) {
        let mut agenda = self.world.agenda.borrow_mut();
        agenda.elapsed = agenda.elapsed.max(elapsed);
    }

    pub(super) fn trigger(&self) -> Trigger {
        *self.world.trigger.borrow()
    }

    pub(super) fn faults(&self) -> Ref<'_, Faults> {
        self.world.faults.borrow()
    }

    pub(super) fn dice(&self) -> RefMut<'_, Dice> {
        self.world.dice.borrow_mut()
    }

    fn finish_connecting(&self, shared: &SharedConnection, answer: Answer) {
        if shared.borrow().client_is_gone {
            return;
        }
        match answer {
            Answer::Silence => {}
            Answer::Refuse => settle(shared, ConnectState::Failed(io::ErrorKind::ConnectionRefused)),
            Answer::Fail(kind) => settle(shared, ConnectState::Failed(kind)),
            Answer::Listen(backlog) => {
                settle(shared, ConnectState::Open);
                backlog.borrow_mut().push_back(SimPeer::new(self, shared));
            }
            Answer::Serve(script) => {
                settle(shared, ConnectState::Open);
                shared.borrow_mut().script = Some(script);
                call_script(self, shared);
            }
        }
    }
}

impl Connector for SimNet {
    /// Socket options have no meaning here and are not looked at.
    fn connect(&mut self, address: SocketAddr, _: &SocketOptions) -> io::Result<Io> {
        let mut attempts = self.world.attempts.borrow_mut();
        let index = attempts.len();
        attempts.push((self.elapsed(), address));
        drop(attempts);
        let known = self.world.addresses.borrow().get(&address).cloned();
        let Address { answer, delay } =
            known.unwrap_or(Address { answer: Answer::Refuse, delay: Duration::ZERO });
        if let Answer::Fail(kind) = answer {
            return Err(kind.into());
        }
        let shared = SimConnection::new(address, index);
        let time = delay + self.travel_time();
        if time.is_zero() {
            self.finish_connecting(&shared, answer);
        } else {
            let shared = shared.clone();
            self.after(time, move |net| net.finish_connecting(&shared, answer));
        }
        Ok(Io::custom(SimStream::new(self.clone(), shared)))
    }
}

impl fmt::Debug for SimNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimNet")
            .field("elapsed", &self.elapsed())
            .field("trigger", &self.trigger())
            .field("faults", &*self.faults())
            .field("jobs", &self.world.agenda.borrow().jobs.len())
            .finish_non_exhaustive()
    }
}
