//! `pause_reading` and `resume_reading`: nothing is delivered or read meanwhile, and nothing is lost. In virtual time.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use websocket_app::{RunOptions, WebSocketApp};
use websocket_testkit::frame;
use websocket_testkit::sim::{Faults, SimListener, SimNet, SimPeer};
use websocket_tests::{Log, SECURE_URL, SecureWorld, URL, World};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// An app that pauses with each message whose text is `pause`, and its server's end.
struct Opened {
    world: World,
    listener: SimListener,
    peer: SimPeer,
    log: Log,
}

fn pausing(log: &Log) -> WebSocketApp {
    let messages = log.clone();
    log.app(URL).on_message(move |app, message| {
        messages.message(message);
        if message.as_bytes() == b"pause" {
            app.pause_reading();
        }
    })
}

impl Opened {
    fn new(options: &RunOptions) -> Self {
        Self::on(SimNet::new(1), options)
    }

    fn on(net: SimNet, options: &RunOptions) -> Self {
        let (mut world, log) = (World::on(net), Log::new());
        let listener = world.start(pausing(&log), options);
        let peer = world.accept(&listener);
        assert_eq!(log.take(), ["open"]);
        Self { world, listener, peer, log }
    }

    /// Opens an app, which then pauses.
    fn paused(options: &RunOptions) -> Self {
        let mut opened = Self::new(options);
        opened.say(&["pause"]);
        assert_eq!(opened.log.take(), ["text pause"]);
        opened
    }

    fn say(&mut self, texts: &[&str]) {
        self.peer.write(&texts.iter().flat_map(|text| frame::text(text)).collect::<Vec<_>>());
        self.world.settle();
    }

    fn resume(&mut self) {
        self.world.in_app(|app| app.resume_reading());
        self.world.settle();
    }
}

#[test]
fn messages_behind_the_pause_wait_in_their_order_and_come_when_it_ends() {
    let mut opened = Opened::new(&RunOptions::new());
    // Some wait in the app, some in the network, and one is cut between the two.
    opened.say(&["one", "pause", "two", "three"]);
    let four = frame::text("four");
    opened.peer.write(&four[..3]);
    opened.world.run_for(SECOND);
    opened.peer.write(&four[3..]);
    opened.say(&["five"]);
    opened.world.run_for(60 * SECOND);
    assert_eq!(opened.log.take(), ["text one", "text pause"]);
    opened.resume();
    assert_eq!(opened.log.take(), ["text two", "text three", "text four", "text five"]);
    // It is as it was before.
    opened.say(&["six", "pause", "seven"]);
    assert_eq!(opened.log.take(), ["text six", "text pause"]);
    opened.resume();
    opened.say(&["eight"]);
    assert_eq!(opened.log.take(), ["text seven", "text eight"]);
}

#[test]
fn many_messages_of_one_read_may_each_pause() {
    let mut opened = Opened::new(&RunOptions::new());
    opened.say(&["pause"; 1000]);
    for _ in 0..1000 {
        assert_eq!(opened.log.take(), ["text pause"]);
        opened.resume();
    }
    assert!(opened.log.take().is_empty());
}

#[test]
fn a_pause_that_ends_in_the_callback_that_began_it_changes_nothing() {
    let (mut world, log) = (World::new(), Log::new());
    let messages = log.clone();
    let app = log.app(URL).on_message(move |app, message| {
        messages.message(message);
        app.pause_reading();
        app.resume_reading();
    });
    let peer = world.open(app, &RunOptions::new());
    peer.write(&frame::text("hello").repeat(100));
    world.settle();
    assert_eq!(log.count(|line| line == "text hello"), 100);
}

