//! The simulated name service.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use websocket_link::{Answer, Query, Resolver};

use super::SimNet;

/// A [`Resolver`] that knows the names that the test has set; every other name fails with `NotFound`. Clones
/// are handles to the same name service.
///
/// ```
/// use std::io;
/// use std::time::Duration;
/// use websocket_testkit::sim::SimNet;
///
/// let net = SimNet::new(1);
/// let resolver = net.resolver();
/// resolver.name("example.test", &["192.0.2.1".parse().unwrap()]);
/// resolver.failing("broken.test", io::ErrorKind::TimedOut);
/// resolver.name("slow.test", &["192.0.2.2".parse().unwrap()]);
/// resolver.delay("slow.test", Some(Duration::from_secs(5)));
/// ```
#[derive(Clone)]
pub struct SimResolver {
    net: SimNet,
    names: Rc<RefCell<Names>>,
}

#[derive(Default)]
struct Names {
    known: BTreeMap<String, Name>,
    queries: Vec<Query>,
    /// Questions that never get an answer.
    unanswered: Vec<Answer>,
}

#[derive(Clone)]
struct Name {
    outcome: Result<Vec<IpAddr>, io::ErrorKind>,
    /// Virtual time until the answer; `None` for never.
    delay: Option<Duration>,
}

impl SimResolver {
    pub(super) fn new(net: SimNet) -> Self {
        Self { net, names: Rc::default() }
    }

    /// Resolves `host` to these addresses, in this order.
    pub fn name(&self, host: &str, addresses: &[IpAddr]) {
        self.with_name(host, |name| name.outcome = Ok(addresses.to_vec()));
    }

    /// Fails queries for `host`.
    pub fn failing(&self, host: &str, kind: io::ErrorKind) {
        self.with_name(host, |name| name.outcome = Err(kind));
    }

    /// Answers queries for `host` after so much virtual time, or never. At first every answer comes before
    /// the query returns.
    pub fn delay(&self, host: &str, delay: Option<Duration>) {
        self.with_name(host, |name| name.delay = delay);
    }

    /// All queries so far, oldest first.
    pub fn queries(&self) -> Vec<Query> {
        self.names.borrow().queries.clone()
    }

    fn with_name(&self, host: &str, change: impl FnOnce(&mut Name)) {
        let unknown = Name { outcome: Err(io::ErrorKind::NotFound), delay: Some(Duration::ZERO) };
        change(self.names.borrow_mut().known.entry(host.to_owned()).or_insert(unknown));
    }
}

impl Resolver for SimResolver {
    fn resolve(&mut self, query: Query, answer: Answer) {
        let mut names = self.names.borrow_mut();
        let known = names.known.get(&query.host).cloned();
        let port = query.port;
        names.queries.push(query);
        let name =
            known.unwrap_or(Name { outcome: Err(io::ErrorKind::NotFound), delay: Some(Duration::ZERO) });
        let Some(delay) = name.delay else {
            names.unanswered.push(answer);
            return;
        };
        drop(names);
        let outcome = name
            .outcome
            .map(|addresses| addresses.into_iter().map(|address| SocketAddr::new(address, port)).collect())
            .map_err(io::Error::from);
        if delay.is_zero() {
            answer.send(outcome);
        } else {
            self.net.after(delay, |_| answer.send(outcome));
        }
    }
}

impl fmt::Debug for SimResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimResolver").field("queries", &self.names.borrow().queries).finish_non_exhaustive()
    }
}
