//! A callback that panics ends its own app and harms nobody else; that it goes on is an opt-in.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use websocket_app::{
    CallbackResult, Closed, Context, Error, Fragment, Handler, Message, Opcode, Open, PanicPolicy, Part,
    Reactor, Reconnect, RunOptions, WebSocketApp,
};
use websocket_testkit::frame;
use websocket_testkit::server::{EchoServer, ScriptedServer};
use websocket_testkit::sim::{Faults, SimDispatcher, SimNet, SimPeer};
use websocket_tests::{Log, SERVER, URL, World, close_line, error_line, reactor, run, run_forever};

fn options() -> RunOptions {
    RunOptions::new()
}

/// Panics in one callback, and writes all of them down.
struct Panicking {
    log: Log,
    callback: &'static str,
}

impl Panicking {
    fn called(&self, callback: &str, line: String) -> CallbackResult {
        self.log.push(line);
        assert!(callback != self.callback, "in {callback}");
        Ok(())
    }
}

impl Handler for Panicking {
    fn on_open(&mut self, _: &mut Context<'_>, _: &Open<'_>) -> CallbackResult {
        self.called("open", "open".into())
    }

    fn on_message(&mut self, _: &mut Context<'_>, _: Message<'_>) -> CallbackResult {
        self.called("message", "message".into())
    }

    fn on_data(&mut self, _: &mut Context<'_>, _: &[u8], _: Opcode, _: Part) -> CallbackResult {
        self.called("data", "data".into())
    }

    fn on_cont_message(&mut self, _: &mut Context<'_>, _: Fragment<'_>) -> CallbackResult {
        self.called("fragment", "fragment".into())
    }

    fn wants_fragments(&self) -> bool {
        true
    }

    fn on_ping(&mut self, _: &mut Context<'_>, _: &[u8]) -> CallbackResult {
        self.called("ping", "ping".into())
    }

    fn on_pong(&mut self, _: &mut Context<'_>, _: &[u8], _: Option<Duration>) -> CallbackResult {
        self.called("pong", "pong".into())
    }

    fn on_drain(&mut self, _: &mut Context<'_>) -> CallbackResult {
        self.called("drain", "drain".into())
    }

    fn on_error(&mut self, _: &mut Context<'_>, error: &Error) -> CallbackResult {
        self.called("error", error_line(error))
    }

    fn on_close(&mut self, _: &mut Context<'_>, closed: &Closed<'_>) -> CallbackResult {
        self.called("close", close_line(closed))
    }
}

/// A reactor in a world where little fits into a stream.
fn world(policy: PanicPolicy) -> World {
    let mut faults = Faults::default();
    faults.send_buffer = 1000;
    let World { net, resolver, reactor } = World::on(SimNet::new(1).with_faults(faults));
    World { net, resolver, reactor: reactor.panic_policy(policy) }
}

/// Lets the server say everything that there is a callback for.
fn say_everything(peer: &SimPeer) {
    let everything = [
        frame::text("whole"),
        frame::encode(false, 0, frame::TEXT, b"first"),
        frame::continuation(true, b"last"),
        frame::ping(b""),
        frame::pong(b""),
    ];
    peer.write(&everything.concat());
}

/// Takes a turn, and tells whether a panic came out of it.
fn turn(reactor: &mut Reactor<SimDispatcher>) -> bool {
    catch_unwind(AssertUnwindSafe(|| reactor.poll(Some(Duration::ZERO)).unwrap())).is_err()
}

