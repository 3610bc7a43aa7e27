//! How long apps hold the loop, and what else is counted of a reactor.

use std::time::Duration;

use crate::id::AppId;
use crate::surroundings::nanos;

/// A reactor in numbers, since it was made.
///
/// Time is measured without readings of the clock for each message: from one to the next of those that the reactor makes anyway. It reads the clock
/// before and after each piece of work on an app, and between messages, after each where callbacks are slow and after 64 at most where
/// they are quick. So the time includes reading and decoding what the callbacks are called for, and what counts as one callback
/// may have been several quick ones.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct ReactorStats {
    /// Turns taken.
    pub turns: u64,
    /// Streams that the dispatcher has reported as ready.
    pub ready_streams: u64,
    /// Time spent on apps' events: in callbacks and other code of the user, in reading, decoding and connecting for them, and in writing 64 KiB
    /// or more at once. Smaller writes count as part of what is done next.
    pub time_in_callbacks: Duration,
    /// The callback that held the loop longest.
    pub longest_callback: Option<LongCallback>,
    /// How often an app's reading stopped, for others to have their turn, before everything was delivered and the stream known to be empty.
    pub reads_stopped_early: u64,
}

/// A callback that held the loop for long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct LongCallback {
    /// The app whose callback it was; `None` for the reactor's own timers and sources, and for work that was given to it with
    /// [`ReactorHandle::run`](crate::ReactorHandle::run).
    pub app: Option<AppId>,
    /// How long it took, measured as [`ReactorStats`] says.
    pub took: Duration,
}

/// The time from which a callback counts as slow, unless the user says otherwise. It is that of asyncio.
const SLOW: Duration = Duration::from_millis(100);

/// Measures how long apps hold the loop. Times are those of [`Surroundings::nanos`](crate::surroundings::Surroundings::nanos).
pub(crate) struct Meter {
    pub(crate) turns: u64,
    pub(crate) ready_streams: u64,
    pub(crate) reads_stopped_early: u64,
    time_in_callbacks: u64,
    /// The time of the longest callback, and whose it was.
    longest: (u64, Option<AppId>),
    /// From here on a callback is slow.
    threshold: u64,
    /// Called for each that is.
    pub(crate) hook: Option<Box<dyn FnMut(LongCallback)>>,
    /// The work that is being done, if it is measured.
    work: Option<Work>,
}

#[derive(Clone, Copy)]
struct Work {
    began: u64,
    /// When the clock was read last.
    looked: u64,
    /// The longest time between two readings.
    longest: u64,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            turns: 0,
            ready_streams: 0,
            reads_stopped_early: 0,
            time_in_callbacks: 0,
            longest: (0, None),
            threshold: nanos(SLOW),
            hook: None,
            work: None,
        }
    }
}

impl Meter {
    pub(crate) fn set_threshold(&mut self, threshold: Duration) {
        self.threshold = nanos(threshold);
    }

    pub(crate) fn stats(&self) -> ReactorStats {
        ReactorStats {
            turns: self.turns,
            ready_streams: self.ready_streams,
            time_in_callbacks: Duration::from_nanos(self.time_in_callbacks),
            longest_callback: (self.longest.0 > 0).then(|| long_callback(self.longest)),
            reads_stopped_early: self.reads_stopped_early,
        }
    }

    pub(crate) const fn is_running(&self) -> bool {
        self.work.is_some()
    }

    /// Work begins.
    pub(crate) const fn begin(&mut self, now: u64) {
        self.work = Some(Work { began: now, looked: now, longest: 0 });
    }

    /// The clock was read between two messages.
    pub(crate) fn look(&mut self, now: u64) {
        if let Some(work) = &mut self.work {
            work.longest = work.longest.max(now.saturating_sub(work.looked));
            work.looked = now;
        }
    }

    /// The work for `app` has ended. Returns its longest part if that was slow.
    pub(crate) fn end(&mut self, now: u64, app: Option<AppId>) -> Option<LongCallback> {
        self.look(now);
        let Work { began, longest, .. } = self.work.take()?;
        self.time_in_callbacks += now.saturating_sub(began);
        if longest > self.longest.0 {
            self.longest = (longest, app);
        }
        (longest >= self.threshold).then(|| long_callback((longest, app)))
    }
}

const fn long_callback((took, app): (u64, Option<AppId>)) -> LongCallback {
    LongCallback { app, took: Duration::from_nanos(took) }
}
