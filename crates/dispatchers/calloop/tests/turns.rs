//! Apps in a calloop loop, and what is special to it.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use calloop::ping::make_ping;
use calloop::timer::{TimeoutAction, Timer};
use calloop::{EventLoop, LoopSignal};
use websocket_app::{BoxError, PanicPolicy, Reactor, RunOptions, Sender, WebSocketApp};
use websocket_dispatcher::{Dispatcher as _, Interest, Io, Key, Next};
use websocket_dispatcher_calloop::CalloopDispatcher;
use websocket_testkit::server::{EchoServer, ScriptedServer};

type Loop = EventLoop<'static, State>;

struct State {
    reactor: Option<Reactor<CalloopDispatcher<'static, State>>>,
    signal: LoopSignal,
    turns: usize,
    ticks: usize,
}

impl State {
    fn reactor(&mut self) -> &mut Reactor<CalloopDispatcher<'static, Self>> {
        self.reactor.as_mut().unwrap()
    }
}

/// A loop that stops when the last app has ended.
fn start() -> (Loop, State) {
    let event_loop = Loop::try_new().unwrap();
    let dispatcher = CalloopDispatcher::new(event_loop.handle(), |state: &mut State, ready| {
        state.turns += 1;
        let next = state.reactor().turn(ready);
        if state.reactor().apps().is_empty() {
            state.signal.stop();
        }
        next
    })
    .unwrap();
    let reactor = Some(Reactor::with_dispatcher(dispatcher).unwrap());
    let signal = event_loop.get_signal();
    (event_loop, State { reactor, signal, turns: 0, ticks: 0 })
}

fn run(event_loop: &mut Loop, state: &mut State) {
    event_loop.run(None, state, |_| {}).unwrap();
}

/// Says hello once, and closes on the answer.
fn hello(url: String) -> WebSocketApp {
    WebSocketApp::new(url).on_open(|app, _| app.send_text("hello")).on_message(|app, _| app.close())
}

/// How long the loop may sleep before a test fails.
const PATIENCE: Duration = Duration::from_secs(10);

/// One round that has something to do.
fn round(event_loop: &mut Loop, state: &mut State) {
    let start = Instant::now();
    event_loop.dispatch(PATIENCE, state).unwrap();
    assert!(start.elapsed() < PATIENCE, "the loop slept over it");
}

/// Rounds until nothing is left to do at once.
fn settle(event_loop: &mut Loop, state: &mut State) {
    for _ in 0..5 {
        event_loop.dispatch(Duration::ZERO, state).unwrap();
    }
}

fn panics(event_loop: &mut Loop, state: &mut State) {
    let dispatched = catch_unwind(AssertUnwindSafe(|| round(event_loop, state)));
    assert!(dispatched.is_err(), "the panic was swallowed");
}

#[test]
fn apps_that_were_added_before_the_loop_ran_get_their_turn() {
    let server = EchoServer::start().unwrap();
    let (mut event_loop, mut state) = start();
    let closed = Rc::new(Cell::new(0));
    for _ in 0..2 {
        let closed = closed.clone();
        hello(server.url())
            .on_close(move |_, _| closed.set(closed.get() + 1))
            .run_on(state.reactor(), &RunOptions::new())
            .unwrap();
    }
    run(&mut event_loop, &mut state);
    assert_eq!(closed.get(), 2);
}

#[test]
fn apps_that_are_added_by_another_callback_wake_the_loop() {
    let server = EchoServer::start().unwrap();
    let (mut event_loop, mut state) = start();
    settle(&mut event_loop, &mut state);
    let url = server.url();
    let timer = Timer::from_duration(Duration::from_millis(1));
    event_loop
        .handle()
        .insert_source(timer, move |_, _, state: &mut State| {
            hello(url.clone()).run_on(state.reactor(), &RunOptions::new()).unwrap();
            TimeoutAction::Drop
        })
        .unwrap();
    run(&mut event_loop, &mut state);
    assert!(state.reactor().apps().is_empty());
}

#[test]
fn the_loop_sleeps_after_the_last_app() {
    let server = EchoServer::start().unwrap();
    let (mut event_loop, mut state) = start();
    hello(server.url()).run_on(state.reactor(), &RunOptions::new()).unwrap();
    run(&mut event_loop, &mut state);
    settle(&mut event_loop, &mut state);
    let turns = state.turns;
    event_loop.dispatch(Duration::from_millis(30), &mut state).unwrap();
    assert_eq!(state.turns, turns, "something woke the loop");
}

