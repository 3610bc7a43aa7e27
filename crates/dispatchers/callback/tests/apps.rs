//! Apps in a loop over poll(2) that calls back.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "../examples/callback/mini_loop.rs"]
mod mini_loop;

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use websocket_app::{BoxError, PanicPolicy, Reactor, RunOptions, Sender, WebSocketApp};
use websocket_dispatcher_callback::{CallbackDispatcher, Driver};
use websocket_testkit::server::{EchoServer, ScriptedServer};

use mini_loop::{Drives, MiniHost, MiniLoop};

struct Program {
    looped: Rc<MiniLoop<Self>>,
    driver: Driver,
    reactor: RefCell<Reactor<CallbackDispatcher>>,
    turns: Cell<usize>,
    ticks: Cell<usize>,
}

impl Drives for Program {
    fn driver(&self) -> &Driver {
        &self.driver
    }
}

impl Program {
    fn new() -> Self {
        let looped = Rc::new(MiniLoop::new().unwrap());
        let wake = looped.waker().unwrap();
        let (dispatcher, driver) = CallbackDispatcher::new(MiniHost(looped.clone()), wake);
        let reactor = Reactor::with_dispatcher(dispatcher).unwrap().panic_policy(PanicPolicy::Propagate);
        let reactor = RefCell::new(reactor);
        Self { looped, driver, reactor, turns: Cell::new(0), ticks: Cell::new(0) }
    }

    fn add(&self, app: WebSocketApp) -> websocket_app::AppId {
        app.run_on(&mut self.reactor.borrow_mut(), &RunOptions::new()).unwrap()
    }

    fn round(&self, limit: Option<Duration>) {
        self.looped.round(self, limit).unwrap();
        self.driver.turn(|ready| {
            self.turns.set(self.turns.get() + 1);
            self.reactor.borrow_mut().turn(ready)
        });
    }

    fn run(&self) {
        while !self.reactor.borrow_mut().apps().is_empty() {
            self.round(None);
        }
    }

    fn settle(&self) {
        for _ in 0..5 {
            self.round(Some(Duration::ZERO));
        }
    }
}

fn hello(url: String) -> WebSocketApp {
    WebSocketApp::new(url).on_open(|app, _| app.send_text("hello")).on_message(|app, _| app.close())
}

#[test]
fn apps_run_and_the_loop_sleeps_after_the_last() {
    let server = EchoServer::start().unwrap();
    let program = Program::new();
    program.add(hello(server.url()));
    program.add(hello(server.url()));
    program.run();
    program.settle();
    let turns = program.turns.get();
    program.round(Some(Duration::from_millis(30)));
    assert_eq!(program.turns.get(), turns, "something woke the loop");
}

#[test]
fn another_thread_wakes_a_sleeping_loop() {
    let server = EchoServer::start().unwrap();
    let program = Program::new();
    let (hand, sender) = mpsc::channel();
    let thread = thread::spawn(move || {
        let sender: Sender = sender.recv().unwrap();
        sender.send_text("from afar").unwrap();
    });
    program.add(
        WebSocketApp::new(server.url())
            .on_open(move |app, _| hand.send(app.sender()).unwrap())
            .on_message(|app, _| app.close()),
    );
    program.run();
    thread.join().unwrap();
}

#[test]
fn the_loops_own_timer_goes_on_while_an_app_always_has_more_to_do() {
    fn tick(program: &Program) {
        program.ticks.set(program.ticks.get() + 1);
        if program.ticks.get() == 10 {
            program.reactor.borrow_mut().apps().stop_within(Duration::from_secs(10));
        } else {
            program.looped.set_timer("tick", Instant::now() + Duration::from_millis(1), tick);
        }
    }

    let server = EchoServer::start().unwrap();
    let program = Program::new();
    program.add(WebSocketApp::new(server.url()).on_open(|app, _| {
        app.set_interval(Duration::ZERO, |app| {
            app.send_text("more")?;
            app.flush()?;
            Ok::<_, BoxError>(())
        });
    }));
    program.looped.set_timer("tick", Instant::now(), tick);
    program.run();
    assert_eq!(program.ticks.get(), 10);
    assert!(program.turns.get() > 10, "the app was busy");
}

#[test]
fn apps_that_remove_and_add_others_in_mid_turn_leave_no_trace() {
    let server = EchoServer::start().unwrap();
    let program = Program::new();
    let bystander = program.add(WebSocketApp::new(server.url()));
    let url = server.url();
    program.add(WebSocketApp::new(server.url()).on_open(|app, _| app.send_text("hello")).on_message(
        move |app, _| {
            assert!(app.apps().remove(bystander));
            app.apps().add(hello(url.clone()), &RunOptions::new())?;
            app.remove();
            Ok::<_, websocket_app::Error>(())
        },
    ));
    program.run();
}

#[test]
fn an_end_of_stream_does_not_keep_the_loop_busy() {
    let server = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        peer.send_close(1000, "");
        peer.shutdown();
        peer.read_to_end();
    })
    .unwrap();
    let program = Program::new();
    program.add(WebSocketApp::new(server.url()));
    program.run();
    program.settle();
    assert!(program.turns.get() < 20, "{} turns for a connection that only closed", program.turns.get());
    server.join();
}

#[test]
fn a_panic_of_an_app_passes_and_the_others_go_on() {
    let server = EchoServer::start().unwrap();
    let program = Program::new();
    program.add(WebSocketApp::new(server.url()).on_open(|_, _| -> () { panic!("by a test") }));
    program.add(hello(server.url()));
    let ran = catch_unwind(AssertUnwindSafe(|| program.run()));
    assert!(ran.is_err(), "the panic was swallowed");
    program.run();
}
