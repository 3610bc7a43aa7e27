//! The callback after the last message of a burst, in virtual time.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use websocket_app::{
    CallbackResult, Context, Deflate, DeflateOffer, Fragment, Handler, Message, RunOptions, WebSocketApp,
};
use websocket_testkit::deflate::Codec;
use websocket_testkit::frame;
use websocket_testkit::handshake::response;
use websocket_testkit::sim::{Faults, SimNet};
use websocket_tests::{Log, SECURE_URL, SecureWorld, URL, World};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// An app that writes down the end of each batch, too.
fn batches(log: &Log, url: &str) -> WebSocketApp {
    let ends = log.clone();
    log.app(url).on_batch_end(move |_| ends.push("end"))
}

fn texts(numbers: std::ops::RangeInclusive<u32>) -> Vec<u8> {
    numbers.flat_map(|number| frame::text(&number.to_string())).collect()
}

#[test]
fn it_comes_once_after_all_messages_that_have_arrived_together() {
    let mut world = World::new();
    let log = Log::new();
    let peer = world.open(batches(&log, URL), &RunOptions::new());
    assert_eq!(log.take(), ["open"]);
    for _ in 0..2 {
        peer.write(&texts(1..=3));
        world.settle();
        assert_eq!(log.take(), ["text 1", "text 2", "text 3", "end"]);
    }
    peer.write(&texts(4..=4));
    peer.write(&texts(5..=5));
    world.settle();
    assert_eq!(log.take(), ["text 4", "text 5", "end"]);
}

#[test]
fn what_is_no_message_is_no_batch() {
    let mut world = World::new();
    let log = Log::new();
    let peer = world.open(batches(&log, URL), &RunOptions::new());
    log.take();
    peer.write(&frame::ping(b"x"));
    world.settle();
    assert_eq!(log.take(), ["ping x"]);
    peer.write(&frame::encode(false, 0, frame::TEXT, b"a "));
    world.settle();
    assert_eq!(log.take(), [""; 0]);
    peer.write(&[frame::continuation(true, b"whole"), frame::ping(b"y")].concat());
    world.settle();
    assert_eq!(log.take(), ["text a whole", "ping y", "end"]);
    world.run_for(SECOND);
    assert_eq!(log.take(), [""; 0]);
}

#[test]
fn fragments_that_are_delivered_singly_are_batches_too() {
    let mut world = World::new();
    let log = Log::new();
    let fragments = log.clone();
    let app = batches(&log, URL).on_cont_message(move |_, fragment| {
        fragments.push(format!("fragment {}", String::from_utf8_lossy(fragment.payload)));
    });
    let peer = world.open(app, &RunOptions::new());
    log.take();
    peer.write(&frame::encode(false, 0, frame::TEXT, b"a"));
    world.settle();
    assert_eq!(log.take(), ["fragment a", "end"]);
    peer.write(&[frame::continuation(false, b"b"), frame::continuation(true, b"c")].concat());
    world.settle();
    assert_eq!(log.take(), ["fragment b", "fragment c", "end"]);
}

#[test]
fn a_burst_of_several_reads_is_one_batch() {
    let mut faults = Faults::default();
    faults.send_buffer = 1 << 20;
    let mut world = World::on(SimNet::new(1).with_faults(faults));
    let log = Log::new();
    let peer = world.open(batches(&log, URL), &RunOptions::new());
    log.take();
    // Three times the receive buffer, in messages of every size.
    let lengths = [5000, 100, 70_000, 200_000, 10, 100_000];
    let bytes: Vec<u8> = lengths.iter().flat_map(|len| frame::binary(&vec![7; *len])).collect();
    peer.write(&bytes);
    world.settle();
    let mut expected: Vec<_> = lengths.iter().map(|len| format!("binary {len} bytes")).collect();
    expected.push("end".to_owned());
    assert_eq!(log.take(), expected);
}

