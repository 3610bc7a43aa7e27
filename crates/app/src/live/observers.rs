//! What looks at the traffic of a connection, where an option or the log asks for it.

use websocket_connection::State;

use super::feed::Feed;
use super::{Live, Trace};
use crate::feed::FeedOptions;
use crate::surroundings::Surroundings;

/// What looks at the traffic of a connection.
pub(crate) struct Observers {
    /// Where what passes is shown.
    pub(crate) trace: Option<Trace>,
    /// Where messages are expected of the server.
    pub(super) feed: Option<Feed>,
}

impl Observers {
    /// `None` where nothing is to be looked at.
    pub(super) fn new(options: &FeedOptions, trace: Option<Trace>) -> Option<Box<Self>> {
        let feed = Feed::new(options);
        (trace.is_some() || feed.is_some()).then(|| Box::new(Self { trace, feed }))
    }
}

impl Live {
    /// Where what passes is shown, if it is.
    pub(crate) fn trace(&mut self) -> Option<&mut Trace> {
        self.observers.as_mut()?.trace.as_mut()
    }

    /// What messages are expected, if any.
    pub(super) fn feed(&self) -> Option<&Feed> {
        self.observers.as_ref()?.feed.as_ref()
    }

    /// What was read has been delivered; whether there was a data message in it.
    #[inline]
    pub(crate) fn note_delivered(&mut self, message: bool, env: &mut Surroundings) {
        if let Some(Observers { feed: Some(feed), .. }) = self.observers.as_deref_mut()
            && self.connection.state() == State::Open
        {
            feed.delivered(message, || env.current().now);
        }
    }
}
