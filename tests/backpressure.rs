//! A server that does not read: what is sent waits, within bounds, and nobody else does.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use websocket_app::{CloseCode, Context, OwnedMessage, RunOptions, SendError, WebSocketApp};
use websocket_testkit::frame::{self, Frame};
use websocket_testkit::server::{EchoServer, ScriptedServer};
use websocket_testkit::sim::{Faults, SimNet, SimPeer};
use websocket_tests::{Log, URL, World, reactor, run, until};

const SECOND: Duration = Duration::from_secs(1);
/// Bytes that the simulated system takes before the peer reads.
const SYSTEM: usize = 1000;
/// Header and mask of a frame that carries 126 to 65535 bytes.
const HEADER: usize = 8;
/// What the bound reckons with instead: the longest header.
const RESERVED: usize = 14;

fn options() -> RunOptions {
    RunOptions::new()
}

/// A world whose system takes [`SYSTEM`] bytes for a peer that does not read.
fn world() -> World {
    let mut faults = Faults::default();
    faults.send_buffer = SYSTEM;
    World::on(SimNet::new(1).with_faults(faults))
}

/// Opens `app` in such a world, then calls `work` with its context.
fn with_app(
    app: WebSocketApp,
    options: &RunOptions,
    work: impl FnOnce(&mut Context<'_>),
) -> (World, SimPeer) {
    let mut world = world();
    let peer = world.open(app, options);
    world.in_app(work);
    (world, peer)
}

fn queued_bytes(world: &mut World) -> usize {
    world.in_app(|app| app.queued_bytes())
}

/// Reads everything, as fast as it comes, and returns its frames.
fn read_all(world: &mut World, peer: &SimPeer) -> Vec<Frame> {
    let mut frames = Vec::new();
    loop {
        let before = frames.len();
        world.settle();
        frames.extend(std::iter::from_fn(|| peer.read_frame()));
        if frames.len() == before && queued_bytes(world) == 0 {
            return frames;
        }
    }
}

fn payloads(frames: &[Frame]) -> Vec<u8> {
    frames.iter().map(|frame| frame.payload[0]).collect()
}

#[test]
fn b063_queued_bytes_tell_what_the_system_did_not_take() {
    let (mut world, peer) = with_app(Log::new().app(URL), &options(), |app| {
        assert_eq!(app.queued_bytes(), 0);
        app.send_bytes([1; 400]).unwrap();
        assert_eq!(app.queued_bytes(), 400 + HEADER);
    });
    world.settle();
    let sender = world.in_app(|app| {
        assert_eq!(app.queued_bytes(), 0);
        for byte in 2..5 {
            app.send_bytes([byte; 1000]).unwrap();
        }
        app.sender()
    });
    world.settle();
    let waiting = 400 + 3 * 1000 + 4 * HEADER - SYSTEM;
    assert_eq!(queued_bytes(&mut world), waiting);
    assert_eq!(sender.queued_bytes(), waiting);
    assert_eq!(payloads(&read_all(&mut world, &peer)), [1, 2, 3, 4]);
    assert_eq!((queued_bytes(&mut world), sender.queued_bytes()), (0, 0));
}

#[test]
fn a_message_beyond_the_bound_is_refused_and_nothing_of_it_is_queued() {
    let limit = 2000;
    let (mut world, peer) = with_app(Log::new().app(URL), &options().max_queued_bytes(limit), |app| {
        app.send_bytes([1; 1500]).unwrap();
        let queued = 1500 + HEADER;
        let full = Err(SendError::QueueFull { queued, len: 500 + RESERVED, limit });
        assert_eq!(app.send_bytes([2; 500]), full);
        assert_eq!(app.send_text("2".repeat(500)), full);
        assert_eq!(app.send([2; 500], websocket_app::Opcode::Binary), full);
        assert_eq!(app.send_fragment(Some(websocket_app::Kind::Binary), &[2; 500], true), full);
        assert_eq!(app.queued_bytes(), queued);
        // The exact bound.
        let rest = limit - queued - RESERVED;
        assert!(app.send_bytes(vec![3; rest + 1]).is_err());
        app.send_bytes(vec![3; rest]).unwrap();
        assert!(app.ping(b"").is_err());
    });
    let frames = read_all(&mut world, &peer);
    assert_eq!(payloads(&frames), [1, 3]);
    // What was refused can be sent now.
    world.in_app(|app| app.send_bytes([2; 500]).unwrap());
    assert_eq!(payloads(&read_all(&mut world, &peer)), [2]);
}

#[test]
fn on_drain_comes_when_the_last_byte_was_written_and_only_if_there_was_a_wait() {
    let log = Log::new();
    let drains = log.clone();
    let app = log.app(URL).on_drain(move |app| {
        assert_eq!(app.queued_bytes(), 0);
        drains.push("drain");
    });
    let (mut world, peer) = with_app(app, &options(), |app| app.send_bytes([1; 500]).unwrap());
    read_all(&mut world, &peer);
    assert_eq!(log.take(), ["open"]);
    for _ in 0..3 {
        world.in_app(|app| app.send_bytes([2; 3 * SYSTEM]).unwrap());
        for _ in 0..3 {
            world.settle();
            assert_eq!(log.take(), [""; 0]);
            peer.read_available();
        }
        world.settle();
        assert_eq!(log.take(), ["drain"]);
    }
}

#[test]
fn on_drain_comes_after_a_refusal_too_and_what_it_sends_may_be_refused_again() {
    let log = Log::new();
    let (drains, rest) = (log.clone(), Rc::new(Cell::new(5)));
    let app = log.app(URL).on_drain(move |app| {
        drains.push("drain");
        while rest.get() > 0 && app.send_bytes([rest.get(); 700]).is_ok() {
            rest.set(rest.get() - 1);
        }
    });
    let (mut world, peer) = with_app(app, &options().max_queued_bytes(1000), |app| {
        app.send_bytes([6; 700]).unwrap();
        app.send_bytes([5; 700]).unwrap_err();
    });
    let mut seen = Vec::new();
    for _ in 0..20 {
        world.settle();
        seen.extend(payloads(&read_all(&mut world, &peer)));
    }
    assert_eq!(seen, [6, 5, 4, 3, 2, 1]);
    // Five were refused once, the last one had to wait for the system.
    assert_eq!(log.count(|line| line == "drain"), 6);
}

#[test]
fn b021_an_error_of_on_drain_goes_to_on_error() {
    let log = Log::new();
    let app = log.app(URL).on_drain(|_| Err("drain"));
    let (mut world, peer) = with_app(app, &options(), |app| app.send_bytes([2; 3 * SYSTEM]).unwrap());
    read_all(&mut world, &peer);
    assert_eq!(log.lines(), ["open", "error Callback(drain)"]);
}

#[test]
fn a_message_larger_than_the_bound_is_never_accepted_and_nobody_waits_for_it() {
    let log = Log::new();
    let (mut world, peer) = with_app(log.app(URL), &options().max_queued_bytes(1000), |app| {
        let (len, limit) = (1001, 1000);
        let too_big = SendError::TooBig { len, limit };
        assert_eq!(app.send_bytes([1; 1001 - RESERVED]), Err(too_big.clone()));
        let refused = app.sender().send_bytes(vec![1; 1001 - RESERVED]).unwrap_err();
        assert_eq!(refused.reason, too_big);
        app.sender().send_bytes(vec![2; 1000 - RESERVED]).unwrap();
    });
    assert_eq!(payloads(&read_all(&mut world, &peer)), [2]);
    // The simulation would tell a loop that runs in circles.
    world.run_for(SECOND);
    assert_eq!(peer.read_available(), b"");
}

#[test]
fn b063_a_big_message_does_not_hold_up_the_loop_and_arrives_whole() {
    const BIG: usize = 20_000_000;
    let (read, may_read) = mpsc::channel();
    let may_read = std::sync::Mutex::new(may_read);
    let server = ScriptedServer::start(move |mut peer| {
        peer.accept_upgrade();
        may_read.lock().unwrap().recv().unwrap();
        let big = peer.read_frame();
        assert!(big.payload.len() == BIG && big.payload.iter().all(|byte| *byte == 7));
        assert_eq!(peer.read_frame().text(), "behind it");
        peer.send_close(1000, "");
        peer.read_close();
    })
    .unwrap();
    let echo = EchoServer::start().unwrap();
    let mut reactor = reactor();
    let (big, small) = (Log::new(), Log::new());
    let opened = big.clone();
    let app = big.app(server.url()).on_open(move |app, _| {
        app.send_bytes(vec![7; BIG])?;
        app.send_text("behind it")?;
        app.flush().unwrap();
        assert!(app.queued_bytes() > 0, "nobody reads");
        opened.push("open");
        Ok::<_, SendError>(())
    });
    app.run_on(&mut reactor, &options()).unwrap();
    until(&mut reactor, |_| big.has("open"));
    let app = small.app(echo.url()).on_open(|app, _| app.send_text("meanwhile"));
    app.run_on(&mut reactor, &options()).unwrap();
    until(&mut reactor, |_| small.has("text meanwhile"));
    assert_eq!(big.lines(), ["open"]);
    read.send(()).unwrap();
    until(&mut reactor, |apps| apps.len() == 1);
    assert_eq!(big.lines(), ["open", "drain", "close 1000, by server, clean"]);
    server.join();
}

#[test]
fn b062_what_was_sent_leaves_when_the_turn_ends_or_when_it_is_flushed() {
    for flush in [false, true] {
        let mut world = World::new();
        let seen = Rc::new(RefCell::new(None));
        let server = Rc::new(RefCell::new(None::<SimPeer>));
        let (result, far_end) = (seen.clone(), server.clone());
        let app = Log::new().app(URL).on_message(move |app, _| {
            app.send_text("answer").unwrap();
            if flush {
                app.flush().unwrap();
            }
            let arrived = far_end.borrow().as_ref().unwrap().read_frame().map(|it| it.text());
            *result.borrow_mut() = Some((arrived, app.queued_bytes()));
        });
        let peer = world.open(app, &options());
        *server.borrow_mut() = Some(peer.clone());
        peer.write(&frame::text("question"));
        world.settle();
        let (arrived, queued) = seen.take().unwrap();
        if flush {
            assert_eq!((arrived.as_deref(), queued), (Some("answer"), 0));
        } else {
            assert_eq!((arrived, queued), (None, "answer".len() + 6));
            assert_eq!(peer.read_frame().unwrap().text(), "answer");
        }
    }
}

#[test]
fn a_sender_hands_a_message_back_that_exceeds_the_bound() {
    let limit = 3000;
    let (mut world, peer) = with_app(Log::new().app(URL), &options().max_queued_bytes(limit), |_| ());
    let sender = world.in_app(|app| app.sender());
    let mut accepted = 0;
    let refused = loop {
        match sender.send_bytes(vec![accepted; 500]) {
            Ok(()) => accepted += 1,
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused.message, OwnedMessage::Binary(vec![accepted; 500].into()));
    let queued = usize::from(accepted) * (500 + RESERVED);
    assert_eq!(refused.reason, SendError::QueueFull { queued, len: 500 + RESERVED, limit });
    assert_eq!((accepted, sender.queued_bytes()), (5, queued));

    // Still none of it was read, but a part is with the system.
    world.settle();
    assert_eq!(sender.queued_bytes(), usize::from(accepted) * (500 + HEADER) - SYSTEM);
    sender.send(refused.message).unwrap();
    let everything: Vec<_> = (0..=accepted).collect();
    assert_eq!(payloads(&read_all(&mut world, &peer)), everything);
    assert_eq!(sender.queued_bytes(), 0);
}

#[test]
fn messages_of_a_sender_wait_behind_a_full_output_and_drain_comes_after_them() {
    let log = Log::new();
    let (mut world, peer) = with_app(log.app(URL), &options().max_queued_bytes(4000), |app| {
        let sender = app.sender();
        // The output is known to the sender as of the last turn, so these exceed the bound together.
        app.send_bytes([0; 3500]).unwrap();
        for byte in 1..=7 {
            sender.send_bytes(vec![byte; 500]).unwrap();
        }
    });
    world.settle();
    assert!(queued_bytes(&mut world) <= 4000);
    assert_eq!(payloads(&read_all(&mut world, &peer)), [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(log.lines(), ["open", "drain"]);
}

#[test]
fn messages_of_a_sender_wait_for_the_end_of_a_fragmented_one() {
    use websocket_app::Kind;
    let (mut world, peer) = with_app(Log::new().app(URL), &options(), |app| {
        app.send_fragment(Some(Kind::Text), b"be", false).unwrap();
        app.sender().send_text("between").unwrap();
    });
    world.settle();
    world.in_app(|app| app.send_fragment(None, b"gin", false).unwrap());
    world.settle();
    world.in_app(|app| app.send_fragment(None, b"ning", true).unwrap());
    world.settle();
    let texts: Vec<_> =
        std::iter::from_fn(|| peer.read_frame()).map(|frame| (frame.fin, frame.text())).collect();
    let expected = [(false, "be"), (false, "gin"), (true, "ning"), (true, "between")];
    assert_eq!(texts, expected.map(|(fin, text)| (fin, text.to_owned())));
}

/// How a connection with much to write ends.
#[derive(Clone, Copy, PartialEq, Debug)]
enum End {
    Reset,
    Fin,
    Stop,
    Panic,
    Timeout,
}

#[test]
fn every_accepted_message_is_either_written_or_handed_to_on_close() {
    for end in [End::Reset, End::Fin, End::Stop, End::Panic, End::Timeout] {
        let unsent = Rc::new(RefCell::new(Vec::new()));
        let handed = unsent.clone();
        let app = Log::new().app(URL).on_close(move |_, closed| {
            handed.borrow_mut().extend(closed.unsent.iter().map(|message| message.as_bytes()[0]));
        });
        let (mut world, peer) = with_app(app, &options().max_queued_bytes(4000), |_| ());
        let sender = world.in_app(|app| app.sender());
        let mut accepted = 0;
        // Some are with the system, one is cut, some are in the output, some behind it, some not even fetched.
        for round in 0..4 {
            world.in_app(|app| {
                let _maybe_full = app.send_bytes([200 + round; 700]);
            });
            while sender.send_bytes(vec![accepted; 300]).is_ok() {
                accepted += 1;
            }
            if round < 3 {
                world.settle();
            }
        }
        assert!(accepted > 10, "{accepted}");
        let mut frames = Vec::new();
        match end {
            End::Reset => peer.reset(),
            End::Fin => peer.shutdown(),
            End::Stop => world.reactor.apps().stop(),
            End::Panic => {
                world.in_app(|app| app.set_timeout(Duration::ZERO, |app| assert!(!app.is_open())));
            }
            End::Timeout => world.in_app(|app| app.close_with(CloseCode::Normal).unwrap()),
        }
        world.run_for(10 * SECOND);
        assert!(world.reactor.apps().is_empty(), "{end:?}");
        frames.extend(std::iter::from_fn(|| peer.read_frame()));
        let written = frames.iter().map(|frame| frame.payload[0]).filter(|byte| *byte < 200);
        let all: Vec<_> = written.chain(unsent.take()).collect();
        let expected: Vec<_> = (0..accepted).collect();
        assert_eq!(all, expected, "{end:?}");
        assert!(sender.send_bytes(vec![0; 1]).is_err());
        assert_eq!(sender.queued_bytes(), 0);
    }
}

#[test]
fn what_was_written_whole_is_not_handed_back_however_much_came_before() {
    let unsent = Rc::new(RefCell::new(Vec::new()));
    let handed = unsent.clone();
    let app = Log::new().app(URL).on_close(move |_, closed| {
        handed.borrow_mut().extend(closed.unsent.iter().map(|message| message.as_bytes()[0]));
    });
    let (mut world, peer) = with_app(app, &options(), |app| {
        let sender = app.sender();
        app.send_bytes([0; 5 * SYSTEM]).unwrap();
        for byte in 1..=3 {
            sender.send_bytes(vec![byte; 500]).unwrap();
        }
    });
    assert_eq!(payloads(&read_all(&mut world, &peer)), [0, 1, 2, 3]);
    // The system takes two of these to the last byte, and nothing of the third.
    world.in_app(|app| {
        for byte in 4..=6 {
            app.sender().send_bytes(vec![byte; SYSTEM / 2 - HEADER]).unwrap();
        }
    });
    world.settle();
    peer.reset();
    world.settle();
    assert_eq!(*unsent.borrow(), [6]);
}

#[test]
fn a_close_goes_out_behind_what_was_sent_before_and_its_timeout_runs_at_once() {
    let log = Log::new();
    let (mut world, peer) = with_app(log.app(URL), &options(), |app| {
        app.send_bytes([1; 3 * SYSTEM]).unwrap();
        app.close();
    });
    let frames = read_all(&mut world, &peer);
    let opcodes: Vec<_> = frames.iter().map(|frame| frame.opcode).collect();
    assert_eq!(opcodes, [frame::BINARY, frame::CLOSE]);
    assert_eq!(log.take(), ["open"]);

    let (mut world, peer) = with_app(log.app(URL), &options(), |app| {
        app.send_bytes([1; 3 * SYSTEM]).unwrap();
        app.close();
    });
    world.run_for(3 * SECOND);
    assert_eq!(log.take(), ["open", "error Timeout(Close)", "close: Timeout(Close)"]);
    assert!(peer.ended().is_some());
    run(&mut world.reactor);
}
