//! What waits for its part of a turn, and how much of the turn's budget is left for it.

use websocket_dispatcher::Ready;

use super::{Apps, ToRead};
use crate::id::AppId;
use crate::threads::Job;
use crate::watched::Watched;

impl Apps {
    /// Whether other threads have asked for something that is not done yet.
    pub(crate) fn has_jobs(&self) -> bool {
        !self.jobs.is_empty() || self.inbox.has_jobs()
    }

    /// Takes what other threads have asked for.
    pub(crate) fn fetch_jobs(&mut self) {
        if self.inbox.has_jobs() {
            self.inbox.take(&mut self.jobs);
        }
    }

    /// Queues the streams that the dispatcher has reported.
    pub(crate) fn queue_streams(&mut self, ready: &[Ready], watched: &mut Watched) {
        for ready in ready {
            if watched.report(*ready) {
                self.reads.push_back(ToRead::Stream(ready.key));
            }
        }
    }

    /// What the app that runs has sent is written. Where others were listed after it, it stays on the list, and has nothing to write.
    pub(crate) fn forget_written(&mut self, id: AppId) {
        if self.dirty.last() == Some(&id) {
            self.dirty.pop();
        }
    }

    /// Whether an answer of the resolver for this app waits to be handled.
    pub(crate) fn has_answer_for(&self, id: AppId) -> bool {
        let is_answer = |job: &Job| matches!(job, Job::Resolved { app, .. } if *app == id);
        // What is in the inbox stays there: it is what ends the reading of this turn.
        self.jobs.iter().any(is_answer) || self.inbox.has(is_answer)
    }

    /// Whether the turn has used up its budget.
    pub(crate) fn turn_is_over(&mut self) -> bool {
        self.pace.turn_is_over(self.env.nanos())
    }

    /// Apps begin to be delivered what they have received.
    pub(crate) fn begin_reads(&mut self) {
        self.pace.begin_reads(self.env.nanos());
    }

    /// An app begins to be delivered what it has received.
    #[inline]
    pub(crate) fn begin_visit(&mut self, max_stride: u8) {
        self.pace.begin_visit(self.env.nanos(), max_stride);
    }

    /// A message was delivered; whether [`pauses`](Self::pauses) is to be asked if there is more to deliver or to read.
    #[inline]
    pub(crate) fn may_pause(&mut self) -> bool {
        self.pace.count() || self.inbox.has_jobs()
    }

    /// Whether the others have their turn now.
    #[inline(never)]
    pub(crate) fn pauses(&mut self) -> bool {
        self.env.now();
        let now = self.env.nanos();
        self.meter.look(now);
        self.pace.look(now, self.inbox.has_jobs())
    }

    /// The same before more is read or decrypted. An app that was delivered nothing in this visit continues.
    pub(crate) fn pauses_before_more(&mut self) -> bool {
        self.pace.is_to_look_before_more(self.inbox.has_jobs()) && self.pauses()
    }

    /// Whether delivery to the app ends for now: the others have their turn, or its reading `is_paused`. Reads the clock in any case, since
    /// a callback has run.
    pub(crate) fn ends_visit(&mut self, is_paused: bool) -> bool {
        self.pauses() || is_paused
    }
}
