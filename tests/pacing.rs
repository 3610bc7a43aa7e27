//! Limits on what an app sends per interval: what exceeds them waits, in order, and leaves exactly when it may. In virtual time.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::RefCell;
use std::collections::HashMap;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll, Waker};
use std::thread;
use std::time::Duration;

use websocket_app::{
    Closed, Error, FeedError, Kind, Opcode, OwnedMessage, RunOptions, SendError, SendLimit, Sender, Unsent,
    WebSocketApp,
};
use websocket_testkit::frame::{self, Decoder, Frame};
use websocket_testkit::sim::{Faults, SimListener, SimNet, SimPeer, Tapped};
use websocket_tests::{Log, SECURE_URL, SERVER, SecureWorld, URL, World, run_forever};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// Two messages per second.
fn two() -> RunOptions {
    RunOptions::new().send_limit(SendLimit::messages(2, SECOND))
}

/// Frames that apps have written, each with the milliseconds at which its last byte was.
#[derive(Clone, Default)]
struct Wire(Rc<RefCell<Vec<(u128, Frame)>>>);

impl Wire {
    fn of(net: &SimNet) -> Self {
        let wire = Self::default();
        let (frames, clock) = (wire.0.clone(), net.clone());
        let mut connections: HashMap<usize, (bool, Decoder)> = HashMap::new();
        net.tap(move |index, what| {
            let Tapped::Written(bytes) = what else { return };
            let (is_open, decoder) = connections.entry(index).or_default();
            decoder.feed(bytes);
            if let (false, Some(end)) =
                (*is_open, decoder.rest().windows(4).position(|four| four == b"\r\n\r\n"))
            {
                decoder.consume(end + 4);
                *is_open = true;
            }
            while let (true, Some(frame)) = (*is_open, decoder.next_frame()) {
                frames.borrow_mut().push((clock.elapsed().as_millis(), frame));
            }
        });
        wire
    }

    /// What was written since the last call.
    fn take(&self) -> Vec<String> {
        let line = |(at, frame): (u128, Frame)| match frame.opcode {
            frame::PING => format!("{at} ping {}", frame.text()),
            frame::PONG => format!("{at} pong {}", frame.text()),
            frame::CLOSE => format!("{at} close"),
            _ if frame.payload.len() > 9 => format!("{at} {} bytes", frame.payload.len()),
            _ => format!("{at} {}", frame.text()),
        };
        self.0.take().into_iter().map(line).collect()
    }
}

/// An app whose connection is open, and what it has written.
struct Opened {
    world: World,
    listener: SimListener,
    peer: SimPeer,
    sender: Sender,
    wire: Wire,
    log: Log,
}

impl Opened {
    fn new(options: &RunOptions) -> Self {
        Self::on(SimNet::new(1), options, |app| app)
    }

    fn on(net: SimNet, options: &RunOptions, set: impl FnOnce(WebSocketApp) -> WebSocketApp) -> Self {
        let mut world = World::on(net);
        let (wire, log) = (Wire::of(&world.net), Log::new());
        let close = log.clone();
        let mut app = set(log.app(URL).on_close(move |_, closed| close.push(close_line(closed))));
        let sender = app.sender();
        let listener = world.start(app, options);
        let peer = world.accept(&listener);
        log.take();
        Self { world, listener, peer, sender, wire, log }
    }

    /// Sends these texts from a callback.
    fn send(&mut self, texts: &[&str]) {
        self.world.in_app(|app| texts.iter().for_each(|text| app.send_text(text).unwrap()));
        self.world.settle();
    }

    /// Runs until so many milliseconds after the beginning, and returns what was written.
    fn until(&mut self, millis: u32) -> Vec<String> {
        self.world.run_until(millis * MS);
        self.wire.take()
    }

    fn queued_bytes(&mut self) -> usize {
        self.world.in_app(|app| app.queued_bytes())
    }

    /// Loses the connection, and accepts the next one, which comes after a delay.
    fn reopen(&mut self, delay: Duration) {
        self.peer.reset();
        self.world.run_for(delay);
        self.peer = self.world.accept(&self.listener);
    }
}

fn close_line(closed: &Closed<'_>) -> String {
    let unsent: Vec<_> = closed.unsent.iter().map(|it| String::from_utf8_lossy(it.as_bytes())).collect();
    format!("close, unsent: {}", unsent.join(", "))
}

