//! Other threads hold senders and handles: what they ask for is done on the loop, in order, and nothing is lost.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use websocket_app::{
    CloseCode, Message, OwnedMessage, ReactorHandle, RunOptions, SendError, Sender, WebSocketApp,
};
use websocket_testkit::server::{EchoServer, ScriptedServer};
use websocket_tests::{HostReactor, Log, URL, World, reactor, run, run_forever, until};

const PATIENCE: Duration = Duration::from_secs(30);

fn options() -> RunOptions {
    RunOptions::new()
}

/// An open app on `reactor`, and its sender.
fn open(reactor: &mut HostReactor, app: WebSocketApp) -> Sender {
    open_with(reactor, app, &options())
}

fn open_with(reactor: &mut HostReactor, mut app: WebSocketApp, options: &RunOptions) -> Sender {
    let sender = app.sender();
    app.run_on(reactor, options).unwrap();
    until(reactor, |_| sender.is_open());
    sender
}

/// Sends one number after the other, and returns those that were accepted.
fn send_until_closed(sender: &Sender, numbers: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut accepted = Vec::new();
    for number in numbers {
        loop {
            match sender.send_text(number.to_string()) {
                Ok(()) => break accepted.push(number),
                Err(refused) if matches!(refused.reason, SendError::QueueFull { .. }) => thread::yield_now(),
                Err(_) => return accepted,
            }
        }
    }
    accepted
}

#[test]
fn senders_and_handles_travel_between_threads() {
    fn travels<T: Send + Sync + Clone + 'static>() {}
    travels::<Sender>();
    travels::<ReactorHandle>();
    travels::<OwnedMessage>();
    travels::<RunOptions>();
}

#[test]
fn b064_many_threads_send_and_nothing_is_lost_or_out_of_order() {
    const THREADS: usize = 8;
    const MESSAGES: usize = 2000;
    let echo = EchoServer::start().unwrap();
    let mut reactor = reactor();
    let received: Rc<RefCell<Vec<Vec<usize>>>> = Rc::new(RefCell::new(vec![Vec::new(); THREADS]));
    let lines = received.clone();
    let app = Log::new().app(echo.url()).on_message(move |_, message| {
        let Message::Text(text) = message else { panic!("{message:?}") };
        let (thread, number) = text.split_once(' ').unwrap();
        lines.borrow_mut()[thread.parse::<usize>().unwrap()].push(number.parse().unwrap());
    });
    let sender = open(&mut reactor, app);
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let sender = sender.clone();
            thread::spawn(move || {
                for number in 0..MESSAGES {
                    sender.send_text(format!("{thread} {number}")).unwrap();
                }
            })
        })
        .collect();
    until(&mut reactor, |_| received.borrow().iter().map(Vec::len).sum::<usize>() == THREADS * MESSAGES);
    for thread in threads {
        thread.join().unwrap();
    }
    let in_order: Vec<_> = (0..MESSAGES).collect();
    assert!(received.borrow().iter().all(|numbers| *numbers == in_order));
    reactor.poll(Some(Duration::ZERO)).unwrap();
    assert_eq!(sender.queued_bytes(), 0);
}

#[test]
fn b064_every_wake_is_seen_although_each_waits_for_the_last() {
    const ROUNDS: usize = 3000;
    let echo = EchoServer::start().unwrap();
    let mut reactor = reactor();
    let (answers, next) = mpsc::channel();
    let app = Log::new().app(echo.url()).on_message(move |_, message| {
        // The thread has gone when the test is over.
        let _ = answers.send(message.len());
    });
    let sender = open(&mut reactor, app);
    let handle = reactor.handle();
    let player = thread::spawn(move || {
        for round in 0..ROUNDS {
            sender.send_bytes(vec![0; round % 10]).unwrap();
            assert_eq!(next.recv_timeout(PATIENCE), Ok(round % 10));
        }
        handle.stop();
    });
    reactor.run().unwrap();
    player.join().unwrap();
}

