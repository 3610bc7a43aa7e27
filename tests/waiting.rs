//! An app that waits to connect again: what it can do, what ends it, and that it ends within one turn. In virtual time.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use websocket_app::{
    AppId, CloseCode, Context, Outcome, PanicPolicy, RunOptions, SendError, Sender, State, WebSocketApp,
};
use websocket_testkit::server::ScriptedServer;
use websocket_testkit::sim::SimListener;
use websocket_tests::{Log, URL, World, outcome_line, run_forever};

const SECOND: Duration = Duration::from_secs(1);

fn fixed(delay: Duration) -> RunOptions {
    RunOptions::new().reconnect(delay)
}

/// An app that was open, was lost, and connects again in ten seconds.
struct Waiting {
    world: World,
    listener: SimListener,
    id: AppId,
    sender: Sender,
    log: Log,
}

impl Waiting {
    fn new() -> Self {
        Self::with(World::new(), |app| app)
    }

    fn with(mut world: World, set: impl FnOnce(WebSocketApp) -> WebSocketApp) -> Self {
        let log = Log::new();
        let mut app = set(log.app(URL));
        let sender = app.sender();
        let listener = world.start(app, &fixed(10 * SECOND));
        let id = world.reactor.apps().ids()[0];
        world.accept(&listener).reset();
        world.settle();
        log.take();
        Self { world, listener, id, sender, log }
    }

    fn turn(&mut self) {
        self.world.reactor.poll(Some(Duration::ZERO)).unwrap();
    }

    /// In the app's own hands.
    fn in_app<R>(&mut self, work: impl FnOnce(&mut Context<'_>) -> R) -> R {
        self.world.reactor.apps().with(self.id, work).unwrap()
    }

    /// It has ended, in silence, and nothing of it is left.
    #[track_caller]
    fn assert_over(&mut self) {
        assert!(self.world.reactor.apps().is_empty());
        assert_eq!(self.world.reactor.next_deadline(), None);
        self.world.run_for(60 * SECOND);
        assert_eq!(self.log.lines(), [""; 0]);
        assert!(self.listener.accept().is_none());
    }
}

#[test]
fn b113_a_close_ends_the_wait_within_one_turn_and_in_silence() {
    let closes: [fn(&mut Waiting); 4] = [
        |it| it.sender.close(),
        |it| {
            let sender = it.sender.clone();
            thread::spawn(move || sender.close_with((CloseCode::Away, "done"))).join().unwrap().unwrap();
        },
        |it| it.in_app(|app| app.close()),
        |it| it.sender.run(|app| app.close()),
    ];
    for close in closes {
        let mut it = Waiting::new();
        it.world.run_for(3 * SECOND);
        close(&mut it);
        it.turn();
        it.assert_over();
    }
}

#[test]
fn b113_a_close_from_a_timer_or_from_a_peer_ends_the_wait_in_that_turn() {
    let mut it = Waiting::new();
    it.in_app(|app| {
        app.set_timeout(2 * SECOND, |app| app.close());
    });
    it.world.reactor.poll(None).unwrap();
    assert_eq!(it.world.net.elapsed(), 2 * SECOND);
    it.assert_over();

    let mut it = Waiting::new();
    let waiting = it.id;
    let peer = WebSocketApp::new(URL).on_open(move |app, _| {
        app.apps().with(waiting, |other| other.close()).unwrap();
        app.remove();
    });
    peer.run_on(&mut it.world.reactor, &RunOptions::new()).unwrap();
    it.world.settle();
    it.listener.accept().unwrap().accept_upgrade().unwrap();
    it.turn();
    it.assert_over();
}

#[test]
fn b113_a_close_in_on_close_is_a_change_of_mind() {
    let log = Log::new();
    let lines = log.clone();
    let mut world = World::new();
    let app = log.app(URL).on_close(move |app, closed| {
        lines.push(format!("close, retry in {:?}", closed.retry_in));
        assert!(app.is_running() && app.state() == State::Closed);
        app.close();
    });
    let listener = world.start(app, &fixed(SECOND));
    listener.accept().unwrap().reset();
    world.reactor.run().unwrap();
    assert_eq!(world.net.elapsed(), Duration::ZERO);
    assert_eq!(log.lines(), ["error NoResponse(ConnectionReset)", "close, retry in Some(1s)"]);
}

#[test]
fn b113_a_close_in_on_error_prevents_the_retry_before_on_close_tells_of_it() {
    let log = Log::new();
    let mut world = World::new();
    let listener = world.start(log.app(URL).on_error(|app, _| app.close()), &fixed(SECOND));
    listener.accept().unwrap().reset();
    world.reactor.run().unwrap();
    assert_eq!(log.lines(), ["close: NoResponse(ConnectionReset)"]);
}

#[test]
fn b113_a_run_that_is_closed_while_it_waits_returns_at_once_what_ended_its_last_connection() {
    let server = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        peer.send_close(1012, "restart");
        peer.read_close();
    })
    .unwrap();
    let mut app = WebSocketApp::new(server.url()).on_close(|app, closed| {
        assert_eq!(closed.retry_in, Some(3600 * SECOND));
        let sender = app.sender();
        thread::spawn(move || sender.close());
    });
    let outcome = run_forever(&mut app, &fixed(3600 * SECOND)).unwrap();
    assert_eq!(outcome_line(&outcome), "clean 1012 restart, by Server");
    server.join();
}

