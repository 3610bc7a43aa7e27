//! An open connection over TLS, in virtual time: its bytes cut anywhere, its keys changed, its server slow, silent or gone.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use websocket_app::tls::TlsVersion;
use websocket_app::{Close, CloseCode, OwnedMessage, RunOptions, WebSocketApp};
use websocket_testkit::frame;
use websocket_testkit::handshake::response;
use websocket_testkit::sim::{End, Faults, SimNet, Tapped};
use websocket_tests::{Log, SECURE_URL, SecureSimPeer, SecureWorld};

const SECOND: Duration = Duration::from_secs(1);
const VERSIONS: [TlsVersion; 2] = [TlsVersion::Tls12, TlsVersion::Tls13];
/// What TLS 1.3 adds to a record.
const OVERHEAD: usize = 22;

fn world(version: TlsVersion) -> SecureWorld {
    let mut secure = SecureWorld::new();
    secure.options = secure.trust.options_for(version);
    secure
}

/// A world whose streams take so many bytes for a server that does not read.
fn narrow(bytes: usize) -> SecureWorld {
    let mut faults = Faults::default();
    faults.send_buffer = bytes;
    SecureWorld::on(SimNet::new(1).with_faults(faults))
}

/// The frames that come until nothing more does.
fn read_all(secure: &mut SecureWorld, peer: &mut SecureSimPeer) -> Vec<frame::Frame> {
    let mut frames = Vec::new();
    for _ in 0..20 {
        secure.world.settle();
        frames.extend(std::iter::from_fn(|| peer.read_frame()));
    }
    frames
}

/// The response and five messages in one record, then a ping, a message in fragments and a close frame in one each.
fn session(secure: &mut SecureWorld, log: &Log) -> (SecureSimPeer, Vec<u8>) {
    let listener = secure.start(log.app(SECURE_URL));
    let mut peer = secure.arrived(&listener);
    secure.handshake(&mut peer);
    let mut first = response(&peer.side.request().unwrap(), &[]);
    for number in 1..=5 {
        first.extend(frame::text(&number.to_string()));
    }
    let rest = [
        frame::ping(b"p"),
        frame::encode(false, 0, frame::TEXT, "é".as_bytes()),
        frame::continuation(true, b"!"),
        frame::close(1000, "bye"),
    ];
    let mut sealed = peer.side.seal(&first);
    for record in rest {
        sealed.extend(peer.side.seal(&record));
    }
    (peer, sealed)
}

const SESSION: [&str; 9] = [
    "open",
    "text 1",
    "text 2",
    "text 3",
    "text 4",
    "text 5",
    "ping p",
    "text é!",
    "close 1000 bye, by server, clean",
];

#[test]
fn b209_what_came_in_one_packet_is_delivered_at_once() {
    for version in VERSIONS {
        let (mut secure, log) = (world(version), Log::new());
        let (peer, sealed) = session(&mut secure, &log);
        peer.peer.write(&sealed);
        peer.peer.shutdown();
        secure.world.settle();
        assert_eq!(log.lines(), SESSION);
        assert_eq!(secure.world.net.elapsed(), Duration::ZERO);
    }
}

#[test]
fn the_request_shares_a_write_with_the_last_message_of_the_handshake() {
    let mut secure = world(TlsVersion::Tls13);
    let writes = Rc::new(Cell::new(0));
    let written = writes.clone();
    secure.world.net.tap(move |_, what| {
        if matches!(what, Tapped::Written(_)) {
            written.set(written.get() + 1);
        }
    });
    let listener = secure.start(Log::new().app(SECURE_URL));
    let mut peer = secure.arrived(&listener);
    secure.handshake(&mut peer);
    assert!(peer.side.request().is_some());
    assert_eq!(writes.get(), 2, "the client's hello, then all the rest");
}

#[test]
fn records_may_be_cut_at_every_byte() {
    for version in VERSIONS {
        let mut cut = 1;
        loop {
            let (mut secure, log) = (world(version), Log::new());
            let (peer, sealed) = session(&mut secure, &log);
            if cut == sealed.len() {
                break;
            }
            peer.peer.write(&sealed[..cut]);
            secure.world.settle();
            peer.peer.write(&sealed[cut..]);
            peer.peer.shutdown();
            secure.world.settle();
            assert_eq!(log.lines(), SESSION, "{version:?}, cut at {cut}");
            cut += 1;
        }
    }
}

