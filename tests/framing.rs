//! What the server sends: frames however they are cut, breaches of the protocol, limits, UTF-8.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use websocket_app::{CloseCode, Error, Kind, Message, Opcode, Outcome, ProtocolError, RunOptions};
use websocket_testkit::frame::{self, Length};
use websocket_testkit::handshake;
use websocket_testkit::server::{EchoServer, ScriptedServer};
use websocket_testkit::sim::{End, Faults, SimNet};
use websocket_tests::{Log, SERVER, URL, World, dispatcher, outcome_line, reactor, run};

const SECOND: Duration = Duration::from_secs(1);

/// What one breach of the protocol looks like, and what it is.
type Breach = (Vec<u8>, ProtocolError);

/// Limits that are easily passed.
fn narrow() -> RunOptions {
    RunOptions::new().max_frame_size(1000).max_message_size(2000).max_fragments(4)
}

/// Plays each breach to an app of its own, whose URL ends in the breach's number.
fn breaching_server(breaches: Vec<Breach>) -> ScriptedServer {
    ScriptedServer::start(move |mut peer| {
        let request = peer.read_request();
        let (bytes, error) = &breaches[request.path[1..].parse::<usize>().unwrap()];
        peer.accept_upgrade();
        peer.write(bytes);
        let code = u16::from(error.close_code());
        assert_eq!(peer.read_close(), Some((code, error.to_string())), "{bytes:02x?}");
        peer.shutdown();
        peer.expect_eof();
    })
    .unwrap()
}

/// The server reads exactly one close frame with the code of the breach, and the app gets the breach as a typed error, once.
fn assert_refused(code: CloseCode, breaches: Vec<Breach>) {
    let server = breaching_server(breaches.clone());
    for (number, (bytes, error)) in breaches.iter().enumerate() {
        assert_eq!(error.close_code(), code);
        let log = Log::new();
        let outcome =
            log.app(format!("{}{number}", server.url())).run_forever_on(dispatcher(), &narrow()).unwrap();
        let name = format!("Protocol({error:?})");
        assert_eq!(log.lines(), ["open".into(), format!("error {name}"), format!("close: {name}")]);
        assert!(
            matches!(outcome, Outcome::Lost(Error::Protocol(ref lost)) if lost == error),
            "{bytes:02x?} ended in {outcome:?}"
        );
    }
}

fn out_of_sequence() -> Vec<Breach> {
    let begun = frame::encode(false, 0, frame::TEXT, b"begun");
    vec![
        (frame::continuation(true, b"x"), ProtocolError::UnexpectedContinuation),
        (frame::continuation(false, b"x"), ProtocolError::UnexpectedContinuation),
        ([begun.clone(), frame::text("x")].concat(), ProtocolError::UnfinishedMessage),
        ([begun, frame::binary(b"x")].concat(), ProtocolError::UnfinishedMessage),
    ]
}

fn reserved_bits() -> Vec<Breach> {
    (1..8)
        .flat_map(|rsv| [frame::TEXT, frame::PING, frame::CLOSE].map(|opcode| (rsv, opcode)))
        .map(|(rsv, opcode)| (frame::encode(true, rsv, opcode, b""), ProtocolError::ReservedBits(rsv)))
        .collect()
}

fn unknown_opcodes() -> Vec<Breach> {
    [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]
        .map(|opcode| (frame::encode(true, 0, opcode, b"x"), ProtocolError::UnknownOpcode(opcode)))
        .to_vec()
}

fn fragmented_controls() -> Vec<Breach> {
    [(frame::PING, Opcode::Ping), (frame::PONG, Opcode::Pong), (frame::CLOSE, Opcode::Close)]
        .map(|(bits, opcode)| (frame::encode(false, 0, bits, b""), ProtocolError::FragmentedControl(opcode)))
        .to_vec()
}

fn long_controls() -> Vec<Breach> {
    [(frame::PING, Opcode::Ping), (frame::PONG, Opcode::Pong), (frame::CLOSE, Opcode::Close)]
        .map(|(bits, opcode)| {
            (frame::encode(true, 0, bits, &[b'x'; 126]), ProtocolError::ControlTooLong(opcode))
        })
        .to_vec()
}

