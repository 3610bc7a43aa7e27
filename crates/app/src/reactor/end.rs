//! The end of an attempt: `on_error` for its failure, then `on_close`, its last callback; and whether another attempt follows.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use websocket_connection::{CloseCode, Side, State};

use super::app::{App, Control, Stage};
use super::apps::Finished;
use super::drive::{Driver, again, text};
use super::schedule::later;
use super::{AppId, Apps};
use crate::inbox::Job;
use crate::plan::Plan;
use crate::{Closed, Context, Error, Outcome};

/// What follows an attempt that ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// What the policy for reconnecting says.
    Ask,
    /// Nothing: the app is broken.
    Nothing,
    /// Nothing: the reactor stops.
    Stop,
}

/// Plans the next attempt, if one follows: the time until then.
fn retry(control: &mut Control, plan: &Plan, outcome: &Outcome, apps: &mut Apps) -> Option<Duration> {
    let policy = plan.options.way.reconnect.as_ref()?;
    let row = control.row.as_mut()?;
    if control.close_requested || apps.stopping || apps.stop_at.is_some() {
        return None;
    }
    let random = apps.env.next_u32();
    let delay = row.ended(policy, outcome, &mut control.attempts, apps.env.now, random)?;
    row.retry_at = Some(later(apps.env.now, delay));
    Some(delay)
}