/// As many bytes as the output reckons with for a message of so many.
const fn frame_len(payload: usize) -> usize {
    payload + 14
}

#[test]
fn what_exceeds_a_limit_on_messages_waits_in_order_and_leaves_exactly_an_interval_later() {
    let mut app = Opened::new(&two());
    app.send(&["a", "b", "c", "d", "e"]);
    assert_eq!(app.until(0), ["0 a", "0 b"]);
    assert_eq!(app.until(999), [""; 0]);
    assert_eq!(app.until(1000), ["1000 c", "1000 d"]);
    assert_eq!(app.until(5000), ["2000 e"]);
    // Of any interval, wherever it begins.
    app.send(&["f"]);
    app.until(5700);
    app.send(&["g", "h", "i"]);
    assert_eq!(app.until(9000), ["5700 g", "6000 h", "6700 i"]);
}

#[test]
fn a_limit_on_bytes_counts_payload_and_lets_no_smaller_message_past_a_larger_one() {
    let options = RunOptions::new().send_limit(SendLimit::bytes(8, SECOND));
    let mut app = Opened::new(&options);
    app.send(&["aaaa", "bbb", "", "cc", "d"]);
    assert_eq!(app.until(0), ["0 aaaa", "0 bbb", "0 "]);
    assert_eq!(app.until(3000), ["1000 cc", "1000 d"]);
    app.send(&["eeeeeeee", "ffffffff"]);
    assert_eq!(app.until(9000), ["3000 eeeeeeee", "4000 ffffffff"]);
}

#[test]
fn all_of_several_limits_hold() {
    let mut app = Opened::new(&two().send_limit(SendLimit::messages(3, 10 * SECOND)));
    app.send(&["a", "b", "c", "d", "e", "f"]);
    assert_eq!(app.until(99_999), ["0 a", "0 b", "1000 c", "10000 d", "10000 e", "11000 f"]);
    let mut app = Opened::new(&two().send_limit(SendLimit::bytes(5, 3 * SECOND)));
    app.send(&["aaaa", "bb", "c", "d"]);
    assert_eq!(app.until(99_999), ["0 aaaa", "3000 bb", "3000 c", "4000 d"]);
}

#[test]
fn a_limit_of_nothing_and_an_interval_of_none_are_refused_before_any_io() {
    for (limit, wrong) in [
        (SendLimit::messages(0, SECOND), FeedError::SendLimitZero),
        (SendLimit::bytes(0, SECOND), FeedError::SendLimitZero),
        (SendLimit::messages(1, Duration::ZERO), FeedError::SendIntervalZero),
        (SendLimit::bytes(1, Duration::ZERO), FeedError::SendIntervalZero),
    ] {
        let refused = run_forever(&mut WebSocketApp::new(URL), &two().send_limit(limit)).unwrap_err();
        assert!(matches!(&refused, Error::Feed(error) if *error == wrong), "{refused}");
        assert!(refused.to_string().contains("send_limit must"), "{refused}");
    }
}

#[test]
fn a_message_that_no_interval_has_room_for_is_refused_at_once_and_nothing_is_lost() {
    let options = RunOptions::new().send_limit(SendLimit::bytes(20, SECOND)).heartbeat(HOUR, vec![0; 21]);
    let limit = options.send_limit(SendLimit::bytes(8, SECOND));
    let mut app = Opened::new(&limit);
    let exceeds = |len| SendError::ExceedsSendLimit { len, limit: 8 };
    app.world.in_app(|app| {
        assert_eq!(app.send_text("123456789"), Err(exceeds(9)));
        assert_eq!(app.send_bytes([0; 10]), Err(exceeds(10)));
        assert_eq!(app.send([0; 11], Opcode::Binary), Err(exceeds(11)));
        assert_eq!(app.queued_bytes(), 0);
        app.send_text("12345678").unwrap();
    });
    let refused = app.sender.send_text("123456789").unwrap_err();
    assert_eq!((refused.reason, refused.message), (exceeds(9), OwnedMessage::from("123456789")));
    let mut context = TaskContext::from_waker(Waker::noop());
    assert_eq!(pin!(app.sender.ready(9)).poll(&mut context), Poll::Ready(Err(exceeds(9))));
    assert_eq!(pin!(app.sender.ready(8)).poll(&mut context), Poll::Ready(Ok(())));
    // A ping may be longer.
    app.sender.ping(vec![b'p'; 9]).unwrap();
    app.sender.send_text("later").unwrap();
    assert_eq!(app.until(5000), ["0 12345678", "0 ping ppppppppp", "1000 later"]);
    assert_eq!(app.log.take(), ["drain"]);
    app.world.run_until(HOUR);
    assert_eq!(app.log.take(), [format!("error Callback({})", exceeds(21))]);
    assert!(
        exceeds(9).to_string().contains("a message of 9 bytes exceeds the limit of 8 bytes per interval")
    );
}

