//! From addresses to a stream: the race of Happy Eyeballs in virtual time, local addresses, zones.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::Cell;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::rc::Rc;
use std::time::Duration;

use websocket_app::link::SocketOptions;
use websocket_app::{Reactor, RunOptions, WebSocketApp};
use websocket_testkit::server::EchoServer;
#[cfg(target_os = "linux")]
use websocket_testkit::server::ScriptedServer;
use websocket_testkit::sim::{SimDispatcher, SimNet, SimPeer, SimResolver};
use websocket_tests::{Counting, Log, World, reactor, run_forever};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
/// The head start of each address over the next one, unless told otherwise.
const DELAY: Duration = Duration::from_millis(250);

fn address(text: &str) -> SocketAddr {
    SocketAddr::new(text.parse().unwrap(), 80)
}

/// A reactor in a simulated network on which `many.test` has these addresses, and everything that it watches is counted.
struct Race {
    net: SimNet,
    reactor: Reactor<Counting<SimDispatcher>>,
    resolver: SimResolver,
    watched: Rc<Cell<usize>>,
    log: Log,
}

impl Race {
    fn between(addresses: &[&str]) -> Self {
        let net = SimNet::new(1);
        let resolver = net.resolver();
        let addresses: Vec<IpAddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
        resolver.name("many.test", &addresses);
        let dispatcher = Counting::new(net.dispatcher());
        let watched = dispatcher.watched.clone();
        let reactor = Reactor::with_dispatcher(dispatcher).unwrap();
        let reactor = reactor.connector(net.clone()).resolver(resolver.clone());
        Self { net, reactor, resolver, watched, log: Log::new() }
    }

    fn black_holes(self, addresses: &[&str]) -> Self {
        addresses.iter().for_each(|text| self.net.black_hole(address(text)));
        self
    }

    fn start(&mut self, options: &RunOptions) {
        self.app().run_on(&mut self.reactor, options).unwrap();
    }

    fn app(&self) -> WebSocketApp {
        self.log.app("ws://many.test/")
    }

    fn run_until(&mut self, elapsed: Duration) {
        while let Some(left) = elapsed.checked_sub(self.net.elapsed()).filter(|left| !left.is_zero()) {
            self.reactor.poll(Some(left)).unwrap();
        }
        for _ in 0..16 {
            self.reactor.poll(Some(Duration::ZERO)).unwrap();
        }
    }

    /// When each address was tried.
    fn tried(&self) -> Vec<(u128, String)> {
        let tried = self.net.attempts().into_iter();
        tried.map(|(at, address)| (at.as_millis(), address.ip().to_string())).collect()
    }

    fn watched(&self) -> usize {
        self.watched.get()
    }
}

fn tried(expected: &[(u128, &str)]) -> Vec<(u128, String)> {
    expected.iter().map(|(at, text)| (*at, (*text).to_owned())).collect()
}

/// Opens every connection.
fn opens(peer: &SimPeer) {
    peer.accept_upgrade();
}

#[test]
fn b194_the_families_take_turns_each_with_a_head_start_beginning_with_the_resolvers_first() {
    for (addresses, order) in [
        (["::1", "::2", "::3", "1.1.1.1"], ["::1", "1.1.1.1", "::2", "::3"]),
        (["1.1.1.1", "2.2.2.2", "::1", "::2"], ["1.1.1.1", "::1", "2.2.2.2", "::2"]),
        (["::1", "1.1.1.1", "2.2.2.2", "3.3.3.3"], ["::1", "1.1.1.1", "2.2.2.2", "3.3.3.3"]),
    ] {
        let mut race = Race::between(&addresses).black_holes(&addresses);
        race.start(&RunOptions::new());
        race.run_until(DELAY - Duration::from_nanos(1));
        assert_eq!(race.tried(), tried(&[(0, order[0])]));
        race.run_until(SECOND);
        let times = [0, 250, 500, 750];
        assert_eq!(race.tried(), tried(&[0, 1, 2, 3].map(|turn| (times[turn], order[turn]))));
        assert_eq!(race.watched(), 4);
        assert_eq!(race.log.lines(), [""; 0]);
    }
}

