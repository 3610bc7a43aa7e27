//! How many connections are in the making at once, in total and to one server; and that all are made in the
//! end.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use websocket_app::dispatcher::{Io, Stream};
use websocket_app::link::proxy::ProxyPolicy;
use websocket_app::link::{Connector, SocketOptions};
use websocket_app::{Reconnect, RunOptions};
use websocket_testkit::sim::{Faults, SimNet, SimPeer};
use websocket_tests::{Log, SERVER, URL, World};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn options() -> RunOptions {
    RunOptions::new().proxy(ProxyPolicy::direct())
}

fn ip(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

fn address(last: u8) -> SocketAddr {
    SocketAddr::new(ip(last), SERVER.port())
}

/// Connections in the making, by address: from the beginning until the response was read or the stream
/// dropped.
#[derive(Default)]
struct Making {
    now: BTreeMap<SocketAddr, usize>,
    most: BTreeMap<SocketAddr, usize>,
    most_in_total: usize,
}

/// Connects through the simulated network, and counts.
#[derive(Clone)]
struct Census {
    net: SimNet,
    making: Rc<RefCell<Making>>,
}

struct Counted {
    inner: Io,
    address: SocketAddr,
    making: Rc<RefCell<Making>>,
    is_counted: bool,
}

impl Connector for Census {
    fn connect(&mut self, address: SocketAddr, options: &SocketOptions) -> io::Result<Io> {
        let inner = self.net.connect(address, options)?;
        let mut making = self.making.borrow_mut();
        let here = making.now.entry(address).or_default();
        *here += 1;
        let (here, total) = (*here, making.now.values().sum());
        let most = making.most.entry(address).or_default();
        *most = here.max(*most);
        making.most_in_total = making.most_in_total.max(total);
        let making = self.making.clone();
        Ok(Io::custom(Counted { inner, address, making, is_counted: true }))
    }
}

impl Counted {
    fn is_made(&mut self) {
        if std::mem::take(&mut self.is_counted) {
            *self.making.borrow_mut().now.get_mut(&self.address).unwrap() -= 1;
        }
    }
}

impl Stream for Counted {
    fn connected(&mut self) -> io::Result<bool> {
        self.inner.connected()
    }

    fn inner(&self) -> Option<&Io> {
        Some(&self.inner)
    }

    fn inner_mut(&mut self) -> Option<&mut Io> {
        Some(&mut self.inner)
    }
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Nothing but the response, in one piece.
        self.inner.read(buffer).inspect(|_| self.is_made())
    }
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.is_made();
    }
}

/// A world in which bytes travel for 10 to 50 ms, with these limits, and its census.
fn world(total: usize, per_server: usize) -> (World, Rc<RefCell<Making>>) {
    let mut faults = Faults::default();
    faults.latency = 10 * MS..=50 * MS;
    let world = World::on(SimNet::new(1).with_faults(faults));
    let census = Census { net: world.net.clone(), making: Rc::default() };
    let making = census.making.clone();
    let world = world
        .map(|reactor| reactor.connector(census).max_attempts(total).max_attempts_per_server(per_server));
    (world, making)
}

fn opens(peer: &SimPeer) {
    peer.accept_upgrade();
}

/// Runs until there are so many lines, for at most an hour.
fn run_until(world: &mut World, log: &Log, lines: usize) {
    while log.lines().len() < lines && world.net.elapsed() < 3600 * SECOND {
        world.reactor.poll(Some(SECOND)).unwrap();
    }
}

/// Checks that this many apps have opened, and that nothing else has happened.
#[track_caller]
fn assert_open(log: &Log, apps: usize) {
    let lines = log.lines();
    assert_eq!(lines.iter().find(|line| *line != "open"), None);
    assert_eq!(lines.len(), apps);
}

fn start(world: &mut World, log: &Log, url: String, options: &RunOptions) {
    log.app(url).run_on(&mut world.reactor, options).unwrap();
}

