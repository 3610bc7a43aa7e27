//! What the app sends, byte by byte as the server gets it.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use websocket_app::{
    CloseCode, Context, Entropy, Error, Kind, Opcode, Outcome, OwnedMessage, ProtocolError, RunOptions,
    SeededEntropy, SendError, Sender, State, WebSocketApp,
};
use websocket_testkit::frame::{self, Frame};
use websocket_testkit::server::{Peer, ScriptedServer};
use websocket_testkit::sim::{Faults, SimNet, SimPeer};
use websocket_tests::{Log, SERVER, URL, World, dispatcher, reactor, run, until};

const SECOND: Duration = Duration::from_secs(1);

/// A server that reads so many frames, all of them legal, before it closes.
fn reading(frames: usize) -> (ScriptedServer, mpsc::Receiver<Vec<Frame>>) {
    let (sender, receiver) = mpsc::channel();
    let server = ScriptedServer::start(move |mut peer| {
        peer.accept_upgrade();
        sender.send((0..frames).map(|_| peer.read_frame()).collect()).unwrap();
        peer.send_close(1000, "");
        assert_eq!(peer.read_close(), Some((1000, String::new())));
        peer.shutdown();
        peer.expect_eof();
    })
    .unwrap();
    (server, receiver)
}

/// The frames that the server got from `send`, called when the connection is open.
fn sent(
    frames: usize,
    mut send: impl FnMut(&mut Context<'_>) -> Result<(), SendError> + 'static,
) -> Vec<Frame> {
    let (server, receiver) = reading(frames);
    let log = Log::new();
    let outcome = log
        .app(server.url())
        .on_open(move |app, _| send(app))
        .run_forever_on(dispatcher(), &RunOptions::new())
        .unwrap();
    assert!(!outcome.is_error(), "{:?}", log.lines());
    receiver.recv().unwrap()
}

fn payloads(frames: &[Frame]) -> Vec<(u8, bool, &[u8])> {
    frames.iter().map(|frame| (frame.opcode, frame.fin, &*frame.payload)).collect()
}

/// The bytes of a frame with a mask of zeros.
fn plain(first_byte: u8, payload: &[u8]) -> Vec<u8> {
    frame::masked(first_byte, [0; 4], payload)
}

/// The frames that have arrived.
fn frames(peer: &SimPeer) -> Vec<Frame> {
    std::iter::from_fn(|| peer.read_frame()).collect()
}

#[test]
fn bytes_without_a_frame_leave_as_they_are_between_messages_and_not_behind_a_close() {
    let raw = frame::masked(0x82, [1, 2, 3, 4], b"raw");
    let frames = sent(3, move |app| {
        app.send_text("before")?;
        app.send_unframed(&raw)?;
        app.send_text("after")?;
        assert_eq!(app.stats().sent.messages, 2);
        Ok(())
    });
    let expected =
        [(frame::TEXT, true, &b"before"[..]), (frame::BINARY, true, b"raw"), (frame::TEXT, true, b"after")];
    assert_eq!(payloads(&frames), expected);

    // The server gets the close frame and the end of the stream.
    let none = sent(0, |app| {
        app.close();
        assert_eq!(app.send_unframed(b"x"), Err(SendError::NotOpen(State::Closing)));
        Ok(())
    });
    assert!(none.is_empty());
}

#[test]
fn b053_nothing_can_be_sent_without_an_open_connection() {
    let mut world = World::new();
    let listener = world.net.listen(SERVER);
    let ended = Rc::new(RefCell::new(Vec::new()));
    let keep = ended.clone();
    let mut app = Log::new().app(URL).on_close(move |app, _| {
        keep.borrow_mut().extend([app.send_text("x"), app.send_bytes(b"x"), app.send("x", Opcode::Text)]);
    });
    let sender = app.sender();
    let refused = |sender: &Sender, why: &str| {
        let text = sender.send_text("kept").unwrap_err();
        assert_eq!((text.message, text.reason.clone()), (OwnedMessage::Text("kept".into()), text.reason));
        let bytes = sender.send_bytes(&b"kept"[..]).unwrap_err();
        assert_eq!(bytes.message.as_bytes(), b"kept");
        assert_eq!(bytes.to_string(), why);
    };
    const NOT_YET: &str = "the connection is not open yet; send from on_open or later";
    const CLOSED: &str = "the connection is already closed";
    refused(&sender, NOT_YET);

    let id = app.run_on(&mut world.reactor, &RunOptions::new()).unwrap();
    world.settle();
    let early = world.reactor.apps().with(id, |app| app.send_text("too early")).unwrap();
    assert_eq!(early, Err(SendError::NotOpen(State::Connecting)));
    refused(&sender, NOT_YET);

    let peer = listener.accept().unwrap();
    peer.accept_upgrade().unwrap();
    peer.shutdown();
    world.settle();
    assert_eq!(*ended.borrow(), vec![Err(SendError::NotOpen(State::Closed)); 3]);
    refused(&sender, CLOSED);
    assert!(frames(&peer).is_empty());
}

#[test]
fn b054_nothing_can_be_sent_after_close() {
    let mut world = World::new();
    let results = Rc::new(RefCell::new(Vec::new()));
    let keep = results.clone();
    let app = Log::new().app(URL).on_open(move |app, _| {
        app.send_text("before")?;
        app.close();
        *keep.borrow_mut() = vec![
            app.send_text("x"),
            app.send_bytes(b"x"),
            app.send("x", Opcode::Pong),
            app.send_fragment(Some(Kind::Text), b"x", true),
            app.ping(b"x"),
        ];
        let refused = app.sender().send_text("x").unwrap_err();
        assert!(matches!(refused.reason, SendError::NotOpen(_)));
        // Closing again is harmless and changes nothing.
        app.close_with((CloseCode::Away, "again"))
    });
    let peer = world.open(app, &RunOptions::new());
    assert_eq!(results.take(), vec![Err(SendError::NotOpen(State::Closing)); 5]);
    let expected = [(frame::TEXT, true, &b"before"[..]), (frame::CLOSE, true, b"\x03\xe8")];
    assert_eq!(payloads(&frames(&peer)), expected);
}

#[test]
fn b055_sending_returns_nothing_and_the_frames_length_shows_in_queued_bytes() {
    let frames = sent(1, |app| {
        assert_eq!(app.queued_bytes(), 0);
        app.send_text("Hello, World!")?;
        assert_eq!(app.queued_bytes(), 19);
        app.flush().unwrap();
        assert_eq!(app.queued_bytes(), 0);
        Ok(())
    });
    assert_eq!(frames[0].text(), "Hello, World!");
}

#[test]
fn b056_text_leaves_as_utf8_and_every_frame_has_a_fresh_mask() {
    const FRAMES: usize = 64;
    let (server, receiver) = reading(FRAMES);
    let mut reactor = reactor().entropy(SeededEntropy::new([7; 32]));
    Log::new()
        .app(server.url())
        .on_open(|app, _| (0..FRAMES).try_for_each(|_| app.send_text("hé€😀")))
        .run_on(&mut reactor, &RunOptions::new())
        .unwrap();
    run(&mut reactor);
    let frames = receiver.recv().unwrap();
    assert!(frames.iter().all(|frame| frame.opcode == frame::TEXT && frame.payload == "hé€😀".as_bytes()));
    let mut masks: Vec<_> = frames.iter().map(|frame| frame.mask.unwrap()).collect();
    masks.sort();
    masks.dedup();
    assert_eq!(masks.len(), FRAMES);
}

#[test]
fn b056_masks_differ_from_run_to_run() {
    let masks = || sent(4, |app| (0..4).try_for_each(|_| app.ping(b""))).into_iter().map(|frame| frame.mask);
    assert!(masks().ne(masks()));
}

#[test]
fn b057_mask_keys_come_from_mask_key_and_again_in_the_next_run() {
    let (server, receiver) = reading(3);
    let mut next = 0_u32;
    let mut app = Log::new()
        .app(server.url())
        .mask_key(move || {
            next += 1;
            next.to_be_bytes()
        })
        .on_open(|app, _| {
            app.send_text("a")?;
            app.send_bytes(b"b")?;
            app.ping(b"c")
        });
    // Four keys a run: the close frame is masked, too.
    for first in [1, 5] {
        app.run_forever_on(dispatcher(), &RunOptions::new()).unwrap().into_result().unwrap();
        let keys: Vec<_> =
            receiver.recv().unwrap().iter().map(|frame| u32::from_be_bytes(frame.mask.unwrap())).collect();
        assert_eq!(keys, [first, first + 1, first + 2]);
    }
}

#[test]
fn b057_the_source_of_entropy_can_be_replaced_for_a_whole_reactor() {
    struct Fixed;
    impl Entropy for Fixed {
        fn next_u32(&mut self) -> u32 {
            0x0101_0101
        }
    }
    let (server, receiver) = reading(1);
    let mut reactor = reactor().entropy(Fixed);
    Log::new()
        .app(server.url())
        .on_open(|app, _| app.send_text("x"))
        .run_on(&mut reactor, &RunOptions::new())
        .unwrap();
    run(&mut reactor);
    assert_eq!(receiver.recv().unwrap()[0].mask, Some([1; 4]));
}

#[test]
fn b058_send_takes_the_opcodes_of_messages_pings_and_pongs() {
    let frames = sent(4, |app| {
        app.send("text", Opcode::Text)?;
        app.send(b"\xff\x00", Opcode::Binary)?;
        app.send("ping", Opcode::Ping)?;
        app.send("pong", Opcode::Pong)?;
        assert_eq!(app.send("\x03\u{68}", Opcode::Close), Err(SendError::CloseIsNotSent));
        assert_eq!(app.send("x", Opcode::Continuation), Err(SendError::NothingToContinue));
        assert_eq!(app.send(b"\xff", Opcode::Text), Err(SendError::NotUtf8));
        Ok(())
    });
    assert_eq!(
        payloads(&frames),
        [
            (frame::TEXT, true, &b"text"[..]),
            (frame::BINARY, true, b"\xff\x00"),
            (frame::PING, true, b"ping"),
            (frame::PONG, true, b"pong"),
        ]
    );
}

#[test]
fn b058_control_frames_carry_at_most_125_bytes() {
    let long = [b'x'; 126];
    let frames = sent(2, move |app| {
        let too_long = Err(SendError::ControlTooLong { len: 126 });
        assert_eq!(app.ping(&long), too_long);
        assert_eq!(app.send(long, Opcode::Ping), too_long);
        assert_eq!(app.send(long, Opcode::Pong), too_long);
        let refused = app.sender().ping(long.to_vec()).unwrap_err();
        assert_eq!((Err(refused.reason), refused.message.as_bytes()), (too_long, &long[..]));
        app.ping(&long[1..])?;
        app.send(&long[1..], Opcode::Pong)
    });
    assert_eq!(payloads(&frames), [(frame::PING, true, &long[1..]), (frame::PONG, true, &long[1..])]);
}

#[test]
fn b059_a_message_can_be_sent_in_fragments() {
    let frames = sent(6, |app| {
        assert_eq!(app.send_fragment(None, b"x", false), Err(SendError::NothingToContinue));
        app.send_fragment(Some(Kind::Text), "€".as_bytes().split_at(1).0, false)?;
        // Whole messages may not be sent in between, control frames may.
        assert_eq!(app.send_text("x"), Err(SendError::InsideFragmented));
        assert_eq!(app.send_fragment(Some(Kind::Binary), b"x", true), Err(SendError::InsideFragmented));
        app.ping(b"between")?;
        app.send_fragment(None, b"", false)?;
        app.send_fragment(None, "€".as_bytes().split_at(1).1, true)?;
        assert_eq!(app.send_fragment(None, b"x", true), Err(SendError::NothingToContinue));
        app.send_fragment(Some(Kind::Binary), b"whole", true)?;
        app.send_text("after")
    });
    assert_eq!(
        payloads(&frames),
        [
            (frame::TEXT, false, &b"\xe2"[..]),
            (frame::PING, true, b"between"),
            (frame::CONTINUATION, false, b""),
            (frame::CONTINUATION, true, b"\x82\xac"),
            (frame::BINARY, true, b"whole"),
            (frame::TEXT, true, b"after"),
        ]
    );
}

#[test]
fn b060_lengths_take_the_shortest_form() {
    let headers: [(usize, &[u8]); 7] = [
        (0, &[0x82, 0x80]),
        (125, &[0x82, 0x80 | 125]),
        (126, &[0x82, 0x80 | 126, 0, 126]),
        (127, &[0x82, 0x80 | 126, 0, 127]),
        (65_535, &[0x82, 0x80 | 126, 0xff, 0xff]),
        (65_536, &[0x82, 0x80 | 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        (70_000, &[0x82, 0x80 | 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70]),
    ];
    let server = ScriptedServer::start(move |mut peer| {
        peer.accept_upgrade();
        for (len, header) in headers {
            assert_eq!(peer.read_exact(header.len()), header, "{len}");
            assert_eq!(peer.read_exact(4), [1, 2, 3, 4]);
            let mut payload = peer.read_exact(len);
            frame::apply_mask([1, 2, 3, 4], 0, &mut payload);
            assert!(payload.iter().enumerate().all(|(index, byte)| *byte == index as u8));
        }
        peer.send_close(1000, "");
        peer.read_close();
    })
    .unwrap();
    let outcome = Log::new()
        .app(server.url())
        .mask_key(|| [1, 2, 3, 4])
        .on_open(move |app, _| {
            headers.iter().try_for_each(|(len, _)| {
                let payload: Vec<_> = (0..*len).map(|index| index as u8).collect();
                app.send_bytes(&payload)
            })
        })
        .run_forever_on(dispatcher(), &RunOptions::new())
        .unwrap();
    assert!(!outcome.is_error());
}

#[test]
fn b061_an_opcode_that_does_not_exist_cannot_be_sent() {
    // Reserved bits and a FIN of 2 cannot even be written down; an opcode from a number can be wrong.
    for bits in 0..=u8::MAX {
        let opcode = Opcode::try_from(bits);
        match bits {
            0..=2 | 8..=10 => assert_eq!(opcode.unwrap() as u8, bits),
            _ => assert_eq!(opcode, Err(ProtocolError::UnknownOpcode(bits))),
        }
    }
}

/// A message that is not the same anywhere.
fn large(len: usize) -> Vec<u8> {
    (0..len as u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// Reads 20 MB that leave in pieces, after `before` has been done.
fn reading_late(before: impl Fn(&mut Peer) + Send + Sync + 'static) -> ScriptedServer {
    ScriptedServer::start(move |mut peer| {
        peer.accept_upgrade();
        before(&mut peer);
        let frame = peer.read_frame();
        assert!(frame.opcode == frame::BINARY && frame.payload == large(20_000_000));
        peer.send_close(1000, "");
        peer.read_close();
    })
    .unwrap()
}

#[test]
fn b062_twenty_megabytes_arrive_whole() {
    let server = reading_late(|_| {});
    let outcome = Log::new()
        .app(server.url())
        .on_open(|app, _| app.send_bytes(large(20_000_000)))
        .run_forever_on(dispatcher(), &RunOptions::new())
        .unwrap();
    assert!(!outcome.is_error());
}

#[test]
fn b063_a_server_that_does_not_read_holds_up_neither_the_loop_nor_the_callback() {
    let (read_on, wait) = mpsc::channel();
    let wait = std::sync::Mutex::new(wait);
    // The server reads only after the app's timers have fired, which they could not if sending blocked.
    let server = reading_late(move |_| wait.lock().unwrap().recv().unwrap());
    let log = Log::new();
    let ticks = Rc::new(Cell::new(0));
    log.app(server.url())
        .on_open(move |app, _| {
            let (ticks, read_on) = (ticks.clone(), read_on.clone());
            app.set_interval(Duration::from_millis(1), move |app| {
                ticks.set(ticks.get() + 1);
                if ticks.get() == 5 {
                    assert!(app.queued_bytes() > 1_000_000);
                    read_on.send(()).unwrap();
                }
            });
            app.send_bytes(large(20_000_000))
        })
        .run_forever_on(dispatcher(), &RunOptions::new())
        .unwrap()
        .into_result()
        .unwrap();
    assert_eq!(log.lines(), ["drain", "close 1000, by server, clean"]);
}

#[test]
fn b063_what_exceeds_the_bound_is_refused_with_figures_and_fits_when_on_drain_comes() {
    let options = RunOptions::new().max_queued_bytes(10_000);
    let mut net = Faults::default();
    net.send_buffer = 1000;
    let mut world = World::on(SimNet::new(1).with_faults(net));
    let log = Log::new();
    let drain = log.clone();
    let app = log
        .app(URL)
        .on_open(|app, _| {
            app.send_bytes([1; 6000])?;
            let refused = app.send_bytes([2; 6000]);
            assert_eq!(refused, Err(SendError::QueueFull { queued: 6008, len: 6014, limit: 10_000 }));
            assert_eq!(
                app.send_bytes([0; 10_000]).map_err(|error| error.to_string().contains("10000")),
                Err(true)
            );
            Ok::<_, SendError>(())
        })
        .on_drain(move |app| {
            drain.push(format!("drain, {} queued", app.queued_bytes()));
            if drain.lines().len() == 1 { app.send_bytes([2; 6000]) } else { Ok(()) }
        });
    let peer = world.open(app, &options);
    let mut payloads = Vec::new();
    for _ in 0..20 {
        payloads.extend(peer.read_available());
        world.settle();
    }
    let mut decoder = frame::Decoder::new();
    decoder.feed(&payloads);
    assert_eq!(decoder.next_frame().unwrap().payload, [1; 6000]);
    assert_eq!(decoder.next_frame().unwrap().payload, [2; 6000]);
    assert_eq!(log.lines(), ["drain, 0 queued"; 2]);
}

#[test]
fn a_request_that_leaves_in_pieces_calls_no_on_drain_before_on_open() {
    let mut faults = Faults::default();
    faults.send_buffer = 50;
    let mut world = World::on(SimNet::new(1).with_faults(faults));
    let log = Log::new();
    let listener = world.net.listen(SERVER);
    log.app(URL).run_on(&mut world.reactor, &RunOptions::new()).unwrap();
    world.settle();
    let peer = listener.accept().unwrap();
    while peer.accept_upgrade().is_none() {
        world.settle();
    }
    world.settle();
    assert_eq!(log.lines(), ["open"]);
}

#[test]
fn b223_every_close_code_has_a_name() {
    // 1004 is reserved, 1014 was registered after the others: it is a number here.
    for code in (1000..=1015).filter(|code| ![1004, 1014].contains(code)) {
        let named = CloseCode::from(code);
        assert_eq!(u16::from(named), code);
        assert!(!matches!(named, CloseCode::Bad(_) | CloseCode::Reserved(_)), "{code} is {named:?}");
    }
}

#[test]
fn b064_threads_share_a_handle_that_queues_and_the_loop_alone_writes() {
    fn shared<T: Clone + Send + Sync + 'static>(it: &T) -> T {
        it.clone()
    }
    const THREADS: usize = 4;
    const MESSAGES: usize = 250;
    let server = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        let mut next = [0; THREADS];
        for _ in 0..THREADS * MESSAGES {
            let text = peer.read_frame().text();
            let (thread, number) = text.split_once(' ').unwrap();
            let next = &mut next[thread.parse::<usize>().unwrap()];
            assert_eq!(number, next.to_string(), "in the order of the thread");
            *next += 1;
        }
        assert_eq!(peer.read_close(), Some((1000, String::new())));
        peer.send_close(1000, "");
    })
    .unwrap();
    let outcome = Log::new()
        .app(server.url())
        .on_open(|app, _| {
            let sender = app.sender();
            let threads: [_; THREADS] = std::array::from_fn(|thread| {
                let sender = shared(&sender);
                thread::spawn(move || {
                    (0..MESSAGES).for_each(|number| sender.send_text(format!("{thread} {number}")).unwrap());
                })
            });
            let last = shared(&sender);
            thread::spawn(move || {
                threads.into_iter().for_each(|thread| thread.join().unwrap());
                last.close();
            });
        })
        .run_forever_on(dispatcher(), &RunOptions::new())
        .unwrap();
    assert!(!outcome.is_error());
}

/// A world whose sockets take 1000 bytes that the server has not read, with an app that sends 5000, and the server's end.
fn stuck(log: &Log, options: &RunOptions) -> (World, SimPeer) {
    let mut faults = Faults::default();
    faults.send_buffer = 1000;
    let mut world = World::on(SimNet::new(1).with_faults(faults));
    let peer = world.open(log.app(URL).on_open(|app, _| app.send_bytes([7; 5000])), options);
    (world, peer)
}

#[test]
fn b065_b070_a_server_that_takes_nothing_for_write_timeout_is_a_typed_timeout() {
    let log = Log::new();
    // Keep-alive cannot tell: its ping waits behind the rest.
    let options = RunOptions::new().write_timeout(20 * SECOND).ping_interval(5 * SECOND).ping_timeout(SECOND);
    let (mut world, peer) = stuck(&log, &options);
    world.run_for(19 * SECOND);
    assert!(log.lines().is_empty() && peer.ended().is_none());
    world.run_for(SECOND);
    assert_eq!(log.lines(), ["error Timeout(Write)", "close: Timeout(Write)"]);
    assert!(peer.ended().is_some());
}

#[test]
fn b065_each_byte_that_the_server_takes_gives_it_more_time() {
    let log = Log::new();
    let (mut world, peer) = stuck(&log, &RunOptions::new().write_timeout(20 * SECOND));
    for _ in 0..5 {
        world.run_for(19 * SECOND);
        assert_eq!(peer.read_available().len(), 1000);
    }
    world.run_for(100 * SECOND);
    assert_eq!((log.lines(), peer.read_available().len()), (vec!["drain".into()], 8));
}

#[test]
fn b066_strings_leave_as_utf8_whatever_their_opcode() {
    let frames = sent(2, |app| {
        app.send("ü€", Opcode::Binary)?;
        app.send(String::from("ü€"), Opcode::Ping)
    });
    assert_eq!(
        payloads(&frames),
        [(frame::BINARY, true, "ü€".as_bytes()), (frame::PING, true, "ü€".as_bytes())]
    );
}

#[test]
fn b067_writes_that_would_block_or_stop_short_are_taken_up_again() {
    for seed in 0..50 {
        let mut world = World::on(SimNet::new(seed).with_faults(Faults::rough()));
        let seen = Rc::new(RefCell::new(Vec::new()));
        let keep = seen.clone();
        world.net.serve_arrivals(SERVER, move |peer| {
            peer.accept_upgrade();
            for frame in frames(peer) {
                if frame.opcode == frame::CLOSE {
                    peer.write(&frame::close(1000, ""));
                    peer.close();
                } else {
                    assert_eq!(frame.fault(), None);
                    keep.borrow_mut().push(frame.payload);
                }
            }
        });
        let log = Log::new();
        log.app(URL)
            .on_open(|app, _| {
                (0..20).try_for_each(|number| app.send_bytes(large(number * 100)))?;
                app.close();
                Ok::<_, SendError>(())
            })
            .run_on(&mut world.reactor, &RunOptions::new().close_timeout(Duration::from_secs(3600)))
            .unwrap();
        world.reactor.run().unwrap();
        let expected: Vec<_> = (0..20).map(|number| large(number * 100)).collect();
        assert!(*seen.borrow() == expected, "seed {seed}");
        assert_eq!(log.lines().last().unwrap(), "close 1000, by client, clean", "seed {seed}");
    }
}

#[test]
fn b067_what_the_system_says_about_a_broken_connection_is_handed_on_as_it_is() {
    let server = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        peer.read_frame();
        peer.reset();
    })
    .unwrap();
    let log = Log::new();
    let outcome = log
        .app(server.url())
        .on_open(|app, _| app.send_text("x"))
        .run_forever_on(dispatcher(), &RunOptions::new())
        .unwrap();
    assert!(
        matches!(outcome, Outcome::Lost(Error::Io(ref error)) if error.kind() == io::ErrorKind::ConnectionReset),
        "{outcome:?}"
    );
    assert_eq!(log.lines(), ["error Io(ConnectionReset)", "close: Io(ConnectionReset)"]);
}

