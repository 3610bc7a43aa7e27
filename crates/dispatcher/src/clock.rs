//! The clock that deadlines are on.

use std::fmt;
use std::rc::Rc;
use std::time::Instant;

/// The clock of a [`Dispatcher`](crate::Dispatcher): the system's monotonic clock, a runtime's, or a virtual one. Clones are handles to the
/// same clock.
///
/// ```
/// use std::cell::Cell;
/// use std::rc::Rc;
/// use std::time::{Duration, Instant};
/// use websocket_dispatcher::Clock;
///
/// let time = Rc::new(Cell::new(Instant::now()));
/// let shown = time.clone();
/// let clock = Clock::new(move || shown.get());
///
/// let before = clock.now();
/// time.set(before + Duration::from_secs(1));
/// assert_eq!(clock.now() - before, Duration::from_secs(1));
/// ```
#[derive(Clone, Default)]
pub struct Clock(Option<Rc<dyn Fn() -> Instant>>);

impl Clock {
    /// The system's monotonic clock, which is also the default.
    pub const fn system() -> Self {
        Self(None)
    }

    /// A clock that shows what `now` returns, which must not go backwards.
    pub fn new(now: impl Fn() -> Instant + 'static) -> Self {
        Self(Some(Rc::new(now)))
    }

    /// The time that it shows.
    #[inline]
    pub fn now(&self) -> Instant {
        match &self.0 {
            None => Instant::now(),
            Some(now) => now(),
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Clock::new" } else { "Clock::system" })
    }
}
