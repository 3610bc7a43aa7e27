//! The end of an attempt: `on_error` for its failure, then `on_close`, the last callback.

use websocket_connection::Side;

use super::AppId;
use super::app::{App, Stage};
use super::apps::Finished;
use super::drive::{Driver, again};
use crate::{Closed, Context, Error, Outcome};

impl Driver<'_> {
    /// Ends the attempt, with `error` unless its failure has been reported before.
    pub(super) fn end(&mut self, app: &mut App, id: AppId, error: Option<Error>) {
        if app.control.ended {
            return;
        }
        if let Some(error) = error {
            app.report(id, self.apps, error);
        }
        self.finish(app, id, None);
    }

    /// Closes the stream and calls `on_close`. The outcome is `outcome`, or what the connection says.
    pub(super) fn finish(&mut self, app: &mut App, id: AppId, outcome: Option<Outcome>) {
        if app.control.ended {
            return;
        }
        app.control.ended = true;
        let mut frame = None;
        let mut by = app.control.close_before_open.then_some(Side::Client);
        if let Stage::Live(live) = &app.stage {
            frame = live.connection.close_frame().cloned();
            by = live.connection.closing_side().or(by);
        }
        self.close_stream(app);
        let unsent = app.control.outbox.as_mut().map(|outbox| outbox.close()).unwrap_or_default();

        let frame_came = frame.is_some();
        let frame = frame.unwrap_or_default();
        let outcome = match (app.failure.take(), outcome) {
            (Some(error), _) => Outcome::Lost(*error),
            (None, Some(outcome)) => outcome,
            (None, None) => {
                let by = by.unwrap_or(Side::Client);
                Outcome::Clean { code: frame.code, reason: frame.reason.clone(), by }
            }
        };
        let App { handler, control, outcome: kept, .. } = app;
        // Kept before on_close is called, which may panic.
        let outcome = &**kept.insert(Box::new(outcome));
        let error = if let Outcome::Lost(error) = outcome { Some(error) } else { None };
        let closed = Closed {
            code: frame.code,
            reason: &frame.reason,
            by: if error.is_some() { None } else { by },
            clean: frame_came && matches!(outcome, Outcome::Clean { .. }),
            error,
            unsent: &unsent,
        };
        if self.apps.interrupted {
            return;
        }
        let mut context = Context { apps: self.apps, id, control, live: None };
        if let Err(error) = handler.on_close(&mut context, &closed) {
            log::error!(target: "websocket::app", "{id}: on_close, the last callback, returned an error: {error}");
        }
    }

    /// Gives the stream back to the dispatcher, which drops it, and what the app lent to the connection back to the app.
    pub(super) fn close_stream(&mut self, app: &mut App) {
        match std::mem::replace(&mut app.stage, Stage::Ended) {
            Stage::Connecting(connecting) => {
                self.dispatcher.deregister(connecting.key, connecting.io);
                self.apps.free_key(connecting.key);
            }
            Stage::Live(mut live) => {
                app.plan.extras(|extras| &mut extras.mask_key, live.connection.tx().take_mask_key());
                live.connection.abort(&mut self.apps.env);
                self.dispatcher.deregister(live.key, live.io);
                self.apps.free_key(live.key);
            }
            Stage::New | Stage::Resolving(_) | Stage::Ended => {}
        }
    }

    /// Lets go of everything that a removed app holds, silently.
    pub(super) fn release(&mut self, mut app: Box<App>, id: AppId) {
        self.close_stream(&mut app);
        self.retire(app, id);
    }

    /// Drops an app that has ended or was removed, or keeps it for whoever waits for its outcome.
    pub(super) fn retire(&mut self, mut app: Box<App>, id: AppId) {
        again(id, || app.control.timers.clear(self.apps));
        self.apps.schedule.forget(usize::from(app.control.armed.is_some()));
        if app.keep_outcome {
            let outcome = app.outcome.take().map_or(Outcome::Stopped, |outcome| *outcome);
            self.apps.finished = Some(Finished { outcome, app });
        } else {
            again(id, || drop(app));
        }
    }
}
