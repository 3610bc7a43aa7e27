//! Large messages are written while they are masked: nothing of that shows but the memory which it spares.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use websocket_app::{Context, Kind, Message, OwnedMessage, RunOptions, SendLimit, WebSocketApp};
use websocket_testkit::frame::{self, Frame};
use websocket_testkit::sim::{Faults, SimNet, SimPeer};
use websocket_tests::{Log, SECURE_URL, SecureWorld, URL, World};

const SECOND: Duration = Duration::from_secs(1);
const LEN: usize = 300_000;
/// Header and mask of a frame of more than 65 535 bytes, which the bound on the queue reckons with.
const HEADER: usize = 14;
/// A piece.
const PIECE: usize = 32 << 10;

/// A world whose system takes so many bytes for a peer that does not read.
fn narrow(send_buffer: usize) -> World {
    let mut faults = Faults::default();
    faults.send_buffer = send_buffer;
    World::on(SimNet::new(1).with_faults(faults))
}

fn payload(first: u8) -> Vec<u8> {
    (0..LEN).map(|index| (index % 251) as u8 ^ first).collect()
}

/// Reads until nothing more comes.
fn read_all(world: &mut World, peer: &SimPeer) -> Vec<Frame> {
    let mut frames = Vec::new();
    for _ in 0..20 {
        frames.extend(std::iter::from_fn(|| peer.read_frame()));
        world.settle();
    }
    frames
}

fn peak(app: &mut Context<'_>) -> usize {
    app.stats().peak_queued_bytes
}

#[test]
fn b062_what_the_system_takes_is_written_at_once_and_needs_little_memory() {
    let mut world = narrow(1 << 20);
    let log = Log::new();
    let drains = log.clone();
    let peer = world.open(log.app(URL).on_drain(move |_| drains.push("drain")), &RunOptions::new());
    world.in_app(|app| {
        app.send_bytes(payload(1)).unwrap();
        assert_eq!(app.queued_bytes(), 0);
        app.send_text("small").unwrap();
        app.send_fragment(Some(Kind::Binary), &payload(2), false).unwrap();
        app.send_fragment(None, b"end", true).unwrap();
        assert_eq!(app.queued_bytes(), 3 + 6);
        assert!(peak(app) <= PIECE + HEADER + 5 + 6, "{}", peak(app));
        assert_eq!(app.stats().sent.messages, 3);
    });
    let frames = read_all(&mut world, &peer);
    let seen: Vec<_> = frames.iter().map(|frame| (frame.opcode, frame.fin, frame.payload.len())).collect();
    let all = [
        (frame::BINARY, true, LEN),
        (frame::TEXT, true, 5),
        (frame::BINARY, false, LEN),
        (frame::CONTINUATION, true, 3),
    ];
    assert_eq!(seen, all);
    assert!(frames[0].payload == payload(1) && frames[2].payload == payload(2));
    assert_eq!(log.take(), ["open"]);
}

#[test]
fn b063_what_the_system_refuses_waits_and_drains() {
    let mut world = narrow(100_000);
    let log = Log::new();
    let drains = log.clone();
    let peer = world.open(log.app(URL).on_drain(move |_| drains.push("drain")), &RunOptions::new());
    world.in_app(|app| {
        app.send_bytes(payload(1)).unwrap();
        let left = LEN + HEADER - 100_000;
        assert_eq!(app.queued_bytes(), left);
        app.send_bytes(payload(2)).unwrap();
        assert_eq!(app.queued_bytes(), left + LEN + HEADER, "the system is not asked again");
    });
    let frames = read_all(&mut world, &peer);
    assert_eq!(frames.len(), 2);
    assert!(frames[0].payload == payload(1) && frames[1].payload == payload(2));
    assert_eq!(log.take(), ["open", "drain"]);
}

#[test]
fn b062_partial_writes_and_writes_that_would_block_at_any_place_leave_frames_whole() {
    for seed in 0..20 {
        let mut faults = Faults::default();
        (faults.short, faults.would_block, faults.send_buffer) = (60, 20, 90_000);
        let mut world = World::on(SimNet::new(seed).with_faults(faults));
        let mut app = Log::new().app(URL);
        let sender = app.sender();
        let peer = world.open(app, &RunOptions::new());
        world.in_app(|app| {
            app.send_text("first").unwrap();
            app.send_bytes(payload(1)).unwrap();
            app.ping(b"ping").unwrap();
        });
        sender.send_bytes(payload(2)).unwrap();
        sender.send_text("last").unwrap();
        let mut frames = Vec::new();
        while frames.len() < 5 {
            frames.append(&mut read_all(&mut world, &peer));
        }
        let opcodes: Vec<_> = frames.iter().map(|frame| frame.opcode).collect();
        assert_eq!(opcodes, [frame::TEXT, frame::BINARY, frame::PING, frame::BINARY, frame::TEXT], "{seed}");
        assert!(frames[1].payload == payload(1) && frames[3].payload == payload(2), "{seed}");
    }
}

