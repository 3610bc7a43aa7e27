//! Thousands of apps that start at once: their names are resolved a few at a time, and waiting for that uses
//! up no deadline.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use websocket_app::link::proxy::ProxyPolicy;
use websocket_app::link::{Answer, Query, Resolver, SystemResolver};
use websocket_app::{RunOptions, WebSocketApp};
use websocket_testkit::server::EchoServer;
use websocket_testkit::sim::{Faults, SimNet, SimPeer};
use websocket_tests::{HostReactor, Log, SERVER, World, reactor, until};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// Look-ups that run at once, as those of `SystemResolver`.
const LANES: usize = 32;

const CROWD: usize = 2000;

fn options() -> RunOptions {
    RunOptions::new().proxy(ProxyPolicy::direct())
}

/// Answers as a pool of helper threads does: at most [`LANES`] look-ups at once, in the order of the first
/// queries, and one for all queries that ask for the same name before it is answered. Names that begin with
/// `dead` are never answered.
#[derive(Clone)]
struct Pool(Rc<RefCell<Lookups>>);

struct Lookups {
    net: SimNet,
    takes: Duration,
    free_lanes: usize,
    waiting: VecDeque<String>,
    questions: HashMap<String, Vec<(u16, Answer)>>,
    /// How often each name was looked up.
    begun: BTreeMap<String, u32>,
    /// What the next look-up finds. Each one finds the addresses in another order.
    addresses: VecDeque<IpAddr>,
}

impl Pool {
    fn new(net: &SimNet, takes: Duration, addresses: &[IpAddr]) -> Self {
        Self(Rc::new(RefCell::new(Lookups {
            net: net.clone(),
            takes,
            free_lanes: LANES,
            waiting: VecDeque::new(),
            questions: HashMap::new(),
            begun: BTreeMap::new(),
            addresses: addresses.iter().copied().collect(),
        })))
    }

    fn begin_lookups(&self) {
        let mut lookups = self.0.borrow_mut();
        while lookups.free_lanes > 0
            && let Some(host) = lookups.waiting.pop_front()
        {
            let is_wanted = lookups.questions[&host].iter().any(|(_, answer)| answer.is_wanted());
            if !is_wanted {
                lookups.questions.remove(&host);
                continue;
            }
            lookups.free_lanes -= 1;
            *lookups.begun.entry(host.clone()).or_default() += 1;
            if !host.starts_with("dead") {
                let pool = self.clone();
                lookups.net.after(lookups.takes, move |_| pool.end_lookup(&host));
            }
        }
    }

    fn end_lookup(&self, host: &str) {
        let mut lookups = self.0.borrow_mut();
        lookups.free_lanes += 1;
        let questions = lookups.questions.remove(host).unwrap();
        let found: Vec<_> = lookups.addresses.iter().copied().collect();
        lookups.addresses.rotate_left(1);
        drop(lookups);
        for (port, answer) in questions {
            answer.send(Ok(found.iter().map(|address| SocketAddr::new(*address, port)).collect()));
        }
        self.begin_lookups();
    }

    /// How often each name was looked up.
    fn begun(&self) -> BTreeMap<String, u32> {
        self.0.borrow().begun.clone()
    }
}

impl Resolver for Pool {
    fn resolve(&mut self, query: Query, answer: Answer) {
        let mut lookups = self.0.borrow_mut();
        let Lookups { waiting, questions, .. } = &mut *lookups;
        let asked = questions.entry(query.host.clone()).or_default();
        if asked.is_empty() {
            waiting.push_back(query.host);
        }
        asked.push((query.port, answer));
        drop(lookups);
        self.begin_lookups();
    }
}

fn opens(peer: &SimPeer) {
    peer.accept_upgrade();
}

/// A world in which bytes travel for 5 ms, names are resolved by a pool, and every name leads to [`SERVER`],
/// which opens connections.
fn world(takes: Duration) -> (World, Pool) {
    let mut faults = Faults::default();
    faults.latency = 5 * MS..=5 * MS;
    let world = World::on(SimNet::new(1).with_faults(faults));
    world.net.serve_arrivals(SERVER, opens);
    let pool = Pool::new(&world.net, takes, &[SERVER.ip()]);
    let world = world.map(|reactor| reactor.resolver(pool.clone()));
    (world, pool)
}

/// When each app opened, by the virtual time since the start, and everything else that their callbacks were
/// passed.
#[derive(Clone, Default)]
struct Crowd {
    opened: Rc<RefCell<BTreeMap<usize, Duration>>>,
    trouble: Log,
}

