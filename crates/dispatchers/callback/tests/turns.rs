//! When turns are taken, told by a host that only writes down what it is asked for.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use websocket_dispatcher::{Dispatcher as _, Interest, Io, Key, Next, Ready};
use websocket_dispatcher_callback::{CallbackDispatcher, Descriptor, Driver, Host};

const KEY: Key = Key::new(0, 7);
const NOTHING: Next = Next::new(None, false);

/// What the host was asked for.
#[derive(Default)]
struct Asked {
    watched: RefCell<Vec<(u64, Interest)>>,
    deadlines: RefCell<Vec<Option<Instant>>>,
    /// Called by each function of the host.
    meddle: RefCell<Option<Box<dyn Fn()>>>,
}

#[derive(Clone, Default)]
struct Notebook(Rc<Asked>);

impl Notebook {
    fn meddle(&self) {
        if let Some(meddle) = &*self.0.meddle.borrow() {
            meddle();
        }
    }

    /// How often a deadline was set since this was last asked, and which was the last.
    fn deadlines(&self) -> (usize, Option<Instant>) {
        let deadlines = self.0.deadlines.take();
        (deadlines.len(), deadlines.last().copied().flatten())
    }
}

impl Host for Notebook {
    fn watch(&self, key: u64, _: Descriptor<'_>, interest: Interest) -> io::Result<()> {
        if interest == Interest::Write {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let mut watched = self.0.watched.borrow_mut();
        watched.retain(|(known, _)| *known != key);
        watched.push((key, interest));
        drop(watched);
        self.meddle();
        Ok(())
    }

    fn unwatch(&self, key: u64) {
        self.0.watched.borrow_mut().retain(|(known, _)| *known != key);
        self.meddle();
    }

    fn set_deadline(&self, deadline: Option<Instant>) {
        self.0.deadlines.borrow_mut().push(deadline);
        self.meddle();
    }
}

struct Rig {
    dispatcher: CallbackDispatcher,
    driver: Driver,
    host: Notebook,
    rings: Arc<AtomicUsize>,
}

/// A dispatcher that has had its first turn.
fn rig() -> Rig {
    let (host, rings) = (Notebook::default(), Arc::new(AtomicUsize::new(0)));
    let ring = rings.clone();
    let (dispatcher, driver) = CallbackDispatcher::new(host.clone(), move || {
        ring.fetch_add(1, Ordering::AcqRel);
    });
    let (set, deadline) = host.deadlines();
    assert_eq!(set, 1, "the first turn is not asked for");
    assert!(deadline.is_some_and(|at| at <= Instant::now()));
    let rig = Rig { dispatcher, driver, host, rings };
    assert_eq!(rig.turn(NOTHING), Some(vec![]), "the first turn");
    assert_eq!(rig.host.deadlines(), (1, None));
    rig
}

impl Rig {
    /// What the turn was given, if there was one.
    fn turn(&self, next: Next) -> Option<Vec<Ready>> {
        let mut given = None;
        self.driver.turn(|ready| {
            given = Some(ready.to_vec());
            next
        });
        given
    }

