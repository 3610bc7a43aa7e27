//! The user's timers.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{Apps, CallbackResult, Context};
use crate::id::{AppId, TimerId};
use crate::schedule::{Due, later};

type Call = Box<dyn FnMut(&mut Context<'_>) -> CallbackResult>;

struct Timer {
    every: Option<Duration>,
    /// Absent while it runs.
    call: Option<Call>,
}

/// The timers of one app; they end with it.
#[derive(Default)]
pub(crate) struct AppTimers(BTreeMap<TimerId, Timer>);

impl AppTimers {
    pub(crate) fn add(
        &mut self,
        app: AppId,
        apps: &mut Apps,
        after: Duration,
        every: Option<Duration>,
        call: Call,
    ) -> TimerId {
        let at = later(apps.env.now(), after);
        let timer = TimerId(apps.schedule.newest() + 1);
        apps.schedule.push(at, app, Due::Timer(timer));
        self.0.insert(timer, Timer { every, call: Some(call) });
        timer
    }

    pub(crate) fn cancel(&mut self, timer: TimerId, apps: &mut Apps) -> bool {
        let cancelled = self.0.remove(&timer).is_some();
        apps.schedule.forget(usize::from(cancelled));
        cancelled
    }

    /// Takes the callback of a timer that is due.
    pub(crate) fn fire(&mut self, timer: TimerId) -> Option<Call> {
        let slot = self.0.get_mut(&timer)?;
        let call = slot.call.take();
        if slot.every.is_none() {
            self.0.remove(&timer);
        }
        call
    }

    /// Puts the callback of an interval back, unless it was cancelled meanwhile. Missed times are skipped.
    pub(crate) fn rearm(&mut self, timer: TimerId, call: Call, at: Instant, app: AppId, apps: &mut Apps) {
        if let Some(Timer { every: Some(every), call: slot }) = self.0.get_mut(&timer) {
            *slot = Some(call);
            let next = later(at, *every);
            let now = apps.env.now();
            let next = if next < now { later(now, *every) } else { next };
            apps.schedule.push(next, app, Due::Timer(timer));
        }
    }

    pub(crate) fn contains(&self, timer: TimerId) -> bool {
        self.0.contains_key(&timer)
    }

    pub(crate) fn clear(&mut self, apps: &mut Apps) {
        apps.schedule.forget(self.0.len());
        self.0.clear();
    }
}
