//! An idle reactor makes no system call until something happens: a tracer attached for ten seconds sees only the one it sleeps in.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::Cell;
use std::env;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::mpsc;

use websocket_app::dispatcher::{Dispatcher, MioDispatcher};
use websocket_app::{Reactor, RunOptions, WebSocketApp};
use websocket_dispatcher_waiting_thread::WaitingThread;
use websocket_testkit::server::EchoServer;

/// Set in the process that idles: the URL of its server.
const ROLE: &str = "IDLE_URL";
const APPS: usize = 100;

/// Kills the idling process also when the test fails.
struct Idler(Child);

impl Drop for Idler {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _status = self.0.wait();
    }
}

#[test]
fn an_idle_reactor_makes_no_system_call() {
    makes_no_system_call("an_idle_reactor_makes_no_system_call", idle);
}

/// Nor does its host, which sleeps on a channel.
#[test]
fn an_idle_waiting_thread_makes_no_system_call() {
    makes_no_system_call("an_idle_waiting_thread_makes_no_system_call", idle_on_a_waiting_thread);
}

/// Runs `test` again in a process in which it is `idle`, and traces that.
fn makes_no_system_call(test: &str, idle: fn(&str)) {
    if let Ok(url) = env::var(ROLE) {
        return idle(&url);
    }
    if Command::new("strace").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("skipped: strace is not installed");
        return;
    }
    let server = EchoServer::start().unwrap();
    let mut idler = Command::new(env::current_exe().unwrap());
    idler.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    let mut idler = Idler(idler.env(ROLE, server.url()).stdout(Stdio::piped()).spawn().unwrap());
    let output = BufReader::new(idler.0.stdout.take().unwrap());
    let settled = output.lines().map_while(Result::ok).any(|line| line.contains("settled"));
    assert!(settled, "the idling process ended early");

    let traced = Command::new("timeout")
        .args(["--signal=INT", "10", "strace", "-f", "-p", &idler.0.id().to_string()])
        .output()
        .unwrap();
    let trace = String::from_utf8_lossy(&traced.stderr).into_owned();
    if trace.contains("Operation not permitted") {
        eprintln!("skipped: this machine forbids tracing");
        return;
    }
    // Threads that sleep until another one wakes them, as that of the test harness, do so on a futex. Tracing has interrupted the one wait, so
    // the next one is seen.
    let calls: Vec<_> = trace
        .lines()
        .filter(|line| line.contains('(') && !line.contains("futex") && !line.starts_with("strace: "))
        .collect();
    assert_eq!(calls.len(), 1, "more than the interrupted wait:\n{trace}");
    assert!(calls[0].contains("epoll_wait("), "{trace}");
}

/// Opens the apps, exchanges a message on each, then has nothing to do for ever.
fn idle(url: &str) {
    let mut reactor = Reactor::new().unwrap();
    let echoed = open(&mut reactor, url);
    reactor.run_until(|_| echoed.get() == APPS).unwrap();
    assert_eq!(reactor.next_deadline(), None, "a deadline of a handshake that is done is still waited for");
    println!("settled");
    reactor.run().unwrap();
}

/// As [`idle`], on a host that a thread wakes.
fn idle_on_a_waiting_thread(url: &str) {
    let (wake, woken) = mpsc::channel();
    let wake = move || wake.send(()).unwrap();
    let (dispatcher, driver) = WaitingThread::new(MioDispatcher::new().unwrap(), wake).unwrap();
    let mut reactor = Reactor::with_dispatcher(dispatcher).unwrap();
    let echoed = open(&mut reactor, url);
    let mut is_settled = false;
    for () in woken {
        driver.turn(|ready| reactor.turn(ready)).unwrap();
        if !is_settled && echoed.get() == APPS && reactor.next_deadline().is_none() {
            println!("settled");
            is_settled = true;
        }
    }
}

/// Adds the apps, each of which exchanges a message. Returns the count of those that have.
fn open(reactor: &mut Reactor<impl Dispatcher>, url: &str) -> Rc<Cell<usize>> {
    let echoed = Rc::new(Cell::new(0));
    for _ in 0..APPS {
        let echoed = echoed.clone();
        WebSocketApp::new(url)
            .on_open(|app, _| app.send_text("hello"))
            .on_message(move |_, _| echoed.set(echoed.get() + 1))
            .run_on(reactor, &RunOptions::default())
            .unwrap();
    }
    echoed
}
