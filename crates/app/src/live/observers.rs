//! What looks at the traffic of a connection, where an option or the log asks for it.

use super::feed::Feed;
use super::trace::Trace;
use crate::feed::FeedOptions;

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
