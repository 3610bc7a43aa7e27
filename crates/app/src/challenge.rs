//! The challenge of a server or a proxy that asks for authentication.

/// Most challenges of one server, or of one proxy, that are answered before the attempt fails.
pub(crate) const MAX_ROUNDS: u32 = 5;

/// A server's (401) or an HTTP proxy's (407) demand for authentication, as
/// [`WebSocketApp::authorize_with`](crate::WebSocketApp::authorize_with) gets it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Challenge<'a> {
    /// The proxy that asks, as `scheme://host:port`; `None` when it is the server itself.
    pub proxy: Option<&'a str>,
    /// The values of its `WWW-Authenticate` or `Proxy-Authenticate` headers (RFC 9110 section 11); empty if it has sent none.
    pub challenges: &'a [String],
    /// How often this server, or this proxy, has asked: 1 the first time. From 2 on, it does not accept the answer before, or
    /// wants the next step of a scheme that has several. Server and proxy are counted apart, and the count begins again with
    /// each attempt and after a redirect; that of the proxy also with each new connection to the server.
    pub round: u32,
    /// Whether the answer goes over the connection that the challenge came on. Schemes that authenticate a connection, such as
    /// NTLM and Negotiate (RFC 4559), must begin again with their first step where it does not.
    pub keeps_connection: bool,
}
