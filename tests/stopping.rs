//! Stopping a reactor: now, or when all apps have closed or a time has passed. In virtual time.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::thread;
use std::time::Duration;

use websocket_app::dispatcher::{Dispatcher as _, Wait as _};
use websocket_app::{Next, Reactor, RunOptions, WebSocketApp};
use websocket_testkit::frame;
use websocket_testkit::server::{EchoServer, ScriptedServer};
use websocket_testkit::sim::{SimDispatcher, SimListener, SimPeer};
use websocket_tests::{Log, SERVER, URL, World, outcome_line, reactor, run_forever};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn options() -> RunOptions {
    RunOptions::new()
}

/// A world with that many open apps, which all write into one log.
fn open(count: usize, options: &RunOptions) -> (World, SimListener, Vec<SimPeer>, Log) {
    let mut world = World::new();
    let log = Log::new();
    let listener = world.net.listen(SERVER);
    for _ in 0..count {
        log.app(URL).run_on(&mut world.reactor, options).unwrap();
    }
    world.settle();
    let peers: Vec<_> = (0..count).map(|_| world.accept(&listener)).collect();
    assert_eq!(log.take(), vec!["open"; count]);
    (world, listener, peers, log)
}

fn close_frame(peer: &SimPeer) -> Option<(u16, String)> {
    peer.read_frame().and_then(|frame| frame.close())
}

/// The reactor is as good as new.
#[track_caller]
fn assert_fit(world: &mut World) {
    assert!(world.reactor.apps().is_empty());
    let log = Log::new();
    let peer = world.open(log.app(URL), &options());
    peer.write(&frame::text("hello"));
    world.run_for(3600 * SECOND);
    assert_eq!(log.lines(), ["open", "text hello"]);
    world.reactor.apps().stop();
    world.reactor.run().unwrap();
}

#[test]
fn servers_that_answer_let_a_stop_end_before_its_time() {
    let (mut world, _listener, peers, log) = open(3, &options());
    world.reactor.apps().stop_within(60 * SECOND);
    world.reactor.poll(Some(Duration::ZERO)).unwrap();
    for (index, peer) in peers.iter().enumerate() {
        assert_eq!(close_frame(peer), Some((1001, String::new())), "all of them within one turn");
        let peer = peer.clone();
        world.net.after(index as u32 * SECOND, move |_| {
            peer.write(&frame::close(1001, "bye"));
            peer.shutdown();
        });
    }
    world.reactor.run().unwrap();
    assert_eq!(world.net.elapsed(), 2 * SECOND);
    assert_eq!(log.lines(), ["close 1001 bye, by client, clean"; 3]);
    assert_fit(&mut world);
}

#[test]
fn servers_that_do_not_answer_are_left_when_the_time_has_passed() {
    let (mut world, _listener, peers, log) = open(3, &options().close_timeout(60 * SECOND));
    peers[1].write(&frame::text("still heard"));
    world.reactor.apps().stop_within(2 * SECOND);
    world.run_until(2 * SECOND - MS);
    assert_eq!(log.take(), ["text still heard"]);
    assert_eq!(world.reactor.apps().len(), 3);
    world.run_until(2 * SECOND);
    assert_eq!(log.lines(), ["close, by client"; 3]);
    for peer in peers {
        assert!(close_frame(&peer).is_some() && peer.ended().is_some());
    }
    assert_fit(&mut world);
}

#[test]
fn a_close_timeout_that_is_shorter_holds() {
    let (mut world, _listener, _peers, log) = open(1, &options().close_timeout(SECOND));
    world.reactor.apps().stop_within(60 * SECOND);
    world.reactor.run().unwrap();
    assert_eq!(world.net.elapsed(), SECOND);
    assert_eq!(log.lines(), ["error Timeout(Close)", "close: Timeout(Close)"]);
    assert_fit(&mut world);
}

#[test]
fn a_stop_within_no_time_sends_the_close_frames_and_ends_in_that_turn() {
    let (mut world, _listener, peers, log) = open(2, &options());
    world.reactor.apps().stop_within(Duration::ZERO);
    world.reactor.poll(Some(Duration::ZERO)).unwrap();
    assert!(world.reactor.apps().is_empty());
    assert_eq!(log.lines(), ["close, by client"; 2]);
    for peer in peers {
        assert_eq!(close_frame(&peer), Some((1001, String::new())));
    }
    assert_fit(&mut world);
}

#[test]
fn the_close_frame_goes_out_behind_what_was_sent_before() {
    let (mut world, _listener, peers, _log) = open(1, &options());
    let id = world.reactor.apps().ids()[0];
    world.reactor.apps().with(id, |app| {
        app.send_text("before").unwrap();
        app.sender().send_text("and this").unwrap();
        app.apps().stop_within(SECOND);
    });
    world.reactor.poll(Some(Duration::ZERO)).unwrap();
    let texts: Vec<_> = std::iter::from_fn(|| peers[0].read_frame()).map(|frame| frame.opcode).collect();
    assert_eq!(texts, [frame::TEXT, frame::TEXT, frame::CLOSE]);
}