impl Crowd {
    fn add(&self, world: &mut World, number: usize, url: String) {
        let (opened, net) = (self.opened.clone(), world.net.clone());
        let app = self.trouble.app(url).on_open(move |_, _| {
            opened.borrow_mut().insert(number, net.elapsed());
        });
        app.run_on(&mut world.reactor, &options()).unwrap();
    }

    fn count(&self) -> usize {
        self.opened.borrow().len()
    }

    fn last(&self) -> Duration {
        *self.opened.borrow().values().max().unwrap()
    }

    /// Runs until so many have opened.
    fn run_until(&self, world: &mut World, count: usize) {
        while self.count() < count {
            world.reactor.poll(None).unwrap();
            self.assert_untroubled();
        }
    }

    fn assert_untroubled(&self) {
        assert_eq!(self.trouble.lines(), [""; 0]);
    }
}

#[test]
fn b195_two_thousand_names_are_resolved_in_turn_and_no_app_runs_out_of_time() {
    // With half a second each, the last name is answered after 31 seconds, which is later than both default
    // deadlines: 10 seconds for a name and 30 for an attempt.
    for takes in [20 * MS, 500 * MS] {
        let (mut world, pool) = world(takes);
        let crowd = Crowd::default();
        for number in 0..CROWD {
            crowd.add(&mut world, number, format!("ws://name{number}.test/"));
        }
        crowd.run_until(&mut world, CROWD);
        let rounds = CROWD.div_ceil(LANES) as u32;
        assert!(crowd.last() >= rounds * takes, "{:?}", crowd.last());
        // What comes on top is the way to the server.
        assert!(crowd.last() <= rounds * takes + SECOND, "{:?}", crowd.last());
        let begun = pool.begun();
        assert_eq!(begun.len(), CROWD);
        assert!(begun.values().all(|times| *times == 1));
    }
}

#[test]
fn b195_two_thousand_apps_with_one_name_share_one_look_up_and_its_order() {
    let (world, _) = world(SECOND);
    let address = |last: u8| SocketAddr::from(([192, 0, 2, last], SERVER.port()));
    let pool = Pool::new(&world.net, SECOND, &[address(3).ip(), address(2).ip(), SERVER.ip()]);
    let mut world = world.map(|reactor| reactor.resolver(pool.clone()));
    let crowd = Crowd::default();
    for number in 0..CROWD {
        crowd.add(&mut world, number, "ws://one.test/".to_owned());
    }
    crowd.run_until(&mut world, CROWD);
    assert_eq!(pool.begun(), BTreeMap::from([("one.test".to_owned(), 1)]));
    // Each was refused by the first two before it came to the last: with another order, not all would have
    // been to the first.
    let mut tried = BTreeMap::<_, usize>::new();
    world.net.attempts().into_iter().for_each(|(_, address)| *tried.entry(address).or_default() += 1);
    assert_eq!(tried, BTreeMap::from([(address(3), CROWD), (address(2), CROWD), (SERVER, CROWD)]));
    assert!(crowd.last() < 10 * SECOND, "{:?}", crowd.last());
}

#[test]
fn b195_names_that_are_never_answered_delay_no_other_by_more_than_one_look_up() {
    let takes = 20 * MS;
    let way = 15 * MS;
    for dead in [1, LANES - 1] {
        let (mut world, pool) = world(takes);
        let stuck = Log::new();
        for number in 0..10 * dead {
            // Ten apps ask for each of them, again and again.
            let app = stuck.app(format!("ws://dead{}.test/", number % dead));
            app.run_on(&mut world.reactor, &options().reconnect(SECOND)).unwrap();
        }
        world.settle();
        let crowd = Crowd::default();
        // Each finds a free lane, for longer than it takes the apps before to give up.
        for number in 0..1000 {
            crowd.add(&mut world, number, format!("ws://name{number}.test/"));
            world.run_for(takes);
        }
        world.run_for(way);
        for (number, at) in &*crowd.opened.borrow() {
            assert_eq!(*at, takes * (*number as u32 + 1) + way, "app {number}");
        }
        assert_eq!(crowd.count(), 1000);
        crowd.assert_untroubled();
        assert_eq!(pool.begun().len(), 1000 + dead);
        assert!(pool.begun().values().all(|times| *times == 1), "a query that comes again joins the look-up");
        assert_eq!(stuck.lines()[0], "error Timeout(Resolve)");
        assert!(stuck.count(|line| line == "error Timeout(Resolve)") >= 10 * dead);
    }
}

