//! Whether another attempt follows one that has failed or ended.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::app::{Control, call_on_error};
use super::{App, Apps, Context, Identity};
use crate::error::{BoxError, Error};
use crate::id::AppId;
use crate::outcome::{NoRetry, Outcome};
use crate::panics::{contain_panic, panic_message};
use crate::plan::Plan;
use crate::schedule::later;

impl App {
    /// Reports a failure of the connection to the handler. The first one is kept, also if `on_error` panics.
    pub(crate) fn report(&mut self, id: AppId, apps: &mut Apps, error: Error) {
        if let Some(companion) = self.control.companion_in_place() {
            companion.failure.get_or_insert(error);
            return;
        }
        if self.failure.is_some() {
            let (handler, mut context) = self.split(id, apps);
            return call_on_error(handler, &mut context, &error);
        }
        let Self { handler, control, stage, failure, plan, .. } = self;
        let failure = failure.insert(Box::new(Outcome::Lost(error)));
        let identity = Identity { id, plan };
        let connected = stage.connected();
        let failed = Some(&**failure);
        let mut context = Context { apps, identity, control, connected, failure: failed, handler: None };
        if let Outcome::Lost(error) = &**failure {
            call_on_error(&mut **handler, &mut context, error);
        }
    }

    /// Reports that a successor was not opened. The connection in use continues.
    pub(crate) fn report_of_successor(&mut self, id: AppId, apps: &mut Apps, error: Error) {
        let (handler, mut context) = self.split(id, apps);
        call_on_error(handler, &mut context, &Error::Successor(Box::new(error)));
    }

    /// Reports an error of a function that is called while the connection is open. Returns whether the app's work continues.
    pub(crate) fn report_of_callback(&mut self, id: AppId, apps: &mut Apps, error: BoxError) -> bool {
        self.call(id, apps, |_, _| Err(error));
        !apps.interrupted
    }

    /// Whether another attempt follows this outcome: the time until then, which begins now, or why none follows. The policy
    /// may be the user's code, and its panic must not take `on_close` away.
    pub(crate) fn settle_retry(
        &mut self,
        id: AppId,
        outcome: &Outcome,
        apps: &mut Apps,
    ) -> Result<Duration, NoRetry> {
        let control = &mut self.control;
        let decided = catch_unwind(AssertUnwindSafe(|| control.decide(&self.plan, outcome, apps)));
        let decided = decided.unwrap_or_else(|panic| {
            let error = Error::CallbackPanicked(panic_message(&*panic));
            contain_panic(id, || self.report(id, apps, error));
            // The outcome stands: it was there before.
            self.failure = None;
            apps.keep_panic(panic);
            Err(NoRetry::Panicked)
        });
        let delay = self.control.still_holds(decided, apps)?;
        if let Some(streak) = &mut self.control.streak {
            streak.conclude();
            // The policy may have taken its time.
            streak.retry_at = Some(later(apps.env.now(), delay));
        }
        Ok(delay)
    }
}

impl Control {
    /// What follows this outcome of the attempt, by the policy, which is asked once.
    pub(super) fn decide(
        &mut self,
        plan: &Plan,
        outcome: &Outcome,
        apps: &mut Apps,
    ) -> Result<Duration, NoRetry> {
        if let Some(decided) = self.rare.retry() {
            return self.still_holds(decided, apps);
        }
        self.still_holds(Ok(Duration::ZERO), apps)?;
        let policy = plan.options.connect.reconnect.as_ref().ok_or(NoRetry::NoPolicy)?;
        let streak = self.streak.as_mut().ok_or(NoRetry::NoPolicy)?;
        let (random, now) = (apps.env.untimed().next_u32(), apps.env.now());
        let decided = streak.ended(policy, outcome, &mut self.attempts, now, random);
        apps.env.user_code_ran();
        self.rare.set_retry(decided);
        decided
    }

    /// What was `decided` about another attempt, unless the program has closed the app or stops the reactor.
    pub(super) fn still_holds(
        &self,
        decided: Result<Duration, NoRetry>,
        apps: &Apps,
    ) -> Result<Duration, NoRetry> {
        match decided {
            Err(NoRetry::Panicked) => decided,
            _ if self.close_requested => Err(NoRetry::Closed),
            _ if apps.is_stopping() => Err(NoRetry::Stopped),
            _ => decided,
        }
    }
}