#[test]
fn a_removal_ends_the_wait_within_one_turn_and_in_silence() {
    let removals: [fn(&mut Waiting); 4] = [
        |it| assert!(it.world.reactor.apps().remove(it.id)),
        |it| it.sender.remove(),
        |it| it.in_app(|app| app.remove()),
        |it| it.sender.run(|app| app.remove()),
    ];
    for remove in removals {
        let mut it = Waiting::new();
        remove(&mut it);
        it.turn();
        it.assert_over();
    }
}

#[test]
fn a_stop_ends_the_wait_within_one_turn_and_in_silence() {
    let stops: [fn(&mut Waiting); 5] = [
        |it| it.world.reactor.apps().stop(),
        |it| it.world.reactor.apps().stop_within(5 * SECOND),
        |it| it.world.reactor.apps().stop_within(Duration::ZERO),
        |it| it.sender.stop(),
        |it| it.world.reactor.handle().stop_within(5 * SECOND),
    ];
    for stop in stops {
        let mut it = Waiting::new();
        stop(&mut it);
        it.turn();
        it.assert_over();
    }
}

#[test]
fn a_run_that_is_stopped_while_it_waits_says_so() {
    let server = ScriptedServer::start(drop).unwrap();
    for drain in [false, true] {
        let mut app = WebSocketApp::new(server.url()).on_error(|_, _| {}).on_close(move |app, _| {
            let sender = app.sender();
            thread::spawn(move || if drain { sender.stop_within(3600 * SECOND) } else { sender.stop() });
        });
        let outcome = run_forever(&mut app, &fixed(3600 * SECOND)).unwrap();
        assert!(matches!(outcome, Outcome::Stopped), "{outcome:?}");
    }
    server.join();
}

#[test]
fn a_dropped_reactor_drops_an_app_that_waits_in_silence() {
    let mut it = Waiting::new();
    let alive = Rc::new(());
    let held = alive.clone();
    it.in_app(|app| {
        app.set_timeout(SECOND, move |_| drop(held));
    });
    drop(it.world);
    assert_eq!((it.log.lines(), Rc::strong_count(&alive)), (vec![], 1));
    assert!(it.sender.send_text("late").is_err());
}

#[test]
fn an_app_that_waits_says_so_and_sends_nothing() {
    let mut it = Waiting::new();
    it.world.run_for(4 * SECOND);
    let now = it.world.net.now();
    let told = it.in_app(|app| (app.state(), app.is_open(), app.is_running(), app.retry_at(), app.now()));
    assert_eq!(told, (State::Closed, false, true, Some(now + 6 * SECOND), now));
    let refused = it.in_app(|app| app.send_text("x"));
    assert_eq!(refused, Err(SendError::WaitingToReconnect));
    assert!(it.in_app(|app| app.flush()).is_ok());
    assert!(!it.sender.is_open());
    let refused = it.sender.send_text("x").unwrap_err();
    assert_eq!(refused.reason, SendError::WaitingToReconnect);
    assert_eq!(it.sender.queued_bytes(), 0);
    assert!(it.sender.reactor().is_some());

    // Once it connects, it does not wait any more.
    it.world.run_for(6 * SECOND);
    assert_eq!(it.in_app(|app| (app.state(), app.retry_at())), (State::Connecting, None));
    it.world.accept(&it.listener);
    assert_eq!(it.in_app(|app| (app.state(), app.retry_at())), (State::Open, None));
    assert!(it.sender.is_open());
}

