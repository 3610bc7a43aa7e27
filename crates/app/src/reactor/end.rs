//! The end of an attempt: `on_error` for its failure, then `on_close`, its last callback; and whether another
//! attempt follows. The end of a run: `on_end`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use websocket_connection::{CloseCode, Side, State};

use super::drive::Driver;
use super::show::show;
use crate::apps::{App, Apps, Context, Finished, Identity, Stage};
use crate::error::Error;
use crate::id::AppId;
use crate::outcome::{Closed, NoRetry, Outcome};
use crate::panics::{contain_panic, panic_message};
use crate::threads::Job;

/// What follows an attempt that ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum AfterEnd {
    /// The policy for reconnecting decides.
    Ask,
    /// Nothing: a callback has panicked, and the app is broken.
    Nothing,
    /// Nothing: the reactor stops.
    Stop,
}

impl Driver<'_> {
    /// Ends the attempt, with `error` unless its failure has been reported before.
    pub(super) fn end(&mut self, app: &mut App, id: AppId, error: Option<Error>) {
        if let Some(companion) = app.control.companion_in_place() {
            // The rest is done when the app has its own connection again.
            companion.failure = companion.failure.take().or(error);
            return self.close_stream(app, id);
        }
        if app.attempt_is_over() {
            return app.give_up(id);
        }
        if let Some(error) = error {
            app.report(id, self.apps, error);
        }
        self.finish(app, id, AfterEnd::Ask);
        self.apps.env.user_code_ran();
    }

    /// Ends the attempt because the reactor stops, which is a failure if its loop is `broken`.
    pub(super) fn stop(&mut self, app: &mut App, id: AppId, broken: Option<Error>) {
        if app.attempt_is_over() {
            app.outcome = Some(Box::new(broken.map_or(Outcome::Stopped, Outcome::Lost)));
            return app.give_up(id);
        }
        app.say_goodbye(CloseCode::Away, self.apps);
        if let Some(error) = broken.filter(|_| app.failure.is_none()) {
            app.report(id, self.apps, error);
        }
        self.finish(app, id, AfterEnd::Stop);
    }

    /// Closes the stream and calls `on_close`, the last callback of the attempt.
    pub(super) fn finish(&mut self, app: &mut App, id: AppId, next: AfterEnd) {
        if app.attempt_is_over() {
            return;
        }
        let (mut frame, mut clean) = (None, false);
        let mut by = app.control.close_requested.then_some(Side::Client);
        if let Stage::Live(live) = &app.stage {
            frame = live.connection.close_frame().cloned();
            clean = live.connection.is_clean();
            by = live.connection.closing_side().or(by);
            if live.connection.closing_side().is_some() {
                app.control.log_state(id, State::Closing);
            }
        }
        app.control.log_state(id, State::Closed);
        if let Stage::Dialling(dial) = &app.stage {
            app.control.set_on_trial(dial.connected_to());
        }
        self.hang_up_companion(app, id);
        self.close_stream(app, id);
        let frame = frame.unwrap_or_default();
        let outcome = match app.failure.take() {
            Some(failure) => *failure,
            None if next == AfterEnd::Stop => Outcome::Stopped,
            None => {
                let by = by.unwrap_or(Side::Client);
                Outcome::Clean { code: frame.code, reason: frame.reason.clone(), by }
            }
        };
        let retry = match next {
            AfterEnd::Ask => app.settle_retry(id, &outcome, self.apps),
            AfterEnd::Stop => Err(NoRetry::Stopped),
            AfterEnd::Nothing => Err(NoRetry::Panicked),
        };
        // Kept before the user's code is called, which may panic.
        let outcome = &**app.outcome.insert(Box::new(outcome));
        app.control.ended = retry.is_err();
        drop(app.control.rare.take_drop());
        app.control.wants_successor = false;
        let policy = app.plan.options.connect.unsent;
        let outbox = app.control.outbox.as_mut();
        let unsent = outbox.map(|outbox| outbox.interrupt(retry.is_err(), policy)).unwrap_or_default();
        app.control.blocked = false;
        contain_panic(id, || app.control.timers.clear(&mut self.apps.schedule));

        let error = if let Outcome::Lost(error) = outcome { Some(error) } else { None };
        let closed = Closed {
            code: frame.code,
            reason: &frame.reason,
            by: if error.is_some() { None } else { by },
            clean: clean && error.is_none(),
            error,
            unsent: &unsent,
            retry_in: retry.ok(),
            no_retry: retry.err(),
        };
        if self.apps.is_removed(id) {
            return;
        }
        app.control.in_last_callback = true;
        let identity = Identity { id, plan: &app.plan };
        let control = &mut app.control;
        let mut context =
            Context { apps: self.apps, identity, control, connected: None, failure: None, handler: None };
        let result = app.handler.on_close(&mut context, &closed);
        app.control.in_last_callback = false;
        if let Err(error) = result {
            log::error!(target: "websocket::app", "{identity}: on_close, the last callback, returned an error: {error}");
        }
        if app.control.close_requested {
            app.give_up(id);
        }
        // Orders that came too late for this attempt are for the next.
        if app.control.has_orders() && !app.control.ended {
            self.apps.inbox.push(Job::Commands(id));
        }
        // It may be as large as the body of a response, and the app may wait for long.
        let keeps_outcome = app.control.ended || self.apps.keeps_outcome_of == Some(id);
        if !keeps_outcome && !app.handler.wants_end() {
            app.outcome = None;
        }
    }

    /// Drops the second connection of an app, without a callback.
    pub(super) fn hang_up_companion(&mut self, app: &mut App, id: AppId) {
        if app.control.companion.is_some() {
            app.swap();
            contain_panic(id, || app.say_goodbye(CloseCode::Normal, self.apps));
            self.close_stream(app, id);
            app.swap();
            drop(app.remove_companion());
        }
    }

    /// Gives the stream back to the dispatcher, which drops it, and gives the app back what it lent to the
    /// connection.
    pub(super) fn close_stream(&mut self, app: &mut App, id: AppId) {
        // It counts among the connections that are being made until here.
        app.attempt = None;
        match std::mem::replace(&mut app.stage, Stage::Over) {
            Stage::Dialling(dial) => dial.hang_up(&mut self.net(id)),
            Stage::Live(mut live) => {
                app.plan.extras(|extras| &mut extras.mask_key, live.connection.tx().take_mask_key());
                // Nothing is sent with the key that was not given.
                drop(app.plan.take_mask_failure());
                live.connection.abort(self.apps.env.untimed());
                app.control.rare.keep_stats(live.connection.tx().stats());
                if let Some(secure) = &mut live.secure {
                    contain_panic(id, || secure.say_goodbye(&mut live.wire.io));
                }
                let trace = live.trace();
                contain_panic(id, || show(&app.plan, trace, id, &mut self.apps.env));
                self.net(id).unwatch(live.wire);
            }
            Stage::Over => {}
        }
    }

    /// Puts the app back into its slot with its deadline armed, or drops it.
    pub(super) fn settle(&mut self, mut app: Box<App>, id: AppId) {
        if self.apps.is_removed(id) {
            return self.release(app, id);
        }
        if app.control.ended {
            report_end(&mut app, id, self.apps);
            self.apps.take_removed(id);
            return self.retire(app, id);
        }
        if let Stage::Live(live) = &app.stage {
            let state = live.connection.state();
            app.control.log_state(id, state);
            if state != State::Connecting
                && let Some(attempt) = app.attempt.take()
                && state == State::Open
                && attempt.is_by_connector()
            {
                let options = &app.plan.options.connect.socket;
                contain_panic(id, || self.links.connector.opened(&live.wire.io, options));
            }
        }
        self.apps.arm(&mut app, id);
        app.publish(&mut self.apps.env);
        self.apps.put_back(id, app);
    }

    /// Releases everything that a removed app holds, without a callback.
    pub(super) fn release(&mut self, mut app: Box<App>, id: AppId) {
        self.hang_up_companion(&mut app, id);
        self.close_stream(&mut app, id);
        self.retire(app, id);
    }

    /// Drops an app that has ended or was removed, or keeps it where its outcome is waited for.
    pub(super) fn retire(&mut self, mut app: Box<App>, id: AppId) {
        contain_panic(id, || app.control.timers.clear(&mut self.apps.schedule));
        self.apps.schedule.forget(usize::from(app.control.armed.is_some()));
        app.publish_stats(&mut self.apps.env);
        if self.apps.keeps_outcome_of == Some(id) {
            app.control.outbox = app.control.outbox.take().map(|outbox| {
                let emptied = outbox.emptied();
                contain_panic(id, || drop(outbox));
                emptied
            });
            let outcome = app.outcome.take().map_or(Outcome::Stopped, |outcome| *outcome);
            self.apps.finished = Some(Finished { outcome, app });
        } else {
            contain_panic(id, || drop(app));
        }
        // What the app has dropped is the user's.
        self.apps.env.user_code_ran();
    }

    /// Drops a removed app.
    pub(super) fn discard(&mut self, id: AppId) {
        if let Some(app) = self.apps.take_removed(id) {
            self.release(app, id);
        }
    }

    /// Closes an app whose callback has panicked, and reports the panic to it. Each step calls the user's code,
    /// which may panic again.
    pub(super) fn panicked(&mut self, app: &mut App, id: AppId, message: String) {
        let in_last_callback = std::mem::take(&mut app.control.in_last_callback);
        let over = app.attempt_is_over();
        let ended = over && app.control.ended;
        let is_removed = self.apps.is_removed(id);
        if in_last_callback || is_removed || ended {
            let identity = Identity { id, plan: &app.plan };
            log::error!(target: "websocket::app", "{identity}: a callback panicked, and no other callback can report it: {message}");
        }
        if is_removed || ended {
            return app.give_up(id);
        }
        let error = Error::CallbackPanicked(message);
        if !over {
            contain_panic(id, || app.say_goodbye(CloseCode::Error, self.apps));
        }
        contain_panic(id, || match in_last_callback {
            true => drop(app.failure.get_or_insert_with(|| Box::new(Outcome::Lost(error)))),
            false => app.report(id, self.apps, error),
        });
        if over {
            // It waits to connect again: its last attempt has had its on_close.
            app.outcome = app.failure.take();
            return app.give_up(id);
        }
        contain_panic(id, || self.finish(app, id, AfterEnd::Nothing));
    }
}

/// Calls `on_end`. Nothing follows from an error or a panic in it: the run is over.
fn report_end(app: &mut App, id: AppId, apps: &mut Apps) {
    apps.running = Some(id);
    let called = catch_unwind(AssertUnwindSafe(|| {
        if !app.handler.wants_end() {
            return;
        }
        let App { handler, control, plan, outcome, .. } = &mut *app;
        let outcome = outcome.get_or_insert_with(|| Box::new(Outcome::Stopped));
        let identity = Identity { id, plan };
        let mut context =
            Context { apps: &mut *apps, identity, control, connected: None, failure: None, handler: None };
        if let Err(error) = handler.on_end(&mut context, outcome) {
            log::error!(target: "websocket::app", "{identity}: on_end returned an error: {error}");
        }
        if apps.keeps_outcome_of != Some(id)
            && let Some(outcome) = app.outcome.take()
        {
            app.handler.take_outcome(*outcome);
        }
    }));
    apps.running = None;
    if let Err(panic) = called {
        let identity = Identity { id, plan: &app.plan };
        let message = panic_message(&*panic);
        log::error!(target: "websocket::app", "{identity}: on_end panicked: {message}");
        apps.keep_panic(panic);
    }
}
