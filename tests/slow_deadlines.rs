//! Deadlines beside slow callbacks: each starts when what it waits for has happened, and none is judged before what has arrived was read. In
//! virtual time.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use websocket_app::{CallbackResult, Close, Context, RunOptions, WebSocketApp};
use websocket_testkit::frame;
use websocket_testkit::sim::{Faults, SimNet, SimPeer};
use websocket_tests::{Log, SERVER, URL, World, busy};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// A server that accepts, does something, and calls `said` with each frame that it is told.
fn serve(
    net: &SimNet,
    address: SocketAddr,
    opened: impl Fn(&SimPeer) + 'static,
    said: impl Fn(&SimPeer, frame::Frame) + 'static,
) {
    net.serve_arrivals(address, move |peer| {
        if peer.accept_upgrade().is_some() {
            opened(peer);
        }
        while let Some(frame) = peer.read_frame() {
            said(peer, frame);
        }
    });
}

/// What a server does that is told a close frame: it answers after `delay`, or never.
fn answer_close(delay: Option<Duration>) -> impl Fn(&SimPeer, frame::Frame) {
    move |peer, frame| {
        if let (Some((code, reason)), Some(delay)) = (frame.close(), delay) {
            let peer = peer.clone();
            peer.net().clone().after(delay, move |_| {
                peer.write(&frame::close(code, &reason));
                peer.shutdown();
            });
        }
    }
}

#[test]
// b109, b111
fn a_close_in_a_slow_callback_has_its_time_from_when_its_frame_was_written() {
    for (answers, ended, last) in [
        (Some(2900 * MS), 12_900 * MS, vec!["close 1000, by client, clean"]),
        (None, 13 * SECOND, vec!["error Timeout(Close)", "close: Timeout(Close)"]),
    ] {
        for place in 0..3 {
            let mut world = World::new();
            let log = Log::new();
            serve(&world.net, SERVER, |peer| peer.write(&frame::text("hello")), answer_close(answers));
            let net = world.net.clone();
            let slow = move |app: &mut Context<'_>| {
                app.close();
                net.advance(10 * SECOND);
            };
            let app = log.app(URL).on_message(|_, _| {});
            let app = match place {
                0 => app.on_open(move |app, _| slow(app)),
                1 => app.on_message(move |app, _| slow(app)),
                _ => app.on_open(move |app, _| {
                    app.set_timeout(Duration::ZERO, slow.clone());
                }),
            };
            app.run_on(&mut world.reactor, &RunOptions::new().close_timeout(3 * SECOND)).unwrap();
            world.run_until(ended - MS);
            log.take();
            assert_eq!(world.reactor.apps().len(), 1, "{place}");
            world.run_until(ended);
            assert_eq!(log.take(), last, "{place}");
        }
    }
}

/// Answers pings at once.
fn answer_ping(peer: &SimPeer, frame: frame::Frame) {
    if frame.opcode == frame::PING {
        peer.write(&frame::pong(&frame.payload));
    }
}

#[test]
// b103, b104
fn a_busy_app_does_not_make_its_neighbours_pings_time_out() {
    const NEIGHBOURS: u8 = 20;
    let mut world = World::new();
    let log = Log::new();
    let options = RunOptions::new().ping_interval(2 * SECOND).ping_timeout(SECOND);
    for number in 0..NEIGHBOURS {
        let address = SocketAddr::from(([192, 0, 2, 100 + number], 80));
        serve(&world.net, address, |_| (), answer_ping);
        let app = log.app(format!("ws://{address}/")).on_pong(|_, _, _| {});
        app.run_on(&mut world.reactor, &options).unwrap();
    }
    // Its callback takes longer than the server of any other has for its pong.
    serve(&world.net, SERVER, |_| (), answer_ping);
    let net = world.net.clone();
    let busy = WebSocketApp::new(URL).on_open(move |app, _| {
        let net = net.clone();
        app.set_interval(1700 * MS, move |_| net.advance(1200 * MS));
    });
    busy.run_on(&mut world.reactor, &options).unwrap();
    // One that is gone is noticed all the same.
    let dead = SocketAddr::from(([192, 0, 2, 99], 80));
    serve(&world.net, dead, |_| (), |_, _| ());
    let missed = Log::new();
    missed.app(format!("ws://{dead}/")).run_on(&mut world.reactor, &options).unwrap();
    world.run_until(60 * SECOND);
    assert_eq!(log.take(), ["open"; NEIGHBOURS as usize]);
    assert_eq!(missed.take(), ["open", "error Timeout(Pong)", "close: Timeout(Pong)"]);
    assert_eq!(world.reactor.apps().len(), usize::from(NEIGHBOURS) + 1);
}

