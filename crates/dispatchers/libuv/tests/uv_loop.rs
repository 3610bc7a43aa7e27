//! Apps beside other work of a libuv loop, and the end of both.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::{Cell, RefCell};
use std::io;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use libuv::{HandleTrait as _, Loop, RunMode, TimerHandle};
use websocket_app::dispatcher::{Dispatcher as _, Interest, Io, Key};
use websocket_app::{Next, PanicPolicy, Reactor, RunOptions, WebSocketApp};
use websocket_dispatcher_libuv::{LibuvDispatcher, Turns};
use websocket_testkit::frame;
use websocket_testkit::server::{EchoServer, ScriptedServer};

type SharedReactor = Rc<RefCell<Reactor<LibuvDispatcher>>>;

struct World {
    reactor: SharedReactor,
    turns: Turns,
    // Dropped last.
    uv: Loop,
}

impl World {
    fn new(policy: PanicPolicy) -> Self {
        let uv = Loop::new().unwrap();
        let (dispatcher, turns) = LibuvDispatcher::new(&uv).unwrap();
        let reactor = Reactor::with_dispatcher(dispatcher).unwrap().panic_policy(policy);
        let reactor = Rc::new(RefCell::new(reactor));
        turns.start({
            let (reactor, mut uv) = (reactor.clone(), uv.clone());
            move |ready| {
                let mut reactor = reactor.borrow_mut();
                let next = reactor.turn(ready);
                if reactor.apps().is_empty() {
                    uv.stop();
                }
                next
            }
        });
        Self { reactor, turns, uv }
    }

    fn add(&self, app: WebSocketApp) -> websocket_app::AppId {
        app.run_on(&mut self.reactor.borrow_mut(), &RunOptions::new()).unwrap()
    }

    fn run(&mut self) {
        self.uv.run(RunMode::Default).unwrap();
        self.turns.resume_panic();
    }

    /// Runs until all apps have ended, and ends in an orderly way.
    fn run_to_the_end(mut self) {
        self.run();
        assert!(self.reactor.borrow_mut().apps().is_empty());
        drop(self.turns);
        let_go(self.uv);
    }
}

/// Runs the loop once more, after which it has no handles and can be dropped.
fn let_go(mut uv: Loop) {
    uv.run(RunMode::Default).unwrap();
    assert!(!uv.is_alive());
    let left = Rc::new(RefCell::new(Vec::new()));
    let seen = left.clone();
    uv.walk(move |handle| seen.borrow_mut().push(handle.get_type().name()));
    assert!(left.borrow().is_empty(), "{left:?}");
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
fn the_hosts_timers_go_on_while_apps_are_busy() {
    let server = EchoServer::start().unwrap();
    let world = World::new(PanicPolicy::Catch);
    let messages = Rc::new(Cell::new(0));
    for _ in 0..2 {
        world.add(chatterbox(server.url(), &messages));
    }
    let mut timer = world.uv.timer().unwrap();
    let reactor = world.reactor.clone();
    let mut ticks = 0;
    let tick = move |mut timer: TimerHandle| {
        ticks += 1;
        if ticks == 20 {
            timer.close(());
            // Between two turns the reactor is the host's; another turn follows.
            reactor.borrow_mut().apps().stop();
        }
    };
    timer.start(1, 1, tick).unwrap();
    world.run_to_the_end();
    assert!(messages.get() > 0);
}

#[test]
fn rounds_follow_without_sleep_while_there_is_more_to_do_and_leave_room_for_timers() {
    let mut uv = Loop::new().unwrap();
    let (_dispatcher, turns) = LibuvDispatcher::new(&uv).unwrap();
    let (timer, ticked) = (uv.timer().unwrap(), Rc::new(Cell::new(false)));
    let mut rounds = 0;
    turns.start({
        let (mut timer, ticked, mut uv) = (timer, ticked.clone(), uv.clone());
        move |_| {
            rounds += 1;
            // Nothing else could end a sleep.
            if rounds == 1000 {
                let ticked = ticked.clone();
                timer.start(1, 0, move |_: TimerHandle| ticked.set(true)).unwrap();
            }
            if ticked.get() {
                timer.close(());
                uv.stop();
            }
            Next::new(None, !ticked.get())
        }
    });
    uv.run(RunMode::Default).unwrap();
    assert!(ticked.get());
    drop(turns);
    let_go(uv);
}

#[test]
fn what_a_callback_of_the_hosts_sends_is_sent() {
    let server = EchoServer::start().unwrap();
    let world = World::new(PanicPolicy::Catch);
    let open = Rc::new(Cell::new(false));
    let opened = open.clone();
    let app = WebSocketApp::new(server.url())
        .on_open(move |_, _| opened.set(true))
        .on_message(|app, _| app.close());
    let id = world.add(app);
    let mut timer = world.uv.timer().unwrap();
    let reactor = world.reactor.clone();
    let tick = move |mut timer: TimerHandle| {
        if open.get() {
            timer.close(());
            reactor.borrow_mut().apps().with(id, |app| app.send_text("hello")).unwrap().unwrap();
        }
    };
    timer.start(1, 1, tick).unwrap();
    world.run_to_the_end();
}

#[test]
fn another_thread_wakes_a_loop_that_sleeps() {
    const ROUNDS: usize = 200;
    let server = EchoServer::start().unwrap();
    let world = World::new(PanicPolicy::Catch);
    let (heard, hears) = mpsc::channel();
    let mut hears = Some(hears);
    let app = WebSocketApp::new(server.url())
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
        .on_message(move |_, _| heard.send(()));
    world.add(app);
    world.run_to_the_end();
}

#[test]
fn a_propagated_panic_ends_the_loop_and_another_run_goes_on() {
    let server = EchoServer::start().unwrap();
    let mut world = World::new(PanicPolicy::Propagate);
    let closed = Rc::new(Cell::new(0));
    for name in ["panics", "closes"] {
        let closed = closed.clone();
        let app = WebSocketApp::new(server.url())
            .on_open(|app, _| app.send_text("hello"))
            .on_message(move |app, _| {
                assert_eq!(name, "closes", "no idea");
                app.close();
            })
            .on_close(move |_, _| closed.set(closed.get() + 1));
        world.add(app);
    }
    let panic = catch_unwind(AssertUnwindSafe(|| world.run())).unwrap_err();
    assert!(panic.downcast_ref::<String>().unwrap().contains("no idea"));
    world.run_to_the_end();
    assert_eq!(closed.get(), 2);
}

#[test]
fn an_app_that_another_removes_in_mid_turn_leaves_nothing_behind() {
    let echo = EchoServer::start().unwrap();
    let scripted = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        while peer.try_write(&frame::text("hello")).is_ok() {}
    })
    .unwrap();
    let world = World::new(PanicPolicy::Catch);
    let removed = world.add(WebSocketApp::new(scripted.url()));
    let app =
        WebSocketApp::new(echo.url()).on_open(|app, _| app.send_text("hello")).on_message(move |app, _| {
            assert!(app.apps().remove(removed));
            app.close();
        });
    world.add(app);
    world.run_to_the_end();
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
    let world = World::new(PanicPolicy::Catch);
    let (uv, rounds) = (world.uv.clone(), Rc::new(Cell::new(0)));
    let counted = rounds.clone();
    let app = WebSocketApp::new(scripted.url())
        .on_open(|app, _| {
            app.set_timeout(Duration::from_millis(50), |app| app.send_text("goodbye"));
        })
        .on_close(move |_, _| counted.set(uv.metrics_info().unwrap().loop_count));
    world.add(app);
    world.run_to_the_end();
    // Each step of a connection takes a few; a loop that spins for 50 ms takes thousands.
    assert!((1..100).contains(&rounds.get()), "{} rounds", rounds.get());
    scripted.join();
}