#[test]
fn a_timer_of_an_app_ends_the_sleep_once() {
    let server = EchoServer::start().unwrap();
    let (mut event_loop, mut state) = start();
    let armed = Rc::new(Cell::new(false));
    let arm = armed.clone();
    WebSocketApp::new(server.url())
        .on_open(move |app, _| {
            app.set_timeout(Duration::from_millis(30), |app| app.close());
            arm.set(true);
        })
        .run_on(state.reactor(), &RunOptions::new())
        .unwrap();
    while !armed.get() {
        round(&mut event_loop, &mut state);
    }
    let turns = state.turns;
    run(&mut event_loop, &mut state);
    let turns = state.turns - turns;
    assert!(turns < 20, "{turns} turns for one timer and a close");
}

#[test]
fn another_thread_wakes_a_sleeping_loop() {
    let server = EchoServer::start().unwrap();
    let (mut event_loop, mut state) = start();
    let (hand, sender) = mpsc::channel();
    let thread = thread::spawn(move || {
        let sender: Sender = sender.recv().unwrap();
        sender.send_text("from afar").unwrap();
    });
    WebSocketApp::new(server.url())
        .on_open(move |app, _| hand.send(app.sender()).unwrap())
        .on_message(|app, _| app.close())
        .run_on(state.reactor(), &RunOptions::new())
        .unwrap();
    run(&mut event_loop, &mut state);
    thread.join().unwrap();
}

#[test]
fn other_sources_go_on_while_an_app_always_has_more_to_do() {
    let server = EchoServer::start().unwrap();
    let (mut event_loop, mut state) = start();
    let app = WebSocketApp::new(server.url())
        .on_open(|app, _| {
            app.set_interval(Duration::ZERO, |app| {
                app.send_text("more")?;
                app.flush()?;
                Ok::<_, BoxError>(())
            });
        })
        .run_on(state.reactor(), &RunOptions::new())
        .unwrap();
    let timer = Timer::from_duration(Duration::from_millis(1));
    event_loop
        .handle()
        .insert_source(timer, move |_, _, state: &mut State| {
            state.ticks += 1;
            if state.ticks == 10 {
                state.reactor().apps().with(app, |app| app.close());
            }
            TimeoutAction::ToDuration(Duration::from_millis(1))
        })
        .unwrap();
    run(&mut event_loop, &mut state);
    assert!(state.ticks >= 10);
    assert!(state.turns > state.ticks, "the app was busy");
}

#[test]
fn apps_that_remove_and_add_others_in_mid_turn_leave_no_trace() {
    let server = EchoServer::start().unwrap();
    let (mut event_loop, mut state) = start();
    let bystander = WebSocketApp::new(server.url())
        .on_close(|_, _| -> () { panic!("it was to be removed silently") })
        .run_on(state.reactor(), &RunOptions::new())
        .unwrap();
    let url = server.url();
    WebSocketApp::new(server.url())
        .on_open(|app, _| app.send_text("hello"))
        .on_message(move |app, _| {
            assert!(app.apps().remove(bystander));
            app.apps().add(hello(url.clone()), &RunOptions::new())?;
            app.remove();
            Ok::<_, websocket_app::Error>(())
        })
        .run_on(state.reactor(), &RunOptions::new())
        .unwrap();
    run(&mut event_loop, &mut state);
    assert!(state.reactor().apps().is_empty());
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
    let (mut event_loop, mut state) = start();
    WebSocketApp::new(server.url()).run_on(state.reactor(), &RunOptions::new()).unwrap();
    run(&mut event_loop, &mut state);
    settle(&mut event_loop, &mut state);
    assert!(state.turns < 20, "{} turns for a connection that only closed", state.turns);
    server.join();
}

#[test]
fn a_panic_in_a_turn_passes_and_the_other_apps_go_on() {
    let server = EchoServer::start().unwrap();
    let (mut event_loop, mut state) = start();
    let reactor = state.reactor.take().unwrap().panic_policy(PanicPolicy::Propagate);
    state.reactor = Some(reactor);
    WebSocketApp::new(server.url())
        .on_open(|_, _| -> () { panic!("by a test") })
        .run_on(state.reactor(), &RunOptions::new())
        .unwrap();
    hello(server.url()).run_on(state.reactor(), &RunOptions::new()).unwrap();
    let ran = catch_unwind(AssertUnwindSafe(|| run(&mut event_loop, &mut state)));
    assert!(ran.is_err(), "the panic was swallowed");
    while !state.reactor().apps().is_empty() {
        round(&mut event_loop, &mut state);
    }
}

