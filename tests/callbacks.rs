//! What callbacks get, in which order, and what becomes of their errors.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Mutex;
use std::time::Duration;

use websocket_app::{
    AppId, CallbackResult, Closed, Context, Error, Fragment, Handler, Kind, Message, Opcode, Open, Part,
    ProtocolError, RunOptions, State, WebSocketApp,
};
use websocket_testkit::frame;
use websocket_testkit::server::{EchoServer, Peer, ScriptedServer};
use websocket_tests::{Log, error_line, run_forever};

fn options() -> RunOptions {
    RunOptions::new()
}

/// A server that opens, says what `say` says and then goes through the closing handshake.
fn server(say: impl Fn(&mut Peer) + Send + Sync + 'static) -> ScriptedServer {
    ScriptedServer::start(move |mut peer| {
        peer.accept_upgrade();
        say(&mut peer);
        peer.send_close(1000, "");
        peer.read_close();
    })
    .unwrap()
}

/// One message, one fragmented message, a ping, a pong.
fn say_everything(peer: &mut Peer) {
    peer.send_text("whole");
    peer.send_frame(false, 0, frame::TEXT, b"fir");
    peer.send_frame(true, 0, frame::CONTINUATION, b"st");
    peer.send_ping(b"?");
    assert_eq!(peer.read_frame().opcode, frame::PONG);
    peer.send_pong(b"!");
}

#[test]
fn b020_every_callback_gets_its_app_first() {
    let server = server(say_everything);
    let ids = Rc::new(RefCell::new(Vec::<(&str, AppId)>::new()));
    let see = |name| {
        let ids = ids.clone();
        move |app: &mut Context<'_>| ids.borrow_mut().push((name, app.id()))
    };
    let [open, message, data, fragment, ping, pong, error, close] =
        ["open", "message", "data", "fragment", "ping", "pong", "error", "close"].map(see);
    let mut app = WebSocketApp::new(server.url())
        .on_open(move |app, _| {
            open(app);
            Err("for on_error")
        })
        .on_message(move |app, _| message(app))
        .on_data(move |app, _, _, _| data(app))
        .on_cont_message(move |app, _| fragment(app))
        .on_ping(move |app, _| ping(app))
        .on_pong(move |app, _, _| pong(app))
        .on_error(move |app, _| error(app))
        .on_close(move |app, _| close(app));
    run_forever(&mut app, &options()).unwrap().into_result().unwrap();
    let ids = ids.borrow();
    let names: Vec<_> = ids.iter().map(|(name, _)| *name).collect();
    let expected =
        ["open", "error", "data", "message", "data", "fragment", "data", "fragment", "ping", "pong", "close"];
    assert_eq!(names, expected);
    assert!(ids.iter().all(|(_, id)| *id == ids[0].1));
    server.join();
}

/// Fails in every callback.
struct Failing(Log);

impl Failing {
    fn fail(&self, callback: &'static str) -> CallbackResult {
        self.0.push(callback);
        Err(callback.into())
    }
}

impl Handler for Failing {
    fn on_open(&mut self, _: &mut Context<'_>, _: &Open<'_>) -> CallbackResult {
        self.fail("open")
    }

    fn on_message(&mut self, _: &mut Context<'_>, _: Message<'_>) -> CallbackResult {
        self.fail("message")
    }

    fn on_data(&mut self, _: &mut Context<'_>, _: &[u8], _: Opcode, _: Part) -> CallbackResult {
        self.fail("data")
    }

    fn on_cont_message(&mut self, _: &mut Context<'_>, _: Fragment<'_>) -> CallbackResult {
        self.fail("fragment")
    }

    fn wants_fragments(&self) -> bool {
        true
    }

    fn on_ping(&mut self, _: &mut Context<'_>, _: &[u8]) -> CallbackResult {
        self.fail("ping")
    }

    fn on_pong(&mut self, _: &mut Context<'_>, _: &[u8], _: Option<Duration>) -> CallbackResult {
        self.fail("pong")
    }

    fn on_error(&mut self, _: &mut Context<'_>, error: &Error) -> CallbackResult {
        self.0.push(error_line(error));
        Err("error".into())
    }

    fn on_close(&mut self, _: &mut Context<'_>, _: &Closed<'_>) -> CallbackResult {
        self.fail("close")
    }
}

