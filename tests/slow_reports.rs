//! Callbacks that held the loop for too long are reported, in the log and to the hook, in virtual time.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Once;
use std::time::Duration;

use websocket_app::{AppId, LongCallback, Reactor, RunOptions, WebSocketApp};
use websocket_testkit::frame;
use websocket_testkit::sim::{SimDispatcher, SimNet};
use websocket_tests::{Log, SERVER, URL, World};

const MS: Duration = Duration::from_millis(1);

thread_local! {
    /// Warnings of this thread's test.
    static WARNINGS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    /// For work that must be `Send`, although it stays here.
    static NET: RefCell<Option<SimNet>> = const { RefCell::new(None) };
}

struct Logger;

impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        if record.level() <= log::Level::Warn {
            let line = format!("{}: {}", record.target(), record.args());
            WARNINGS.with_borrow_mut(|warnings| warnings.push(line));
        }
    }

    fn flush(&self) {}
}

type Reports = Rc<RefCell<Vec<(Option<AppId>, Duration)>>>;

fn hook(reports: &Reports) -> impl FnMut(LongCallback) + use<> {
    let reports = reports.clone();
    move |slow| reports.borrow_mut().push((slow.app, slow.took))
}

/// A world whose warnings are kept, and an app in it whose callback for a message takes as many milliseconds as the message says.
fn world(change: impl FnOnce(Reactor<SimDispatcher>) -> Reactor<SimDispatcher>) -> (World, WebSocketApp) {
    static LOGGER: Once = Once::new();
    LOGGER.call_once(|| {
        log::set_logger(&Logger).unwrap();
        log::set_max_level(log::LevelFilter::Warn);
    });
    let world = World::new().map(change);
    let net = world.net.clone();
    let app = Log::new().app(URL).on_message(move |_, message| {
        net.advance(message.as_text().unwrap().parse::<u32>().unwrap() * MS);
    });
    (world, app)
}

fn warnings() -> Vec<String> {
    WARNINGS.take()
}

#[test]
fn a_callback_of_a_tenth_of_a_second_is_reported_by_default_and_a_shorter_one_is_not() {
    let reports = Reports::default();
    let (mut world, app) = world(|reactor| reactor.on_slow_callback(hook(&reports)));
    let peer = world.open(app, &RunOptions::new());
    let id = world.reactor.apps().ids()[0];
    for millis in ["99", "100", "250"] {
        peer.write(&frame::text(millis));
        world.settle();
    }
    assert_eq!(*reports.borrow(), [(Some(id), 100 * MS), (Some(id), 250 * MS)]);
    assert_eq!(
        warnings(),
        [100, 250].map(|millis| format!("websocket::app: {id}: a callback held the loop for {millis}ms"))
    );
}

#[test]
fn the_threshold_can_be_set_and_the_warnings_need_no_hook() {
    for (threshold, reported) in [(20 * MS, 2), (30 * MS, 1), (Duration::MAX, 0)] {
        let (mut world, app) = world(|reactor| reactor.slow_callback_threshold(threshold));
        let peer = world.open(app, &RunOptions::new());
        for millis in ["20", "1000"] {
            peer.write(&frame::text(millis));
            world.settle();
        }
        assert_eq!(warnings().len(), reported, "{threshold:?}");
    }
}

#[test]
fn of_the_messages_of_one_visit_the_longest_callback_is_reported() {
    let reports = Reports::default();
    let (mut world, app) = world(|reactor| {
        // All of them are delivered in one visit.
        let reactor = reactor.turn_budget(Duration::from_secs(100));
        reactor.slow_callback_threshold(20 * MS).on_slow_callback(hook(&reports))
    });
    let peer = world.open(app, &RunOptions::new());
    let id = world.reactor.apps().ids()[0];
    // Together they are slow, but none of them is.
    peer.write(&frame::text("15").repeat(4));
    world.settle();
    assert_eq!(*reports.borrow(), []);
    peer.write(&["15", "30", "40", "15"].map(frame::text).concat());
    world.settle();
    assert_eq!(*reports.borrow(), [(Some(id), 40 * MS)]);
}

#[test]
fn every_kind_of_callback_is_reported_also_if_it_belongs_to_no_app() {
    let reports = Reports::default();
    let (mut world, app) = world(|reactor| reactor.on_slow_callback(hook(&reports)));
    let [open, close, timer, own] = [(); 4].map(|()| world.net.clone());
    NET.set(Some(world.net.clone()));
    let app = app.on_open(move |_, _| open.advance(110 * MS)).on_close(move |_, _| close.advance(140 * MS));
    let peer = world.open(app, &RunOptions::new());
    let id = world.reactor.apps().ids()[0];
    world.reactor.apps().with(id, |app| app.set_timeout(MS, move |_| timer.advance(120 * MS))).unwrap();
    world.run_for(10 * MS);
    world.reactor.handle().run(|_| NET.with_borrow(|net| net.as_ref().unwrap().advance(130 * MS)));
    world.settle();
    peer.reset();
    world.settle();
    world.reactor.apps().set_timeout(MS, move |_| own.advance(150 * MS));
    world.run_for(10 * MS);
    let expected = [
        (Some(id), 110 * MS),
        (Some(id), 120 * MS),
        (None, 130 * MS),
        (Some(id), 140 * MS),
        (None, 150 * MS),
    ];
    assert_eq!(*reports.borrow(), expected);
    assert_eq!(warnings()[2], "websocket::app: a callback that belongs to no app held the loop for 130ms");
    NET.take();
}

#[test]
fn a_hook_that_takes_its_time_or_panics_harms_no_app() {
    let clock = Rc::new(RefCell::new(None::<SimNet>));
    let (net, reports) = (clock.clone(), Reports::default());
    let mut note = hook(&reports);
    let (mut world, app) = world(|reactor| {
        reactor.on_slow_callback(move |slow| {
            note(slow);
            net.borrow().as_ref().unwrap().advance(500 * MS);
            panic!("the hook panics");
        })
    });
    *clock.borrow_mut() = Some(world.net.clone());
    let listener = world.net.listen(SERVER);
    let echoes = Log::new();
    app.run_on(&mut world.reactor, &RunOptions::new()).unwrap();
    echoes.app(URL).run_on(&mut world.reactor, &RunOptions::new()).unwrap();
    world.settle();
    let [slow, other] = [world.accept(&listener), world.accept(&listener)];
    for _ in 0..2 {
        slow.write(&frame::text("200"));
        other.write(&frame::text("hello"));
        world.settle();
    }
    assert_eq!(echoes.take(), ["open", "text hello", "text hello"]);
    let ids = world.reactor.apps().ids();
    assert_eq!(*reports.borrow(), [(Some(ids[0]), 200 * MS); 2], "the hook's own time does not count");
    let stats = world.reactor.apps().stats();
    assert_eq!(stats.time_in_callbacks, 400 * MS);
    clock.take();
}
