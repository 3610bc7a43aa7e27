//! Apps on a loop that a channel drives.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use websocket_app::dispatcher::MioDispatcher;
use websocket_app::{AppId, PanicPolicy, Reactor, RunOptions, WebSocketApp};
use websocket_dispatcher_waiting_thread::{Driver, WaitingThread};
use websocket_testkit::server::{EchoServer, ScriptedServer};

/// Only a test that fails ever waits so long.
const PATIENCE: Duration = Duration::from_secs(10);

struct Program {
    reactor: Reactor<WaitingThread>,
    driver: Driver,
    woken: Receiver<()>,
    turns: usize,
}

impl Program {
    fn new() -> Self {
        let (wake, woken) = mpsc::channel();
        let wake = move || wake.send(()).unwrap();
        let (dispatcher, driver) = WaitingThread::new(MioDispatcher::new().unwrap(), wake).unwrap();
        let reactor = Reactor::with_dispatcher(dispatcher).unwrap().panic_policy(PanicPolicy::Propagate);
        Self { reactor, driver, woken, turns: 0 }
    }

    fn add(&mut self, app: WebSocketApp) -> AppId {
        app.run_on(&mut self.reactor, &RunOptions::new()).unwrap()
    }

    fn turn(&mut self) {
        self.woken.recv_timeout(PATIENCE).expect("the host is woken");
        self.turns += 1;
        self.driver.turn(|ready| self.reactor.turn(ready)).unwrap();
    }

    fn run_until(&mut self, mut is_done: impl FnMut(&mut Self) -> bool) {
        while !is_done(self) {
            self.turn();
        }
    }

    fn run(&mut self) {
        self.run_until(|program| program.reactor.apps().is_empty());
    }

    fn until_open(&mut self, id: AppId) {
        self.run_until(|program| program.reactor.apps().with(id, |app| app.is_open()).unwrap());
    }

    /// Takes the turns that are due, until nothing has woken the host for a while.
    fn settle(&mut self) {
        while self.woken.recv_timeout(Duration::from_millis(50)).is_ok() {
            self.driver.turn(|ready| self.reactor.turn(ready)).unwrap();
        }
    }
}

fn hello(url: String) -> WebSocketApp {
    WebSocketApp::new(url).on_open(|app, _| app.send_text("hello")).on_message(|app, _| app.close())
}

#[test]
fn apps_run_and_the_host_is_left_alone_after_the_last() {
    let server = EchoServer::start().unwrap();
    let mut program = Program::new();
    program.add(hello(server.url()));
    program.add(hello(server.url()));
    program.run();
    program.settle();
    assert!(program.woken.try_recv().is_err());
}

#[test]
fn another_thread_wakes_a_sleeping_host() {
    let server = EchoServer::start().unwrap();
    let mut program = Program::new();
    let mut app = WebSocketApp::new(server.url()).on_message(|app, _| app.close());
    let sender = app.sender();
    let id = program.add(app);
    program.until_open(id);
    let thread = thread::spawn(move || sender.send_text("from afar").unwrap());
    program.run();
    thread.join().unwrap();
}

/// The thread waits without a deadline, and has to learn of the one that is set outside of a turn.
#[test]
fn a_timer_that_is_set_between_two_turns_fires() {
    let server = EchoServer::start().unwrap();
    let mut program = Program::new();
    let id = program.add(WebSocketApp::new(server.url()));
    program.until_open(id);
    program.settle();
    let fired = Rc::new(Cell::new(None));
    let noted = fired.clone();
    let due = Instant::now() + Duration::from_millis(20);
    program.reactor.apps().with(id, |app| {
        app.set_timeout(Duration::from_millis(20), move |app| {
            noted.set(Some(Instant::now()));
            app.close();
        })
    });
    program.run();
    assert!(fired.get().is_some_and(|at| at >= due));
}

#[test]
fn an_app_that_is_added_between_two_turns_runs() {
    let server = EchoServer::start().unwrap();
    let mut program = Program::new();
    program.settle();
    program.add(hello(server.url()));
    program.run();
}

#[test]
fn a_reactor_that_is_dropped_while_its_thread_waits_closes_its_connections() {
    let server = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        peer.read_to_end();
    })
    .unwrap();
    let mut program = Program::new();
    let id = program.add(WebSocketApp::new(server.url()));
    program.until_open(id);
    program.settle();
    let Program { reactor, driver, woken, .. } = program;
    drop(reactor);
    server.join();
    // The iteration ends with the thread.
    assert!(woken.iter().count() <= 1, "the host was woken for more than the change that ended the wait");
    driver.turn(|_| panic!("a turn after the end")).unwrap();
}

#[test]
fn an_end_of_stream_does_not_keep_the_host_busy() {
    let server = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        peer.send_close(1000, "");
        peer.shutdown();
        peer.read_to_end();
    })
    .unwrap();
    let mut program = Program::new();
    program.add(WebSocketApp::new(server.url()));
    program.run();
    program.settle();
    assert!(program.turns < 20, "{} turns for a connection that only closed", program.turns);
    server.join();
}

#[test]
fn a_panic_of_an_app_passes_and_the_others_go_on() {
    let server = EchoServer::start().unwrap();
    let mut program = Program::new();
    program.add(WebSocketApp::new(server.url()).on_open(|_, _| -> () { panic!("by a test") }));
    program.add(hello(server.url()));
    let ran = catch_unwind(AssertUnwindSafe(|| program.run()));
    assert!(ran.is_err(), "the panic was swallowed");
    program.run();
}