#[test]
fn no_wake_is_lost_when_two_threads_ask_at_the_same_time() {
    const ROUNDS: usize = 10_000;
    let mut reactor = reactor();
    let done = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let (handle, done) = (reactor.handle(), done.clone());
            thread::spawn(move || {
                for round in 1..=ROUNDS {
                    let count = done.clone();
                    handle.run(move |_| {
                        count.fetch_add(1, Ordering::AcqRel);
                    });
                    // Nobody asks again before both are served, so a lost wake is not made up for.
                    let end = Instant::now() + PATIENCE;
                    while done.load(Ordering::Acquire) < 2 * round {
                        if Instant::now() > end {
                            handle.stop();
                            return false;
                        }
                        thread::yield_now();
                    }
                }
                true
            })
        })
        .collect();
    // Who waits in vain stops it.
    reactor.run_until(|_| done.load(Ordering::Acquire) == 2 * ROUNDS).unwrap();
    for thread in threads {
        assert!(thread.join().unwrap());
    }
}

#[test]
fn a_sender_does_what_it_is_asked_for_in_that_order() {
    let echo = EchoServer::start().unwrap();
    let mut reactor = reactor();
    let log = Log::new();
    let messages = log.clone();
    let app = log.app(echo.url()).on_message(move |_, message| messages.message(message));
    let sender = open(&mut reactor, app);
    thread::spawn(move || {
        sender.send_text("first").unwrap();
        sender.ping("second").unwrap();
        sender.run(|app| app.send_text("third, from the loop"));
        sender.send_bytes(b"fourth".to_vec()).unwrap();
        sender.close_with((CloseCode::Library(4000), "fifth")).unwrap();
        // Accepted perhaps, but too late to be sent.
        let _ = sender.send_text("sixth");
        sender.run(|app| app.send_text("seventh"));
    })
    .join()
    .unwrap();
    run(&mut reactor);
    let expected = [
        "open",
        "error Callback(the connection is already closed)",
        "text first",
        "pong second",
        "text third, from the loop",
        "binary 6 bytes",
        "close 4000 fifth, by client, clean",
    ];
    assert_eq!(log.lines(), expected);
}

#[test]
fn work_runs_on_the_thread_of_the_loop_with_everything_at_hand() {
    let echo = EchoServer::start().unwrap();
    let mut reactor = reactor();
    let sender = open(&mut reactor, Log::new().app(echo.url()));
    let loop_thread = thread::current().id();
    let (told, answer) = mpsc::channel();
    let handle = reactor.handle();
    thread::spawn(move || {
        assert_ne!(thread::current().id(), loop_thread);
        let tell = told.clone();
        sender.run(move |app| tell.send((thread::current().id(), app.is_open(), app.apps().len())).unwrap());
        handle.run(move |apps| {
            let id = apps.ids()[0];
            let open = apps.with(id, |app| app.is_open()).unwrap();
            told.send((thread::current().id(), open, apps.len())).unwrap();
        });
    })
    .join()
    .unwrap();
    reactor.poll(None).unwrap();
    for _ in 0..2 {
        assert_eq!(answer.try_recv(), Ok((loop_thread, true, 1)));
    }
}

#[test]
fn apps_are_added_from_another_thread_and_a_refusal_is_told() {
    let echo = EchoServer::start().unwrap();
    let mut reactor = reactor();
    let sender = open(&mut reactor, Log::new().app(echo.url()));
    let (url, handle) = (echo.url(), reactor.handle());
    let (told, refusals) = mpsc::channel();
    let opened = Arc::new(AtomicUsize::new(0));
    let count = opened.clone();
    thread::spawn(move || {
        for _ in 0..10 {
            let (url, count) = (url.clone(), count.clone());
            let make = move || {
                WebSocketApp::new(url).on_open(move |_, _| {
                    count.fetch_add(1, Ordering::Relaxed);
                })
            };
            handle.add(options(), make, |error| panic!("{error}"));
        }
        let refused = told.clone();
        sender.add(
            options(),
            || WebSocketApp::new("http://x/"),
            move |error| refused.send(error.to_string()).unwrap(),
        );
        handle.add(
            options().ping_timeout(PATIENCE),
            || WebSocketApp::new("ws://x/"),
            move |error| told.send(error.to_string()).unwrap(),
        );
    })
    .join()
    .unwrap();
    until(&mut reactor, |apps| apps.len() == 11 && opened.load(Ordering::Relaxed) == 10);
    assert_eq!(refusals.try_iter().count(), 2);
}