#[test]
fn on_data_is_called_unless_the_handler_says_that_it_wants_none() {
    struct Picky {
        log: Log,
        wants_data: bool,
    }
    impl Handler for Picky {
        fn on_data(&mut self, _: &mut Context<'_>, _: &[u8], _: Opcode, _: Part) -> CallbackResult {
            self.log.push("data");
            Ok(())
        }

        fn wants_data(&self) -> bool {
            self.wants_data
        }

        fn on_message(&mut self, _: &mut Context<'_>, _: Message<'_>) -> CallbackResult {
            self.log.push("message");
            Ok(())
        }

        fn on_cont_message(&mut self, _: &mut Context<'_>, _: Fragment<'_>) -> CallbackResult {
            self.log.push("fragment");
            Ok(())
        }

        fn wants_fragments(&self) -> bool {
            true
        }
    }
    let server = server(say_everything);
    for wants_data in [true, false] {
        let log = Log::new();
        let mut app = WebSocketApp::with_handler(server.url(), Picky { log: log.clone(), wants_data });
        assert!(!run_forever(&mut app, &options()).unwrap().is_error());
        let mut expected = vec!["data", "message", "data", "fragment", "data", "fragment"];
        expected.retain(|line| wants_data || *line != "data");
        assert_eq!(log.lines(), expected);
    }
}

#[test]
fn b021_b022_an_error_of_a_callback_goes_to_on_error_once_and_the_connection_goes_on() {
    let server = server(say_everything);
    let log = Log::new();
    let mut app = WebSocketApp::with_handler(server.url(), Failing(log.clone()));
    assert!(!run_forever(&mut app, &options()).unwrap().is_error());
    let mut expected = Vec::new();
    for callback in ["open", "data", "message", "data", "fragment", "data", "fragment", "ping", "pong"] {
        expected.extend([callback.to_owned(), format!("error Callback({callback})")]);
    }
    // Nothing comes after on_close, not even its own error.
    expected.push("close".into());
    assert_eq!(log.lines(), expected);
    server.join();
}

#[test]
fn b021_an_error_of_a_timer_or_of_work_from_a_sender_goes_to_on_error_too() {
    let echo = EchoServer::start().unwrap();
    let log = Log::new();
    let mut app = log.app(echo.url()).on_open(|app, _| {
        app.set_timeout(Duration::ZERO, |_| Err("timer"));
        app.sender().run(|_| Err("run"));
        app.set_timeout(Duration::from_millis(1), |app| app.close());
    });
    run_forever(&mut app, &options()).unwrap().into_result().unwrap();
    let expected = ["error Callback(run)", "error Callback(timer)", "close 1000, by client, clean"];
    let mut lines = log.lines();
    lines.sort();
    let mut expected = expected.map(str::to_owned);
    expected.sort();
    assert_eq!(lines, expected);
}

#[test]
fn b023_failures_of_callbacks_and_of_the_connection_can_be_told_apart() {
    let server = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        peer.write(&frame::masked(0x81, [1, 2, 3, 4], b"x"));
        assert_eq!(peer.read_close().map(|(code, _)| code), Some(1002));
    })
    .unwrap();
    let seen = Rc::new(RefCell::new(Vec::new()));
    let errors = seen.clone();
    let mut app = WebSocketApp::new(server.url()).on_open(|_, _| Err("mine")).on_error(move |_, error| {
        errors.borrow_mut().push(match error {
            Error::Callback(error) => format!("the callback's: {error}"),
            Error::Protocol(ProtocolError::MaskedFrame) => "the server's".into(),
            other => format!("{other:?}"),
        });
    });
    assert!(run_forever(&mut app, &options()).unwrap().is_error());
    assert_eq!(*seen.borrow(), ["the callback's: mine", "the server's"]);
    server.join();
}

/// Keeps the records of this test binary.
struct Records(Mutex<Vec<(log::Level, String, String)>>);

impl log::Log for Records {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = (record.level(), record.target().to_owned(), record.args().to_string());
        self.0.lock().unwrap().push(line);
    }

    fn flush(&self) {}
}

