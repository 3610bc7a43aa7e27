//! When the host is called, for which turns, and who has the dispatcher meanwhile: told by one that only does what a test says.
#![allow(clippy::unwrap_used, reason = "a test")]

mod scripted;

use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use websocket_dispatcher::{Dispatcher as _, Interest, Io, Key, Next, Ready, Stream};
use websocket_dispatcher_waiting_thread::{Driver, WaitingThread};

use scripted::{Script, Scripted};

/// Only a test that fails ever waits so long.
const PATIENCE: Duration = Duration::from_secs(10);
const KEY: Key = Key::new(0, 7);
const SEEN: Ready = Ready::new(KEY, true, false);
const NOTHING: Next = Next::new(None, false);

struct Rig {
    dispatcher: WaitingThread<Scripted>,
    driver: Driver<Scripted>,
    script: Arc<Script>,
    calls: Receiver<()>,
}

/// A host that has not taken its first turn, which is woken by `wake` with the sender.
fn host(mut wake: impl FnMut(&Sender<()>) + Send + 'static) -> Rig {
    let script = Arc::new(Script::default());
    let (call, calls) = mpsc::channel();
    let (dispatcher, driver) = WaitingThread::new(Scripted::new(&script), move || wake(&call)).unwrap();
    Rig { dispatcher, driver, script, calls }
}

/// A host that has taken its first turn, and whose thread waits.
fn rig() -> Rig {
    let rig = host(|call| call.send(()).unwrap());
    assert_eq!(rig.called(NOTHING), [], "the first turn");
    rig.script.until_waiting();
    rig
}

impl Rig {
    fn await_call(&self) {
        self.calls.recv_timeout(PATIENCE).expect("the host is called");
    }

    /// What the turn was given, if there was one.
    fn turn(&self, next: Next) -> Option<Vec<Ready>> {
        let mut given = None;
        let turned = self.driver.turn(|ready| {
            given = Some(ready.to_vec());
            next
        });
        turned.unwrap();
        given
    }

    /// Waits for a call, and takes its turn.
    fn called(&self, next: Next) -> Vec<Ready> {
        self.await_call();
        self.turn(next).expect("a turn is due when the host is called")
    }

    /// Fails if there was a call that no turn was taken for. The thread must be waiting.
    fn not_called(&self) {
        self.script.until_waiting();
        assert!(self.calls.try_recv().is_err(), "the host was called for nothing");
    }
}

fn stream() -> Io {
    Io::custom(Silent(None))
}

/// Does something when it is dropped.
struct Silent(Option<Box<dyn FnOnce()>>);

