//! Futures that are polled by hand, between two turns of a simulated reactor.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use super::World;

/// Counts how often a task is woken.
#[derive(Default, Debug)]
pub struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Wakes {
    /// How often, so far.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Polls `future` once, for a task that nothing wakes.
pub fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_for(&Arc::default(), future)
}

/// Polls `future` once, for the task of `wakes`.
pub fn poll_for<F: Future + Unpin>(wakes: &Arc<Wakes>, future: &mut F) -> Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(&Waker::from(wakes.clone())))
}

impl World {
    /// Runs `future` while time stands still. It is polled only when it was woken, as an executor does.
    ///
    /// # Panics
    /// When it is still pending and nothing can happen.
    pub fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        let mut future = pin!(future);
        let wakes = Arc::new(Wakes::default());
        for _ in 0..1000 {
            let before = wakes.count();
            if let Poll::Ready(output) =
                future.as_mut().poll(&mut Context::from_waker(&Waker::from(wakes.clone())))
            {
                return output;
            }
            for _ in 0..16 {
                if wakes.count() > before {
                    break;
                }
                self.settle();
            }
            assert!(wakes.count() > before, "the future waits, and nothing wakes its task");
        }
        panic!("the future is woken again and again");
    }
}
