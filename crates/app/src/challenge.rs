//! A server's or a proxy's wish to know who asks.

/// What a server (401) or an HTTP proxy (407) wants to see: the request of [`WebSocketApp::authorize_with`](crate::WebSocketApp::authorize_with).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Challenge<'a> {
    /// The proxy that asks, as `scheme://host:port`; `None` when it is the server itself.
    pub proxy: Option<&'a str>,
    /// The values of its `WWW-Authenticate` or `Proxy-Authenticate` headers (RFC 9110 section 11).
    pub challenges: &'a [String],
}