fn bad_close_bodies() -> Vec<Breach> {
    let codes = [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535];
    let mut breaches: Vec<Breach> =
        codes.map(|code| (frame::close(code, ""), ProtocolError::InvalidCloseCode(code))).to_vec();
    breaches.push((frame::encode(true, 0, frame::CLOSE, &[3]), ProtocolError::CloseBodyTooShort));
    breaches
}

fn masked_frames() -> Vec<Breach> {
    [0x81, 0x82, 0x88, 0x89]
        .map(|first| (frame::masked(first, [1, 2, 3, 4], b""), ProtocolError::MaskedFrame))
        .to_vec()
}

fn long_lengths() -> Vec<Breach> {
    vec![
        (frame::raw(0x82, Length::Bits16, &[0; 125]), ProtocolError::NonMinimalLength(125)),
        (frame::raw(0x82, Length::Bits64, &[0; 126]), ProtocolError::NonMinimalLength(126)),
        (frame::raw(0x82, Length::Claimed64(0xffff), b""), ProtocolError::NonMinimalLength(0xffff)),
        (frame::raw(0x82, Length::Claimed64(1 << 63), b""), ProtocolError::LengthTopBit),
        (frame::raw(0x82, Length::Claimed64(u64::MAX), b""), ProtocolError::LengthTopBit),
    ]
}

/// Every one ends where the breach can first be seen.
fn too_big() -> Vec<Breach> {
    let header_of = |len| frame::raw(0x82, Length::Claimed(len), b"");
    let part = |first| frame::encode(false, 0, first, &[0; 1000]);
    let one_more = frame::raw(0x80, Length::Claimed(1), b"");
    let fragment = frame::continuation(false, b"");
    let fragments = [vec![frame::encode(false, 0, frame::TEXT, b"")], vec![fragment; 4]].concat();
    let frame_too_big = |len| ProtocolError::FrameTooBig { len, limit: 1000 };
    vec![
        (header_of(1 << 40), frame_too_big(1 << 40)),
        (header_of(1001), frame_too_big(1001)),
        (
            [part(frame::BINARY), part(frame::CONTINUATION), one_more].concat(),
            ProtocolError::MessageTooBig { len: 2001, limit: 2000 },
        ),
        (fragments.concat(), ProtocolError::TooManyFragments { limit: 4 }),
    ]
}

/// Every one ends at its first bad byte, inside a frame that announces more, or where the text is cut off.
fn bad_text() -> Vec<Breach> {
    let unfinished = |text: &[u8]| frame::raw(0x81, Length::Claimed(900), text);
    let fragments = |first: &[u8], last: &[u8]| {
        [frame::encode(false, 0, frame::TEXT, first), frame::continuation(true, last)].concat()
    };
    [
        unfinished(b"abc\xff"),
        unfinished(b"a surrogate: \xed\xa0"),
        unfinished(b"beyond the last plane: \xf4\x90"),
        unfinished(b"a slash in two bytes: \xc0"),
        fragments("κόσ".as_bytes(), b"\xce\xce"),
        fragments(b"cut off \xe2", b"\x82"),
        frame::encode(true, 0, frame::TEXT, b"cut off \xf0\x9f\x98"),
    ]
    .map(|bytes| (bytes, ProtocolError::InvalidUtf8))
    .to_vec()
}

fn bad_close_reasons() -> Vec<Breach> {
    let reason = |text: &[u8]| frame::encode(true, 0, frame::CLOSE, &[b"\x03\xe8", text].concat());
    vec![
        (reason(b"bye\xff"), ProtocolError::CloseReasonNotUtf8("bye\u{fffd}".into())),
        (reason(b"\xe2\x82"), ProtocolError::CloseReasonNotUtf8("\u{fffd}".into())),
    ]
}

#[test]
fn b079_frames_out_of_sequence_are_refused_with_1002() {
    assert_refused(CloseCode::Protocol, out_of_sequence());
}

#[test]
fn b080_reserved_bits_are_refused_with_1002() {
    assert_refused(CloseCode::Protocol, reserved_bits());
}

#[test]
fn b081_unknown_opcodes_are_refused_with_1002() {
    assert_refused(CloseCode::Protocol, unknown_opcodes());
}