#[test]
fn b024_without_on_error_the_error_of_a_callback_is_only_logged() {
    static RECORDS: Records = Records(Mutex::new(Vec::new()));
    log::set_logger(&RECORDS).unwrap();
    log::set_max_level(log::LevelFilter::Warn);
    let server = server(|peer| peer.send_text("x"));
    let messages = Rc::new(Cell::new(0));
    let count = messages.clone();
    let mut app = WebSocketApp::new(server.url())
        .on_open(|_, _| Err("nobody listens to this"))
        .on_message(move |_, _| count.set(count.get() + 1));
    assert!(!run_forever(&mut app, &options()).unwrap().is_error());
    assert_eq!(messages.get(), 1);
    let records = RECORDS.0.lock().unwrap();
    let (level, target, _) =
        records.iter().find(|(_, _, text)| text.contains("nobody listens to this")).unwrap();
    assert_eq!((*level, target.as_str()), (log::Level::Warn, "websocket::app"));
    server.join();
}

/// Runs an app that writes down `on_data`, messages and, if asked, fragments.
fn deliveries(server: &ScriptedServer, fragments: bool) -> Vec<String> {
    let log = Log::new();
    let (data, cont) = (log.clone(), log.clone());
    let mut app = log.app(server.url()).on_open(|_, _| {}).on_ping(|_, _| {}).on_pong(|_, _, _| {}).on_data(
        move |_, payload, opcode, part| {
            let part = match part {
                Part::Whole => "whole".to_owned(),
                Part::Fragment { first, last } => format!("{first} {last}"),
            };
            data.push(format!("data {} {opcode:?} {part}", String::from_utf8_lossy(payload)));
        },
    );
    if fragments {
        app = app.on_cont_message(move |_, it| {
            let Fragment { kind, payload, first, last, .. } = it;
            cont.push(format!("fragment {kind:?} {} {first} {last}", String::from_utf8_lossy(payload)));
        });
    }
    run_forever(&mut app, &options()).unwrap().into_result().unwrap();
    log.lines()
}

#[test]
fn b025_b027_on_data_comes_before_on_message_with_the_opcode_of_the_message() {
    let server = server(say_everything);
    let expected = [
        "data whole Text whole",
        "text whole",
        "data first Text whole",
        "text first",
        "close 1000, by server, clean",
    ];
    assert_eq!(deliveries(&server, false), expected);
    server.join();
}

#[test]
fn b026_b028_every_fragment_goes_to_on_cont_message_after_on_data_and_whole_messages_to_on_message() {
    let server = server(|peer| {
        say_everything(peer);
        peer.send_frame(false, 0, frame::BINARY, b"1");
        peer.send_frame(false, 0, frame::CONTINUATION, b"2");
        peer.send_frame(true, 0, frame::CONTINUATION, b"3");
    });
    let expected = [
        "data whole Text whole",
        "text whole",
        "data fir Text true false",
        "fragment Text fir true false",
        "data st Text false true",
        "fragment Text st false true",
        "data 1 Binary true false",
        "fragment Binary 1 true false",
        "data 2 Binary false false",
        "fragment Binary 2 false false",
        "data 3 Binary false true",
        "fragment Binary 3 false true",
        "close 1000, by server, clean",
    ];
    assert_eq!(deliveries(&server, true), expected);
    server.join();
}

#[test]
fn b029_text_in_fragments_is_checked_across_them() {
    let server = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        peer.send_frame(false, 0, frame::TEXT, b"caf\xc3");
        peer.send_frame(true, 0, frame::CONTINUATION, b"\xa9");
        peer.send_frame(false, 0, frame::TEXT, b"caf\xc3");
        peer.send_frame(true, 0, frame::CONTINUATION, b"x");
        assert_eq!(peer.read_close().map(|(code, _)| code), Some(1007));
    })
    .unwrap();
    let log = Log::new();
    let fragments = log.clone();
    let mut app = log.app(server.url()).on_cont_message(move |_, fragment| {
        fragments.push(format!("{:?}", fragment.payload));
    });
    run_forever(&mut app, &options()).unwrap().into_result().unwrap_err();
    let expected = [
        "open".to_owned(),
        format!("{:?}", b"caf\xc3"),
        format!("{:?}", b"\xa9"),
        format!("{:?}", b"caf\xc3"),
        "error Protocol(InvalidUtf8)".into(),
        "close: Protocol(InvalidUtf8)".into(),
    ];
    assert_eq!(log.lines(), expected);
    server.join();
}

