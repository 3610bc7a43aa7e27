//! From a name to a stream: both the resolver and the connector can be replaced, and answer whenever and whatever they like.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use websocket_app::dispatcher::Io;
use websocket_app::link::{Answer, Connector, Query, Resolver, SocketOptions, SystemConnector};
use websocket_app::{Error, Reactor, RunOptions};
use websocket_testkit::server::EchoServer;
use websocket_testkit::sim::SimNet;
use websocket_tests::{Log, SERVER, World, reactor, run, run_forever, until};

const SECOND: Duration = Duration::from_secs(1);

fn options() -> RunOptions {
    RunOptions::new()
}

/// A resolver that hands every question to the test.
#[derive(Clone, Default)]
struct Asked(Rc<RefCell<Vec<(Query, Answer)>>>);

impl Resolver for Asked {
    fn resolve(&mut self, query: Query, answer: Answer) {
        self.0.borrow_mut().push((query, answer));
    }
}

impl Asked {
    fn next(&self) -> (Query, Answer) {
        self.0.borrow_mut().remove(0)
    }
}

/// A world with that resolver.
fn asked() -> (World, Asked) {
    let World { net, resolver, .. } = World::new();
    let asked = Asked::default();
    let reactor = Reactor::with_dispatcher(net.dispatcher()).unwrap();
    let reactor = reactor.connector(net.clone()).resolver(asked.clone());
    (World { net, resolver, reactor }, asked)
}

#[test]
fn a_name_is_resolved_by_the_system_by_default() {
    let echo = EchoServer::start().unwrap();
    let log = Log::new();
    let url = format!("ws://localhost:{}/", echo.addr().port());
    let mut app = log.app(url).on_open(|app, _| app.close());
    run_forever(&mut app, &options()).unwrap().into_result().unwrap();
    assert_eq!(log.lines(), ["close 1000, by client, clean"]);
}

#[test]
fn b195_a_resolver_may_answer_at_once_or_later_and_holds_up_nobody() {
    let mut world = World::new();
    let listener = world.net.listen(SERVER);
    world.resolver.name("one.test", &[SERVER.ip()]);
    world.resolver.delay("one.test", Some(3 * SECOND));
    let log = Log::new();
    log.app("ws://one.test/").run_on(&mut world.reactor, &options()).unwrap();
    let neighbour = Log::new();
    neighbour.app("ws://unknown.test/").run_on(&mut world.reactor, &options()).unwrap();
    world.settle();
    assert_eq!(neighbour.lines()[0], "error Resolve(unknown.test, NotFound)");
    world.run_until(3 * SECOND);
    let peer = listener.accept().unwrap();
    assert_eq!(peer.accept_upgrade().unwrap().header("Host"), Some("one.test"));
    world.settle();
    assert_eq!(log.lines(), ["open"]);
    assert_eq!(world.resolver.queries(), [Query::new("one.test", 80), Query::new("unknown.test", 80)]);
}

#[test]
fn a_literal_address_is_never_asked_for() {
    let (mut world, asked) = asked();
    for url in ["ws://192.0.2.1/", "ws://[2001:db8::1]:81/"] {
        Log::new().app(url).run_on(&mut world.reactor, &options()).unwrap();
    }
    world.settle();
    assert!(asked.0.borrow().is_empty());
    let to: Vec<_> = world.net.attempts().into_iter().map(|(_, address)| address).collect();
    assert_eq!(to, [SERVER, "[2001:db8::1]:81".parse().unwrap()]);
}

#[test]
fn an_answer_may_come_from_another_thread() {
    struct Threaded(SocketAddr);
    impl Resolver for Threaded {
        fn resolve(&mut self, _: Query, answer: Answer) {
            let address = self.0;
            thread::spawn(move || answer.send(Ok(vec![address])));
        }
    }
    let echo = EchoServer::start().unwrap();
    let mut reactor = reactor().resolver(Threaded(echo.addr()));
    let log = Log::new();
    for _ in 0..20 {
        let app = log.app("ws://echo.test/").on_open(|app, _| app.close());
        app.run_on(&mut reactor, &options()).unwrap();
    }
    run(&mut reactor);
    assert_eq!(log.lines(), ["close 1000, by client, clean"; 20]);
}

