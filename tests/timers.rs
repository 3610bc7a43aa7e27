//! Timers of the user's, in virtual time.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use websocket_app::{Context, RunOptions, TimerId};
use websocket_testkit::frame;
use websocket_tests::{Log, SERVER, URL, World};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// Opens an app in a world and calls `set` with its context.
fn with_app(set: impl FnOnce(&mut Context<'_>)) -> (World, Log) {
    let mut world = World::new();
    let log = Log::new();
    world.open(log.app(URL), &RunOptions::new());
    let id = world.reactor.apps().ids()[0];
    world.reactor.apps().with(id, set).unwrap();
    log.take();
    (world, log)
}

/// A timer's callback that notes the virtual time at which it is called, in milliseconds.
fn note(times: &Rc<RefCell<Vec<u128>>>) -> impl FnMut(&mut Context<'_>) + use<> {
    let times = times.clone();
    let mut start = None;
    move |app| {
        let start = *start.get_or_insert(app.now());
        times.borrow_mut().push((app.now() - start).as_millis());
    }
}

#[test]
fn a_timeout_fires_once_when_its_time_has_come() {
    let fired = Rc::new(Cell::new(0));
    let count = fired.clone();
    let (mut world, _) = with_app(|app| {
        app.set_timeout(5 * SECOND, move |_| count.set(count.get() + 1));
    });
    world.run_until(5 * SECOND - MS);
    assert_eq!(fired.get(), 0);
    world.run_until(5 * SECOND);
    assert_eq!(fired.get(), 1);
    world.run_until(100 * SECOND);
    assert_eq!(fired.get(), 1);
}

#[test]
fn an_interval_fires_at_every_multiple_of_itself() {
    let times = Rc::new(RefCell::new(Vec::new()));
    let (mut world, _) = with_app(|app| {
        let mut note = note(&times);
        note(app);
        app.set_interval(300 * MS, note);
    });
    world.run_until(1300 * MS);
    assert_eq!(*times.borrow(), [0, 300, 600, 900, 1200]);
}

#[test]
fn an_interval_that_is_late_once_keeps_its_pace() {
    let times = Rc::new(RefCell::new(Vec::new()));
    let (mut world, _) = with_app(|app| {
        let mut note = note(&times);
        note(app);
        app.set_interval(100 * MS, note);
    });
    world.run_until(150 * MS);
    world.net.advance(80 * MS);
    world.run_until(450 * MS);
    assert_eq!(*times.borrow(), [0, 100, 230, 300, 400]);
}

#[test]
fn what_an_interval_missed_is_not_made_up_for() {
    let times = Rc::new(RefCell::new(Vec::new()));
    let (mut world, _) = with_app(|app| {
        let mut note = note(&times);
        note(app);
        app.set_interval(100 * MS, note);
    });
    world.run_until(250 * MS);
    // Somebody holds up the loop for a second.
    world.net.advance(SECOND);
    world.run_until(1500 * MS);
    assert_eq!(*times.borrow(), [0, 100, 200, 1250, 1350, 1450]);
}

#[test]
fn an_interval_of_zero_fires_once_a_turn_and_keeps_nobody_from_their_turn() {
    let fired = Rc::new(Cell::new(0));
    let count = fired.clone();
    let mut world = World::new();
    let log = Log::new();
    let peer = world.open(log.app(URL), &RunOptions::new());
    let id = world.reactor.apps().ids()[0];
    world.reactor.apps().with(id, |app| {
        app.set_interval(Duration::ZERO, move |_| count.set(count.get() + 1));
    });
    for _ in 0..10 {
        let before = fired.get();
        world.reactor.poll(None).unwrap();
        assert_eq!(fired.get(), before + 1);
    }
    peer.write(&frame::text("hello"));
    world.reactor.poll(None).unwrap();
    assert_eq!(log.lines(), ["open", "text hello"]);
    assert_eq!(world.net.elapsed(), Duration::ZERO);
}

#[test]
fn a_timeout_of_zero_set_by_itself_again_and_again_ends_each_turn() {
    fn again(app: &mut Context<'_>, count: Rc<Cell<u32>>) {
        app.set_timeout(Duration::ZERO, move |app| {
            count.set(count.get() + 1);
            again(app, count);
        });
    }
    let fired = Rc::new(Cell::new(0));
    let (mut world, _) = with_app(|app| again(app, fired.clone()));
    for turn in 1..=10 {
        world.reactor.poll(None).unwrap();
        assert_eq!(fired.get(), turn);
    }
}

#[test]
fn a_cancelled_timer_does_not_fire() {
    let fired = Rc::new(Cell::new(false));
    let (once, often) = (fired.clone(), fired.clone());
    let (mut world, _) = with_app(|app| {
        let timeout = app.set_timeout(SECOND, move |_| once.set(true));
        let interval = app.set_interval(SECOND, move |_| often.set(true));
        assert!(app.cancel(timeout) && app.cancel(interval));
        assert!(!app.cancel(timeout) && !app.cancel(interval));
    });
    world.run_until(10 * SECOND);
    assert!(!fired.get());
}

#[test]
fn a_timer_can_be_cancelled_in_its_own_callback() {
    let answers = Rc::new(RefCell::new(Vec::new()));
    let (once, often) = (answers.clone(), answers.clone());
    let (mut world, _) = with_app(|app| {
        let own = Rc::new(Cell::new(None::<TimerId>));
        let id = own.clone();
        own.set(Some(app.set_timeout(SECOND, move |app| {
            once.borrow_mut().push(("timeout", app.cancel(id.get().unwrap())));
        })));
        let own = Rc::new(Cell::new(None::<TimerId>));
        let (id, mut calls) = (own.clone(), 0);
        own.set(Some(app.set_interval(SECOND, move |app| {
            calls += 1;
            if calls == 3 {
                often.borrow_mut().push(("interval", app.cancel(id.get().unwrap())));
            }
            assert!(calls <= 3);
        })));
    });
    world.run_until(10 * SECOND);
    // The timeout was over when it was called, the interval was still to come.
    assert_eq!(*answers.borrow(), [("timeout", false), ("interval", true)]);
}

#[test]
fn a_timer_can_cancel_another_that_is_due_in_the_same_turn() {
    let (mut world, log) = with_app(|_| ());
    let id = world.reactor.apps().ids()[0];
    let (first, second) = (log.clone(), log.clone());
    world.reactor.apps().with(id, |app| {
        let victim = Rc::new(Cell::new(None::<TimerId>));
        let found = victim.clone();
        app.set_timeout(SECOND, move |app| {
            first.push("first");
            assert!(app.cancel(found.get().unwrap()));
        });
        victim.set(Some(app.set_timeout(SECOND, move |_| second.push("second"))));
    });
    world.run_until(2 * SECOND);
    assert_eq!(log.lines(), ["first"]);
}

#[test]
fn timers_fire_in_the_order_of_their_times_and_equal_ones_in_the_order_in_which_they_were_set() {
    let (mut world, log) = with_app(|_| ());
    let id = world.reactor.apps().ids()[0];
    let lines = log.clone();
    world.reactor.apps().with(id, |app| {
        for (name, after) in [("c", 3), ("a", 1), ("d", 3), ("b", 2), ("e", 3)] {
            let lines = lines.clone();
            app.set_timeout(after * SECOND, move |_| lines.push(name));
        }
    });
    // All of them are late, so they come in one turn.
    world.net.advance(10 * SECOND);
    world.reactor.poll(None).unwrap();
    assert_eq!(log.lines(), ["a", "b", "c", "d", "e"]);
}

#[test]
fn timers_end_with_their_app() {
    for remove in [false, true] {
        let fired = Rc::new(Cell::new(false));
        let (once, often) = (fired.clone(), fired.clone());
        let (mut world, _) = with_app(|app| {
            app.set_timeout(SECOND, move |_| once.set(true));
            app.set_interval(SECOND, move |_| often.set(true));
        });
        assert_eq!(Rc::strong_count(&fired), 3);
        let id = world.reactor.apps().ids()[0];
        if remove {
            world.reactor.apps().remove(id);
        } else {
            world.reactor.apps().stop();
        }
        world.run_for(10 * SECOND);
        assert!(!fired.get());
        assert_eq!(Rc::strong_count(&fired), 1, "the callbacks are dropped with the app");
    }
}

#[test]
fn a_timer_works_before_the_connection_is_open_and_after_its_app_began_to_close() {
    let mut world = World::new();
    world.net.black_hole(SERVER);
    let log = Log::new();
    let id = log.app(URL).run_on(&mut world.reactor, &RunOptions::new()).unwrap();
    let lines = log.clone();
    world.reactor.apps().with(id, |app| app.set_timeout(SECOND, move |_| lines.push("tick")));
    world.run_until(2 * SECOND);
    assert_eq!(log.take(), ["tick"]);

    let ticks = log.clone();
    let (mut world, closed) = with_app(|app| {
        app.close();
        app.set_interval(2 * SECOND, move |_| ticks.push("tick"));
    });
    world.run_until(10 * SECOND);
    assert_eq!(closed.lines(), ["error Timeout(Close)", "close: Timeout(Close)"]);
    assert_eq!(log.lines(), ["tick"]);
}

#[test]
fn a_timer_can_close_its_app_and_one_that_never_opened() {
    let mut world = World::new();
    world.net.black_hole(SERVER);
    let log = Log::new();
    let id = log.app(URL).run_on(&mut world.reactor, &RunOptions::new()).unwrap();
    world.reactor.apps().with(id, |app| app.set_timeout(SECOND, |app| app.close()));
    world.reactor.run().unwrap();
    assert_eq!(log.lines(), ["close, by client"]);
    assert_eq!(world.net.elapsed(), SECOND);
}

#[test]
fn many_timers_set_and_cancelled_leave_nothing_due() {
    let (mut world, _) = with_app(|_| ());
    // The deadlines of connecting lie behind.
    world.run_until(60 * SECOND);
    assert_eq!(world.reactor.next_deadline(), None);
    let id = world.reactor.apps().ids()[0];
    for _ in 0..1000 {
        world.reactor.apps().with(id, |app| {
            for _ in 0..100 {
                let timer = app.set_timeout(3600 * SECOND, |_| ());
                assert!(app.cancel(timer));
            }
        });
        world.reactor.poll(Some(Duration::ZERO)).unwrap();
        assert_eq!(world.reactor.next_deadline(), None);
    }
}