#[test]
fn apps_that_are_not_open_yet_end_at_once_with_either_stop() {
    let stops: [fn(&mut World); 2] =
        [|world| world.reactor.apps().stop(), |world| world.reactor.apps().stop_within(60 * SECOND)];
    for stop in stops {
        let mut world = World::new();
        let log = Log::new();
        let silent = "192.0.2.99:80".parse().unwrap();
        world.net.black_hole(silent);
        world.resolver.delay("slow.test", None);
        let listener = world.net.listen(SERVER);
        // Resolving, connecting, upgrading.
        for url in ["ws://slow.test/", "ws://192.0.2.99/", URL] {
            log.app(url).run_on(&mut world.reactor, &options().reconnect(SECOND)).unwrap();
        }
        world.settle();
        let peer = listener.accept().unwrap();
        // And one that has not had a turn.
        log.app(URL).run_on(&mut world.reactor, &options()).unwrap();
        stop(&mut world);
        world.reactor.poll(Some(Duration::ZERO)).unwrap();
        assert!(world.reactor.apps().is_empty());
        assert_eq!(log.lines(), ["close"; 4]);
        world.settle();
        assert!(peer.ended().is_some());
        assert_fit(&mut world);
    }
}

#[test]
fn apps_that_are_added_while_others_close_end_at_once_and_do_not_connect() {
    let (mut world, listener, peers, log) = open(1, &options());
    world.reactor.apps().stop_within(60 * SECOND);
    world.settle();
    for _ in 0..3 {
        log.app(URL).run_on(&mut world.reactor, &options().reconnect(SECOND)).unwrap();
    }
    let late = log.clone();
    world.reactor.handle().add(options(), || WebSocketApp::new(URL), |error| panic!("{error}"));
    world.settle();
    assert_eq!(late.take(), ["close"; 3]);
    assert_eq!(world.reactor.apps().len(), 1, "the one that closes");
    assert!(listener.accept().is_none());
    assert_eq!(world.net.attempts().len(), 1);
    peers[0].write(&frame::close(1001, ""));
    peers[0].shutdown();
    world.settle();
    assert_eq!(log.take(), ["close 1001, by client, clean"]);
    assert_fit(&mut world);
}

#[test]
fn a_successor_that_is_added_in_on_close_ends_at_once_too() {
    let mut world = World::new();
    let log = Log::new();
    let (successor, close) = (log.clone(), log.clone());
    let app = log.app(URL).on_close(move |app, _| {
        close.push("close of the first");
        app.apps().add(successor.app(URL), &options()).map(drop)
    });
    let peer = world.open(app, &options());
    world.reactor.apps().stop_within(60 * SECOND);
    world.settle();
    peer.write(&frame::close(1001, ""));
    peer.shutdown();
    world.settle();
    assert_eq!(log.lines(), ["open", "close of the first", "close"]);
    assert_fit(&mut world);
}

#[test]
fn of_two_stops_the_earlier_time_holds_and_a_stop_now_is_now() {
    for (first, second, expected) in [(5, 2, 2), (2, 5, 2), (4, 4, 4)] {
        let (mut world, _listener, _peers, log) = open(1, &options().close_timeout(60 * SECOND));
        world.reactor.apps().stop_within(first * SECOND);
        world.settle();
        world.reactor.apps().stop_within(second * SECOND);
        world.reactor.run().unwrap();
        assert_eq!(world.net.elapsed(), expected * SECOND);
        assert_eq!(log.lines(), ["close, by client"]);
        assert_fit(&mut world);
    }
    let (mut world, _listener, _peers, log) = open(1, &options());
    world.reactor.apps().stop_within(5 * SECOND);
    world.run_for(SECOND);
    world.reactor.apps().stop();
    world.reactor.run().unwrap();
    assert_eq!((world.net.elapsed(), log.lines()), (SECOND, vec!["close, by client".to_owned()]));
    assert_fit(&mut world);
}

#[test]
fn a_stop_comes_from_a_callback_a_handle_or_a_sender_and_is_honoured_in_one_turn() {
    let stops: [fn(&mut World); 4] = [
        |world| {
            let handle = world.reactor.handle();
            thread::spawn(move || handle.stop_within(60 * SECOND)).join().unwrap();
        },
        |world| {
            let id = world.reactor.apps().ids()[0];
            let sender = world.reactor.apps().with(id, |app| app.sender()).unwrap();
            thread::spawn(move || sender.stop_within(60 * SECOND)).join().unwrap();
        },
        |world| world.reactor.handle().run(|apps| apps.stop_within(60 * SECOND)),
        |world| {
            let id = world.reactor.apps().ids()[1];
            world.reactor.apps().with(id, |app| {
                app.set_timeout(Duration::ZERO, |app| app.apps().stop_within(60 * SECOND));
            });
        },
    ];
    for stop in stops {
        let (mut world, _listener, peers, _log) = open(2, &options());
        stop(&mut world);
        world.reactor.poll(Some(Duration::ZERO)).unwrap();
        for peer in &peers {
            assert_eq!(close_frame(peer), Some((1001, String::new())));
            peer.write(&frame::close(1001, ""));
            peer.shutdown();
        }
        world.reactor.run().unwrap();
        assert_fit(&mut world);
    }
}

