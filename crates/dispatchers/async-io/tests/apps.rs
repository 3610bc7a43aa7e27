//! Apps on async-io, and what is special to it.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use async_io::Timer;
use futures_lite::future;
use websocket_app::{PanicPolicy, Reactor, RunOptions, WebSocketApp};
use websocket_dispatcher_async_io::AsyncIoDispatcher;
use websocket_testkit::server::{EchoServer, ScriptedServer};

const HOUR: Duration = Duration::from_secs(60 * 60);

fn reactor() -> Reactor<AsyncIoDispatcher> {
    Reactor::with_dispatcher(AsyncIoDispatcher::new()).unwrap()
}

fn options() -> RunOptions {
    RunOptions::new()
}

fn panics() {
    panic!("on purpose");
}

/// Says hello once, and closes on the answer.
fn hello(server: &EchoServer) -> WebSocketApp {
    WebSocketApp::new(server.url()).on_open(|app, _| app.send_text("hello")).on_message(|app, _| app.close())
}

/// A server that checks that its clients vanish, with every descriptor of their sockets.
fn watching() -> ScriptedServer {
    ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        peer.send_text("go");
        peer.expect_eof();
    })
    .unwrap()
}

/// Runs apps to their end, and counts those that closed in an orderly way.
async fn run_ten(server: &EchoServer) -> usize {
    let mut reactor = reactor();
    let closed = Rc::new(Cell::new(0));
    for _ in 0..10 {
        let closed = closed.clone();
        hello(server)
            .on_close(move |_, end| closed.set(closed.get() + usize::from(end.clean)))
            .run_on(&mut reactor, &options())
            .unwrap();
    }
    reactor.run_async().await.unwrap();
    closed.get()
}

#[test]
fn apps_run_where_the_thread_looks_at_the_sockets_and_where_it_does_not() {
    let server = EchoServer::start().unwrap();
    assert_eq!(async_io::block_on(run_ten(&server)), 10);
    assert_eq!(future::block_on(run_ten(&server)), 10);
}

#[test]
fn several_reactors_share_the_one_of_async_io() {
    let server = EchoServer::start().unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(async_io::block_on(run_ten(&server)), 10));
        }
    });
}

#[test]
fn an_earlier_deadline_overtakes_a_later_one() {
    let server = EchoServer::start().unwrap();
    let mut reactor = reactor();
    let fired = Rc::new(RefCell::new(Vec::new()));
    let fire = fired.clone();
    WebSocketApp::new(server.url())
        .on_open(move |app, _| {
            app.set_timeout(HOUR, panics_in_an_hour);
            let fire = fire.clone();
            // Set by a timer, so that the dispatcher has slept for the later one by then.
            app.set_timeout(Duration::from_millis(2), move |app| {
                fire.borrow_mut().push("first");
                let fire = fire.clone();
                app.set_timeout(Duration::from_millis(1), move |app| {
                    fire.borrow_mut().push("second");
                    app.close();
                });
            });
        })
        .run_on(&mut reactor, &options())
        .unwrap();
    async_io::block_on(reactor.run_async()).unwrap();
    assert_eq!(*fired.borrow(), ["first", "second"]);
}

fn panics_in_an_hour(_: &mut websocket_app::Context<'_>) {
    panics();
}

#[test]
fn another_thread_sends_while_the_executor_sleeps() {
    let server = EchoServer::start().unwrap();
    let mut reactor = reactor();
    let heard = Rc::new(RefCell::new(Vec::new()));
    let hear = heard.clone();
    WebSocketApp::new(server.url())
        .on_open(move |app, _| {
            let sender = app.sender();
            thread::spawn(move || sender.send_text("from another thread").unwrap());
        })
        .on_message(move |app, message| {
            hear.borrow_mut().push(message.as_text().unwrap().to_owned());
            let sender = app.sender();
            thread::spawn(move || sender.close());
        })
        .run_on(&mut reactor, &options())
        .unwrap();
    async_io::block_on(reactor.run_async()).unwrap();
    assert_eq!(*heard.borrow(), ["from another thread"]);
}

