//! Where a host that calls back leaves what it saw, until the reactor takes its turn.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Wake, Waker};

use crate::Ready;

/// What a host has seen since the last turn: observations and wakes.
///
/// For dispatchers on loops that call back. The host's callbacks [`push`](Self::push), the
/// [`waker`](Self::waker) is the dispatcher's, and the code that takes the turns either [takes](Self::take)
/// what is there or [polls](Self::poll) for it. The first signal after that notifies the waker that the poll
/// was given, or the one set by [`notify`](Self::notify); those that follow find it notified.
///
/// Clones share what they hold, on any thread.
///
/// ```
/// use std::task::{Poll, Waker};
/// use websocket_dispatcher::{Key, Ready, Signals};
///
/// let signals = Signals::new();
/// let mut ready = Vec::new();
/// assert_eq!(signals.poll(Waker::noop(), &mut ready), Poll::Pending);
/// signals.push(Ready::new(Key::new(0, 0), true, false));
/// assert_eq!(signals.poll(Waker::noop(), &mut ready), Poll::Ready(()));
/// assert_eq!(ready.len(), 1);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Signals(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    ready: Vec<Ready>,
    woken: bool,
    /// To be notified of the next signal.
    task: Option<Waker>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signal(&self, note: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        note(&mut state);
        let task = state.task.take();
        // A waker is foreign code: it runs without the lock.
        drop(state);
        if let Some(task) = task {
            task.wake();
        }
    }
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.signal(|state| state.woken = true);
    }
}

impl Signals {
    /// Makes an empty one, which notifies no task.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes that a stream may be ready.
    pub fn push(&self, ready: Ready) {
        self.0.signal(|state| state.ready.push(ready));
    }

    /// Ends the current or next wait: see [`Dispatcher::waker`](crate::Dispatcher::waker).
    pub fn waker(&self) -> Waker {
        self.0.clone().into()
    }

    /// Notifies `task` of the next signal, or at once if there was one.
    pub fn notify(&self, task: &Waker) {
        let mut state = self.0.lock();
        if state.woken || !state.ready.is_empty() {
            drop(state);
            task.wake_by_ref();
        } else if !state.task.as_ref().is_some_and(|known| known.will_wake(task)) {
            let former = state.task.replace(task.clone());
            // It may be the last of its task, whose end is foreign code as well.
            drop(state);
            drop(former);
        }
    }

    /// Appends what was seen to `ready` and forgets it. Returns whether there was anything, even if only a
    /// wake.
    pub fn take(&self, ready: &mut Vec<Ready>) -> bool {
        let mut state = self.0.lock();
        let signalled = mem::take(&mut state.woken) || !state.ready.is_empty();
        ready.append(&mut state.ready);
        signalled
    }

    /// As [`take`](Self::take); if there is nothing, `task` is notified of the next signal.
    pub fn poll(&self, task: &Waker, ready: &mut Vec<Ready>) -> Poll<()> {
        if self.take(ready) {
            return Poll::Ready(());
        }
        // What comes in between is seen by `notify`.
        self.notify(task);
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::Key;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn counting() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count::default());
        (count.clone(), count.into())
    }

    fn seen(slot: u32) -> Ready {
        Ready::new(Key::new(slot, 0), true, false)
    }

    #[test]
    fn a_burst_notifies_once() {
        let (count, task) = counting();
        let signals = Signals::new();
        let mut ready = Vec::new();
        assert_eq!(signals.poll(&task, &mut ready), Poll::Pending);
        signals.push(seen(0));
        signals.push(seen(1));
        signals.waker().wake();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert_eq!(signals.poll(&task, &mut ready), Poll::Ready(()));
        assert_eq!(ready, [seen(0), seen(1)]);
        assert_eq!(
            signals.poll(&task, &mut ready),
            Poll::Pending,
            "a wake is used up together with what came with it"
        );
    }

    #[test]
    fn a_signal_before_the_notification_is_set_up_is_not_lost() {
        let (count, task) = counting();
        let signals = Signals::new();
        signals.waker().wake();
        signals.notify(&task);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert!(signals.take(&mut Vec::new()));
        assert!(!signals.take(&mut Vec::new()));
    }

    /// The last thing that its task held may well be a sender.
    #[test]
    fn a_task_that_signals_when_it_is_dropped_may_be_replaced() {
        struct Farewell(Signals);

        impl Wake for Farewell {
            fn wake(self: Arc<Self>) {}
        }

        impl Drop for Farewell {
            fn drop(&mut self) {
                self.0.waker().wake();
            }
        }

        let (done, outcome) = mpsc::channel();
        thread::spawn(move || {
            let signals = Signals::new();
            signals.notify(&Arc::new(Farewell(signals.clone())).into());
            let (count, task) = counting();
            signals.notify(&task);
            done.send(count.0.load(Ordering::Relaxed)).unwrap();
        });
        assert_eq!(outcome.recv_timeout(Duration::from_secs(10)), Ok(1), "it waits for itself");
    }

    #[test]
    fn a_wake_alone_brings_no_observation() {
        let signals = Signals::new();
        signals.waker().wake();
        let mut ready = Vec::new();
        assert!(signals.take(&mut ready));
        assert!(ready.is_empty());
    }
}