#[test]
fn b195_a_crowd_is_delayed_by_one_look_up_where_one_lane_is_lost() {
    let times = |dead: bool| {
        let (mut world, _) = world(20 * MS);
        if dead {
            WebSocketApp::new("ws://dead.test/").run_on(&mut world.reactor, &options()).unwrap();
        }
        let crowd = Crowd::default();
        for number in 0..10 * LANES {
            crowd.add(&mut world, number, format!("ws://name{number}.test/"));
        }
        crowd.run_until(&mut world, 10 * LANES);
        crowd.opened.take()
    };
    let (without, with) = (times(false), times(true));
    for (number, at) in &with {
        assert!(*at <= without[number] + 20 * MS, "app {number}: {:?}, then {at:?}", without[number]);
    }
    assert!(with.values().max() > without.values().max(), "the lane was needed");
}

/// A look-up that has begun on a helper thread and waits for the test.
struct Lookup {
    host: String,
    may_end: Sender<()>,
}

/// The default resolver with look-ups that wait for the test, and a count of its queries.
struct Held {
    resolver: SystemResolver,
    queries: Rc<Cell<usize>>,
}

impl Held {
    /// Returns the look-ups too, as they begin.
    fn new() -> (Self, Receiver<Lookup>) {
        let (begun, lookups) = mpsc::channel();
        let resolver = SystemResolver::with_lookup(move |host| {
            let (may_end, ends) = mpsc::channel();
            begun.send(Lookup { host: host.to_owned(), may_end }).map_err(io::Error::other)?;
            ends.recv().map_err(io::Error::other)?;
            Ok(vec![SocketAddr::from(([127, 0, 0, 1], 0))])
        });
        (Self { resolver, queries: Rc::default() }, lookups)
    }
}

impl Resolver for Held {
    fn resolve(&mut self, query: Query, answer: Answer) {
        self.queries.set(self.queries.get() + 1);
        self.resolver.resolve(query, answer);
    }
}

/// The next look-up that begins. The limit turns a test that would hang into one that fails.
fn next(lookups: &Receiver<Lookup>) -> Lookup {
    lookups.recv_timeout(30 * SECOND).unwrap()
}

/// A reactor on real sockets on which this many apps have asked for their hosts, which are to lead to an echo
/// server. Returns the apps' log and the look-ups, too.
fn asking(
    apps: usize,
    echo: &EchoServer,
    host: impl Fn(usize) -> String,
) -> (HostReactor, Log, Receiver<Lookup>) {
    let (held, lookups) = Held::new();
    let queries = held.queries.clone();
    let mut reactor = reactor().resolver(held);
    let log = Log::new();
    // The test does not depend on how long this machine takes.
    let patient = options().resolve_timeout(3600 * SECOND).attempt_timeout(3600 * SECOND);
    for number in 0..apps {
        let app = log.app(format!("ws://{}:{}/", host(number), echo.addr().port()));
        app.run_on(&mut reactor, &patient).unwrap();
    }
    until(&mut reactor, |_| queries.get() == apps);
    (reactor, log, lookups)
}

#[test]
fn b195_two_hundred_names_go_through_the_threads_of_the_default_resolver() {
    const APPS: usize = 200;
    let echo = EchoServer::start().unwrap();
    let (mut reactor, log, lookups) = asking(APPS, &echo, |number| format!("name{number}.test"));
    let mut under_way: VecDeque<_> = (0..LANES).map(|_| next(&lookups)).collect();
    let mut seen = Vec::new();
    while let Some(lookup) = under_way.pop_front() {
        assert!(lookups.try_recv().is_err(), "no more look-ups run than there may be threads");
        seen.push(lookup.host);
        lookup.may_end.send(()).unwrap();
        until(&mut reactor, |_| log.lines().len() == seen.len());
        if seen.len() + LANES <= APPS {
            under_way.push_back(next(&lookups));
        }
    }
    assert_open(&log, APPS);
    seen.sort();
    let mut expected: Vec<_> = (0..APPS).map(|number| format!("name{number}.test")).collect();
    expected.sort();
    assert_eq!(seen, expected);
}

#[test]
fn b195_two_hundred_apps_with_one_name_cost_the_default_resolver_one_look_up() {
    const APPS: usize = 200;
    let echo = EchoServer::start().unwrap();
    let (mut reactor, log, lookups) = asking(APPS, &echo, |_| "one.test".to_owned());
    next(&lookups).may_end.send(()).unwrap();
    until(&mut reactor, |_| log.lines().len() == APPS);
    assert_open(&log, APPS);
    assert!(lookups.try_recv().is_err());
}

/// Checks that this many apps have opened, and that nothing else has happened.
#[track_caller]
fn assert_open(log: &Log, apps: usize) {
    let lines = log.lines();
    assert_eq!(lines.iter().find(|line| *line != "open"), None);
    assert_eq!(lines.len(), apps);
}