#[test]
fn an_answer_that_comes_too_late_is_ignored() {
    fn remove_all(world: &mut World) {
        for id in world.reactor.apps().ids() {
            world.reactor.apps().remove(id);
        }
    }
    type End = fn(&mut World);
    let ends: [(End, &[&str]); 3] = [
        (remove_all, &[]),
        (|world| world.reactor.apps().stop(), &["close"]),
        (|world| world.run_for(10 * SECOND), &["error Timeout(Resolve)", "close: Timeout(Resolve)"]),
    ];
    for (end, expected) in ends {
        let (mut world, asked) = asked();
        let log = Log::new();
        log.app("ws://late.test/").run_on(&mut world.reactor, &options()).unwrap();
        world.settle();
        let (_, answer) = asked.next();
        end(&mut world);
        world.settle();
        assert!(world.reactor.apps().is_empty());

        // The next app has the same slot, and a question of its own.
        let next = Log::new();
        next.app("ws://next.test/").run_on(&mut world.reactor, &options()).unwrap();
        world.settle();
        answer.send(Ok(vec![SERVER]));
        world.settle();
        assert_eq!(world.net.attempts(), []);
        assert_eq!(log.lines(), expected);
        assert_eq!(next.lines(), [""; 0]);
        let (_, answer) = asked.next();
        answer.send(Err(io::ErrorKind::PermissionDenied.into()));
        world.settle();
        assert_eq!(next.lines()[0], "error Resolve(next.test, PermissionDenied)");
    }
}

#[test]
fn an_answer_after_the_reactor_is_gone_is_harmless() {
    let (mut world, asked) = asked();
    Log::new().app("ws://late.test/").run_on(&mut world.reactor, &options()).unwrap();
    world.settle();
    let (_, answer) = asked.next();
    drop(world);
    thread::spawn(move || answer.send(Ok(vec![SERVER]))).join().unwrap();
}

#[test]
fn a_dropped_question_and_an_answer_without_addresses_are_errors() {
    let (mut world, asked) = asked();
    let log = Log::new();
    log.app("ws://dropped.test/").run_on(&mut world.reactor, &options()).unwrap();
    world.settle();
    drop(asked.next());
    world.settle();
    assert_eq!(log.take()[0], "error Resolve(dropped.test, BrokenPipe)");

    log.app("ws://empty.test/").run_on(&mut world.reactor, &options()).unwrap();
    world.settle();
    asked.next().1.send(Ok(Vec::new()));
    world.settle();
    assert_eq!(log.take()[0], "error Resolve(empty.test, NotFound)");
}

#[test]
fn a_name_that_is_not_resolved_is_named_in_the_error() {
    let mut world = World::new();
    world.resolver.failing("broken.test", io::ErrorKind::TimedOut);
    let seen = Rc::new(RefCell::new(String::new()));
    let error = seen.clone();
    let app = Log::new().app("ws://broken.test/").on_error(move |_, it| {
        let Error::Resolve { host, source, .. } = it else { panic!("{it:?}") };
        assert_eq!((host.as_str(), source.kind()), ("broken.test", io::ErrorKind::TimedOut));
        *error.borrow_mut() = it.to_string();
    });
    app.run_on(&mut world.reactor, &options()).unwrap();
    world.reactor.run().unwrap();
    assert!(seen.borrow().starts_with("host \"broken.test\" was not resolved: "), "{seen:?}");
}

#[test]
fn b194_addresses_are_tried_in_order_whatever_fails_about_one() {
    let mut world = World::new();
    let address = |last: u8| IpAddr::from([192, 0, 2, last]);
    world.net.refuse((address(2), 80).into());
    world.net.fail((address(3), 80).into(), io::ErrorKind::HostUnreachable);
    world.net.fail((address(4), 80).into(), io::ErrorKind::NetworkUnreachable);
    world.net.delay((address(5), 80).into(), SECOND);
    let listener = world.net.listen(SERVER);
    world.resolver.name("many.test", &[2, 3, 4, 5, 1, 6].map(address));
    let log = Log::new();
    log.app("ws://many.test/").run_on(&mut world.reactor, &options()).unwrap();
    world.run_until(SECOND);
    listener.accept().unwrap().accept_upgrade().unwrap();
    world.settle();
    assert_eq!(log.lines(), ["open"]);
    let tried: Vec<_> = world.net.attempts().into_iter().map(|(_, address)| address.ip()).collect();
    assert_eq!(tried, [2, 3, 4, 5, 1].map(address));
}

