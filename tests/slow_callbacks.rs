//! What slow callbacks hold up, and what they must not: closes, stops, timers, other apps and the host's loop. In virtual time.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use websocket_app::{AppId, Context, Reactor, RunOptions, Sender, WebSocketApp};
use websocket_testkit::frame;
use websocket_testkit::sim::{SimDispatcher, SimNet, SimPeer, Tapped};
use websocket_tests::{Log, SERVER, URL, World};

const US: Duration = Duration::from_micros(1);
const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// The default of `Reactor::turn_budget`.
const BUDGET: Duration = Duration::from_millis(5);

/// When something is asked for, in the middle of a callback of the slowest load.
const ASKED: Duration = Duration::from_millis(500);

const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// What a server sends, and what the app's callback takes for each message.
#[derive(Clone, Copy, Debug)]
struct Load {
    texts: u32,
    /// Zero: all at once.
    every: Duration,
    takes: Duration,
}

const TRICKLE: Load =
    Load { texts: 400, every: Duration::from_millis(50), takes: Duration::from_millis(300) };

const fn firehose(takes: Duration) -> Load {
    Load { texts: 200_000, every: Duration::ZERO, takes }
}

const LOADS: [Load; 4] =
    [TRICKLE, firehose(MS), firehose(Duration::from_micros(200)), firehose(Duration::from_micros(20))];

impl Load {
    fn pour(self, peer: &SimPeer, is_over: &Rc<Cell<Option<Duration>>>) {
        let text = frame::text(&"t".repeat(32));
        if self.every.is_zero() {
            return peer.write(&text.repeat(self.texts as usize));
        }
        for number in 1..=self.texts {
            let (peer, text, is_over) = (peer.clone(), text.clone(), is_over.clone());
            peer.net().clone().after(number * self.every, move |_| {
                if is_over.get().is_none() {
                    peer.write(&text);
                }
            });
        }
    }
}

/// A world with an app that is kept busy, and what has become of it.
struct Busy {
    world: World,
    log: Log,
    id: AppId,
    sender: Sender,
    /// When the close frame was at the server, which answers it at once.
    closed_at: Rc<Cell<Option<Duration>>>,
    /// When the attempt was over.
    ended_at: Rc<Cell<Option<Duration>>>,
}

impl Busy {
    fn new(load: Load) -> Self {
        Self::with(load, |reactor| reactor, |_, _| ())
    }