#[test]
fn a_timer_counts_from_when_it_was_set_however_slow_its_callback_was() {
    let mut world = World::new();
    let fired = Rc::new(RefCell::new(Vec::new()));
    let (net, times) = (world.net.clone(), fired.clone());
    let app = WebSocketApp::new(URL).on_open(move |app, _| {
        let set = |app: &mut Context<'_>| {
            let (due, times, net) = (net.elapsed() + 100 * MS, times.clone(), net.clone());
            app.set_timeout(100 * MS, move |_| times.borrow_mut().push((due, net.elapsed())));
        };
        net.advance(SECOND);
        set(app);
        net.advance(SECOND);
        set(app);
    });
    world.open(app, &RunOptions::new());
    world.run_until(5 * SECOND);
    // The first is late, since nothing interrupts a callback.
    assert_eq!(fired.take(), [(1100 * MS, 2 * SECOND), (2100 * MS, 2100 * MS)]);
}

#[test]
// b106
fn a_round_trip_does_not_include_the_callbacks_before_the_ping_was_written() {
    let mut faults = Faults::default();
    faults.latency = 25 * MS..=25 * MS;
    let mut world = World::on(SimNet::new(1).with_faults(faults));
    serve(&world.net, SERVER, |_| (), answer_ping);
    let (trips, net) = (Rc::new(RefCell::new(Vec::new())), world.net.clone());
    let noted = trips.clone();
    let app = WebSocketApp::new(URL)
        .on_open(move |app, _| {
            app.ping(b"mine")?;
            net.advance(SECOND);
            Ok::<(), websocket_app::SendError>(())
        })
        .on_pong(move |app, _, trip| noted.borrow_mut().push((trip, app.rtt().last)));
    app.run_on(&mut world.reactor, &RunOptions::new().ping_interval(5 * SECOND)).unwrap();
    // It delays the second keep-alive ping.
    busy(&mut world, 10 * SECOND, 2 * SECOND);
    world.run_until(20 * SECOND);
    let trip = Some(50 * MS);
    assert_eq!(trips.take(), [(trip, trip); 4]);
}

#[test]
// b065
fn a_stream_that_has_room_again_is_written_to_before_its_deadline_is_judged() {
    for reads in [true, false] {
        let mut faults = Faults::default();
        faults.send_buffer = 1000;
        let mut world = World::on(SimNet::new(1).with_faults(faults));
        let log = Log::new();
        let app = log.app(URL).on_open(|app, _| app.send_bytes([0; 1500])).on_drain(|_| {});
        let peer = world.open(app, &RunOptions::new().write_timeout(10 * SECOND));
        busy(&mut world, SECOND, 11 * SECOND);
        if reads {
            world.net.at(9 * SECOND, move |_| drop(peer.read_available()));
        }
        world.run_until(12 * SECOND);
        let expected: &[_] = if reads { &[] } else { &["error Timeout(Write)", "close: Timeout(Write)"] };
        assert_eq!(log.take(), expected);
    }
}

/// An app whose server takes nothing of what it sends: at 10 s a text comes whose callback takes 2 s, and during it `event` happens.
/// Returns what the app was told in 14 s.
fn stalled(busy_for: Duration, event: Option<(Duration, fn(SimPeer))>) -> Vec<String> {
    let mut faults = Faults::default();
    faults.send_buffer = 1000;
    let mut world = World::on(SimNet::new(1).with_faults(faults));
    let (log, net) = (Log::new(), world.net.clone());
    let app = log
        .app(URL)
        .on_open(|app, _| app.send_bytes([0; 5000]))
        .on_message(move |_, _| net.advance(2 * SECOND));
    let peer = world.open(app, &RunOptions::new().ping_interval(10 * SECOND).write_timeout(11 * SECOND));
    // The ping is due before the text is read.
    busy(&mut world, 9900 * MS, busy_for);
    let writer = peer.clone();
    world.net.at(10 * SECOND, move |_| writer.write(&frame::text("slow")));
    if let Some((at, happens)) = event {
        world.net.at(at, move |_| happens(peer));
    }
    world.run_until(14 * SECOND);
    log.take()
}

/// The time to write passes in the read before the verdict, or before that.
const STALLED: [(Duration, Duration); 2] = [
    (Duration::from_millis(150), Duration::from_millis(10_999)),
    (Duration::from_millis(1500), Duration::from_secs(12)),
];

#[test]
// b065
fn a_stream_that_gets_room_during_the_read_before_a_verdict_is_not_given_up() {
    for (busy_for, room_at) in STALLED {
        let told = stalled(busy_for, Some((room_at, |peer| drop(peer.read_available()))));
        assert!(told.is_empty(), "{busy_for:?}: {told:?}");
    }
    assert_eq!(stalled(150 * MS, None), ["error Timeout(Write)", "close: Timeout(Write)"]);
}

