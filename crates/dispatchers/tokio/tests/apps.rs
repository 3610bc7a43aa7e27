//! Apps in a runtime on one thread.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::{LocalSet, yield_now};
use tokio::time::Instant;
use websocket_app::{PanicPolicy, Reactor, RunOptions, WebSocketApp};
use websocket_dispatcher_tokio::TokioDispatcher;
use websocket_testkit::server::{EchoServer, ScriptedServer};

const HOUR: Duration = Duration::from_secs(60 * 60);

fn reactor() -> Reactor<TokioDispatcher> {
    Reactor::with_dispatcher(TokioDispatcher::new().unwrap()).unwrap()
}

fn options() -> RunOptions {
    RunOptions::new()
}

/// Says hello once, and closes on the answer.
fn hello(server: &EchoServer) -> WebSocketApp {
    WebSocketApp::new(server.url()).on_open(|app, _| app.send_text("hello")).on_message(|app, _| app.close())
}

fn panics() {
    panic!("on purpose");
}

/// No task was left behind.
fn assert_alone() {
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0);
}

#[tokio::test]
async fn apps_run_and_end() {
    let server = EchoServer::start().unwrap();
    let mut reactor = reactor();
    let closed = Rc::new(Cell::new(0));
    for _ in 0..10 {
        let closed = closed.clone();
        hello(&server)
            .on_close(move |_, end| {
                assert!(end.clean);
                closed.set(closed.get() + 1);
            })
            .run_on(&mut reactor, &options())
            .unwrap();
    }
    reactor.run_async().await.unwrap();
    assert_eq!(closed.get(), 10);
    assert_alone();
}

#[test]
fn apps_run_in_a_local_set_beside_other_tasks() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = EchoServer::start().unwrap();
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        let (told, heard) = oneshot::channel();
        let mut told = Some(told);
        let apps = tokio::task::spawn_local(async move {
            let mut reactor = reactor();
            hello(&server)
                .on_message(move |app, message| {
                    let text = message.as_text().unwrap().to_owned();
                    // From a callback: to another task, and to one that the callback makes.
                    told.take().unwrap().send(text).unwrap();
                    let sender = app.sender();
                    tokio::task::spawn_local(async move { sender.close() });
                })
                .run_on(&mut reactor, &options())
                .unwrap();
            reactor.run_async().await.unwrap();
        });
        assert_eq!(heard.await.unwrap(), "hello");
        apps.await.unwrap();
    });
}

#[tokio::test]
async fn an_hour_of_a_paused_clock_passes_at_once() {
    let server = EchoServer::start().unwrap();
    let mut reactor = reactor();
    let waited = Rc::new(Cell::new(Duration::ZERO));
    let wait = waited.clone();
    WebSocketApp::new(server.url())
        .on_open(move |app, _| {
            // Not before: a runtime in which nothing but sockets is waited for would let the deadline for connecting pass.
            tokio::time::pause();
            let start = Instant::now();
            let wait = wait.clone();
            app.set_timeout(HOUR, move |app| {
                wait.set(start.elapsed());
                tokio::time::resume();
                app.close();
            });
        })
        .run_on(&mut reactor, &options())
        .unwrap();
    reactor.run_async().await.unwrap();
    assert!(waited.get() >= HOUR, "{:?}", waited.get());
}

#[tokio::test]
async fn a_run_that_is_dropped_goes_on_in_the_next_one() {
    let server = EchoServer::start().unwrap();
    let mut reactor = reactor();
    let outcome = Rc::new(RefCell::new(None));
    let end = outcome.clone();
    hello(&server)
        .on_close(move |_, closed| {
            end.replace(Some(closed.clean));
        })
        .run_on(&mut reactor, &options())
        .unwrap();
    let mut runs = 0;
    while !reactor.apps().is_empty() {
        tokio::select! {
            biased;
            ended = reactor.run_async() => ended.unwrap(),
            () = yield_now() => {}
        }
        runs += 1;
    }
    assert!(runs > 1);
    assert_eq!(*outcome.borrow(), Some(true));
}