#[test]
fn b194_no_limit_is_exceeded_also_where_addresses_race() {
    const APPS: usize = 400;
    for (total, per_server) in [(20, 6), (7, 7), (100, 3)] {
        let (mut world, making) = world(total, per_server);
        // Three good servers; one that is slow, one that refuses after a while, one that never answers.
        for last in 1..=4 {
            world.net.serve_arrivals(address(last), opens);
        }
        world.net.delay(address(4), 600 * MS);
        world.net.delay(address(5), 100 * MS);
        world.net.black_hole(address(6));
        for (number, first) in [4, 5, 6, 1, 2].into_iter().enumerate() {
            let rest = [1, 2, 3].map(|last| ip((last + number as u8) % 3 + 1));
            let addresses = [&[ip(first)], &rest[..]].concat();
            world.resolver.name(&format!("name{number}.test"), &addresses);
        }
        let log = Log::new();
        for number in 0..APPS {
            let url = match number % 6 {
                5 => URL.to_owned(),
                name => format!("ws://name{name}.test/"),
            };
            start(&mut world, &log, url, &options());
        }
        run_until(&mut world, &log, APPS);
        assert_open(&log, APPS);
        let making = making.borrow();
        assert_eq!(making.most_in_total, total.min(6 * per_server));
        assert!(making.most.values().all(|most| *most <= per_server), "{:?}", making.most);
        assert_eq!(making.most.values().max(), Some(&per_server), "{:?}", making.most);
        assert_eq!(making.now.values().sum::<usize>(), 0);
    }
}

#[test]
fn in_the_strict_mode_one_connection_to_an_address_is_in_the_making_whatever_its_host_is_called() {
    let (mut world, making) = world(512, 1);
    let order = Rc::new(RefCell::new(Vec::new()));
    let paths = order.clone();
    world.net.serve_arrivals(SERVER, move |peer| {
        if let Some(request) = peer.accept_upgrade() {
            paths.borrow_mut().push(request.path);
        }
    });
    for name in ["a.test", "b.test", "c.test"] {
        world.resolver.name(name, &[SERVER.ip()]);
    }
    let log = Log::new();
    let hosts = ["a.test", "192.0.2.1", "b.test", "c.test:80"];
    for number in 0..40 {
        start(&mut world, &log, format!("ws://{}/{number}", hosts[number % 4]), &options());
        // The order is that in which they have come, and names take their time.
        world.settle();
    }
    run_until(&mut world, &log, 40);
    assert_eq!(log.lines(), ["open"; 40]);
    assert_eq!(making.borrow().most, BTreeMap::from([(SERVER, 1)]));
    let expected: Vec<_> = (0..40).map(|number| format!("/{number}")).collect();
    assert_eq!(*order.borrow(), expected);
    // Another port, and another address, are other servers.
    world.net.serve_arrivals(address(2), opens);
    world.net.serve_arrivals(SocketAddr::new(SERVER.ip(), 81), opens);
    for url in [URL, "ws://192.0.2.2/", "ws://192.0.2.1:81/"] {
        start(&mut world, &log, url.to_owned(), &options());
    }
    world.settle();
    assert_eq!(making.borrow().now.values().sum::<usize>(), 3);
}

#[test]
fn b132_a_turn_that_is_long_in_coming_uses_up_no_deadline() {
    let mut world = World::new().map(|reactor| reactor.max_attempts(1));
    let listener = world.net.listen(SERVER);
    let log = Log::new();
    let short = options().attempt_timeout(3 * SECOND).connect_timeout(2 * SECOND).upgrade_timeout(2 * SECOND);
    for _ in 0..50 {
        start(&mut world, &log, URL.to_owned(), &short);
    }
    for opened in 1..=50 {
        world.run_for(SECOND);
        assert_eq!(log.lines().len(), opened - 1);
        listener.accept().unwrap().accept_upgrade().unwrap();
        assert!(listener.accept().is_none(), "one at a time");
        world.settle();
    }
    assert_eq!((log.lines(), world.net.elapsed()), (vec!["open".to_owned(); 50], 50 * SECOND));
}

