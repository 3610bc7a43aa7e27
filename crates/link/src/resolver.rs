//! From a host name to addresses, off the loop's thread.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, Weak, mpsc};
use std::thread;

/// What is to be resolved. Literal addresses never become a query.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Query {
    /// The host name, in ASCII (punycode).
    pub host: String,
    /// The port that the addresses shall carry.
    pub port: u16,
}

impl Query {
    /// Asks for `host`, to be reached at `port`.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }
}

type Deliver = Box<dyn FnOnce(io::Result<Vec<SocketAddr>>) + Send>;

/// Where the addresses go. It may travel to another thread; one that is dropped unsent answers with an error.
pub struct Answer {
    deliver: Option<Deliver>,
    wanted: Option<Weak<()>>,
}

/// Whoever waits for an [`Answer`]; when it is dropped, nobody does any more.
#[derive(Debug)]
pub struct Asker(#[expect(dead_code, reason = "it is alive, and that is what counts")] Arc<()>);

impl Answer {
    /// An answer that calls `deliver`, on the thread that sends it.
    pub fn new(deliver: impl FnOnce(io::Result<Vec<SocketAddr>>) + Send + 'static) -> Self {
        Self { deliver: Some(Box::new(deliver)), wanted: None }
    }

    /// As [`new`](Self::new), for as long as the [`Asker`] lives.
    pub fn with_asker(deliver: impl FnOnce(io::Result<Vec<SocketAddr>>) + Send + 'static) -> (Self, Asker) {
        let alive = Arc::new(());
        let wanted = Some(Arc::downgrade(&alive));
        (Self { deliver: Some(Box::new(deliver)), wanted }, Asker(alive))
    }

    /// Whether somebody still waits: a query whose time is up need not be asked.
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

/// The default [`Resolver`]: the system's `getaddrinfo`, on one helper thread that starts with the first query and ends with the
/// resolver.
#[derive(Default, Debug)]
pub struct SystemResolver {
    queries: Option<mpsc::Sender<(Query, Answer)>>,
}

impl Resolver for SystemResolver {
    fn resolve(&mut self, query: Query, answer: Answer) {
        let queries = match &self.queries {
            Some(queries) => queries,
            None => match start() {
                Ok(queries) => self.queries.insert(queries),
                Err(error) => return answer.send(Err(error)),
            },
        };
        if let Err(mpsc::SendError((_, answer))) = queries.send((query, answer)) {
            self.queries = None;
            answer.send(Err(io::Error::new(io::ErrorKind::BrokenPipe, "the resolver's thread has died")));
        }
    }
}

fn start() -> io::Result<mpsc::Sender<(Query, Answer)>> {
    let (sender, receiver) = mpsc::channel::<(Query, Answer)>();
    thread::Builder::new().name("websocket-resolver".into()).spawn(move || {
        for (query, answer) in receiver {
            if !answer.is_wanted() {
                continue;
            }
            log::debug!(target: "websocket::resolve", "resolving {}", query.host);
            let addresses = (query.host.as_str(), query.port).to_socket_addrs().map(Iterator::collect);
            answer.send(addresses);
        }
    })?;
    Ok(sender)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(host: &str) -> io::Result<Vec<SocketAddr>> {
        let (sender, receiver) = mpsc::channel();
        let mut resolver = SystemResolver::default();
        resolver.resolve(Query::new(host, 80), Answer::new(move |addresses| sender.send(addresses).unwrap()));
        receiver.recv().unwrap()
    }

    #[test]
    fn localhost_resolves_to_loopback() {
        let addresses = ask("localhost").unwrap();
        assert!(!addresses.is_empty());
        assert!(addresses.iter().all(|address| address.ip().is_loopback() && address.port() == 80));
    }

    #[test]
    fn b143_a_name_that_cannot_exist_is_an_error() {
        // RFC 6761: `.invalid` never resolves.
        assert!(ask("nowhere.invalid").is_err());
    }

    #[test]
    fn a_query_that_nobody_waits_for_is_not_asked() {
        let (sender, receiver) = mpsc::channel();
        let deliver = move |addresses: io::Result<Vec<SocketAddr>>| sender.send(addresses).unwrap();
        let (answer, asker) = Answer::with_asker(deliver);
        assert!(answer.is_wanted());
        drop(asker);
        assert!(!answer.is_wanted());
        SystemResolver::default().resolve(Query::new("localhost", 80), answer);
        assert_eq!(receiver.recv().unwrap().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_dropped_query_is_answered_with_an_error() {
        let (sender, receiver) = mpsc::channel();
        drop(Answer::new(move |addresses| sender.send(addresses).unwrap()));
        assert_eq!(receiver.recv().unwrap().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
