//! Points 8 and 10 of the contract: wakes and interruptions.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::Waker;
use std::thread;
use std::time::Duration;

use websocket_dispatcher::{Dispatcher as _, Interest};

use super::Host;
use super::rig::{Rig, drain};

/// A wake that comes first ends the wait that follows, whichever waker was used, and brings no observation.
pub fn a_wake_before_the_wait_ends_it<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    let waker = rig.dispatcher.waker();
    for waker_call in 0..4 {
        match waker_call {
            0 => waker.wake_by_ref(),
            1 => Waker::clone(&waker).wake(),
            2 => rig.dispatcher.waker().wake(),
            _ => (0..100).for_each(|_| waker.wake_by_ref()),
        }
        let ready = rig.wait(None);
        assert!(ready.is_empty(), "nothing is registered, yet {ready:?} was reported");
    }
}

/// A wake ends one wait, perhaps a few, but then it is used up.
pub fn a_wake_is_not_sticky<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    let _line = rig.open(0, Interest::Read);
    for wakes in [1, 2, 100] {
        for _ in 0..wakes {
            rig.dispatcher.waker().wake();
        }
        rig.wait(None);
        rig.rest(Duration::from_millis(5));
    }
}

/// A stream that becomes ready together with a wake is reported, if not by this wait then by the next.
pub fn a_wake_does_not_swallow_readiness<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    let mut line = rig.open(0, Interest::Read);
    for _ in 0..5 {
        line.receive_all_but_first(b"two");
        rig.dispatcher.waker().wake();
        rig.until_readable("bytes that came with a wake", line.key);
        drain(&mut line.io).expect("an open stream");
    }
}

/// A waker that is used after its dispatcher is gone does nothing.
pub fn a_waker_may_outlive_its_dispatcher<H: Host>(host: &mut H) {
    let rig = Rig::new(host);
    let waker = rig.dispatcher.waker();
    drop(rig);
    waker.wake_by_ref();
    Waker::clone(&waker).wake();
    thread::spawn(|| waker.wake()).join().expect("a late wake from another thread does no harm");
}

/// A wake from another thread ends a wait without a deadline, before it begins or while it lasts.
pub fn a_wake_from_another_thread_ends_a_wait<H: Host>(host: &mut H) {
    const ROUNDS: usize = 500;
    let mut rig = Rig::new(host);
    let waker = rig.dispatcher.waker();
    let answered = &AtomicUsize::new(0);
    thread::scope(|scope| {
        let (ask, asked) = mpsc::channel();
        scope.spawn(move || {
            for round in asked {
                answered.store(round, Ordering::Release);
                waker.wake_by_ref();
            }
        });
        for round in 1..=ROUNDS {
            ask.send(round).expect("the thread listens");
            while answered.load(Ordering::Acquire) < round {
                rig.wait(None);
            }
        }
    });
}

/// Eight threads wake at once, repeatedly. Some wakes may end one wait together, but after each there is a
/// look.
pub fn a_storm_of_wakes_loses_none<H: Host>(host: &mut H) {
    const THREADS: usize = 8;
    const ROUNDS: usize = 300;
    const WAKES: usize = 4;
    let mut rig = Rig::new(host);
    let (pushed, start) = (AtomicUsize::new(0), Barrier::new(THREADS + 1));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            let waker = rig.dispatcher.waker();
            let (pushed, start) = (&pushed, &start);
            scope.spawn(move || {
                for _ in 0..ROUNDS {
                    start.wait();
                    for _ in 0..WAKES {
                        pushed.fetch_add(1, Ordering::AcqRel);
                        waker.wake_by_ref();
                    }
                }
            });
        }
        for round in 1..=ROUNDS {
            start.wait();
            while pushed.load(Ordering::Acquire) < round * THREADS * WAKES {
                // So that some wakes come between the look and the wait.
                thread::yield_now();
                rig.wait(None);
            }
        }
    });
}

/// A signal ends a wait without an error.
#[cfg(unix)]
pub fn an_interrupted_wait_is_no_error<H: Host>(host: &mut H) {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::sync::mpsc::RecvTimeoutError;
    use std::time::Instant;

    use nix::sys::pthread::{Pthread, pthread_kill, pthread_self};
    use nix::sys::signal::Signal;

    // Without a handler, the signal that programs ignore unasked would interrupt nothing. Handlers of this
    // kind restart what can be restarted; the calls that loops sleep in never are.
    let handled = Arc::new(AtomicBool::new(false));
    let handler = signal_hook::flag::register(signal_hook::consts::SIGURG, handled.clone());
    let handler = handler.expect("a handler for SIGURG");

    let mut rig = Rig::new(host);
    let _line = rig.open(0, Interest::Read);
    // Where it is a pointer it could not go to another thread as it is.
    #[allow(clippy::unnecessary_cast)]
    let waiter = pthread_self() as usize;
    for _ in 0..5 {
        thread::scope(|scope| {
            let (returned, wait) = mpsc::channel::<()>();
            scope.spawn(move || {
                let patience = Instant::now() + H::PATIENCE;
                while wait.recv_timeout(Duration::from_millis(1)) == Err(RecvTimeoutError::Timeout)
                    && Instant::now() < patience
                {
                    #[allow(clippy::unnecessary_cast)]
                    pthread_kill(waiter as Pthread, Signal::SIGURG).expect("the waiting thread is there");
                }
            });
            let ready = rig.wait(None);
            drop(returned);
            assert!(ready.is_empty(), "nothing happened, yet {ready:?} was reported");
        });
    }
    assert!(handled.load(Ordering::Acquire), "no signal came");
    signal_hook::low_level::unregister(handler);
}
