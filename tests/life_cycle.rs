//! A run: what it refuses, how it starts and stops, what it returns, and that another can follow.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::{Cell, RefCell};
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use websocket_app::dispatcher::Io;
use websocket_app::{
    ConfigError, Error, HeaderError, Outcome, Reactor, RunOptions, Side, State, WebSocketApp,
};
use websocket_testkit::server::{EchoServer, ScriptedServer};
use websocket_testkit::sim::SimNet;
use websocket_tests::{
    Counting, Log, SERVER, URL, World, dispatcher, outcome_line, reactor, run, run_forever, until,
};

const SECOND: Duration = Duration::from_secs(1);

/// Runs a whole app on `options`, which must be refused, and proves that nobody connected meanwhile.
#[track_caller]
fn refused(make: impl Fn(&Log, String) -> WebSocketApp, options: &RunOptions) -> Error {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let log = Log::new();
    let error = make(&log, url).run_forever_on(dispatcher(), options).unwrap_err();
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);

    let mut world = World::new();
    make(&log, URL.into()).run_on(&mut world.reactor, options).unwrap_err();
    world.run_for(SECOND);
    assert_eq!(world.net.attempts(), []);
    assert!(world.reactor.apps().is_empty());
    assert_eq!(log.lines(), [""; 0]);
    error
}

#[test]
fn b001_a_ping_timeout_of_zero_is_refused_before_any_io() {
    let options = RunOptions::new().ping_interval(SECOND).ping_timeout(Duration::ZERO);
    let error = refused(Log::app, &options);
    assert!(matches!(error, Error::Options(ConfigError::PingTimeoutZero)), "{error:?}");
}

#[test]
fn b003_a_ping_timeout_of_the_interval_or_more_is_refused_before_any_io() {
    for timeout in [SECOND, 2 * SECOND] {
        let error = refused(Log::app, &RunOptions::new().ping_interval(SECOND).ping_timeout(timeout));
        let Error::Options(ConfigError::PingTimeoutNotBelowInterval { timeout: told, interval }) = error
        else {
            panic!("{error:?}")
        };
        assert_eq!((told, interval), (timeout, SECOND));
    }
}

#[test]
fn b005_a_ping_timeout_without_an_interval_is_refused_before_any_io() {
    let error = refused(Log::app, &RunOptions::new().ping_timeout(SECOND));
    assert!(matches!(error, Error::Options(ConfigError::PingTimeoutWithoutInterval)), "{error:?}");
}

#[test]
fn other_bad_input_is_refused_before_any_io_too() {
    let plain = RunOptions::new();
    let error = refused(Log::app, &RunOptions::new().ping_payload([0; 126]));
    assert!(matches!(error, Error::Options(ConfigError::PingPayloadTooLong { len: 126 })), "{error:?}");
    let error = refused(|log, url| log.app(url).headers(["X: a\r\nY: b"]), &plain);
    assert!(matches!(error, Error::Header(HeaderError::Value(_))), "{error:?}");
    let error = refused(|log, url| log.app(url).cookie("a\nb"), &plain);
    assert!(matches!(error, Error::Header(HeaderError::Value(_))), "{error:?}");
    let error = refused(|log, url| log.app(url).subprotocols(["a b"]), &plain);
    assert!(matches!(error, Error::Request(_)), "{error:?}");
    let error = refused(Log::app, &RunOptions::new().host("a\r\nb"));
    assert!(matches!(error, Error::Header(HeaderError::Value(_))), "{error:?}");
    let error = refused(|log, _| log.app("http://127.0.0.1/"), &plain);
    assert!(matches!(error, Error::Url(_)), "{error:?}");
}