impl Driver<'_> {
    /// Ends the attempt, with `error` unless its failure has been reported before.
    pub(super) fn end(&mut self, app: &mut App, id: AppId, error: Option<Error>) {
        if matches!(app.stage, Stage::Over) {
            return self.give_up(app, id);
        }
        if let Some(error) = error {
            app.report(id, self.apps, error);
        }
        self.finish(app, id, Next::Ask);
    }

    /// Ends the attempt because the reactor stops.
    pub(super) fn stop(&mut self, app: &mut App, id: AppId) {
        if matches!(app.stage, Stage::Over) {
            app.outcome = Some(Box::new(Outcome::Stopped));
            return self.give_up(app, id);
        }
        self.say_goodbye(app, CloseCode::Away);
        self.finish(app, id, Next::Stop);
    }

    /// Begins to end the attempt because the reactor stops when all have.
    pub(super) fn drain(&mut self, app: &mut App, id: AppId) {
        match &app.stage {
            Stage::Live(live) if live.connection.state() != State::Connecting => {
                app.split(id, self.apps).1.request_close(&CloseCode::Away.into());
            }
            _ => self.stop(app, id),
        }
    }

    /// Ends a run whose last attempt is over.
    pub(super) fn give_up(&mut self, app: &mut App, id: AppId) {
        if !app.control.ended {
            log::debug!(target: "websocket::life_cycle", "{id}: no other attempt is wanted");
        }
        app.control.ended = true;
    }

    /// Closes the stream and calls `on_close`, the last callback of the attempt.
    pub(super) fn finish(&mut self, app: &mut App, id: AppId, next: Next) {
        if matches!(app.stage, Stage::Over) {
            return;
        }
        let (mut frame, mut clean) = (None, false);
        let mut by = app.control.close_requested.then_some(Side::Client);
        if let Stage::Live(live) = &app.stage {
            frame = live.connection.close_frame().cloned();
            clean = live.connection.is_clean();
            by = live.connection.closing_side().or(by);
            if live.connection.closing_side().is_some() {
                app.control.note(id, State::Closing);
            }
        }
        app.control.note(id, State::Closed);
        self.close_stream(app, id);
        let frame = frame.unwrap_or_default();
        let outcome = match app.failure.take() {
            Some(error) => Outcome::Lost(*error),
            None if next == Next::Stop => Outcome::Stopped,
            None => {
                let by = by.unwrap_or(Side::Client);
                Outcome::Clean { code: frame.code, reason: frame.reason.clone(), by }
            }
        };
        let retry_in = match next {
            Next::Ask => self.ask(app, id, &outcome),
            Next::Stop | Next::Nothing => None,
        };
        // Kept before the user's code is called, which may panic.
        let outcome = &**app.outcome.insert(Box::new(outcome));
        app.control.ended = retry_in.is_none();
        let policy = app.plan.options.way.unsent;
        let outbox = app.control.outbox.as_mut();
        let unsent = outbox.map(|outbox| outbox.interrupt(retry_in.is_none(), policy)).unwrap_or_default();
        app.control.blocked = false;
        again(id, || app.control.timers.clear(self.apps));

        let error = if let Outcome::Lost(error) = outcome { Some(error) } else { None };
        let closed = Closed {
            code: frame.code,
            reason: &frame.reason,
            by: if error.is_some() { None } else { by },
            clean: clean && error.is_none(),
            error,
            unsent: &unsent,
            retry_in,
        };
        if self.apps.interrupted {
            return;
        }
        app.control.unheard = true;
        let mut context = Context { apps: self.apps, id, control: &mut app.control, live: None };
        let result = app.handler.on_close(&mut context, &closed);
        app.control.unheard = false;
        if let Err(error) = result {
            log::error!(target: "websocket::app", "{id}: on_close, the last callback, returned an error: {error}");
        }
        if !app.keep_outcome {
            // It may be as large as the body of a response, and the app may wait for long.
            app.outcome = None;
        }
        if app.control.close_requested {
            self.give_up(app, id);
        }
        // Orders that came too late for this attempt are for the next.
        if app.control.outbox.as_ref().is_some_and(|outbox| outbox.has_orders()) && !app.control.ended {
            self.apps.inbox.push(Job::Commands(id));
        }
    }

    /// Asks the policy whether another attempt follows. It may be the user's code, and its panic must not take `on_close` away.
    fn ask(&mut self, app: &mut App, id: AppId, outcome: &Outcome) -> Option<Duration> {
        let asked = catch_unwind(AssertUnwindSafe(|| retry(&mut app.control, &app.plan, outcome, self.apps)));
        asked.unwrap_or_else(|panic| {
            again(id, || app.report(id, self.apps, Error::CallbackPanicked(text(&*panic))));
            // The outcome stands: it was there before.
            app.failure = None;
            self.keep_panic(panic);
            None
        })
    }

    /// Gives the stream back to the dispatcher, which drops it, and what the app lent to the connection back to the app.
    pub(super) fn close_stream(&mut self, app: &mut App, id: AppId) {
        match std::mem::replace(&mut app.stage, Stage::Over) {
            Stage::Connecting(connecting) => {
                let mut race = connecting.race;
                for racer in race.abandon() {
                    self.unwatch(id, racer.key, racer.io);
                }
            }
            Stage::Tunnelling(tunnelling) => self.unwatch(id, tunnelling.key, tunnelling.io),
            Stage::Live(mut live) => {
                app.plan.extras(|extras| &mut extras.mask_key, live.connection.tx().take_mask_key());
                live.connection.abort(&mut self.apps.env);
                if let Some(secure) = &mut live.secure {
                    again(id, || secure.say_goodbye(&mut live.io));
                }
                self.unwatch(id, live.key, live.io);
            }
            Stage::New | Stage::Resolving(_) | Stage::Over => {}
        }
    }

    /// Lets go of everything that a removed app holds, silently.
    pub(super) fn release(&mut self, mut app: Box<App>, id: AppId) {
        self.close_stream(&mut app, id);
        self.retire(app, id);
    }

    /// Drops an app that has ended or was removed, or keeps it for whoever waits for its outcome.
    pub(super) fn retire(&mut self, mut app: Box<App>, id: AppId) {
        again(id, || app.control.timers.clear(self.apps));
        self.apps.schedule.forget(usize::from(app.control.armed.is_some()));
        if app.keep_outcome {
            app.control.outbox = app.control.outbox.take().map(|outbox| {
                let emptied = outbox.emptied();
                again(id, || drop(outbox));
                emptied
            });
            let outcome = app.outcome.take().map_or(Outcome::Stopped, |outcome| *outcome);
            self.apps.finished = Some(Finished { outcome, app });
        } else {
            again(id, || drop(app));
        }
    }
}
