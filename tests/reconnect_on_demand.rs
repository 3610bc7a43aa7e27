//! `Context::reconnect` and `Sender::reconnect`: the connection is dropped, and the policy decides. In virtual time.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::mpsc;
use std::time::Duration;

use websocket_app::{
    CallbackResult, Context, NoRetry, Reconnect, RunOptions, SendError, State, Unsent, WebSocketApp,
};
use websocket_testkit::frame;
use websocket_testkit::sim::{Faults, SimListener, SimNet, SimPeer};
use websocket_tests::{Log, URL, World, outcome_line};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn fixed() -> RunOptions {
    RunOptions::new().reconnect(10 * SECOND)
}

/// What is told when `why` is asked for while the connection is open.
fn dropped(why: &str) -> [String; 2] {
    let error = format!("the program asked to reconnect: {why}");
    [format!("error {error}"), format!("close: {error}, retry in 10s")]
}

/// An app in a world, and where its connections arrive.
struct Opened {
    world: World,
    listener: SimListener,
    peer: SimPeer,
    log: Log,
}

impl Opened {
    fn new(set: impl FnOnce(WebSocketApp) -> WebSocketApp) -> Self {
        Self::with(World::new(), &fixed(), set)
    }

    fn with(mut world: World, options: &RunOptions, set: impl FnOnce(WebSocketApp) -> WebSocketApp) -> Self {
        let log = Log::new();
        let listener = world.start(set(log.app(URL)), options);
        let peer = world.accept(&listener);
        Self { world, listener, peer, log }
    }

    /// The server was told that the app goes away, and the stream ended; the next connection opens after the delay.
    #[track_caller]
    fn assert_again(mut self) {
        assert_eq!(self.peer.read_frame().and_then(|frame| frame.close()), Some((1001, String::new())));
        assert!(self.peer.read_frame().is_none());
        self.world.run_for(10 * SECOND - MS);
        assert!(self.listener.accept().is_none());
        self.world.run_for(MS);
        self.log.take();
        let peer = self.world.accept(&self.listener);
        assert_eq!(self.log.take(), ["open", "reconnect"]);
        peer.write(&frame::ping(b"again"));
        self.world.settle();
        assert_eq!(self.log.take(), ["ping again"]);
    }
}

#[test]
fn a_message_may_ask_and_nothing_of_the_connection_comes_after_it() {
    let mut opened = Opened::new(|app| {
        let data = Log::new();
        app.on_message(|app, message| {
            if message.as_bytes() == b"second" {
                app.reconnect("out of sync");
                assert_eq!(app.state(), State::Closing);
                assert_eq!(app.send_text("late"), Err(SendError::NotOpen(State::Closing)));
            }
        })
        .on_data(move |_, payload, _, _| {
            data.push(String::from_utf8_lossy(payload));
            assert!(!data.has("third"));
        })
    });
    let all = ["first", "second", "third"].map(frame::text).concat();
    opened.peer.write(&[all, frame::ping(b"x"), frame::close(1000, "")].concat());
    opened.world.settle();
    let [error, close] = dropped("out of sync");
    assert_eq!(opened.log.take(), ["open".to_owned(), error, close]);
    opened.assert_again();
}

#[test]
fn every_callback_of_an_open_connection_may_ask() {
    let setters: [fn(WebSocketApp) -> WebSocketApp; 7] = [
        |app| app.on_message(|app, _| first(app)),
        |app| app.on_data(|app, _, _, _| first(app)),
        |app| app.on_ping(|app, _| first(app)),
        |app| app.on_pong(|app, _, _| first(app)),
        // The error of a callback ends nothing, so another connection may be wanted for it.
        |app| {
            app.on_ping(|_, _| -> CallbackResult { Err("failed".into()) }).on_error(|app, error| {
                if error.to_string().contains("failed") {
                    first(app);
                }
            })
        },
        |app| app.on_cont_message(|app, _| first(app)),
        |app| {
            app.on_ping(|app, _| {
                app.set_interval(SECOND, first);
            })
        },
    ];
    for (number, set) in setters.into_iter().enumerate() {
        let mut opened = Opened::new(set);
        let fragments =
            [frame::encode(false, 0, frame::TEXT, b"a"), frame::encode(true, 0, 0, b"b")].concat();
        opened.peer.write(&[frame::ping(b"x"), frame::pong(b"y"), frame::text("hello"), fragments].concat());
        opened.world.run_for(SECOND);
        assert_eq!(opened.log.lines().last(), Some(&dropped("first")[1]), "{number}");
        assert_eq!(opened.world.in_app(|app| (app.attempts().started, app.attempts().failures)), (1, 1));
        opened.world.run_for(10 * SECOND);
        opened.world.accept(&opened.listener);
        assert_eq!(opened.log.lines().last().unwrap(), "reconnect", "{number}");
    }
}

