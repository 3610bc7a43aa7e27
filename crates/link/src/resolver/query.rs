//! The question, the answer, and who gives it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};

/// A host name to be resolved. Literal addresses never become a query.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Query {
    /// The host name, in ASCII (punycode).
    pub host: String,
    /// The port that the addresses are to carry.
    pub port: u16,
}

impl Query {
    /// Returns the question for the addresses of `host`, which is to be reached at `port`.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }
}

type Deliver = Box<dyn FnOnce(io::Result<Vec<SocketAddr>>) + Send>;

/// The place that the addresses are sent to. It may be moved to another thread; one that is dropped unsent answers with an error.
pub struct Answer {
    deliver: Option<Deliver>,
    wanted: Option<Weak<()>>,
}

/// The party that waits for an [`Answer`]. Dropping it says that the answer is no longer wanted.
#[derive(Debug)]
pub struct Asker(#[expect(dead_code, reason = "it is alive, and that is what counts")] Arc<()>);

impl Answer {
    /// Returns an answer that calls `deliver`, on the thread that sends it.
    pub fn new(deliver: impl FnOnce(io::Result<Vec<SocketAddr>>) + Send + 'static) -> Self {
        Self { deliver: Some(Box::new(deliver)), wanted: None }
    }

    /// Like [`new`](Self::new), but the answer is wanted only as long as the [`Asker`] lives.
    pub fn with_asker(deliver: impl FnOnce(io::Result<Vec<SocketAddr>>) + Send + 'static) -> (Self, Asker) {
        let alive = Arc::new(());
        let wanted = Some(Arc::downgrade(&alive));
        (Self { deliver: Some(Box::new(deliver)), wanted }, Asker(alive))
    }

    /// Returns whether the answer is still waited for. A query whose time is up need not be asked.
    pub fn is_wanted(&self) -> bool {
        self.wanted.as_ref().is_none_or(|alive| alive.strong_count() > 0)
    }

    /// Delivers the addresses, in the order in which they are to be tried, or the reason why there are none.
    pub fn send(mut self, addresses: io::Result<Vec<SocketAddr>>) {
        if let Some(deliver) = self.deliver.take() {
            deliver(addresses);
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(deliver) = self.deliver.take() {
            deliver(Err(io::Error::new(io::ErrorKind::BrokenPipe, "the resolver dropped the query")));
        }
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answer")
    }
}

/// Resolves names without blocking its caller.
///
/// ```
/// use std::net::{Ipv4Addr, SocketAddr};
/// use websocket_link::{Answer, Query, Resolver};
///
/// /// Everything lives on this machine.
/// struct Local;
///
/// impl Resolver for Local {
///     fn resolve(&mut self, query: Query, answer: Answer) {
///         answer.send(Ok(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, query.port))]));
///     }
/// }
/// # let _ = Local;
/// ```
pub trait Resolver {
    /// Starts resolving; the result goes to `answer`, now or later, from any thread.
    fn resolve(&mut self, query: Query, answer: Answer);
}