#[test]
fn control_frames_neither_count_nor_wait() {
    let mut app = Opened::new(&two().ping_interval(400 * MS).ping_payload("k"));
    app.send(&["a", "b", "c", "d"]);
    app.sender.send_text("e").unwrap();
    app.sender.ping("s").unwrap();
    app.peer.write(&frame::ping(b"q"));
    app.world.in_app(|app| app.ping(b"x").unwrap());
    app.world.settle();
    let mut written = app.until(0);
    written[2..].sort();
    assert_eq!(written, ["0 a", "0 b", "0 ping s", "0 ping x", "0 pong q"]);
    let expected = ["400 ping k", "800 ping k", "1000 c", "1000 d", "1200 ping k", "1600 ping k", "2000 e"];
    let written = app.until(2100);
    assert_eq!(written[..6], expected[..6]);
    assert!(written[6..].contains(&"2000 e".to_owned()), "{written:?}");
}

#[test]
fn a_close_does_not_wait_and_what_callbacks_and_senders_have_waiting_is_handed_back() {
    for by_sender in [false, true] {
        let mut app = Opened::new(&two());
        app.send(&["a", "b", "c"]);
        app.sender.send_text("d").unwrap();
        app.world.settle();
        app.send(&["e"]);
        app.world.run_until(300 * MS);
        match by_sender {
            true => app.sender.close(),
            false => app.world.in_app(|app| app.close()),
        }
        app.world.settle();
        assert_eq!(app.until(300), ["0 a", "0 b", "300 close"]);
        // Also when the closing handshake takes longer than they had to wait.
        assert_eq!(app.until(1500), [""; 0]);
        app.peer.write(&frame::close(1000, ""));
        app.peer.shutdown();
        app.world.settle();
        assert_eq!(app.log.take(), ["close, unsent: c, d, e"]);
        assert_eq!(app.sender.queued_bytes(), 0);
    }
}

#[test]
fn what_waits_is_a_part_of_the_queue_in_numbers_limits_and_on_drain() {
    let mut app = Opened::new(&two().max_queued_bytes(100));
    app.send(&["a", "b", "c"]);
    assert_eq!(app.queued_bytes(), frame_len(1));
    assert_eq!(app.sender.queued_bytes(), frame_len(1));
    let (queued, len) = (frame_len(1), frame_len(80));
    let full = SendError::QueueFull { queued, len, limit: 100 };
    app.world.in_app(|app| {
        assert_eq!(app.send_bytes([0; 80]), Err(full.clone()));
        assert_eq!(app.send_bytes([0; 87]), Err(SendError::TooBig { len: frame_len(87), limit: 100 }));
        app.send_bytes([0; 70]).unwrap();
        let stats = app.stats();
        assert_eq!(stats.queued_bytes, frame_len(1) + frame_len(70));
        assert_eq!((stats.peak_queued_bytes, stats.sent.messages), (stats.queued_bytes, 2));
    });
    app.world.settle();
    assert_eq!(
        app.sender.send_bytes(vec![0; 80]).unwrap_err().reason,
        SendError::QueueFull { queued: frame_len(1) + frame_len(70), len, limit: 100 }
    );
    let _asked = app.sender.stats();
    assert_eq!(app.log.take(), [""; 0], "nothing has drained yet");
    app.world.run_until(999 * MS);
    assert_eq!(app.sender.stats().unwrap().queued_bytes, frame_len(1) + frame_len(70));
    assert_eq!(app.log.take(), [""; 0]);
    app.world.run_until(SECOND);
    assert_eq!(app.log.take(), ["drain"]);
    assert_eq!((app.queued_bytes(), app.sender.queued_bytes()), (0, 0));
    assert_eq!(app.until(9000), ["0 a", "0 b", "1000 c", "1000 70 bytes"]);
    assert_eq!(app.log.take(), [""; 0]);
}