#[test]
fn b007_b008_a_run_tells_who_closed_it_or_what_broke_it() {
    let server = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        match peer.index() {
            0 => {
                peer.send_text("close, please");
                assert_eq!(peer.read_close(), Some((1000, String::new())));
                peer.send_close(1000, "as you wish");
            }
            1 => {
                peer.send_close(1000, "enough");
                assert_eq!(peer.read_close(), Some((1000, String::new())));
            }
            _ => {}
        }
        peer.shutdown();
        peer.read_to_end();
    })
    .unwrap();
    let log = Log::new();
    let mut app = log.app(server.url()).on_message(|app, _| app.close());
    let mut outcomes = (0..3).map(|_| run_forever(&mut app, &RunOptions::new()).unwrap());

    let by_client = outcomes.next().unwrap();
    assert_eq!(outcome_line(&by_client), "clean 1000 as you wish, by Client");
    assert!(!by_client.is_error());
    let by_server = outcomes.next().unwrap();
    assert!(matches!(&by_server, Outcome::Clean { by: Side::Server, reason, .. } if reason == "enough"));
    assert!(!by_server.is_error());
    let lost = outcomes.next().unwrap();
    assert!(matches!(lost, Outcome::Lost(Error::EndOfStream)), "{lost:?}");
    assert!(lost.is_error());
    server.join();
}

#[test]
fn b009_b010_an_app_can_run_again_and_each_run_starts_afresh() {
    let server = ScriptedServer::start(|mut peer| {
        if peer.index() == 0 {
            return;
        }
        let request = peer.accept_upgrade();
        assert_eq!((request.header("X-Fixed"), request.header("Cookie")), (Some("1"), Some("c=2")));
        let hello = peer.read_frame();
        assert_eq!((hello.text().as_str(), hello.mask), ("hello", Some([7, 7, 7, 7])));
        peer.send_close(1000, "");
        peer.read_close();
    })
    .unwrap();
    let log = Log::new();
    let hello = log.clone();
    let mut app =
        log.app(server.url()).headers([("X-Fixed", "1")]).cookie("c=2").mask_key(|| [7; 4]).on_open(
            move |app, _| {
                hello.push("open");
                app.send_text("hello")
            },
        );
    assert!(run_forever(&mut app, &RunOptions::new()).unwrap().is_error());
    log.take();
    for _ in 0..2 {
        assert!(!run_forever(&mut app, &RunOptions::new()).unwrap().is_error());
        assert_eq!(log.take(), ["open", "close 1000, by server, clean"]);
    }
    server.join();
}

#[test]
fn b010_a_run_of_a_handler_and_one_that_removed_its_app_leave_the_app_fit_for_another() {
    struct Counter(Rc<Cell<u32>>);
    impl websocket_app::Handler for Counter {
        fn on_open(
            &mut self,
            app: &mut websocket_app::Context<'_>,
            _: &websocket_app::Open<'_>,
        ) -> websocket_app::CallbackResult {
            self.0.set(self.0.get() + 1);
            app.close();
            Ok(())
        }
    }
    let server = EchoServer::start().unwrap();
    let opened = Rc::new(Cell::new(0));
    let mut app = WebSocketApp::with_handler(server.url(), Counter(opened.clone()));
    for run in 1..=2 {
        run_forever(&mut app, &RunOptions::new()).unwrap().into_result().unwrap();
        assert_eq!(opened.get(), run);
    }

    let log = Log::new();
    let removals = log.clone();
    let mut app = log.app(server.url()).on_open(move |app, _| {
        removals.push("open");
        app.remove();
    });
    for _ in 0..2 {
        assert_eq!(outcome_line(&run_forever(&mut app, &RunOptions::new()).unwrap()), "stopped");
        assert_eq!(log.take(), ["open"]);
    }
}

#[test]
fn b012_an_app_knows_its_state_in_every_callback() {
    let server = EchoServer::start().unwrap();
    let seen = Rc::new(RefCell::new(Vec::new()));
    let [open, message, close] = std::array::from_fn(|_| seen.clone());
    let mut app = WebSocketApp::new(server.url())
        .on_open(move |app, _| {
            open.borrow_mut().push((app.is_running(), app.state(), app.is_open()));
            app.send_text("x")
        })
        .on_message(move |app, _| {
            app.close();
            message.borrow_mut().push((app.is_running(), app.state(), app.is_open()));
        })
        .on_close(move |app, _| close.borrow_mut().push((app.is_running(), app.state(), app.is_open())));
    run_forever(&mut app, &RunOptions::new()).unwrap().into_result().unwrap();
    assert_eq!(
        *seen.borrow(),
        [(true, State::Open, true), (true, State::Closing, false), (false, State::Closed, false)]
    );

    let mut world = World::new();
    world.net.black_hole(SERVER);
    let id = Log::new().app(URL).run_on(&mut world.reactor, &RunOptions::new()).unwrap();
    world.settle();
    let state = world.reactor.apps().with(id, |app| (app.is_running(), app.state(), app.is_open()));
    assert_eq!(state, Some((true, State::Connecting, false)));
}

