//! Compressed messages (permessage-deflate) between an app and a server that compresses too.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::mpsc;
use std::time::Duration;

use websocket_app::{
    CloseCode, Deflate, DeflateError, DeflateOffer, Error, Kind, Outcome, OwnedMessage, ProtocolError,
    RunOptions, UpgradeError, WebSocketApp,
};
use websocket_testkit::deflate::Codec;
use websocket_testkit::frame::{self, Frame};
use websocket_testkit::server::{Peer, ScriptedServer};
use websocket_testkit::sim::{Faults, SimNet};
use websocket_tests::{Log, URL, World, run_forever};

const EXTENSIONS: &str = "Sec-WebSocket-Extensions";

/// Text that compresses.
fn text(len: usize) -> String {
    (0..len).map(|index| if index % 7 == 0 { 'ß' } else { 'a' }).collect()
}

fn accept(peer: &mut Peer, answer: &str) -> String {
    let request = peer.accept_upgrade_with(&[&format!("{EXTENSIONS}: {answer}")]);
    request.header(EXTENSIONS).unwrap_or_default().to_owned()
}

/// Sends every message back, compressed, in two fragments with a ping between; ends with the client.
fn echo(peer: &mut Peer, answer: &str) {
    accept(peer, answer);
    let mut codec = Codec::new(answer);
    let mut message: Vec<Frame> = Vec::new();
    loop {
        let frame = peer.read_any_frame();
        assert!(frame.mask.is_some() && frame.shortest);
        match frame.opcode {
            frame::CLOSE => {
                peer.send_close(1000, "");
                peer.shutdown();
                return;
            }
            frame::PONG => continue,
            _ => message.push(frame),
        }
        if !message.last().is_some_and(|frame| frame.fin) {
            continue;
        }
        let (opcode, rsv) = (message[0].opcode, message[0].rsv);
        assert!(message[1..].iter().all(|frame| frame.rsv == 0));
        let payload: Vec<u8> = message.drain(..).flat_map(|frame| frame.payload).collect();
        let plain = if rsv == 4 { codec.inflate(&payload) } else { payload };
        let compressed = codec.compress(&plain);
        let (first, second) = compressed.split_at(compressed.len() / 2);
        peer.send_frame(false, 4, opcode, first);
        peer.send_ping(b"between");
        peer.send_frame(true, 0, frame::CONTINUATION, second);
    }
}

#[test]
fn messages_come_back_in_every_mode() {
    for parameters in [
        "",
        "; server_no_context_takeover",
        "; client_no_context_takeover",
        "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9",
        "; client_max_window_bits=8; server_max_window_bits=12",
    ] {
        let answer = format!("permessage-deflate{parameters}");
        let server = ScriptedServer::start(move |mut peer| echo(&mut peer, &answer)).unwrap();
        let log = Log::new();
        let (open, messages) = (log.clone(), log.clone());
        let mut app = WebSocketApp::new(server.url())
            .on_open(move |app, opened| {
                open.push(format!("{}", opened.response.deflate.is_some()));
                app.send_text(text(70_000))?;
                app.send_bytes([7; 200_000])?;
                app.send_fragment(Some(Kind::Text), b"three ", false)?;
                app.send_fragment(None, b"small ", false)?;
                app.send_fragment(None, b"pieces", true)?;
                app.set_compression(false);
                app.send_text(text(1000))?;
                app.set_compression(true);
                app.send_text("")
            })
            .on_message(move |app, message| {
                messages.push(match message.as_text() {
                    Some(text) if text.len() < 100 => format!("text {text:?}"),
                    Some(same) => format!("text {} {}", same.len(), same == text(same.chars().count())),
                    None => format!("binary {}", message.as_bytes() == [7; 200_000]),
                });
                if message.is_empty() {
                    app.close();
                }
            });
        let outcome = run_forever(&mut app, &RunOptions::new().compression(Deflate::new())).unwrap();
        assert!(!outcome.is_error(), "{parameters}: {outcome:?}");
        let expected = [
            "true",
            "text 80000 true",
            "binary true",
            "text \"three small pieces\"",
            "text 1143 true",
            "text \"\"",
        ];
        assert_eq!(log.take(), expected, "{parameters}");
        server.join();
    }
}