#[test]
fn senders_wait_for_room_behind_what_waits() {
    let mut app = Opened::new(&two().max_queued_bytes(100));
    app.send(&["a", "b"]);
    app.world.in_app(|app| app.send_bytes([0; 50]).unwrap());
    app.world.settle();
    let mut context = TaskContext::from_waker(Waker::noop());
    let mut ready = pin!(app.sender.ready(50));
    assert_eq!(ready.as_mut().poll(&mut context), Poll::Pending);
    app.world.run_until(999 * MS);
    assert_eq!(ready.as_mut().poll(&mut context), Poll::Pending);
    app.world.run_until(SECOND);
    assert_eq!(ready.as_mut().poll(&mut context), Poll::Ready(Ok(())));
}

#[test]
fn windows_continue_over_a_reconnect() {
    let mut app = Opened::new(&two().reconnect(300 * MS));
    app.send(&["a", "b", "c"]);
    app.reopen(300 * MS);
    assert_eq!(app.log.take()[1..], ["close, unsent: c", "open", "reconnect"]);
    app.send(&["d"]);
    assert_eq!(app.until(5000), ["0 a", "0 b", "1000 d"]);
}

#[test]
fn what_a_sender_has_sent_can_be_kept_and_is_sent_behind_what_on_open_sends() {
    let options = two().reconnect(300 * MS).unsent(Unsent::Keep);
    let mut app = Opened::on(SimNet::new(1), &options, |app| app.on_open(|app, _| app.send_text("login")));
    app.send(&["a", "b"]);
    app.sender.send_text("c").unwrap();
    app.world.settle();
    app.reopen(300 * MS);
    assert_eq!(app.log.take()[1..], ["close, unsent: b, c", "reconnect"]);
    assert_eq!(app.until(5000), ["0 login", "0 a", "1000 login", "1000 c"]);
    assert_eq!(app.sender.queued_bytes(), 0);
}

#[test]
fn what_a_lost_connection_has_not_begun_to_write_does_not_count() {
    let mut faults = Faults::default();
    faults.send_buffer = 1000;
    let options = RunOptions::new().send_limit(SendLimit::messages(3, SECOND)).reconnect(300 * MS);
    let mut app = Opened::on(SimNet::new(1).with_faults(faults), &options, |app| app);
    // The first is written, the second in part, the third is not begun.
    app.world.in_app(|app| {
        app.send_text("a").unwrap();
        app.send_bytes([0; 2000]).unwrap();
        app.send_text("lost").unwrap();
    });
    app.world.settle();
    app.reopen(300 * MS);
    app.send(&["b", "c", "d"]);
    assert_eq!(app.until(5000), ["0 a", "300 b", "1000 c", "1000 d"]);
}

#[test]
fn a_successor_shares_the_windows_and_gets_what_waits_behind_what_on_open_sends() {
    let mut app = Opened::on(SimNet::new(1), &two().renew_overlap(HOUR), |app| {
        app.on_open(|app, open| if open.is_successor { app.send_text("login") } else { Ok(()) })
            .on_message(|app, _| app.send_text("answer"))
    });
    app.send(&["a", "b", "c"]);
    app.world.run_until(500 * MS);
    app.world.in_app(|app| app.renew());
    app.world.settle();
    let old = std::mem::replace(&mut app.peer, app.world.accept(&app.listener));
    assert_eq!(app.queued_bytes(), frame_len(5) + frame_len(1));
    // What callbacks for the old connection send waits as well.
    old.write(&frame::text("news"));
    app.world.settle();
    let texts = |peer: &SimPeer| -> Vec<_> {
        std::iter::from_fn(|| peer.read_frame()).map(|frame| frame.text()).collect()
    };
    assert_eq!(app.until(5000), ["0 a", "0 b", "1000 login", "1000 c", "2000 answer"]);
    assert_eq!(
        (texts(&old), texts(&app.peer)),
        (vec!["a".to_owned(), "b".to_owned()], vec!["login".to_owned(), "c".to_owned(), "answer".to_owned()])
    );
    // They count where they were sent.
    old.write(&frame::text("news"));
    app.world.settle();
    app.send(&["d", "e"]);
    assert_eq!(app.until(9000), ["5000 answer", "5000 d", "6000 e"]);
}

