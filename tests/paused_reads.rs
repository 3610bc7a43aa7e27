//! Apps whose callbacks are so slow that what was read has to wait for their next turn: nothing is lost, nothing comes twice, the order is kept,
//! and little is held meanwhile. In virtual time.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use websocket_app::{Deflate, Message, Reconnect, RunOptions, Sender, WebSocketApp};
use websocket_testkit::deflate::Codec;
use websocket_testkit::frame::{self, Decoder};
use websocket_testkit::handshake;
use websocket_testkit::sim::{SimNet, SimPeer, Tapped};
use websocket_tests::{Log, SECURE_URL, SERVER, SecureWorld, URL, World, close_line};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// More than an app's part of a turn, less than a turn.
const SLOW: Duration = Duration::from_millis(2);

/// What a server says after its response, and what the app is to be told of it.
struct Speech {
    what: &'static str,
    bytes: Vec<u8>,
    lines: Vec<String>,
    /// The app takes fragments singly.
    fragments: bool,
    /// The extension that the server has agreed to.
    extension: Option<&'static str>,
}

impl Speech {
    fn new(what: &'static str) -> Self {
        Self { what, bytes: Vec::new(), lines: Vec::new(), fragments: false, extension: None }
    }

    fn say(&mut self, bytes: &[u8], line: impl Into<String>) {
        self.bytes.extend_from_slice(bytes);
        self.lines.push(line.into());
    }
}

fn text(number: u32) -> String {
    format!("number {number}")
}

fn speeches() -> Vec<Speech> {
    let mut texts = Speech::new("texts");
    let mut pings = Speech::new("pings among texts");
    let mut whole = Speech::new("fragments, delivered whole");
    let mut singly = Speech { fragments: true, ..Speech::new("fragments, delivered singly") };
    let mut large = Speech::new("large messages among small ones");
    let mut compressed =
        Speech { extension: Some("permessage-deflate"), ..Speech::new("compressed messages") };
    let mut codec = Codec::new("permessage-deflate");
    for number in 0..40 {
        let text = text(number);
        let line = format!("text {text}");
        texts.say(&frame::text(&text), &*line);
        pings.say(&frame::ping(text.as_bytes()), format!("ping {text}"));
        pings.say(&frame::text(&text), &*line);
        let (head, rest) = text.as_bytes().split_at(3);
        let (middle, tail) = rest.split_at(2);
        whole.bytes.extend(frame::encode(false, 0, frame::TEXT, head));
        whole.say(&frame::ping(b"?"), "ping ?");
        whole.bytes.extend(frame::continuation(false, middle));
        whole.say(&frame::continuation(true, tail), &*line);
        singly.say(&frame::encode(false, 0, frame::TEXT, head), format!("part {head:?} false"));
        singly.say(&frame::continuation(false, middle), format!("part {middle:?} false"));
        singly.say(&frame::continuation(true, tail), format!("part {tail:?} true"));
        if number % 8 == 0 {
            let payload = vec![number as u8; 200_000 + number as usize];
            large.say(&frame::binary(&payload), format!("binary {} of {number}", payload.len()));
        }
        large.say(&frame::text(&text), &*line);
        compressed.say(&frame::encode(true, 4, frame::TEXT, &codec.compress(text.as_bytes())), line);
    }
    vec![texts, pings, whole, singly, large, compressed]
}

/// An app that writes down what it is told, and takes its time for each.
fn slow_app(log: &Log, net: &SimNet, url: &str, fragments: bool) -> WebSocketApp {
    let slow = |net: &SimNet, log: &Log, line: String| {
        log.push(line);
        net.advance(SLOW);
    };
    let [message, ping, part] = [(); 3].map(|()| (log.clone(), net.clone()));
    let app = log
        .app(url)
        .on_message(move |_, it| {
            slow(
                &message.1,
                &message.0,
                match it {
                    Message::Text(text) => format!("text {text}"),
                    other => format!("binary {} of {}", other.len(), other.as_bytes()[0]),
                },
            );
        })
        .on_ping(move |_, it| slow(&ping.1, &ping.0, format!("ping {}", String::from_utf8_lossy(it))));
    if !fragments {
        return app;
    }
    app.on_cont_message(move |_, it| slow(&part.1, &part.0, format!("part {:?} {}", it.payload, it.last)))
}