#[test]
fn work_from_a_sender_is_done_while_the_app_waits() {
    let mut it = Waiting::new();
    let log = it.log.clone();
    let (tell, told) = std::sync::mpsc::channel();
    it.sender.run(move |app| tell.send((app.state(), app.attempts().failures)).unwrap());
    it.sender.run(|_| Err("as it is"));
    it.turn();
    assert_eq!(told.try_recv(), Ok((State::Closed, 1)));
    assert_eq!(log.take(), ["error Callback(as it is)"]);
    it.world.run_for(10 * SECOND);
    it.world.accept(&it.listener);
    assert_eq!(log.lines(), ["open", "reconnect"]);
}

#[test]
fn what_a_sender_asked_for_behind_the_loss_is_done_while_the_app_waits() {
    let mut world = World::new();
    let log = Log::new();
    let mut app = log.app(URL);
    let sender = app.sender();
    let (first, second) = (log.clone(), sender.clone());
    let app = app.on_close(move |_, _| {
        // Asked for in the last callback of the attempt.
        first.push("close");
        second.run(|app| Err(format!("{:?}", app.state())));
    });
    let listener = world.start(app, &fixed(SECOND));
    world.accept(&listener).reset();
    world.settle();
    assert_eq!(log.lines(), ["open", "error Io(ConnectionReset)", "close", "error Callback(Closed)"]);
}

#[test]
fn timers_end_with_their_attempt_and_those_of_on_close_with_the_next() {
    let fired = Rc::new(RefCell::new(Vec::new()));
    let every_four_seconds = |name: &'static str| {
        let fired = fired.clone();
        move |app: &mut Context<'_>| {
            let fired = fired.clone();
            app.set_interval(4 * SECOND, move |app| fired.borrow_mut().push((name, app.state())));
        }
    };
    let (open, close) = (every_four_seconds("open"), every_four_seconds("close"));
    let mut world = World::new();
    let app = Log::new().app(URL).on_open(move |app, _| open(app)).on_close(move |app, _| close(app));
    let listener = world.start(app, &fixed(10 * SECOND));
    let peer = world.accept(&listener);
    world.run_for(9 * SECOND);
    assert_eq!(fired.take(), [("open", State::Open); 2]);
    peer.reset();
    // Lost at 9 s; the next attempt begins at 19 s and is open at once.
    world.run_until(19 * SECOND);
    assert_eq!(fired.take(), [("close", State::Closed); 2]);
    let peer = world.accept(&listener);
    world.run_until(24 * SECOND);
    assert_eq!(fired.take(), [("close", State::Open), ("open", State::Open)]);
    peer.reset();
    world.run_until(25 * SECOND);
    assert_eq!(fired.take(), [], "both have ended with the second attempt");
    world.run_until(29 * SECOND);
    assert_eq!(fired.take(), [("close", State::Closed)]);
}

#[test]
fn a_panic_of_a_timer_while_the_app_waits_is_told_and_ends_it() {
    for policy in [PanicPolicy::Catch, PanicPolicy::Propagate] {
        let mut it = Waiting::with(World::new().map(|reactor| reactor.panic_policy(policy)), |app| app);
        let reached = Rc::new(Cell::new(false));
        let seen = reached.clone();
        it.in_app(|app| {
            app.set_timeout(SECOND, move |app| {
                seen.set(true);
                assert!(app.is_open(), "boom");
            });
        });
        let turn = || it.world.reactor.poll(None).unwrap();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(turn)).is_err();
        assert_eq!((panicked, reached.get()), (policy == PanicPolicy::Propagate, true));
        assert_eq!(it.log.take(), ["error CallbackPanicked(\"boom\")"]);
        it.assert_over();
    }
}

#[test]
fn a_panic_in_on_close_with_a_retry_to_come_ends_the_run_with_it() {
    let server = ScriptedServer::start(drop).unwrap();
    let log = Log::new();
    let lines = log.clone();
    let mut app = log.app(server.url()).on_error(move |_, error| {
        if let websocket_app::Error::CallbackPanicked(what) = error {
            lines.push(what);
        }
    });
    app = app.on_close(|_, closed| assert_eq!(closed.retry_in, None, "boom"));
    let outcome = run_forever(&mut app, &fixed(SECOND)).unwrap();
    assert!(outcome_line(&outcome).starts_with("lost CallbackPanicked("), "{outcome:?}");
    assert_eq!(log.lines(), [""; 0], "on_close is the last that is called");
    server.join();
}
