//! The connection beside the one that an app uses: its successor until that opens, its predecessor from then on.

use std::mem::{replace, swap};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use websocket_connection::State;

use super::stage::Companion;
use super::{App, Apps, Context, Control, Identity, Stage};
use crate::error::Error;
use crate::panics::contain_panic;
use crate::phases::CompactPhases;
use crate::schedule::later;
use crate::unwritten::UnwrittenMessages;

impl Control {
    /// Whether the app's own fields have the connection of its [`Companion`].
    #[inline]
    pub(crate) fn is_swapped(&self) -> bool {
        self.companion.as_ref().is_some_and(|companion| companion.is_swapped)
    }

    /// The companion, while its connection is in the app's own fields.
    pub(crate) fn companion_in_place(&mut self) -> Option<&mut Companion> {
        self.companion.as_deref_mut().filter(|companion| companion.is_swapped)
    }

    /// Whether the connection in the app's own fields is one that was replaced.
    #[inline]
    pub(crate) fn serves_predecessor(&self) -> bool {
        self.companion.as_ref().is_some_and(|companion| companion.is_swapped && companion.is_predecessor)
    }

    /// Lends the connection in use to `work` while that borrows the rest of the app for a predecessor.
    pub(crate) fn with_stage_in_use<R>(
        &mut self,
        work: impl FnOnce(&mut Self, &mut Stage) -> R,
    ) -> Option<R> {
        let mut stage = replace(&mut self.companion.as_mut()?.stage, Stage::Over);
        self.swap_output();
        let outcome = catch_unwind(AssertUnwindSafe(|| work(self, &mut stage)));
        self.swap_output();
        if let Some(companion) = &mut self.companion {
            companion.stage = stage;
        }
        Some(outcome.unwrap_or_else(|panic| resume_unwind(panic)))
    }

    /// Exchanges what is known of the outputs of the two connections.
    fn swap_output(&mut self) {
        if let (Some(outbox), Some(companion)) = (&mut self.outbox, &mut self.companion) {
            outbox.swap(&mut companion.output);
        }
    }

    /// A connection opens. Returns whether it is a successor, which from now on is the one that the app uses.
    pub(crate) fn take_over(&mut self, identity: Identity<'_>, apps: &mut Apps) -> bool {
        let Some(companion) = self.companion_in_place() else { return false };
        (companion.is_swapped, companion.is_predecessor) = (false, true);
        let streak = companion.streak.take();
        if let Stage::Live(live) = &mut companion.stage {
            // Nothing that the program could resume reading with leads to it any more.
            live.connection.tx().set_paused(false);
        }
        let overlap = identity.plan.options.connect.feed.renew_overlap;
        companion.closes_at = Some(later(apps.env.now(), overlap));
        self.streak = streak;
        if let Some(queue) = self.outbox.as_mut().and_then(|outbox| outbox.send_queue()) {
            queue.hold_back();
        }
        self.mark_dirty(apps, identity.id);
        log::debug!(target: "websocket::life_cycle", "{}: a successor takes over", identity.id);
        contain_panic(identity.id, || self.timers.clear(&mut apps.schedule));
        true
    }
}

impl App {
    /// Makes room for a successor. It is to be dialled while the two are swapped.
    pub(crate) fn add_successor(&mut self) {
        self.control.companion = Some(Box::new(Companion {
            stage: Stage::Over,
            attempt: None,
            failure: None,
            on_open: None,
            phases: CompactPhases::default(),
            url: self.plan.current_url(),
            streak: None,
            output: UnwrittenMessages::default(),
            is_predecessor: false,
            is_swapped: false,
            closes_at: None,
        }));
    }

