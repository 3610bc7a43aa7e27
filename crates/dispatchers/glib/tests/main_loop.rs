//! Apps beside other work of a GLib main loop.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use glib::{ControlFlow, MainContext, MainLoop, Priority};
use websocket_app::{PanicPolicy, Reactor, RunOptions, WebSocketApp};
use websocket_dispatcher_glib::GlibDispatcher;
use websocket_testkit::frame;
use websocket_testkit::server::{EchoServer, ScriptedServer};

const TICK: Duration = Duration::from_millis(1);

fn reactor(context: &MainContext) -> Reactor<GlibDispatcher> {
    Reactor::with_dispatcher(GlibDispatcher::new(context)).unwrap()
}

/// Runs the context until all apps have ended, with the reactor as a task of `priority`.
fn run(context: &MainContext, mut reactor: Reactor<GlibDispatcher>, priority: Priority) {
    let main_loop = MainLoop::new(Some(context), false);
    let task = context.spawn_local_with_priority(priority, {
        let main_loop = main_loop.clone();
        async move {
            let outcome = reactor.run_async().await;
            main_loop.quit();
            outcome
        }
    });
    main_loop.run();
    context.block_on(task).unwrap().unwrap();
    assert!(!context.pending(), "something is left in the context");
}

/// An app that says something as soon as it has heard something.
fn chatterbox(url: String, messages: &Rc<Cell<usize>>) -> WebSocketApp {
    let messages = messages.clone();
    WebSocketApp::new(url).on_open(|app, _| app.send_text("hello")).on_message(move |app, message| {
        messages.set(messages.get() + 1);
        app.send(message.as_bytes(), message.kind().into())
    })
}

#[test]
fn the_hosts_timers_go_on_while_apps_are_busy_at_any_priority() {
    let server = EchoServer::start().unwrap();
    for priority in [Priority::HIGH, Priority::DEFAULT, Priority::LOW] {
        let context = MainContext::new();
        let mut reactor = reactor(&context);
        let messages = Rc::new(Cell::new(0));
        for _ in 0..2 {
            chatterbox(server.url(), &messages).run_on(&mut reactor, &RunOptions::new()).unwrap();
        }
        let handle = reactor.handle();
        let mut ticks = 0;
        let source = glib::timeout_source_new(TICK, None, Priority::DEFAULT, move || {
            ticks += 1;
            if ticks < 20 {
                return ControlFlow::Continue;
            }
            handle.stop();
            ControlFlow::Break
        });
        source.attach(Some(&context));
        run(&context, reactor, priority);
        assert!(source.is_destroyed());
        assert!(messages.get() > 0, "{priority:?}");
    }
}

#[test]
fn another_thread_wakes_a_main_loop_that_sleeps() {
    const ROUNDS: usize = 200;
    let server = EchoServer::start().unwrap();
    let context = MainContext::new();
    let mut reactor = reactor(&context);
    let (heard, hears) = mpsc::channel();
    let mut hears = Some(hears);
    WebSocketApp::new(server.url())
        .on_open(move |app, _| {
            let (sender, hears) = (app.sender(), hears.take().unwrap());
            thread::spawn(move || {
                for _ in 0..ROUNDS {
                    sender.send_text("from a thread").unwrap();
                    hears.recv().unwrap();
                }
                sender.close();
            });
        })
        .on_message(move |_, _| heard.send(()))
        .run_on(&mut reactor, &RunOptions::new())
        .unwrap();
    run(&context, reactor, Priority::DEFAULT);
}

#[test]
fn a_propagated_panic_ends_the_task_and_not_the_loop() {
    let server = EchoServer::start().unwrap();
    let context = MainContext::new();
    let mut reactor = reactor(&context).panic_policy(PanicPolicy::Propagate);
    WebSocketApp::new(server.url())
        .on_open(|_, _| -> Result<(), std::io::Error> { panic!("no idea") })
        .run_on(&mut reactor, &RunOptions::new())
        .unwrap();
    let task = context.spawn_local(async move { reactor.run_async().await });
    let panic = context.block_on(task).unwrap_err().try_into_panic().unwrap();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"no idea"));
    assert!(!context.pending());
}

#[test]
fn a_caught_panic_ends_its_app_only() {
    let server = EchoServer::start().unwrap();
    let context = MainContext::new();
    let mut reactor = reactor(&context);
    let ended = Rc::new(RefCell::new(Vec::new()));
    for name in ["panics", "closes"] {
        let ended = ended.clone();
        WebSocketApp::new(server.url())
            .on_open(|app, _| app.send_text("hello"))
            .on_message(move |app, _| {
                assert_ne!(name, "panics");
                app.close();
            })
            .on_close(move |_, closed| ended.borrow_mut().push((name, closed.clean)))
            .run_on(&mut reactor, &RunOptions::new())
            .unwrap();
    }
    run(&context, reactor, Priority::DEFAULT);
    ended.borrow_mut().sort_unstable();
    assert_eq!(*ended.borrow(), [("closes", true), ("panics", false)]);
}

#[test]
fn an_app_that_another_removes_in_mid_turn_leaves_nothing_behind() {
    let echo = EchoServer::start().unwrap();
    let scripted = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        while peer.try_write(&frame::text("hello")).is_ok() {}
    })
    .unwrap();
    let context = MainContext::new();
    let mut reactor = reactor(&context);
    let removed = WebSocketApp::new(scripted.url()).run_on(&mut reactor, &RunOptions::new()).unwrap();
    WebSocketApp::new(echo.url())
        .on_open(|app, _| app.send_text("hello"))
        .on_message(move |app, _| {
            assert!(app.apps().remove(removed));
            app.close();
        })
        .run_on(&mut reactor, &RunOptions::new())
        .unwrap();
    run(&context, reactor, Priority::DEFAULT);
    scripted.join();
}

#[test]
fn nothing_spins_when_nothing_happens_or_a_stream_has_ended() {
    let scripted = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        let _ = peer.read_frame();
        // The server has said all it had to say, and the client may go on.
        peer.send_close(1000, "");
        peer.shutdown();
        peer.read_to_end();
    })
    .unwrap();
    let context = MainContext::new();
    let mut reactor = reactor(&context);
    WebSocketApp::new(scripted.url())
        .on_open(|app, _| {
            app.set_timeout(Duration::from_millis(50), |app| app.send_text("goodbye"));
        })
        .run_on(&mut reactor, &RunOptions::new())
        .unwrap();
    let task = context.spawn_local(async move { reactor.run_async().await });
    let mut iterations = 0;
    while !task.source().is_destroyed() {
        context.iteration(true);
        iterations += 1;
    }
    // Each step of the connection takes a few; a loop that spins for 50 ms takes thousands.
    assert!(iterations < 100, "{iterations} iterations");
    scripted.join();
}

#[test]
fn aborting_the_task_leaves_nothing_in_the_context() {
    let scripted = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        peer.expect_eof();
    })
    .unwrap();
    let context = MainContext::new();
    let mut reactor = reactor(&context);
    let open = Rc::new(Cell::new(false));
    let opened = open.clone();
    WebSocketApp::new(scripted.url())
        .on_open(move |_, _| opened.set(true))
        .run_on(&mut reactor, &RunOptions::new())
        .unwrap();
    let task = context.spawn_local(async move { reactor.run_async().await });
    while !open.get() {
        context.iteration(true);
    }
    task.abort();
    drop(task);
    scripted.join();
    assert!(!context.pending());
}
