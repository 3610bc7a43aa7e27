//! Names of apps, timers, sources and look-ups on one reactor.

use std::fmt;

use websocket_dispatcher::Key;

/// Names one app on its reactor. The name of an app that has ended is not used again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct AppId(pub(crate) Key);

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "app {}.{}", self.0.slot(), self.0.generation())
    }
}

/// Names one timer on its reactor, of an app or of the reactor itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct TimerId(pub(crate) u64);

/// Names one source on its reactor: see [`Apps::watch`](crate::Apps::watch). The name of a source that was removed is not used again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct SourceId(pub(crate) Key);

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "source {}.{}", self.0.slot(), self.0.generation())
    }
}

/// What a reactor can be kept running for besides its apps: see [`Apps::keep_running_for`](crate::Apps::keep_running_for).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[non_exhaustive]
pub enum Holder {
    /// A timer of the reactor.
    Timer(TimerId),
    /// A source.
    Source(SourceId),
}

impl From<TimerId> for Holder {
    fn from(timer: TimerId) -> Self {
        Self::Timer(timer)
    }
}

impl From<SourceId> for Holder {
    fn from(source: SourceId) -> Self {
        Self::Source(source)
    }
}

/// Names one question to the resolver.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct QueryId(pub(crate) u64);