#[test]
fn a_panic_in_any_callback_ends_that_app_with_on_error_and_on_close_and_no_other() {
    let before: [(&str, &[&str]); 6] = [
        ("open", &["open"]),
        ("data", &["open", "data"]),
        ("message", &["open", "data", "message"]),
        ("fragment", &["open", "data", "message", "data", "fragment"]),
        ("ping", &["open", "data", "message", "data", "fragment", "data", "fragment", "ping"]),
        ("pong", &["open", "data", "message", "data", "fragment", "data", "fragment", "ping", "pong"]),
    ];
    for policy in [PanicPolicy::Catch, PanicPolicy::Propagate] {
        for (callback, before) in before {
            let mut world = world(policy);
            let logs = [0, 1, 2].map(|_| Log::new());
            let listener = world.net.listen(SERVER);
            for (index, log) in logs.iter().enumerate() {
                let callback = if index == 1 { callback } else { "none" };
                let app = WebSocketApp::with_handler(URL, Panicking { log: log.clone(), callback });
                app.run_on(&mut world.reactor, &options()).unwrap();
            }
            world.reactor.poll(Some(Duration::ZERO)).unwrap();
            world.reactor.poll(Some(Duration::ZERO)).unwrap();
            let peers: Vec<_> = std::iter::from_fn(|| listener.accept()).collect();
            for peer in &peers {
                assert!(peer.accept_upgrade().is_some());
                say_everything(peer);
            }
            // All three in one batch: the neighbours have their turn whatever becomes of the one between them.
            let panicked = turn(&mut world.reactor);
            assert_eq!(panicked, policy == PanicPolicy::Propagate, "{callback}");
            for index in [0, 2] {
                assert_eq!(logs[index].lines().last().unwrap(), "pong", "{callback} {policy:?}");
                assert_eq!(peers[index].ended(), None);
            }
            world.settle();
            let mut expected: Vec<_> = before.iter().map(|line| (*line).to_owned()).collect();
            expected.push(format!("error CallbackPanicked(\"in {callback}\")"));
            expected.push(format!("close: CallbackPanicked(\"in {callback}\")"));
            assert_eq!(logs[1].lines(), expected, "{policy:?}");
            assert_eq!(world.reactor.apps().len(), 2);
            // The server was told that it is not its fault.
            let frames: Vec<_> = std::iter::from_fn(|| peers[1].read_frame()).collect();
            assert_eq!(frames.last().unwrap().close(), Some((1011, String::new())));

            // The neighbours' pongs went out, and they go on.
            for index in [0, 2] {
                assert_eq!(peers[index].read_frame().unwrap().opcode, frame::PONG);
                peers[index].write(&frame::text("more"));
                world.settle();
                assert_eq!(logs[index].lines().last().unwrap(), "message");
            }
        }
    }
}

#[test]
fn a_panic_in_on_drain() {
    let mut world = world(PanicPolicy::Catch);
    let log = Log::new();
    let app = WebSocketApp::with_handler(URL, Panicking { log: log.clone(), callback: "drain" });
    let peer = world.open(app, &options());
    let id = world.reactor.apps().ids()[0];
    world.reactor.apps().with(id, |app| app.send_bytes([0; 1500]).unwrap());
    world.settle();
    peer.read_available();
    world.settle();
    let panicked = "CallbackPanicked(\"in drain\")";
    assert_eq!(log.lines(), ["open", "drain", &format!("error {panicked}"), &format!("close: {panicked}")]);
}

#[test]
fn b022_a_panic_in_on_error_is_not_told_to_on_error_and_on_close_still_comes() {
    // On its own, from a failure of the connection.
    let mut world = world(PanicPolicy::Catch);
    let log = Log::new();
    let app = WebSocketApp::with_handler(URL, Panicking { log: log.clone(), callback: "error" });
    let peer = world.open(app, &options());
    peer.write(&frame::encode(true, 0, 3, b""));
    world.settle();
    let failure = "Protocol(UnknownOpcode(3))";
    assert_eq!(log.take(), ["open", &format!("error {failure}"), &format!("close: {failure}")]);
    assert_eq!(peer.read_frame().unwrap().close().unwrap().0, 1002);

    // And after the panic of another callback.
    struct Twice(Log);
    impl Handler for Twice {
        fn on_open(&mut self, _: &mut Context<'_>, _: &Open<'_>) -> CallbackResult {
            panic!("first");
        }

        fn on_error(&mut self, _: &mut Context<'_>, error: &Error) -> CallbackResult {
            self.0.push(error_line(error));
            panic!("second");
        }

        fn on_close(&mut self, _: &mut Context<'_>, closed: &Closed<'_>) -> CallbackResult {
            self.0.push(close_line(closed));
            panic!("third");
        }
    }
    world.open(WebSocketApp::with_handler(URL, Twice(log.clone())), &options());
    let panicked = "CallbackPanicked(\"first\")";
    assert_eq!(log.lines(), [format!("error {panicked}"), format!("close: {panicked}")]);
    assert!(world.reactor.apps().is_empty());
}

#[test]
fn b049_a_panic_in_on_close_is_the_last_that_is_heard_and_the_outcome_stands() {
    let server = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        peer.send_close(4000, "why");
        peer.read_close();
    })
    .unwrap();
    let log = Log::new();
    let handler = Panicking { log: log.clone(), callback: "close" };
    let mut app = WebSocketApp::with_handler(server.url(), handler);
    // It can be run again, with its handler.
    for _ in 0..2 {
        let outcome = run_forever(&mut app, &options()).unwrap();
        assert_eq!(websocket_tests::outcome_line(&outcome), "clean 4000 why, by Server");
        assert_eq!(log.take(), ["open", "close 4000 why, by server, clean"]);
    }
    server.join();
}