/// Sends these bytes, all at once or in pieces of this size, one in a millisecond.
fn send(peer: &SimPeer, bytes: &[u8], pieces: Option<usize>) {
    let Some(size) = pieces else { return peer.write(bytes) };
    for (index, piece) in bytes.chunks(size).enumerate() {
        let (peer, piece) = (peer.clone(), piece.to_vec());
        peer.net().clone().after(index as u32 * MS, move |_| peer.write(&piece));
    }
}

/// The rest of the bytes come with the response, or in pieces.
const PIECES: [Option<usize>; 3] = [None, Some(7000), Some(61)];

impl Speech {
    /// Takes turns until all has been told, most of it in a turn of its own.
    fn hear(&self, world: &mut World, log: &Log, context: &str) {
        let mut turns = 0;
        while log.lines().len() <= self.lines.len() {
            world.reactor.poll(Some(SECOND)).unwrap();
            turns += 1;
            assert!(turns < 100_000, "{context}: {:?}", log.lines().last());
        }
        world.settle();
        let lines = log.take();
        assert_eq!(lines[0], "open", "{context}");
        assert_eq!(lines[1..], self.lines, "{context}");
        assert!(2 * turns >= self.lines.len(), "{context}: {turns} turns");
    }

    fn options(&self, options: RunOptions) -> RunOptions {
        if self.extension.is_some() { options.compression(Deflate::default()) } else { options }
    }

    fn headers(&self) -> Vec<String> {
        self.extension.iter().map(|it| format!("Sec-WebSocket-Extensions: {it}")).collect()
    }

    /// The pongs that are due.
    fn pongs(&self) -> Vec<&[u8]> {
        self.lines.iter().filter_map(|line| line.strip_prefix("ping ")).map(str::as_bytes).collect()
    }
}

#[test]
// b108
fn t_what_waits_for_its_turn_is_delivered_once_and_in_order() {
    for speech in speeches() {
        for pieces in PIECES {
            let mut world = World::new();
            let log = Log::new();
            let app = slow_app(&log, &world.net, URL, speech.fragments);
            let listener = world.start(app, &speech.options(RunOptions::new()));
            let peer = listener.accept().unwrap();
            let headers = speech.headers();
            let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
            let mut response = handshake::response(&peer.read_request().unwrap(), &headers);
            match pieces {
                // The first of them are read with the response.
                None => response.extend_from_slice(&speech.bytes),
                Some(_) => send(&peer, &speech.bytes, pieces),
            }
            peer.write(&response);
            speech.hear(&mut world, &log, &format!("{}, {pieces:?}", speech.what));
            let mut decoder = Decoder::new();
            decoder.feed(&peer.read_available());
            let pongs: Vec<_> = std::iter::from_fn(|| decoder.next_frame()).collect();
            assert!(pongs.iter().all(|frame| frame.opcode == frame::PONG), "{}", speech.what);
            let pongs: Vec<_> = pongs.iter().map(|frame| &*frame.payload).collect();
            assert_eq!(pongs, speech.pongs(), "{}, {pieces:?}", speech.what);
        }
    }
}

#[test]
fn t_what_waits_for_its_turn_is_delivered_once_and_in_order_over_tls() {
    for speech in speeches().into_iter().filter(|speech| speech.extension.is_none()) {
        for pieces in PIECES {
            let mut secure = SecureWorld::new();
            let log = Log::new();
            let listener = secure.start(slow_app(&log, &secure.world.net, SECURE_URL, speech.fragments));
            let mut peer = secure.arrived(&listener);
            secure.handshake(&mut peer);
            let (_, mut response) = peer.side.seal_response().unwrap();
            let records = peer.side.seal(&speech.bytes);
            match pieces {
                None => {
                    response.extend_from_slice(&records);
                    peer.peer.write(&response);
                }
                Some(_) => {
                    peer.peer.write(&response);
                    send(&peer.peer, &records, pieces);
                }
            }
            speech.hear(&mut secure.world, &log, &format!("{}, {pieces:?}", speech.what));
        }
    }
}

