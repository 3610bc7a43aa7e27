//! What becomes of messages that a sender was promised and that are not written when their connection ends, in virtual time.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use websocket_app::{Closed, OwnedMessage, RunOptions, SendError, Sender, Unsent, WebSocketApp};
use websocket_testkit::sim::{Faults, SimListener, SimNet, SimPeer};
use websocket_tests::{Log, SERVER, URL, World};

const SECOND: Duration = Duration::from_secs(1);

fn options(unsent: Unsent) -> RunOptions {
    RunOptions::new().reconnect(SECOND).unsent(unsent)
}

/// A world where a stream takes a thousand bytes.
fn narrow() -> World {
    let mut faults = Faults::default();
    faults.send_buffer = 1000;
    World::on(SimNet::new(1).with_faults(faults))
}

fn lines<'a>(messages: impl IntoIterator<Item = &'a OwnedMessage>) -> Vec<String> {
    let text = |message: &OwnedMessage| {
        let text = String::from_utf8_lossy(message.as_bytes()).into_owned();
        if text.len() > 100 { format!("{} bytes", text.len()) } else { text }
    };
    messages.into_iter().map(text).collect()
}

fn frames(peer: &SimPeer) -> Vec<String> {
    std::iter::from_fn(|| peer.read_frame())
        .map(|frame| {
            assert_eq!(frame.fault(), None);
            if frame.payload.len() > 100 { format!("{} bytes", frame.payload.len()) } else { frame.text() }
        })
        .collect()
}

/// Reads until nothing more comes.
fn read_all(world: &mut World, peer: &SimPeer) -> Vec<String> {
    let mut all = Vec::new();
    for _ in 0..20 {
        all.extend(frames(peer));
        world.settle();
    }
    all
}

fn close_line(closed: &Closed<'_>) -> String {
    format!("close, retry in {:?}: {}", closed.retry_in, lines(closed.unsent).join(", "))
}

/// An app that greets its server, has sent `written`, and lost its connection with `big` half on the wire and three more behind it.
fn lost(unsent: Unsent) -> (World, SimListener, Sender, Log) {
    let mut world = narrow();
    let log = Log::new();
    let close = log.clone();
    let mut app = WebSocketApp::new(URL)
        .on_open(|app, _| app.send_text("hello"))
        .on_error(|_, _| {})
        .on_close(move |_, closed| close.push(close_line(closed)));
    let sender = app.sender();
    let listener = world.start(app, &options(unsent));
    let peer = world.accept(&listener);
    sender.send_text("written").unwrap();
    world.settle();
    assert_eq!(frames(&peer), ["hello", "written"]);
    sender.send_bytes(vec![b'x'; 3000]).unwrap();
    sender.send_text("behind it").unwrap();
    world.settle();
    sender.ping("a ping").unwrap();
    // The loop has not heard of this one.
    peer.reset();
    sender.send_text("last").unwrap();
    world.settle();
    (world, listener, sender, log)
}

#[test]
fn b129_unsent_messages_are_handed_back_by_default_and_not_sent_again() {
    assert_eq!(Unsent::default(), Unsent::HandBack);
    let (mut world, listener, sender, log) = lost(Unsent::HandBack);
    assert_eq!(log.lines(), ["close, retry in Some(1s): 3000 bytes, behind it, a ping, last"]);
    assert_eq!(sender.queued_bytes(), 0);
    world.run_for(SECOND);
    let peer = world.accept(&listener);
    assert_eq!(read_all(&mut world, &peer), ["hello"]);
}

#[test]
fn b129_kept_messages_are_told_and_sent_in_their_order_behind_what_on_open_sends() {
    let (mut world, listener, sender, log) = lost(Unsent::Keep);
    assert_eq!(log.lines(), ["close, retry in Some(1s): 3000 bytes, behind it, a ping, last"]);
    assert!(sender.queued_bytes() >= 3000);
    world.run_for(SECOND);
    let peer = world.accept(&listener);
    sender.send_text("new").unwrap();
    let expected = ["hello", "3000 bytes", "behind it", "a ping", "last", "new"];
    assert_eq!(read_all(&mut world, &peer), expected);
    assert_eq!(sender.queued_bytes(), 0);
}

#[test]
fn b129_dropped_messages_are_neither_told_nor_sent() {
    let (mut world, listener, sender, log) = lost(Unsent::Drop);
    assert_eq!(log.lines(), ["close, retry in Some(1s): "]);
    assert_eq!(sender.queued_bytes(), 0);
    world.run_for(SECOND);
    let peer = world.accept(&listener);
    sender.send_text("new").unwrap();
    assert_eq!(read_all(&mut world, &peer), ["hello", "new"]);
}

#[test]
fn b129_kept_messages_outlast_attempts_that_fail_and_are_told_each_time() {
    let (mut world, _, sender, log) = lost(Unsent::Keep);
    world.net.refuse(SERVER);
    let queued = sender.queued_bytes();
    world.run_for(3 * SECOND);
    let line = "close, retry in Some(1s): 3000 bytes, behind it, a ping, last";
    assert_eq!(log.take(), [line; 4]);
    assert_eq!(sender.queued_bytes(), queued, "counted once");

    let listener = world.net.listen(SERVER);
    world.run_for(SECOND);
    let peer = world.accept(&listener);
    assert_eq!(read_all(&mut world, &peer), ["hello", "3000 bytes", "behind it", "a ping", "last"]);
    assert_eq!(sender.queued_bytes(), 0);
    // Once written they are done with.
    peer.reset();
    world.settle();
    assert_eq!(log.take(), ["close, retry in Some(1s): "]);
}