#[test]
fn a_panic_in_a_timer_in_work_from_a_sender_and_in_a_peers_context() {
    let expected = |text: &str| {
        let error = format!("CallbackPanicked(\"{text}\")");
        ["open".to_owned(), format!("error {error}"), format!("close: {error}")]
    };
    let mut world = world(PanicPolicy::Catch);
    let neighbour = Log::new();
    let peer = world.open(neighbour.app(URL), &options());
    let log = Log::new();

    world.open(log.app(URL), &options());
    let id = *world.reactor.apps().ids().last().unwrap();
    world.reactor.apps().with(id, |app| {
        app.set_interval(Duration::ZERO, |app| assert!(!app.is_open(), "in a timer"));
    });
    world.settle();
    assert_eq!(log.take(), expected("in a timer"));

    world.open(log.app(URL), &options());
    let id = *world.reactor.apps().ids().last().unwrap();
    world.reactor.apps().with(id, |app| app.sender().run(|app| assert!(!app.is_open(), "in work")));
    world.settle();
    assert_eq!(log.take(), expected("in work"));

    // The one whose callback it is has to answer for it, not the one that it lent a hand.
    world.open(log.app(URL), &options());
    let id = *world.reactor.apps().ids().last().unwrap();
    world.reactor.apps().with(id, |app| {
        app.set_timeout(Duration::ZERO, |app| {
            let other = app.apps().ids()[0];
            app.apps().with(other, |other| assert!(!other.is_open(), "in a peer's context"));
        });
    });
    world.settle();
    assert_eq!(log.take(), expected("in a peer's context"));

    // Work for all of them is nobody's callback.
    world.reactor.handle().run(|apps| assert!(apps.is_empty(), "in work for all"));
    world.settle();
    peer.write(&frame::text("still here"));
    world.settle();
    assert_eq!(neighbour.lines(), ["open", "text still here"]);
    assert_eq!(world.reactor.apps().len(), 1);
}

#[test]
fn what_a_sender_was_promised_is_handed_back_also_when_its_work_panics() {
    let mut world = world(PanicPolicy::Catch);
    let log = Log::new();
    let close = log.clone();
    let app = log.app(URL).on_close(move |_, closed| close.push(format!("{:?}", closed.unsent)));
    world.open(app, &options());
    let id = world.reactor.apps().ids()[0];
    let sender = world.reactor.apps().with(id, |app| app.sender()).unwrap();
    sender.run(|app| assert!(!app.is_open(), "boom"));
    sender.send_text("behind it").unwrap();
    world.settle();
    assert_eq!(log.lines()[2], "[Text(Utf8Bytes(b\"behind it\"))]");
    assert!(sender.send_text("later").is_err());
    assert_eq!(sender.queued_bytes(), 0);
}

#[test]
fn a_panic_in_the_header_function() {
    let mut world = world(PanicPolicy::Catch);
    let log = Log::new();
    let mut calls = 0;
    let headers = move || {
        calls += 1;
        assert!(calls > 1, "no headers");
        [("X-Calls", calls.to_string())]
    };
    log.app(URL).header_with(headers).run_on(&mut world.reactor, &options()).unwrap();
    world.reactor.run().unwrap();
    let panicked = "CallbackPanicked(\"no headers\")";
    assert_eq!(log.lines(), [format!("error {panicked}"), format!("close: {panicked}")]);
    assert_eq!(world.net.attempts(), []);
}

#[test]
fn a_panic_in_the_mask_key() {
    let mut world = world(PanicPolicy::Catch);
    let (log, neighbour) = (Log::new(), Log::new());
    let other = world.open(neighbour.app(URL), &options());
    let mut keys = 0;
    let app = log.app(URL).mask_key(move || {
        keys += 1;
        assert!(keys < 3, "no more keys");
        [keys; 4]
    });
    let peer = world.open(app, &options());
    // The pongs need keys; the third has none, and neither has the close frame.
    peer.write(&[frame::ping(b"1"), frame::ping(b"2"), frame::ping(b"3")].concat());
    other.write(&frame::ping(b"1"));
    world.settle();
    let panicked = "CallbackPanicked(\"no more keys\")";
    let expected = ["open", "ping 1", "ping 2", &format!("error {panicked}"), &format!("close: {panicked}")];
    assert_eq!(log.lines(), expected);
    assert!(peer.ended().is_some());
    assert_eq!(neighbour.lines(), ["open", "ping 1"]);
    assert_eq!(other.read_frame().unwrap().opcode, frame::PONG);
}

