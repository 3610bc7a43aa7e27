//! Running a reactor: waiting, and a turn after each wait.

use std::future::poll_fn;
use std::io;
use std::panic::resume_unwind;
use std::task::Poll;
use std::time::Duration;

use websocket_dispatcher::{Dispatcher, Next, PollWait, Wait};

use super::Reactor;
use crate::apps::{App, Apps};
use crate::error::Error;
use crate::outcome::Outcome;
use crate::schedule::later;

/// Observations that a turn of `run_async` handles at most: its task should not keep the thread for longer than a millisecond or so.
const SHARE: usize = 256;

impl<D: Dispatcher> Reactor<D> {
    /// Takes a turn with `at_most` of the observations; the rest is for the next one.
    fn turn_with_what_was_seen(&mut self, at_most: usize) -> Next {
        let mut share = std::mem::take(&mut self.share);
        share.clear();
        if self.ready.len() <= at_most {
            std::mem::swap(&mut share, &mut self.ready);
        } else {
            share.extend(self.ready.drain(..at_most));
        }
        (self.turn_is_due, self.gave_way) = (!self.ready.is_empty(), false);
        self.apps.host_waits_for = None;
        let next = self.take_turn(&share);
        self.share = share;
        next.unwrap_or_else(|panic| resume_unwind(panic))
    }

    fn is_done(&mut self) -> bool {
        self.apps.stopped || (self.apps.is_empty() && self.apps.holders.is_empty() && !self.apps.has_jobs())
    }
}

impl<D: PollWait> Reactor<D> {
    /// Runs until all apps have ended, or the reactor is stopped, and leaves the thread to other tasks while there
    /// is nothing to do.
    ///
    /// It takes one turn each time that its task is polled, for 256 ready streams at most, so other tasks of the
    /// thread run between two turns. Dropping the future loses nothing: the next one continues. Other tasks reach
    /// the reactor by its [handle](Self::handle) and by senders.
    ///
    /// # Errors
    /// [`Error::Dispatcher`] when the event loop is broken. Every app gets that error in `on_error`, and `on_close`.
    pub async fn run_async(&mut self) -> Result<(), Error> {
        self.apps.stopped = false;
        while !self.is_done() {
            if let Err(error) = self.poll_wait().await {
                return Err(self.break_down(error));
            }
            self.turn_with_what_was_seen(SHARE);
        }
        Ok(())
    }

    /// Runs as [`run_async`](Self::run_async) does, until `done`, which is asked before every turn, or until the reactor is stopped: with
    /// `|_| false`, a reactor that apps are added to while it runs stays also while it has none.
    ///
    /// # Errors
    /// As [`run_async`](Self::run_async).
    pub async fn run_async_until(&mut self, mut done: impl FnMut(&mut Apps) -> bool) -> Result<(), Error> {
        self.apps.stopped = false;
        while !self.apps.stopped && !done(self.apps()) {
            if let Err(error) = self.poll_wait().await {
                return Err(self.break_down(error));
            }
            self.turn_with_what_was_seen(SHARE);
        }
        Ok(())
    }

    /// Waits until a turn is due, and gives way to other tasks at least once.
    async fn poll_wait(&mut self) -> io::Result<()> {
        let deadline = self.next_deadline();
        poll_fn(|cx| {
            if !self.turn_is_due {
                let Poll::Ready(waited) = self.dispatcher.poll_wait(cx, deadline, &mut self.ready) else {
                    self.gave_way = true;
                    return Poll::Pending;
                };
                waited?;
                self.turn_is_due = true;
            }
            if std::mem::replace(&mut self.gave_way, true) {
                return Poll::Ready(Ok(()));
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await
    }
}

impl<D: Wait> Reactor<D> {
    /// Runs one app and nothing else; returns its outcome and the app.
    pub(crate) fn run_alone(mut self, app: Box<App>) -> (Result<Outcome, Error>, Option<Box<App>>) {
        let id = self.apps.insert(app);
        self.apps.keeps_outcome_of = Some(id);
        let ran = self.run();
        let Some(finished) = self.apps.finished.take() else { return (ran.map(|()| Outcome::Stopped), None) };
        (ran.map(|()| finished.outcome), Some(finished.app))
    }

    /// Waits until something happens, at most `timeout` long, then takes a turn. `None` waits without limit, zero only looks.
    ///
    /// # Errors
    /// [`Error::Dispatcher`] when the event loop is broken. Every app gets that error in `on_error`, and `on_close`; none
    /// connects again.
    pub fn poll(&mut self, timeout: Option<Duration>) -> Result<Next, Error> {
        let next = self.wait_and_turn(timeout);
        self.dispatcher.hand_over();
        next
    }

    fn wait_and_turn(&mut self, timeout: Option<Duration>) -> Result<Next, Error> {
        let limit = timeout.map(|timeout| later(self.apps.env.clock().now(), timeout));
        let deadline = [self.next_deadline(), limit].into_iter().flatten().min();
        let waited = self.dispatcher.wait(deadline, &mut self.ready);
        let next = self.turn_with_what_was_seen(usize::MAX);
        match waited {
            Ok(()) => Ok(next),
            Err(error) => Err(self.break_down(error)),
        }
    }

    /// Runs until all apps have ended, or the reactor is stopped.
    ///
    /// # Errors
    /// As [`poll`](Self::poll).
    pub fn run(&mut self) -> Result<(), Error> {
        self.apps.stopped = false;
        while !self.is_done() {
            self.wait_and_turn(None)?;
        }
        self.dispatcher.hand_over();
        Ok(())
    }

    /// Runs until `done`, which is asked before every turn, or the reactor is stopped.
    ///
    /// # Errors
    /// As [`poll`](Self::poll).
    pub fn run_until(&mut self, mut done: impl FnMut(&mut Apps) -> bool) -> Result<(), Error> {
        self.apps.stopped = false;
        while !self.apps.stopped && !done(self.apps()) {
            self.wait_and_turn(None)?;
        }
        self.dispatcher.hand_over();
        Ok(())
    }
}