impl io::Read for Silent {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

impl io::Write for Silent {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Silent {}

impl Drop for Silent {
    fn drop(&mut self) {
        if let Some(last) = self.0.take() {
            last();
        }
    }
}

#[test]
fn the_first_turn_is_due_at_once_and_no_wait_comes_before_it() {
    let rig = host(|call| call.send(()).unwrap());
    rig.await_call();
    assert_eq!(rig.script.deadlines(), []);
    assert_eq!(rig.turn(NOTHING), Some(vec![]));
    rig.not_called();
    assert_eq!(rig.script.deadlines(), [None]);
}

#[test]
fn readiness_brings_one_call_and_one_turn() {
    let rig = rig();
    for _ in 0..3 {
        assert_eq!(rig.turn(NOTHING), None, "a turn while the thread waits");
        rig.script.report(SEEN);
        assert_eq!(rig.called(NOTHING), [SEEN]);
        rig.not_called();
    }
}

#[test]
fn a_burst_of_wakes_brings_one_call_and_one_turn() {
    let rig = rig();
    for _ in 0..3 {
        let wakers: Vec<_> = (0..4).map(|_| rig.dispatcher.waker()).collect();
        let threads =
            wakers.into_iter().map(|waker| thread::spawn(move || (0..100).for_each(|_| waker.wake_by_ref())));
        threads.collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(rig.called(NOTHING), []);
        rig.not_called();
    }
    assert!(rig.script.deadlines().len() <= 10, "the thread does not wait between a wake and its turn");
}

/// Nor does the thread wait, so that a loop that reports levels does not spin.
#[test]
fn a_host_that_never_takes_its_turn_is_called_once() {
    let rig = rig();
    rig.script.report(SEEN);
    rig.await_call();
    let waits = rig.script.deadlines().len();
    rig.script.report(Ready::new(Key::new(1, 0), true, true));
    (0..100).for_each(|_| rig.dispatcher.waker().wake());
    drop(rig.dispatcher);
    assert_eq!(rig.script.deadlines().len(), waits);
    assert!(rig.calls.try_recv().is_err(), "the host was called again");
}

#[test]
fn a_wake_inside_of_a_turn_brings_another() {
    let rig = rig();
    rig.script.report(SEEN);
    rig.await_call();
    let turned = rig.driver.turn(|_| {
        rig.dispatcher.waker().wake();
        NOTHING
    });
    turned.unwrap();
    assert_eq!(rig.called(NOTHING), []);
    rig.not_called();
}

/// Otherwise a thread that wakes in every turn would keep streams from being looked at.
#[test]
fn a_wake_inside_of_a_turn_does_not_keep_the_thread_from_looking() {
    let rig = rig();
    rig.dispatcher.waker().wake();
    rig.await_call();
    let turned = rig.driver.turn(|_| {
        rig.dispatcher.waker().wake();
        rig.script.report(SEEN);
        NOTHING
    });
    turned.unwrap();
    assert_eq!(rig.called(NOTHING), [SEEN]);
}

#[test]
fn a_turn_says_until_when_the_thread_waits() {
    let rig = rig();
    let deadline = Instant::now() + Duration::from_millis(5);
    rig.dispatcher.waker().wake();
    assert_eq!(rig.called(Next::new(Some(deadline), false)), []);
    assert_eq!(rig.called(NOTHING), []);
    assert!(Instant::now() >= deadline);
    rig.not_called();
    assert_eq!(rig.script.deadlines(), [None, Some(deadline), None]);
}

#[test]
fn a_turn_that_leaves_more_to_do_is_followed_by_a_look_and_a_call() {
    let rig = rig();
    rig.dispatcher.waker().wake();
    assert_eq!(rig.called(Next::new(None, true)), []);
    assert_eq!(rig.called(NOTHING), []);
    rig.not_called();
    assert!(rig.script.deadlines()[1].is_some_and(|deadline| deadline <= Instant::now()), "it slept");
}

#[test]
fn changes_inside_of_a_turn_interrupt_nothing() {
    let mut rig = rig();
    rig.script.report(SEEN);
    rig.await_call();
    let mut io = stream();
    let (dispatcher, driver) = (&mut rig.dispatcher, &rig.driver);
    let turned = driver.turn(|_| {
        dispatcher.register(KEY, &mut io, Interest::Read).unwrap();
        dispatcher.reregister(KEY, &mut io, Interest::ReadWrite).unwrap();
        let again = dispatcher.register(KEY, &mut io, Interest::Read);
        assert_eq!(again.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        dispatcher.deregister(KEY, io);
        NOTHING
    });
    turned.unwrap();
    rig.not_called();
    assert_eq!(rig.script.deadlines(), [None, None]);
}

#[test]
fn changes_outside_of_turns_interrupt_one_wait_and_bring_a_turn_that_loses_nothing() {
    let mut rig = rig();
    let other = Ready::new(Key::new(1, 0), true, true);
    rig.script.report_later(other);
    let mut io = stream();
    rig.dispatcher.register(KEY, &mut io, Interest::Read).unwrap();
    let stale = rig.dispatcher.reregister(Key::new(0, 8), &mut io, Interest::Read);
    assert_eq!(stale.unwrap_err().kind(), io::ErrorKind::NotFound);
    rig.dispatcher.reregister(KEY, &mut io, Interest::ReadWrite).unwrap();
    rig.dispatcher.deregister(KEY, io);
    rig.dispatcher.hand_over();
    assert_eq!(rig.script.deadlines(), [None], "another wait began between two changes");
    assert_eq!(rig.called(NOTHING), [other]);
    rig.not_called();
}

#[test]
fn what_was_seen_of_a_stream_is_forgotten_with_it() {
    let mut rig = rig();
    let mut io = stream();
    rig.dispatcher.register(KEY, &mut io, Interest::Read).unwrap();
    rig.called(NOTHING);
    rig.script.until_waiting();
    let other = Ready::new(Key::new(1, 0), true, true);
    rig.script.report_later(SEEN);
    rig.script.report(other);
    rig.await_call();
    rig.dispatcher.deregister(KEY, io);
    assert_eq!(rig.turn(NOTHING), Some(vec![other]));
}

/// Whichever of the three the dispatcher is in: lent and not taken, in a wait, or back.
#[test]
fn a_change_right_after_a_turn_brings_another() {
    let mut rig = rig();
    for round in 0..200 {
        rig.dispatcher.waker().wake();
        rig.called(Next::new(None, round % 3 == 0));
        let mut io = stream();
        if round % 2 == 0 {
            thread::yield_now();
        }
        rig.dispatcher.register(KEY, &mut io, Interest::Read).unwrap();
        rig.dispatcher.deregister(KEY, io);
        rig.called(NOTHING);
        rig.not_called();
    }
}

#[test]
fn a_turn_begins_neither_in_a_turn_nor_in_a_change() {
    let mut rig = rig();
    rig.script.report(SEEN);
    rig.await_call();
    let turned = rig.driver.turn(|_| {
        rig.driver.turn(|_| panic!("a turn inside of a turn")).unwrap();
        NOTHING
    });
    turned.unwrap();

    let driver = rig.driver.clone();
    let mut io = Io::custom(Silent(Some(Box::new(move || {
        driver.turn(|_| panic!("a turn inside of a change")).unwrap();
    }))));
    rig.dispatcher.register(KEY, &mut io, Interest::Read).unwrap();
    rig.dispatcher.deregister(KEY, io);
    rig.called(NOTHING);
    rig.not_called();
}

/// The last that a stream does may be to send something.
#[test]
fn a_stream_that_wakes_when_it_is_dropped_does_not_lock_itself_out() {
    let mut rig = rig();
    let waker = rig.dispatcher.waker();
    let mut io = Io::custom(Silent(Some(Box::new(move || waker.wake()))));
    rig.dispatcher.register(KEY, &mut io, Interest::Read).unwrap();
    rig.dispatcher.deregister(KEY, io);
    rig.called(NOTHING);
    rig.not_called();
}

#[test]
fn an_error_of_the_wait_is_returned_after_the_turn_and_the_next_wait_may_succeed() {
    let rig = rig();
    rig.script.fail(|| Err(io::ErrorKind::OutOfMemory.into()));
    rig.await_call();
    let turns = Cell::new(0);
    let turned = rig.driver.turn(|_| {
        turns.set(turns.get() + 1);
        NOTHING
    });
    assert_eq!(turned.unwrap_err().kind(), io::ErrorKind::OutOfMemory);
    assert_eq!(turns.get(), 1, "no turn for what was seen before");
    rig.not_called();
    rig.script.report(SEEN);
    assert_eq!(rig.called(NOTHING), [SEEN]);
}

#[test]
fn a_panic_of_the_wait_is_resumed_by_the_host_and_the_thread_goes_on() {
    let rig = rig();
    rig.script.fail(|| panic_any("by a test"));
    rig.await_call();
    let turned = catch_unwind(AssertUnwindSafe(|| rig.turn(NOTHING)));
    assert_eq!(turned.unwrap_err().downcast_ref(), Some(&"by a test"));
    rig.not_called();
    rig.script.report(SEEN);
    assert_eq!(rig.called(NOTHING), [SEEN]);
}

#[test]
fn a_panic_of_the_closure_is_resumed_by_the_host_and_the_thread_goes_on() {
    let mut calls = 0;
    let rig = host(move |call| {
        calls += 1;
        call.send(()).unwrap();
        if calls == 2 {
            panic_any("by a test");
        }
    });
    rig.called(NOTHING);
    rig.script.report(SEEN);
    // The panic may come after this turn, which is then followed by another.
    rig.await_call();
    let mut given = Vec::new();
    let turned = loop {
        let turned = catch_unwind(AssertUnwindSafe(|| {
            rig.driver.turn(|ready| {
                given.extend(ready.to_vec());
                rig.dispatcher.waker().wake();
                NOTHING
            })
        }));
        if let Err(panic) = turned {
            break panic;
        }
        rig.await_call();
    };
    assert_eq!(turned.downcast_ref(), Some(&"by a test"));
    assert_eq!(given, [SEEN]);
    rig.called(NOTHING);
    rig.not_called();
}

#[test]
fn a_panic_of_the_turn_passes_and_the_host_is_called_for_the_next() {
    let rig = rig();
    rig.script.report(SEEN);
    rig.await_call();
    let turned = catch_unwind(AssertUnwindSafe(|| rig.driver.turn(|_| panic!("by a test"))));
    assert!(turned.is_err(), "the panic was swallowed");
    assert_eq!(rig.called(NOTHING), []);
    rig.not_called();
}

/// As Win32's `SendMessage`, which returns when the host has handled the message.
#[test]
fn a_closure_may_wait_for_the_turn() {
    let (took, taken) = mpsc::channel();
    let rig = host(move |call| {
        call.send(()).unwrap();
        taken.recv_timeout(PATIENCE).unwrap();
    });
    for _ in 0..100 {
        rig.called(Next::new(None, true));
        took.send(()).unwrap();
    }
}

#[test]
fn a_turn_that_the_host_has_taken_unasked_is_not_called_for() {
    let (release, released) = mpsc::channel();
    let mut rig = host(move |call| {
        call.send(()).unwrap();
        released.recv_timeout(PATIENCE).unwrap();
    });
    // The thread stays in its first call, so the change asks for another.
    rig.called(NOTHING);
    let mut io = stream();
    rig.dispatcher.register(KEY, &mut io, Interest::Read).unwrap();
    let turned = rig.driver.turn(|_| {
        release.send(()).unwrap();
        let called = rig.calls.recv_timeout(Duration::from_millis(20));
        assert!(called.is_err(), "the host was called for the turn that it takes");
        NOTHING
    });
    turned.unwrap();
    rig.not_called();
}

#[test]
fn dropping_the_dispatcher_ends_its_wait_and_joins_its_thread() {
    let held = Arc::new(());
    let kept = held.clone();
    let rig = host(move |call| {
        let _kept = &kept;
        call.send(()).unwrap();
    });
    rig.called(NOTHING);
    rig.script.until_waiting();
    let waker = rig.dispatcher.waker();
    drop(rig.dispatcher);
    assert_eq!(Arc::strong_count(&held), 1, "the thread still runs");
    assert!(rig.calls.recv().is_err(), "the host was called by the end");
    assert!(rig.script.is_dropped_by(thread::current().id()), "the dispatcher was dropped elsewhere");
    waker.wake();
    rig.driver.turn(|_| panic!("a turn after the end")).unwrap();
}

#[test]
fn dropping_the_dispatcher_before_the_first_turn_ends_its_thread() {
    for _ in 0..100 {
        let held = Arc::new(());
        let kept = held.clone();
        let rig = host(move |_| drop(kept.clone()));
        drop(rig.dispatcher);
        // It may have been in its first call.
        while Arc::strong_count(&held) > 1 {
            thread::yield_now();
        }
    }
}

#[test]
fn a_dispatcher_may_be_dropped_while_the_closure_waits_for_the_host() {
    let held = Arc::new(());
    let kept = held.clone();
    let (release, released) = mpsc::channel::<()>();
    let rig = host(move |call| {
        let _kept = &kept;
        call.send(()).unwrap();
        // Ends when the host has let go of it, after the dispatcher.
        let _gone = released.recv();
    });
    rig.await_call();
    drop(rig.dispatcher);
    assert_eq!(Arc::strong_count(&held), 2, "the closure returned too early for this test");
    assert!(rig.script.is_dropped_by(thread::current().id()));
    drop(release);
    while Arc::strong_count(&held) > 1 {
        thread::yield_now();
    }
    assert!(rig.calls.recv().is_err(), "the host was called again");
}

#[test]
fn a_dispatcher_may_be_dropped_in_its_turn() {
    let rig = rig();
    rig.script.report(SEEN);
    rig.await_call();
    let Rig { dispatcher, driver, script, calls } = rig;
    let turned = driver.turn(|_| {
        drop(dispatcher);
        Next::new(None, true)
    });
    turned.unwrap();
    assert!(script.is_dropped_by(thread::current().id()));
    assert!(calls.recv().is_err(), "a call that no turn is due for");
}

#[test]
fn clones_drive_the_same_reactor_and_keep_nothing_alive() {
    let rig = rig();
    let driver = rig.driver.clone();
    rig.script.report(SEEN);
    rig.await_call();
    let seen = Rc::new(Cell::new(0));
    let turned = driver.turn(|ready| {
        seen.set(ready.len());
        NOTHING
    });
    turned.unwrap();
    assert_eq!(seen.get(), 1);
    drop(rig.dispatcher);
    assert!(rig.script.is_dropped_by(thread::current().id()));
    driver.turn(|_| panic!("a turn after the end")).unwrap();
}