#[test]
fn b082_b083_fragmented_control_frames_are_refused_with_1002() {
    assert_refused(CloseCode::Protocol, fragmented_controls());
}

#[test]
fn b084_long_control_frames_are_refused_with_1002() {
    assert_refused(CloseCode::Protocol, long_controls());
}

#[test]
fn b085_bad_close_frames_are_refused_with_1002() {
    assert_refused(CloseCode::Protocol, bad_close_bodies());
}

#[test]
fn b046_b085_close_reasons_that_are_not_utf8_are_refused_with_1007_and_kept() {
    assert_refused(CloseCode::Invalid, bad_close_reasons());
}

#[test]
fn b086_masked_frames_are_refused_with_1002() {
    assert_refused(CloseCode::Protocol, masked_frames());
}

#[test]
fn b087_lengths_that_are_too_long_are_refused_with_1002() {
    assert_refused(CloseCode::Protocol, long_lengths());
}

#[test]
fn b088_b089_bad_text_is_refused_with_1007_at_its_first_bad_byte() {
    assert_refused(CloseCode::Invalid, bad_text());
}

#[test]
fn b076_what_is_too_big_is_refused_with_1009_at_its_header() {
    assert_refused(CloseCode::Size, too_big());
}

#[test]
fn a_neighbour_on_the_same_reactor_notices_no_breach() {
    let breaches = [
        out_of_sequence(),
        reserved_bits(),
        unknown_opcodes(),
        fragmented_controls(),
        long_controls(),
        bad_close_bodies(),
        masked_frames(),
        long_lengths(),
        too_big(),
        bad_text(),
        bad_close_reasons(),
    ]
    .concat();
    let (server, echo) = (breaching_server(breaches.clone()), EchoServer::start().unwrap());
    let mut reactor = reactor();
    let left = Rc::new(Cell::new(breaches.len()));
    for number in 0..breaches.len() {
        let left = left.clone();
        Log::new()
            .app(format!("{}{number}", server.url()))
            .on_close(move |_, closed| {
                assert!(matches!(closed.error, Some(Error::Protocol(_))), "{closed:?}");
                left.set(left.get() - 1);
            })
            .run_on(&mut reactor, &narrow())
            .unwrap();
    }
    let log = Log::new();
    let (begun, ended) = (log.clone(), left.clone());
    log.app(echo.url())
        .on_open(move |app, _| app.send_text(begun.lines().len().to_string()))
        .on_message(move |app, message| match ended.get() {
            0 => {
                app.close();
                Ok(())
            }
            _ => app.send_bytes(message.as_bytes()),
        })
        .run_on(&mut reactor, &RunOptions::new())
        .unwrap();
    run(&mut reactor);
    assert_eq!((left.get(), log.lines()), (0, vec!["close 1000, by client, clean".into()]));
}

/// The log of an app whose server sends one byte at a time, each read by itself.
fn dripped(frames: &[Vec<u8>], options: &RunOptions) -> Vec<String> {
    let mut world = World::new();
    let log = Log::new();
    let peer = world.open(log.app(URL), options);
    let mut at = world.net.elapsed();
    for byte in frames.concat() {
        at += Duration::from_micros(1);
        let peer = peer.clone();
        world.net.at(at, move |_| peer.write(&[byte]));
    }
    world.run_until(at);
    peer.shutdown();
    world.settle();
    log.take()
}

#[test]
fn b071_b073_frames_may_come_one_byte_at_a_time() {
    let frames = [
        frame::text("hé€😀"),
        frame::encode(false, 0, frame::BINARY, b"12"),
        frame::ping(b"between"),
        frame::continuation(true, b"345"),
        frame::pong(b""),
        frame::binary(&[7; 300]),
        frame::binary(&[7; 70_000]),
        frame::text(""),
        frame::close(4000, "the end"),
    ];
    assert_eq!(
        dripped(&frames, &RunOptions::new()),
        [
            "open",
            "text hé€😀",
            "ping between",
            "binary 5 bytes",
            "pong ",
            "binary 300 bytes",
            "binary 70000 bytes",
            "text ",
            "close 4000 the end, by server, clean",
        ]
    );
}