#[tokio::test]
async fn another_thread_sends_while_the_runtime_sleeps() {
    let server = EchoServer::start().unwrap();
    let mut reactor = reactor();
    let heard = Rc::new(RefCell::new(Vec::new()));
    let hear = heard.clone();
    let threads = Rc::new(RefCell::new(Vec::new()));
    let started = threads.clone();
    WebSocketApp::new(server.url())
        .on_open(move |app, _| {
            let sender = app.sender();
            started
                .borrow_mut()
                .push(thread::spawn(move || sender.send_text("from another thread").unwrap()));
        })
        .on_message(move |app, message| {
            hear.borrow_mut().push(message.as_text().unwrap().to_owned());
            let sender = app.sender();
            thread::spawn(move || sender.close());
        })
        .run_on(&mut reactor, &options())
        .unwrap();
    reactor.run_async().await.unwrap();
    assert_eq!(*heard.borrow(), ["from another thread"]);
    threads.take().into_iter().for_each(|thread| thread.join().unwrap());
}

#[tokio::test]
async fn a_panic_in_a_callback_ends_one_app_or_the_run() {
    let server = EchoServer::start().unwrap();
    let mut reactor = reactor();
    let closed = Rc::new(Cell::new(false));
    let close = closed.clone();
    hello(&server).on_message(|_, _| panics()).run_on(&mut reactor, &options()).unwrap();
    hello(&server).on_close(move |_, _| close.set(true)).run_on(&mut reactor, &options()).unwrap();
    reactor.run_async().await.unwrap();
    assert!(closed.get(), "the other app went on");

    // With the other policy the panic is that of the task, which drops the reactor with what is left of its apps.
    let ended = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        peer.read_to_end();
    })
    .unwrap();
    let url = ended.url();
    let local = LocalSet::new();
    let task = local.spawn_local(async move {
        let mut reactor = Reactor::with_dispatcher(TokioDispatcher::new().unwrap())
            .unwrap()
            .panic_policy(PanicPolicy::Propagate);
        WebSocketApp::new(url).on_open(|_, _| panics()).run_on(&mut reactor, &options()).unwrap();
        reactor.run_async().await
    });
    let panic = local.run_until(task).await.unwrap_err();
    assert!(panic.is_panic());
    ended.join();
    drop(local);
    assert_alone();
}

#[tokio::test]
async fn apps_that_are_removed_in_the_middle_of_a_turn_close_their_sockets() {
    let victims = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        peer.send_text("to be removed for");
        peer.expect_eof();
    })
    .unwrap();
    let mut reactor = reactor();
    let open = Rc::new(Cell::new(0));
    for _ in 0..4 {
        let open = open.clone();
        WebSocketApp::new(victims.url())
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
    reactor.run_async().await.unwrap();
    victims.join();
    assert_alone();
}

#[tokio::test]
async fn dropping_a_reactor_leaves_nothing_behind() {
    let server = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        peer.expect_eof();
    })
    .unwrap();
    let mut reactor = reactor();
    let open = Rc::new(Cell::new(false));
    let opened = open.clone();
    WebSocketApp::new(server.url())
        .on_open(move |_, _| opened.set(true))
        .run_on(&mut reactor, &options())
        .unwrap();
    tokio::select! {
        ended = reactor.run_async() => panic!("{ended:?}"),
        () = async { while !open.get() { yield_now().await } } => {}
    }
    drop(reactor);
    // The peer has seen the end, so no descriptor of the socket is left.
    server.join();
    assert_alone();
}

#[tokio::test]
async fn a_server_that_ends_its_side_only_is_no_cause_to_spin() {
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
    reactor.run_async().await.unwrap();
    assert_eq!(ends.get(), 1);
    server.join();
}