    fn rings(&self) -> usize {
        self.rings.swap(0, Ordering::AcqRel)
    }
}

fn stream() -> Io {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    Io::tcp(TcpStream::connect(listener.local_addr().unwrap()).unwrap()).unwrap()
}

/// A dialog in a callback runs the host's loop for minutes, and what is not read meanwhile is reported in each round.
#[test]
fn what_is_noted_over_and_over_in_a_turn_is_noted_once() {
    let rig = rig();
    rig.driver.deadline_passed();
    rig.driver.turn(|_| {
        for round in 0..100 {
            rig.driver.ready(KEY.as_u64(), true, false);
            rig.driver.ready(3, round == 0, round == 1);
        }
        NOTHING
    });
    let noted = vec![Ready::new(KEY, true, false), Ready::new(Key::from_u64(3), true, true)];
    assert_eq!(rig.turn(NOTHING), Some(noted));
}

#[test]
fn there_is_one_turn_for_all_that_was_noted_and_none_for_nothing() {
    let rig = rig();
    assert_eq!(rig.turn(NOTHING), None);
    rig.driver.ready(KEY.as_u64(), true, false);
    rig.driver.ready(3, false, true);
    rig.driver.deadline_passed();
    let seen = vec![Ready::new(KEY, true, false), Ready::new(Key::new(3, 0), false, true)];
    assert_eq!(rig.turn(NOTHING), Some(seen));
    assert_eq!(rig.turn(NOTHING), None);
}

#[test]
fn a_burst_of_wakes_rings_once_for_each_turn() {
    let rig = rig();
    for _ in 0..2 {
        let waker = rig.dispatcher.waker();
        thread::spawn(move || (0..100).for_each(|_| waker.wake_by_ref())).join().unwrap();
        assert_eq!(rig.rings(), 1);
        assert_eq!(rig.turn(NOTHING), Some(vec![]));
        assert_eq!(rig.turn(NOTHING), None);
    }
}

#[test]
fn the_deadline_is_set_when_it_changes_and_after_it_has_passed() {
    let rig = rig();
    let at = Some(Instant::now() + Duration::from_secs(60));
    for expected in [(1, at), (0, None)] {
        rig.driver.ready(0, true, false);
        rig.turn(Next::new(at, false));
        assert_eq!(rig.host.deadlines(), expected);
    }
    // Too early, as a coarse clock may be.
    rig.driver.deadline_passed();
    rig.turn(Next::new(at, false));
    assert_eq!(rig.host.deadlines(), (1, at));
    rig.driver.ready(0, true, false);
    rig.turn(NOTHING);
    assert_eq!(rig.host.deadlines(), (1, None));
}

#[test]
fn more_to_do_is_a_deadline_that_has_passed() {
    let rig = rig();
    rig.driver.ready(0, true, false);
    rig.turn(Next::new(None, true));
    let (set, deadline) = rig.host.deadlines();
    assert!(set == 1 && deadline.is_some_and(|at| at <= Instant::now()));
}

#[test]
fn functions_of_the_host_may_call_the_driver_and_start_no_turn() {
    let mut rig = rig();
    let (driver, calls) = (rig.driver.clone(), Rc::new(Cell::new(0)));
    let called = calls.clone();
    *rig.host.0.meddle.borrow_mut() = Some(Box::new(move || {
        called.set(called.get() + 1);
        driver.ready(9, true, true);
        driver.turn(|_| panic!("a turn inside of a function of the host"));
    }));
    let mut io = stream();
    rig.driver.deadline_passed();
    let (dispatcher, driver) = (&mut rig.dispatcher, &rig.driver);
    driver.turn(|_| {
        dispatcher.register(KEY, &mut io, Interest::Read).unwrap();
        dispatcher.reregister(KEY, &mut io, Interest::ReadWrite).unwrap();
        driver.turn(|_| panic!("a turn inside of a turn"));
        dispatcher.deregister(KEY, io);
        NOTHING
    });
    assert!(calls.get() >= 4);
    let (_, deadline) = rig.host.deadlines();
    assert!(deadline.is_some_and(|at| at <= Instant::now()), "what was noted meanwhile waits for ever");

    // Outside of turns, as when the reactor is dropped.
    let mut io = stream();
    rig.dispatcher.register(KEY, &mut io, Interest::Read).unwrap();
    rig.dispatcher.deregister(KEY, io);
    *rig.host.0.meddle.borrow_mut() = None;
    assert!(rig.turn(NOTHING).is_some());
}

#[test]
fn what_the_host_notes_while_its_deadline_is_set_has_a_turn() {
    let rig = rig();
    let (driver, once) = (rig.driver.clone(), Cell::new(true));
    *rig.host.0.meddle.borrow_mut() = Some(Box::new(move || {
        if once.replace(false) {
            driver.ready(9, true, true);
        }
    }));
    rig.driver.deadline_passed();
    rig.turn(Next::new(Some(Instant::now() + Duration::from_secs(60)), false));
    let (_, deadline) = rig.host.deadlines();
    assert!(deadline.is_some_and(|at| at <= Instant::now()));
}

#[test]
fn a_wake_that_a_round_inside_of_the_turn_answered_has_a_turn() {
    for panics in [false, true] {
        let rig = rig();
        rig.driver.deadline_passed();
        let turned = catch_unwind(AssertUnwindSafe(|| {
            rig.driver.turn(|_| {
                rig.dispatcher.waker().wake();
                assert_eq!(rig.rings(), 1);
                rig.driver.turn(|_| panic!("a turn inside of a turn"));
                assert!(!panics, "by a test");
                NOTHING
            });
        }));
        assert_eq!(turned.is_err(), panics);
        let (_, deadline) = rig.host.deadlines();
        assert!(rig.rings() == 1 || deadline.is_some_and(|at| at <= Instant::now()));
        assert_eq!(rig.turn(NOTHING), Some(vec![]));
    }
}

#[test]
fn a_panic_of_the_turn_passes_and_the_host_is_woken_for_the_next() {
    let rig = rig();
    rig.driver.ready(0, true, false);
    let turned = catch_unwind(AssertUnwindSafe(|| rig.driver.turn(|_| panic!("by a test"))));
    assert!(turned.is_err(), "the panic was swallowed");
    assert_eq!(rig.rings(), 1);
    rig.driver.ready(1, true, false);
    assert_eq!(rig.turn(NOTHING), Some(vec![Ready::new(Key::new(1, 0), true, false)]));
}

#[test]
fn a_stream_that_the_host_refuses_fails_alone() {
    let mut rig = rig();
    let mut io = stream();
    let refused = rig.dispatcher.register(KEY, &mut io, Interest::Write);
    assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::OutOfMemory);
    rig.dispatcher.register(KEY, &mut io, Interest::Read).unwrap();
    assert_eq!(rig.host.0.watched.take(), [(KEY.as_u64(), Interest::Read)]);
}