#[test]
fn b194_the_head_start_can_be_chosen_within_its_limits() {
    for (given, used) in [(40, 40), (0, 10), (3_600_000, 2000)] {
        let both = ["::1", "1.1.1.1"];
        let mut race = Race::between(&both).black_holes(&both);
        race.start(&RunOptions::new().attempt_delay(MS * given));
        race.run_until(3 * SECOND);
        assert_eq!(race.tried(), tried(&[(0, "::1"), (used, "1.1.1.1")]));
    }
}

#[test]
fn b194_a_failure_starts_the_next_at_once_whichever_it_was() {
    let addresses = ["::1", "1.1.1.1", "::2", "2.2.2.2"];
    let mut race = Race::between(&addresses).black_holes(&["1.1.1.1", "2.2.2.2"]);
    // The first is refused when the second is under way already; the third before it has begun.
    race.net.delay(address("::1"), 300 * MS);
    race.net.fail(address("::2"), io::ErrorKind::NetworkUnreachable);
    race.start(&RunOptions::new());
    race.run_until(SECOND);
    assert_eq!(race.tried(), tried(&[(0, "::1"), (250, "1.1.1.1"), (300, "::2"), (300, "2.2.2.2")]));
    assert_eq!((race.watched(), race.log.lines().len()), (2, 0));
}

#[test]
fn b194_the_first_success_wins_and_the_losers_are_closed_and_forgotten() {
    for winner in ["::1", "1.1.1.1", "::2"] {
        let mut race =
            Race::between(&["::1", "1.1.1.1", "::2", "2.2.2.2"]).black_holes(&["::1", "1.1.1.1", "::2"]);
        race.net.serve(address(winner), opens);
        race.net.delay(address(winner), 600 * MS);
        let app = race.app().on_open(|app, _| {
            app.set_timeout(SECOND, |app| app.close());
        });
        app.run_on(&mut race.reactor, &RunOptions::new().close_timeout(Duration::ZERO)).unwrap();
        let opens_at = match winner {
            "::1" => 600 * MS,
            "1.1.1.1" => 850 * MS,
            _ => 1100 * MS,
        };
        race.run_until(opens_at);
        assert_eq!(race.watched(), 1, "{winner}");
        let under_way = race.tried().len();
        assert_eq!(under_way, if winner == "::1" { 3 } else { 4 });
        race.run_until(opens_at + 2 * SECOND);
        assert_eq!(race.tried().len(), under_way, "nobody starts any more");
        assert_eq!((race.watched(), race.log.lines().len()), (0, 1));
        assert!(race.reactor.apps().is_empty());
    }
}

#[test]
fn b194_a_loser_that_connects_late_is_hung_up_on_without_a_word() {
    let mut race = Race::between(&["::1", "1.1.1.1"]);
    let (slow, quick) = (race.net.listen(address("::1")), race.net.listen(address("1.1.1.1")));
    race.net.delay(address("::1"), 251 * MS);
    race.start(&RunOptions::new());
    race.run_until(SECOND);
    assert!(slow.accept().is_none(), "its stream was closed before it was connected");
    assert!(quick.accept().unwrap().accept_upgrade().is_some());
    race.run_until(SECOND + MS);
    assert_eq!((race.log.lines(), race.watched()), (vec!["open".to_owned()], 1));
}

#[test]
fn b194_two_that_connect_in_the_same_turn_leave_one() {
    let mut race = Race::between(&["::1", "1.1.1.1"]);
    let (first, second) = (race.net.listen(address("::1")), race.net.listen(address("1.1.1.1")));
    race.net.delay(address("::1"), 250 * MS + SECOND);
    race.net.delay(address("1.1.1.1"), SECOND);
    race.start(&RunOptions::new());
    race.run_until(2 * SECOND);
    let peers = [first.accept(), second.accept()];
    let asked: Vec<_> = peers.iter().flatten().filter_map(SimPeer::accept_upgrade).collect();
    assert_eq!((asked.len(), race.watched()), (1, 1));
    assert_eq!(peers.iter().flatten().filter(|peer| peer.ended().is_some()).count(), 1);
    race.run_until(3 * SECOND);
    assert_eq!(race.log.lines(), ["open"]);
}