/// Asks for another connection if this is the first.
fn first(app: &mut Context<'_>) {
    if app.attempts().opened == 1 {
        app.reconnect("first");
        app.reconnect("not this reason");
    }
}

#[test]
fn on_open_may_ask_and_on_reconnect_does_not_come() {
    let log = Log::new();
    let open = log.clone();
    let mut opened = Opened::new(move |app| {
        app.on_open(move |app, it| {
            open.push(format!("open {}", it.attempts.opened));
            if it.attempts.opened < 3 {
                app.reconnect("too early");
            }
        })
    });
    for _ in 0..2 {
        opened.world.run_for(10 * SECOND);
        opened.world.accept(&opened.listener);
    }
    assert_eq!(log.take(), ["open 1", "open 2", "open 3"]);
    assert_eq!(opened.log.count(|line| line == "reconnect"), 1, "only of the connection that stays");
    assert_eq!(opened.world.in_app(|app| app.attempts().started), 3);
}

#[test]
fn an_app_that_is_lent_may_ask() {
    let mut opened = Opened::new(|app| app);
    opened.log.take();
    opened.peer.write(&frame::text("arrived before"));
    opened.world.in_app(|app| app.reconnect("from outside"));
    opened.world.settle();
    assert_eq!(opened.log.lines(), dropped("from outside"));
    opened.assert_again();
}

#[test]
fn a_deadline_that_is_due_when_the_connection_is_dropped_does_not_keep_the_next_from_coming() {
    let mut opened = Opened::with(World::new(), &fixed().ping_interval(5 * SECOND), |app| app);
    opened.log.take();
    // The ping is due before the app is looked at.
    opened.world.net.advance(5 * SECOND);
    opened.world.in_app(|app| app.reconnect("when a ping is due"));
    opened.world.settle();
    assert_eq!(opened.log.lines(), dropped("when a ping is due"));
    opened.assert_again();
}

#[test]
fn another_app_may_ask_in_its_callback_and_hears_on_itself() {
    let mut opened = Opened::new(|app| app);
    let id = opened.world.reactor.apps().ids()[0];
    let log = Log::new();
    let other = log.app(URL).on_message({
        let log = log.clone();
        move |app, message| {
            log.message(message);
            app.apps().with(id, |app| app.reconnect("by the other")).unwrap();
        }
    });
    other.run_on(&mut opened.world.reactor, &RunOptions::new()).unwrap();
    opened.world.settle();
    let peer = opened.world.accept(&opened.listener);
    opened.log.take();
    peer.write(&["one", "two"].map(frame::text).concat());
    opened.world.settle();
    assert_eq!(log.take(), ["open", "text one", "text two"]);
    assert_eq!(opened.log.lines(), dropped("by the other"));
    opened.assert_again();
}

#[test]
fn a_callback_that_reaches_another_app_after_it_has_asked_gets_nothing_more_either() {
    let (mut world, log) = (World::new(), Log::new());
    let listener = world.start(WebSocketApp::new(URL), &RunOptions::new());
    world.accept(&listener);
    let other = world.reactor.apps().ids()[0];
    let app = log.app(URL).on_message({
        let log = log.clone();
        move |app, message| {
            log.message(message);
            app.reconnect("enough");
            app.apps().with(other, |_| ()).unwrap();
        }
    });
    app.run_on(&mut world.reactor, &fixed()).unwrap();
    world.settle();
    let peer = world.accept(&listener);
    peer.write(&["one", "two"].map(frame::text).concat());
    world.settle();
    let [error, close] = dropped("enough");
    assert_eq!(log.take(), ["open".to_owned(), "text one".to_owned(), error, close]);
}