#[test]
fn b073_b089_a_breach_is_found_at_its_byte_however_slowly_it_comes() {
    for (bytes, error) in [bad_text(), too_big(), out_of_sequence()].concat() {
        // What follows the breach is ignored.
        let lines = dripped(&[bytes, frame::text("later")], &narrow());
        assert_eq!(lines[1..], [format!("error Protocol({error:?})"), format!("close: Protocol({error:?})")]);
    }
}

#[test]
fn b072_frames_in_the_segment_of_the_response_are_not_lost() {
    let server = ScriptedServer::start(|mut peer| {
        let request = peer.read_request();
        let frames = [frame::text("first"), frame::ping(b"p"), frame::close(1000, "last")].concat();
        peer.write(&[handshake::response(&request, &[]), frames].concat());
        assert_eq!(peer.read_frame().payload, b"p");
        assert_eq!(peer.read_close(), Some((1000, String::new())));
        peer.shutdown();
    })
    .unwrap();
    let log = Log::new();
    log.app(server.url()).run_forever_on(dispatcher(), &RunOptions::new()).unwrap().into_result().unwrap();
    assert_eq!(log.lines(), ["open", "text first", "ping p", "close 1000 last, by server, clean"]);
}

#[test]
fn b072_the_response_itself_may_come_one_byte_at_a_time_with_frames_behind_it() {
    let mut world = World::new();
    let log = Log::new();
    let listener = world.net.listen(SERVER);
    log.app(URL).run_on(&mut world.reactor, &RunOptions::new()).unwrap();
    world.settle();
    let peer = listener.accept().unwrap();
    let response = handshake::response(&peer.read_request().unwrap(), &[]);
    for byte in &response[..response.len() - 1] {
        peer.write(&[*byte]);
        world.settle();
        assert!(log.lines().is_empty());
    }
    peer.write(&[b"\n", frame::text("at once").as_slice(), &frame::text("half")[..3]].concat());
    world.settle();
    assert_eq!(log.take(), ["open", "text at once"]);
    peer.write(&frame::text("half")[3..]);
    world.settle();
    assert_eq!(log.take(), ["text half"]);
}

#[test]
fn b074_a_message_larger_than_any_buffer_comes_whole() {
    let large: Rc<[u8]> = (0..5_000_000_u32).map(|index| ((index * 7) >> 3) as u8).collect();
    let sent = large.to_vec();
    let server = ScriptedServer::start(move |mut peer| {
        peer.accept_upgrade();
        for _ in 0..2 {
            peer.send_binary(&sent);
        }
        peer.send_close(1000, "");
        peer.read_close();
    })
    .unwrap();
    let log = Log::new();
    let seen = log.clone();
    log.app(server.url())
        .on_message(move |_, message| {
            assert!(message.as_bytes() == &*large);
            seen.message(message);
        })
        .run_forever_on(dispatcher(), &RunOptions::new())
        .unwrap()
        .into_result()
        .unwrap();
    assert_eq!(log.count(|line| line == "binary 5000000 bytes"), 2);
    assert_eq!(log.count(|line| line.starts_with("error")), 0);
}

#[test]
fn b075_a_server_that_stalls_inside_a_frame_stalls_nothing_else() {
    let mut world = World::new();
    let log = Log::new();
    let tick = log.clone();
    let app = log.app(URL).on_open(move |app, _| {
        let tick = tick.clone();
        app.set_interval(SECOND, move |_| tick.push("tick"));
    });
    let options = RunOptions::new().ping_interval(4 * SECOND).ping_timeout(SECOND / 2);
    let peer = world.open(app, &options);
    peer.write(&frame::text("stalled")[..4]);
    world.run_for(4 * SECOND);
    assert_eq!(peer.read_frame().unwrap().opcode, frame::PING);
    world.run_for(SECOND);
    let expected = ["tick", "tick", "tick", "tick", "error Timeout(Pong)", "close: Timeout(Pong)"];
    assert_eq!((log.take(), peer.ended()), (expected.map(str::to_owned).to_vec(), Some(End::Fin)));
}