#[test]
fn b067_a_stream_that_breaks_meanwhile_is_reported_once_after_the_callback() {
    let mut world = narrow(1 << 20);
    let log = Log::new();
    let peer = world.open(log.app(URL), &RunOptions::new());
    peer.reset();
    world.in_app(|app| {
        app.send_bytes(payload(1)).unwrap();
        assert_eq!(app.queued_bytes(), LEN + HEADER);
        assert!(app.is_open());
    });
    world.settle();
    let lines = log.take();
    assert_eq!(lines.iter().filter(|line| line.starts_with("error")).count(), 1, "{lines:?}");
    assert!(lines.last().unwrap().starts_with("close"), "{lines:?}");
}

#[test]
fn b129_of_senders_what_was_not_written_to_its_end_is_handed_back() {
    let mut world = narrow(2 * LEN + 100_000);
    let log = Log::new();
    let close = log.clone();
    let mut app = WebSocketApp::new(URL).on_error(|_, _| {}).on_close(move |_, closed| {
        let first = |message: &OwnedMessage| format!("{}", message.as_bytes()[0]);
        close.push(closed.unsent.iter().map(first).collect::<Vec<_>>().join(", "));
    });
    let sender = app.sender();
    let peer = world.open(app, &RunOptions::new());
    for first in 1..=4 {
        sender.send_bytes(payload(first)).unwrap();
    }
    world.settle();
    assert_eq!(sender.queued_bytes(), 2 * (LEN + HEADER) - 100_000 + 2 * HEADER);
    peer.reset();
    world.settle();
    assert_eq!(log.take(), ["3, 4"]);
}

#[test]
fn limits_on_sending_hold_for_large_messages() {
    let mut world = narrow(1 << 20);
    let options = RunOptions::new().send_limit(SendLimit::messages(1, SECOND));
    let peer = world.open(Log::new().app(URL), &options);
    world.in_app(|app| {
        app.send_bytes(payload(1)).unwrap();
        app.send_bytes(payload(2)).unwrap();
    });
    assert_eq!(read_all(&mut world, &peer).len(), 1);
    world.run_for(SECOND);
    assert!(read_all(&mut world, &peer)[0].payload == payload(2));
}

#[test]
fn a_tap_is_shown_a_large_message_once() {
    use std::sync::{Arc, Mutex};

    let shown = Arc::new(Mutex::new(Vec::new()));
    let tap = shown.clone();
    let options = RunOptions::new().wire_tap(move |_, event| tap.lock().unwrap().push(event.to_string()));
    let mut world = narrow(100_000);
    let peer = world.open(Log::new().app(URL), &options);
    shown.lock().unwrap().clear();
    world.in_app(|app| app.send_bytes(payload(1)).unwrap());
    assert_eq!(read_all(&mut world, &peer).len(), 1);
    let shown = shown.lock().unwrap();
    assert!(shown.len() == 1 && shown[0].contains("300000 bytes"), "{shown:?}");
}

#[test]
fn b062_over_tls_large_messages_arrive_whole() {
    let mut world = SecureWorld::new();
    let mut app = WebSocketApp::new(SECURE_URL).on_message(|app, message| match message {
        Message::Text(_) => app.send_bytes(payload(1)),
        _ => Ok(()),
    });
    let sender = app.sender();
    let mut peer = world.open(app);
    peer.write(&frame::text("question"));
    sender.send_bytes(payload(2)).unwrap();
    let mut frames = Vec::new();
    while frames.len() < 2 {
        world.world.settle();
        peer.receive().unwrap();
        frames.extend(std::iter::from_fn(|| peer.read_frame()));
    }
    let mut firsts: Vec<_> = frames.iter().map(|frame| frame.payload[0]).collect();
    firsts.sort_unstable();
    assert_eq!(firsts, [1, 2]);
    assert!(frames.iter().all(|frame| frame.payload == payload(frame.payload[0])));
}
