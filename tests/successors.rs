//! A successor connection that takes over before the old one is closed. In virtual time.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use websocket_app::tls::TlsVersion;
use websocket_app::{
    CallbackResult, Context, Error, FeedError, Message, Open, RunOptions, Sender, State, Timeout,
    WebSocketApp,
};
use websocket_testkit::frame;
use websocket_testkit::sim::{Faults, SimListener, SimNet, SimPeer};
use websocket_tests::{Log, SERVER, Trust, URL, World, run_forever, secure_echo};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

fn fixed() -> RunOptions {
    RunOptions::new().reconnect(10 * SECOND)
}

/// An app whose connection is open, and where its connections arrive.
struct Opened {
    world: World,
    listener: SimListener,
    peer: SimPeer,
    log: Log,
}

impl Opened {
    fn new(options: &RunOptions) -> Self {
        Self::with(World::new(), options, |app| app)
    }

    fn with(mut world: World, options: &RunOptions, set: impl FnOnce(WebSocketApp) -> WebSocketApp) -> Self {
        let log = Log::new();
        let open = log.clone();
        let app = log.app(URL).on_open(move |_, it| open.push(open_line(it)));
        let listener = world.start(set(app), options);
        let peer = world.accept(&listener);
        log.take();
        Self { world, listener, peer, log }
    }

    fn renew(&mut self) {
        self.world.in_app(|app| app.renew());
        self.world.settle();
    }

    /// Renews, and opens the successor. Returns the server's end of the old connection.
    fn take_over(&mut self) -> SimPeer {
        self.renew();
        let new = self.world.accept(&self.listener);
        std::mem::replace(&mut self.peer, new)
    }

    /// The connection in use works in both directions.
    #[track_caller]
    fn assert_works_while_it_is_renewed(&mut self) {
        self.world.in_app(|app| app.send_text("out").unwrap());
        self.peer.write(&frame::text("in"));
        self.world.settle();
        assert_eq!(texts(&self.peer), ["out"]);
        assert_eq!(self.log.take(), ["text in"]);
    }

    /// The same, and no other stream is left.
    #[track_caller]
    fn assert_works(&mut self) {
        self.assert_works_while_it_is_renewed();
        assert_eq!(self.world.reactor.dispatcher().registrations(), 1);
    }

    #[track_caller]
    fn assert_over(&mut self) {
        assert!(self.world.reactor.apps().is_empty());
        assert_eq!(self.world.reactor.dispatcher().registrations(), 0);
    }
}

/// What ends an app, and what it is told then.
type End = (fn(&mut Opened), &'static [&'static str]);