#[test]
fn b129_what_is_kept_counts_towards_the_bound() {
    let mut world = narrow();
    let mut app = WebSocketApp::new(URL);
    let sender = app.sender();
    let listener = world.start(app, &options(Unsent::Keep).max_queued_bytes(5000));
    let peer = world.accept(&listener);
    sender.send_bytes(vec![0; 4000]).unwrap();
    world.settle();
    peer.reset();
    world.run_for(SECOND);
    let peer = listener.accept().unwrap();
    assert!(peer.accept_upgrade().is_some());
    // Open, and the loop has not encoded the kept one yet.
    world.settle();
    let refused = sender.send_bytes(vec![0; 4000]).unwrap_err();
    assert!(matches!(refused.reason, SendError::QueueFull { .. }), "{refused:?}");
    assert_eq!(read_all(&mut world, &peer), ["4000 bytes"]);
    sender.send_bytes(vec![0; 4000]).unwrap();
    assert_eq!(read_all(&mut world, &peer), ["4000 bytes"]);
}

#[test]
fn b129_the_last_on_close_hands_back_what_can_be_kept_no_longer() {
    for (unsent, told) in [(Unsent::HandBack, "one, two"), (Unsent::Keep, "one, two"), (Unsent::Drop, "")] {
        let mut world = narrow();
        let log = Log::new();
        let close = log.clone();
        let mut app = WebSocketApp::new(URL)
            .on_error(|app, _| app.close())
            .on_close(move |_, closed| close.push(close_line(closed)));
        let sender = app.sender();
        let listener = world.start(app, &options(unsent));
        let peer = world.accept(&listener);
        sender.send_text("one").unwrap();
        sender.send_text("two").unwrap();
        peer.reset();
        world.settle();
        assert_eq!(log.lines(), [format!("close, retry in None: {told}")], "{unsent:?}");
        assert!(sender.send_text("three").is_err());
        assert_eq!(sender.queued_bytes(), 0);
    }
}

#[test]
fn b129_orders_between_unsent_messages_are_done_while_the_app_waits_and_the_messages_stay_in_order() {
    let mut world = World::new();
    let log = Log::new();
    let (error, close) = (log.clone(), log.clone());
    let mut app = WebSocketApp::new(URL);
    let sender = app.sender();
    let late = sender.clone();
    let app = app
        .on_error(move |_, it| {
            error.push(it.to_string());
            // Another thread may do so at this very moment: it cannot know yet.
            if late.is_open() {
                late.send_text("one").unwrap();
                late.run(|app| Err(format!("{:?}", app.state())));
                late.send_text("two").unwrap();
            }
        })
        .on_close(move |_, closed| close.push(close_line(closed)));
    let listener = world.start(app, &options(Unsent::Keep));
    world.accept(&listener).reset();
    world.settle();
    let told = log.lines();
    assert_eq!(told[1..], ["close, retry in Some(1s): one, two", "a callback returned an error: Closed"]);
    world.run_for(SECOND);
    let peer = world.accept(&listener);
    assert_eq!(read_all(&mut world, &peer), ["one", "two"]);
    assert_eq!(sender.queued_bytes(), 0);
}

/// Runs until the next connection is open, and returns its server's end.
fn reconnected(world: &mut World, listener: &SimListener, sender: &Sender) -> SimPeer {
    world.run_for(SECOND);
    let peer = listener.accept().unwrap();
    for _ in 0..100 {
        peer.accept_upgrade();
        world.settle();
        if sender.is_open() {
            return peer;
        }
    }
    panic!("it does not open")
}

#[test]
fn b129_over_many_losses_every_message_arrives_once_and_in_order() {
    const ROUNDS: usize = 30;
    for seed in 0..20 {
        let mut faults = Faults::default();
        faults.send_buffer = 300;
        faults.short = 40;
        faults.would_block = 20;
        let mut world = World::on(SimNet::new(seed).with_faults(faults));
        let mut app = WebSocketApp::new(URL).on_error(|_, _| {});
        let sender = app.sender();
        let listener = world.start(app, &options(Unsent::Keep));
        let (mut sent, mut received, mut last) = (0, Vec::new(), None);
        for round in 0..ROUNDS {
            let peer = reconnected(&mut world, &listener, &sender);
            // On the wire, in the output or still on its way to the loop: all of it is promised.
            for _ in 0..20 {
                sender.send_text(format!("{sent} {}", "x".repeat(sent % 90))).unwrap();
                sent += 1;
                if sent % 7 == round % 7 {
                    world.settle();
                }
                if sent % 3 == 0 {
                    received.extend(frames(&peer));
                }
            }
            if round + 1 < ROUNDS {
                // What was written whole has arrived.
                received.extend(frames(&peer));
                peer.reset();
                world.settle();
            }
            last = Some(peer);
        }
        received.extend(read_all(&mut world, &last.unwrap()));
        let number = |line: &String| line.split(' ').next().unwrap().parse().unwrap();
        assert_eq!(
            received.iter().map(number).collect::<Vec<usize>>(),
            (0..sent).collect::<Vec<_>>(),
            "{seed}"
        );
    }
}