#[test]
fn over_tls_and_compressed_it_is_the_same() {
    let mut secure = SecureWorld::new();
    let log = Log::new();
    let mut peer = secure.open(batches(&log, SECURE_URL));
    assert_eq!(log.take(), ["open"]);
    // Two records, three messages.
    let (first, second) = (peer.side.seal(&texts(1..=2)), peer.side.seal(&texts(3..=3)));
    peer.peer.write(&[first, second].concat());
    secure.world.settle();
    assert_eq!(log.take(), ["text 1", "text 2", "text 3", "end"]);

    // The response and messages in one record.
    let listener = secure.start(batches(&log, SECURE_URL));
    let mut peer = secure.arrived(&listener);
    secure.handshake(&mut peer);
    let opening = [response(&peer.side.request().unwrap(), &[]), texts(1..=2)].concat();
    peer.write(&opening);
    secure.world.settle();
    assert_eq!(log.take(), ["open", "text 1", "text 2", "end"]);

    let mut world = World::new();
    let options = RunOptions::new().compression(Deflate::from(DeflateOffer::new()));
    let listener = world.start(batches(&log, URL), &options);
    let peer = listener.accept().unwrap();
    peer.accept_upgrade_with(&["Sec-WebSocket-Extensions: permessage-deflate"]).unwrap();
    world.settle();
    log.take();
    let mut codec = Codec::new("permessage-deflate");
    let compressed: Vec<u8> = ["one", "two"]
        .iter()
        .flat_map(|text| frame::encode(true, 4, frame::TEXT, &codec.compress(text.as_bytes())))
        .collect();
    peer.write(&compressed);
    world.settle();
    assert_eq!(log.take(), ["text one", "text two", "end"]);
}

#[test]
fn where_others_have_their_turn_the_batch_ends() {
    for secure in [false, true] {
        let log = Log::new();
        let url = if secure { SECURE_URL } else { URL };
        let mut secured = SecureWorld::new();
        let mut plain = World::new();
        let net = if secure { secured.world.net.clone() } else { plain.net.clone() };
        let slow = log.clone();
        let app = batches(&log, url).on_message(move |_, message| {
            slow.message(message);
            // An app's part of a turn is 1.25 ms.
            net.advance(MS);
        });
        if secure {
            let mut peer = secured.open(app);
            peer.write(&texts(1..=5));
            secured.world.settle();
        } else {
            let peer = plain.open(app, &RunOptions::new());
            peer.write(&texts(1..=5));
            plain.settle();
        }
        let expected = ["open", "text 1", "text 2", "end", "text 3", "text 4", "end", "text 5", "end"];
        assert_eq!(log.take(), expected, "secure: {secure}");
    }
}

#[test]
fn it_comes_before_the_end_of_the_connection() {
    let ends: [(&[u8], &[&str]); 3] = [
        (&frame::close(1000, ""), &["close 1000, by server, clean"]),
        (&[0xff, 0], &["error Protocol(ReservedBits)", "close: Protocol(ReservedBits)"]),
        (b"", &["error EndOfStream", "close: EndOfStream"]),
    ];
    for (bytes, last) in ends {
        let mut world = World::new();
        let log = Log::new();
        let peer = world.open(batches(&log, URL), &RunOptions::new());
        log.take();
        peer.write(&[&texts(1..=2), bytes].concat());
        peer.shutdown();
        world.run_for(10 * SECOND);
        let lines = log.take();
        assert_eq!(lines[..3], ["text 1", "text 2", "end"], "{lines:?}");
        assert_eq!(lines.len(), 3 + last.len(), "{lines:?}");
        assert!(lines[3].starts_with(last[0].split('(').next().unwrap()), "{lines:?}");
    }
}

#[test]
fn what_it_sends_leaves_at_the_end_of_the_turn() {
    let mut world = World::new();
    let newest = Rc::new(RefCell::new(String::new()));
    let heard = newest.clone();
    let app = Log::new()
        .app(URL)
        .on_message(move |_, message| message.as_text().unwrap().clone_into(&mut heard.borrow_mut()))
        .on_batch_end(move |app| app.send_text(newest.borrow().as_str()));
    let peer = world.open(app, &RunOptions::new());
    peer.write(&texts(1..=50));
    world.settle();
    let sent: Vec<_> = std::iter::from_fn(|| peer.read_frame()).map(|frame| frame.payload).collect();
    assert_eq!(sent, [b"50".to_vec()]);
}

#[test]
fn an_app_that_is_removed_gets_none_and_may_remove_itself_in_it() {
    for in_message in [true, false] {
        let mut world = World::new();
        let log = Log::new();
        let (messages, ends) = (log.clone(), log.clone());
        let app = log
            .app(URL)
            .on_message(move |app, message| {
                messages.message(message);
                if in_message {
                    app.remove();
                }
            })
            .on_batch_end(move |app| {
                ends.push("end");
                app.remove();
            });
        let peer = world.open(app, &RunOptions::new());
        peer.write(&texts(1..=1));
        // What follows is not whole.
        peer.write(&texts(2..=2)[..1]);
        world.settle();
        let expected: &[_] = if in_message { &["open", "text 1"] } else { &["open", "text 1", "end"] };
        assert_eq!(log.take(), expected);
        assert!(world.reactor.apps().is_empty());
    }
}