#[test]
fn a_wake_survives_the_panic_of_another_source_in_its_round() {
    let (mut event_loop, mut state) = start();
    settle(&mut event_loop, &mut state);
    let (ping, pinged) = make_ping().unwrap();
    event_loop.handle().insert_source(pinged, |(), _, _| panic!("by a test")).unwrap();
    for _ in 0..2 {
        let turns = state.turns;
        state.reactor().dispatcher().waker().wake();
        ping.ping();
        panics(&mut event_loop, &mut state);
        assert_eq!(state.turns, turns, "the panic came too late to test anything");
        round(&mut event_loop, &mut state);
        assert!(state.turns > turns, "the wake was lost");
        settle(&mut event_loop, &mut state);
    }
}

#[test]
fn a_turn_that_the_panic_of_another_idle_callback_swept_away_is_made_up_for() {
    let (mut event_loop, mut state) = start();
    settle(&mut event_loop, &mut state);
    for _ in 0..2 {
        let turns = state.turns;
        state.reactor().dispatcher().waker().wake();
        event_loop.handle().insert_idle(|_| panic!("by a test"));
        panics(&mut event_loop, &mut state);
        assert_eq!(state.turns, turns, "the panic came too late to test anything");
        round(&mut event_loop, &mut state);
        assert!(state.turns > turns, "the turn was lost");
        settle(&mut event_loop, &mut state);
    }
}

#[test]
fn a_reactor_may_be_dropped_in_its_own_turn() {
    let server = EchoServer::start().unwrap();
    let mut event_loop = Loop::try_new().unwrap();
    let dispatcher = CalloopDispatcher::new(event_loop.handle(), |state: &mut State, ready| {
        state.turns += 1;
        let next = state.reactor().turn(ready);
        if state.reactor().apps().len() == 1 && state.turns > 1 {
            state.reactor = None;
        }
        // Asks for more of a reactor that is gone.
        Next::new(next.deadline, true)
    })
    .unwrap();
    let reactor = Some(Reactor::with_dispatcher(dispatcher).unwrap());
    let mut state = State { reactor, signal: event_loop.get_signal(), turns: 0, ticks: 0 };
    hello(server.url()).run_on(state.reactor(), &RunOptions::new()).unwrap();
    while state.reactor.is_some() {
        round(&mut event_loop, &mut state);
    }
    let turns = state.turns;
    event_loop.dispatch(Duration::from_millis(30), &mut state).unwrap();
    assert_eq!(state.turns, turns);
}

#[test]
fn dropping_the_dispatcher_drops_the_turn_and_the_loop_lives_on() {
    let (mut event_loop, mut state) = start();
    let owned = Rc::new(());
    let held = owned.clone();
    let (mut io, _far) = pair();
    let mut dispatcher = CalloopDispatcher::new(event_loop.handle(), move |_: &mut State, _| {
        let _ = &held;
        panic!("a turn after the end")
    })
    .unwrap();
    dispatcher.register(Key::new(0, 0), &mut io, Interest::ReadWrite).unwrap();
    dispatcher.waker().wake();
    let late = dispatcher.waker();
    drop(dispatcher);
    assert_eq!(Rc::strong_count(&owned), 1, "the turn is still held");
    late.wake();
    settle(&mut event_loop, &mut state);
    assert_eq!(state.turns, 1, "the loop's other reactor has had its first turn and nothing more");
}

#[cfg(target_os = "linux")]
#[test]
fn nothing_of_a_dropped_reactor_is_left_in_the_poll() {
    use std::os::fd::AsRawFd as _;

    let server = EchoServer::start().unwrap();
    let mut event_loop = Loop::try_new().unwrap();
    let info = format!("/proc/self/fdinfo/{}", event_loop.as_raw_fd());
    let watched = || std::fs::read_to_string(&info).unwrap().matches("tfd:").count();
    let before = watched();
    let dispatcher =
        CalloopDispatcher::new(event_loop.handle(), |state: &mut State, ready| state.reactor().turn(ready));
    let reactor = Some(Reactor::with_dispatcher(dispatcher.unwrap()).unwrap());
    let mut state = State { reactor, signal: event_loop.get_signal(), turns: 0, ticks: 0 };
    let open = Rc::new(Cell::new(0));
    for _ in 0..3 {
        let open = open.clone();
        WebSocketApp::new(server.url())
            .on_open(move |_, _| open.set(open.get() + 1))
            .run_on(state.reactor(), &RunOptions::new())
            .unwrap();
    }
    while open.get() < 3 {
        round(&mut event_loop, &mut state);
    }
    assert_eq!(watched(), before + 4, "three streams and the ping");
    state.reactor = None;
    assert_eq!(watched(), before);
}

fn pair() -> (Io, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let near = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (Io::tcp(near).unwrap(), listener.accept().unwrap().0)
}