#[test]
// b065
fn a_stream_that_is_reset_during_the_read_before_a_verdict_has_not_timed_out() {
    for (busy_for, reset_at) in STALLED {
        let told = stalled(busy_for, Some((reset_at, |peer| peer.reset())));
        assert_eq!(told, ["error Io(ConnectionReset)", "close: Io(ConnectionReset)"], "{busy_for:?}");
    }
}

/// What waits to be delivered when an app closes in the read before the verdict on its connection.
#[test]
// b114
fn a_close_in_the_read_before_a_verdict_loses_none_of_the_messages_behind_it() {
    let mut world = World::new();
    let log = Log::new();
    let peer = Rc::new(RefCell::new(None));
    let found = peer.clone();
    serve(
        &world.net,
        SERVER,
        move |peer| *found.borrow_mut() = Some(peer.clone()),
        answer_close(Some(50 * MS)),
    );
    let (net, is_first, messages) = (world.net.clone(), Cell::new(true), log.clone());
    let app = log.app(URL).on_message(move |app, message| {
        messages.message(message);
        if is_first.replace(false) {
            app.close_with(Close::default().timeout(100 * MS))?;
            net.advance(SECOND);
        } else {
            net.advance(2 * MS);
        }
        Ok::<(), websocket_app::SendError>(())
    });
    app.run_on(&mut world.reactor, &RunOptions::new().ping_interval(SECOND)).unwrap();
    // A ping is due before the messages are read.
    busy(&mut world, 900 * MS, 200 * MS);
    let texts: Vec<u8> = (0..20).flat_map(|number| frame::text(&number.to_string())).collect();
    world.net.at(SECOND, move |_| peer.borrow().as_ref().unwrap().write(&texts));
    world.run_until(5 * SECOND);
    let mut expected = vec!["open".to_owned()];
    expected.extend((0..20).map(|number| format!("text {number}")));
    expected.push("close 1000, by client, clean".to_owned());
    assert_eq!(log.take(), expected);
}

#[test]
// b109
fn a_close_timeout_finds_the_end_of_the_stream_and_a_breach_behind_slow_messages() {
    let run = |end: &dyn Fn(&SimPeer)| {
        let mut world = World::new();
        let (log, net) = (Log::new(), world.net.clone());
        let app = log.app(URL).on_message(move |_, _| net.advance(MS));
        let peer = world.open(app, &RunOptions::new().close_timeout(3 * SECOND));
        peer.write(&frame::text("slow").repeat(10_000));
        let id = world.reactor.apps().ids()[0];
        world.reactor.apps().with(id, |app| app.close()).unwrap();
        world.reactor.poll(Some(Duration::ZERO)).unwrap();
        end(&peer);
        log.take();
        while !world.reactor.apps().is_empty() {
            world.reactor.poll(None).unwrap();
        }
        assert!(world.net.elapsed() < 3100 * MS, "{:?}", world.net.elapsed());
        log.take()
    };
    let close = frame::close(1001, "so long");
    assert_eq!(run(&|peer| peer.write(&close)), ["close 1001 so long, by client, clean"]);
    assert_eq!(run(&|peer| peer.shutdown()), ["close, by client"]);
    assert_eq!(run(&|peer| peer.reset()), ["close, by client"]);
    let breach = frame::encode(true, 0, 3, b"");
    let error = "Protocol(UnknownOpcode(3))";
    assert_eq!(run(&|peer| peer.write(&breach)), [format!("error {error}"), format!("close: {error}")]);
    assert_eq!(run(&|_| ()), ["error Timeout(Close)", "close: Timeout(Close)"]);
}

#[test]
// b104
fn a_ping_that_is_written_after_the_slow_end_of_another_app_has_its_time_from_then() {
    let mut faults = Faults::default();
    faults.latency = 50 * MS..=50 * MS;
    let mut world = World::on(SimNet::new(1).with_faults(faults));
    let log = Log::new();
    serve(&world.net, SERVER, |_| (), answer_ping);
    let app = log.app(URL).on_pong(|_, _, _| {});
    app.run_on(&mut world.reactor, &RunOptions::new().ping_interval(2 * SECOND).ping_timeout(SECOND))
        .unwrap();
    // It fails in the turn in which the ping is due.
    let other = SocketAddr::from(([192, 0, 2, 9], 80));
    serve(&world.net, other, |_| (), |_, _| ());
    let net = world.net.clone();
    let panics = WebSocketApp::new("ws://192.0.2.9/")
        .on_open(|app, _| {
            app.set_timeout(2 * SECOND, |_| -> CallbackResult { Err("failed".into()) });
        })
        .on_error(|_, _| panic!("on purpose"))
        .on_close(move |_, _| net.advance(5 * SECOND));
    panics.run_on(&mut world.reactor, &RunOptions::new()).unwrap();
    world.run_until(20 * SECOND);
    assert_eq!(log.take(), ["open"]);
    assert_eq!(world.reactor.apps().len(), 1);
}
