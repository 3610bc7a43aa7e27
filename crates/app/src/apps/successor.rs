//! The connection beside the one that an app uses: its successor until that opens, its predecessor from then on.

use std::mem::{replace, swap};
use std::time::Instant;

use websocket_connection::State;

use super::app::{App, Control, OpenDetails, Stage};
use super::{Apps, Context, Identity};
use crate::attempts::Streak;
use crate::dial::Attempt;
use crate::error::Error;
use crate::panics::contain_panic;
use crate::plan::CurrentUrl;
use crate::schedule::later;
use crate::threads::Output;

/// The connection beside the one that the app uses, and what else there is once per connection.
///
/// It exists only while the app's own stage is live. Code that works on one connection can work on this one while the two
/// are [swapped](App::swap); [`Control::is_swapped`] tells it not to end the app, nor to call it.
pub(crate) struct Companion {
    pub(crate) stage: Stage,
    attempt: Option<Box<Attempt>>,
    pub(crate) failure: Option<Box<Error>>,
    on_open: Option<Box<OpenDetails>>,
    url: CurrentUrl,
    /// The app's own, while a successor is in its place: what becomes of that does not count for reconnecting.
    streak: Option<Box<Streak>>,
    /// What the output of the connection holds of senders' messages.
    pub(crate) output: Output,
    /// The app uses the successor, and this is what it has used before.
    pub(crate) is_predecessor: bool,
    /// The app's own fields have this connection, and these have the app's.
    is_swapped: bool,
    /// When a predecessor is to be closed; `None` once it is.
    pub(crate) closes_at: Option<Instant>,
}

impl Companion {
    /// The deadline of this connection.
    pub(crate) fn due(&self) -> Option<Instant> {
        let own = match &self.stage {
            Stage::Dialling(dial) => dial.due(),
            Stage::Live(live) => live.due(self.attempt.as_ref().map(|attempt| attempt.deadline)),
            Stage::Over => None,
        };
        own.into_iter().chain(self.closes_at).min()
    }
}

impl Control {
    /// Whether the app's own fields have the connection of its [`Companion`].
    #[inline]
    pub(crate) fn is_swapped(&self) -> bool {
        self.companion.as_ref().is_some_and(|companion| companion.is_swapped)
    }

    /// Whether the connection in the app's own fields is one that was replaced.
    #[inline]
    pub(crate) fn serves_predecessor(&self) -> bool {
        self.companion.as_ref().is_some_and(|companion| companion.is_swapped && companion.is_predecessor)
    }

    /// A connection opens. Returns whether it is a successor, which from now on is the one that the app uses.
    pub(crate) fn take_over(&mut self, identity: Identity<'_>, apps: &mut Apps) -> bool {
        let Some(companion) = self.companion.as_mut().filter(|companion| companion.is_swapped) else {
            return false;
        };
        (companion.is_swapped, companion.is_predecessor) = (false, true);
        self.streak = companion.streak.take();
        let overlap = identity.plan.options.connect.feed.renew_overlap;
        companion.closes_at = Some(later(apps.env.now(), overlap));
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
            url: self.plan.current_url(),
            streak: None,
            output: Output::default(),
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
        swap(&mut self.failure, &mut companion.failure);
        swap(&mut self.control.on_open, &mut companion.on_open);
        self.plan.swap_url(&mut companion.url);
        if let Some(outbox) = &mut self.control.outbox {
            swap(outbox.output(), &mut companion.output);
        }
        companion.is_swapped = !companion.is_swapped;
        self.control.companion = Some(companion);
    }

    /// Forgets a companion whose stream is gone. What it had of senders' messages is sent on the connection that the app
    /// uses. Returns the failure of a successor.
    pub(crate) fn remove_companion(&mut self) -> Option<Box<Error>> {
        let Companion { output, failure, is_predecessor, .. } = *self.control.companion.take()?;
        if let Some(outbox) = &mut self.control.outbox {
            outbox.resend(output);
        }
        failure.filter(|_| !is_predecessor)
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
    /// If the successor fails, [`on_error`](crate::Handler::on_error) gets [`Error::Successor`](crate::Error::Successor), and the old
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

impl Companion {
    /// Takes the stage out, for as long as callbacks borrow the rest.
    pub(crate) const fn take_stage(&mut self) -> Stage {
        replace(&mut self.stage, Stage::Over)
    }
}
