//! `on_end`: once per run, after everything else, however the run ended. In virtual time.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use websocket_app::{
    CallbackResult, Context, Error, Handler, Outcome, PanicPolicy, Reconnect, RunOptions, SendError, State,
    Verdict, WebSocketApp,
};
use websocket_testkit::frame;
use websocket_testkit::server::EchoServer;
use websocket_testkit::sim::{SimListener, SimPeer};
use websocket_tests::{Log, URL, World, outcome_line, run_forever};

const SECOND: Duration = Duration::from_secs(1);

fn reconnecting() -> RunOptions {
    RunOptions::new().reconnect(10 * SECOND)
}

/// The log's app, which writes `end` and the outcome, too.
fn ending(log: &Log) -> WebSocketApp {
    let end = log.clone();
    log.app(URL).on_end(move |app, outcome| {
        assert_eq!((app.state(), app.is_running(), app.retry_at()), (State::Closed, false, None));
        end.push(format!("end {}", outcome_line(outcome)));
    })
}

/// Opens an app, lets `happens` end it, and returns what it was told after it was open.
fn told(options: &RunOptions, happens: impl FnOnce(&mut World, SimPeer)) -> Vec<String> {
    let (mut world, log) = (World::new(), Log::new());
    let peer = world.open(ending(&log), options);
    assert_eq!(log.take(), ["open"]);
    happens(&mut world, peer);
    world.run_for(60 * SECOND);
    assert!(world.reactor.apps().is_empty());
    log.take()
}

/// Opens an app that reconnects, breaks its connection, and lets `happens` end its wait. Returns what it was told then.
fn told_while_it_waits(happens: impl FnOnce(&mut World, &SimListener)) -> Vec<String> {
    let (mut world, log) = (World::new(), Log::new());
    let listener = world.start(ending(&log), &reconnecting());
    world.accept(&listener).reset();
    world.settle();
    assert_eq!(log.take().last().unwrap(), "close: Io(ConnectionReset), retry in 10s");
    happens(&mut world, &listener);
    world.settle();
    assert!(world.reactor.apps().is_empty());
    log.take()
}

#[test]
fn every_end_of_a_connection_that_is_the_last_is_followed_by_the_end_of_the_run() {
    let plain = RunOptions::new();
    let closed = told(&plain, |_, peer| {
        peer.write(&frame::close(1000, "enough"));
        peer.shutdown();
    });
    assert_eq!(closed, ["close 1000 enough, by server, clean", "end clean 1000 enough, by Server"]);
    let lost = told(&plain, |_, peer| peer.reset());
    let reset = "Io(ConnectionReset)";
    assert_eq!(lost, [format!("error {reset}"), format!("close: {reset}"), format!("end lost {reset}")]);
    let stopped = told(&reconnecting(), |world, _| world.reactor.apps().stop());
    assert_eq!(stopped, ["close, by client", "end stopped"]);
    let drained = told(&reconnecting(), |world, peer| {
        world.reactor.apps().stop_within(5 * SECOND);
        world.settle();
        peer.write(&frame::close(1001, ""));
        peer.shutdown();
    });
    assert_eq!(drained, ["close 1001, by client, clean", "end clean 1001, by Client"]);
    let removed = told(&plain, |world, _| {
        let id = world.reactor.apps().ids()[0];
        assert!(world.reactor.apps().remove(id));
    });
    assert!(removed.is_empty());
}

#[test]
fn an_app_that_was_closed_before_it_began_has_its_end() {
    let (mut world, log) = (World::new(), Log::new());
    let mut app = ending(&log);
    app.sender().close();
    world.start(app, &reconnecting());
    assert_eq!(log.take(), ["close, by client", "end clean none, by Client"]);
}

#[test]
fn a_wait_that_is_closed_stopped_or_drained_is_followed_by_the_end_of_the_run() {
    let lost = ["end lost Io(ConnectionReset)"];
    assert_eq!(told_while_it_waits(|world, _| world.in_app(|app| app.close())), lost);
    assert_eq!(told_while_it_waits(|world, _| world.reactor.apps().stop()), ["end stopped"]);
    assert_eq!(told_while_it_waits(|world, _| world.reactor.apps().stop_within(SECOND)), ["end stopped"]);
    let panicked = told_while_it_waits(|world, _| {
        world.in_app(|app| {
            app.set_timeout(Duration::ZERO, |_| panic!("on purpose"));
        });
    });
    let panic = "CallbackPanicked(\"on purpose\")";
    assert_eq!(panicked, [format!("error {panic}"), format!("end lost {panic}")]);
    let removed = told_while_it_waits(|world, _| world.in_app(|app| app.remove()));
    assert!(removed.is_empty());
}