#[test]
fn what_the_old_connection_has_still_to_write_counts_until_it_ends() {
    let mut faults = Faults::default();
    faults.send_buffer = 1000;
    let options = two().renew_overlap(HOUR);
    let mut app = Opened::on(SimNet::new(1).with_faults(faults), &options, |app| app);
    app.sender.send_bytes(vec![b'x'; 2000]).unwrap();
    app.world.settle();
    app.world.in_app(|app| app.renew());
    app.world.settle();
    let old = std::mem::replace(&mut app.peer, app.world.accept(&app.listener));
    app.send(&["a", "b"]);
    assert_eq!(app.until(700), ["0 a"]);
    // A part of it was written at the beginning.
    old.reset();
    app.world.net.set_faults(Faults::default());
    assert_eq!(app.until(5000), ["1000 b", "1000 2000 bytes"]);
}

#[test]
fn windows_open_while_reading_is_paused() {
    let mut app = Opened::new(&two());
    app.send(&["a", "b", "c"]);
    app.world.in_app(|app| app.pause_reading());
    app.peer.write(&frame::text("unread"));
    assert_eq!(app.until(5000), ["0 a", "0 b", "1000 c"]);
    assert_eq!(app.log.take(), ["drain"]);
}

#[test]
fn silence_begins_again_when_on_drain_resumes_reading() {
    let options = two().silence_timeout(400 * MS);
    let mut app = Opened::on(SimNet::new(1), &options, |app| app.on_drain(|app| app.resume_reading()));
    app.send(&["a", "b", "c"]);
    app.world.in_app(|app| app.pause_reading());
    app.world.run_until(1399 * MS);
    assert_eq!(app.log.take(), [""; 0]);
    app.world.run_until(1400 * MS);
    assert_eq!(app.log.take()[0], "error Timeout(Silence)");
}

#[test]
fn messages_of_other_threads_wait_in_their_order_among_those_of_callbacks() {
    let mut app = Opened::new(&two());
    app.send(&["a"]);
    let sender = app.sender.clone();
    thread::spawn(move || ["b", "c", "d"].map(|text| sender.send_text(text).unwrap())).join().unwrap();
    app.world.settle();
    app.send(&["e"]);
    let sender = app.sender.clone();
    thread::spawn(move || sender.send_bytes(b"f".to_vec()).unwrap()).join().unwrap();
    assert_eq!(app.until(9000), ["0 a", "0 b", "1000 c", "1000 d", "2000 e", "2000 f"]);
    assert_eq!(app.sender.queued_bytes(), 0);
}

#[test]
fn a_heartbeat_counts_and_one_that_is_a_ping_does_not() {
    let heartbeat = two().heartbeat(800 * MS, "h");
    let mut app = Opened::new(&heartbeat);
    app.world.run_until(700 * MS);
    app.send(&["a", "b"]);
    assert_eq!(app.until(2999), ["700 a", "700 b", "1700 h", "1700 h", "2700 h"]);
    let ping = two().heartbeat(800 * MS, OwnedMessage::Ping("p".into()));
    let mut app = Opened::new(&ping);
    app.world.run_until(700 * MS);
    app.send(&["a", "b", "c"]);
    assert_eq!(app.until(1700), ["700 a", "700 b", "800 ping p", "1600 ping p", "1700 c"]);
}

#[test]
fn fragments_are_refused_and_a_whole_message_can_be_sent_next() {
    let mut app = Opened::new(&two());
    app.world.in_app(|app| {
        for (kind, fin) in [(Some(Kind::Text), false), (Some(Kind::Binary), true), (None, true)] {
            assert_eq!(app.send_fragment(kind, b"part", fin), Err(SendError::FragmentsUnderSendLimit));
        }
        app.send("whole", Opcode::Text).unwrap();
        assert_eq!(app.send([0xff], Opcode::Text), Err(SendError::NotUtf8));
        assert_eq!(app.send("", Opcode::Close), Err(SendError::CloseIsNotSent));
    });
    assert_eq!(app.until(0), ["0 whole"]);
}

#[test]
fn a_message_counts_from_when_its_last_byte_was_written() {
    let mut faults = Faults::default();
    faults.send_buffer = 1000;
    let mut app = Opened::on(SimNet::new(1).with_faults(faults), &two(), |app| app);
    app.world.in_app(|app| {
        app.send_bytes([0; 2000]).unwrap();
        app.send_text("a").unwrap();
        app.send_text("b").unwrap();
        app.send_text("c").unwrap();
    });
    app.world.run_until(2 * SECOND);
    assert_eq!(app.until(2000), [""; 0]);
    for _ in 0..4 {
        app.peer.read_available();
        app.world.settle();
    }
    assert_eq!(app.until(2000), ["2000 2000 bytes", "2000 a"]);
    app.peer.read_available();
    assert_eq!(app.until(5000), ["3000 b", "3000 c"]);
}