#[test]
fn b053_before_the_start_a_sender_refuses_messages_and_keeps_the_rest() {
    let echo = EchoServer::start().unwrap();
    let log = Log::new();
    let mut app = log.app(echo.url()).on_close(|_, _| {});
    let sender = app.sender();
    let refused = sender.send_text("too early").unwrap_err();
    assert_eq!(refused.message, OwnedMessage::Text("too early".into()));
    assert!(matches!(refused.reason, SendError::NotOpen(_)));
    assert_eq!((sender.is_open(), sender.queued_bytes(), sender.reactor().is_none()), (false, 0, true));
    // Nobody to stop or to add to.
    sender.stop();
    sender.add(options(), || panic!("never made"), |_| panic!("never refused"));
    // This waits for the start.
    let ran = Arc::new(AtomicBool::new(false));
    let flag = ran.clone();
    sender.run(move |app| {
        flag.store(true, Ordering::Relaxed);
        app.close();
    });
    run_forever(&mut app, &options()).unwrap().into_result().unwrap();
    assert!(ran.load(Ordering::Relaxed));
    assert_eq!(log.lines(), [""; 0]);

    // And after the end it refuses again.
    assert!(sender.send_text("too late").is_err());
    assert_eq!((sender.is_open(), sender.queued_bytes(), sender.reactor().is_none()), (false, 0, true));
    sender.stop();
    sender.close();
}

#[test]
fn b054_a_sender_that_outlives_its_reactor_refuses() {
    let echo = EchoServer::start().unwrap();
    let mut reactor = reactor();
    let sender = open(&mut reactor, Log::new().app(echo.url()));
    let handle = reactor.handle();
    let alive = Arc::new(());
    let [for_app, for_all, too_late] = [0, 1, 2].map(|_| alive.clone());
    sender.run(move |_| drop(for_app));
    handle.run(move |_| drop(for_all));
    drop(reactor);
    handle.run(move |_| drop(too_late));
    assert!(!sender.is_open());
    assert!(sender.send_text("to nobody").is_err());
    assert_eq!(sender.queued_bytes(), 0);
    assert!(sender.reactor().is_none());
    sender.close();
    sender.stop();
    handle.stop();
    assert_eq!(Arc::strong_count(&alive), 1, "what nobody will do is dropped");
}

#[test]
fn a_sender_works_through_several_runs_of_its_app() {
    let echo = EchoServer::start().unwrap();
    let log = Log::new();
    let senders = Rc::new(RefCell::new(Vec::<Sender>::new()));
    let kept = senders.clone();
    let mut app = log.app(echo.url()).on_open(move |app, _| {
        let mut senders = kept.borrow_mut();
        senders.push(app.sender());
        for sender in senders.iter() {
            sender.send_text("still here").unwrap();
        }
        senders[0].close();
    });
    for run in 1..=3 {
        run_forever(&mut app, &options()).unwrap().into_result().unwrap();
        let mut expected = vec!["text still here"; run];
        expected.push("close 1000, by client, clean");
        assert_eq!(log.take(), expected);
    }
}

#[test]
fn whatever_threads_send_while_the_connection_closes_is_written_or_handed_back() {
    for round in 0..20 {
        let echo = EchoServer::start().unwrap();
        let mut reactor = reactor();
        let seen = Rc::new(RefCell::new(Vec::new()));
        let (echoed, handed) = (seen.clone(), seen.clone());
        let log = Log::new();
        let close = log.clone();
        let app = log
            .app(echo.url())
            .on_message(move |app, message| {
                let number: usize = message.as_text().unwrap().parse().unwrap();
                echoed.borrow_mut().push(number);
                if number % 4 == 3 && echoed.borrow().len() > 50 * round {
                    app.close();
                }
            })
            .on_close(move |_, closed| {
                close.push(websocket_tests::close_line(closed));
                let unsent = closed.unsent.iter().map(|message| match message {
                    OwnedMessage::Text(text) => text.parse::<usize>().unwrap(),
                    other => panic!("{other:?}"),
                });
                handed.borrow_mut().extend(unsent);
            });
        // A small bound, so that it is met too.
        let sender = open_with(&mut reactor, app, &options().max_queued_bytes(2000));
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let sender = sender.clone();
                thread::spawn(move || send_until_closed(&sender, (thread..).step_by(4)))
            })
            .collect();
        run(&mut reactor);
        let mut accepted: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        accepted.sort_unstable();
        let mut seen = seen.take();
        seen.sort_unstable();
        assert!(seen == accepted, "{} of {} in round {round}", seen.len(), accepted.len());
        // While the echo server does not get to run, its socket may take no more.
        let lines: Vec<_> = log.lines().into_iter().filter(|line| line != "drain").collect();
        assert_eq!(lines, ["open", "close 1000, by client, clean"]);
    }
}

