//! The numbers of connections, apps and reactors, in virtual time: in callbacks, for other threads, and as text for Prometheus.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use websocket_app::link::proxy::{Proxy, ProxyScheme};
use websocket_app::{
    Context, Deflate, DeflateOffer, Phases, RunOptions, Stats, WebSocketApp, write_prometheus,
    write_reactor_prometheus,
};
use websocket_testkit::deflate::Codec;
use websocket_testkit::frame;
use websocket_testkit::sim::{Faults, SimNet};
use websocket_tests::{Log, SECURE_URL, SERVER, SecureWorld, SimProxy, URL, World};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// Snapshots that callbacks have taken.
#[derive(Clone, Default)]
struct Snapshots(Rc<RefCell<Vec<(Stats, Stats)>>>);

impl Snapshots {
    fn take(&self, app: &mut Context<'_>) {
        let both = (app.stats(), app.total_stats());
        self.0.borrow_mut().push(both);
    }

    /// Of the connection, and of the run.
    fn last(&self) -> (Stats, Stats) {
        *self.0.borrow().last().unwrap()
    }
}

#[test]
fn in_a_callback_the_message_that_it_is_called_for_counts() {
    let mut world = World::new();
    let counts = Rc::new(RefCell::new(Vec::new()));
    let seen = counts.clone();
    let app = Log::new().app(URL).on_message(move |app, message| {
        let stats = app.stats();
        assert_eq!(stats.last_message, Some(app.now()));
        assert_eq!(stats.last_byte, Some(app.now()));
        seen.borrow_mut().push((stats.received.messages, stats.received.payload_bytes));
        app.send_text(message.as_text().unwrap())
    });
    let peer = world.open(app, &RunOptions::new());
    let three = [frame::text("one"), frame::text("two"), frame::text("three")].concat();
    world.run_until(SECOND);
    peer.write(&three);
    world.settle();
    peer.write(&three);
    world.settle();
    assert_eq!(*counts.borrow(), [(1, 3), (2, 6), (3, 11), (4, 14), (5, 17), (6, 22)]);
    let stats = world.in_app(|app| app.stats());
    assert_eq!((stats.sent.messages, stats.sent.payload_bytes, stats.sent.frames), (6, 22, 6));
    assert_eq!(stats.queued_bytes, 0);
    // Three messages with six bytes of header each waited to be written together.
    assert_eq!(stats.peak_queued_bytes, 11 + 3 * 6);
    assert_eq!(stats.taken_at, world.net.now());
}

#[test]
fn a_message_that_had_to_wait_has_the_time_at_which_it_was_read() {
    let mut world = World::new();
    let net = world.net.clone();
    let times = Rc::new(RefCell::new(Vec::new()));
    let seen = times.clone();
    let app = Log::new().app(URL).on_message(move |app, _| {
        seen.borrow_mut().push(app.stats().last_message.unwrap());
        net.advance(20 * MS);
    });
    let peer = world.open(app, &RunOptions::new());
    let read = world.net.now();
    peer.write(&frame::text("slow").repeat(5));
    world.settle();
    assert_eq!(world.net.now(), read + 100 * MS);
    assert_eq!(*times.borrow(), [read; 5]);
}

