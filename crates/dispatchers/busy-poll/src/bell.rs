//! Wakes, which need no system call while the loop looks anyway.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Wake, Waker};

/// The bell is not watched: the loop sleeps, or is outside of its wait, where its host may sleep on its
/// descriptor.
const UNWATCHED: u8 = 0;
const SPINNING: u8 = 1;
const RUNG: u8 = 2;

/// Ends a spin by itself, and a sleep by the waker of the dispatcher inside.
#[derive(Debug)]
pub(crate) struct Bell {
    state: AtomicU8,
    inner: Waker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.swap(RUNG, Ordering::AcqRel) == UNWATCHED {
            self.inner.wake_by_ref();
        }
    }
}

impl Bell {
    pub(crate) const fn new(inner: Waker) -> Self {
        Self { state: AtomicU8::new(UNWATCHED), inner }
    }

    /// From now on, ringing needs no help. A bell that has rung stays so.
    pub(crate) fn watch(&self) {
        self.replace(UNWATCHED, SPINNING);
    }

    /// Whether it has rung while it was watched.
    pub(crate) fn has_rung(&self) -> bool {
        self.state.load(Ordering::Acquire) == RUNG
    }

    /// Whether the loop may sleep: from now on, ringing ends that. If not, the bell has rung.
    pub(crate) fn leave(&self) -> bool {
        self.replace(SPINNING, UNWATCHED)
    }

    /// Whether it has rung. It is ready for the next time then, and unwatched.
    pub(crate) fn take(&self) -> bool {
        self.state.swap(UNWATCHED, Ordering::AcqRel) == RUNG
    }

    fn replace(&self, from: u8, to: u8) -> bool {
        self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn counted() -> (Arc<Count>, Arc<Bell>) {
        let count = Arc::new(Count::default());
        (count.clone(), Arc::new(Bell::new(count.into())))
    }

    #[test]
    fn a_watched_bell_rings_without_help() {
        let (count, bell) = counted();
        bell.watch();
        bell.wake_by_ref();
        bell.wake_by_ref();
        assert!(bell.has_rung());
        assert!(!bell.leave(), "a loop that was woken goes to sleep");
        assert!(bell.take());
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn an_unwatched_bell_wakes_the_sleeper_once() {
        let (count, bell) = counted();
        bell.watch();
        assert!(bell.leave());
        bell.wake_by_ref();
        bell.wake_by_ref();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert!(bell.take());
        assert!(!bell.take());
    }

    #[test]
    fn a_bell_that_rang_before_it_was_watched_is_heard() {
        let (_, bell) = counted();
        bell.wake_by_ref();
        bell.watch();
        assert!(bell.has_rung());
    }
}