#[test]
fn a_close_in_on_close_is_followed_by_the_end_of_the_run() {
    let (mut world, log) = (World::new(), Log::new());
    let close = log.clone();
    let app = ending(&log).on_close(move |app, closed| {
        close.push(format!("retry {}", closed.retry_in.is_some()));
        app.close();
    });
    world.open(app, &reconnecting()).reset();
    world.settle();
    let expected = ["open", "error Io(ConnectionReset)", "retry true", "end lost Io(ConnectionReset)"];
    assert_eq!(log.take(), expected);
}

#[test]
fn a_panic_in_any_last_callback_is_followed_by_the_end_of_the_run() {
    let panic = "CallbackPanicked(\"on purpose\")";
    let run = |set: &dyn Fn(WebSocketApp) -> WebSocketApp| {
        let (mut world, log) = (World::new(), Log::new());
        world.open(set(ending(&log)), &reconnecting()).write(&frame::text("hello"));
        world.settle();
        assert!(world.reactor.apps().is_empty());
        log.take().pop().unwrap()
    };
    assert_eq!(run(&|app| app.on_open(|_, _| panic!("on purpose"))), format!("end lost {panic}"));
    assert_eq!(run(&|app| app.on_message(|_, _| panic!("on purpose"))), format!("end lost {panic}"));
    let closing = |app: WebSocketApp| app.on_message(|app, _| app.apps().stop());
    assert_eq!(run(&closing), "end stopped");
    assert_eq!(run(&|app| closing(app).on_close(|_, _| panic!("on purpose"))), "end stopped");
    // Of a policy that panics the outcome stands.
    let (mut world, log) = (World::new(), Log::new());
    let policy = Reconnect::fixed(SECOND).classify(|_| -> Verdict { panic!("on purpose") });
    world.open(ending(&log), &RunOptions::new().reconnect(policy)).reset();
    world.settle();
    assert_eq!(log.take().pop().unwrap(), "end lost Io(ConnectionReset)");
}

#[test]
fn the_last_of_several_attempts_has_the_one_end() {
    let (mut world, log) = (World::new(), Log::new());
    let policy = Reconnect::fixed(SECOND).max_retries(2);
    ending(&log).run_on(&mut world.reactor, &RunOptions::new().reconnect(policy)).unwrap();
    world.run_for(60 * SECOND);
    assert_eq!(log.count(|line| line.starts_with("close")), 3);
    assert_eq!(log.count(|line| line.starts_with("end")), 1);
    assert_eq!(log.take().pop().unwrap(), "end lost Connect(ConnectionRefused)");
}

#[test]
fn the_context_of_the_end_is_closed_and_reaches_other_apps() {
    let (mut world, log) = (World::new(), Log::new());
    let (end, next) = (log.clone(), log.clone());
    let app = log.app(URL).on_end(move |app, _| -> CallbackResult {
        assert_eq!((app.state(), app.is_running(), app.retry_at()), (State::Closed, false, None));
        assert_eq!(app.send_text("late"), Err(SendError::NotOpen(State::Closed)));
        let refused = app.sender().send_text("late").unwrap_err();
        assert_eq!(refused.reason, SendError::NotOpen(State::Closed));
        // Neither has an effect.
        app.close();
        app.set_timeout(Duration::ZERO, |_| panic!("a timer of a run that has ended"));
        end.push("end");
        app.apps().add(ending(&next), &RunOptions::new())?;
        Ok(())
    });
    let listener = world.start(app, &reconnecting());
    world.accept(&listener);
    world.in_app(|app| app.close());
    world.run_for(5 * SECOND);
    world.accept(&listener);
    world.run_for(SECOND);
    let expected = ["open", "error Timeout(Close)", "close: Timeout(Close)", "end", "open"];
    assert_eq!(log.take(), expected);
    assert_eq!(world.reactor.apps().len(), 1);
}

#[test]
fn an_end_that_removes_its_app_or_stops_the_reactor_harms_nothing() {
    let (mut world, log) = (World::new(), Log::new());
    let end = log.clone();
    let app = log.app(URL).on_end(move |app, _| {
        end.push("end");
        app.remove();
        app.apps().stop();
    });
    world.open(app, &RunOptions::new()).reset();
    world.reactor.run().unwrap();
    assert_eq!(log.count(|line| line == "end"), 1);
    assert!(world.reactor.apps().is_empty());
}