#[test]
fn nothing_is_offered_unless_it_is_asked_for() {
    let (tell, told) = mpsc::channel();
    let server = ScriptedServer::start(move |mut peer| {
        let request = peer.accept_upgrade();
        tell.send(request.header(EXTENSIONS).map(str::to_owned)).unwrap();
        peer.send_close(1000, "");
    })
    .unwrap();
    run_forever(&mut WebSocketApp::new(server.url()), &RunOptions::new()).unwrap().into_result().unwrap();
    assert_eq!(told.recv().unwrap(), None);
    let offers = Deflate::with_offers([
        DeflateOffer::new().server_no_context_takeover(),
        DeflateOffer::new().without_client_max_window_bits(),
    ]);
    // The server may take none.
    let outcome = run_forever(&mut WebSocketApp::new(server.url()), &RunOptions::new().compression(offers));
    assert!(!outcome.unwrap().is_error());
    let offered =
        "permessage-deflate; server_no_context_takeover; client_max_window_bits, permessage-deflate";
    assert_eq!(told.recv().unwrap().unwrap(), offered);
    server.join();
}

#[test]
fn an_answer_that_does_not_fit_fails_before_any_message() {
    let server = ScriptedServer::start(|mut peer| {
        accept(&mut peer, "permessage-deflate; server_max_window_bits=16");
        let _ = peer.try_write(&frame::text("too early"));
        peer.read_to_end();
    })
    .unwrap();
    let log = Log::new();
    let (open, message) = (log.clone(), log.clone());
    let mut app = WebSocketApp::new(server.url())
        .on_open(move |_, _| open.push("open"))
        .on_message(move |_, _| message.push("message"))
        .on_error(|_, _| {});
    let outcome = run_forever(&mut app, &RunOptions::new().compression(Deflate::new())).unwrap();
    let Outcome::Lost(Error::Upgrade(UpgradeError::Deflate(error))) = outcome else { panic!("{outcome:?}") };
    let parameter = "server_max_window_bits";
    assert_eq!(error, DeflateError::InvalidWindowBits { parameter, value: Some("16".to_owned()) });
    assert!(error.to_string().contains("allowed are 8 to 15"));
    assert_eq!(log.take(), [""; 0]);
    server.join();
}

#[test]
fn options_that_cannot_be_are_refused_before_any_io() {
    for deflate in [Deflate::new().level(10), DeflateOffer::new().client_max_window_bits(7).into()] {
        let options = RunOptions::new().compression(deflate);
        let error = run_forever(&mut WebSocketApp::new("ws://127.0.0.1:1/"), &options).unwrap_err();
        assert!(matches!(error, Error::Options(_)), "{error}");
    }
}

#[test]
fn a_bomb_ends_with_1009_and_garbage_with_1007() {
    for (bomb, code) in [(true, 1009), (false, 1007)] {
        let server = ScriptedServer::start(move |mut peer| {
            accept(&mut peer, "permessage-deflate");
            let payload = if bomb {
                Codec::new("permessage-deflate").compress(&vec![0; 20 << 20])
            } else {
                vec![0xff; 100]
            };
            peer.send_frame(true, 4, frame::BINARY, &payload);
            assert_eq!(peer.read_close().unwrap().0, code);
            peer.shutdown();
            peer.read_to_end();
        })
        .unwrap();
        let options = RunOptions::new().compression(Deflate::new()).max_message_size(1 << 20);
        let mut app = WebSocketApp::new(server.url())
            .on_message(|_, message| assert!(message.is_empty(), "it is delivered"))
            .on_error(|_, _| {});
        let outcome = run_forever(&mut app, &options).unwrap();
        let Outcome::Lost(Error::Protocol(breach)) = outcome else { panic!("{outcome:?}") };
        assert_eq!(breach.close_code(), CloseCode::from(code));
        assert_eq!(matches!(breach, ProtocolError::MessageTooBig { .. }), bomb);
        server.join();
    }
}

/// Bytes that each become about a thousand.
fn bomb(len: usize) -> Vec<u8> {
    Codec::new(ANSWER).compress(&vec![0; len])
}

const ANSWER: &str = "permessage-deflate; server_no_context_takeover";