    /// The callback does `also` before it takes its time, with how many messages there were before.
    fn with(
        load: Load,
        change: impl FnOnce(Reactor<SimDispatcher>) -> Reactor<SimDispatcher>,
        also: impl Fn(&mut Context<'_>, u32) + 'static,
    ) -> Self {
        let mut world = World::new().map(change);
        let (log, closed_at, ended_at) = (Log::new(), Rc::new(Cell::new(None)), Rc::new(Cell::new(None)));
        let closed = closed_at.clone();
        world.net.serve_arrivals(SERVER, move |peer| {
            if peer.accept_upgrade().is_some() {
                load.pour(peer, &closed);
            }
            while let Some(frame) = peer.read_frame() {
                if let Some((code, reason)) = frame.close() {
                    closed.set(Some(peer.net().elapsed()));
                    peer.write(&frame::close(code, &reason));
                    peer.shutdown();
                }
            }
        });
        let (end, closes) = (ended_at.clone(), log.clone());
        let [net, ended] = [world.net.clone(), world.net.clone()];
        let messages = Cell::new(0);
        let mut app = log
            .app(URL)
            .on_message(move |app, _| {
                also(app, messages.replace(messages.get() + 1));
                net.advance(load.takes);
            })
            .on_close(move |_, it| {
                closes.push(websocket_tests::close_line(it));
                end.set(Some(ended.elapsed()));
            });
        let sender = app.sender();
        let options = RunOptions::new().close_timeout(CLOSE_TIMEOUT);
        let id = app.run_on(&mut world.reactor, &options).unwrap();
        Self { world, log, id, sender, closed_at, ended_at }
    }

    /// Something is asked for from elsewhere while a callback runs.
    fn ask(&mut self, request: impl FnOnce(&Sender) + 'static) {
        let sender = self.sender.clone();
        self.world.net.at(ASKED, move |_| request(&sender));
    }
}

/// How another thread asks for a close.
const REQUESTS: [fn(&Sender, AppId); 2] = [
    |sender, _| sender.close(),
    |sender, id| sender.reactor().unwrap().run(move |apps| apps.with(id, |app| app.close()).unwrap()),
];

#[test]
// b111, b112
fn t_a_close_of_another_thread_is_written_after_the_callback_that_runs() {
    for load in LOADS {
        for request in REQUESTS {
            let mut busy = Busy::new(load);
            let id = busy.id;
            busy.ask(move |sender| request(sender, id));
            busy.world.run_until(ASKED + 10 * SECOND);
            let written = busy.closed_at.get().unwrap();
            assert!(written <= ASKED + load.takes + BUDGET, "{load:?}: {written:?}");
            // However many messages lie before the server's answer, and however slow they are.
            let ended = busy.ended_at.get().unwrap();
            assert!(ended <= written + CLOSE_TIMEOUT + load.takes + BUDGET, "{load:?}: {ended:?}");
            assert_eq!(busy.log.take(), ["open", "close 1000, by client, clean"], "{load:?}");
        }
    }
}

#[test]
// b111
fn t_a_close_of_the_callback_itself_is_written_when_it_is_over() {
    for load in LOADS {
        let asked = Rc::new(Cell::new(Duration::MAX));
        let asks = asked.clone();
        let net = Rc::new(RefCell::new(None::<SimNet>));
        let clock = net.clone();
        let mut busy = Busy::with(
            load,
            |reactor| reactor,
            move |app, before| {
                if before == 2 {
                    app.close();
                    asks.set(clock.borrow().as_ref().unwrap().elapsed());
                }
            },
        );
        *net.borrow_mut() = Some(busy.world.net.clone());
        busy.world.run_until(10 * SECOND);
        let written = busy.closed_at.get().unwrap();
        assert!(written <= asked.get() + load.takes + BUDGET, "{load:?}: {written:?}");
        let ended = busy.ended_at.get().unwrap();
        assert!(ended <= written + CLOSE_TIMEOUT + load.takes + BUDGET, "{load:?}: {ended:?}");
        assert_eq!(busy.log.take(), ["open", "close 1000, by client, clean"], "{load:?}");
    }
}

#[test]
fn t_a_stop_of_another_thread_is_noticed_between_two_messages() {
    for load in LOADS {
        let mut busy = Busy::new(load);
        busy.ask(|sender| sender.stop());
        busy.world.reactor.run().unwrap();
        let stopped = busy.world.net.elapsed();
        assert!(stopped <= ASKED + load.takes + BUDGET, "{load:?}: {stopped:?}");
        assert!(busy.world.reactor.apps().is_empty());
    }
}

#[test]
fn t_a_stop_within_a_time_ends_with_it() {
    for load in LOADS {
        let mut busy = Busy::new(load);
        busy.ask(|sender| sender.stop_within(SECOND));
        busy.world.reactor.run().unwrap();
        let written = busy.closed_at.get().unwrap();
        assert!(written <= ASKED + load.takes + BUDGET, "{load:?}: {written:?}");
        let stopped = busy.world.net.elapsed();
        assert!(stopped <= written + SECOND + load.takes + BUDGET, "{load:?}: {stopped:?}");
        assert!(busy.world.reactor.apps().is_empty());
    }
}

/// The budget does not end such a turn: requests of other threads do.
#[test]
fn t_requests_end_a_turn_whatever_its_budget() {
    const REQUESTS_WAIT: Duration = Duration::from_micros(100);
    for load in LOADS {
        for budget in [SECOND, Duration::MAX] {
            let mut busy = Busy::with(load, |reactor| reactor.turn_budget(budget), |_, _| ());
            busy.ask(|sender| sender.close());
            busy.world.run_until(ASKED + 10 * SECOND);
            let written = busy.closed_at.get().unwrap();
            assert!(written <= ASKED + load.takes + REQUESTS_WAIT, "{load:?}, {budget:?}: {written:?}");
            assert_eq!(busy.log.take(), ["open", "close 1000, by client, clean"], "{load:?}");
        }
    }
}

/// Sets a timeout of 10 ms, and the next when it fires. Notes how late they are.
fn tick(net: SimNet, late: Rc<RefCell<Vec<Duration>>>, app: &mut Context<'_>) {
    let due = net.elapsed() + 10 * MS;
    app.set_timeout(10 * MS, move |app| {
        let now = net.elapsed();
        assert!(now >= due, "{now:?} instead of {due:?}");
        late.borrow_mut().push(now - due);
        tick(net, late, app);
    });
}

#[test]
fn t_a_timer_is_late_by_one_callback_and_one_budget_at_most() {
    for load in LOADS {
        let [own, others] = [(); 2].map(|()| Rc::new(RefCell::new(Vec::new())));
        let net = Rc::new(RefCell::new(None::<SimNet>));
        let (late, clock) = (own.clone(), net.clone());
        let mut busy = Busy::with(
            load,
            |reactor| reactor,
            move |app, before| {
                if before == 0 {
                    tick(clock.borrow().clone().unwrap(), late.clone(), app);
                }
            },
        );
        *net.borrow_mut() = Some(busy.world.net.clone());
        // Another app that has nothing else to do; its server never answers.
        let (late, clock) = (others.clone(), busy.world.net.clone());
        let idle = Log::new().app("ws://192.0.2.9/");
        busy.world.net.black_hole(([192, 0, 2, 9], 80).into());
        let id = idle.run_on(&mut busy.world.reactor, &RunOptions::new()).unwrap();
        busy.world.reactor.apps().with(id, |app| tick(clock, late, app)).unwrap();

        busy.world.run_until(3 * SECOND);
        let most = load.takes + BUDGET;
        for late in [own.take(), others.take()] {
            let worst = *late.iter().max().unwrap();
            assert!(worst <= most, "{load:?}: {worst:?} late");
            let fewest = (2 * SECOND).as_nanos() / (10 * MS + most).as_nanos();
            assert!(late.len() as u128 >= fewest, "{load:?}: fired {} times", late.len());
        }
    }
}

#[test]
fn t_an_app_that_echoes_waits_for_a_few_callbacks_of_a_busy_one_and_no_longer_with_time() {
    let takes = 100 * MS;
    let mut busy = Busy::new(Load { takes, ..TRICKLE });
    let echo = Log::new().app("ws://192.0.2.2/").on_message(|app, _| app.send_text("and back"));
    let trips = Rc::new(RefCell::new(Vec::new()));
    let (noted, sent) = (trips.clone(), Cell::new(Duration::ZERO));
    busy.world.net.serve_arrivals(([192, 0, 2, 2], 80).into(), move |peer| {
        let now = peer.net().elapsed();
        if peer.accept_upgrade().is_none() && peer.read_frame().is_some() {
            noted.borrow_mut().push(now - sent.get());
        }
        let peer = peer.clone();
        sent.set(now + MS);
        peer.net().clone().after(MS, move |_| peer.write(&frame::text("there")));
    });
    echo.run_on(&mut busy.world.reactor, &RunOptions::new()).unwrap();
    busy.world.run_until(8 * SECOND);
    let trips = trips.take();
    // One callback that runs when the text comes, one of the turn in which it is read, and one before the answer is written.
    let longest = trips.iter().max().unwrap();
    assert!(*longest < 350 * MS, "{longest:?}");
    assert!(trips.len() > 22, "{}", trips.len());
}

/// A host's loop, beside other tasks.
#[test]
fn t_a_turn_takes_its_budget_and_one_callback_at_most() {
    for takes in [20 * US, 200 * US, 3 * MS] {
        for budget in [BUDGET, MS, 20 * MS] {
            let mut busy = Busy::with(firehose(takes), |reactor| reactor.turn_budget(budget), |_, _| ());
            // Until the first callbacks have shown how slow they are.
            busy.world.run_until(10 * MS);
            let mut turns = 0;
            while busy.world.net.elapsed() < SECOND {
                let began = busy.world.net.elapsed();
                let next = busy.world.reactor.poll(Some(Duration::ZERO)).unwrap();
                let took = busy.world.net.elapsed() - began;
                assert!(took <= budget + takes, "{takes:?}, {budget:?}: {took:?}");
                // The host is called again without anything happening.
                assert!(next.again || took.is_zero(), "turn {turns}");
                turns += 1;
            }
            assert!(turns > 16, "{turns}");
        }
    }
}

#[test]
fn t_a_request_is_noticed_also_in_a_turn_that_asks_for_the_answers_of_the_resolver() {
    let mut world = World::new().map(|reactor| reactor.turn_budget(Duration::MAX));
    // This look-up times out in the turn in which the close is asked for.
    world.resolver.delay("never.test", None);
    let options = RunOptions::new().resolve_timeout(SECOND);
    Log::new().app("ws://never.test/").run_on(&mut world.reactor, &options).unwrap();
    let [asks, net] = [world.net.clone(), world.net.clone()];
    let app = WebSocketApp::new(URL)
        .on_open(move |app, _| {
            let (sender, net) = (app.sender(), asks.clone());
            app.set_timeout(SECOND - MS, move |_| {
                sender.close();
                net.advance(2 * MS);
            });
        })
        .on_message(move |_, _| net.advance(MS));
    let peer = world.open(app, &RunOptions::new());
    world.net.at(SECOND - MS, move |_| peer.write(&frame::text("many").repeat(1000)));
    let (written, net) = (Rc::new(Cell::new(None)), world.net.clone());
    let notes = written.clone();
    // The only frame that the app writes.
    world.net.tap(move |_, what| {
        if let Tapped::Written(_) = what {
            notes.set(Some(net.elapsed()));
        }
    });
    world.run_until(SECOND + 4 * MS);
    let written = written.get().unwrap();
    assert!(written <= SECOND + 2 * MS, "{written:?}");
}