#[test]
fn a_pause_that_another_app_ends_in_the_same_turn_loses_nothing() {
    let mut opened = Opened::new(&RunOptions::new());
    let id = opened.world.reactor.apps().ids()[0];
    let other = WebSocketApp::new(URL).on_message(move |app, _| {
        app.apps().with(id, |app| app.resume_reading()).unwrap();
    });
    other.run_on(&mut opened.world.reactor, &RunOptions::new()).unwrap();
    opened.world.settle();
    let other = opened.world.accept(&opened.listener);
    for _ in 0..3 {
        // Both arrive in one turn, in this order.
        opened.peer.write(&["pause", "behind"].map(frame::text).concat());
        other.write(&frame::text("go on"));
        opened.world.settle();
        assert_eq!(opened.log.take(), ["text pause", "text behind"]);
    }
}

#[test]
fn the_stream_is_not_read_so_the_server_is_held_back() {
    let mut opened = Opened::paused(&RunOptions::new());
    for _ in 0..1000 {
        opened.say(&["x"; 100]);
    }
    // In a real network these are in the buffers of the two systems, which take no more.
    assert_eq!(opened.peer.client_end().unread, 100_000 * frame::text("x").len());
    opened.resume();
    opened.world.run_for(SECOND);
    assert_eq!(opened.peer.client_end().unread, 0);
    assert_eq!(opened.log.count(|line| line == "text x"), 100_000);
}

#[test]
fn records_of_tls_behind_the_pause_wait_too() {
    let (mut secure, log) = (SecureWorld::new(), Log::new());
    let messages = log.clone();
    let app = log.app(SECURE_URL).on_message(move |app, message| {
        messages.message(message);
        app.pause_reading();
    });
    let mut peer = secure.open(app);
    // Two messages in one record, and another record in the same read.
    peer.write(&["one", "two"].map(frame::text).concat());
    peer.write(&frame::text("three"));
    secure.world.settle();
    peer.write(&frame::text("four"));
    let id = secure.world.reactor.apps().ids()[0];
    assert_eq!(log.take(), ["open", "text one"]);
    for expected in ["text two", "text three", "text four"] {
        secure.world.settle();
        assert!(log.take().is_empty());
        secure.world.reactor.apps().with(id, |app| app.resume_reading()).unwrap();
        secure.world.settle();
        assert_eq!(log.take(), [expected]);
    }
}

#[test]
fn no_deadline_fails_because_of_it_and_pings_are_still_sent() {
    let options =
        RunOptions::new().ping_interval(10 * SECOND).ping_timeout(5 * SECOND).silence_timeout(20 * SECOND);
    let mut opened = Opened::new(&options);
    // One ping waits for its answer when the pause begins.
    opened.world.run_until(12 * SECOND);
    opened.world.in_app(|app| app.probe(SECOND)).unwrap();
    opened.world.settle();
    opened.world.in_app(|app| app.pause_reading());
    opened.world.run_until(100 * SECOND);
    assert!(opened.log.take().is_empty());
    let frames = std::iter::from_fn(|| opened.peer.read_frame());
    assert_eq!(frames.filter(|frame| frame.opcode == frame::PING).count(), 11);
    // A probe has no deadline either.
    opened.world.in_app(|app| app.probe(SECOND)).unwrap();
    opened.world.run_until(105 * SECOND);
    opened.resume();
    // From now on all of them count again.
    opened.world.run_until(115 * SECOND - MS);
    assert!(opened.log.take().is_empty());
    opened.world.run_until(115 * SECOND);
    assert_eq!(opened.log.take(), ["error Timeout(Pong)", "close: Timeout(Pong)"]);
}

#[test]
fn silence_begins_again_when_it_ends() {
    let mut opened = Opened::paused(&RunOptions::new().silence_timeout(5 * SECOND));
    opened.world.run_until(60 * SECOND);
    opened.resume();
    opened.world.run_until(65 * SECOND - MS);
    assert!(opened.log.take().is_empty());
    opened.world.run_until(65 * SECOND);
    assert_eq!(opened.log.take(), ["error Timeout(Silence)", "close: Timeout(Silence)"]);
}

