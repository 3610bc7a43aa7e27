//! A heartbeat of the application: sent every so often while the connection is open. In virtual time.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use websocket_app::{Error, FeedError, Kind, OwnedMessage, RunOptions, WebSocketApp};
use websocket_testkit::frame;
use websocket_testkit::sim::{Faults, SimNet, SimPeer};
use websocket_tests::{Log, URL, World, run_forever};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn text(text: &'static str) -> OwnedMessage {
    OwnedMessage::Text(text.into())
}

fn options() -> RunOptions {
    RunOptions::new().heartbeat(10 * SECOND, text("alive"))
}

/// A heartbeat that counts.
fn counting() -> RunOptions {
    let count = AtomicU32::new(1);
    RunOptions::new().heartbeat_with(10 * SECOND, move || {
        OwnedMessage::Binary(vec![count.fetch_add(1, Ordering::Relaxed) as u8].into())
    })
}

/// Kind and payload of each frame that the server has been sent.
fn frames(peer: &SimPeer) -> Vec<(u8, Vec<u8>)> {
    std::iter::from_fn(|| peer.read_frame()).map(|frame| (frame.opcode, frame.payload.to_vec())).collect()
}

#[test]
fn it_is_sent_at_every_interval_whatever_else_is_sent() {
    let mut world = World::new();
    let app = WebSocketApp::new(URL).on_open(|app, _| {
        app.set_timeout(15 * SECOND, |app| app.send_text("other"));
    });
    let peer = world.open(app, &options());
    world.run_until(10 * SECOND - MS);
    assert_eq!(frames(&peer), []);
    world.run_until(10 * SECOND);
    assert_eq!(frames(&peer), [(frame::TEXT, b"alive".to_vec())]);
    world.run_until(20 * SECOND);
    assert_eq!(frames(&peer), [(frame::TEXT, b"other".to_vec()), (frame::TEXT, b"alive".to_vec())]);
}

#[test]
fn a_closure_is_called_for_each_and_begins_over_with_no_connection() {
    let mut world = World::new();
    let listener = world.start(WebSocketApp::new(URL), &counting().reconnect(5 * SECOND));
    let peer = world.accept(&listener);
    world.run_until(20 * SECOND);
    assert_eq!(frames(&peer), [(frame::BINARY, vec![1]), (frame::BINARY, vec![2])]);
    peer.reset();
    world.run_until(25 * SECOND);
    // It is not called while there is no connection.
    world.run_until(32 * SECOND);
    let peer = world.accept(&listener);
    world.run_until(42 * SECOND - MS);
    assert_eq!(frames(&peer), []);
    world.run_until(42 * SECOND);
    assert_eq!(frames(&peer), [(frame::BINARY, vec![3])]);
}

#[test]
fn a_full_queue_and_a_fragmented_message_skip_it() {
    let mut faults = Faults::default();
    faults.send_buffer = 1000;
    let mut world = World::on(SimNet::new(1).with_faults(faults));
    let log = Log::new();
    let app = log.app(URL).on_open(|app, _| {
        app.set_timeout(SECOND, |app| app.send_bytes([0; 990]));
        app.send_bytes([0; 5000])
    });
    let peer = world.open(app.on_drain(|_| ()), &options().max_queued_bytes(5014));
    world.run_until(15 * SECOND);
    let mut taken = 0;
    // Two frames, with 8 bytes of header each.
    while taken < 5990 + 16 {
        taken += peer.read_available().len();
        world.settle();
    }
    world.run_until(20 * SECOND);
    assert!(log.take().is_empty());
    assert_eq!(frames(&peer), [(frame::TEXT, b"alive".to_vec())]);

    let (mut world, log) = (World::new(), Log::new());
    let app = log.app(URL).on_open(|app, _| app.send_fragment(Some(Kind::Text), b"first", false));
    let peer = world.open(app, &options());
    world.run_until(15 * SECOND);
    let id = world.reactor.apps().ids()[0];
    world.reactor.apps().with(id, |app| app.send_fragment(None, b"last", true)).unwrap().unwrap();
    world.run_until(20 * SECOND);
    assert!(log.take().is_empty());
    let expected: [(u8, &[u8]); 3] = [(frame::TEXT, b"first"), (0, b"last"), (frame::TEXT, b"alive")];
    assert_eq!(frames(&peer), expected.map(|(opcode, payload)| (opcode, payload.to_vec())));
}

#[test]
fn it_ends_with_the_closing_handshake() {
    let (mut world, log) = (World::new(), Log::new());
    let calls = Arc::new(AtomicU32::new(0));
    let counted = calls.clone();
    let options = RunOptions::new().close_timeout(60 * SECOND).heartbeat_with(10 * SECOND, move || {
        counted.fetch_add(1, Ordering::Relaxed);
        text("alive")
    });
    let peer = world.open(log.app(URL).on_open(|app, _| app.close()), &options);
    world.run_until(30 * SECOND);
    assert!(log.take().is_empty());
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    assert_eq!(frames(&peer).len(), 1, "the close frame");
}

#[test]
fn one_that_cannot_be_sent_is_reported_and_one_that_panics_ends_its_app() {
    let (mut world, log) = (World::new(), Log::new());
    let ping = OwnedMessage::Ping(vec![0; 126].into());
    world.open(log.app(URL), &RunOptions::new().heartbeat(10 * SECOND, ping));
    world.run_until(20 * SECOND);
    let line = "error Callback(a ping or pong carries at most 125 bytes, not 126)";
    assert_eq!(log.take(), ["open", line, line]);
    assert_eq!(world.reactor.apps().len(), 1);

    let (mut world, log) = (World::new(), Log::new());
    let panics = RunOptions::new().heartbeat_with(10 * SECOND, || -> OwnedMessage { panic!("on purpose") });
    world.open(log.app(URL), &panics);
    world.run_until(10 * SECOND);
    let panic = "CallbackPanicked(\"on purpose\")";
    assert_eq!(log.take(), ["open".to_owned(), format!("error {panic}"), format!("close: {panic}")]);
}

#[test]
fn an_interval_of_zero_is_refused_before_any_io() {
    let options = RunOptions::new().heartbeat(Duration::ZERO, text("alive"));
    let refused = run_forever(&mut WebSocketApp::new(URL), &options).unwrap_err();
    assert!(matches!(refused, Error::Feed(FeedError::HeartbeatZero)));
}
