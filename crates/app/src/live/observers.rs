//! What looks at the traffic of a connection, where an option or the log asks for it.

#[cfg(feature = "kernel-receive-time")]
use websocket_link::kernel_time::KernelTime;

use super::feed::Feed;
use super::trace::Trace;
use crate::feed::FeedOptions;

/// What looks at the traffic of a connection.
#[cfg_attr(feature = "kernel-receive-time", derive(Default))]
pub(crate) struct Observers {
    /// Where what passes is shown.
    pub(crate) trace: Option<Trace>,
    /// Where messages are expected of the server.
    pub(super) feed: Option<Feed>,
    /// Where the kernel tells when it received what is read.
    #[cfg(feature = "kernel-receive-time")]
    pub(super) kernel_time: Option<KernelTime>,
}

impl Observers {
    /// `None` where nothing is to be looked at.
    pub(super) fn new(options: &FeedOptions, trace: Option<Trace>) -> Option<Box<Self>> {
        let feed = Feed::new(options);
        (trace.is_some() || feed.is_some()).then(|| {
            Box::new(Self {
                trace,
                feed,
                #[cfg(feature = "kernel-receive-time")]
                kernel_time: None,
            })
        })
    }
}