#[test]
fn a_sender_asks_behind_what_it_has_sent_and_what_it_asks_next_is_done_afterwards() {
    let mut opened = Opened::new(|app| app);
    let sender = opened.world.in_app(|app| app.sender());
    opened.log.take();
    sender.send_text("before").unwrap();
    sender.reconnect("by a thread");
    let (states, ran) = mpsc::channel();
    sender.run(move |app| states.send((app.state(), app.retry_at().is_some())));
    opened.world.settle();
    assert_eq!(ran.try_recv(), Ok((State::Closed, true)));
    assert_eq!(opened.log.lines(), dropped("by a thread"));
    assert_eq!(opened.peer.read_frame().unwrap().payload, b"before");
    // A second time there is no connection, and no effect.
    sender.reconnect("too late");
    opened.world.settle();
    assert_eq!(opened.log.lines(), dropped("by a thread"));
    opened.assert_again();
}

#[test]
fn messages_that_were_accepted_are_kept_for_the_next_connection() {
    let mut opened = Opened::with(World::new(), &fixed().unsent(Unsent::Keep), |app| app);
    let sender = opened.world.in_app(|app| app.sender());
    sender.reconnect("by a thread");
    sender.send_text("kept").unwrap();
    opened.world.run_for(10 * SECOND);
    let peer = opened.world.accept(&opened.listener);
    assert_eq!(peer.read_frame().unwrap().payload, b"kept");
}

#[test]
fn without_an_open_connection_it_has_no_effect() {
    // Before the first attempt, while it connects, and before it is open.
    let (mut world, log) = (World::new(), Log::new());
    let ask = |world: &mut World| {
        let id = world.reactor.apps().ids()[0];
        world.reactor.apps().with(id, |app| app.reconnect("no effect")).unwrap();
    };
    let listener = world.net.listen(websocket_tests::SERVER);
    let app = log.app(URL).on_close({
        let log = log.clone();
        move |app, closed| {
            log.push(websocket_tests::close_line(closed));
            app.reconnect("no effect in on_close");
        }
    });
    app.run_on(&mut world.reactor, &fixed()).unwrap();
    ask(&mut world);
    world.reactor.poll(Some(Duration::ZERO)).unwrap();
    ask(&mut world);
    world.settle();
    ask(&mut world);
    world.settle();
    assert!(log.take().is_empty());
    let peer = world.accept(&listener);
    assert_eq!(log.take(), ["open"]);
    // While it waits.
    peer.reset();
    world.settle();
    ask(&mut world);
    world.settle();
    let reset = "Io(ConnectionReset)";
    assert_eq!(log.take(), [format!("error {reset}"), format!("close: {reset}, retry in 10s")]);
    // While it closes.
    world.run_for(10 * SECOND);
    let peer = world.accept(&listener);
    log.take();
    peer.write(&frame::close(1001, "bye"));
    world.settle();
    ask(&mut world);
    world.settle();
    assert!(log.take().is_empty());
    peer.shutdown();
    world.settle();
    assert_eq!(log.take(), ["close 1001 bye, by server, clean, retry in 10s"]);
}

#[test]
fn a_failure_of_the_connection_stays_the_reason_of_its_end() {
    for breach in [false, true] {
        let log = Log::new();
        let error = log.clone();
        let mut opened = Opened::new(|app| {
            app.on_error(move |app, it| {
                error.push(websocket_tests::error_line(it));
                app.reconnect("no effect");
            })
        });
        opened.log.take();
        if breach {
            opened.peer.write(&frame::encode(true, 0, 3, b""));
            opened.peer.shutdown();
        } else {
            opened.peer.reset();
        }
        opened.world.settle();
        assert_eq!(log.lines().len(), 1);
        assert_eq!(
            opened.log.count(|line| line.contains("asked to reconnect")),
            0,
            "{:?}",
            opened.log.lines()
        );
        assert_eq!(opened.log.count(|line| line.starts_with("close")), 1);
    }
}

#[test]
fn after_a_close_it_has_no_effect_and_a_close_behind_it_ends_the_run() {
    let mut opened = Opened::new(|app| app);
    opened.log.take();
    opened.world.in_app(|app| {
        app.close();
        app.reconnect("no effect");
    });
    opened.world.settle();
    assert!(opened.log.take().is_empty());
    opened.peer.write(&frame::close(1000, ""));
    opened.peer.shutdown();
    opened.world.settle();
    assert_eq!(opened.log.take(), ["close 1000, by client, clean"]);

    let mut opened = Opened::new(|app| app);
    opened.log.take();
    opened.world.in_app(|app| {
        app.reconnect("and then no more");
        app.close();
    });
    opened.world.settle();
    let error = "the program asked to reconnect: and then no more";
    assert_eq!(opened.log.take(), [format!("error {error}"), format!("close: {error}")]);
    assert!(opened.world.reactor.apps().is_empty());
}