/// A slow app whose server has sent a hundred texts at once, and which has heard some of them.
struct Paused {
    world: World,
    log: Log,
    sender: Sender,
    peer: SimPeer,
}

const TEXTS: u32 = 100;

impl Paused {
    fn new(options: &RunOptions) -> Self {
        let mut world = World::new();
        let log = Log::new();
        let mut app = slow_app(&log, &world.net, URL, false);
        let closes = log.clone();
        app = app.on_close(move |_, it| closes.push(close_line(it)));
        let sender = app.sender();
        let peer = world.open(app, options);
        peer.write(&texts(0..TEXTS));
        while log.lines().len() < 10 {
            world.reactor.poll(Some(SECOND)).unwrap();
        }
        Self { world, log, sender, peer }
    }

    /// Runs on, and returns what the app is told from now on.
    fn rest(mut self) -> Vec<String> {
        self.log.take();
        self.world.run_for(10 * SECOND);
        self.log.take()
    }
}

fn texts(numbers: std::ops::Range<u32>) -> Vec<u8> {
    numbers.flat_map(|number| frame::text(&text(number))).collect()
}

fn lines(numbers: std::ops::Range<u32>) -> Vec<String> {
    numbers.map(|number| format!("text {}", text(number))).collect()
}

#[test]
fn t_an_app_that_is_removed_while_messages_wait_is_told_none_of_them() {
    for directly in [true, false] {
        let mut paused = Paused::new(&RunOptions::new());
        if directly {
            let id = paused.world.reactor.apps().ids()[0];
            assert!(paused.world.reactor.apps().remove(id));
        } else {
            paused.sender.remove();
        }
        let peer = paused.peer.clone();
        assert_eq!(paused.rest(), [""; 0]);
        assert!(peer.ended().is_some());
    }
}

#[test]
fn t_an_app_that_is_stopped_while_messages_wait_is_told_its_end_alone() {
    let paused = Paused::new(&RunOptions::new());
    paused.sender.stop();
    assert_eq!(paused.rest(), ["close, by client"]);
}

#[test]
// b114
fn t_an_app_that_closes_while_messages_wait_is_told_all_that_came_before_the_answer() {
    let paused = Paused::new(&RunOptions::new().close_timeout(5 * SECOND));
    paused.sender.close();
    let peer = paused.peer.clone();
    paused.world.net.after(10 * MS, move |_| {
        assert!(peer.read_frame().and_then(|frame| frame.close()).is_some());
        peer.write(&texts(TEXTS..TEXTS + 20));
        peer.write(&frame::close(1000, ""));
        peer.write(&texts(0..5));
        peer.shutdown();
    });
    let mut expected = lines(9..TEXTS + 20);
    expected.push("close 1000, by client, clean".to_owned());
    assert_eq!(paused.rest(), expected);
}

#[test]
// b039, b120
fn t_what_a_server_said_before_its_end_is_delivered_before_that() {
    for (end, error) in
        [(SimPeer::shutdown as fn(&SimPeer), "EndOfStream"), (SimPeer::reset, "Io(ConnectionReset)")]
    {
        let paused = Paused::new(&RunOptions::new());
        end(&paused.peer);
        let mut expected = lines(9..TEXTS);
        expected.extend([format!("error {error}"), format!("close: {error}")]);
        assert_eq!(paused.rest(), expected);
    }
}

