//! How long a close waits for its answer, and from whom: servers that are mute, that flood, that close at the same moment. In virtual time.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use websocket_app::{Close, CloseCode, RunOptions, SendError, State};
use websocket_testkit::frame;
use websocket_testkit::server::ScriptedServer;
use websocket_testkit::sim::{End, Faults, SimNet, SimPeer};
use websocket_tests::{Log, URL, World, outcome_line, run_forever};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const TIMED_OUT: [&str; 2] = ["error Timeout(Close)", "close: Timeout(Close)"];

/// With a retry that never comes.
fn options() -> RunOptions {
    RunOptions::new().reconnect(SECOND)
}

/// An open connection that is closed like this, with the frame on its way.
fn closed(close: impl Into<Close>, by_sender: bool) -> (World, SimPeer, Log) {
    let mut world = World::new();
    let log = Log::new();
    let mut app = log.app(URL);
    let sender = app.sender();
    let peer = world.open(app, &options());
    log.take();
    if by_sender {
        sender.close_with(close).unwrap();
    } else {
        let id = world.reactor.apps().ids()[0];
        world.reactor.apps().with(id, |app| app.close_with(close)).unwrap().unwrap();
    }
    world.reactor.poll(Some(Duration::ZERO)).unwrap();
    (world, peer, log)
}

fn close_frame(peer: &SimPeer) -> Option<(u16, String)> {
    peer.read_frame().and_then(|frame| frame.close())
}

#[test]
fn b109_a_close_may_have_a_timeout_of_its_own() {
    for by_sender in [false, true] {
        for timeout in [10 * SECOND, 200 * MS, MS] {
            let (mut world, peer, log) = closed(Close::from(CloseCode::Away).timeout(timeout), by_sender);
            assert_eq!(close_frame(&peer), Some((1001, String::new())));
            world.run_until(timeout - MS / 2);
            assert_eq!((log.lines(), peer.ended()), (vec![], None));
            world.run_until(timeout);
            assert_eq!(log.lines(), TIMED_OUT);
            assert!(peer.ended().is_some() && world.reactor.apps().is_empty());
        }
    }
}

#[test]
fn b109_a_close_whose_timeout_is_zero_waits_for_no_answer_and_that_is_no_failure() {
    for by_sender in [false, true] {
        let (mut world, peer, log) =
            closed(Close::from((CloseCode::Away, "off")).timeout(Duration::ZERO), by_sender);
        assert_eq!(close_frame(&peer), Some((1001, "off".into())));
        world.reactor.poll(Some(Duration::ZERO)).unwrap();
        assert_eq!(log.lines(), ["close, by client"], "in the turn after at the latest");
        assert_eq!((peer.ended(), world.net.elapsed()), (Some(End::Fin), Duration::ZERO));
        assert!(world.reactor.apps().is_empty());
    }
}

#[test]
fn a_close_without_a_timeout_does_not_wait_for_a_stream_that_takes_nothing() {
    let mut faults = Faults::default();
    faults.send_buffer = 1000;
    let mut world = World::on(SimNet::new(1).with_faults(faults));
    let log = Log::new();
    let peer = world.open(log.app(URL).on_open(|app, _| app.send_bytes([0; 5000])), &options());
    let id = world.reactor.apps().ids()[0];
    let close = Close::default().timeout(Duration::ZERO);
    world.reactor.apps().with(id, |app| app.close_with(close)).unwrap().unwrap();
    world.settle();
    assert_eq!((log.lines(), world.net.elapsed()), (vec!["close, by client".to_owned()], Duration::ZERO));
    assert_eq!((peer.read_available().len(), peer.ended().is_some()), (1000, true));
}

#[test]
fn b117_a_second_close_only_hurries_the_first() {
    let (mut world, peer, log) = closed(Close::from((CloseCode::Away, "first")).timeout(5 * SECOND), false);
    let id = world.reactor.apps().ids()[0];
    for again in [
        Close::default(),
        Close::from(CloseCode::Error).timeout(60 * SECOND),
        Close::from(CloseCode::Error).timeout(SECOND),
    ] {
        world.run_for(SECOND);
        world.reactor.apps().with(id, |app| app.close_with(again)).unwrap().unwrap();
    }
    let refused = world.reactor.apps().with(id, |app| app.close_with(CloseCode::from(1005))).unwrap();
    assert_eq!(refused, Err(SendError::InvalidCloseCode(1005)), "checked all the same");
    assert_eq!((close_frame(&peer), close_frame(&peer)), (Some((1001, "first".into())), None));
    world.run_until(4 * SECOND - MS);
    assert_eq!(log.lines(), [""; 0]);
    world.run_until(4 * SECOND);
    assert_eq!(log.lines(), TIMED_OUT);
}

#[test]
fn a_close_frame_may_carry_no_code() {
    let (mut world, peer, log) = closed(Close::without_code(), true);
    assert_eq!(peer.read_frame().unwrap().payload, b"");
    peer.write(&frame::empty_close());
    peer.shutdown();
    world.settle();
    assert_eq!(log.lines(), ["close, by client, clean"]);
}

/// Lets the server say this every millisecond until the stream ends, whatever it is told; what it is told is noted by its opcode.
fn flood(net: &SimNet, peer: SimPeer, bytes: Vec<u8>, told: Rc<RefCell<Vec<u8>>>) {
    told.borrow_mut().extend(std::iter::from_fn(|| peer.read_frame()).map(|frame| frame.opcode));
    if peer.ended().is_none() {
        peer.write(&bytes);
        net.after(MS, move |net| flood(net, peer, bytes, told));
    }
}