#[test]
fn b030_text_comes_as_str_and_binary_as_bytes() {
    let server = server(|peer| {
        peer.send_text("žluťoučký");
        peer.send_binary(b"\xff\x00");
        peer.send_text("");
    });
    let seen = Rc::new(RefCell::new(Vec::new()));
    let messages = seen.clone();
    let mut app = WebSocketApp::new(server.url()).on_message(move |_, message| {
        messages.borrow_mut().push(match message {
            Message::Text(text) => (Kind::Text, text.as_bytes().to_vec()),
            Message::Binary(bytes) => (Kind::Binary, bytes.to_vec()),
            Message::UncheckedText(_) => panic!("it was to be checked"),
        });
    });
    run_forever(&mut app, &options()).unwrap().into_result().unwrap();
    let expected = [
        (Kind::Text, "žluťoučký".as_bytes().to_vec()),
        (Kind::Binary, vec![0xff, 0]),
        (Kind::Text, Vec::new()),
    ];
    assert_eq!(*seen.borrow(), expected);
    server.join();
}

#[test]
fn b031_on_ping_comes_after_the_pong_was_sent_and_on_pong_for_every_pong() {
    let server = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        peer.send_ping(b"first");
        let (pong, text) = (peer.read_frame(), peer.read_frame());
        assert_eq!((pong.opcode, pong.payload.as_slice()), (frame::PONG, &b"first"[..]));
        assert_eq!((text.opcode, text.text().as_str()), (frame::TEXT, "from on_ping"));
        peer.send_pong(b"nobody asked");
        peer.send_pong(b"");
        peer.send_close(1000, "");
        peer.read_close();
    })
    .unwrap();
    let log = Log::new();
    let ping = log.clone();
    let mut app = log.app(server.url()).on_ping(move |app, payload| {
        assert!(app.queued_bytes() > 0, "the pong is on its way");
        ping.push(format!("ping {}", String::from_utf8_lossy(payload)));
        app.send_text("from on_ping")
    });
    run_forever(&mut app, &options()).unwrap().into_result().unwrap();
    let expected = ["open", "ping first", "pong nobody asked", "pong ", "close 1000, by server, clean"];
    assert_eq!(log.lines(), expected);
    server.join();
}

#[test]
fn b032_pings_between_fragments_are_answered_and_disturb_nothing() {
    let server = server(|peer| {
        peer.send_frame(false, 0, frame::TEXT, b"one ");
        for payload in [&b"a"[..], &[b'b'; 125]] {
            peer.send_ping(payload);
            let pong = peer.read_frame();
            assert_eq!((pong.opcode, pong.payload.as_slice()), (frame::PONG, payload));
            peer.send_frame(false, 0, frame::CONTINUATION, b"more ");
        }
        peer.send_frame(true, 0, frame::CONTINUATION, b"end");
    });
    let log = Log::new();
    run_forever(&mut log.app(server.url()).on_ping(|_, _| {}), &options()).unwrap().into_result().unwrap();
    assert_eq!(log.lines(), ["open", "text one more more end", "close 1000, by server, clean"]);
    server.join();
}

#[test]
fn b053_sending_without_an_open_connection_is_refused() {
    let server = server(|peer| peer.send_text("x"));
    let log = Log::new();
    let (after_close, at_end) = (log.clone(), log.clone());
    let mut app = log
        .app(server.url())
        .on_message(move |app, _| {
            app.close();
            assert_eq!(app.state(), State::Closing);
            after_close.push(app.send_text("late").unwrap_err().to_string());
        })
        .on_close(move |app, _| {
            at_end.push(app.send_text("later").unwrap_err().to_string());
            at_end.push(app.send_bytes(b"later").unwrap_err().to_string());
            at_end.push(app.send(b"later", Opcode::Binary).unwrap_err().to_string());
            at_end.push(app.ping(b"").unwrap_err().to_string());
        });
    let sender = app.sender();
    let before = sender.send_text("early").unwrap_err();
    assert_eq!(before.message.as_bytes(), b"early");
    run_forever(&mut app, &options()).unwrap().into_result().unwrap();
    let closed = "the connection is already closed";
    assert_eq!(log.lines(), ["open", closed, closed, closed, closed, closed]);
    assert_eq!(sender.send_text("after").unwrap_err().message.as_bytes(), b"after");
    server.join();
}