#[test]
fn b194_when_all_addresses_fail_the_last_failure_is_told() {
    let mut world = World::new();
    let address = |last: u8| IpAddr::from([192, 0, 2, last]);
    world.net.fail((address(3), 80).into(), io::ErrorKind::HostUnreachable);
    for order in [[2, 3], [3, 2]] {
        world.resolver.name("many.test", &order.map(address));
        let log = Log::new();
        let seen = Rc::new(RefCell::new(None));
        let told = seen.clone();
        let app = log.app("ws://many.test/").on_error(move |_, error| {
            let Error::Connect { address, source, .. } = error else { panic!("{error:?}") };
            *told.borrow_mut() = Some((address.map(|address| address.ip()), source.kind()));
        });
        app.run_on(&mut world.reactor, &options()).unwrap();
        world.reactor.run().unwrap();
        let last = order[1];
        let kind = if last == 3 { io::ErrorKind::HostUnreachable } else { io::ErrorKind::ConnectionRefused };
        assert_eq!(*seen.borrow(), Some((Some(address(last)), kind)));
    }
}

#[test]
fn a_connector_of_ones_own_gets_the_address_and_the_socket_options() {
    /// Sends everything to one place.
    struct Detour {
        to: SocketAddr,
        asked: mpsc::Sender<SocketAddr>,
    }
    impl Connector for Detour {
        fn connect(&mut self, address: SocketAddr, options: &SocketOptions) -> io::Result<Io> {
            self.asked.send(address).unwrap();
            SystemConnector.connect(self.to, options)
        }
    }
    let echo = EchoServer::start().unwrap();
    let (asked, addresses) = mpsc::channel();
    let mut reactor = reactor().connector(Detour { to: echo.addr(), asked });
    let log = Log::new();
    let (set, is_set) = mpsc::channel();
    let with_option =
        options().sockopt(move |socket| set.send(socket.tcp_nodelay()?).map_err(io::Error::other));
    log.app("ws://192.0.2.1/").on_open(|app, _| app.close()).run_on(&mut reactor, &with_option).unwrap();
    run(&mut reactor);
    assert_eq!(log.lines(), ["close 1000, by client, clean"]);
    assert_eq!((addresses.try_recv(), is_set.try_recv()), (Ok(SERVER), Ok(true)));
}

#[test]
fn a_socket_option_that_fails_ends_the_attempt() {
    let echo = EchoServer::start().unwrap();
    let log = Log::new();
    let failing = options().sockopt(|_| Err(io::ErrorKind::PermissionDenied.into()));
    run_forever(&mut log.app(echo.url()), &failing).unwrap().into_result().unwrap_err();
    assert_eq!(log.lines(), ["error Connect(PermissionDenied)", "close: Connect(PermissionDenied)"]);
}

#[test]
fn a_stream_that_the_dispatcher_cannot_watch_is_an_error_of_that_app_alone() {
    let echo = EchoServer::start().unwrap();
    let net = SimNet::new(1);
    let _listener = net.listen(SERVER);
    let mut connector = net.clone();
    let foreign = connector.connect(SERVER, &SocketOptions::default()).unwrap();
    let mut reactor = reactor();
    let (odd, even) = (Log::new(), Log::new());
    odd.app("ws://192.0.2.1/").socket(foreign).run_on(&mut reactor, &options()).unwrap();
    even.app(echo.url()).run_on(&mut reactor, &options()).unwrap();
    until(&mut reactor, |_| even.has("open"));
    assert_eq!(odd.lines(), ["error Connect(Unsupported)", "close: Connect(Unsupported)"]);
}
