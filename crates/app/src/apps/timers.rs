//! The user's timers: those of one app, and those of the reactor.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{Apps, CallbackResult, Context, IntoCallbackResult};
use crate::id::{Holder, TimerId};
use crate::schedule::{Due, Schedule, later};

/// The callback of an app's timer.
type AppCall = dyn FnMut(&mut Context<'_>) -> CallbackResult;

/// The callback of a reactor's timer.
type ReactorCall = dyn FnMut(&mut Apps) -> CallbackResult;

struct Timer<C: ?Sized> {
    every: Option<Duration>,
    /// Absent while it runs.
    call: Option<Box<C>>,
}

/// Timers with callbacks of one kind. Few apps have any: there is memory for them from the first one on.
#[expect(clippy::box_collection, reason = "every app has this, and a map takes three words")]
pub(crate) struct Timers<C: ?Sized>(Option<Box<BTreeMap<TimerId, Timer<C>>>>);

/// The timers of one app; they end with its attempt.
pub(crate) type AppTimers = Timers<AppCall>;

/// The timers that belong to no app.
pub(crate) type ReactorTimers = Timers<ReactorCall>;

impl<C: ?Sized> Default for Timers<C> {
    fn default() -> Self {
        Self(None)
    }
}

impl<C: ?Sized> Timers<C> {
    fn add(
        &mut self,
        schedule: &mut Schedule,
        at: Instant,
        every: Option<Duration>,
        call: Box<C>,
        due: impl FnOnce(TimerId) -> Due,
    ) -> TimerId {
        let timer = TimerId(schedule.newest() + 1);
        schedule.push(at, due(timer));
        self.0.get_or_insert_default().insert(timer, Timer { every, call: Some(call) });
        timer
    }

    pub(crate) fn cancel(&mut self, timer: TimerId, schedule: &mut Schedule) -> bool {
        let cancelled = self.0.as_mut().is_some_and(|timers| timers.remove(&timer).is_some());
        schedule.forget(usize::from(cancelled));
        cancelled
    }

    /// Takes the callback of a timer that is due.
    pub(crate) fn fire(&mut self, timer: TimerId) -> Option<Box<C>> {
        let timers = self.0.as_mut()?;
        let slot = timers.get_mut(&timer)?;
        let call = slot.call.take();
        if slot.every.is_none() {
            timers.remove(&timer);
        }
        call
    }

    /// Puts the callback of an interval that was due at `at` back, unless it was cancelled meanwhile. Missed times are skipped.
    pub(crate) fn rearm(
        &mut self,
        timer: TimerId,
        call: Box<C>,
        (at, now): (Instant, Instant),
        due: Due,
        schedule: &mut Schedule,
    ) {
        let Some(timers) = &mut self.0 else { return };
        if let Some(Timer { every: Some(every), call: slot }) = timers.get_mut(&timer) {
            *slot = Some(call);
            let next = later(at, *every);
            schedule.push(if next < now { later(now, *every) } else { next }, due);
        }
    }

    pub(crate) fn contains(&self, timer: TimerId) -> bool {
        self.0.as_ref().is_some_and(|timers| timers.contains_key(&timer))
    }

    pub(crate) fn clear(&mut self, schedule: &mut Schedule) {
        // Dropping their callbacks may run the user's code.
        if let Some(timers) = self.0.take() {
            schedule.forget(timers.len());
        }
    }
}

impl Context<'_> {
    /// Calls `callback` once, `after` this long. An error from it goes to `on_error`. The timer ends with the
    /// connection attempt; one that is set in `on_close`, while another attempt follows, ends with that one.
    /// [`Apps::set_timeout`] sets one that does not end with an attempt.
    pub fn set_timeout<R: IntoCallbackResult>(
        &mut self,
        after: Duration,
        callback: impl FnOnce(&mut Context<'_>) -> R + 'static,
    ) -> TimerId {
        let mut callback = Some(callback);
        let call = move |app: &mut Context<'_>| -> CallbackResult {
            callback.take().map_or(Ok(()), |callback| callback(app).into_callback_result())
        };
        self.add_timer(after, None, Box::new(call))
    }

    /// Calls `callback` repeatedly, `every` this long; calls that were missed are not made up for. An error
    /// from it goes to `on_error`. The timer ends as that of [`set_timeout`](Self::set_timeout). Zero means
    /// once a turn.
    pub fn set_interval<R: IntoCallbackResult>(
        &mut self,
        every: Duration,
        mut callback: impl FnMut(&mut Context<'_>) -> R + 'static,
    ) -> TimerId {
        let call = move |app: &mut Context<'_>| callback(app).into_callback_result();
        self.add_timer(every, Some(every), Box::new(call))
    }

    /// Cancels a timer of this app, also from inside its own callback. Returns whether it was still to come.
    pub fn cancel(&mut self, timer: TimerId) -> bool {
        self.control.timers.cancel(timer, &mut self.apps.schedule)
    }

    fn add_timer(&mut self, after: Duration, every: Option<Duration>, call: Box<AppCall>) -> TimerId {
        let (id, at) = (self.identity.id, later(self.apps.env.now(), after));
        let due = |timer| Due::AppTimer(id, timer);
        self.control.timers.add(&mut self.apps.schedule, at, every, call, due)
    }
}

/// Timers that belong to the reactor instead of an app: they do not end with a connection, nor with an app.
impl Apps {
    /// Calls `callback` once, `after` this long, whatever becomes of any app. An error that it returns is logged, and so is a panic, unless
    /// the [`PanicPolicy`](crate::PanicPolicy) passes it on.
    ///
    /// The timer does not keep the reactor running: see [`keep_running_for`](Self::keep_running_for). [`stop`](Self::stop) leaves it as it
    /// is, for the next run; dropping the reactor drops it. From other threads, use [`ReactorHandle::run`](crate::ReactorHandle::run).
    ///
    /// ```
    /// use std::time::Duration;
    /// use websocket_app::Reactor;
    ///
    /// let mut reactor = Reactor::new()?;
    /// let timer = reactor.apps().set_timeout(Duration::from_millis(1), |apps| {
    ///     println!("{} apps", apps.len());
    /// });
    /// reactor.apps().keep_running_for(timer);
    /// reactor.run()?; // returns when the timer has fired
    /// # Ok::<(), websocket_app::Error>(())
    /// ```
    pub fn set_timeout<R: IntoCallbackResult>(
        &mut self,
        after: Duration,
        callback: impl FnOnce(&mut Self) -> R + 'static,
    ) -> TimerId {
        let mut callback = Some(callback);
        let call = move |apps: &mut Self| -> CallbackResult {
            callback.take().map_or(Ok(()), |callback| callback(apps).into_callback_result())
        };
        self.add_timer(after, None, Box::new(call))
    }

    /// Calls `callback` repeatedly, `every` this long, until it is [cancelled](Self::cancel) or panics; otherwise as
    /// [`set_timeout`](Self::set_timeout). Calls that were missed are not made up for. Zero means once per turn.
    pub fn set_interval<R: IntoCallbackResult>(
        &mut self,
        every: Duration,
        mut callback: impl FnMut(&mut Self) -> R + 'static,
    ) -> TimerId {
        let call = move |apps: &mut Self| callback(apps).into_callback_result();
        self.add_timer(every, Some(every), Box::new(call))
    }

    /// Cancels a timer of the reactor, also from inside its own callback. Returns whether it was still to come; a timer of an app is
    /// cancelled with [`Context::cancel`], and is not found here.
    pub fn cancel(&mut self, timer: TimerId) -> bool {
        self.holders.remove(&Holder::Timer(timer));
        let cancelled = self.timers.cancel(timer, &mut self.schedule);
        self.call_host();
        cancelled
    }

    fn add_timer(&mut self, after: Duration, every: Option<Duration>, call: Box<ReactorCall>) -> TimerId {
        let at = later(self.env.now(), after);
        let timer = self.timers.add(&mut self.schedule, at, every, call, Due::Timer);
        self.call_host();
        timer
    }
}