#[test]
fn b194_b132_connect_timeout_covers_all_addresses_and_leaves_no_stream_behind() {
    let addresses = ["::1", "1.1.1.1", "::2"];
    let mut race = Race::between(&addresses).black_holes(&addresses);
    race.start(&RunOptions::new().connect_timeout(600 * MS));
    race.reactor.run().unwrap();
    assert_eq!(race.net.elapsed(), 600 * MS);
    assert_eq!(race.log.lines(), ["error Timeout(Connect)", "close: Timeout(Connect)"]);
    assert_eq!((race.tried().len(), race.watched()), (3, 0));
}

#[test]
fn b194_a_race_that_is_closed_stopped_or_removed_leaves_no_stream_behind() {
    type End = fn(&mut Reactor<Counting<SimDispatcher>>);
    let ends: [(End, &[&str]); 3] = [
        (
            |reactor| {
                let id = reactor.apps().ids()[0];
                reactor.apps().with(id, |app| app.close()).unwrap();
            },
            &["close, by client"],
        ),
        (|reactor| reactor.apps().stop(), &["close"]),
        (
            |reactor| {
                let id = reactor.apps().ids()[0];
                assert!(reactor.apps().remove(id));
            },
            &[],
        ),
    ];
    for (end, lines) in ends {
        let addresses = ["::1", "1.1.1.1", "::2"];
        let mut race = Race::between(&addresses).black_holes(&addresses);
        race.start(&RunOptions::new());
        race.run_until(DELAY);
        assert_eq!(race.watched(), 2);
        end(&mut race.reactor);
        race.reactor.poll(Some(Duration::ZERO)).unwrap();
        assert_eq!(
            (race.watched(), race.log.lines()),
            (0, lines.iter().map(|line| (*line).to_owned()).collect())
        );
        race.run_until(SECOND);
        assert_eq!(race.tried().len(), 2);
    }
}

#[test]
fn b194_each_attempt_of_a_reconnecting_run_asks_and_races_anew() {
    let mut race = Race::between(&["::1", "1.1.1.1"]);
    race.net.fail(address("1.1.1.1"), io::ErrorKind::HostUnreachable);
    race.start(&RunOptions::new().reconnect(SECOND));
    race.run_until(DELAY);
    race.resolver.name("many.test", &["2.2.2.2".parse().unwrap()]);
    race.net.serve(address("2.2.2.2"), opens);
    race.run_until(SECOND);
    assert_eq!(race.tried(), tried(&[(0, "::1"), (0, "1.1.1.1"), (1000, "2.2.2.2")]));
    let failed = ["error Connect(HostUnreachable)", "close: Connect(HostUnreachable), retry in 1s"];
    assert_eq!(race.log.lines(), [&failed[..], &["open"]].concat());
}

#[test]
fn b136_literal_addresses_of_any_form_never_reach_the_resolver() {
    for (url, expected) in [
        ("ws://192.0.2.1:81/", "192.0.2.1:81"),
        ("ws://3221225985/", "192.0.2.1:80"),
        ("ws://0xc0.0.2.1/", "192.0.2.1:80"),
        ("ws://[2001:DB8:0:0::1]/", "[2001:db8::1]:80"),
        ("ws://[::ffff:192.0.2.1]/", "[::ffff:192.0.2.1]:80"),
        ("ws://[fe80::1%257]:90/", "[fe80::1%7]:90"),
    ] {
        let mut world = World::new();
        Log::new().app(url).run_on(&mut world.reactor, &RunOptions::new()).unwrap();
        world.settle();
        assert_eq!(world.resolver.queries(), []);
        let attempts: Vec<_> = world.net.attempts().into_iter().map(|(_, to)| to.to_string()).collect();
        assert_eq!(attempts, [expected], "{url}");
    }
}

#[test]
fn b136_a_zone_is_for_this_machine_only_and_one_that_does_not_exist_is_an_error() {
    let mut world = World::new();
    let listener = world.net.listen("[fe80::1%7]:90".parse().unwrap());
    Log::new().app("ws://[fe80::1%257]:90/").run_on(&mut world.reactor, &RunOptions::new()).unwrap();
    world.settle();
    assert_eq!(listener.accept().unwrap().read_request().unwrap().header("Host"), Some("[fe80::1]:90"));

    let log = Log::new();
    log.app("ws://[fe80::1%25nowhere9]/").run_on(&mut world.reactor, &RunOptions::new()).unwrap();
    world.settle();
    assert!(log.lines()[0].starts_with("error Connect("), "{log:?}");
    assert_eq!((log.lines().len(), world.net.attempts().len()), (2, 1));
    assert_eq!(world.resolver.queries(), []);
}