#[test]
fn b068_flush_writes_what_the_socket_takes_and_returns() {
    let mut faults = Faults::default();
    faults.send_buffer = 1000;
    let mut world = World::on(SimNet::new(1).with_faults(faults));
    let left = Rc::new(Cell::new(0));
    let keep = left.clone();
    let app = Log::new().app(URL).on_open(move |app, _| {
        app.send_bytes([7; 5000])?;
        app.flush().unwrap();
        keep.set(app.queued_bytes());
        Ok::<_, SendError>(())
    });
    let peer = world.open(app, &RunOptions::new());
    assert_eq!(left.get(), 5008 - 1000);
    assert_eq!(peer.read_available().len(), 1000);
}

#[test]
fn what_is_sent_in_one_callback_leaves_in_one_write() {
    let mut world = World::new();
    let app = Log::new().app(URL).mask_key(|| [0; 4]).on_open(|app, _| {
        app.send_text("a")?;
        app.send_text("b")?;
        app.ping(b"c")
    });
    let peer = world.open(app, &RunOptions::new());
    assert_eq!(peer.read_available(), [plain(0x81, b"a"), plain(0x81, b"b"), plain(0x89, b"c")].concat());
}

#[test]
fn a_peer_on_the_same_reactor_can_be_sent_to() {
    let mut world = World::new();
    let first = world.open(Log::new().app(URL), &RunOptions::new());
    let id = world.reactor.apps().ids()[0];
    let app = Log::new().app(URL).on_open(move |app, _| {
        app.apps().with(id, |peer| peer.send_text("from a peer")).unwrap()?;
        app.send_text("from itself")
    });
    let second = world.open(app, &RunOptions::new());
    until(&mut world.reactor, |_| true);
    let (first, second) = (frames(&first), frames(&second));
    assert_eq!((first[0].text(), second[0].text()), ("from a peer".into(), "from itself".into()));
    assert_eq!((first.len(), second.len()), (1, 1));
}