#[test]
fn a_connection_has_its_own_numbers_and_the_run_has_the_sum() {
    let mut world = World::new();
    let log = Log::new();
    let closes = Snapshots::default();
    let taken = closes.clone();
    let app = log.app(URL).on_close(move |app, _| taken.take(app));
    let listener = world.start(app, &RunOptions::new().reconnect(SECOND));
    for (round, messages) in [(1, 2), (2, 3)] {
        let peer = world.accept(&listener);
        peer.write(&frame::text("text").repeat(messages));
        world.settle();
        world.in_app(|app| app.send_bytes([0; 10])).unwrap();
        world.settle();
        peer.reset();
        world.settle();
        let (last, total) = closes.last();
        assert_eq!(last.received.messages, messages as u64);
        assert_eq!(last.sent.messages, 1);
        assert_eq!((total.received.messages, total.sent.messages), if round == 1 { (2, 1) } else { (5, 2) });
        assert_eq!(total.attempts.started, round);
        // While the app waits, too.
        let (waiting, sum) = world.in_app(|app| (app.stats(), app.total_stats()));
        assert_eq!((waiting.received, sum.received), (last.received, total.received));
        world.run_for(SECOND);
        // The next attempt starts with nothing; the run goes on.
        let (next, sum) = world.in_app(|app| (app.stats(), app.total_stats()));
        assert_eq!((next.received.messages, next.received.wire_bytes, next.last_message), (0, 0, None));
        assert_eq!(sum.received, total.received);
        assert_eq!(sum.last_message, total.last_message);
    }
}

#[test]
fn the_steps_of_an_attempt_are_timed_one_by_one() {
    let mut world = World::new();
    world.resolver.name("feed.test", &[SERVER.ip()]);
    world.resolver.delay("feed.test", Some(10 * MS));
    world.net.delay(SERVER, 20 * MS);
    let opens = Snapshots::default();
    let taken = opens.clone();
    let app = WebSocketApp::new("ws://feed.test/").on_open(move |app, _| taken.take(app));
    let listener = world.start(app, &RunOptions::new());
    let connecting = world.in_app(|app| app.stats().phases);
    assert_eq!(connecting, Phases::default());
    world.run_until(15 * MS);
    let connecting = world.in_app(|app| app.stats().phases);
    assert_eq!((connecting.resolve, connecting.connect), (Some(10 * MS), None));
    world.run_until(60 * MS);
    world.accept(&listener);
    let phases = opens.last().0.phases;
    assert_eq!(phases.resolve, Some(10 * MS));
    assert_eq!(phases.connect, Some(20 * MS));
    assert_eq!((phases.proxy, phases.tls), (None, None));
    assert_eq!(phases.upgrade, Some(30 * MS));
    assert_eq!(phases.total(), 60 * MS);
    assert_eq!(phases.address, Some(SERVER));
    // They stay as long as the connection.
    world.run_until(SECOND);
    assert_eq!(world.in_app(|app| app.stats().phases), phases);
}

#[test]
fn a_failed_attempt_has_the_steps_that_it_completed() {
    let mut world = World::new();
    world.resolver.name("feed.test", &[SERVER.ip()]);
    world.resolver.delay("feed.test", Some(10 * MS));
    world.net.refuse(SERVER);
    let [errors, closes] = [Snapshots::default(), Snapshots::default()];
    let [failed, closed] = [errors.clone(), closes.clone()];
    let app = WebSocketApp::new("ws://feed.test/")
        .on_error(move |app, _| failed.take(app))
        .on_close(move |app, _| closed.take(app));
    app.run_on(&mut world.reactor, &RunOptions::new()).unwrap();
    world.run_until(SECOND);
    for (stats, total) in [errors.last(), closes.last()] {
        assert_eq!((stats.phases.resolve, stats.phases.connect), (Some(10 * MS), None));
        assert_eq!(stats.phases, total.phases);
        assert_eq!((stats.attempts.started, stats.attempts.opened), (1, 0));
    }
}

/// A network in which everything takes this long one way.
fn distant(latency: Duration) -> SimNet {
    let mut faults = Faults::default();
    faults.latency = latency..=latency;
    SimNet::new(1).with_faults(faults)
}

