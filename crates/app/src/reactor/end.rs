//! The end of an attempt: `on_error` for its failure, then `on_close`, the last callback.

use websocket_connection::Side;

use super::AppId;
use super::app::{App, Stage};
use super::apps::Finished;
use super::drive::Driver;
use crate::sender::{Command, OwnedMessage};
use crate::{Closed, Error, Outcome};

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
        let unsent = Self::unsent(app);
        app.control.timers.clear(self.apps);

        let failure = app.failure.take();
        let frame_came = frame.is_some();
        let frame = frame.unwrap_or_default();
        let closed = Closed {
            code: frame.code,
            reason: &frame.reason,
            by: if failure.is_some() { None } else { by },
            clean: frame_came && failure.is_none() && outcome.is_none(),
            error: failure.as_deref(),
            unsent: &unsent,
        };
        app.call(id, self.apps, |handler, context| handler.on_close(context, &closed));
        app.outcome = Some(Box::new(match (outcome, failure) {
            (Some(outcome), _) => outcome,
            (None, Some(error)) => Outcome::Lost(*error),
            (None, None) => {
                Outcome::Clean { code: frame.code, reason: frame.reason, by: by.unwrap_or(Side::Client) }
            }
        }));
    }

    /// What senders were promised and the wire never saw.
    fn unsent(app: &mut App) -> Vec<OwnedMessage> {
        let mut unsent: Vec<_> = std::mem::take(&mut app.control.backlog).into();
        if let Some(shared) = &app.control.shared {
            unsent.extend(shared.detach().into_iter().filter_map(|command| match command {
                Command::Send(message) => Some(message),
                _ => None,
            }));
        }
        unsent
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
                live.connection.close(&mut self.apps.env);
                self.dispatcher.deregister(live.key, live.io);
                self.apps.free_key(live.key);
            }
            Stage::New | Stage::Resolving(_) | Stage::Ended => {}
        }
    }

    /// Lets go of everything that a removed app holds, silently.
    pub(super) fn release(&mut self, app: &mut App) {
        self.close_stream(app);
        if let Some(shared) = app.control.shared.take() {
            shared.detach();
        }
        app.control.timers.clear(self.apps);
        self.apps.schedule.forget(usize::from(app.control.armed.is_some()));
    }

    /// Drops an app that has ended, or keeps it for whoever waits for its outcome.
    pub(super) fn retire(&mut self, mut app: Box<App>) {
        self.apps.schedule.forget(usize::from(app.control.armed.is_some()));
        if let (true, Some(outcome)) = (app.keep_outcome, app.outcome.take()) {
            self.apps.finished = Some(Finished { outcome: *outcome, app });
        }
    }
}