#[test]
fn the_first_sender_of_an_app_that_has_just_ended_knows_that() {
    let mut world = World::new();
    let refused = Rc::new(RefCell::new(Vec::new()));
    let list = refused.clone();
    let app = WebSocketApp::new(URL).on_close(move |app, _| {
        let sender = app.sender();
        list.borrow_mut().push((app.state(), sender.send_text("late").unwrap_err().reason));
        assert!(sender.reactor().is_none() && !sender.is_open());
    });
    app.run_on(&mut world.reactor, &RunOptions::new()).unwrap();
    world.reactor.run().unwrap();
    assert_eq!(*refused.borrow(), [(State::Closed, SendError::NotOpen(State::Closed))]);
}

#[test]
fn a_sender_tells_the_state_for_which_a_message_is_refused() {
    let reason = |sender: &Sender| sender.send_text("no").unwrap_err().reason;
    let mut world = World::new();
    let listener = world.net.listen(SERVER);
    let mut app = WebSocketApp::new(URL);
    let sender = app.sender();
    assert_eq!(reason(&sender), SendError::NotOpen(State::Connecting));
    app.run_on(&mut world.reactor, &RunOptions::new().reconnect(SECOND)).unwrap();
    world.settle();
    assert_eq!(reason(&sender), SendError::NotOpen(State::Connecting));
    listener.accept().unwrap().reset();
    world.settle();
    assert_eq!(reason(&sender), SendError::WaitingToReconnect, "while it waits to connect again");
    world.run_for(SECOND);
    assert_eq!(reason(&sender), SendError::NotOpen(State::Connecting));
    let peer = listener.accept().unwrap();
    peer.accept_upgrade().unwrap();
    world.settle();
    sender.send_text("yes").unwrap();
    sender.close();
    world.settle();
    assert_eq!(reason(&sender), SendError::NotOpen(State::Closing));
    peer.shutdown();
    world.settle();
    assert_eq!(reason(&sender), SendError::NotOpen(State::Closed));
}
