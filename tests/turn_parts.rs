//! A turn's parts and apps take turns within its budget, on every kind of host. In virtual time.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task;
use std::time::Duration;

use websocket_app::dispatcher::Wait as _;
use websocket_app::{Reactor, RunOptions, Sender, WebSocketApp};
use websocket_testkit::frame;
use websocket_testkit::sim::SimNet;
use websocket_tests::{Edges, Log, SERVER, URL, World};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// The default of `Reactor::turn_budget`.
const BUDGET: Duration = Duration::from_millis(5);

/// Longer than a turn.
const LONG: Duration = Duration::from_millis(6);

thread_local! {
    /// The network of this test's thread, for closures that must be `Send`.
    static NET: RefCell<Option<SimNet>> = const { RefCell::new(None) };
}

fn dawdle() {
    NET.with_borrow(|net| net.as_ref().unwrap().advance(LONG));
}

/// Work of another thread that asks for itself again, without end.
fn work(sender: &Sender, count: &Arc<AtomicU32>) {
    let (again, counts) = (sender.clone(), count.clone());
    sender.run(move |_| {
        counts.fetch_add(1, Ordering::Relaxed);
        dawdle();
        work(&again, &counts);
    });
}

#[test]
fn t_work_timers_reads_and_starts_take_turns_when_each_takes_longer_than_a_turn() {
    for budget in [BUDGET, Duration::ZERO] {
        let mut world = World::new().map(|reactor| reactor.turn_budget(budget));
        NET.set(Some(world.net.clone()));
        let counts = [(); 3].map(|()| Rc::new(Cell::new(0)));
        let [timers, reads, starts] = counts.clone();
        let worked = Arc::new(AtomicU32::new(0));
        let count = |count: &Cell<u32>| {
            count.set(count.get() + 1);
            dawdle();
        };
        let mut app = Log::new()
            .app(URL)
            .on_open(move |app, _| {
                let timers = timers.clone();
                app.set_interval(MS, move |_| count(&timers));
            })
            .on_message(move |_, _| count(&reads));
        let sender = app.sender();
        let peer = world.open(app, &RunOptions::new());
        peer.write(&frame::text("much").repeat(1000));
        work(&sender, &worked);
        // Each of these notes its start when it is asked for its URL, and connects to no one.
        world.net.black_hole(([192, 0, 2, 9], 80).into());
        for _ in 0..100 {
            let starts = starts.clone();
            let app = WebSocketApp::new(URL).url_with(move || {
                count(&starts);
                "ws://192.0.2.9/".to_owned()
            });
            app.run_on(&mut world.reactor, &RunOptions::new()).unwrap();
        }
        const TURNS: u32 = 80;
        for _ in 0..TURNS {
            world.reactor.poll(Some(SECOND)).unwrap();
        }
        let mut counts = counts.map(|count| count.get()).to_vec();
        counts.push(worked.load(Ordering::Relaxed));
        // One part has each turn, or two.
        assert!(counts.iter().all(|count| *count >= TURNS / 4), "{budget:?}: {counts:?}");
        assert!(counts.iter().sum::<u32>() <= 2 * TURNS, "{budget:?}: {counts:?}");
    }
}

#[test]
fn t_no_attempt_begins_after_a_stop_whatever_part_the_turn_begins_with() {
    let mut world = World::new();
    let attempts = Rc::new(Cell::new(0));
    let counts = attempts.clone();
    world.net.refuse(([192, 0, 2, 9], 80).into());
    let refused = WebSocketApp::new("ws://192.0.2.9/").url_with(move || {
        counts.set(counts.get() + 1);
        "ws://192.0.2.9/".to_owned()
    });
    refused.run_on(&mut world.reactor, &RunOptions::new().reconnect(SECOND)).unwrap();
    let [timer, message] = [world.net.clone(), world.net.clone()];
    let busy = WebSocketApp::new(URL)
        .on_open(move |app, _| {
            let net = timer.clone();
            app.set_timeout(SECOND - 15 * MS, move |_| net.advance(10 * MS));
        })
        .on_message(move |_, _| message.advance(10 * MS));
    let peer = world.open(busy, &RunOptions::new());
    world.net.at(SECOND - 15 * MS, move |_| peer.write(&frame::text("slow")));
    world.run_until(SECOND - 16 * MS);
    // The timer leaves the message out, and the message the retry, which the next turn begins with.
    while world.net.elapsed() < SECOND {
        world.reactor.poll(None).unwrap();
    }
    world.reactor.apps().stop_within(SECOND);
    world.run_for(10 * MS);
    assert_eq!(attempts.get(), 1);
}

