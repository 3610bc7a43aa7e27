//! Everything that can go wrong with an app.

#[cfg(test)]
mod tests;

use std::error::Error as _;
use std::fmt;
use std::io;
use std::net::SocketAddr;

use websocket_connection::{ConfigError, ProtocolError, RequestError, UpgradeError};
use websocket_link::proxy::{EnvironmentError, ProxyError};
#[cfg(feature = "tls")]
use websocket_link::tls::{TlsConfigError, TlsError};

use crate::address::UrlError;
use crate::feed::FeedError;
use crate::headers::HeaderError;
use crate::reconnect::ReconnectError;
use crate::redirect::RedirectError;

/// Any error of the user's code.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What went wrong, sorted by whose fault it is.
///
/// `Display` contains the text of the error inside, and [`source`](std::error::Error::source) returns what lies behind
/// that one: a program that prints an error with its sources prints nothing twice. `Debug`, which a `main` that returns
/// this error prints, is the text with those of all sources, in one line. None of them shows a credential.
#[non_exhaustive]
pub enum Error {
    /// The URL cannot be used. Found before any I/O; the URL of a function or a redirect is checked before it
    /// is connected to.
    Url(UrlError),
    /// A header cannot be sent. Found before any I/O, or before an attempt when a function made it.
    Header(HeaderError),
    /// The upgrade request cannot be sent. Found before any I/O.
    Request(RequestError),
    /// Options contradict each other. Found before any I/O.
    Options(ConfigError),
    /// The policy for reconnecting cannot work. Found before any I/O.
    Reconnect(ReconnectError),
    /// An option for feeds cannot work. Found before any I/O.
    Feed(FeedError),
    /// The host name was not resolved.
    #[non_exhaustive]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// No address of the server, or of the proxy on the way to it, could be connected to.
    #[non_exhaustive]
    Connect {
        /// The last address that was tried; `None` without an address: a unix socket, the user's own stream,
        /// an unknown IPv6 zone.
        address: Option<SocketAddr>,
        /// What the system said about it.
        source: io::Error,
    },
    /// The proxy gave no tunnel to the server.
    Proxy(ProxyError),
    /// The stream to the proxy broke before there was a tunnel.
    #[non_exhaustive]
    ProxyStream {
        /// The proxy, as `scheme://host:port`.
        proxy: String,
        /// What the system, or TLS with the proxy, said about it.
        source: io::Error,
    },
    /// The environment names a proxy that cannot be used.
    ProxyEnvironment(EnvironmentError),
    /// The server did not complete the opening handshake.
    Upgrade(UpgradeError),
    /// Without TLS, the server closed the connection, or it broke, before a byte of the response came. A server that
    /// expects TLS may do so.
    #[non_exhaustive]
    NoResponse {
        /// What the system said; `None` if the server closed the connection.
        source: Option<io::Error>,
    },
    /// The server redirects to where the client does not follow.
    Redirect(RedirectError),
    /// The server broke the WebSocket protocol; it was sent the matching close code.
    Protocol(ProtocolError),
    /// TLS with the server failed.
    #[cfg(feature = "tls")]
    Tls(TlsError),
    /// The options for TLS cannot be used. Found before any I/O where the URL asks for TLS, else by the first
    /// step that needs it.
    #[cfg(feature = "tls")]
    TlsOptions(TlsConfigError),
    /// A deadline passed.
    Timeout(Timeout),
    /// The connection broke: reading or writing failed.
    Io(io::Error),
    /// The server closed the stream without a closing handshake (1006 in other APIs).
    EndOfStream,
    /// The program has asked for another connection, for this reason; see [`Context::reconnect`](crate::Context::reconnect).
    ReconnectRequested(String),
    /// A function that is asked for every attempt returned an error, and the attempt has ended.
    #[non_exhaustive]
    Function {
        /// The name of the method that took the function, `header_with` for instance.
        name: &'static str,
        /// What it returned.
        source: BoxError,
    },
    /// A callback, or the function of [`mask_key`](crate::WebSocketApp::mask_key), returned an error. The connection
    /// continues.
    Callback(BoxError),
    /// A callback panicked. The app was closed; its neighbours were not harmed.
    CallbackPanicked(String),
    /// The event loop could not be opened, or failed.
    Dispatcher(io::Error),
}