/// A world with an app that is open, and a server that waits for its end.
fn open() -> (World, ScriptedServer) {
    let scripted = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        peer.expect_eof();
    })
    .unwrap();
    let mut world = World::new(PanicPolicy::Catch);
    let mut uv = world.uv.clone();
    world.add(WebSocketApp::new(scripted.url()).on_open(move |_, _| uv.stop()));
    world.run();
    (world, scripted)
}

#[test]
fn everything_is_closed_when_the_turns_are_dropped_before_the_reactor() {
    let (World { reactor, turns, uv }, scripted) = open();
    drop(turns);
    let waker = reactor.borrow_mut().dispatcher().waker();
    let_go(uv);
    // What remains of the reactor does no harm, without a loop.
    waker.wake();
    reactor.borrow_mut().turn(&[]);
    drop(reactor);
    scripted.join();
}

#[test]
fn everything_is_closed_when_the_reactor_is_dropped_before_the_turns() {
    let (World { reactor, turns, uv }, scripted) = open();
    // The closure has the other one.
    turns.start(|_| unreachable!("no turn without a dispatcher"));
    drop(reactor);
    let_go(uv);
    drop(turns);
    scripted.join();
}

#[test]
fn everything_is_closed_when_the_turns_are_dropped_in_a_turn() {
    let (World { reactor, turns, uv }, scripted) = open();
    let turns = Rc::new(Cell::new(Some(turns)));
    let mine = turns.take().unwrap();
    let dropped = turns.clone();
    mine.start(move |ready| {
        let next = reactor.borrow_mut().turn(ready);
        dropped.take();
        next
    });
    turns.set(Some(mine));
    let_go(uv);
    assert!(turns.take().is_none());
    scripted.join();
}

#[test]
fn a_panic_while_the_closure_is_dropped_in_a_turn_waits_for_the_end_of_the_loop() {
    struct Grenade;
    impl Drop for Grenade {
        fn drop(&mut self) {
            assert!(thread::panicking(), "dropped");
        }
    }
    let (World { reactor, turns, mut uv }, scripted) = open();
    let turns = Rc::new(turns);
    let (replaced, grenade) = (Rc::downgrade(&turns), Grenade);
    let kept = reactor.clone();
    turns.start(move |ready| {
        let _held = &grenade;
        let reactor = kept.clone();
        replaced.upgrade().unwrap().start(move |ready| reactor.borrow_mut().turn(ready));
        kept.borrow_mut().turn(ready)
    });
    uv.run(RunMode::Default).unwrap();
    let panic = catch_unwind(AssertUnwindSafe(|| turns.resume_panic())).unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"dropped"));
    drop(turns);
    drop(reactor);
    let_go(uv);
    scripted.join();
}

#[test]
fn a_descriptor_that_the_loop_watches_already_is_refused() {
    let uv = Loop::new().unwrap();
    let (near, _far) = UnixStream::pair().unwrap();
    let mut io = Io::unix(near).unwrap();
    let (mut first, _turns) = LibuvDispatcher::new(&uv).unwrap();
    let (mut second, _turns_too) = LibuvDispatcher::new(&uv).unwrap();
    first.register(Key::new(0, 0), &mut io, Interest::Read).unwrap();
    let error = second.register(Key::new(0, 0), &mut io, Interest::Read).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Other);
    assert!(error.to_string().contains("EEXIST"), "{error}");
    first.deregister(Key::new(0, 0), io);
    drop((first, second));
    let_go(uv);
}
