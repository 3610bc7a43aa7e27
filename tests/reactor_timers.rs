//! Timers that belong to the reactor, in virtual time.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use websocket_app::{Apps, BoxError, PanicPolicy, Reconnect, RunOptions, TimerId};
use websocket_tests::{Log, URL, World};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// Sets an interval that notes each call as `name` and the virtual time in milliseconds.
fn note_every(apps: &mut Apps, log: &Log, name: &'static str, every: Duration) -> TimerId {
    let (log, start) = (log.clone(), apps.now());
    apps.set_interval(every, move |apps| log.push(format!("{name} {}", (apps.now() - start).as_millis())))
}

#[test]
fn they_fire_without_any_app_and_do_not_keep_the_reactor_running() {
    let (mut world, log) = (World::new(), Log::new());
    let noted = log.clone();
    world.reactor.apps().set_timeout(SECOND, move |apps| noted.push(format!("once, {} apps", apps.len())));
    note_every(world.reactor.apps(), &log, "tick", 400 * MS);
    world.reactor.run().unwrap();
    assert!(log.lines().is_empty(), "there was nothing to run for");
    world.run_until(1200 * MS);
    assert_eq!(log.lines(), ["tick 400", "tick 800", "once, 0 apps", "tick 1200"]);
}

#[test]
fn the_reactor_runs_for_those_that_it_is_asked_to_run_for() {
    let (mut world, log) = (World::new(), Log::new());
    let noted = log.clone();
    let timeout = world.reactor.apps().set_timeout(SECOND, move |_| noted.push("timeout"));
    assert!(world.reactor.apps().keep_running_for(timeout));
    world.reactor.run().unwrap();
    assert_eq!((log.take(), world.net.elapsed()), (vec!["timeout".to_owned()], SECOND));
    assert!(!world.reactor.apps().keep_running_for(timeout), "it has fired");

    let interval = note_every(world.reactor.apps(), &log, "tick", SECOND);
    assert!(world.reactor.apps().keep_running_for(interval));
    world.reactor.apps().set_timeout(3500 * MS, move |apps| assert!(apps.cancel(interval)));
    world.reactor.run().unwrap();
    assert_eq!(log.take(), ["tick 1000", "tick 2000", "tick 3000"]);

    let endless = note_every(world.reactor.apps(), &log, "tick", SECOND);
    assert!(world.reactor.apps().keep_running_for(endless));
    world.reactor.apps().set_timeout(1500 * MS, |apps| apps.stop());
    world.reactor.run().unwrap();
    assert_eq!(log.take(), ["tick 1000"], "a stop ends the run");
    world.run_for(SECOND);
    assert_eq!(log.take(), ["tick 2000"], "and the timer is still there");
}

#[test]
fn they_survive_reconnects_and_the_end_of_the_app_that_has_set_them() {
    let (mut world, log) = (World::new(), Log::new());
    let noted = log.clone();
    let app = log.app(URL).on_open(move |app, _| {
        if app.attempts().opened == 1 {
            note_every(app.apps(), &noted, "tick", SECOND);
        }
        noted.push("open");
    });
    let options = RunOptions::new().reconnect(Reconnect::fixed(1500 * MS));
    let listener = world.start(app, &options);
    let peer = world.accept(&listener);
    world.run_until(1500 * MS);
    peer.reset();
    world.run_until(3 * SECOND);
    let peer = world.accept(&listener);
    let ticks =
        |log: &Log| log.lines().into_iter().filter(|line| line.starts_with("tick")).collect::<Vec<_>>();
    assert_eq!(ticks(&log), ["tick 1000", "tick 2000", "tick 3000"]);
    let id = world.reactor.apps().ids()[0];
    assert!(world.reactor.apps().remove(id));
    world.settle();
    drop(peer);
    world.run_until(4 * SECOND);
    assert_eq!((log.has("tick 4000"), world.reactor.apps().len()), (true, 0));
}

#[test]
fn they_reach_the_apps_and_are_cancelled_from_anywhere() {
    let (mut world, log) = (World::new(), Log::new());
    let peer = world.open(log.app(URL), &RunOptions::new());
    let id = world.reactor.apps().ids()[0];
    let timer = world
        .reactor
        .apps()
        .set_interval(SECOND, move |apps| apps.with(id, |app| app.send_text("tick")).unwrap());
    world.run_until(2 * SECOND);
    assert_eq!([(); 2].map(|()| peer.read_frame().unwrap().payload), [b"tick"; 2]);
    // A timer of the reactor's is not one of the app's.
    assert_eq!(world.reactor.apps().with(id, |app| app.cancel(timer)), Some(false));
    let of_app = world.reactor.apps().with(id, |app| app.set_timeout(SECOND, |_| ())).unwrap();
    assert!(!world.reactor.apps().cancel(of_app) && !world.reactor.apps().keep_running_for(of_app));
    world.reactor.handle().run(move |apps| assert!(apps.cancel(timer) && !apps.cancel(timer)));
    world.run_until(10 * SECOND);
    assert!(peer.read_frame().is_none());
}