#[test]
fn handshake_and_messages_may_come_byte_by_byte() {
    for version in VERSIONS {
        let (mut secure, log) = (world(version), Log::new());
        let listener = secure.start(log.app(SECURE_URL));
        let mut peer = secure.arrived(&listener);
        let trickle = |secure: &mut SecureWorld, peer: &SecureSimPeer, bytes: &[u8]| {
            for byte in bytes {
                peer.peer.write(&[*byte]);
                secure.world.settle();
            }
        };
        while peer.side.session().is_handshaking() {
            secure.world.settle();
            peer.side.feed(&peer.peer.read_available()).unwrap();
            let answer = peer.side.output();
            trickle(&mut secure, &peer, &answer);
        }
        secure.world.settle();
        peer.receive().unwrap();
        let (_, sealed) = peer.side.seal_response().unwrap();
        trickle(&mut secure, &peer, &sealed);
        let sealed = peer.side.seal(&frame::text("hello"));
        trickle(&mut secure, &peer, &sealed);
        assert_eq!(log.lines(), ["open", "text hello"]);
    }
}

#[test]
fn a_rough_network_changes_nothing_but_the_time() {
    for seed in 0..20 {
        let mut secure = SecureWorld::on(SimNet::new(seed).with_faults(Faults::rough()));
        let log = Log::new();
        let listener = secure.start(log.app(SECURE_URL).on_open(|app, _| app.send_bytes([7; 5000])));
        secure.world.run_for(SECOND);
        let mut peer = secure.arrived(&listener);
        let mut open = false;
        for _ in 0..1000 {
            peer.receive().unwrap();
            if !open && let Some((_, sealed)) = peer.side.seal_response() {
                peer.peer.write(&sealed);
                open = true;
            }
            if open && let Some(it) = peer.read_frame() {
                assert!(it.payload == [7; 5000]);
                peer.write(&frame::binary(&[8; 200_000]));
                break;
            }
            secure.world.run_for(SECOND / 50);
        }
        secure.world.run_for(20 * SECOND);
        assert_eq!(log.lines(), ["drain", "binary 200000 bytes"], "seed {seed}");
    }
}

#[test]
fn b099_new_keys_of_the_server_are_not_noticed() {
    let (mut secure, log) = (world(TlsVersion::Tls13), Log::new());
    let mut peer = secure.open(log.app(SECURE_URL).on_message(|app, message| {
        let text = String::from_utf8_lossy(message.as_bytes()).into_owned();
        app.send_text(&text)
    }));
    for round in 0..5 {
        peer.side.session().refresh_traffic_keys().unwrap();
        let text = format!("round {round}");
        peer.write(&frame::text(&text));
        secure.world.settle();
        assert_eq!(peer.read_frame().unwrap().text(), text);
        // Also while nothing else is said.
        peer.side.session().refresh_traffic_keys().unwrap();
        let update = peer.side.output();
        peer.peer.write(&update);
        secure.world.settle();
    }
    secure.world.in_app(|app| app.send_bytes([1; 70_000])).unwrap();
    secure.world.settle();
    assert_eq!(peer.read_frame().unwrap().payload.len(), 70_000);
    assert_eq!(log.lines(), ["open"]);
}

#[test]
fn an_end_without_close_notify_behind_the_close_frames_is_clean() {
    for (close_notify, reset) in [(true, false), (false, false), (false, true)] {
        let (mut secure, log) = (SecureWorld::new(), Log::new());
        let mut peer = secure.open(log.app(SECURE_URL));
        peer.write(&frame::close(1000, "bye"));
        secure.world.settle();
        assert_eq!(peer.read_frame().unwrap().close(), Some((1000, String::new())));
        match (close_notify, reset) {
            (true, _) => peer.end(),
            (_, true) => peer.peer.reset(),
            _ => peer.peer.shutdown(),
        }
        secure.world.settle();
        assert_eq!(log.lines(), ["open", "close 1000 bye, by server, clean"]);
    }
}

#[test]
fn the_client_closes_with_a_close_frame_then_with_close_notify() {
    let (mut secure, log) = (SecureWorld::new(), Log::new());
    let mut peer = secure.open(log.app(SECURE_URL));
    secure.world.in_app(|app| app.close_with((CloseCode::Normal, "done"))).unwrap();
    secure.world.settle();
    assert_eq!(peer.read_frame().unwrap().close(), Some((1000, "done".to_owned())));
    assert!(!peer.side.client_has_closed());
    peer.write(&frame::close(1000, ""));
    peer.end();
    secure.world.settle();
    peer.receive().unwrap();
    assert!(peer.side.client_has_closed());
    assert_eq!(peer.peer.ended(), Some(End::Fin));
    assert_eq!(log.lines(), ["open", "close 1000, by client, clean"]);
}

