//! What is special to spinning: wakes without a system call, virtual time inside, and sleep when nothing happens.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use websocket_dispatcher::{Dispatcher, Interest, Io, Key, Ready, Wait};
use websocket_dispatcher_busy_poll::BusyPoll;
use websocket_testkit::conformance::Host;
use websocket_testkit::sim::{SimDispatcher, SimNet, SimPeer};

/// A dispatcher that sees nothing, and counts.
#[derive(Default)]
struct Blind {
    looks: Rc<Cell<usize>>,
    sleeps: Rc<Cell<usize>>,
    wakes: Arc<Wakes>,
    broken: bool,
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Dispatcher for Blind {
    fn register(&mut self, _: Key, _: &mut Io, _: Interest) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn reregister(&mut self, _: Key, _: &mut Io, _: Interest) -> io::Result<()> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn deregister(&mut self, _: Key, _: Io) {}

    fn waker(&self) -> Waker {
        self.wakes.clone().into()
    }
}

impl Wait for Blind {
    fn wait(&mut self, deadline: Option<Instant>, _: &mut Vec<Ready>) -> io::Result<()> {
        let looks = deadline.is_some_and(|deadline| deadline <= Instant::now());
        let count = if looks { &self.looks } else { &self.sleeps };
        count.set(count.get() + 1);
        if self.broken { Err(io::Error::other("broken")) } else { Ok(()) }
    }
}

#[test]
fn without_news_it_spins_once_and_then_sleeps_at_once() {
    let blind = Blind::default();
    let (looks, sleeps) = (blind.looks.clone(), blind.sleeps.clone());
    let mut dispatcher = BusyPoll::over(blind).spin(Duration::from_millis(1));
    dispatcher.wait(None, &mut Vec::new()).unwrap();
    let looked = looks.get();
    assert!(looked > 0, "it went to sleep without a look");
    assert_eq!(sleeps.get(), 1);
    // What ended the sleep was nothing, so there is no reason to spin again.
    dispatcher.wait(None, &mut Vec::new()).unwrap();
    assert_eq!((looks.get(), sleeps.get()), (looked, 2));
    // A wake is one.
    dispatcher.waker().wake();
    dispatcher.wait(None, &mut Vec::new()).unwrap();
    assert_eq!(sleeps.get(), 2, "a wake that came before was slept over");
    let looked = looks.get();
    dispatcher.wait(None, &mut Vec::new()).unwrap();
    assert!(looks.get() > looked, "it did not spin after a wake");
    assert_eq!(sleeps.get(), 3);
}

#[test]
fn no_spin_is_the_plain_dispatcher() {
    let blind = Blind::default();
    let (looks, sleeps) = (blind.looks.clone(), blind.sleeps.clone());
    let mut dispatcher = BusyPoll::over(blind).spin(Duration::ZERO);
    for _ in 0..3 {
        dispatcher.wait(None, &mut Vec::new()).unwrap();
    }
    dispatcher.wait(Some(Instant::now() + Duration::from_secs(60)), &mut Vec::new()).unwrap();
    assert_eq!((looks.get(), sleeps.get()), (0, 4));
    dispatcher.wait(Some(Instant::now()), &mut Vec::new()).unwrap();
    assert_eq!((looks.get(), sleeps.get()), (1, 4));
}

#[test]
fn a_wake_from_another_thread_ends_a_spin_that_would_never_end() {
    let blind = Blind::default();
    let (sleeps, wakes) = (blind.sleeps.clone(), blind.wakes.clone());
    let mut dispatcher = BusyPoll::over(blind).spin(Duration::MAX);
    let waker = dispatcher.waker();
    thread::scope(|scope| {
        scope.spawn(|| waker.wake_by_ref());
        dispatcher.wait(None, &mut Vec::new()).unwrap();
    });
    assert_eq!(sleeps.get(), 0);
    assert!(wakes.0.load(Ordering::Relaxed) <= 1, "once at most, if it came before the spin");
}

#[test]
fn a_deadline_ends_a_spin_that_would_never_end() {
    let blind = Blind::default();
    let sleeps = blind.sleeps.clone();
    let mut dispatcher = BusyPoll::over(blind).spin(Duration::MAX);
    let deadline = Instant::now() + Duration::from_millis(2);
    dispatcher.wait(Some(deadline), &mut Vec::new()).unwrap();
    assert!(Instant::now() >= deadline);
    assert_eq!(sleeps.get(), 0);
}

/// Spins over the simulated network, whose time stands still while it does.
struct Simulated(SimNet);

impl Host for Simulated {
    type Dispatcher = BusyPoll<SimDispatcher>;
    type Far = SimPeer;

    fn dispatcher(&mut self) -> Self::Dispatcher {
        BusyPoll::over(Host::dispatcher(&mut self.0))
    }

    fn pair(&mut self) -> (Io, SimPeer) {
        self.0.pair()
    }
}

mod simulated {
    use super::*;
    websocket_testkit::conformance!(host: Simulated(SimNet::new(1)));
}

#[test]
fn a_loop_that_is_broken_says_so_in_spite_of_a_wake() {
    let mut dispatcher = BusyPoll::over(Blind { broken: true, ..Blind::default() });
    for _ in 0..2 {
        dispatcher.waker().wake();
        dispatcher.wait(None, &mut Vec::new()).unwrap_err();
    }
}