#[test]
fn t_slow_apps_take_turns() {
    const APPS: u8 = 5;
    for budget in [BUDGET, Duration::ZERO] {
        let mut world = World::new().map(|reactor| reactor.turn_budget(budget));
        let order = Rc::new(RefCell::new(Vec::new()));
        for number in 0..APPS {
            let address = SocketAddr::from(([192, 0, 2, 100 + number], 80));
            world.net.serve(address, |peer| {
                peer.accept_upgrade();
                peer.write(&frame::text("much").repeat(1000));
            });
            let (order, net) = (order.clone(), world.net.clone());
            let app = WebSocketApp::new(format!("ws://{address}/")).on_message(move |_, _| {
                order.borrow_mut().push(number);
                net.advance(LONG);
            });
            app.run_on(&mut world.reactor, &RunOptions::new()).unwrap();
        }
        while order.borrow().len() < 200 {
            world.reactor.poll(Some(SECOND)).unwrap();
        }
        // Once all are open, each has its turn after all others.
        let order = order.take();
        for round in order[20..].chunks_exact(APPS.into()) {
            let mut round = round.to_vec();
            round.sort_unstable();
            assert_eq!(round, [0, 1, 2, 3, 4], "{budget:?}: {order:?}");
        }
    }
}

/// Opens an app that echoes, and returns what asks it for an echo and takes the answers of earlier turns.
fn echo(world: &mut World) -> impl Fn() -> usize + use<> {
    let address = SocketAddr::from(([192, 0, 2, 2], 80));
    let listener = world.net.listen(address);
    let app = WebSocketApp::new("ws://192.0.2.2/").on_message(|app, _| app.send_text("answer"));
    app.run_on(&mut world.reactor, &RunOptions::new()).unwrap();
    world.settle();
    let peer = world.accept(&listener);
    move || {
        let answers = std::iter::from_fn(|| peer.read_frame()).count();
        peer.write(&frame::text("question"));
        answers
    }
}

#[test]
// b108
fn t_a_firehose_of_control_frames_or_tiny_messages_leaves_others_their_turns() {
    const FRAMES: usize = 200_000;
    const MAX_MESSAGES: usize = 32 << 10;
    for (what, bytes) in [
        ("pings", frame::ping(b"").repeat(FRAMES)),
        ("pongs", frame::pong(b"").repeat(FRAMES)),
        ("texts", frame::text("").repeat(FRAMES)),
    ] {
        let mut world = World::new();
        let heard = Rc::new(Cell::new(0));
        let [ping, pong, text] = [(); 3].map(|()| heard.clone());
        let app = WebSocketApp::new(URL)
            .on_ping(move |_, _| ping.set(ping.get() + 1))
            .on_pong(move |_, _, _| pong.set(pong.get() + 1))
            .on_message(move |_, _| text.set(text.get() + 1));
        let peer = world.open(app, &RunOptions::new());
        let ask = echo(&mut world);
        peer.write(&bytes);
        ask();
        let mut turns = 0;
        while heard.get() < FRAMES {
            let before = heard.get();
            world.reactor.poll(Some(Duration::ZERO)).unwrap();
            assert_eq!(ask(), 1, "{what}, turn {turns}");
            // The messages of one turn, and of one look at the clock.
            assert!(heard.get() - before <= MAX_MESSAGES + 64, "{what}: {}", heard.get() - before);
            turns += 1;
            assert!(turns < 1000, "{what}");
        }
        assert!(turns >= FRAMES / MAX_MESSAGES, "{what}: {turns} turns");
        assert_eq!(world.net.elapsed(), Duration::ZERO);
    }
}

#[test]
// b112
fn t_a_close_is_noticed_between_two_control_frames() {
    for bytes in [frame::ping(b""), frame::pong(b"")] {
        let mut world = World::new();
        let [ping, pong] = [world.net.clone(), world.net.clone()];
        let mut app = WebSocketApp::new(URL)
            .on_ping(move |_, _| ping.advance(MS))
            .on_pong(move |_, _, _| pong.advance(MS));
        let sender = app.sender();
        let peer = world.open(app, &RunOptions::new());
        peer.write(&bytes.repeat(10_000));
        world.net.at(SECOND, move |_| sender.close());
        world.run_until(SECOND + 3 * MS);
        let frames = std::iter::from_fn(|| peer.read_frame()).map(|frame| frame.opcode);
        assert_eq!(frames.last(), Some(frame::CLOSE));
    }
}

