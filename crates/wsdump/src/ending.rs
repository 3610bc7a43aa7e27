//! What ends the run.

use std::fmt;
use std::io;
use std::time::Duration;

use websocket_app::Context;

use crate::exit::Exit;
use crate::session::{Session, State};

/// Silence after the end of the input that ends the run, where nothing else does.
const ANSWER: Duration = Duration::from_secs(1);

impl State {
    /// The run ends like this, unless something else has decided before.
    pub(crate) fn finish(&mut self, app: &mut Context<'_>, exit: Exit) {
        self.exit.get_or_insert(exit);
        if self.is_patient() && app.is_open() {
            // Behind the messages that wait there.
            app.sender().close();
        } else {
            app.close();
        }
    }

    /// Whether what was sent waits for the next connection where this one is lost.
    pub(crate) const fn is_patient(&self) -> bool {
        !self.arguments.reconnect.is_zero()
    }

    pub(crate) fn pongs(&self) -> u64 {
        self.round_trips.as_ref().map_or(0, |round_trips| round_trips.pongs())
    }

    /// Ends the run once as many messages have come as were sent, if that is what it waits for.
    pub(crate) fn look_for_answers(&mut self, app: &mut Context<'_>) {
        if self.awaits_answers && self.sent > 0 && self.conditions.seen() >= self.sent {
            self.finish(app, Exit::Done);
        }
    }

    /// Says on standard error, or at the prompt, what has gone wrong.
    pub(crate) fn complain(&self, text: impl fmt::Display) -> io::Result<()> {
        if self.is_at_keyboard {
            return self.output.lock().note(text);
        }
        eprintln!("wsdump: {text}");
        Ok(())
    }
}

impl Session {
    /// Everything was sent, and the input has ended.
    pub(crate) fn input_ended(&self, app: &mut Context<'_>) {
        let mut state = self.0.borrow_mut();
        if state.is_at_keyboard {
            let end = state.conditions.end();
            return state.finish(app, end);
        }
        let session = self.clone();
        if let Some(wait) = state.arguments.eof_wait {
            app.set_timeout(wait, move |app| {
                let mut state = session.0.borrow_mut();
                let end = state.conditions.end();
                state.finish(app, end);
            });
        } else if !state.arguments.has_ending() {
            state.awaits_answers = true;
            state.look_for_answers(app);
            drop(state);
            self.end_in_silence(app, ANSWER, ANSWER);
        }
    }

    /// Looks after `delay` whether no message has passed for `silence`, and ends the run then.
    pub(crate) fn end_in_silence(&self, app: &mut Context<'_>, silence: Duration, delay: Duration) {
        let session = self.clone();
        app.set_timeout(delay, move |app| {
            let mut state = session.0.borrow_mut();
            let lasts = app.now().saturating_duration_since(state.last_message);
            if lasts >= silence {
                let end = state.conditions.end();
                return state.finish(app, end);
            }
            drop(state);
            session.end_in_silence(app, silence, silence - lasts);
        });
    }

    /// The time of `--timeout` is up.
    pub(crate) fn timed_out(&self, app: &mut Context<'_>) {
        self.0.borrow_mut().finish(app, Exit::Timeout("the run was not over within --timeout".into()));
    }

    /// The user wants to end.
    pub(crate) fn interrupted(&self, app: &mut Context<'_>) {
        let mut state = self.0.borrow_mut();
        let end = state.conditions.end();
        state.finish(app, end);
    }
}