#[test]
fn an_error_or_a_panic_of_the_end_changes_nothing() {
    let (mut world, log) = (World::new(), Log::new());
    let fails = log.app(URL).on_end(|_, _| -> CallbackResult { Err("on purpose".into()) });
    world.open(fails, &RunOptions::new()).reset();
    let panics = log.app(URL).on_end(|_, _| panic!("on purpose"));
    world.open(panics, &RunOptions::new()).reset();
    world.settle();
    assert_eq!(log.count(|line| line == "close: Io(ConnectionReset)"), 2);
    assert!(!log.lines().iter().any(|line| line.contains("Callback")), "{:?}", log.lines());
    assert!(world.reactor.apps().is_empty());

    let mut world = World::new().map(|reactor| reactor.panic_policy(PanicPolicy::Propagate));
    let peer = world.open(Log::new().app(URL).on_end(|_, _| panic!("on purpose")), &RunOptions::new());
    peer.reset();
    assert!(catch_unwind(AssertUnwindSafe(|| world.settle())).is_err());
    world.settle();
    assert!(world.reactor.apps().is_empty());
}

#[test]
fn run_forever_calls_it_before_it_returns_and_once_for_each_run() {
    let (server, log) = (EchoServer::start().unwrap(), Log::new());
    let end = log.clone();
    let mut app = WebSocketApp::new(server.url())
        .on_open(|app, _| app.close())
        .on_end(move |_, outcome| end.push(outcome_line(outcome)));
    for _ in 0..2 {
        let outcome = run_forever(&mut app, &RunOptions::new()).unwrap();
        assert_eq!(log.take(), [outcome_line(&outcome)]);
    }
}

/// Notes its end only if it wants to.
struct Choosy {
    wants: bool,
    ended: Rc<RefCell<Vec<String>>>,
}

impl Handler for Choosy {
    fn on_error(&mut self, _: &mut Context<'_>, _: &Error) -> CallbackResult {
        Ok(())
    }

    fn wants_end(&self) -> bool {
        self.wants
    }

    fn on_end(&mut self, _: &mut Context<'_>, outcome: &Outcome) -> CallbackResult {
        self.ended.borrow_mut().push(outcome_line(outcome));
        Ok(())
    }
}

#[test]
fn a_handler_that_does_not_want_its_end_is_not_called() {
    for (wants, expected) in [(true, vec!["lost Io(ConnectionReset)"]), (false, vec![])] {
        for waits in [true, false] {
            let mut world = World::new();
            let ended = Rc::<RefCell<Vec<String>>>::default();
            let app = WebSocketApp::with_handler(URL, Choosy { wants, ended: ended.clone() });
            let options = if waits { reconnecting() } else { RunOptions::new() };
            world.open(app, &options).reset();
            world.settle();
            if waits {
                world.in_app(|app| app.close());
                world.settle();
            }
            assert!(world.reactor.apps().is_empty());
            assert_eq!(ended.take(), expected, "{wants} {waits}");
        }
    }
}

/// Passes its outcome on.
struct PassesOn(Rc<RefCell<Vec<String>>>);

impl Handler for PassesOn {
    fn on_error(&mut self, _app: &mut Context<'_>, _error: &Error) -> CallbackResult {
        Ok(())
    }

    fn on_end(&mut self, _app: &mut Context<'_>, outcome: &Outcome) -> CallbackResult {
        self.0.borrow_mut().push(format!("end {}", outcome_line(outcome)));
        Ok(())
    }

    fn take_outcome(&mut self, outcome: Outcome) {
        self.0.borrow_mut().push(format!("takes {}", outcome_line(&outcome)));
    }
}

#[test]
fn a_handler_takes_the_outcome_after_the_end_unless_it_is_returned() {
    let seen = Rc::<RefCell<Vec<String>>>::default();
    let mut world = World::new();
    let peer = world.open(WebSocketApp::with_handler(URL, PassesOn(seen.clone())), &RunOptions::new());
    peer.shutdown();
    world.settle();
    assert_eq!(seen.take(), ["end lost EndOfStream", "takes lost EndOfStream"]);

    let server = EchoServer::start().unwrap();
    let mut app = WebSocketApp::with_handler(server.url(), PassesOn(seen.clone()));
    app.sender().close();
    let outcome = run_forever(&mut app, &RunOptions::new());
    assert_eq!(seen.take(), [format!("end {}", outcome_line(&outcome.unwrap()))]);
}