#[test]
fn b075_an_app_can_be_closed_while_the_server_stalls_inside_a_frame() {
    let mut world = World::new();
    let log = Log::new();
    let mut app = log.app(URL);
    let sender = app.sender();
    let peer = world.open(app, &RunOptions::new());
    peer.write(&frame::text("stalled")[..4]);
    world.settle();
    sender.close();
    world.settle();
    assert_eq!(peer.read_frame().unwrap().close(), Some((1000, String::new())));
    peer.write(&[&frame::text("stalled")[4..], &frame::close(1000, "")].concat());
    peer.shutdown();
    world.settle();
    assert_eq!(log.lines(), ["open", "text stalled", "close 1000, by client, clean"]);
}

#[test]
fn b077_b032_fragments_are_put_together_with_pings_answered_between_them() {
    const FRAGMENTS: usize = 1000;
    let server = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        peer.send_frame(false, 0, frame::TEXT, "0€".as_bytes());
        for number in 1..FRAGMENTS {
            peer.send_ping(number.to_string().as_bytes());
            peer.send_frame(number == FRAGMENTS - 1, 0, frame::CONTINUATION, format!("{number}€").as_bytes());
        }
        for number in 1..FRAGMENTS {
            let pong = peer.read_frame();
            assert_eq!((pong.opcode, pong.text()), (frame::PONG, number.to_string()));
        }
        peer.send_close(1000, "");
        peer.read_close();
    })
    .unwrap();
    let log = Log::new();
    log.app(server.url()).run_forever_on(dispatcher(), &RunOptions::new()).unwrap().into_result().unwrap();
    let whole: String = (0..FRAGMENTS).map(|number| format!("{number}€")).collect();
    let texts: Vec<_> = log.lines().into_iter().filter(|line| line.starts_with("text ")).collect();
    assert_eq!(texts, [format!("text {whole}")]);
    assert_eq!(log.count(|line| line.starts_with("ping ")), FRAGMENTS - 1);
}

/// A server of a whole text, a text and a binary message in fragments, and a whole binary message.
fn messages() -> ScriptedServer {
    ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        peer.send_text("whole");
        peer.send_frame(false, 0, frame::TEXT, b"a\xe2\x82");
        peer.send_frame(false, 0, frame::CONTINUATION, b"");
        peer.send_frame(true, 0, frame::CONTINUATION, b"\xacz");
        peer.send_frame(false, 0, frame::BINARY, b"\xff");
        peer.send_frame(true, 0, frame::CONTINUATION, b"\xfe");
        peer.send_binary(b"\x00");
        peer.send_close(1000, "");
        peer.read_close();
    })
    .unwrap()
}

#[test]
fn b025_b027_on_data_tells_the_opcode_of_the_message_before_on_message() {
    let server = messages();
    let log = Log::new();
    let data = log.clone();
    log.app(server.url())
        .on_data(move |_, payload, opcode, part| {
            data.push(format!("data {} {opcode:?} {}", payload.len(), part.is_last()));
        })
        .run_forever_on(dispatcher(), &RunOptions::new())
        .unwrap()
        .into_result()
        .unwrap();
    assert_eq!(
        log.lines()[1..9],
        [
            "data 5 Text true",
            "text whole",
            "data 5 Text true",
            "text a€z",
            "data 2 Binary true",
            "binary 2 bytes",
            "data 1 Binary true",
            "binary 1 bytes",
        ]
    );
}

#[test]
fn b026_b028_b078_on_cont_message_gets_every_fragment_and_on_message_the_whole_messages() {
    let server = messages();
    let log = Log::new();
    let (data, cont) = (log.clone(), log.clone());
    log.app(server.url())
        .on_data(move |_, payload, opcode, part| {
            data.push(format!("data {} {opcode:?} {}", payload.len(), part.is_last()));
        })
        .on_cont_message(move |_, it| {
            let kind = if it.kind == Kind::Text { "text" } else { "binary" };
            cont.push(format!("{kind} {:x?} first={} last={}", it.payload, it.first, it.last));
        })
        .run_forever_on(dispatcher(), &RunOptions::new())
        .unwrap()
        .into_result()
        .unwrap();
    assert_eq!(
        log.lines()[1..15],
        [
            "data 5 Text true",
            "text whole",
            "data 3 Text false",
            "text [61, e2, 82] first=true last=false",
            "data 0 Text false",
            "text [] first=false last=false",
            "data 2 Text true",
            "text [ac, 7a] first=false last=true",
            "data 1 Binary false",
            "binary [ff] first=true last=false",
            "data 1 Binary true",
            "binary [fe] first=false last=true",
            "data 1 Binary true",
            "binary 1 bytes",
        ]
    );
}