#[test]
fn b069_an_end_of_an_open_session_is_a_lost_connection_with_or_without_close_notify() {
    for (close_notify, sending) in [(true, false), (false, false), (true, true), (false, true)] {
        let (mut secure, log) = (narrow(1000), Log::new());
        let mut peer = secure.open(log.app(SECURE_URL));
        peer.write(&frame::text("last words"));
        if sending {
            secure.world.in_app(|app| app.send_bytes([1; 50_000])).unwrap();
        }
        match close_notify {
            true => peer.end(),
            false => peer.peer.shutdown(),
        }
        secure.world.settle();
        assert_eq!(log.lines(), ["open", "text last words", "error EndOfStream", "close: EndOfStream"]);
    }
}

#[test]
fn b069_a_reset_is_told_as_one_after_what_came_before_it() {
    let (mut secure, log) = (SecureWorld::new(), Log::new());
    let mut peer = secure.open(log.app(SECURE_URL));
    peer.write(&frame::text("last words"));
    peer.peer.reset();
    secure.world.settle();
    let reset = ["error Io(ConnectionReset)", "close: Io(ConnectionReset)"];
    assert_eq!(log.lines(), [&["open", "text last words"][..], &reset].concat());
}

#[test]
fn b098_a_damaged_record_is_a_tls_error_and_the_server_is_told() {
    for version in VERSIONS {
        let (mut secure, log) = (world(version), Log::new());
        let mut peer = secure.open(log.app(SECURE_URL));
        let mut sealed = peer.side.seal(&frame::text("whole"));
        let mut damaged = peer.side.seal(&frame::text("damaged"));
        *damaged.last_mut().unwrap() ^= 1;
        sealed.extend(damaged);
        sealed.extend(peer.side.seal(&frame::text("behind it")));
        peer.peer.write(&sealed);
        secure.world.settle();
        let failure = "Tls(Protocol(DecryptError))";
        let expected = ["open", "text whole", &format!("error {failure}"), &format!("close: {failure}")];
        assert_eq!(log.lines(), expected);
        let told = peer.receive().unwrap_err().to_string();
        assert!(told.contains("BadRecordMac"), "{told}");
    }
}

#[test]
fn a_breach_of_the_protocol_inside_is_answered_with_its_close_code() {
    let (mut secure, log) = (SecureWorld::new(), Log::new());
    let mut peer = secure.open(log.app(SECURE_URL));
    // Text that is none, and in the same record what must not be delivered any more.
    let bad = frame::encode(true, 0, frame::TEXT, &[0xFF]);
    peer.write(&[bad, frame::text("behind it")].concat());
    secure.world.settle();
    assert_eq!(peer.read_frame().unwrap().close().map(|(code, _)| code), Some(1007));
    peer.end();
    secure.world.settle();
    assert_eq!(log.count(|line| line.starts_with("text")), 0);
    assert_eq!(log.count(|line| line.starts_with("error Protocol")), 1);
    assert_eq!(log.count(|line| line.starts_with("close")), 1);
}

#[test]
fn b065_what_the_stream_does_not_take_waits_and_on_drain_tells_when_all_is_written() {
    const MESSAGE: usize = 100_000;
    let (mut secure, log) = (narrow(1000), Log::new());
    let drains = log.clone();
    let mut peer = secure.open(log.app(SECURE_URL).on_drain(move |app| {
        drains.push(format!("drain with {} bytes", app.queued_bytes()));
    }));
    secure.world.in_app(|app| app.send_bytes([1; MESSAGE])).unwrap();
    secure.world.settle();
    let first = secure.world.in_app(|app| app.queued_bytes());
    assert!(first > MESSAGE, "nothing counts as written that is not: {first}");
    let mut came = 0;
    while !log.has("drain with 0 bytes") {
        let bytes = peer.peer.read_available();
        came += bytes.len();
        peer.side.feed(&bytes).unwrap();
        let queued = secure.world.in_app(|app| app.queued_bytes());
        // What is queued and what is on its way make up the message, whose records carry more than it.
        assert!(queued + came >= MESSAGE, "{queued} queued, {came} came");
        assert!(queued == 0 || !log.has("drain with 0 bytes"));
        assert!(came < 2 * MESSAGE);
        secure.world.settle();
    }
    assert_eq!(log.lines(), ["open", "drain with 0 bytes"]);
    assert_eq!(read_all(&mut secure, &mut peer)[0].payload, [1; MESSAGE]);
}

