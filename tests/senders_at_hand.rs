//! Senders that exist before their app does: while it is built, and while it waits to be added by another thread.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use websocket_app::{RunOptions, SendError, State, WebSocketApp};
use websocket_testkit::server::EchoServer;
use websocket_tests::{SERVER, URL, World, reactor, run};

const ENDED: SendError = SendError::NotOpen(State::Closed);

#[test]
fn callbacks_have_a_sender_from_the_start() {
    let echo = EchoServer::start().unwrap();
    let mut reactor = reactor();
    let app = WebSocketApp::new(echo.url()).with_sender(|app, sender| {
        let closes = sender.clone();
        app.on_open(move |_, _| sender.send_text("by its sender")).on_message(move |_, message| {
            assert_eq!(message.as_text(), Some("by its sender"));
            closes.close();
        })
    });
    app.run_on(&mut reactor, &RunOptions::new()).unwrap();
    run(&mut reactor);
}

#[test]
fn the_sender_of_an_added_app_works_at_once_also_where_the_app_has_its_own() {
    for with_its_own in [false, true] {
        let mut world = World::new();
        let listener = world.net.listen(SERVER);
        let (report, reports) = mpsc::channel();
        let own = report.clone();
        let make = move || {
            let mut app = WebSocketApp::new(URL);
            if with_its_own {
                let sender = app.sender();
                sender.run(move |_| own.send("own").unwrap());
            }
            app
        };
        let handle = world.reactor.handle();
        let sender = handle.add(RunOptions::new(), make, |error| panic!("{error}"));
        let mut opened = pin!(sender.opened());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(opened.as_mut().poll(&mut cx).is_pending());
        assert_eq!(sender.send_text("no").unwrap_err().reason, SendError::NotOpen(State::Connecting));
        for number in ["first", "second"] {
            let report = report.clone();
            sender.run(move |_| report.send(number).unwrap());
        }
        assert!(sender.reactor().is_none());
        world.settle();
        let mut done: Vec<_> = reports.try_iter().collect();
        done.retain(|what| *what != "own");
        assert_eq!(done, ["first", "second"], "{with_its_own}");
        assert!(sender.reactor().is_some());

        let peer = listener.accept().unwrap();
        peer.accept_upgrade().unwrap();
        world.settle();
        assert_eq!(opened.as_mut().poll(&mut cx), Poll::Ready(Ok(())));
        assert!(sender.is_open());
        let other = sender.clone();
        thread::spawn(move || other.send_text("hello").unwrap()).join().unwrap();
        assert!(sender.queued_bytes() > 0);
        world.settle();
        assert_eq!((peer.read_frame().unwrap().text(), sender.queued_bytes()), ("hello".into(), 0));
        sender.close();
        world.settle();
        assert_eq!(sender.send_text("no").unwrap_err().reason, SendError::NotOpen(State::Closing));
        peer.shutdown();
        world.settle();
        assert_eq!(sender.send_text("no").unwrap_err().reason, ENDED);
    }
}

#[test]
fn a_close_before_the_app_is_there_ends_it_before_it_is_open() {
    let mut world = World::new();
    world.net.serve_arrivals(SERVER, |peer| drop(peer.accept_upgrade()));
    let handle = world.reactor.handle();
    let make = || WebSocketApp::new(URL).on_open(|_, _| panic!("it was closed before"));
    let sender =
        handle.add(RunOptions::new().reconnect(Duration::from_secs(1)), make, |error| panic!("{error}"));
    sender.close();
    world.reactor.run().unwrap();
    assert_eq!(sender.send_text("no").unwrap_err().reason, ENDED);
}

#[test]
fn the_sender_of_an_app_that_is_refused_or_never_made_has_ended() {
    let mut world = World::new();
    let handle = world.reactor.handle();
    let refused = |with_its_own: bool| {
        let make = move || {
            let mut app = WebSocketApp::new("http://h/");
            if with_its_own {
                app.sender().close();
            }
            app
        };
        handle.add(RunOptions::new(), make, |_| {})
    };
    let senders = [refused(false), refused(true)];
    world.settle();
    let other = world.reactor.handle();
    let never = handle.add(RunOptions::new(), || panic!("never made"), |_| {});
    drop(world);
    let gone = other.add(RunOptions::new(), || panic!("never made"), |_| {});
    for sender in senders.iter().chain([&never, &gone]) {
        assert_eq!(sender.send_text("no").unwrap_err().reason, ENDED);
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(pin!(sender.opened()).poll(&mut cx), Poll::Ready(Err(ENDED)));
        assert!(sender.add(RunOptions::new(), || panic!("never made"), |_| {}).is_none());
    }
}