#[test]
fn the_way_through_a_proxy_and_tls_are_steps_of_their_own() {
    let mut world = World::on(distant(5 * MS));
    let proxy: SocketAddr = "192.0.2.9:3128".parse().unwrap();
    let _served = SimProxy::serve(&world.net, proxy, ProxyScheme::Http, "");
    let opens = Snapshots::default();
    let taken = opens.clone();
    let app = WebSocketApp::new("ws://feed.test/").on_open(move |app, _| taken.take(app));
    let options = RunOptions::new().proxy(Proxy::parse(&format!("http://{proxy}")).unwrap());
    app.run_on(&mut world.reactor, &options).unwrap();
    world.run_until(SECOND);
    let phases = opens.last().0.phases;
    assert_eq!((phases.resolve, phases.tls), (None, None));
    assert!(phases.connect.is_some_and(|time| time > Duration::ZERO), "{phases:?}");
    assert_eq!((phases.proxy, phases.upgrade), (Some(10 * MS), Some(10 * MS)));
    assert_eq!(phases.address, Some(proxy));

    let mut secure = SecureWorld::on(distant(5 * MS));
    let opens = Snapshots::default();
    let taken = opens.clone();
    let listener = secure.start(WebSocketApp::new(SECURE_URL).on_open(move |app, _| taken.take(app)));
    secure.world.run_for(20 * MS);
    let mut peer = secure.arrived(&listener);
    for _ in 0..10 {
        peer.receive().unwrap();
        secure.world.run_for(MS);
    }
    for _ in 0..10 {
        peer.receive().unwrap();
        secure.world.run_for(5 * MS);
        if let Some((_, response)) = peer.side.seal_response() {
            peer.peer.write(&response);
        }
    }
    let phases = opens.last().0.phases;
    assert!(phases.tls.is_some_and(|time| time >= 5 * MS), "{phases:?}");
    assert!(phases.upgrade.is_some_and(|time| time >= 10 * MS), "{phases:?}");
    assert_eq!(phases.proxy, None);
}

#[test]
fn a_sender_has_the_numbers_as_of_the_last_turn_once_it_has_asked() {
    let mut world = World::new();
    let mut app = Log::new().app(URL);
    let sender = app.sender();
    let peer = world.open(app, &RunOptions::new());
    peer.write(&frame::text("one"));
    world.settle();
    assert_eq!(sender.stats(), None, "nothing has asked, so nothing was published");
    world.settle();
    let stats = sender.stats().unwrap();
    assert_eq!((stats.received.messages, stats.attempts.opened), (1, 1));
    // From then on without being asked.
    peer.write(&frame::text("two").repeat(2));
    world.settle();
    let stats = std::thread::spawn({
        let sender = sender.clone();
        move || sender.stats().unwrap()
    });
    assert_eq!(stats.join().unwrap().received.messages, 3);
    peer.write(&frame::close(1000, ""));
    peer.shutdown();
    world.settle();
    assert!(world.reactor.apps().is_empty());
    let last = sender.stats().unwrap();
    assert_eq!(last.received.messages, 3);
    assert_eq!(last.queued_bytes, 0);
}

/// How an app may end.
type End = fn(&mut World, &websocket_testkit::sim::SimPeer);

#[test]
fn after_the_end_a_sender_has_the_last_numbers_also_if_it_never_asked() {
    let ends: [(&str, End); 4] = [
        ("a close", |_, peer| {
            peer.write(&frame::close(1000, ""));
            peer.shutdown();
        }),
        ("a loss", |_, peer| peer.reset()),
        ("a removal", |world, _| {
            let id = world.reactor.apps().ids()[0];
            assert!(world.reactor.apps().remove(id));
        }),
        ("a stop", |world, _| world.reactor.apps().stop()),
    ];
    for (what, end) in ends {
        let mut world = World::new();
        let mut app = Log::new().app(URL);
        let sender = app.sender();
        let peer = world.open(app, &RunOptions::new());
        peer.write(&frame::text("text").repeat(3));
        world.settle();
        end(&mut world, &peer);
        world.settle();
        assert!(world.reactor.apps().is_empty(), "{what}");
        let stats = sender.stats().unwrap();
        assert_eq!((stats.received.messages, stats.received.payload_bytes), (3, 12), "{what}");
    }
    // With the reactor, too.
    let mut world = World::new();
    let mut app = Log::new().app(URL);
    let sender = app.sender();
    let peer = world.open(app, &RunOptions::new());
    peer.write(&frame::text("text"));
    world.settle();
    drop(world);
    assert_eq!(sender.stats().unwrap().received.messages, 1);
}