#[test]
fn t_a_connection_begins_without_what_waited_on_the_one_before() {
    let breach = frame::encode(true, 0, 3, b"");
    for end in [vec![], breach] {
        let paused = Paused::new(&RunOptions::new().reconnect(Reconnect::from(SECOND).always()));
        paused.world.net.serve(SERVER, |peer| {
            peer.accept_upgrade();
            peer.write(&texts(500..520));
        });
        paused.peer.write(&end);
        if !end.is_empty() {
            paused.peer.write(&texts(0..5));
        }
        paused.peer.shutdown();
        let rest = paused.rest();
        assert_eq!(rest[..91], lines(9..TEXTS));
        assert!(rest[91].starts_with("error ") && rest[92].ends_with(", retry in 1s"), "{rest:?}");
        assert_eq!(rest[93..95], ["open", "reconnect"]);
        assert_eq!(rest[95..], lines(500..520));
    }
}

#[test]
fn t_a_redirect_behind_much_that_was_read_leads_to_the_other_server() {
    let mut world = World::new();
    let log = Log::new();
    let listener = world.start(slow_app(&log, &world.net, URL, false), &RunOptions::new());
    let other = SocketAddr::new(SERVER.ip(), 81);
    world.net.serve(other, |peer| {
        let response = handshake::response(&peer.read_request().unwrap(), &[]);
        peer.write(&[response, texts(0..TEXTS)].concat());
    });
    let peer = listener.accept().unwrap();
    assert!(peer.read_request().is_some());
    const BODY: usize = 2 << 20;
    let head =
        format!("HTTP/1.1 302 Found\r\nLocation: ws://192.0.2.1:81/\r\nContent-Length: {BODY}\r\n\r\n");
    peer.write(&[head.into_bytes(), vec![b'x'; BODY], texts(200..205)].concat());
    world.run_for(10 * SECOND);
    let mut expected = vec!["open".to_owned()];
    expected.extend(lines(0..TEXTS));
    assert_eq!(log.take(), expected);
}

/// Bytes that were read of each connection.
fn reads(net: &SimNet) -> Rc<RefCell<BTreeMap<usize, usize>>> {
    let reads = Rc::new(RefCell::new(BTreeMap::new()));
    let noted = reads.clone();
    net.tap(move |index, what| {
        if let Tapped::Read(bytes) = what {
            *noted.borrow_mut().entry(index).or_default() += bytes.len();
        }
    });
    reads
}

#[test]
fn t_an_app_holds_no_more_of_what_waits_than_a_few_of_its_turns() {
    const APPS: u8 = 50;
    const PAYLOAD: usize = 100;
    const MESSAGES: usize = 20_000;
    let mut world = World::new();
    let reads = reads(&world.net);
    let delivered = Rc::new(RefCell::new(vec![0; APPS.into()]));
    for number in 0..APPS {
        let address = SocketAddr::from(([192, 0, 2, 100 + number], 80));
        world.net.serve(address, |peer| {
            peer.accept_upgrade();
            peer.write(&frame::binary(&[0; PAYLOAD]).repeat(MESSAGES));
        });
        let (delivered, net) = (delivered.clone(), world.net.clone());
        let app = WebSocketApp::new(format!("ws://{address}/")).on_message(move |_, _| {
            delivered.borrow_mut()[usize::from(number)] += PAYLOAD + 2;
            net.advance(SLOW);
        });
        app.run_on(&mut world.reactor, &RunOptions::new()).unwrap();
    }
    let held = || -> Vec<usize> {
        let (reads, delivered) = (reads.borrow(), delivered.borrow());
        reads.values().zip(&*delivered).map(|(read, delivered)| read - delivered).collect()
    };
    let mut most = 0;
    while world.net.elapsed() < 60 * SECOND {
        world.reactor.poll(Some(SECOND)).unwrap();
        most = held().into_iter().max().unwrap_or(0).max(most);
    }
    // The first read fills the reactor's buffer: it shows how slow the app is.
    assert!(most <= (128 << 10) + 1000, "{most} bytes");
    world.run_until(600 * SECOND);
    let held = held();
    assert!(held.iter().all(|held| *held <= 8 << 10), "{held:?}");
    assert!(delivered.borrow().iter().all(|bytes| *bytes > 0));
}