/// The deadline that passed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Timeout {
    /// `attempt_timeout`
    Attempt,
    /// `resolve_timeout`
    Resolve,
    /// `connect_timeout`
    Connect,
    /// `proxy_timeout`
    Proxy,
    /// `tls_timeout`
    Tls,
    /// `upgrade_timeout`
    Upgrade,
    /// `ping_timeout`
    Pong,
    /// The time of a [`probe`](crate::Context::probe)
    Probe,
    /// `silence_timeout`
    Silence,
    /// `write_timeout`
    Write,
    /// `close_timeout`
    Close,
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use websocket_connection::Timeout as ConnectionTimeout;
        match self {
            Self::Attempt => f.write_str("the connection was not open within attempt_timeout"),
            Self::Resolve => f.write_str("the host name was not resolved within resolve_timeout"),
            Self::Connect => f.write_str("the server did not accept the connection within connect_timeout"),
            Self::Proxy => f.write_str("the proxy gave no tunnel within proxy_timeout"),
            Self::Tls => f.write_str("the TLS handshake was not complete within tls_timeout"),
            Self::Upgrade => ConnectionTimeout::Upgrade.fmt(f),
            Self::Pong => ConnectionTimeout::Pong.fmt(f),
            Self::Probe => ConnectionTimeout::Probe.fmt(f),
            Self::Silence => f.write_str("the server sent no data message within silence_timeout"),
            Self::Write => ConnectionTimeout::Write.fmt(f),
            Self::Close => ConnectionTimeout::Close.fmt(f),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(error) => write!(f, "{error}"),
            Self::Header(error) => write!(f, "{error}"),
            Self::Request(error) => write!(f, "{error}"),
            Self::Options(error) => write!(f, "{error}"),
            Self::Reconnect(error) => write!(f, "{error}"),
            Self::Feed(error) => write!(f, "{error}"),
            Self::Resolve { host, source } => write!(f, "host {host:?} was not resolved: {source}"),
            Self::Connect { address: Some(address), source } => {
                write!(f, "connecting to {address} failed: {source}")
            }
            Self::Connect { address: None, source } => write!(f, "connecting failed: {source}"),
            Self::Proxy(error) => write!(f, "{error}"),
            Self::ProxyStream { proxy, source } => write!(f, "proxy {proxy}: the stream broke: {source}"),
            Self::ProxyEnvironment(error) => write!(f, "{error}"),
            Self::Upgrade(error) => write!(f, "the opening handshake failed: {error}"),
            Self::NoResponse { source: None } => f.write_str(
                "the server closed the connection without a response; if it expects TLS, use wss:// rather than ws://",
            ),
            Self::NoResponse { source: Some(source) } => write!(
                f,
                "the connection broke without a response: {source}; if the server expects TLS, use wss:// rather than ws://",
            ),
            Self::Redirect(error) => write!(f, "{error}"),
            Self::Protocol(error) => write!(f, "the server broke the WebSocket protocol: {error}"),
            #[cfg(feature = "tls")]
            Self::Tls(error) => write!(f, "{error}"),
            #[cfg(feature = "tls")]
            Self::TlsOptions(error) => write!(f, "{error}"),
            Self::Timeout(timeout) => write!(f, "{timeout}"),
            Self::Io(error) => write!(f, "the connection broke: {error}"),
            Self::EndOfStream => f.write_str("the server closed the stream without a closing handshake"),
            Self::ReconnectRequested(reason) => write!(f, "the program asked to reconnect: {reason}"),
            Self::Function { name, source } => write!(f, "the function of {name} returned an error: {source}"),
            Self::Callback(error) => write!(f, "a callback returned an error: {error}"),
            Self::CallbackPanicked(message) => write!(f, "a callback panicked: {message}"),
            Self::Dispatcher(error) => write!(f, "the event loop failed: {error}"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.to_string();
        for source in std::iter::successors(self.source(), |&source| source.source()) {
            let source = source.to_string();
            // Errors of the user's code may have their sources in their texts.
            if !text.contains(&source) {
                text += ": ";
                text += &source;
            }
        }
        f.write_str(&text)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner()?.source()
    }
}

impl Error {
    /// The error of the user's function that the method `name` took. A header that cannot be sent is the same error however it was given.
    pub(crate) fn of_function(name: &'static str, source: BoxError) -> Self {
        match source.downcast::<HeaderError>() {
            Ok(error) => Self::Header(*error),
            Err(source) => Self::Function { name, source },
        }
    }