#[test]
fn compression_round_trips_and_pings_are_in_the_numbers() {
    let mut world = World::new();
    let options = RunOptions::new()
        .compression(Deflate::from(DeflateOffer::new()))
        .ping_interval(SECOND)
        .reconnect(10 * SECOND);
    let listener = world.start(Log::new().app(URL), &options);
    let peer = listener.accept().unwrap();
    peer.accept_upgrade_with(&["Sec-WebSocket-Extensions: permessage-deflate"]).unwrap();
    world.settle();
    let mut codec = Codec::new("permessage-deflate");
    let text = "the same words again and again, ".repeat(20);
    let compressed = codec.compress(text.as_bytes());
    peer.write(&frame::encode(true, 4, frame::TEXT, &compressed));
    peer.write(&frame::ping(b"ping"));
    for wait in [20 * MS, 10 * MS] {
        world.run_for(SECOND - wait);
        let sent = world.net.elapsed();
        world.run_for(wait);
        while let Some(sent) = peer.read_frame() {
            if sent.opcode == frame::PING {
                peer.write(&frame::pong(&sent.payload));
            }
        }
        assert_eq!(world.net.elapsed(), sent + wait);
        world.settle();
    }
    let stats = world.in_app(|app| app.stats());
    assert_eq!((stats.received.messages, stats.received.payload_bytes), (1, text.len() as u64));
    assert_eq!(stats.received.compressed_bytes, compressed.len() as u64);
    assert!(stats.received.compression_ratio().unwrap() > 5.0);
    assert_eq!(stats.sent.compression_ratio(), None);
    assert_eq!((stats.received.pings, stats.sent.pings), (1, 2));
    assert_eq!(stats.rtt.min, Some(Duration::ZERO));
    let bytes = stats.received.wire_bytes;
    assert!(bytes > compressed.len() as u64 && bytes < text.len() as u64, "{bytes}");
}

/// An app with numbers of all kinds.
fn rich() -> Stats {
    let mut world = World::new();
    let peer = world.open(Log::new().app(URL), &RunOptions::new());
    world.in_app(|app| app.ping(b"x")).unwrap();
    world.settle();
    peer.write(&frame::pong(b"x"));
    peer.write(&frame::text("text").repeat(3));
    world.settle();
    world.run_for(1500 * MS);
    world.in_app(|app| app.stats())
}