/// Sends a megabyte that came as a kilobyte, and then `frames`. Returns the lengths of the messages that came of these in each turn.
fn turns_for(frames: &[u8], messages: usize) -> Vec<Vec<usize>> {
    let mut world = World::new();
    let log = Log::new();
    let lengths = log.clone();
    let app = WebSocketApp::new(URL)
        .on_message(move |_, message| lengths.push(message.as_bytes().len().to_string()));
    let listener = world.start(app, &RunOptions::new().compression(Deflate::new()));
    let peer = listener.accept().unwrap();
    peer.accept_upgrade_with(&[&format!("{EXTENSIONS}: {ANSWER}")]).unwrap();
    peer.write(&frame::encode(true, 4, frame::BINARY, &bomb(1 << 20)));
    world.settle();
    assert_eq!(log.take(), ["1048576"]);
    peer.write(frames);
    let mut turns: Vec<Vec<usize>> = Vec::new();
    while turns.iter().map(Vec::len).sum::<usize>() < messages {
        assert!(turns.len() < 1000, "{} turns", turns.len());
        world.reactor.poll(Some(Duration::ZERO)).unwrap();
        turns.push(log.take().iter().map(|length| length.parse().unwrap()).collect());
    }
    turns
}

#[test]
fn messages_that_inflate_a_thousandfold_leave_turns_to_others() {
    let frame = frame::encode(true, 4, frame::BINARY, &bomb(1 << 20));
    assert!(frame.len() > 1000, "{} bytes", frame.len());
    for turn in turns_for(&frame.repeat(200), 200) {
        assert!(turn.len() <= 20, "{} messages in a turn", turn.len());
        assert!(turn.iter().all(|length| *length == 1 << 20));
    }
}

#[test]
fn one_message_that_inflates_a_thousandfold_is_inflated_as_it_comes() {
    let payload = bomb(45 << 20);
    assert!((40 << 10..48 << 10).contains(&payload.len()), "{} bytes", payload.len());
    let turns = turns_for(&frame::encode(true, 4, frame::BINARY, &payload), 1);
    assert!(turns.len() >= 3, "in {} turns", turns.len());
    assert_eq!(turns.concat(), [45 << 20]);
}

#[test]
fn final_blocks_cost_a_turn_what_they_cost_the_inflater() {
    const EMPTY_FINAL_BLOCK: [u8; 2] = [3, 0];
    // The window is full from here on, and each block makes the inflater load it.
    let whole_block = [&*bomb(100_000), &[0, 0, 0xff, 0xff]].concat();
    let first = frame::encode(false, 4, frame::BINARY, &whole_block);
    let last = frame::encode(true, 0, frame::CONTINUATION, &EMPTY_FINAL_BLOCK.repeat(100_000));
    let turns = turns_for(&[first, last].concat(), 1);
    assert!(turns.len() >= 200_000 / (20 << 10), "in {} turns", turns.len());
    assert_eq!(turns.concat(), [100_000]);
}

#[test]
fn what_a_sender_was_promised_comes_back_when_it_was_not_wholly_written() {
    let mut faults = Faults::default();
    faults.send_buffer = 1000;
    let mut world = World::on(SimNet::new(1).with_faults(faults));
    let log = Log::new();
    let close = log.clone();
    let mut app = WebSocketApp::new(URL).on_error(|_, _| {}).on_close(move |_, closed| {
        for message in closed.unsent {
            close.push(format!("{} bytes unsent", message.as_bytes().len()));
        }
    });
    let sender = app.sender();
    let options = RunOptions::new().compression(Deflate::new()).max_queued_bytes(100_000);
    let listener = world.start(app, &options);
    let peer = listener.accept().unwrap();
    peer.accept_upgrade_with(&[&format!("{EXTENSIONS}: permessage-deflate")]).unwrap();
    world.settle();

    // Compressed it fits into the stream whole; the noise behind it does not.
    let noise: Vec<u8> =
        (0..5000_u32).map(|i| (i.wrapping_mul(i).wrapping_mul(0x9e37_79b9) >> 15) as u8).collect();
    sender.send_text(text(20_000)).unwrap();
    sender.send_bytes(noise).unwrap();
    sender.send_text(text(300)).unwrap();
    let too_big = sender.send_text("x".repeat(100_000)).unwrap_err();
    assert_eq!(too_big.message, OwnedMessage::Text("x".repeat(100_000).into()));
    world.settle();
    let first = peer.read_frame().unwrap();
    assert_eq!((first.rsv, first.opcode), (4, frame::TEXT));
    assert_eq!(Codec::new("permessage-deflate").inflate(&first.payload), text(20_000).as_bytes());
    peer.reset();
    world.run_for(Duration::from_secs(1));
    assert_eq!(log.take(), ["5000 bytes unsent", "343 bytes unsent"]);
}
