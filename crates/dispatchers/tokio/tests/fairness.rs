//! On one thread, busy apps and other tasks take turns. Shown by counts, not by time.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::task::{LocalSet, yield_now};
use websocket_app::{Reactor, RunOptions, WebSocketApp};
use websocket_dispatcher::{Clock, Dispatcher, Interest, Io, Key, PollWait, Ready};
use websocket_dispatcher_tokio::TokioDispatcher;
use websocket_testkit::server::EchoServer;

const APPS: usize = 50;
// Under Wine each takes a hundred times as long.
const ROUNDS: usize = if cfg!(windows) { 10 } else { 100 };

/// Counts what happens to a dispatcher between two ticks of another task.
struct Counting {
    dispatcher: TokioDispatcher,
    counts: Rc<Counts>,
}

#[derive(Default)]
struct Counts {
    turns: Cell<usize>,
    ticks: Cell<usize>,
    turns_since_tick: Cell<usize>,
    most_turns_since_tick: Cell<usize>,
}

impl Counts {
    fn turn(&self) {
        self.turns.set(self.turns.get() + 1);
        self.turns_since_tick.set(self.turns_since_tick.get() + 1);
        self.most_turns_since_tick.set(self.most_turns_since_tick.get().max(self.turns_since_tick.get()));
    }

    fn tick(&self) {
        self.ticks.set(self.ticks.get() + 1);
        self.turns_since_tick.set(0);
    }
}

impl Dispatcher for Counting {
    fn register(&mut self, key: Key, io: &mut Io, interest: Interest) -> io::Result<()> {
        self.dispatcher.register(key, io, interest)
    }

    fn reregister(&mut self, key: Key, io: &mut Io, interest: Interest) -> io::Result<()> {
        self.dispatcher.reregister(key, io, interest)
    }

    fn deregister(&mut self, key: Key, io: Io) {
        self.dispatcher.deregister(key, io);
    }

    fn waker(&self) -> Waker {
        self.dispatcher.waker()
    }

    fn clock(&self) -> Clock {
        self.dispatcher.clock()
    }

    fn short_read_drains(&self) -> bool {
        self.dispatcher.short_read_drains()
    }
}

impl PollWait for Counting {
    fn poll_wait(
        &mut self,
        cx: &mut Context<'_>,
        deadline: Option<Instant>,
        ready: &mut Vec<Ready>,
    ) -> Poll<io::Result<()>> {
        let waited = self.dispatcher.poll_wait(cx, deadline, ready);
        if waited.is_ready() {
            self.counts.turn();
        }
        waited
    }
}

/// Runs `APPS` apps that each echo `ROUNDS` times, and one more that has a deadline in every turn; beside them, `other`.
fn run<F: Future<Output = ()> + 'static>(counts: &Rc<Counts>, other: impl FnOnce(Rc<Counts>) -> F) {
    let server = EchoServer::start().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = LocalSet::new();
    let other = local.spawn_local(other(counts.clone()));
    let counts = counts.clone();
    let apps = local.spawn_local(async move {
        let dispatcher = Counting { dispatcher: TokioDispatcher::new().unwrap(), counts };
        let mut reactor = Reactor::with_dispatcher(dispatcher).unwrap();
        let busy = Rc::new(Cell::new(APPS));
        for _ in 0..APPS {
            let busy = busy.clone();
            let mut left = ROUNDS;
            WebSocketApp::new(server.url())
                .on_open(|app, _| app.send_text("to and fro"))
                .on_message(move |app, _| {
                    left -= 1;
                    if left == 0 {
                        busy.set(busy.get() - 1);
                        app.close();
                        return Ok(());
                    }
                    app.send_text("to and fro")
                })
                .run_on(&mut reactor, &RunOptions::new())
                .unwrap();
        }
        WebSocketApp::new(server.url())
            .on_open(move |app, _| {
                let busy = busy.clone();
                app.set_interval(Duration::from_nanos(1), move |app| {
                    if busy.get() == 0 {
                        app.close();
                    }
                });
            })
            .run_on(&mut reactor, &RunOptions::new())
            .unwrap();
        reactor.run_async().await.unwrap();
    });
    local.block_on(&runtime, async {
        apps.await.unwrap();
        other.abort();
    });
}

#[test]
fn a_task_that_never_rests_and_apps_that_never_rest_take_turns() {
    let counts = Rc::new(Counts::default());
    // It is always ready: that the apps come to their end at all shows that it does not starve them.
    run(&counts, |counts| {
        poll_fn(move |cx| {
            counts.tick();
            cx.waker().wake_by_ref();
            Poll::Pending
        })
    });
    let (turns, ticks) = (counts.turns.get(), counts.ticks.get());
    assert!(counts.most_turns_since_tick.get() <= 2, "{} turns in a row", counts.most_turns_since_tick.get());
    assert!(ticks >= turns / 2, "{ticks} ticks beside {turns} turns");
}

#[test]
fn a_task_that_yields_gets_its_turns() {
    let counts = Rc::new(Counts::default());
    run(&counts, |counts| async move {
        loop {
            counts.tick();
            yield_now().await;
        }
    });
    // Who yields in tokio waits for the next look at the sockets, which a busy runtime takes every 61 polls.
    let most = counts.most_turns_since_tick.get();
    assert!(most <= 2 * 61, "{most} turns in a row");
}

#[test]
fn timers_of_the_runtime_fire_while_apps_are_busy() {
    let server = EchoServer::start().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ticks = Rc::new(Cell::new(0));
    runtime.block_on(async {
        let mut reactor = Reactor::with_dispatcher(TokioDispatcher::new().unwrap()).unwrap();
        for _ in 0..10 {
            let ticks = ticks.clone();
            // Busy for as long as the timer has not fired often enough, and for ever if it does not.
            WebSocketApp::new(server.url())
                .on_open(|app, _| app.send_text("to and fro"))
                .on_message(move |app, _| {
                    if ticks.get() >= 10 {
                        app.close();
                        return Ok(());
                    }
                    app.send_text("to and fro")
                })
                .run_on(&mut reactor, &RunOptions::new())
                .unwrap();
        }
        let ticking = async {
            let mut interval = tokio::time::interval(Duration::from_millis(1));
            loop {
                interval.tick().await;
                ticks.set(ticks.get() + 1);
            }
        };
        tokio::select! {
            ended = reactor.run_async() => ended.unwrap(),
            () = ticking => {}
        }
    });
    assert!(ticks.get() >= 10);
}