#[test]
fn a_panic_in_a_callback_ends_one_app_or_the_run() {
    let server = EchoServer::start().unwrap();
    let mut kept = reactor();
    let closed = Rc::new(Cell::new(false));
    let close = closed.clone();
    hello(&server).on_message(|_, _| panics()).run_on(&mut kept, &options()).unwrap();
    hello(&server).on_close(move |_, _| close.set(true)).run_on(&mut kept, &options()).unwrap();
    async_io::block_on(kept.run_async()).unwrap();
    assert!(closed.get(), "the other app went on");

    let mut broken = reactor().panic_policy(PanicPolicy::Propagate);
    hello(&server).on_open(|_, _| panics()).run_on(&mut broken, &options()).unwrap();
    let ran = catch_unwind(AssertUnwindSafe(|| async_io::block_on(broken.run_async())));
    assert!(ran.is_err());
    async_io::block_on(broken.run_async()).unwrap();
}

#[test]
fn apps_that_are_removed_in_the_middle_of_a_turn_close_their_sockets() {
    let server = watching();
    let mut reactor = reactor();
    let open = Rc::new(Cell::new(0));
    for _ in 0..4 {
        let open = open.clone();
        WebSocketApp::new(server.url())
            .on_message(move |app, _| {
                open.set(open.get() + 1);
                if open.get() == 4 {
                    // All others, of which some may have been reported by the same wait, and this one.
                    let me = app.id();
                    let others = app.apps().ids().into_iter().filter(|id| *id != me);
                    others.for_each(|id| assert!(app.apps().remove(id)));
                    app.remove();
                }
            })
            .run_on(&mut reactor, &options())
            .unwrap();
    }
    async_io::block_on(reactor.run_async()).unwrap();
    server.join();
}

#[test]
fn dropping_a_reactor_leaves_nothing_behind() {
    let server = watching();
    let mut reactor = reactor();
    let open = Rc::new(Cell::new(false));
    let opened = open.clone();
    WebSocketApp::new(server.url())
        .on_message(move |_, _| opened.set(true))
        .run_on(&mut reactor, &options())
        .unwrap();
    async_io::block_on(future::or(
        async { reactor.run_async().await.unwrap() },
        poll_fn(|cx| {
            cx.waker().wake_by_ref();
            if open.get() { Poll::Ready(()) } else { Poll::Pending }
        }),
    ));
    drop(reactor);
    server.join();
}

#[test]
fn a_server_that_ends_its_side_only_is_no_cause_to_spin() {
    let server = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        peer.shutdown();
        peer.read_to_end();
    })
    .unwrap();
    let mut reactor = reactor();
    let ends = Rc::new(Cell::new(0));
    let end = ends.clone();
    WebSocketApp::new(server.url())
        .on_close(move |_, _| end.set(end.get() + 1))
        .run_on(&mut reactor, &options())
        .unwrap();
    async_io::block_on(reactor.run_async()).unwrap();
    assert_eq!(ends.get(), 1);
    server.join();
}

#[test]
fn timers_and_tasks_of_the_executor_go_on_while_apps_are_busy() {
    let server = EchoServer::start().unwrap();
    let mut reactor = reactor();
    let (ticks, yields) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    for _ in 0..10 {
        let (ticks, yields) = (ticks.clone(), yields.clone());
        // Busy for as long as the others have not had their turns, and for ever if they never have.
        WebSocketApp::new(server.url())
            .on_open(|app, _| app.send_text("to and fro"))
            .on_message(move |app, _| {
                if ticks.get() >= 10 && yields.get() >= 100 {
                    app.close();
                    return Ok(());
                }
                app.send_text("to and fro")
            })
            .run_on(&mut reactor, &options())
            .unwrap();
    }
    let ticking = async {
        loop {
            Timer::after(Duration::from_millis(1)).await;
            ticks.set(ticks.get() + 1);
        }
    };
    let yielding = async {
        loop {
            future::yield_now().await;
            yields.set(yields.get() + 1);
        }
    };
    async_io::block_on(future::or(
        async { reactor.run_async().await.unwrap() },
        future::or(ticking, yielding),
    ));
    assert!(ticks.get() >= 10 && yields.get() >= 100);
}