#[test]
fn a_propagated_panic_is_that_of_the_callback_and_the_reactor_goes_on_afterwards() {
    let echo = EchoServer::start().unwrap();
    let mut reactor = reactor().panic_policy(PanicPolicy::Propagate);
    let log = Log::new();
    for index in 0..10 {
        let open = log.clone();
        let app = log.app(echo.url()).on_error(|_, _| {}).on_close(|_, _| {}).on_open(move |app, _| {
            app.close();
            open.push(format!("open {index}"));
            assert!(index % 2 == 0, "app {index}");
        });
        app.run_on(&mut reactor, &options()).unwrap();
    }
    let mut panics = 0;
    while let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(&mut reactor))) {
        assert!(panic.downcast_ref::<String>().unwrap().starts_with("app "));
        panics += 1;
        assert!(panics <= 5);
    }
    assert!(panics > 0);
    assert!(reactor.apps().is_empty());
    let mut lines = log.lines();
    lines.sort();
    assert_eq!(lines, (0..10).map(|index| format!("open {index}")).collect::<Vec<_>>());
}

#[test]
fn a_panic_in_what_a_handler_wants_is_one_of_a_callback() {
    struct Odd {
        log: Log,
        knows_fragments: bool,
    }
    impl Handler for Odd {
        fn wants_fragments(&self) -> bool {
            assert!(self.knows_fragments, "no idea");
            false
        }

        fn wants_data(&self) -> bool {
            panic!("no idea")
        }

        fn on_error(&mut self, _: &mut Context<'_>, error: &Error) -> CallbackResult {
            self.log.push(error_line(error));
            Ok(())
        }

        fn on_close(&mut self, _: &mut Context<'_>, closed: &Closed<'_>) -> CallbackResult {
            self.log.push(close_line(closed));
            Ok(())
        }
    }
    for knows_fragments in [false, true] {
        let mut world = world(PanicPolicy::Catch);
        let listener = world.net.listen(SERVER);
        let log = Log::new();
        let odd = Odd { log: log.clone(), knows_fragments };
        WebSocketApp::with_handler(URL, odd).run_on(&mut world.reactor, &options()).unwrap();
        world.reactor.run().unwrap();
        let panicked = "CallbackPanicked(\"no idea\")";
        assert_eq!(log.lines(), [format!("error {panicked}"), format!("close: {panicked}")]);
        assert!(listener.accept().unwrap().ended().is_some());
    }
}

#[test]
fn a_panic_while_what_a_callback_holds_is_dropped_harms_nobody() {
    struct Grenade;
    impl Drop for Grenade {
        fn drop(&mut self) {
            assert!(std::thread::panicking(), "dropped");
        }
    }
    for policy in [PanicPolicy::Catch, PanicPolicy::Propagate] {
        let mut world = world(policy);
        let (log, neighbour) = (Log::new(), Log::new());
        let peers = [0, 1].map(|index| {
            let app = if index == 0 {
                let (first, second) = (Grenade, Grenade);
                log.app(URL)
                    .on_ping(move |_, payload| assert!(payload.is_empty() || size_of_val(&first) == 0))
                    .on_open(move |app, _| {
                        let third = Grenade;
                        app.set_timeout(Duration::from_secs(60), move |_| drop(third));
                        assert_eq!(size_of_val(&second), 0);
                    })
            } else {
                neighbour.app(URL)
            };
            world.open(app, &options())
        });
        // The first ends and goes in the same turn in which the other has a message.
        peers[0].close();
        peers[1].write(&frame::text("hello"));
        for _ in 0..4 {
            turn(&mut world.reactor);
        }
        assert_eq!(log.lines(), ["error EndOfStream", "close: EndOfStream"]);
        assert_eq!(neighbour.lines(), ["open", "text hello"]);
        assert_eq!(world.reactor.apps().len(), 1);
        peers[1].write(&frame::text("again"));
        world.settle();
        assert_eq!(neighbour.lines(), ["open", "text hello", "text again"]);
    }
}

#[test]
fn a_panic_in_the_classifier_ends_the_run_with_on_error_and_on_close() {
    for policy in [PanicPolicy::Catch, PanicPolicy::Propagate] {
        let mut world = world(policy);
        world.net.refuse(SERVER);
        let log = Log::new();
        let reconnect = Reconnect::default().classify(|_| panic!("no verdict"));
        log.app(URL).run_on(&mut world.reactor, &options().reconnect(reconnect)).unwrap();
        let mut panics = 0;
        for _ in 0..8 {
            panics += usize::from(turn(&mut world.reactor));
        }
        assert_eq!(panics, usize::from(policy == PanicPolicy::Propagate));
        let failure = "Connect(ConnectionRefused)";
        let expected = [
            format!("error {failure}"),
            "error CallbackPanicked(\"no verdict\")".to_owned(),
            format!("close: {failure}"),
        ];
        assert_eq!(log.lines(), expected);
        assert!(world.reactor.apps().is_empty());
    }
}