/// What a callback does, and the last line that follows.
type Act = (fn(&mut Context<'_>), &'static str);

fn open_line(open: &Open<'_>) -> String {
    format!("open {}{}", open.attempts.opened, if open.is_successor { ", successor" } else { "" })
}

fn texts(peer: &SimPeer) -> Vec<String> {
    std::iter::from_fn(|| peer.read_frame()).map(|frame| frame.text()).collect()
}

/// Reads the app's close frame, and answers it.
#[track_caller]
fn finish_closing(world: &mut World, old: &SimPeer) {
    assert_eq!(old.read_frame().and_then(|frame| frame.close()), Some((1000, String::new())));
    old.write(&frame::close(1000, ""));
    old.close();
    world.settle();
}

#[test]
fn a_successor_takes_over_and_the_old_connection_closes_cleanly_without_a_word() {
    let mut opened = Opened::new(&fixed());
    opened.renew();
    assert_eq!(opened.log.lines(), [""; 0], "the old connection is in full use");
    opened.assert_works_while_it_is_renewed();
    let new = opened.world.accept(&opened.listener);
    assert_eq!(opened.log.take(), ["open 2, successor"]);
    let old = std::mem::replace(&mut opened.peer, new);
    // What the server has sent before it answers is delivered.
    old.write(&frame::text("late"));
    opened.world.settle();
    assert_eq!(opened.log.take(), ["text late"]);
    finish_closing(&mut opened.world, &old);
    assert_eq!(opened.log.lines(), [""; 0]);
    opened.assert_works();
    assert_eq!(
        opened.world.in_app(|app| (app.attempts().started, app.attempts().opened, app.attempts().failures)),
        (2, 2, 0)
    );
    opened.world.run_for(HOUR);
    opened.assert_works();
}

#[test]
fn what_callbacks_of_the_old_connection_send_goes_to_the_new_one() {
    let log = Log::new();
    let messages = log.clone();
    let mut opened = Opened::with(World::new(), &fixed().renew_overlap(HOUR), |app| {
        app.on_message(move |app, message| -> CallbackResult {
            messages.push(format!("{} {}", text(message), app.is_from_predecessor()));
            assert_eq!(app.state(), State::Open);
            app.send_text(format!("re {}", text(message)))?;
            if message.as_bytes() == b"fail" { Err("failed".into()) } else { Ok(()) }
        })
    });
    let old = opened.take_over();
    opened.log.take();
    old.write(&["one", "fail", "two"].map(frame::text).concat());
    old.write(&frame::ping(b"x"));
    opened.peer.write(&frame::text("three"));
    opened.world.settle();
    let mut heard = log.take();
    heard.sort();
    assert_eq!(heard, ["fail true", "one true", "three false", "two true"]);
    let mut answers = texts(&opened.peer);
    answers.sort();
    assert_eq!(answers, ["re fail", "re one", "re three", "re two"]);
    let pong = old.read_frame().unwrap();
    assert_eq!((pong.opcode, &*pong.payload), (frame::PONG, &b"x"[..]));
    assert!(old.read_frame().is_none());
    assert_eq!(opened.log.take(), ["error Callback(failed)", "ping x"]);
}

fn text(message: Message<'_>) -> &str {
    std::str::from_utf8(message.as_bytes()).unwrap()
}

#[test]
fn no_message_is_lost_under_a_server_that_numbers_them_on_both_connections() {
    for seed in 1..4 {
        let mut faults = Faults::default();
        (faults.short, faults.would_block, faults.spurious) = (30, 20, 20);
        let seen = Rc::new(RefCell::new(Vec::new()));
        let numbers = seen.clone();
        let world = World::on(SimNet::new(seed).with_faults(faults));
        let options = fixed().renew_every(60 * SECOND).renew_overlap(SECOND);
        let mut opened = Opened::with(world, &options, |app| {
            app.on_open(|app, _| app.send_text("subscribe")).on_message(move |_, message| {
                numbers.borrow_mut().push(text(message).parse::<u64>().unwrap())
            })
        });
        let (mut peers, mut subscribed) = (vec![opened.peer], Vec::new());
        for number in 0..6000_u64 {
            opened.world.run_for(100 * MS);
            if let Some(peer) = opened.listener.accept() {
                peer.accept_upgrade().unwrap();
                peers.push(peer);
            }
            for (index, peer) in peers.iter().enumerate() {
                while let Some(frame) = peer.read_frame() {
                    match frame.close() {
                        Some((1000, _)) => {
                            subscribed.retain(|it| *it != index);
                            peer.write(&frame::close(1000, ""));
                            peer.close();
                        }
                        _ => {
                            assert_eq!(frame.text(), "subscribe");
                            subscribed.push(index);
                        }
                    }
                }
                if subscribed.contains(&index) {
                    peer.write(&frame::text(&number.to_string()));
                }
            }
            assert!(!subscribed.is_empty() || number == 0, "the feed has a gap");
        }
        opened.world.run_for(SECOND);
        let mut seen = seen.take();
        assert!(peers.len() >= 10, "{} connections", peers.len());
        let total = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert!(total > seen.len(), "the connections have overlapped");
        let first = seen[0];
        assert!(first <= 1);
        assert_eq!(seen, (first..6000).collect::<Vec<_>>());
        assert!(
            !opened.log.lines().iter().any(|line| line.starts_with("close") || line.starts_with("error"))
        );
    }
}

#[test]
fn a_successor_that_is_refused_is_an_error_and_the_connection_continues() {
    let retries = Rc::new(Cell::new(0));
    let asked = retries.clone();
    let mut opened = Opened::with(World::new(), &fixed(), |app| {
        app.url_with(|| "ws://192.0.2.1/path").on_error({
            let log = Log::new();
            move |app, error| {
                log.push(error.to_string());
                assert!(
                    matches!(error, Error::Successor(inner) if matches!(**inner, Error::Connect { .. })),
                    "{error}"
                );
                assert_eq!(app.retry(), None);
                assert!(
                    app.is_open()
                        && error.to_string().starts_with("the successor of the open connection failed: ")
                );
                asked.set(asked.get() + 1);
            }
        })
    });
    opened.world.net.refuse(SERVER);
    opened.renew();
    assert_eq!(retries.get(), 1);
    assert_eq!(opened.log.take(), [""; 0]);
    opened.assert_works();
    assert_eq!(
        opened.world.in_app(|app| (app.attempts().started, app.attempts().opened, app.attempts().failures)),
        (2, 1, 0)
    );
    let listener = opened.world.net.listen(SERVER);
    opened.listener = listener;
    let old = opened.take_over();
    finish_closing(&mut opened.world, &old);
    opened.log.take();
    opened.assert_works();
}

#[test]
fn a_successor_whose_upgrade_is_refused_or_that_breaks_is_an_error_too() {
    for (answer, expected) in [
        ("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", "error Successor(Upgrade(Status 503))"),
        ("nonsense\r\n\r\n", "error Successor(Upgrade(NotHttp))"),
        ("", "error Successor(NoResponse)"),
    ] {
        let mut opened = Opened::new(&fixed());
        opened.renew();
        let peer = opened.listener.accept().unwrap();
        peer.read_request().unwrap();
        peer.write(answer.as_bytes());
        peer.close();
        opened.world.settle();
        assert_eq!(opened.log.take(), [expected]);
        opened.assert_works();
    }
}

#[test]
fn a_successor_that_never_opens_ends_with_the_deadline_of_its_step() {
    let mut opened = Opened::new(&fixed());
    opened.world.net.black_hole(SERVER);
    opened.renew();
    opened.world.run_for(10 * SECOND - MS);
    assert_eq!(opened.log.take(), [""; 0]);
    opened.world.run_for(MS);
    assert_eq!(opened.log.take(), ["error Successor(Timeout(Connect))"]);
    opened.assert_works();

    let mut opened = Opened::new(&fixed().upgrade_timeout(5 * SECOND));
    opened.renew();
    let _silent = opened.listener.accept().unwrap();
    opened.world.run_for(5 * SECOND);
    assert_eq!(opened.log.take(), ["error Successor(Timeout(Upgrade))"]);
    opened.assert_works();
}

#[test]
fn a_successor_that_opens_late_takes_over_then() {
    let mut opened = Opened::new(&fixed());
    opened.world.net.delay(SERVER, 3 * SECOND);
    opened.renew();
    opened.world.run_for(3 * SECOND);
    opened.assert_works_while_it_is_renewed();
    let new = opened.listener.accept().unwrap();
    opened.world.run_for(6 * SECOND);
    new.accept_upgrade().unwrap();
    // The first message comes with the response.
    new.write(&frame::text("first"));
    opened.world.settle();
    assert_eq!(opened.log.take(), ["open 2, successor", "text first"]);
    let old = std::mem::replace(&mut opened.peer, new);
    finish_closing(&mut opened.world, &old);
    opened.assert_works();
}

#[test]
fn a_successor_follows_redirects_and_asks_the_functions_of_the_app() {
    let calls = Rc::new(Cell::new(0));
    let counted = calls.clone();
    let mut opened = Opened::with(World::new(), &fixed(), |app| {
        app.url_with(move || {
            counted.set(counted.get() + 1);
            format!("ws://192.0.2.1/{}", counted.get())
        })
        .on_message(|app, message| {
            let line = format!("{} {}", app.url(), app.final_url());
            assert_eq!(text(message), line);
        })
    });
    opened.renew();
    let peer = opened.listener.accept().unwrap();
    assert_eq!(peer.read_request().unwrap().path, "/2");
    // The connection in use is still the first.
    opened.peer.write(&frame::text("ws://192.0.2.1/1 ws://192.0.2.1/1"));
    opened.world.settle();
    peer.write(b"HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n");
    peer.close();
    opened.world.settle();
    let new = opened.world.accept(&opened.listener);
    new.write(&frame::text("ws://192.0.2.1/2 ws://192.0.2.1/other"));
    opened.world.settle();
    assert_eq!(opened.log.take(), ["open 2, successor"]);
    assert_eq!(calls.get(), 2);
    let old = std::mem::replace(&mut opened.peer, new);
    finish_closing(&mut opened.world, &old);
    assert_eq!(opened.world.reactor.dispatcher().registrations(), 1);
}

#[test]
fn an_old_connection_that_is_lost_first_takes_its_successor_with_it_and_the_policy_decides() {
    let mut opened = Opened::new(&fixed());
    opened.renew();
    let successor = opened.listener.accept().unwrap();
    opened.peer.reset();
    opened.world.settle();
    let lost = ["error Io(ConnectionReset)", "close: Io(ConnectionReset), retry in 10s"];
    assert_eq!(opened.log.take(), lost);
    assert!(successor.ended().is_some() || successor.read_frame().is_none());
    assert_eq!(opened.world.reactor.dispatcher().registrations(), 0);
    opened.world.run_for(10 * SECOND);
    opened.peer = opened.world.accept(&opened.listener);
    assert_eq!(opened.log.take(), ["open 2", "reconnect"]);
    opened.assert_works();
    // After a takeover, too, a loss is a loss of the app's connection.
    let old = opened.take_over();
    opened.peer.reset();
    opened.world.settle();
    assert_eq!(opened.log.take()[1..], lost);
    assert_eq!(opened.world.reactor.dispatcher().registrations(), 0);
    drop(old);
    opened.world.run_for(10 * SECOND);
    opened.peer = opened.world.accept(&opened.listener);
    assert_eq!(opened.log.take(), ["open 4", "reconnect"]);
    opened.assert_works();
}

#[test]
fn an_old_connection_that_does_not_answer_or_breaks_after_the_takeover_ends_silently() {
    let mut opened = Opened::new(&fixed());
    let old = opened.take_over();
    opened.log.take();
    opened.world.run_for(3 * SECOND - MS);
    assert_eq!(opened.world.reactor.dispatcher().registrations(), 2);
    opened.world.run_for(MS);
    assert_eq!(opened.world.reactor.dispatcher().registrations(), 1);
    assert_eq!(old.read_frame().and_then(|frame| frame.close()), Some((1000, String::new())));
    opened.assert_works();
    for end in [
        (|old: &SimPeer| old.reset()) as fn(&SimPeer),
        |old| old.close(),
        |old| old.write(b"\xff\xff\xff"),
        |old| old.write(&frame::close(1001, "restart")),
    ] {
        let mut opened = Opened::new(&fixed().renew_overlap(HOUR));
        let old = opened.take_over();
        opened.log.take();
        end(&old);
        opened.world.settle();
        old.close();
        opened.world.run_for(SECOND);
        assert_eq!(opened.log.take(), [""; 0]);
        opened.assert_works();
    }
}

#[test]
fn an_app_that_is_closed_stopped_or_removed_meanwhile_leaves_no_stream_behind() {
    let ends: [End; 4] = [
        (|it| it.world.in_app(|app| app.close()), &["close 1000, by client, clean"]),
        (|it| it.world.reactor.apps().stop(), &["close, by client"]),
        (|it| it.world.reactor.apps().stop_within(60 * SECOND), &["close 1000, by client, clean"]),
        (
            |it| {
                it.world.in_app(|app| app.remove());
            },
            &[],
        ),
    ];
    for (end, expected) in ends {
        for stage in 0..3 {
            let mut opened = Opened::new(&fixed().renew_overlap(HOUR));
            match stage {
                0 => opened.world.net.delay(SERVER, 5 * SECOND),
                1 => {}
                _ => drop(opened.take_over()),
            }
            opened.renew();
            opened.log.take();
            end(&mut opened);
            opened.world.settle();
            opened.peer.write(&frame::close(1000, ""));
            opened.peer.close();
            opened.world.run_for(6 * SECOND);
            assert_eq!(opened.log.take(), expected, "{stage}");
            opened.assert_over();
        }
    }
}

#[test]
fn a_connection_that_is_dropped_by_the_program_takes_the_other_with_it() {
    for overlapping in [false, true] {
        let mut opened = Opened::new(&fixed().renew_overlap(HOUR));
        if overlapping {
            drop(opened.take_over());
        }
        opened.renew();
        opened.log.take();
        opened.world.in_app(|app| app.reconnect("why"));
        opened.world.settle();
        let error = "the program asked to reconnect: why";
        assert_eq!(opened.log.take(), [format!("error {error}"), format!("close: {error}, retry in 10s")]);
        assert_eq!(opened.world.reactor.dispatcher().registrations(), 0);
    }
}

#[test]
fn every_callback_at_the_takeover_may_end_the_app() {
    let acts: [Act; 4] = [
        (|app| app.close(), "close 1000, by client, clean"),
        (|app| app.remove(), ""),
        (|app| app.reconnect("why"), "close: the program asked to reconnect: why"),
        (|_| panic!("on purpose"), "close: CallbackPanicked(\"on purpose\")"),
    ];
    for (act, expected) in acts {
        for by_message in [false, true] {
            let options = RunOptions::new().renew_overlap(HOUR);
            let mut opened = Opened::with(World::new(), &options, |app| {
                let app = app.on_open(move |app, open| {
                    if open.is_successor && !by_message {
                        act(app);
                    }
                });
                app.on_message(move |app, _| act(app))
            });
            let old = opened.take_over();
            if by_message {
                old.write(&frame::text("from the old one"));
            }
            opened.world.settle();
            opened.peer.write(&frame::close(1000, ""));
            opened.peer.close();
            opened.world.settle();
            assert_eq!(opened.log.lines().last().map_or("", |line| line), expected);
            opened.assert_over();
        }
    }
}

#[test]
fn a_function_that_panics_for_a_successor_closes_the_app_as_any_other() {
    let calls = Rc::new(Cell::new(0));
    let mut opened = Opened::with(World::new(), &fixed(), |app| {
        app.header_with(move || {
            calls.set(calls.get() + 1);
            assert!(calls.get() == 1, "on purpose");
            [("X-Call", "1")]
        })
    });
    opened.renew();
    assert_eq!(
        opened.log.take(),
        ["error CallbackPanicked(\"on purpose\")", "close: CallbackPanicked(\"on purpose\")"]
    );
    opened.assert_over();
}

#[test]
fn a_function_that_fails_for_a_successor_is_its_error() {
    let calls = Rc::new(Cell::new(0));
    let mut opened = Opened::with(World::new(), &fixed(), |app| {
        app.url_with(move || {
            calls.set(calls.get() + 1);
            if calls.get() == 1 { Ok(URL.to_owned()) } else { Err("no token") }
        })
    });
    opened.renew();
    assert_eq!(opened.log.take(), ["error Successor(the function of url_with returned an error: no token)"]);
    opened.assert_works();
}

#[test]
fn what_senders_have_queued_on_the_old_connection_is_written_or_sent_on_the_new_one() {
    for breaks in [false, true] {
        let mut faults = Faults::default();
        faults.send_buffer = 1000;
        let world = World::on(SimNet::new(1).with_faults(faults));
        let mut opened = Opened::with(world, &fixed(), |app| app);
        let sender: Sender = opened.world.in_app(|app| app.sender());
        let big = "x".repeat(5000);
        sender.send_text(&*big).unwrap();
        sender.send_text("behind").unwrap();
        opened.world.settle();
        let old = opened.take_over();
        sender.send_text("new").unwrap();
        opened.world.settle();
        if breaks {
            old.reset();
            opened.world.settle();
            assert_eq!(
                read_all(&mut opened.world, &opened.peer),
                ["new".to_owned(), big, "behind".to_owned()]
            );
        } else {
            assert_eq!(read_all(&mut opened.world, &opened.peer), ["new"]);
            assert_eq!(read_all(&mut opened.world, &old), [big, "behind".to_owned(), "1000".to_owned()]);
            old.close();
            opened.world.settle();
        }
        assert_eq!(sender.queued_bytes(), 0);
        opened.log.take();
        opened.assert_works();
    }
}

/// The texts and close codes that arrive until nothing more does.
fn read_all(world: &mut World, peer: &SimPeer) -> Vec<String> {
    let mut all = Vec::new();
    for _ in 0..20 {
        while let Some(frame) = peer.read_frame() {
            all.push(match frame.opcode {
                frame::CLOSE => frame.close().map_or_else(String::new, |(code, _)| code.to_string()),
                _ => frame.text(),
            });
        }
        world.settle();
    }
    all
}

#[test]
fn connections_are_renewed_every_so_often_over_days() {
    let mut opened = Opened::new(&fixed().renew_every(8 * HOUR));
    for connection in 2..12 {
        opened.world.run_for(8 * HOUR - MS);
        assert!(opened.listener.accept().is_none());
        opened.world.run_for(MS);
        let new = opened.world.accept(&opened.listener);
        let old = std::mem::replace(&mut opened.peer, new);
        finish_closing(&mut opened.world, &old);
        assert_eq!(opened.log.take(), [format!("open {connection}, successor")]);
    }
    opened.assert_works();
    // One that fails is tried again after the same time.
    opened.world.net.refuse(SERVER);
    opened.world.run_for(8 * HOUR);
    assert_eq!(opened.log.take(), ["error Successor(Connect(ConnectionRefused))"]);
    opened.listener = opened.world.net.listen(SERVER);
    opened.world.run_for(8 * HOUR);
    let new = opened.world.accept(&opened.listener);
    let old = std::mem::replace(&mut opened.peer, new);
    finish_closing(&mut opened.world, &old);
    assert_eq!(opened.log.take(), ["open 12, successor"]);
    opened.assert_works();
}

#[test]
fn an_interval_of_zero_is_refused() {
    let refused = WebSocketApp::new(URL)
        .run_on(&mut World::new().reactor, &RunOptions::new().renew_every(Duration::ZERO));
    assert!(matches!(refused, Err(Error::Feed(FeedError::RenewZero))));
}

#[test]
fn renewing_twice_or_while_nothing_is_open_has_no_effect() {
    let mut opened = Opened::new(&fixed().renew_overlap(HOUR));
    opened.world.in_app(|app| {
        app.renew();
        app.renew();
    });
    opened.world.settle();
    opened.renew();
    let new = opened.world.accept(&opened.listener);
    let _old = std::mem::replace(&mut opened.peer, new);
    opened.renew();
    assert!(opened.listener.accept().is_none());
    assert_eq!(opened.log.take(), ["open 2, successor"]);
    opened.peer.reset();
    opened.world.settle();
    opened.renew();
    assert!(opened.listener.accept().is_none(), "it waits to reconnect");
    opened.log.take();
    opened.world.run_for(10 * SECOND);
    let _connecting = opened.listener.accept().unwrap();
    opened.renew();
    assert!(opened.listener.accept().is_none(), "an attempt is under way");
    assert_eq!(opened.world.in_app(|app| app.attempts().started), 3);
}

#[test]
fn the_overlap_ends_when_its_time_is_over_or_when_the_program_says_so() {
    let mut opened = Opened::with(World::new(), &fixed().renew_overlap(10 * SECOND), |app| {
        app.on_ping(|app, _| app.end_overlap())
    });
    let old = opened.take_over();
    opened.world.run_for(10 * SECOND - MS);
    assert!(old.read_frame().is_none());
    opened.world.run_for(MS);
    finish_closing(&mut opened.world, &old);
    opened.world.in_app(|app| app.end_overlap());
    let old = opened.take_over();
    assert!(old.read_frame().is_none());
    opened.peer.write(&frame::ping(b"subscribed"));
    opened.world.settle();
    finish_closing(&mut opened.world, &old);
    assert_eq!(texts(&opened.peer), ["subscribed"], "the pong");
    opened.log.take();
    opened.assert_works();
}

#[test]
fn timers_end_with_the_connection_that_is_replaced_and_a_sender_may_ask() {
    let log = Log::new();
    let ticks = log.clone();
    let mut opened = Opened::with(World::new(), &fixed().heartbeat(SECOND, "beat"), |app| {
        app.on_open(move |app, open| {
            let (ticks, number) = (ticks.clone(), open.attempts.opened);
            app.set_interval(SECOND, move |_| ticks.push(format!("tick {number}")));
        })
    });
    let sender = opened.world.in_app(|app| app.sender());
    opened.world.run_for(SECOND);
    sender.renew();
    opened.world.settle();
    let new = opened.world.accept(&opened.listener);
    assert!(sender.is_open());
    let old = std::mem::replace(&mut opened.peer, new);
    opened.world.run_for(2 * SECOND);
    assert_eq!(log.take(), ["tick 1", "tick 2", "tick 2"]);
    assert_eq!(texts(&opened.peer), ["beat", "beat"]);
    assert_eq!(old.read_frame().map(|frame| frame.text()), Some("beat".to_owned()));
    finish_closing(&mut opened.world, &old);
}

#[test]
fn slow_callbacks_are_not_held_against_either_connection() {
    let net = SimNet::new(1);
    let clock = net.clone();
    let options =
        RunOptions::new().upgrade_timeout(2 * SECOND).ping_interval(4 * SECOND).ping_timeout(SECOND);
    let mut opened =
        Opened::with(World::on(net), &options, |app| app.on_message(move |_, _| clock.advance(5 * SECOND)));
    opened.renew();
    let new = opened.listener.accept().unwrap();
    new.accept_upgrade().unwrap();
    opened.peer.write(&frame::text("slow"));
    opened.world.settle();
    let old = std::mem::replace(&mut opened.peer, new);
    assert_eq!(opened.log.take(), ["open 2, successor"]);
    old.write(&frame::text("slow"));
    old.write(&frame::close(1000, ""));
    old.close();
    opened.world.settle();
    assert_eq!(opened.log.take(), [""; 0]);
    assert_eq!(opened.world.reactor.dispatcher().registrations(), 1);
}

#[test]
fn a_paused_connection_is_read_again_once_it_is_replaced_and_batches_end_on_the_new_one() {
    let log = Log::new();
    let batches = log.clone();
    let mut opened = Opened::with(World::new(), &fixed().renew_overlap(HOUR), |app| {
        app.on_batch_end(move |app| {
            batches.push("batch");
            app.send_text("batch")
        })
    });
    opened.world.in_app(|app| app.pause_reading());
    opened.world.settle();
    opened.peer.write(&frame::text("waiting"));
    opened.world.settle();
    assert_eq!(opened.log.take(), [""; 0]);
    let _old = opened.take_over();
    assert_eq!(opened.log.take(), ["open 2, successor", "text waiting"]);
    assert_eq!(texts(&opened.peer), ["batch"]);
    assert_eq!(log.take(), ["batch"]);
}

#[test]
fn the_source_of_mask_keys_follows_and_the_numbers_do_not_go_back() {
    let keys = Rc::new(Cell::new(0_u32));
    let counted = keys.clone();
    let mut opened = Opened::with(World::new(), &fixed(), |app| {
        app.mask_key(move || {
            counted.set(counted.get() + 1);
            [7; 4]
        })
    });
    opened.world.in_app(|app| app.send_text("one").unwrap());
    opened.world.settle();
    assert_eq!(opened.peer.read_frame().unwrap().mask, Some([7; 4]));
    opened.renew();
    opened.world.in_app(|app| app.send_text("two").unwrap());
    opened.world.settle();
    assert_eq!(opened.peer.read_frame().unwrap().mask, Some([7; 4]));
    let new = opened.world.accept(&opened.listener);
    let old = std::mem::replace(&mut opened.peer, new);
    let sent = |it: &mut Opened| it.world.in_app(|app| app.total_stats().sent.messages);
    opened.world.in_app(|app| app.send_text("three").unwrap());
    opened.world.settle();
    assert_eq!(opened.peer.read_frame().unwrap().mask, Some([7; 4]));
    let before = sent(&mut opened);
    finish_closing(&mut opened.world, &old);
    assert_eq!((before, sent(&mut opened)), (3, 3));
    // The next attempt has the source back.
    opened.peer.reset();
    opened.world.run_for(10 * SECOND);
    opened.peer = opened.world.accept(&opened.listener);
    opened.world.in_app(|app| app.send_text("four").unwrap());
    opened.world.settle();
    assert_eq!(opened.peer.read_frame().unwrap().mask, Some([7; 4]));
    assert!(keys.get() >= 4);
}

#[test]
fn deadlines_of_the_old_connection_do_not_end_the_app() {
    let mut opened = Opened::new(&fixed().silence_timeout(5 * SECOND).renew_overlap(HOUR));
    let old = opened.take_over();
    opened.log.take();
    for _ in 0..6 {
        opened.world.run_for(SECOND);
        opened.peer.write(&frame::text("new"));
        opened.world.settle();
    }
    assert!(opened.log.take().iter().all(|line| line == "text new"));
    assert_eq!(old.read_frame().and_then(|frame| frame.close()).map(|(code, _)| code), Some(1001));
    assert_eq!(opened.world.reactor.dispatcher().registrations(), 1);
    opened.world.run_for(5 * SECOND);
    assert_eq!(opened.log.take()[0], format!("error Timeout({:?})", Timeout::Silence));
}

#[test]
fn a_successor_over_tls_takes_over_from_an_encrypted_connection() {
    let trust = Trust::new();
    let server = secure_echo(&trust.server());
    for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
        let log = Log::new();
        let (opened, heard) = (log.clone(), log.clone());
        let mut app = log
            .app(format!("wss://{}/", server.addr()))
            .on_open(move |app, open| {
                assert!(open.tls.is_some());
                opened.push(open_line(open));
                app.renew();
                app.send_text(if open.is_successor { "two" } else { "one" })
            })
            .on_message(move |app, message| {
                heard.message(message);
                if message.as_bytes() == b"two" {
                    app.close();
                }
            });
        run_forever(&mut app, &trust.options_for(version)).unwrap().into_result().unwrap();
        let mut lines = log.take();
        // It may come before the successor opens, or after.
        lines.retain(|line| line != "text one");
        assert_eq!(lines, ["open 1", "open 2, successor", "text two", "close 1000, by client, clean"]);
    }
}