#[test]
fn the_host_never_sees_what_is_watched_for_nothing() {
    let Rig { mut dispatcher, host, .. } = rig();
    let mut io = stream();
    dispatcher.register(KEY, &mut io, Interest::None).unwrap();
    assert!(host.0.watched.borrow().is_empty());
    dispatcher.reregister(KEY, &mut io, Interest::Read).unwrap();
    assert_eq!(*host.0.watched.borrow(), [(KEY.as_u64(), Interest::Read)]);
    dispatcher.reregister(KEY, &mut io, Interest::None).unwrap();
    assert!(host.0.watched.borrow().is_empty());

    let calls = Rc::new(Cell::new(0));
    let called = calls.clone();
    *host.0.meddle.borrow_mut() = Some(Box::new(move || called.set(called.get() + 1)));
    dispatcher.reregister(KEY, &mut io, Interest::None).unwrap();
    let refused = dispatcher.reregister(KEY, &mut io, Interest::Write);
    assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::OutOfMemory);
    dispatcher.deregister(KEY, io);
    assert_eq!(calls.get(), 0, "the host was to forget what it never knew");
}

#[test]
fn dropping_the_dispatcher_leaves_nothing_with_the_host() {
    let Rig { mut dispatcher, driver, host, rings } = rig();
    let mut io = stream();
    dispatcher.register(KEY, &mut io, Interest::Read).unwrap();
    driver.ready(KEY.as_u64(), true, false);
    driver.turn(|_| Next::new(Some(Instant::now() + Duration::from_secs(60)), false));
    let waker = dispatcher.waker();
    driver.ready(KEY.as_u64(), true, false);
    drop(dispatcher);
    assert!(host.0.watched.borrow().is_empty());
    assert_eq!(host.deadlines(), (2, None));
    waker.wake();
    assert_eq!(rings.load(Ordering::Acquire), 0, "a late wake rang");
    driver.ready(KEY.as_u64(), true, false);
    driver.deadline_passed();
    driver.turn(|_| panic!("a turn after the end"));
    assert_eq!(Rc::strong_count(&host.0), 1, "the host is still held");
}

#[test]
fn a_dispatcher_may_be_dropped_in_its_turn() {
    let Rig { dispatcher, driver, host, .. } = rig();
    driver.deadline_passed();
    driver.turn(|_| {
        drop(dispatcher);
        Next::new(None, true)
    });
    assert_eq!(host.deadlines(), (0, None), "a deadline for nobody");
}