#[test]
fn a_server_that_floods_and_never_answers_is_left_when_the_time_has_passed() {
    let floods = [
        frame::text("more and more").repeat(100),
        frame::ping(b"are you there?").repeat(100),
        // One message without end.
        frame::continuation(false, &[0; 1000]),
        // And one frame without end.
        vec![b'x'; 10_000],
    ];
    for (index, bytes) in floods.into_iter().enumerate() {
        let mut world = World::new();
        let log = Log::new();
        let messages = Rc::new(Cell::new(0));
        let count = messages.clone();
        let app = log.app(URL).on_message(move |_, _| count.set(count.get() + 1)).on_ping(|_, _| {});
        let peer = world.open(app, &options());
        match index {
            2 => peer.write(&frame::encode(false, 0, frame::BINARY, b"")),
            3 => peer.write(&frame::raw(0x82, frame::Length::Claimed(1 << 26), b"")),
            _ => {}
        }
        let told = Rc::new(RefCell::new(Vec::new()));
        flood(&world.net, peer.clone(), bytes, told.clone());
        world.run_until(SECOND);
        log.take();
        let before = messages.get();
        let id = world.reactor.apps().ids()[0];
        world.reactor.apps().with(id, |app| app.close()).unwrap();
        world.reactor.poll(Some(Duration::ZERO)).unwrap();
        world.run_until(4 * SECOND - MS);
        assert_eq!(log.lines(), [""; 0], "{index}");
        if index == 0 {
            // b114: they are delivered, for that matter.
            assert!(messages.get() >= before + 299_000);
        }
        world.run_until(4 * SECOND);
        assert_eq!(log.lines(), TIMED_OUT, "{index}");
        assert!(peer.ended().is_some() && world.reactor.apps().is_empty());
        world.settle();
        let told = told.take();
        assert_eq!(told.iter().position(|opcode| *opcode == frame::CLOSE), Some(told.len() - 1), "{index}");
    }
}

#[test]
fn an_answer_in_the_middle_of_a_flood_ends_it() {
    let (mut world, peer, log) = closed(Close::default(), false);
    for _ in 0..100 {
        peer.write(&frame::text("x").repeat(10_000));
    }
    peer.write(&frame::close(1000, "enough"));
    for _ in 0..100 {
        peer.write(&frame::text("y").repeat(10_000));
    }
    peer.shutdown();
    world.run_for(2 * SECOND);
    assert_eq!(log.count(|line| line == "text x"), 1_000_000);
    assert_eq!(log.count(|line| line == "text y"), 0);
    assert_eq!(log.lines().last().unwrap(), "close 1000 enough, by client, clean");
}

#[test]
fn closes_that_cross_each_other_are_one_clean_end() {
    // Ours goes first: theirs has arrived and was not read.
    let mut world = World::new();
    let log = Log::new();
    let peer = world.open(log.app(URL), &options());
    let id = world.reactor.apps().ids()[0];
    world.reactor.apps().with(id, |app| app.close_with((CloseCode::Away, "ours"))).unwrap().unwrap();
    peer.write(&frame::close(1012, "theirs"));
    world.settle();
    assert_eq!((close_frame(&peer), close_frame(&peer)), (Some((1001, "ours".into())), None));
    peer.shutdown();
    world.settle();
    assert_eq!(log.take(), ["open", "close 1012 theirs, by client, clean"]);

    // Theirs goes first, and ours would be the second.
    let peer = world.open(log.app(URL), &options());
    peer.write(&frame::close(1012, "theirs"));
    world.settle();
    let id = world.reactor.apps().ids()[0];
    let state = world.reactor.apps().with(id, |app| (app.close_with((CloseCode::Away, "ours")), app.state()));
    assert_eq!(state, Some((Ok(()), State::Closing)));
    world.settle();
    assert_eq!((close_frame(&peer), close_frame(&peer)), (Some((1012, String::new())), None));
    peer.shutdown();
    world.settle();
    assert_eq!(log.take(), ["open", "close 1012 theirs, by server, clean"]);

    // In one batch: the callback of a message closes, the next frame is theirs.
    let peer = world.open(log.app(URL).on_message(|app, _| app.close()), &options());
    peer.write(&[frame::text("please close"), frame::close(1001, "theirs")].concat());
    peer.shutdown();
    world.settle();
    assert_eq!((close_frame(&peer), close_frame(&peer)), (Some((1000, String::new())), None));
    assert_eq!(log.take(), ["open", "close 1001 theirs, by client, clean"]);
    assert!(world.reactor.apps().is_empty());
}

#[test]
fn on_real_sockets_closes_cross_each_other_and_a_mute_server_is_left() {
    let server = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        match peer.index() {
            0 => {
                // Without looking at what the client says.
                peer.send_text("close now");
                peer.send_close(1001, "theirs");
                assert!(peer.read_close().is_some());
            }
            _ => {
                peer.send_text("close now");
                peer.read_to_end();
            }
        }
    })
    .unwrap();
    let mut app = Log::new()
        .app(server.url())
        .on_message(|app, _| app.close_with(Close::from(CloseCode::Normal).timeout(20 * MS)));
    let crossed = run_forever(&mut app, &options()).unwrap();
    assert_eq!(outcome_line(&crossed), "clean 1001 theirs, by Client");
    let mute = run_forever(&mut app, &options()).unwrap();
    assert_eq!(outcome_line(&mute), "lost Timeout(Close)");
    assert_eq!(server.accepted(), 2, "neither was tried again");
    server.join();
}
