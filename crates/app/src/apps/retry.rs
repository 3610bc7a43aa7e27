//! Whether another attempt follows one that fails or ends, which is decided before the user's code hears of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::app::call_on_error;
use super::{App, Apps, Context, Identity};
use crate::error::Error;
use crate::id::AppId;
use crate::outcome::{NoRetry, Outcome};
use crate::panics::{contain_panic, panic_message};
use crate::schedule::later;

impl App {
    /// Reports a failure of the connection to the handler. The first one is kept, also if `on_error` panics, and decides
    /// whether another attempt follows.
    pub(crate) fn report(&mut self, id: AppId, apps: &mut Apps, error: Error) {
        if self.failure.is_some() {
            let (handler, mut context) = self.split(id, apps);
            return call_on_error(handler, &mut context, &error);
        }
        let outcome = Outcome::Lost(error);
        let asked = match &outcome {
            Outcome::Lost(Error::CallbackPanicked(_)) => Ok(Err(NoRetry::Panicked)),
            outcome => catch_unwind(AssertUnwindSafe(|| self.ask_policy(outcome, apps))),
        };
        let Outcome::Lost(error) = outcome else { return };
        self.control.retry = Some(Box::new(*asked.as_ref().unwrap_or(&Err(NoRetry::Panicked))));
        let Self { handler, control, stage, failure, plan, .. } = self;
        let identity = Identity { id, plan };
        let mut context = Context { apps, identity, control, connected: stage.connected(), handler: None };
        call_on_error(&mut **handler, &mut context, failure.insert(Box::new(error)));
        if let Err(panic) = asked {
            contain_panic(id, || self.report(id, apps, Error::CallbackPanicked(panic_message(&*panic))));
            apps.keep_panic(panic);
        }
    }

    /// Whether another attempt follows this outcome: the time until then, which begins now, or why none follows. The policy
    /// may be the user's code, and its panic must not take `on_close` away.
    pub(crate) fn settle_retry(
        &mut self,
        id: AppId,
        outcome: &Outcome,
        apps: &mut Apps,
    ) -> Result<Duration, NoRetry> {
        let decided = match self.control.retry.take() {
            Some(decided) => *decided,
            None => match catch_unwind(AssertUnwindSafe(|| self.ask_policy(outcome, apps))) {
                Ok(decided) => decided,
                Err(panic) => {
                    let error = Error::CallbackPanicked(panic_message(&*panic));
                    contain_panic(id, || self.report(id, apps, error));
                    // The outcome stands: it was there before.
                    self.failure = None;
                    apps.keep_panic(panic);
                    Err(NoRetry::Panicked)
                }
            },
        };
        let delay = self.control.still_holds(decided, apps)?;
        if let Some(streak) = &mut self.control.streak {
            streak.conclude();
            // The policy may have taken its time.
            streak.retry_at = Some(later(apps.env.now(), delay));
        }
        Ok(delay)
    }

    fn ask_policy(&mut self, outcome: &Outcome, apps: &mut Apps) -> Result<Duration, NoRetry> {
        let Self { control, plan, .. } = self;
        control.still_holds(Ok(Duration::ZERO), apps)?;
        let policy = plan.options.connect.reconnect.as_ref().ok_or(NoRetry::NoPolicy)?;
        let streak = control.streak.as_mut().ok_or(NoRetry::NoPolicy)?;
        let (random, now) = (apps.env.untimed().next_u32(), apps.env.now());
        let delay = streak.ended(policy, outcome, &mut control.attempts, now, random);
        apps.env.user_code_ran();
        delay
    }
}