/// Opens an app with a sender whose stream takes a thousand bytes; `on_close` logs the lengths of what is unsent.
fn with_sender(log: &Log) -> (SecureWorld, SecureSimPeer, websocket_app::Sender) {
    with_sender_to(log, 1000)
}

/// The same, whose stream takes `window` bytes.
fn with_sender_to(log: &Log, window: usize) -> (SecureWorld, SecureSimPeer, websocket_app::Sender) {
    let mut secure = narrow(window);
    let close = log.clone();
    let mut app = WebSocketApp::new(SECURE_URL).on_error(|_, _| {}).on_close(move |_, closed| {
        let unsent = closed.unsent.iter().map(|it: &OwnedMessage| it.as_bytes().len());
        close.push(format!("unsent {:?}", unsent.collect::<Vec<_>>()));
    });
    let sender = app.sender();
    let peer = secure.open(app);
    (secure, peer, sender)
}

#[test]
fn b129_messages_count_as_sent_once_their_ciphertext_is_written() {
    let log = Log::new();
    let (mut secure, mut peer, sender) = with_sender(&log);
    sender.send_bytes(vec![1; 900 - OVERHEAD]).unwrap();
    secure.world.settle();
    assert_eq!(sender.queued_bytes(), 0);
    assert_eq!(peer.read_frame().unwrap().payload.len(), 900 - OVERHEAD);
    // The plaintext would have found room, the record does not.
    sender.send_bytes(vec![2; 1000 - 8]).unwrap();
    secure.world.settle();
    assert!(sender.queued_bytes() >= 1000);
    peer.peer.reset();
    secure.world.settle();
    assert_eq!(log.lines(), [format!("unsent [{}]", 1000 - 8)]);
    assert_eq!(sender.queued_bytes(), 0);
}

#[test]
fn b129_what_the_server_can_read_is_not_handed_back() {
    let log = Log::new();
    let (mut secure, mut peer, sender) = with_sender_to(&log, 40_000);
    for _ in 0..5 {
        sender.send_bytes(vec![1; 10_000]).unwrap();
    }
    secure.world.settle();
    // The stream has taken two whole records and a part of the third: three messages are in them.
    for _ in 0..3 {
        assert_eq!(peer.read_frame().unwrap().payload.len(), 10_000);
    }
    peer.peer.reset();
    secure.world.settle();
    assert_eq!(log.lines(), ["unsent [10000, 10000]"]);
}

#[test]
fn b129_no_message_is_lost_without_being_handed_back() {
    let log = Log::new();
    let (mut secure, mut peer, sender) = with_sender(&log);
    sender.send_bytes(vec![1; 500]).unwrap();
    secure.world.settle();
    assert_eq!(peer.read_frame().unwrap().payload.len(), 500);
    for len in [600, 601, 602, 603] {
        sender.send_bytes(vec![2; len]).unwrap();
    }
    secure.world.settle();
    // The server has taken a part of the record that holds all four.
    assert!(!peer.peer.read_available().is_empty());
    secure.world.settle();
    peer.peer.reset();
    secure.world.settle();
    assert_eq!(log.lines(), ["unsent [600, 601, 602, 603]"]);
}

#[test]
fn b070_a_server_that_reads_slowly_makes_progress_and_one_that_does_not_is_left() {
    let (mut secure, log) = (narrow(1000), Log::new());
    secure.options = secure.options.clone().write_timeout(10 * SECOND);
    let mut peer = secure.open(log.app(SECURE_URL));
    // One record takes far longer than the timeout.
    secure.world.in_app(|app| app.send_bytes([1; 10_000])).unwrap();
    for _ in 0..6 {
        secure.world.run_for(9 * SECOND);
        peer.side.feed(&peer.peer.read_available()).unwrap();
        assert_eq!(log.lines(), ["open"]);
    }
    secure.world.settle();
    secure.world.run_for(10 * SECOND - Duration::from_millis(1));
    assert_eq!(log.lines(), ["open"]);
    secure.world.run_for(Duration::from_millis(1));
    assert_eq!(log.lines(), ["open", "error Timeout(Write)", "close: Timeout(Write)"]);
}

#[test]
fn b100_pings_are_sent_and_a_server_that_answers_none_is_left() {
    let (mut secure, log) = (SecureWorld::new(), Log::new());
    secure.options = secure.options.clone().ping_interval(10 * SECOND).ping_timeout(3 * SECOND);
    let mut peer = secure.open(log.app(SECURE_URL));
    secure.world.run_until(10 * SECOND);
    let ping = peer.read_frame().unwrap();
    assert_eq!(ping.opcode, frame::PING);
    peer.write(&frame::pong(&ping.payload));
    secure.world.run_until(20 * SECOND);
    assert_eq!(peer.read_frame().unwrap().opcode, frame::PING);
    secure.world.run_until(22 * SECOND);
    assert_eq!(log.count(|line| line.starts_with("error")), 0);
    secure.world.run_until(23 * SECOND);
    assert!(log.has("error Timeout(Pong)") && log.has("close: Timeout(Pong)"));
}