#[test]
fn they_cancel_themselves_and_others_that_are_due_in_the_same_turn() {
    let (mut world, log) = (World::new(), Log::new());
    let (own, other) = (Rc::new(Cell::new(None::<TimerId>)), Rc::new(Cell::new(None::<TimerId>)));
    let (id, victim, noted) = (own.clone(), other.clone(), log.clone());
    own.set(Some(world.reactor.apps().set_interval(SECOND, move |apps| {
        noted.push(format!("{} {}", apps.cancel(id.get().unwrap()), apps.cancel(victim.get().unwrap())));
    })));
    other.set(Some(note_every(world.reactor.apps(), &log, "tick", SECOND)));
    world.run_until(5 * SECOND);
    assert_eq!(log.lines(), ["true true"]);
}

#[test]
fn they_come_in_the_order_of_their_times_among_the_timers_of_apps() {
    let (mut world, log) = (World::new(), Log::new());
    world.open(log.app(URL), &RunOptions::new());
    log.take();
    let id = world.reactor.apps().ids()[0];
    for (name, after, of_app) in [("c", 3, false), ("a", 1, true), ("d", 3, true), ("b", 2, false)] {
        let (log, after) = (log.clone(), after * SECOND);
        if of_app {
            world.reactor.apps().with(id, |app| app.set_timeout(after, move |_| log.push(name)));
        } else {
            world.reactor.apps().set_timeout(after, move |_| log.push(name));
        }
    }
    world.net.advance(10 * SECOND);
    world.reactor.poll(None).unwrap();
    assert_eq!(log.lines(), ["a", "b", "c", "d"]);
}

#[test]
fn an_interval_goes_on_after_an_error_and_ends_with_a_panic() {
    let (mut world, log) = (World::new(), Log::new());
    for panics in [false, true] {
        let (log, name) = (log.clone(), if panics { "panic" } else { "error" });
        let timer = world.reactor.apps().set_interval(SECOND, move |_| -> Result<(), BoxError> {
            log.push(name);
            assert!(!panics, "the callback's own");
            Err("the callback's own".into())
        });
        assert!(world.reactor.apps().keep_running_for(timer));
    }
    world.run_until(3 * SECOND);
    assert_eq!((log.count(|it| it == "error"), log.count(|it| it == "panic")), (3, 1));
}

#[test]
fn a_panic_leaves_the_turn_where_the_policy_says_so() {
    let mut world = World::new().map(|reactor| reactor.panic_policy(PanicPolicy::Propagate));
    let log = Log::new();
    world.reactor.apps().set_timeout(SECOND, |_| panic!("the callback's own"));
    note_every(world.reactor.apps(), &log, "tick", SECOND);
    assert!(catch_unwind(AssertUnwindSafe(|| world.run_until(SECOND))).is_err());
    assert_eq!(log.lines(), ["tick 1000"], "the others of the turn had theirs");
    world.run_until(2 * SECOND);
    assert_eq!(log.lines(), ["tick 1000", "tick 2000"]);
}

#[test]
fn one_of_zero_fires_once_per_turn_and_cancelled_ones_leave_nothing_to_wait_for() {
    let (mut world, fired) = (World::new(), Rc::new(Cell::new(0)));
    let count = fired.clone();
    let timer = world.reactor.apps().set_interval(Duration::ZERO, move |_| count.set(count.get() + 1));
    for turn in 1..=5 {
        world.reactor.poll(None).unwrap();
        assert_eq!(fired.get(), turn);
    }
    assert!(world.reactor.apps().cancel(timer));
    let far = world.reactor.apps().set_timeout(SECOND, |_| unreachable!("it was cancelled"));
    assert!(world.reactor.apps().cancel(far));
    world.run_until(10 * SECOND);
    assert_eq!(fired.get(), 5);
}

#[test]
fn a_host_that_takes_the_turns_itself_is_woken_for_a_timer_that_is_set_in_between() {
    let mut world = World::new();
    let fired = Rc::new(Cell::new(false));
    assert_eq!(world.reactor.turn(&[]).deadline, None);
    let waits = world.net.waits();
    let flag = fired.clone();
    world.reactor.apps().set_timeout(SECOND, move |_| flag.set(true));
    // The wake ends this wait at once, although it would be for longer.
    let (later, mut ready) = (world.net.now() + 2 * SECOND, Vec::new());
    websocket_app::dispatcher::Wait::wait(world.reactor.dispatcher(), Some(later), &mut ready).unwrap();
    assert_eq!((world.net.elapsed(), world.net.waits()), (Duration::ZERO, waits + 1));
    assert_eq!(world.reactor.turn(&[]).deadline, Some(world.net.now() + SECOND));
    world.net.advance(SECOND);
    world.reactor.turn(&[]);
    assert!(fired.get());
}