#[test]
#[cfg(target_os = "linux")] // elsewhere only 127.0.0.1 is there
fn the_local_address_can_be_chosen_and_one_of_another_family_is_an_error() {
    let (sender, from) = std::sync::mpsc::channel();
    let server = ScriptedServer::start(move |mut peer| {
        sender.send(peer.stream().peer_addr().unwrap().ip()).unwrap();
        peer.accept_upgrade();
        peer.send_close(1000, "");
        peer.read_close();
    })
    .unwrap();
    let bound =
        |local: &str| RunOptions::new().socket_options(SocketOptions::default().bind(local.parse().unwrap()));
    let log = Log::new();
    run_forever(&mut log.app(server.url()), &bound("127.0.0.3")).unwrap().into_result().unwrap();
    assert_eq!(log.take(), ["open", "close 1000, by server, clean"]);
    assert_eq!(from.recv().unwrap(), "127.0.0.3".parse::<IpAddr>().unwrap());
    run_forever(&mut log.app(server.url()), &bound("::1")).unwrap().into_result().unwrap_err();
    assert_eq!(log.take(), ["error Connect(AddrNotAvailable)", "close: Connect(AddrNotAvailable)"]);
    // One that is not this machine's.
    run_forever(&mut log.app(server.url()), &bound("192.0.2.1")).unwrap().into_result().unwrap_err();
    assert_eq!(log.take(), ["error Connect(AddrNotAvailable)", "close: Connect(AddrNotAvailable)"]);
}

#[test]
fn a_bound_address_leaves_the_family_that_it_fits() {
    // `localhost` may have both families; the one that cannot be bound is passed over at once.
    let echo = EchoServer::start().unwrap();
    let log = Log::new();
    let options =
        RunOptions::new().socket_options(SocketOptions::default().bind("127.0.0.1".parse().unwrap()));
    let mut app = log.app(format!("ws://localhost:{}/", echo.addr().port())).on_open(|app, _| app.close());
    run_forever(&mut app, &options).unwrap().into_result().unwrap();
    assert_eq!(log.lines(), ["close 1000, by client, clean"]);
}

#[test]
fn b194_a_name_whose_first_address_refuses_reaches_the_server_on_real_sockets() {
    struct Both(SocketAddr, SocketAddr);
    impl websocket_app::link::Resolver for Both {
        fn resolve(&mut self, _: websocket_app::link::Query, answer: websocket_app::link::Answer) {
            answer.send(Ok(vec![self.0, self.1]));
        }
    }
    let echo = EchoServer::start().unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut reactor = reactor().resolver(Both(closed, echo.addr()));
    let log = Log::new();
    log.app("ws://many.test/")
        .on_open(|app, _| app.close())
        .run_on(&mut reactor, &RunOptions::new())
        .unwrap();
    websocket_tests::run(&mut reactor);
    assert_eq!(log.lines(), ["close 1000, by client, clean"]);
}

#[test]
#[cfg(target_os = "linux")]
fn b193_keep_alive_is_set_once_the_connection_is_open_and_not_on_a_stream_of_the_users() {
    use websocket_app::dispatcher::Io;

    let keeps_alive = |app: &websocket_app::Context<'_>| {
        let fd = app.io().and_then(Io::fd).unwrap();
        socket2::SockRef::from(&fd).keepalive().unwrap()
    };
    let echo = EchoServer::start().unwrap();
    let address = echo.addr();
    let app = |log: &Log| {
        let (opens, messages) = (log.clone(), log.clone());
        WebSocketApp::new(echo.url())
            .on_open(move |app, _| {
                opens.push(format!("open {}", keeps_alive(app)));
                app.send_text("x")
            })
            .on_message(move |app, _| {
                messages.push(format!("message {}", keeps_alive(app)));
                app.close();
            })
    };
    let log = Log::new();
    run_forever(&mut app(&log), &RunOptions::new()).unwrap().into_result().unwrap();
    assert_eq!(log.take(), ["open false", "message true"]);
    let mut supplied = app(&log).socket_with(move || Io::tcp(std::net::TcpStream::connect(address)?));
    run_forever(&mut supplied, &RunOptions::new()).unwrap().into_result().unwrap();
    assert_eq!(log.take(), ["open false", "message false"]);
}