#[test]
fn the_reactor_sleeps_meanwhile() {
    let mut opened = Opened::paused(&RunOptions::new().ping_interval(10 * SECOND).ping_timeout(SECOND));
    opened.say(&["more"; 10]);
    let before = opened.world.net.elapsed();
    let mut turns = 0;
    while opened.world.net.elapsed() < before + 100 * SECOND {
        opened.world.reactor.poll(Some(100 * SECOND)).unwrap();
        turns += 1;
    }
    assert!(turns < 50, "{turns} turns in ten intervals");
}

#[test]
fn a_close_resumes_reading_and_finds_the_answer() {
    let mut opened = Opened::paused(&RunOptions::new());
    opened.say(&["waits"]);
    opened.world.in_app(|app| app.close());
    opened.peer.write(&frame::close(1000, "bye"));
    opened.peer.shutdown();
    opened.world.settle();
    assert_eq!(opened.log.take(), ["text waits", "close 1000 bye, by client, clean"]);
}

#[test]
fn what_the_server_does_meanwhile_is_found_afterwards() {
    for end in [0, 1, 2] {
        let mut opened = Opened::paused(&RunOptions::new());
        opened.say(&["last"]);
        match end {
            0 => opened.peer.write(&frame::close(1001, "")),
            1 => opened.peer.shutdown(),
            _ => opened.peer.write(&frame::encode(true, 0, 3, b"")),
        }
        opened.world.run_for(60 * SECOND);
        assert!(opened.log.take().is_empty());
        opened.resume();
        opened.peer.shutdown();
        opened.world.settle();
        let log = opened.log.take();
        assert_eq!(log[0], "text last");
        let expected =
            ["close 1001, by server, clean", "close: EndOfStream", "close: Protocol(UnknownOpcode(3))"];
        assert_eq!(log.last().unwrap(), expected[end]);
    }
}

#[test]
fn a_stream_that_breaks_while_it_is_written_to_ends_the_pause() {
    let mut opened = Opened::paused(&RunOptions::new());
    opened.say(&["behind"]);
    opened.peer.reset();
    opened.world.in_app(|app| app.send_text("hello")).unwrap();
    opened.world.settle();
    assert_eq!(opened.log.take().last().unwrap(), "close: Io(ConnectionReset)");
}

#[test]
fn sending_continues_and_a_full_output_is_still_written() {
    let mut faults = Faults::default();
    faults.send_buffer = 1000;
    let mut opened = Opened::on(SimNet::new(1).with_faults(faults), &RunOptions::new());
    opened.say(&["pause", "behind"]);
    opened.log.take();
    opened.world.in_app(|app| app.send_bytes([0; 50_000])).unwrap();
    let mut taken = 0;
    for _ in 0..100 {
        opened.world.run_for(MS);
        taken += opened.peer.read_available().len();
    }
    assert_eq!(taken, 50_000 + 8);
    assert_eq!(opened.log.take(), ["drain"]);
    opened.resume();
    assert_eq!(opened.log.take(), ["text behind"]);
}

#[test]
fn the_next_connection_is_read_from() {
    let mut opened = Opened::paused(&RunOptions::new().reconnect(SECOND));
    opened.world.in_app(|app| app.reconnect("enough"));
    opened.world.run_for(SECOND);
    let peer = opened.world.accept(&opened.listener);
    opened.log.take();
    peer.write(&frame::text("hello"));
    opened.world.settle();
    assert_eq!(opened.log.take(), ["text hello"]);
}

#[test]
fn without_an_open_connection_it_has_no_effect() {
    let (mut world, log) = (World::new(), Log::new());
    let listener = world.start(log.app(URL), &RunOptions::new());
    let id = world.reactor.apps().ids()[0];
    world.reactor.apps().with(id, |app| app.pause_reading()).unwrap();
    let peer = world.accept(&listener);
    peer.write(&frame::text("hello"));
    world.settle();
    world.reactor.apps().with(id, |app| app.close()).unwrap();
    world.reactor.apps().with(id, |app| app.pause_reading()).unwrap();
    peer.write(&[frame::text("still heard"), frame::close(1000, "")].concat());
    peer.shutdown();
    world.settle();
    assert_eq!(log.take(), ["open", "text hello", "text still heard", "close 1000, by client, clean"]);
}