#[test]
fn t_the_least_and_the_most_of_budgets_work() {
    for budget in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
        for takes in [Duration::ZERO, LONG] {
            let mut world = World::new().map(|reactor| reactor.turn_budget(budget));
            let log = Log::new();
            let (messages, net) = (log.clone(), world.net.clone());
            let mut app = log
                .app(URL)
                .on_open(|app, _| {
                    app.set_timeout(MS, |app| app.send_text("a timer's"));
                })
                .on_message(move |_, message| {
                    messages.message(message);
                    net.advance(takes);
                });
            let sender = app.sender();
            let peer = world.open(app, &RunOptions::new());
            let texts: Vec<u8> = (0..50).flat_map(|number| frame::text(&number.to_string())).collect();
            peer.write(&texts);
            sender.send_text("a thread's").unwrap();
            world.run_for(SECOND);
            let lines = log.take();
            assert_eq!(lines, (0..50).map(|number| format!("text {number}")).collect::<Vec<_>>());
            let mut told: Vec<_> =
                std::iter::from_fn(|| peer.read_frame()).map(|frame| frame.text()).collect();
            told.sort_unstable();
            assert_eq!(told, ["a thread's", "a timer's"], "{budget:?}, {takes:?}");
            sender.close();
            world.settle();
            assert!(peer.read_frame().is_some_and(|frame| frame.close().is_some()), "{budget:?}, {takes:?}");
        }
    }
}

/// An app that is flooded, and whose callback takes that long.
fn flooded(net: &SimNet, takes: Duration) -> WebSocketApp {
    net.serve(SERVER, |peer| {
        peer.accept_upgrade();
        peer.write(&frame::text("much").repeat(100_000));
    });
    let net = net.clone();
    WebSocketApp::new(URL).on_message(move |_, _| net.advance(takes))
}

const TIMES: [Duration; 3] =
    [Duration::from_micros(20), Duration::from_micros(200), Duration::from_millis(7)];

#[test]
fn t_a_host_that_calls_turn_is_held_for_a_budget_and_a_callback() {
    for takes in TIMES {
        let mut world = World::new();
        flooded(&world.net, takes).run_on(&mut world.reactor, &RunOptions::new()).unwrap();
        let mut next = world.reactor.turn(&[]);
        let mut turns = 0;
        while world.net.elapsed() < SECOND {
            let now = world.net.now();
            let until = if next.again { Some(now) } else { next.deadline };
            let mut ready = Vec::new();
            world.reactor.dispatcher().wait(until, &mut ready).unwrap();
            let began = world.net.elapsed();
            next = world.reactor.turn(&ready);
            let took = world.net.elapsed() - began;
            // What it takes is not known of the first.
            let most = if began < 20 * MS { BUDGET + 64 * takes } else { BUDGET + takes };
            assert!(took <= most, "{takes:?}: {took:?}");
            assert!(next.again || turns < 8, "{takes:?}: turn {turns} leaves messages and is the last");
            turns += 1;
        }
        assert!(turns > 100, "{turns}");
    }
}

#[test]
fn t_a_task_that_runs_a_reactor_gives_way_after_a_budget_and_a_callback() {
    for takes in TIMES {
        let net = SimNet::new(1);
        let reactor = Reactor::with_dispatcher(Edges(net.dispatcher())).unwrap();
        let mut reactor = reactor.connector(net.clone());
        flooded(&net, takes).run_on(&mut reactor, &RunOptions::new()).unwrap();
        let mut run = pin!(reactor.run_async());
        let mut polls = 0;
        while net.elapsed() < SECOND {
            let began = net.elapsed();
            assert!(run.as_mut().poll(&mut task::Context::from_waker(task::Waker::noop())).is_pending());
            let took = net.elapsed() - began;
            let most = if began < 20 * MS { BUDGET + 64 * takes } else { BUDGET + takes };
            assert!(took <= most, "{takes:?}: {took:?}");
            polls += 1;
            assert!(polls < 10_000, "{takes:?}: it does not get on");
        }
        assert!(polls > 100, "{polls}");
    }
}