#[test]
fn b029_fragments_of_text_are_checked_across_their_borders() {
    let bytes =
        [frame::encode(false, 0, frame::TEXT, b"ok\xe2"), frame::continuation(false, b"\x82\x28")].concat();
    let server = breaching_server(vec![(bytes, ProtocolError::InvalidUtf8)]);
    let log = Log::new();
    let cont = log.clone();
    log.app(format!("{}0", server.url()))
        .on_cont_message(move |_, it| cont.push(format!("{:x?}", it.payload)))
        .run_forever_on(dispatcher(), &RunOptions::new())
        .unwrap()
        .into_result()
        .unwrap_err();
    assert_eq!(
        log.lines(),
        ["open", "[6f, 6b, e2]", "error Protocol(InvalidUtf8)", "close: Protocol(InvalidUtf8)"]
    );
}

#[test]
fn b086_b087_masked_frames_and_long_lengths_are_taken_where_that_is_asked_for() {
    let frames = [
        frame::masked(0x81, [1, 2, 3, 4], b"masked"),
        frame::masked(0x82, [0; 4], &[7; 70_000]),
        frame::raw(0x81, Length::Bits16, b"long"),
        frame::raw(0x81, Length::Bits64, b"longer"),
        frame::masked(0x88, [9, 8, 7, 6], b"\x03\xe8"),
    ];
    let options = RunOptions::new().accept_masked_frames(true).accept_non_minimal_lengths(true);
    let lines = dripped(&frames, &options);
    let expected =
        ["text masked", "binary 70000 bytes", "text long", "text longer", "close 1000, by server, clean"];
    assert_eq!(lines[1..], expected);
}

#[test]
fn b090_a_large_text_is_checked_to_its_last_byte() {
    const LEN: usize = 8 << 20;
    let server = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        let mut text = "€".repeat(LEN / 3).into_bytes();
        peer.send_frame(true, 0, frame::TEXT, &text);
        text.pop();
        peer.send_frame(true, 0, frame::TEXT, &text);
        assert_eq!(peer.read_close(), Some((1007, ProtocolError::InvalidUtf8.to_string())));
    })
    .unwrap();
    let log = Log::new();
    let seen = log.clone();
    let outcome = log
        .app(server.url())
        .on_message(move |_, message| seen.push(format!("{} bytes", message.len())))
        .run_forever_on(dispatcher(), &RunOptions::new())
        .unwrap();
    assert_eq!(log.lines()[1], format!("{} bytes", LEN / 3 * 3));
    assert!(matches!(outcome, Outcome::Lost(Error::Protocol(ProtocolError::InvalidUtf8))));
}

#[test]
fn b091_without_validation_text_comes_as_bytes() {
    let server = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        peer.send_frame(true, 0, frame::TEXT, b"\xff\xfe");
        peer.send_frame(false, 0, frame::TEXT, b"\xed");
        peer.send_frame(true, 0, frame::CONTINUATION, b"\xa0");
        peer.send_text("proper");
        peer.send_close(1000, "");
        peer.read_close();
    })
    .unwrap();
    let texts = Rc::new(RefCell::new(Vec::new()));
    let seen = texts.clone();
    let outcome = Log::new()
        .app(server.url())
        .on_message(move |_, message| {
            let Message::UncheckedText(bytes) = message else { panic!("{message:?}") };
            assert_eq!((message.kind(), message.as_text()), (Kind::Text, None));
            seen.borrow_mut().push(bytes.to_vec());
        })
        .run_forever_on(dispatcher(), &RunOptions::new().skip_utf8_validation(true))
        .unwrap();
    assert_eq!(outcome_line(&outcome), "clean 1000, by Server");
    assert_eq!(*texts.borrow(), [&b"\xff\xfe"[..], b"\xed\xa0", b"proper"]);
}