#[test]
fn b013_a_stop_from_another_thread_is_done_within_one_turn() {
    let server = EchoServer::start().unwrap();
    let mut reactor = reactor();
    let logs = [Log::new(), Log::new()];
    for log in &logs {
        log.app(server.url()).run_on(&mut reactor, &RunOptions::new()).unwrap();
    }
    until(&mut reactor, |_| logs.iter().all(|log| log.has("open")));
    let handle = reactor.handle();
    thread::spawn(move || handle.stop()).join().unwrap();
    reactor.poll(None).unwrap();
    assert!(reactor.apps().is_empty());
    for log in logs {
        assert_eq!(log.lines(), ["open", "close, by client"]);
    }
}

#[test]
fn b013_a_stop_from_another_thread_ends_a_run_and_the_server_is_told_1001() {
    let server = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        assert_eq!(peer.read_close(), Some((1001, String::new())));
        peer.read_to_end();
    })
    .unwrap();
    let log = Log::new();
    let opened = log.clone();
    let mut app = log.app(server.url()).on_open(move |app, _| {
        opened.push("open");
        let sender = app.sender();
        thread::spawn(move || sender.stop());
    });
    assert_eq!(outcome_line(&run_forever(&mut app, &RunOptions::new()).unwrap()), "stopped");
    assert_eq!(log.lines(), ["open", "close, by client"]);
    server.join();
}

#[test]
fn a_stop_leaves_the_reactor_fit_for_another_run() {
    let server = EchoServer::start().unwrap();
    let mut reactor = reactor();
    let log = Log::new();
    for _ in 0..2 {
        let stop = log.clone();
        log.app(server.url())
            .on_open(|app, _| app.apps().stop())
            .on_close(move |app, _| {
                stop.push("close");
                app.apps().stop();
            })
            .run_on(&mut reactor, &RunOptions::new())
            .unwrap();
        log.app(server.url()).run_on(&mut reactor, &RunOptions::new()).unwrap();
        reactor.run().unwrap();
        assert!(reactor.apps().is_empty());
    }
    log.take();
    log.app(server.url()).on_open(|app, _| app.close()).run_on(&mut reactor, &RunOptions::new()).unwrap();
    reactor.run().unwrap();
    assert_eq!(log.lines(), ["close 1000, by client, clean"]);
}

#[test]
fn a_dropped_reactor_drops_its_apps_silently() {
    let mut world = World::new();
    let log = Log::new();
    let alive = Rc::new(());
    let kept = alive.clone();
    let peer = world.open(log.app(URL).on_message(move |_, _| drop(kept.clone())), &RunOptions::new());
    world.net.black_hole(SERVER);
    log.app(URL).run_on(&mut world.reactor, &RunOptions::new()).unwrap();
    world.settle();
    drop(world);
    assert_eq!(log.lines(), ["open"]);
    assert_eq!(Rc::strong_count(&alive), 1);
    assert!(peer.ended().is_some());
    assert_eq!(peer.read_frame(), None);
}

#[test]
fn a_dropped_reactor_has_its_dispatcher_watch_nothing_any_more() {
    let net = SimNet::new(1);
    let dispatcher = Counting::new(net.dispatcher());
    let watched = dispatcher.watched.clone();
    let mut reactor = Reactor::with_dispatcher(dispatcher).unwrap().connector(net.clone());
    net.black_hole(SERVER);
    for _ in 0..3 {
        Log::new().app(URL).run_on(&mut reactor, &RunOptions::new()).unwrap();
    }
    reactor.poll(Some(Duration::ZERO)).unwrap();
    assert_eq!(watched.get(), 3);
    drop(reactor);
    assert_eq!(watched.get(), 0);
}