#[test]
fn a_long_callback_does_not_count_for_less_than_when_it_writes() {
    let mut world = World::new();
    let wire = Wire::of(&world.net);
    let net = world.net.clone();
    let app = WebSocketApp::new(URL).on_open(move |app, _| {
        app.send_text("a").unwrap();
        net.advance(900 * MS);
        app.send_text("b").unwrap();
        app.send_text("c")
    });
    world.open(app, &two());
    world.run_for(5 * SECOND);
    assert_eq!(wire.take(), ["900 a", "900 b", "1900 c"]);
}

#[test]
fn the_reactor_sleeps_until_a_window_opens() {
    let mut app = Opened::new(&RunOptions::new().send_limit(SendLimit::messages(1, HOUR)));
    app.send(&["a", "b", "c"]);
    app.world.settle();
    let before = app.world.net.waits();
    app.world.run_until(2 * HOUR);
    // `settle` takes 16 turns.
    let waits = app.world.net.waits() - before;
    assert!(waits < 30, "{waits} waits");
    assert_eq!(app.wire.take(), ["0 a", "3600000 b", "7200000 c"]);
}

#[test]
fn over_tls_a_message_counts_from_its_last_record_as_well() {
    let mut secure = SecureWorld::new();
    secure.options = secure.options.clone().send_limit(SendLimit::messages(2, SECOND));
    let log = Log::new();
    let app = log.app(SECURE_URL).on_open(|app, _| {
        // The second takes three records.
        for text in ["a", &"b".repeat(40_000), "c", "d"] {
            app.send_text(text).unwrap();
        }
    });
    let mut peer = secure.open(app);
    let mut frames = |secure: &mut SecureWorld, at: Duration| -> Vec<usize> {
        secure.world.run_until(at);
        std::iter::from_fn(|| peer.read_frame()).map(|frame| frame.payload.len()).collect()
    };
    assert_eq!(frames(&mut secure, Duration::ZERO), [1, 40_000]);
    assert_eq!(frames(&mut secure, 999 * MS), [0; 0]);
    assert_eq!(frames(&mut secure, SECOND), [1, 1]);
}

#[test]
fn rough_networks_change_nothing_about_order_and_limits() {
    const LIMIT: usize = 300;
    for seed in 0..30 {
        let mut faults = Faults::rough();
        faults.send_buffer = 400;
        let options = RunOptions::new()
            .send_limit(SendLimit::messages(5, SECOND))
            .send_limit(SendLimit::bytes(LIMIT, 2 * SECOND));
        let mut world = World::on(SimNet::new(seed).with_faults(faults));
        let wire = Wire::of(&world.net);
        world.net.serve_arrivals(SERVER, |peer| {
            peer.accept_upgrade();
            while peer.read_frame().is_some() {}
        });
        let mut app = WebSocketApp::new(URL);
        let sender = app.sender();
        app.on_open(|app, _| app.send_text("0 ")).run_on(&mut world.reactor, &options).unwrap();
        world.run_for(20 * SECOND);
        for number in 1..100 {
            let text = format!("{number} {}", "x".repeat(number % 60));
            match number % 3 {
                0 => sender.send_text(text).unwrap(),
                _ => world.in_app(|app| app.send_text(text)).unwrap(),
            }
            if number % 3 == 0 {
                world.run_for(number as u32 % 50 * MS);
            }
        }
        world.run_for(200 * SECOND);
        let written: Vec<(u128, usize, String)> =
            wire.0.take().into_iter().map(|(at, frame)| (at, frame.payload.len(), frame.text())).collect();
        let numbers: Vec<_> = written.iter().map(|(.., text)| text.split(' ').next().unwrap()).collect();
        assert_eq!(numbers, (0..100).map(|number| number.to_string()).collect::<Vec<_>>(), "{seed}");
        for (begin, (first, ..)) in written.iter().enumerate() {
            let within = |time| written[begin..].iter().take_while(move |(at, ..)| *at < first + time);
            assert!(within(1000).count() <= 5, "{seed}: {first}");
            assert!(within(2000).map(|(_, len, _)| len).sum::<usize>() <= LIMIT, "{seed}: {first}");
        }
    }
}