#[test]
fn b109_a_close_without_a_timeout_says_its_close_frame_and_goes() {
    let (mut secure, log) = (SecureWorld::new(), Log::new());
    let mut peer = secure.open(log.app(SECURE_URL));
    let close = Close::from((CloseCode::Away, "off")).timeout(Duration::ZERO);
    secure.world.in_app(|app| app.close_with(close)).unwrap();
    secure.world.settle();
    assert_eq!(log.lines(), ["open", "close, by client"]);
    assert_eq!(peer.read_frame().unwrap().close(), Some((1001, "off".to_owned())));
    assert!(peer.side.client_has_closed());
    assert_eq!((peer.peer.ended(), secure.world.net.elapsed()), (Some(End::Fin), Duration::ZERO));
}

#[test]
fn a_reactor_that_stops_says_goodbye_on_both_levels() {
    let (mut secure, log) = (SecureWorld::new(), Log::new());
    let mut peer = secure.open(log.app(SECURE_URL));
    secure.world.reactor.apps().stop();
    secure.world.settle();
    assert_eq!(peer.read_frame().unwrap().close().map(|(code, _)| code), Some(1001));
    assert!(peer.side.client_has_closed());
    assert_eq!(log.lines(), ["open", "close, by client"]);
}

#[test]
fn a_removed_app_leaves_with_close_notify_and_nothing_else() {
    let (mut secure, log) = (SecureWorld::new(), Log::new());
    let mut peer = secure.open(log.app(SECURE_URL));
    secure.world.in_app(|app| app.remove());
    secure.world.settle();
    assert_eq!(peer.read_frame(), None);
    assert!(peer.side.client_has_closed());
    assert_eq!(log.lines(), ["open"]);
}

#[test]
fn b062_a_flush_is_harmless_and_what_was_sent_leaves_with_the_turn() {
    let (mut secure, log) = (SecureWorld::new(), Log::new());
    let mut peer = secure.open(log.app(SECURE_URL).on_message(|app, _| {
        app.flush()?;
        app.send_text("one").map_err(std::io::Error::other)?;
        app.flush()?;
        app.send_text("two").map_err(std::io::Error::other)?;
        app.flush()
    }));
    peer.write(&frame::text("go"));
    secure.world.settle();
    let answers: Vec<_> = read_all(&mut secure, &mut peer).iter().map(frame::Frame::text).collect();
    assert_eq!(answers, ["one", "two"]);
    assert_eq!(log.lines(), ["open"]);
}

#[test]
fn a_flood_does_not_keep_the_neighbours_waiting() {
    const MESSAGES: usize = 64;
    let (mut secure, log) = (SecureWorld::new(), Log::new());
    let mut flooding = secure.open(log.app(SECURE_URL));
    let listener = secure.start(log.app(SECURE_URL));
    let mut other = secure.accept(&listener);
    log.take();
    for _ in 0..MESSAGES {
        flooding.write(&frame::binary(&[1; 100_000]));
    }
    other.write(&frame::text("me too"));
    secure.world.settle();
    let lines = log.lines();
    let flood = lines.iter().filter(|line| line.starts_with("binary")).count();
    let place = lines.iter().position(|line| line == "text me too").unwrap();
    assert_eq!(flood, MESSAGES);
    assert!(place < MESSAGES / 4, "after {place} of {MESSAGES}");
}

#[test]
fn the_upgrade_has_its_own_time_from_the_end_of_the_handshake() {
    let (mut secure, log) = (SecureWorld::new(), Log::new());
    secure.options = RunOptions::clone(&secure.options).tls_timeout(8 * SECOND).upgrade_timeout(5 * SECOND);
    let listener = secure.start(log.app(SECURE_URL));
    secure.world.run_until(7 * SECOND);
    let mut peer = secure.arrived(&listener);
    secure.handshake(&mut peer);
    secure.world.run_until(12 * SECOND - Duration::from_millis(1));
    assert_eq!(log.lines(), [""; 0]);
    secure.world.run_until(12 * SECOND);
    assert_eq!(log.lines(), ["error Timeout(Upgrade)", "close: Timeout(Upgrade)"]);
}