#[test]
fn its_errors_and_panics_are_those_of_a_callback() {
    let mut world = World::new();
    let log = Log::new();
    let rounds = Cell::new(0);
    let app = log.app(URL).on_batch_end(move |_| -> CallbackResult {
        rounds.set(rounds.get() + 1);
        assert!(rounds.get() < 2, "the batch ends badly");
        Err("not well".into())
    });
    let peer = world.open(app, &RunOptions::new());
    log.take();
    peer.write(&texts(1..=1));
    world.settle();
    assert_eq!(log.take(), ["text 1", "error Callback(not well)"]);
    peer.write(&texts(2..=2));
    world.settle();
    let lines = log.take();
    assert_eq!(lines[0], "text 2");
    assert!(lines[1].starts_with("error CallbackPanicked(\"the batch ends badly"), "{lines:?}");
    assert!(lines[2].starts_with("close: CallbackPanicked("), "{lines:?}");
    assert_eq!(lines.len(), 3);
}

#[test]
fn a_close_in_it_closes_in_the_orderly_way() {
    let mut world = World::new();
    let log = Log::new();
    let peer = world.open(log.app(URL).on_batch_end(|app| app.close()), &RunOptions::new());
    peer.write(&texts(1..=2));
    world.settle();
    assert_eq!(peer.read_frame().unwrap().close(), Some((1000, String::new())));
    peer.write(&frame::close(1000, ""));
    peer.shutdown();
    world.settle();
    assert_eq!(log.take(), ["open", "text 1", "text 2", "close 1000, by client, clean"]);
}

/// A handler that is asked whether it wants to know.
struct Picky {
    log: Log,
    wants: bool,
}

impl Handler for Picky {
    fn on_message(&mut self, _: &mut Context<'_>, message: Message<'_>) -> CallbackResult {
        self.log.message(message);
        Ok(())
    }

    fn on_cont_message(&mut self, _: &mut Context<'_>, _: Fragment<'_>) -> CallbackResult {
        Ok(())
    }

    fn on_batch_end(&mut self, _: &mut Context<'_>) -> CallbackResult {
        self.log.push("end");
        Ok(())
    }

    fn wants_batch_end(&self) -> bool {
        self.wants
    }
}

#[test]
fn a_handler_that_does_not_want_it_is_not_called() {
    for wants in [false, true] {
        let mut world = World::new();
        let log = Log::new();
        let app = WebSocketApp::with_handler(URL, Picky { log: log.clone(), wants });
        let peer = world.open(app, &RunOptions::new());
        peer.write(&texts(1..=1));
        world.settle();
        let expected: &[_] = if wants { &["text 1", "end"] } else { &["text 1"] };
        assert_eq!(log.take(), expected);
    }
}

#[test]
fn a_pause_ends_the_batch_and_may_begin_or_end_in_its_callback() {
    // Paused by a message, resumed at the end of the batch.
    let mut world = World::new();
    let log = Log::new();
    let (messages, ends) = (log.clone(), log.clone());
    let app = log
        .app(URL)
        .on_message(move |app, message| {
            messages.message(message);
            app.pause_reading();
        })
        .on_batch_end(move |app| {
            ends.push("end");
            app.resume_reading();
        });
    let peer = world.open(app, &RunOptions::new());
    log.take();
    peer.write(&texts(1..=3));
    world.settle();
    assert_eq!(log.take(), ["text 1", "end", "text 2", "end", "text 3", "end"]);

    // Paused at the end of the batch, resumed later.
    let mut world = World::new();
    let log = Log::new();
    let ends = log.clone();
    let app = log.app(URL).on_batch_end(move |app| {
        ends.push("end");
        app.pause_reading();
    });
    let peer = world.open(app, &RunOptions::new());
    log.take();
    for round in 1..=2 {
        peer.write(&texts(round..=round));
        world.settle();
        peer.write(&texts(round + 10..=round + 10));
        world.settle();
        assert_eq!(log.take(), [format!("text {round}"), "end".to_owned()]);
        let id = world.reactor.apps().ids()[0];
        world.reactor.apps().with(id, |app| app.resume_reading()).unwrap();
        world.settle();
        assert_eq!(log.take(), [format!("text {}", round + 10), "end".to_owned()]);
        world.reactor.apps().with(id, |app| app.resume_reading()).unwrap();
    }
}