#[test]
fn the_policy_decides_and_without_one_the_run_ends() {
    let end = |options: &RunOptions| {
        let (log, reasons) = (Log::new(), Log::new());
        let (end, reason) = (log.clone(), reasons.clone());
        let mut opened = Opened::with(World::new(), options, |app| {
            app.on_end(move |_, outcome| end.push(outcome_line(outcome)))
                .on_close(move |_, closed| reason.push(format!("{:?}", closed.no_retry.unwrap())))
        });
        opened.world.in_app(|app| app.reconnect("now"));
        opened.world.settle();
        assert!(opened.world.reactor.apps().is_empty());
        assert_eq!(log.take(), ["lost the program asked to reconnect: now"]);
        reasons.take()
    };
    assert_eq!(end(&RunOptions::new()), [format!("{:?}", NoRetry::NoPolicy)]);
    let limited = RunOptions::new().reconnect(Reconnect::fixed(SECOND).max_retries(0));
    assert_eq!(end(&limited), [format!("{:?}", NoRetry::MaxRetries { limit: 0 })]);
}

#[test]
fn a_callback_that_asks_and_then_fails_is_reported_and_one_that_panics_ends_the_run() {
    let mut opened = Opened::new(|app| {
        app.on_message(|app, _| -> CallbackResult {
            app.reconnect("this");
            Err("and that".into())
        })
    });
    opened.log.take();
    opened.peer.write(&frame::text("hello"));
    opened.world.settle();
    let [error, close] = dropped("this");
    assert_eq!(opened.log.take(), ["error Callback(and that)".to_owned(), error, close]);

    let mut opened = Opened::new(|app| {
        app.on_message(|app, _| {
            app.reconnect("this");
            panic!("on purpose");
        })
    });
    opened.log.take();
    opened.peer.write(&frame::text("hello"));
    opened.world.settle();
    let panic = "CallbackPanicked(\"on purpose\")";
    assert_eq!(opened.log.take(), [format!("error {panic}"), format!("close: {panic}")]);
    assert!(opened.world.reactor.apps().is_empty());
}

#[test]
fn a_callback_that_asks_and_then_removes_its_app_gets_nothing_more() {
    let mut opened = Opened::new(|app| {
        app.on_message(|app, _| -> CallbackResult {
            app.reconnect("this");
            app.remove();
            Err("not reported".into())
        })
    });
    opened.log.take();
    opened.peer.write(&frame::text("hello"));
    opened.world.settle();
    assert!(opened.log.take().is_empty());
    assert!(opened.world.reactor.apps().is_empty());
}

#[test]
fn a_reactor_that_stops_ends_the_run() {
    let mut opened = Opened::new(|app| app);
    opened.log.take();
    opened.world.in_app(|app| app.reconnect("this"));
    opened.world.reactor.apps().stop();
    opened.world.reactor.run().unwrap();
    let error = "the program asked to reconnect: this";
    assert_eq!(opened.log.take(), [format!("error {error}"), format!("close: {error}")]);
    assert!(opened.world.reactor.apps().is_empty());
}

#[test]
fn a_server_that_takes_nothing_is_dropped_at_once_and_timers_end() {
    let mut faults = Faults::default();
    faults.send_buffer = 1000;
    let world = World::on(SimNet::new(1).with_faults(faults));
    let mut opened = Opened::with(world, &fixed(), |app| {
        app.on_open(|app, open| {
            if open.attempts.opened > 1 {
                return;
            }
            app.send_bytes([0; 5000]).unwrap();
            app.set_timeout(SECOND, |app| app.reconnect("stuck"));
            app.set_interval(1500 * MS, |_| panic!("a timer of the connection before"));
        })
    });
    opened.log.take();
    opened.world.run_until(SECOND);
    assert_eq!(opened.log.take(), dropped("stuck"));
    opened.world.run_until(11 * SECOND);
    opened.world.accept(&opened.listener);
    opened.world.run_until(20 * SECOND);
    assert_eq!(opened.log.take(), ["reconnect"]);
}