#[test]
fn a_panic_while_the_app_waits_to_connect_again_is_told_and_no_attempt_follows() {
    let mut world = world(PanicPolicy::Catch);
    world.net.refuse(SERVER);
    let log = Log::new();
    let close = log.clone();
    let app = log.app(URL).on_close(move |app, closed| {
        close.push(close_line(closed));
        app.set_timeout(Duration::from_secs(1), |app| assert!(app.is_open(), "in a timer"));
    });
    app.run_on(&mut world.reactor, &options().reconnect(Duration::from_secs(2))).unwrap();
    world.run_for(Duration::from_secs(10));
    let failure = "Connect(ConnectionRefused)";
    let expected = [
        format!("error {failure}"),
        format!("close: {failure}, retry in 2s"),
        "error CallbackPanicked(\"in a timer\")".to_owned(),
    ];
    assert_eq!(log.lines(), expected);
    assert!(world.reactor.apps().is_empty());
    assert_eq!(world.net.attempts().len(), 1);

    // Of its own panic on_close is not followed by anything, though another attempt was to follow.
    let handler = Panicking { log: log.clone(), callback: "close" };
    log.take();
    WebSocketApp::with_handler(URL, handler)
        .run_on(&mut world.reactor, &options().reconnect(Duration::from_secs(2)))
        .unwrap();
    world.run_for(Duration::from_secs(10));
    assert_eq!(log.lines(), expected[..2]);
    assert!(world.reactor.apps().is_empty());
}

#[cfg(unix)]
#[test]
fn a_panic_while_a_stream_is_dropped_takes_no_callback_away() {
    use std::io::{self, Read, Write};
    use std::os::fd::{AsFd, BorrowedFd};
    use std::os::unix::net::UnixStream;
    use websocket_app::dispatcher::{Io, Stream};

    struct Grenade(UnixStream);
    impl Drop for Grenade {
        fn drop(&mut self) {
            assert!(std::thread::panicking(), "dropped");
        }
    }
    impl Stream for Grenade {
        fn fd(&self) -> Option<BorrowedFd<'_>> {
            Some(self.0.as_fd())
        }
    }
    impl Read for Grenade {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(buffer)
        }
    }
    impl Write for Grenade {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let stream = || {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        drop(theirs);
        Ok(Io::custom(Grenade(ours)))
    };

    let log = Log::new();
    let mut app = log.app(URL).socket_with(stream);
    run_forever(&mut app, &options()).unwrap().into_result().unwrap_err();
    let lines = log.lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[1].starts_with("close"), "{lines:?}");

    // Removed, and with its reactor.
    let mut reactor = reactor();
    for _ in 0..2 {
        let id = log.app(URL).socket_with(stream).run_on(&mut reactor, &options()).unwrap();
        reactor.poll(Some(Duration::ZERO)).unwrap();
        if reactor.apps().len() > 1 {
            reactor.apps().remove(id);
        }
    }
    reactor.poll(Some(Duration::ZERO)).unwrap();
}

#[test]
fn a_panic_while_work_that_was_not_done_is_dropped_does_not_leave_run_forever() {
    struct Grenade;
    impl Drop for Grenade {
        fn drop(&mut self) {
            assert!(std::thread::panicking(), "dropped");
        }
    }
    let echo = EchoServer::start().unwrap();
    let log = Log::new();
    let mut app = log.app(echo.url()).on_open(|app, _| app.close());
    let sender = app.sender();
    sender.close();
    let grenade = Grenade;
    sender.run(move |_| drop(grenade));
    run_forever(&mut app, &options()).unwrap().into_result().unwrap();
    assert_eq!(log.take(), ["close, by client"]);
    run_forever(&mut app, &options()).unwrap().into_result().unwrap();
    assert_eq!(log.take(), ["close 1000, by client, clean"]);
}

#[test]
fn a_closure_may_be_one_that_never_returns() {
    let log = Log::new();
    let mut world = World::new();
    let app = log.app(URL).on_message(|_, message| panic!("not expected: {message:?}"));
    let peer = world.open(app, &options());
    peer.write(&frame::text("hello"));
    world.settle();
    let panicked = "CallbackPanicked(\"not expected: Text(\\\"hello\\\")\")";
    assert_eq!(log.lines(), ["open", &format!("error {panicked}"), &format!("close: {panicked}")]);
}