    /// Exchanges the connection that the app uses for its companion, or back.
    pub(crate) fn swap(&mut self) {
        let Some(mut companion) = self.control.companion.take() else { return };
        if !companion.is_predecessor {
            swap(&mut self.control.streak, &mut companion.streak);
            // Whichever connection can open next has the user's source of mask keys.
            if let Stage::Live(live) = &mut self.stage {
                self.plan.extras(|extras| &mut extras.mask_key, live.connection.tx().take_mask_key());
            }
            if let Stage::Live(live) = &mut companion.stage {
                live.connection.tx().set_mask_key(self.plan.take(|extras| &mut extras.mask_key));
            }
        }
        swap(&mut self.stage, &mut companion.stage);
        swap(&mut self.attempt, &mut companion.attempt);
        swap(&mut self.control.on_open, &mut companion.on_open);
        swap(&mut self.control.phases, &mut companion.phases);
        self.plan.swap_url(&mut companion.url);
        if let Some(outbox) = &mut self.control.outbox {
            outbox.swap(&mut companion.output);
        }
        companion.is_swapped = !companion.is_swapped;
        self.control.companion = Some(companion);
    }

    /// Forgets a companion whose stream is gone. What it had of senders' messages is sent on the connection that the app
    /// uses. Returns its failure.
    pub(crate) fn remove_companion(&mut self) -> Option<Error> {
        let Companion { output, failure, .. } = *self.control.companion.take()?;
        if let Some(outbox) = &mut self.control.outbox {
            outbox.resend(output);
        }
        failure
    }
}

impl Context<'_> {
    /// Opens a successor of this connection, which is used until the successor is open: for servers that end every
    /// connection after some hours, and for a change of address or token. [`RunOptions::renew_every`] does so by itself.
    ///
    /// The successor is an attempt like any other, with its functions, limits and deadlines. When it is open,
    /// [`on_open`](crate::Handler::on_open) is called with [`Open::is_successor`](crate::Open::is_successor); from there on everything that is
    /// sent goes to the new connection, and the app's timers have ended as at the end of an attempt. `on_reconnect` and
    /// `on_close` are not called. After [`RunOptions::renew_overlap`] the old connection is closed with code 1000; until
    /// it has ended, its messages are delivered.
    ///
    /// If the successor fails, [`on_error`](crate::Handler::on_error) gets [`Error::Successor`], and the old
    /// connection continues. If the old connection fails or is closed first, the successor is dropped, and the policy for reconnecting decides.
    ///
    /// It has no effect unless the connection is open, or while a successor is under way, or while the previous connection has not ended
    /// yet.
    ///
    /// ```
    /// use std::time::Duration;
    /// use websocket_app::{Error, WebSocketApp};
    ///
    /// let app = WebSocketApp::new("ws://127.0.0.1:9001/")
    ///     .on_message(|app, message| {
    ///         if message.as_bytes() == b"maintenance in one minute" {
    ///             app.renew();
    ///         }
    ///     })
    ///     .on_error(|app, error| {
    ///         if let Error::Successor(_) = error {
    ///             app.set_timeout(Duration::from_secs(5), |app| app.renew());
    ///         }
    ///     });
    /// # let _ = app;
    /// ```
    ///
    /// [`RunOptions::renew_every`]: crate::RunOptions::renew_every
    /// [`RunOptions::renew_overlap`]: crate::RunOptions::renew_overlap
    pub fn renew(&mut self) {
        if self.state() == State::Open && self.control.companion.is_none() {
            self.control.wants_successor = true;
            self.apps.look_at(self.identity.id);
        }
    }

    /// Closes the predecessor of this connection before [`RunOptions::renew_overlap`](crate::RunOptions::renew_overlap) is over: when the server has
    /// confirmed the subscription on the new connection, for instance. Without a predecessor it has no effect.
    pub fn end_overlap(&mut self) {
        let now = self.apps.env.now();
        if let Some(closes_at) = self.control.companion.as_mut().and_then(|it| it.closes_at.as_mut()) {
            *closes_at = now;
            self.apps.look_at(self.identity.id);
        }
    }

    /// Returns whether the callback that runs is about something that has come on the predecessor of this connection, which a successor has
    /// replaced: a message that the new connection may bring as well.
    pub fn is_from_predecessor(&self) -> bool {
        self.control.serves_predecessor()
    }
}
