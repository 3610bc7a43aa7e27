//! The challenge of a server or a proxy that asks for authentication.

/// A server's (401) or an HTTP proxy's (407) demand for authentication, as
/// [`WebSocketApp::authorize_with`](crate::WebSocketApp::authorize_with) gets it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Challenge<'a> {
    /// The proxy that asks, as `scheme://host:port`; `None` when it is the server itself.
    pub proxy: Option<&'a str>,
    /// The values of its `WWW-Authenticate` or `Proxy-Authenticate` headers (RFC 9110 section 11).
    pub challenges: &'a [String],
}
