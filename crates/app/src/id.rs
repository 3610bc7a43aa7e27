//! Names of apps, timers and look-ups on one reactor.

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

/// Names one timer on its reactor.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct TimerId(pub(crate) u64);

/// Names one question to the resolver.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct QueryId(pub(crate) u64);
