//! How far an attempt has come, and the second connection of an app that has two.

use std::time::Instant;

#[cfg(feature = "tls")]
use websocket_link::tls::TlsInfo;

use crate::address::Target;
use crate::attempts::Streak;
use crate::cookies::CookieJar;
use crate::dial::{Attempt, Dial};
use crate::error::Error;
use crate::live::Live;
use crate::phases::CompactPhases;
use crate::plan::CurrentUrl;
use crate::unwritten::UnwrittenMessages;

/// How far the attempt has come.
pub(crate) enum Stage {
    /// There is no stream to the server yet.
    Dialling(Box<Dial>),
    /// There is a stream with a connection on it.
    Live(Box<Live>),
    /// No attempt is under way: the first has not begun, or the last is over; where [`Streak::retry_at`] is
    /// set, another follows.
    Over,
}

/// Details that are needed when the connection opens, and not after.
pub(crate) struct OpenDetails {
    /// Since when the current step of the opening handshake lasts.
    pub(crate) since: Instant,
    /// The jar for the cookies of the response, and where they come from.
    pub(crate) cookies: Option<(CookieJar, Target)>,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<TlsInfo>,
}

impl OpenDetails {
    /// There is a stream to the server since now. `cookies` says where those of the response go, and where they come from.
    pub(crate) fn new(now: Instant, cookies: Option<(CookieJar, Target)>) -> Box<Self> {
        Box::new(Self {
            since: now,
            cookies,
            #[cfg(feature = "tls")]
            tls: None,
        })
    }
}

/// The connection beside the one that the app uses, and what else there is once per connection.
///
/// It exists only while the app's own stage is live. Code that works on one connection can work on this one while the two
/// are [swapped](super::App::swap); [`Control::is_swapped`](super::Control::is_swapped) tells it not to end the app, nor to call it.
pub(crate) struct Companion {
    pub(crate) stage: Stage,
    pub(super) attempt: Option<Box<Attempt>>,
    /// What has failed; it is reported once the connection is gone.
    pub(crate) failure: Option<Error>,
    pub(super) on_open: Option<Box<OpenDetails>>,
    pub(super) phases: CompactPhases,
    pub(super) url: CurrentUrl,
    /// The app's own, while a successor is in its place: what becomes of that does not count for reconnecting.
    pub(super) streak: Option<Box<Streak>>,
    /// What the output of the connection holds of senders' messages.
    pub(super) output: UnwrittenMessages,
    /// The app uses the successor, and this is what it has used before.
    pub(crate) is_predecessor: bool,
    /// The app's own fields have this connection, and these have the app's.
    pub(super) is_swapped: bool,
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