    /// Returns the error inside, whose text is part of this one's.
    fn inner(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Url(error) => Some(error),
            Self::Header(error) => Some(error),
            Self::Request(error) => Some(error),
            Self::Options(error) => Some(error),
            Self::Reconnect(error) => Some(error),
            Self::Feed(error) => Some(error),
            Self::Proxy(error) => Some(error),
            Self::ProxyStream { source, .. } => Some(source),
            Self::ProxyEnvironment(error) => Some(error),
            Self::Upgrade(error) => Some(error),
            #[cfg(feature = "tls")]
            Self::Tls(error) => Some(error),
            #[cfg(feature = "tls")]
            Self::TlsOptions(error) => Some(error),
            Self::Redirect(error) => Some(error),
            Self::Protocol(error) => Some(error),
            Self::Resolve { source, .. } | Self::Connect { source, .. } => Some(source),
            Self::Io(error) | Self::Dispatcher(error) | Self::NoResponse { source: Some(error) } => {
                Some(error)
            }
            Self::Function { source: error, .. } | Self::Callback(error) => Some(&**error),
            Self::Timeout(_)
            | Self::EndOfStream
            | Self::ReconnectRequested(_)
            | Self::NoResponse { source: None }
            | Self::CallbackPanicked(_) => None,
        }
    }
}

impl From<websocket_connection::Error> for Error {
    fn from(error: websocket_connection::Error) -> Self {
        use websocket_connection::{Error as ConnectionError, Timeout as ConnectionTimeout};
        match error {
            ConnectionError::Protocol(error) => Self::Protocol(error),
            ConnectionError::Upgrade(error) => Self::Upgrade(error),
            ConnectionError::Timeout(ConnectionTimeout::Upgrade) => Self::Timeout(Timeout::Upgrade),
            ConnectionError::Timeout(ConnectionTimeout::Pong) => Self::Timeout(Timeout::Pong),
            ConnectionError::Timeout(ConnectionTimeout::Probe) => Self::Timeout(Timeout::Probe),
            ConnectionError::Timeout(ConnectionTimeout::Write) => Self::Timeout(Timeout::Write),
            ConnectionError::Timeout(_) => Self::Timeout(Timeout::Close),
            _ => Self::EndOfStream,
        }
    }
}

/// For functions that return [`io::Result`]. The error of an event loop becomes what the system said; any other
/// keeps its text, is found by [`io::Error::get_ref`], and gets the kind of the error inside or the nearest one.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error {
            Error::Dispatcher(error) => return error,
            Error::Url(_)
            | Error::Header(_)
            | Error::Request(_)
            | Error::Options(_)
            | Error::Reconnect(_)
            | Error::Feed(_)
            | Error::ProxyEnvironment(_) => io::ErrorKind::InvalidInput,
            #[cfg(feature = "tls")]
            Error::TlsOptions(_) => io::ErrorKind::InvalidInput,
            Error::Resolve { ref source, .. }
            | Error::Connect { ref source, .. }
            | Error::ProxyStream { ref source, .. }
            | Error::NoResponse { source: Some(ref source) }
            | Error::Io(ref source) => source.kind(),
            Error::Timeout(_) => io::ErrorKind::TimedOut,
            Error::ReconnectRequested(_) => io::ErrorKind::ConnectionAborted,
            Error::EndOfStream | Error::NoResponse { source: None } => io::ErrorKind::UnexpectedEof,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

impl From<UrlError> for Error {
    fn from(error: UrlError) -> Self {
        Self::Url(error)
    }
}

impl From<HeaderError> for Error {
    fn from(error: HeaderError) -> Self {
        Self::Header(error)
    }
}

impl From<RequestError> for Error {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

impl From<RedirectError> for Error {
    fn from(error: RedirectError) -> Self {
        Self::Redirect(error)
    }
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Self::Options(error)
    }
}

impl From<FeedError> for Error {
    fn from(error: FeedError) -> Self {
        Self::Feed(error)
    }
}

impl From<ReconnectError> for Error {
    fn from(error: ReconnectError) -> Self {
        Self::Reconnect(error)
    }
}

#[cfg(feature = "tls")]
impl From<TlsError> for Error {
    fn from(error: TlsError) -> Self {
        Self::Tls(error)
    }
}

#[cfg(feature = "tls")]
impl From<TlsConfigError> for Error {
    fn from(error: TlsConfigError) -> Self {
        Self::TlsOptions(error)
    }
}