#[test]
fn b014_a_close_before_the_start_is_honoured() {
    let log = Log::new();
    let mut app = log.app("ws://127.0.0.1:9/");
    app.sender().close();
    assert_eq!(outcome_line(&run_forever(&mut app, &RunOptions::new()).unwrap()), "clean none, by Client");
    assert_eq!(log.take(), ["close, by client"]);

    let mut world = World::new();
    let mut app = log.app(URL);
    app.sender().close();
    app.run_on(&mut world.reactor, &RunOptions::new()).unwrap();
    world.reactor.run().unwrap();
    assert_eq!(log.take(), ["close, by client"]);
    assert_eq!(world.net.attempts(), []);
}

#[test]
fn b014_a_stop_before_the_start_is_honoured() {
    let mut world = World::new();
    let log = Log::new();
    log.app(URL).run_on(&mut world.reactor, &RunOptions::new()).unwrap();
    world.reactor.handle().stop();
    world.reactor.run().unwrap();
    assert_eq!(log.lines(), ["close"]);
}

#[test]
fn b016_a_header_function_is_called_before_every_attempt_and_once() {
    let server = ScriptedServer::start(|mut peer| {
        let request = peer.accept_upgrade();
        let expected = (peer.index() + 1).to_string();
        assert_eq!(request.header_values("X-Attempt").collect::<Vec<_>>(), [expected]);
        assert_eq!(request.header("X-Fixed"), Some("yes"));
        peer.send_close(1000, "");
        peer.read_close();
    })
    .unwrap();
    let calls = Rc::new(Cell::new(0));
    let count = calls.clone();
    let log = Log::new();
    let mut app =
        log.app(server.url()).headers([("X-Fixed", "yes"), ("X-Attempt", "0")]).header_with(move || {
            count.set(count.get() + 1);
            vec![("X-Attempt", count.get().to_string())]
        });
    for run in 1..=3 {
        run_forever(&mut app, &RunOptions::new()).unwrap().into_result().unwrap();
        assert_eq!(calls.get(), run);
    }
    server.join();
}

#[test]
fn b016_what_a_header_function_returns_is_checked_before_any_io() {
    let mut world = World::new();
    let log = Log::new();
    log.app(URL).header_with(|| [("X", "a\r\nb")]).run_on(&mut world.reactor, &RunOptions::new()).unwrap();
    world.reactor.run().unwrap();
    assert_eq!(log.lines(), ["error Header(Value(\"X\"))", "close: Header(Value(\"X\"))"]);
    assert_eq!(world.net.attempts(), []);
}

#[test]
fn b019_a_prepared_socket_is_used_and_host_and_path_come_from_the_url() {
    let server = ScriptedServer::start(|mut peer| {
        let request = peer.accept_upgrade();
        assert_eq!((request.path.as_str(), request.header("Host")), ("/chat?x=1", Some("example.test:8080")));
        peer.send_close(1000, "");
        peer.read_close();
    })
    .unwrap();
    let log = Log::new();
    let stream = Io::tcp(TcpStream::connect(server.addr()).unwrap()).unwrap();
    let mut app = log.app("ws://example.test:8080/chat?x=1").socket(stream);
    assert!(!run_forever(&mut app, &RunOptions::new()).unwrap().is_error());
    assert_eq!(log.lines(), ["open", "close 1000, by server, clean"]);
    assert_eq!(server.accepted(), 1);
    server.join();
}

#[cfg(unix)]
#[test]
fn b019_b196_a_prepared_unix_socket_serves_as_well() {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;
    use websocket_testkit::{frame, handshake};

    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let server = thread::spawn(move || {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            theirs.read_exact(&mut byte).unwrap();
            request.extend(byte);
        }
        theirs.write_all(&handshake::response_for(&request)).unwrap();
        theirs.write_all(&frame::close(1000, "")).unwrap();
        theirs.read_to_end(&mut Vec::new()).map(drop)
    });
    let log = Log::new();
    let mut reactor = reactor();
    log.app("ws://localhost/")
        .socket(Io::unix(ours).unwrap())
        .run_on(&mut reactor, &RunOptions::new().close_timeout(Duration::from_millis(1)))
        .unwrap();
    run(&mut reactor);
    assert_eq!(log.lines(), ["open", "close 1000, by server, clean"]);
    server.join().unwrap().unwrap();
}
