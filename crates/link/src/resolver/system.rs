//! The resolver that blocks helper threads, so that its caller never waits.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;

use super::pool::Pool;
use super::query::{Answer, Query, Resolver};

/// The default [`Resolver`]: blocking look-ups, the system's `getaddrinfo` unless another one is given, on helper threads.
///
/// - A host that is asked for while a look-up of it waits or runs joins that look-up: all queries for it get the same addresses, in the order
///   in which the look-up returned them, each query with its own port. Addresses that occur more than once are reported once.
/// - Up to 32 look-ups run at the same time, each on a thread of its own; further hosts wait for the first thread that becomes free. A name
///   that never answers therefore delays no other, unless 32 of them do so at once.
/// - A host is not looked up if nothing waits for its answer any more. Nothing is cached.
///
/// Threads start on demand and end when they have been idle for five seconds, or at once when the resolver is dropped. Dropping it does not
/// wait for look-ups that run: what they find is still delivered. Look-ups that have not begun are answered with an error then.
pub struct SystemResolver(Arc<Pool>);

impl SystemResolver {
    /// Returns a resolver that looks up names with `lookup`: for a name service of the program's own, and for tests.
    ///
    /// `lookup` turns a host name into its addresses, in the order in which they are to be tried. It is called on helper threads, for several
    /// hosts at the same time, and may block. The ports that it returns are ignored, flow labels and scopes of IPv6 addresses are kept. A
    /// panic in it becomes an error.
    ///
    /// ```
    /// use std::io;
    /// use std::net::{Ipv4Addr, SocketAddr};
    /// use websocket_link::SystemResolver;
    ///
    /// let resolver = SystemResolver::with_lookup(|host| match host {
    ///     "printer.example" => Ok(vec![SocketAddr::from((Ipv4Addr::new(192, 0, 2, 7), 0))]),
    ///     _ => Err(io::Error::new(io::ErrorKind::NotFound, "it is not in the inventory")),
    /// });
    /// # let _ = resolver;
    /// ```
    pub fn with_lookup(lookup: impl Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static) -> Self {
        Self::with_pool(Pool::new(Box::new(lookup)))
    }

    pub(super) fn with_pool(pool: Pool) -> Self {
        Self(Arc::new(pool))
    }
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self::with_lookup(|host| Ok((host, 0).to_socket_addrs()?.collect()))
    }
}

impl Resolver for SystemResolver {
    fn resolve(&mut self, query: Query, answer: Answer) {
        self.0.ask(query, answer);
    }
}

impl Drop for SystemResolver {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl fmt::Debug for SystemResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SystemResolver")
    }
}