#[test]
fn b194_dead_addresses_that_hold_all_places_let_the_next_ones_have_their_turn() {
    // As with a way for IPv6 that leads nowhere: each first address is dead, and all places are on the way to
    // one.
    let mut world = World::new().map(|reactor| reactor.max_attempts(4));
    world.net.serve_arrivals(SERVER, opens);
    let log = Log::new();
    for number in 0..20 {
        let dead = address(100 + number);
        world.net.black_hole(dead);
        let name = format!("name{number}.test");
        world.resolver.name(&name, &[dead.ip(), SERVER.ip()]);
        start(&mut world, &log, format!("ws://{name}/"), &options());
    }
    run_until(&mut world, &log, 20);
    assert_eq!(log.lines(), ["open"; 20]);
    // All within the time of one attempt to the dead address for each four of them.
    assert!(world.net.elapsed() <= 50 * SECOND, "{:?}", world.net.elapsed());
}

#[test]
fn a_dead_server_with_hundreds_of_apps_holds_up_no_other_server() {
    let mut world = World::new();
    world.net.black_hole(address(9));
    world.net.serve_arrivals(SERVER, opens);
    let (dead, good) = (Log::new(), Log::new());
    for _ in 0..600 {
        start(&mut world, &dead, "ws://192.0.2.9/".to_owned(), &options());
    }
    for _ in 0..300 {
        start(&mut world, &good, URL.to_owned(), &options());
    }
    world.settle();
    assert_open(&good, 300);
    assert_eq!(dead.lines(), [""; 0]);
    assert_eq!(world.net.elapsed(), Duration::ZERO);
}

#[test]
fn servers_take_turns_where_the_total_is_used_up() {
    let mut world = World::new().map(|reactor| reactor.max_attempts(10));
    world.net.black_hole(address(9));
    for last in 1..=2 {
        world.net.serve_arrivals(address(last), opens);
    }
    let (dead, good) = (Log::new(), Log::new());
    for _ in 0..300 {
        start(&mut world, &dead, "ws://192.0.2.9/".to_owned(), &options());
    }
    for number in 0..20 {
        start(&mut world, &good, format!("ws://192.0.2.{}/", number % 2 + 1), &options());
    }
    world.run_until(10 * SECOND - MS);
    assert_eq!(good.lines().len(), 0);
    world.run_until(20 * SECOND);
    assert_eq!(good.lines(), ["open"; 20], "they had no more than two rounds to wait");
    // The dead ones have each had their whole time.
    assert_eq!(dead.lines()[..2], ["error Timeout(Connect)", "close: Timeout(Connect)"]);
}

#[test]
fn b121_apps_of_a_server_that_is_gone_for_a_while_all_come_back() {
    const APPS: usize = 120;
    let (mut world, making) = world(40, 25);
    let peers = Rc::new(RefCell::new(Vec::new()));
    let serve = |net: &SimNet| {
        let peers = peers.clone();
        net.serve_arrivals(SERVER, move |peer| {
            if peer.accept_upgrade().is_some() {
                peers.borrow_mut().push(peer.clone());
            }
        });
    };
    serve(&world.net);
    let log = Log::new();
    let policies =
        [Reconnect::fixed(SECOND), Reconnect::backoff(SECOND / 2, 8 * SECOND), Reconnect::fixed(7 * SECOND)];
    for number in 0..APPS {
        start(&mut world, &log, URL.to_owned(), &options().reconnect(policies[number % 3].clone()));
    }
    let outages: [fn(&SimNet); 4] = [
        |net| net.refuse(SERVER),
        |net| net.black_hole(SERVER),
        |net| net.serve_arrivals(SERVER, SimPeer::reset),
        // The process hangs, and does not read its connections.
        |net| drop(net.listen(SERVER)),
    ];
    run_until(&mut world, &log, APPS);
    assert_open(&log, APPS);
    log.take();
    for outage in outages {
        outage(&world.net);
        peers.take().iter().for_each(SimPeer::reset);
        world.run_for(100 * SECOND);
        serve(&world.net);
        assert!(!log.take().contains(&"open".to_owned()));
        world.run_for(60 * SECOND);
        assert_eq!(log.take().iter().filter(|line| *line == "open").count(), APPS);
        assert_eq!(making.borrow().now.values().sum::<usize>(), 0);
    }
    assert_eq!((making.borrow().most_in_total, making.borrow().most[&SERVER]), (25, 25));
}