#[test]
fn the_text_for_prometheus_has_the_format_of_its_documentation() {
    let stats = rich();
    let mut text = String::new();
    let odd = [("feed", "a\\b\"c\nd é"), ("2nd name", "")];
    write_prometheus(&mut text, &[(&odd, stats), (&[("feed", "plain")], stats)]).unwrap();
    assert!(text.ends_with('\n'));
    let lines: Vec<_> = text.lines().collect();
    assert!(lines.contains(&r#"websocket_received_messages_total{feed="plain"} 3"#), "{text}");
    let escaped = r#"websocket_received_messages_total{feed="a\\b\"c\nd é",_2nd_name=""} 3"#;
    assert!(lines.contains(&escaped), "{text}");
    assert!(lines.contains(&r#"websocket_last_message_age_seconds{feed="plain"} 1.500000000"#), "{text}");
    assert!(lines.contains(&r#"websocket_rtt_min_seconds{feed="plain"} 0.000000000"#), "{text}");
    // Of what an app does not have there is no line, and no metric without one.
    assert!(!text.contains("compression_ratio") && !text.contains("proxy"), "{text}");

    let (mut names, mut current) = (BTreeSet::new(), String::new());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').unwrap();
            assert!(help.ends_with('.'), "{line}");
            assert!(names.insert(name), "the lines of a metric are not together: {name}");
            let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
            assert_eq!(lines.next(), Some(format!("# TYPE {name} {kind}").as_str()));
            current = name.to_owned();
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').unwrap();
        assert_eq!(sample.split('{').next(), Some(current.as_str()), "{line}");
        value.parse::<f64>().unwrap();
    }
    assert!(names.len() > 15, "{names:?}");

    let mut bare = String::new();
    write_prometheus(&mut bare, &[(&[], stats)]).unwrap();
    assert!(bare.contains("\nwebsocket_sent_pings_total 1\n"), "{bare}");
    let mut none = String::new();
    write_prometheus(&mut none, &[]).unwrap();
    assert_eq!(none, "");
}

#[test]
fn an_error_of_the_writer_is_returned() {
    struct Full(Cell<usize>);
    impl std::fmt::Write for Full {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            let left = self.0.get().checked_sub(text.len()).ok_or(std::fmt::Error)?;
            self.0.set(left);
            Ok(())
        }
    }
    let stats = rich();
    assert!(write_prometheus(&mut Full(Cell::new(500)), &[(&[("a", "b")], stats)]).is_err());
}

#[test]
fn an_address_of_ip_version_6_is_kept() {
    let mut world = World::new();
    let address: SocketAddr = "[2001:db8::1]:80".parse().unwrap();
    world.resolver.name("feed.test", &[IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1])]);
    let listener = world.net.listen(address);
    let app = WebSocketApp::new("ws://feed.test/");
    app.run_on(&mut world.reactor, &RunOptions::new()).unwrap();
    world.settle();
    world.accept(&listener);
    assert_eq!(world.in_app(|app| app.stats().phases.address), Some(address));
}

/// An app whose callback for a message takes so many milliseconds as the message says.
fn taking(net: &SimNet) -> WebSocketApp {
    let net = net.clone();
    Log::new().app(URL).on_message(move |_, message| {
        net.advance(message.as_text().unwrap().parse::<u32>().unwrap() * MS);
    })
}

#[test]
fn the_longest_callback_is_known_with_its_app_and_all_of_them_are_added_up() {
    let mut world = World::new();
    let listener = world.net.listen(SERVER);
    let net = world.net.clone();
    let [first, second] =
        [(); 2].map(|()| taking(&net).run_on(&mut world.reactor, &RunOptions::new()).unwrap());
    world.settle();
    let peers = [world.accept(&listener), world.accept(&listener)];
    let before = world.reactor.apps().stats();
    assert_eq!(before.time_in_callbacks, Duration::ZERO);
    assert_eq!(before.longest_callback, None, "nothing has taken any time");
    peers[0].write(&frame::text("5"));
    peers[1].write(&frame::text("30"));
    world.settle();
    let stats = world.reactor.apps().stats();
    assert_eq!(stats.time_in_callbacks, 35 * MS);
    let longest = stats.longest_callback.unwrap();
    assert_eq!((longest.app, longest.took), (Some(second), 30 * MS));
    // Each has used up its part of the turn.
    assert_eq!(stats.reads_stopped_early, before.reads_stopped_early + 2);
    assert_eq!(stats.ready_streams, before.ready_streams + 2);
    assert!(stats.turns > before.turns);

    // Several messages of one read are told apart.
    peers[0].write(&["31", "20", "20"].map(frame::text).concat());
    world.settle();
    let stats = world.reactor.apps().stats();
    assert_eq!(stats.time_in_callbacks, 106 * MS);
    let longest = stats.longest_callback.unwrap();
    assert_eq!((longest.app, longest.took), (Some(first), 31 * MS));
    assert_eq!(stats.reads_stopped_early, before.reads_stopped_early + 5);
}

thread_local! {
    /// For work that must be `Send`, although it stays here.
    static NET: RefCell<Option<SimNet>> = const { RefCell::new(None) };
}

#[test]
fn timers_on_drain_and_work_of_other_threads_are_measured_too() {
    let mut faults = Faults::default();
    faults.send_buffer = 1000;
    let mut world = World::on(SimNet::new(1).with_faults(faults));
    let net = world.net.clone();
    let [timer, drain] = [(); 2].map(|()| net.clone());
    NET.set(Some(net));
    let app = Log::new().app(URL).on_drain(move |_| drain.advance(20 * MS));
    let peer = world.open(app, &RunOptions::new());
    let id = world.reactor.apps().ids()[0];
    let longest = |world: &mut World| {
        let longest = world.reactor.apps().stats().longest_callback.unwrap();
        (longest.app, longest.took)
    };
    world.in_app(|app| app.set_timeout(SECOND, move |_| timer.advance(10 * MS)));
    world.run_for(2 * SECOND);
    assert_eq!(longest(&mut world), (Some(id), 10 * MS));
    world.in_app(|app| app.send_bytes([0; 5000])).unwrap();
    for _ in 0..10 {
        world.settle();
        peer.read_available();
    }
    world.settle();
    assert_eq!(longest(&mut world), (Some(id), 20 * MS));
    world.reactor.handle().run(|_| NET.with_borrow(|net| net.as_ref().unwrap().advance(30 * MS)));
    world.settle();
    assert_eq!(longest(&mut world), (None, 30 * MS));
    assert_eq!(world.reactor.apps().stats().time_in_callbacks, 60 * MS);
}

#[test]
fn a_handle_has_the_reactors_numbers_once_it_has_asked_and_after_its_end() {
    let mut world = World::new();
    let net = world.net.clone();
    let [asked, never] = [world.reactor.handle(), world.reactor.handle()];
    let peer = world.open(taking(&net), &RunOptions::new());
    assert_eq!(asked.stats(), None);
    world.settle();
    assert_eq!(asked.stats(), Some(world.reactor.apps().stats()));
    peer.write(&frame::text("7"));
    world.settle();
    let last = world.reactor.apps().stats();
    assert_eq!(asked.stats(), Some(last));
    drop(world);
    assert_eq!(never.stats(), asked.stats());
    assert_eq!(asked.stats().unwrap().time_in_callbacks, last.time_in_callbacks);

    let mut world = World::new();
    let never = world.reactor.handle();
    world.settle();
    let last = world.reactor.apps().stats();
    drop(world);
    assert_eq!(never.stats(), Some(last));
}

#[test]
fn the_reactors_numbers_are_text_for_prometheus_too() {
    let mut world = World::new();
    let net = world.net.clone();
    let peer = world.open(taking(&net), &RunOptions::new());
    peer.write(&frame::text("1500"));
    world.settle();
    let stats = world.reactor.apps().stats();
    let mut text = String::new();
    write_reactor_prometheus(&mut text, &[("thread", "1")], stats).unwrap();
    let expected = [
        "# HELP websocket_reactor_turns_total Turns taken.".to_owned(),
        "# TYPE websocket_reactor_turns_total counter".to_owned(),
        format!("websocket_reactor_turns_total{{thread=\"1\"}} {}", stats.turns),
    ];
    assert_eq!(text.lines().take(3).collect::<Vec<_>>(), expected);
    assert!(
        text.contains("websocket_reactor_longest_callback_seconds{thread=\"1\"} 1.500000000\n"),
        "{text}"
    );
    assert!(text.contains("websocket_reactor_callback_seconds_total{thread=\"1\"} 1.500000000\n"), "{text}");
}

/// Writes to an app.
type Write = Box<dyn FnMut(&[u8])>;

/// The virtual times, in milliseconds, at which callbacks were called and what they are about was received.
type Times = Rc<RefCell<Vec<(&'static str, u128, u128)>>>;

#[test]
fn a_message_has_the_time_of_its_read_however_long_it_waits_for_its_callback() {
    for secure in [false, true] {
        let mut secured = SecureWorld::new();
        let net = secured.world.net.clone();
        let start = net.now();
        let times = Times::default();
        let note = move |times: &Times, what, app: &Context<'_>| {
            let since = |at: std::time::Instant| (at - start).as_millis();
            times.borrow_mut().push((what, since(app.now()), since(app.received_at())));
        };
        let [messages, ends, pings] = [(); 3].map(|()| times.clone());
        let slow = net.clone();
        let app = Log::new()
            .app(if secure { SECURE_URL } else { URL })
            .on_message(move |app, _| {
                note(&messages, "message", app);
                slow.advance(10 * MS);
            })
            .on_ping(move |app, _| note(&pings, "ping", app))
            .on_batch_end(move |app| note(&ends, "end", app));
        let bytes = [frame::text("a"), frame::text("b"), frame::ping(b""), frame::text("c")].concat();
        let cut = bytes.len() - 1;
        let mut write: Write;
        if secure {
            let mut peer = secured.open(app);
            write = Box::new(move |bytes| peer.write(bytes));
        } else {
            let peer = secured.world.open(app, &RunOptions::new());
            write = Box::new(move |bytes| peer.write(bytes));
        }
        let world = &mut secured.world;
        world.run_until(SECOND);
        write(&bytes[..cut]);
        world.run_until(2 * SECOND);
        write(&bytes[cut..]);
        world.run_until(3 * SECOND);
        let (first, second) = (1000, 2000);
        let expected = [
            ("message", first, first),
            ("end", first + 10, first),
            ("message", first + 10, first),
            ("end", first + 20, first),
            ("ping", first + 20, first),
            ("message", second, second),
            ("end", second + 10, second),
        ];
        assert_eq!(*times.borrow(), expected, "secure: {secure}");
    }
}

#[test]
fn a_message_of_a_later_read_of_the_same_visit_has_that_reads_time() {
    let mut world = World::new();
    let net = world.net.clone();
    let times = Rc::new(RefCell::new(Vec::new()));
    let seen = times.clone();
    let late = Rc::new(RefCell::new(None::<websocket_testkit::sim::SimPeer>));
    let peer = late.clone();
    let app = Log::new().app(URL).on_message(move |app, _| {
        seen.borrow_mut().push((app.now(), app.received_at()));
        net.advance(Duration::from_micros(300));
        if let Some(peer) = peer.take() {
            // It arrives while the callback runs.
            peer.write(&frame::binary(&[0; 100_000]));
        }
    });
    let peer = world.open(app, &RunOptions::new());
    let start = world.net.now();
    *late.borrow_mut() = Some(peer.clone());
    // More than a short read.
    peer.write(&frame::binary(&[0; 60_000]));
    world.settle();
    let after = start + Duration::from_micros(300);
    assert_eq!(*times.borrow(), [(start, start), (after, after)]);
    assert_eq!(world.in_app(|app| app.stats().last_message), Some(after));
}

#[test]
fn a_callback_that_is_about_nothing_received_gets_the_time_now() {
    let mut world = World::new();
    let other = Rc::new(Cell::new(None));
    let seen = Rc::new(Cell::new(None));
    let (result, peer_app, net) = (seen.clone(), other.clone(), world.net.clone());
    let app = Log::new().app(URL).on_message(move |app, _| {
        net.advance(5 * MS);
        let others = app.apps().with(peer_app.get().unwrap(), |app| app.received_at());
        result.set(Some((others.unwrap(), app.received_at())));
    });
    let peer = world.open(app, &RunOptions::new());
    other.set(Some(Log::new().app(URL).run_on(&mut world.reactor, &RunOptions::new()).unwrap()));
    world.settle();
    let read = world.net.now();
    peer.write(&frame::text("x"));
    world.settle();
    assert_eq!(seen.take(), Some((read + 5 * MS, read)));
    let times = Rc::new(Cell::new(None));
    let noted = times.clone();
    world.in_app(|app| {
        app.set_timeout(SECOND, move |app| noted.set(Some((app.received_at(), app.now()))));
    });
    world.run_for(2 * SECOND);
    let (received, now) = times.get().unwrap();
    assert_eq!((received, now), (read + 5 * MS + SECOND, received));
}