#[test]
fn b092_after_a_breach_the_stream_is_dropped_when_close_timeout_has_passed() {
    let mut world = World::new();
    let log = Log::new();
    let peer = world.open(log.app(URL), &RunOptions::new().close_timeout(3 * SECOND));
    let breach = ProtocolError::UnknownOpcode(3);
    peer.write(&[frame::encode(true, 0, 3, b""), frame::text("too late")].concat());
    world.run_for(2 * SECOND);
    assert_eq!(peer.read_frame().unwrap().close(), Some((1002, breach.to_string())));
    assert_eq!(
        (peer.ended(), log.take()),
        (None, vec!["open".into(), format!("error Protocol({breach:?})")])
    );
    peer.write(&frame::text("too late, too"));
    world.run_for(SECOND);
    assert_eq!((peer.ended(), log.take()), (Some(End::Fin), vec![format!("close: Protocol({breach:?})")]));
    assert!(peer.read_frame().is_none());
}

#[test]
fn b030_b093_text_is_a_string_binary_is_bytes_and_a_close_frame_is_no_message() {
    let server = messages();
    let seen = Rc::new(RefCell::new((Vec::new(), Vec::new())));
    let keep = seen.clone();
    Log::new()
        .app(server.url())
        .on_message(move |_, message| {
            let (texts, binaries) = &mut *keep.borrow_mut();
            match message {
                Message::Text(text) => texts.push(text.to_owned()),
                Message::Binary(bytes) => binaries.push(bytes.to_owned()),
                Message::UncheckedText(_) => panic!("text was to be checked"),
            }
        })
        .run_forever_on(dispatcher(), &RunOptions::new())
        .unwrap()
        .into_result()
        .unwrap();
    let (texts, binaries) = seen.take();
    assert_eq!(texts, ["whole", "a€z"]);
    assert_eq!(binaries, [&b"\xff\xfe"[..], b"\x00"]);
}

#[test]
fn b095_a_stream_that_ends_is_a_typed_error_wherever_it_ends() {
    for sent in
        [&b""[..], &frame::text("half")[..1], &frame::text("half")[..4], &frame::encode(false, 0, 1, b"x")]
    {
        let sent = sent.to_vec();
        let server = ScriptedServer::start(move |mut peer| {
            peer.accept_upgrade();
            peer.write(&sent);
            peer.shutdown();
            peer.expect_eof();
        })
        .unwrap();
        let log = Log::new();
        let outcome = log.app(server.url()).run_forever_on(dispatcher(), &RunOptions::new()).unwrap();
        assert!(matches!(outcome, Outcome::Lost(Error::EndOfStream)), "{outcome:?}");
        assert_eq!(log.lines(), ["open", "error EndOfStream", "close: EndOfStream"]);
    }
}

#[test]
fn b096_silence_is_a_timeout_and_not_a_loss() {
    let mut world = World::new();
    let log = Log::new();
    let options = RunOptions::new().ping_interval(10 * SECOND).ping_timeout(5 * SECOND);
    let peer = world.open(log.app(URL), &options);
    world.run_for(15 * SECOND);
    assert_eq!(log.lines(), ["open", "error Timeout(Pong)", "close: Timeout(Pong)"]);
    assert_eq!(peer.ended(), Some(End::Fin));
}

#[test]
fn b097_reads_that_would_block_are_repeated_until_everything_is_there() {
    for seed in 0..50 {
        let mut world = World::on(SimNet::new(seed).with_faults(Faults::rough()));
        let log = Log::new();
        world.net.serve_arrivals(SERVER, |peer| {
            if peer.accept_upgrade().is_some() {
                for number in 0..20 {
                    peer.write(&frame::text(&number.to_string()));
                }
                peer.write(&frame::close(1000, ""));
            }
            if peer.read_frame().is_some() {
                peer.close();
            }
        });
        log.app(URL).run_on(&mut world.reactor, &RunOptions::new()).unwrap();
        world.reactor.run().unwrap();
        let texts = (0..20).map(|number| format!("text {number}"));
        let expected: Vec<_> =
            ["open".into()].into_iter().chain(texts).chain(["close 1000, by server, clean".into()]).collect();
        let lines: Vec<_> = log.take().into_iter().filter(|line| line != "drain").collect();
        assert_eq!(lines, expected, "seed {seed}");
    }
}