#[test]
fn a_stop_before_the_start_is_honoured_and_one_of_an_empty_reactor_leaves_it_fit() {
    let mut world = World::new();
    let log = Log::new();
    log.app(URL).run_on(&mut world.reactor, &options()).unwrap();
    world.reactor.handle().stop_within(60 * SECOND);
    world.reactor.run().unwrap();
    assert_eq!((log.lines(), world.net.attempts().len()), (vec!["close".to_owned()], 0));
    assert_fit(&mut world);
    world.reactor.handle().stop_within(60 * SECOND);
    world.reactor.run().unwrap();
    assert_fit(&mut world);
}

#[test]
fn a_stop_whose_last_app_is_removed_is_over_and_leaves_the_reactor_fit() {
    let removals: [fn(&mut World); 2] = [
        |world| {
            let id = world.reactor.apps().ids()[0];
            world.reactor.apps().remove(id);
        },
        |world| {
            let id = world.reactor.apps().ids()[0];
            world.reactor.apps().with(id, |app| app.sender().remove());
        },
    ];
    for remove in removals {
        let (mut world, _listener, _peers, log) = open(1, &options());
        world.reactor.apps().stop_within(60 * SECOND);
        world.settle();
        remove(&mut world);
        world.reactor.run().unwrap();
        assert_eq!((world.net.elapsed(), log.lines()), (Duration::ZERO, vec![]));
        assert_eq!(world.reactor.next_deadline(), None);
        assert_fit(&mut world);
    }
}

/// A host that owns the thread: it waits with means of its own and calls `turn`.
fn host(reactor: &mut Reactor<SimDispatcher>, mut next: Next, mut done: impl FnMut(Next) -> bool) -> Next {
    while !done(next) {
        let now = reactor.dispatcher().now();
        let deadline = if next.again { Some(now) } else { next.deadline };
        let mut ready = Vec::new();
        reactor.dispatcher().wait(deadline, &mut ready).unwrap();
        next = reactor.turn(&ready);
    }
    next
}

#[test]
fn a_host_that_calls_turn_is_told_when_the_stop_is_due_and_that_nothing_is_left_to_do() {
    let (mut world, _listener, _peers, log) = open(2, &options().close_timeout(60 * SECOND));
    let due = world.net.now() + 2 * SECOND;
    world.reactor.handle().stop_within(2 * SECOND);
    let next = world.reactor.turn(&[]);
    let next = host(&mut world.reactor, next, |next| !next.again);
    assert_eq!(next.deadline, Some(due));
    let next = host(&mut world.reactor, next, |next| next.deadline.is_none() && !next.again);
    assert_eq!((world.net.elapsed(), next.again), (2 * SECOND, false));
    assert_eq!(log.lines(), ["close, by client"; 2]);
    assert_fit(&mut world);
}

#[test]
fn a_run_that_is_drained_returns_the_close_and_does_not_connect_again() {
    let server = ScriptedServer::start(|mut peer| {
        assert_eq!(peer.index(), 0);
        peer.accept_upgrade();
        assert_eq!(peer.read_close(), Some((1001, String::new())));
        peer.send_close(1012, "so be it");
    })
    .unwrap();
    let mut app = WebSocketApp::new(server.url()).on_open(|app, _| {
        let sender = app.sender();
        thread::spawn(move || sender.stop_within(3600 * SECOND));
    });
    let outcome = run_forever(&mut app, &options().reconnect(MS)).unwrap();
    assert_eq!(outcome_line(&outcome), "clean 1012 so be it, by Client");
    server.join();
}

#[test]
fn a_drained_reactor_on_real_sockets_ends_by_itself() {
    let echo = EchoServer::start().unwrap();
    let mut reactor = reactor();
    let log = Log::new();
    for index in 0..20 {
        let app = log.app(echo.url()).on_open(move |app, _| {
            if index == 19 {
                app.apps().stop_within(3600 * SECOND);
            }
        });
        app.run_on(&mut reactor, &options().reconnect(MS)).unwrap();
    }
    websocket_tests::run(&mut reactor);
    assert_eq!(log.count(|line| line.starts_with("close")), 20);
    assert_eq!(log.count(|line| line.contains("retry")), 0);
}