#[test]
fn a_handle_adds_the_first_app_to_a_reactor_that_waits() {
    let echo = EchoServer::start().unwrap();
    let mut reactor = reactor();
    let (handle, url) = (reactor.handle(), echo.url());
    let closed = Arc::new(AtomicBool::new(false));
    let flag = closed.clone();
    thread::spawn(move || {
        let make = move || {
            WebSocketApp::new(url)
                .on_open(|app, _| app.close())
                .on_close(move |_, _| flag.store(true, Ordering::Relaxed))
        };
        handle.add(options(), make, |error| panic!("{error}"));
    });
    reactor.run_until(|_| closed.load(Ordering::Relaxed)).unwrap();
    assert!(reactor.apps().is_empty());
}

#[test]
fn b112_a_close_from_another_thread_interrupts_every_stage() {
    // Resolving, connecting and upgrading never come to an end here.
    let mut world = World::new();
    world.resolver.delay("slow.test", None);
    world.net.black_hole("192.0.2.66:80".parse().unwrap());
    let _listener = world.net.listen(websocket_tests::SERVER);
    for url in ["ws://slow.test/", "ws://192.0.2.66/", URL] {
        let log = Log::new();
        let mut app = log.app(url);
        let sender = app.sender();
        app.run_on(&mut world.reactor, &options()).unwrap();
        world.settle();
        thread::spawn(move || sender.close()).join().unwrap();
        world.reactor.poll(None).unwrap();
        assert_eq!(log.lines(), ["close, by client"]);
        assert!(world.reactor.apps().is_empty());
    }
}

#[test]
fn the_server_sees_what_a_thread_sends_without_anything_else_happening() {
    let (seen, sees) = mpsc::channel();
    let server = ScriptedServer::start(move |mut peer| {
        peer.accept_upgrade();
        for _ in 0..3 {
            seen.send(peer.read_frame().text()).unwrap();
        }
        peer.read_to_end();
    })
    .unwrap();
    let mut reactor = reactor();
    let sender = open(&mut reactor, Log::new().app(server.url()));
    let handle = reactor.handle();
    let thread = thread::spawn(move || {
        for text in ["one", "two", "three"] {
            sender.send_text(text).unwrap();
            assert_eq!(sees.recv_timeout(PATIENCE).as_deref(), Ok(text));
        }
        handle.stop();
    });
    reactor.run().unwrap();
    thread.join().unwrap();
    server.join();
}

#[test]
fn what_a_handle_asked_for_before_the_run_is_done_even_if_there_is_no_app_yet() {
    let echo = EchoServer::start().unwrap();
    let mut reactor = reactor();
    let (url, (told, closed)) = (echo.url(), mpsc::channel());
    let make = move || {
        WebSocketApp::new(url)
            .on_open(|app, _| app.close())
            .on_close(move |_, closed| told.send(closed.clean).map_err(|_| "nobody listens"))
    };
    reactor.handle().add(options(), make, |error| panic!("{error}"));
    reactor.run().unwrap();
    assert_eq!(closed.try_recv(), Ok(true));
}

#[test]
fn work_that_nobody_does_may_use_its_sender_when_it_is_dropped() {
    struct Parting(Sender, mpsc::Sender<bool>);
    impl Drop for Parting {
        fn drop(&mut self) {
            self.0.close();
            self.0.run(|_| ());
            // The test may be over.
            let _ = self.1.send(self.0.send_text("one more").is_err() && self.0.queued_bytes() == 0);
        }
    }
    let echo = EchoServer::start().unwrap();
    let (told, refused) = mpsc::channel();

    // While the app closes, after it has ended, and when its reactor is dropped.
    let mut app = Log::new().app(echo.url()).on_open(|app, _| app.apps().stop());
    let sender = app.sender();
    let parting = Parting(sender.clone(), told.clone());
    app = app.on_close(move |_, _| {
        let parting = Parting(parting.0.clone(), parting.1.clone());
        parting.0.clone().run(move |_| drop(parting));
    });
    run_forever(&mut app, &options()).unwrap().into_result().unwrap();
    let parting = Parting(sender.clone(), told.clone());
    sender.run(move |_| drop(parting));
    drop(app);
    let mut reactor = reactor();
    let sender = open(&mut reactor, Log::new().app(echo.url()));
    let parting = Parting(sender.clone(), told);
    sender.run(move |_| drop(parting));
    drop(reactor);
    // The one that the callback kept went with the app.
    assert_eq!(refused.iter().collect::<Vec<_>>(), [true; 4]);
}
