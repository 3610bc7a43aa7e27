//! What is due: timers, and the deadlines of attempts and connections.

use std::time::Instant;

use websocket_connection::State;

use super::drive::Driver;
use crate::apps::{App, Stage, check};
use crate::dial::Dial;
use crate::error::Error;
use crate::id::AppId;
use crate::live::LiveDeadline;
use crate::schedule::{Due, Entry};

impl Driver<'_> {
    pub(super) fn due(&mut self, app: &mut App, id: AppId, entry: Entry) {
        let timer = match entry.due {
            Due::Timer(timer) => timer,
            // One that was armed before may come after its successor.
            Due::Deadline if app.control.armed != Some(entry.armed()) => return,
            Due::Deadline => {
                app.control.armed = None;
                return self.deadline(app, id);
            }
        };
        let Some(mut call) = app.control.timers.fire(timer) else { return };
        let (handler, mut context) = app.split(id, self.apps);
        let result = call(&mut context);
        check(handler, &mut context, result);
        app.control.timers.rearm(timer, call, entry.at, id, self.apps);
    }

    /// A deadline of the app may be due.
    fn deadline(&mut self, app: &mut App, id: AppId) {
        if app.due().is_none_or(|due| due > self.apps.env.now()) {
            return;
        }
        match &app.stage {
            // The answer has come, and is only yet to be handled.
            Stage::Dialling(dial) if dial.is_resolving() && self.apps.has_answer_for(id) => {}
            Stage::Dialling(_) => {
                self.dial(app, id, Dial::expired);
                // A stream that has just arrived may still be too late to be opened.
                let now = self.apps.env.now();
                self.judge(app, id, now);
            }
            Stage::Live(_) => {
                // Time in which the reactor did not look at the stream is not held against the server.
                if matches!(&app.stage, Stage::Live(live) if live.connection.state() != State::Connecting) {
                    self.write(app, id);
                }
                let looked = self.apps.env.now();
                if matches!(&app.stage, Stage::Live(live) if !live.queued) && !self.apps.interrupted {
                    self.read(app, id, None);
                }
                self.judge(app, id, looked);
            }
            Stage::Over => self.start(app, id),
        }
    }

    /// Judges a live connection by its deadline, now that what had arrived when the reactor `looked` was read.
    fn judge(&mut self, app: &mut App, id: AppId, looked: Instant) {
        // It may have ended, or been removed, by what was read.
        let Stage::Live(live) = &mut app.stage else { return };
        if self.apps.interrupted {
            return;
        }
        let mut judged_at = looked;
        let is_closing = live.connection.state() == State::Closing;
        if is_closing || (live.connection.state() == State::Open && !live.is_broken()) {
            // Our close frame may have been queued in this very turn: its time begins when it is written. And room may have come during the
            // read. What else follows from writing waits for the end of the turn: a callback would take time in which more arrives.
            app.control.mark_dirty(self.apps, id);
            let written = live.write_all(self.apps.env.current(), &mut self.apps.scratch);
            let _courtesy = app.control.wrote(written);
            if is_closing && live.queued {
                judged_at = self.apps.env.now();
            }
        }
        let deadline = match live.due() {
            Some((at, deadline)) if at <= judged_at => deadline,
            _ => return live.is_in_time(),
        };
        if is_closing && live.queued {
            // However slow the callbacks are, they do not hold up the end.
            if let Err(error) = live.look_for_close(self.buffer, self.apps.env.untimed()) {
                self.failed(app, id, error);
            }
        }
        let Stage::Live(live) = &mut app.stage else { return };
        if self.apps.interrupted {
            return;
        }
        let outcome = match deadline {
            LiveDeadline::Timeout(_) if !live.can_be_judged() => return,
            // The head of a refusal may be there, and says more.
            LiveDeadline::Timeout(timeout) => match live.connection.take_refusal(self.apps.env.current()) {
                Some(refusal) => Err(refusal),
                None => return self.end(app, id, Some(Error::Timeout(timeout))),
            },
            LiveDeadline::Connection if is_closing || live.can_be_judged() => {
                live.connection.handle_timeout(self.apps.env.as_of(judged_at))
            }
            // What waits to be read does not keep pings from being sent, nor does it say that the server reads them.
            LiveDeadline::Connection if live.is_broken() => return,
            LiveDeadline::Connection => {
                live.connection.handle_timeout_of_output(self.apps.env.as_of(judged_at))
            }
        };
        if live.connection.queued_bytes() > 0 {
            app.control.mark_dirty(self.apps, id);
        }
        if let Err(error) = outcome {
            self.failed(app, id, error.into());
        }
    }
}
