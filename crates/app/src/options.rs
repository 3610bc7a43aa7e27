//! The options of `run_forever` and `run_on`.

mod feed;
mod keep_alive;

use std::io;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use websocket_connection::Config;
#[cfg(feature = "deflate")]
use websocket_connection::Deflate;
use websocket_link::proxy::ProxyPolicy;
use websocket_link::socket2::Socket;
#[cfg(feature = "tls")]
use websocket_link::tls::TlsOptions;
use websocket_link::{DEFAULT_ATTEMPT_DELAY, SocketOptions};

use crate::feed::FeedOptions;
use crate::reconnect::Reconnect;
use crate::wire_event::Tap;

/// How an app is run: keep-alive, deadlines, limits, request headers that depend on the way rather than on
/// the app.
///
/// Every option has a default that is safe to leave; every setter takes `self` and returns it.
///
/// ```
/// use std::time::Duration;
/// use websocket_app::RunOptions;
///
/// let options = RunOptions::new().ping_interval(Duration::from_secs(20)).ping_timeout(Duration::from_secs(10));
/// # let _ = options;
/// ```
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Shared with every app that runs with these options.
    pub(crate) config: Arc<Config>,
    pub(crate) connect: Arc<ConnectOptions>,
}

/// What becomes of messages that were accepted and not written when a connection ends.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[allow(clippy::exhaustive_enums, reason = "these are the three things that can be done")]
pub enum Unsent {
    /// `on_close` gets them as [`Closed::unsent`](crate::Closed::unsent).
    #[default]
    HandBack,
    /// The same, and where another attempt follows they are sent, in their order, once it has opened and
    /// `on_open` has returned.
    Keep,
    /// They are dropped.
    Drop,
}

/// How a server is reached.
#[derive(Clone, Debug)]
pub(crate) struct ConnectOptions {
    pub(crate) reconnect: Option<Reconnect>,
    pub(crate) unsent: Unsent,
    pub(crate) deliver_after_close: bool,
    pub(crate) attempt_timeout: Duration,
    pub(crate) resolve_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) attempt_delay: Duration,
    pub(crate) max_redirects: u32,
    pub(crate) proxy: ProxyPolicy,
    pub(crate) proxy_timeout: Duration,
    #[cfg(feature = "tls")]
    pub(crate) tls: TlsOptions,
    #[cfg(feature = "tls")]
    pub(crate) tls_timeout: Duration,
    pub(crate) socket: SocketOptions,
    pub(crate) host: Option<String>,
    pub(crate) suppress_host: bool,
    pub(crate) origin: Option<String>,
    pub(crate) suppress_origin: bool,
    pub(crate) require_subprotocol: bool,
    pub(crate) tap: Option<Tap>,
    pub(crate) feed: FeedOptions,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            reconnect: None,
            unsent: Unsent::default(),
            deliver_after_close: true,
            attempt_timeout: Duration::from_secs(30),
            resolve_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(10),
            attempt_delay: DEFAULT_ATTEMPT_DELAY,
            max_redirects: 3,
            proxy: ProxyPolicy::default(),
            proxy_timeout: Duration::from_secs(10),
            #[cfg(feature = "tls")]
            tls: TlsOptions::new(),
            #[cfg(feature = "tls")]
            tls_timeout: Duration::from_secs(10),
            socket: SocketOptions::default(),
            host: None,
            suppress_host: false,
            origin: None,
            suppress_origin: false,
            require_subprotocol: true,
            tap: None,
            feed: FeedOptions::default(),
        }
    }
}

impl Default for RunOptions {
    fn default() -> Self {
        // Constant, and shared by all apps that change nothing: 10 000 of them would hold as many copies.
        static DEFAULT: LazyLock<RunOptions> =
            LazyLock::new(|| RunOptions { config: Arc::default(), connect: Arc::default() });
        DEFAULT.clone()
    }
}

impl RunOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Delivers text unchecked, as [`Message::UncheckedText`](crate::Message::UncheckedText). Default
    /// `false`.
    #[must_use]
    pub fn skip_utf8_validation(self, skip: bool) -> Self {
        self.with(|config| config.validate_utf8 = !skip)
    }

    /// Connects again after a connection was lost or not made, until the app is closed or the policy gives
    /// up. A [`Duration`] is [`Reconnect::fixed`]; zero means never. Default: never.
    ///
    /// The policy gives up after a definite answer of the server, such as a close with 1000 or a status 403, unless
    /// it is set to connect again [`always`](Reconnect::always), as `reconnect=` in Python does.
    #[must_use]
    pub fn reconnect(self, policy: impl Into<Reconnect>) -> Self {
        let policy = policy.into();
        self.with_connect(|connect| connect.reconnect = (!policy.is_off()).then_some(policy))
    }

    /// Time from the beginning of an attempt to the open connection, over all its steps. Default 30 s.
    #[must_use]
    pub fn attempt_timeout(self, timeout: Duration) -> Self {
        self.with_connect(|connect| connect.attempt_timeout = timeout)
    }

    /// Time for resolving the host name. Default 10 s.
    #[must_use]
    pub fn resolve_timeout(self, timeout: Duration) -> Self {
        self.with_connect(|connect| connect.resolve_timeout = timeout)
    }

    /// Time for connecting, over all addresses of the host, or over all tries at a unix socket whose listener
    /// has no room. Default 10 s.
    #[must_use]
    pub fn connect_timeout(self, timeout: Duration) -> Self {
        self.with_connect(|connect| connect.connect_timeout = timeout)
    }

    /// The head start of one address of a host over the next, while the earlier one has neither connected nor
    /// failed (Happy Eyeballs, RFC 8305). Between 10 ms and 2 s; default 250 ms.
    #[must_use]
    pub fn attempt_delay(self, delay: Duration) -> Self {
        self.with_connect(|connect| connect.attempt_delay = delay)
    }

    /// Redirects (301, 302, 303, 307, 308) that one attempt follows. Another origin gets neither credentials
    /// nor cookies nor other headers of the request, except those that are the same for every server. A
    /// redirect from `wss` to `ws` is not followed. Default 3.
    #[must_use]
    pub fn max_redirects(self, redirects: u32) -> Self {
        self.with_connect(|connect| connect.max_redirects = redirects)
    }

    /// Sets the proxy: one [`Proxy`](crate::link::proxy::Proxy), or a [`ProxyPolicy`] with exceptions. Unix
    /// sockets and the user's own streams need none. Default: what the environment says (`http_proxy` for
    /// `ws`, `https_proxy` for `wss`, `all_proxy`, `no_proxy`).
    ///
    /// ```
    /// use websocket_app::RunOptions;
    /// use websocket_app::link::proxy::{NoProxy, Proxy, ProxyPolicy, ProxyScheme};
    ///
    /// let by_url = RunOptions::new().proxy(Proxy::parse("socks5h://user:password@proxy.example")?);
    ///
    /// let by_parts = Proxy::new(ProxyScheme::Http, "proxy.example", Some(3128))?.credentials("user", "password")?;
    /// let policy = ProxyPolicy::from(by_parts).no_proxy(NoProxy::parse("localhost, .internal.example")?);
    /// let with_exceptions = RunOptions::new().proxy(policy);
    /// # let _ = (by_url, with_exceptions);
    /// # Ok::<(), websocket_app::link::proxy::ProxyConfigError>(())
    /// ```
    #[must_use]
    pub fn proxy(self, proxy: impl Into<ProxyPolicy>) -> Self {
        self.with_connect(|connect| connect.proxy = proxy.into())
    }

    /// Time for getting a tunnel, counted from the stream that is connected to the proxy, TLS with it
    /// included. Default 10 s.
    #[must_use]
    pub fn proxy_timeout(self, timeout: Duration) -> Self {
        self.with_connect(|connect| connect.proxy_timeout = timeout)
    }

    /// How `wss` URLs are reached: trust, client certificate, versions. A ready-made
    /// `Arc<rustls::ClientConfig>` serves too. Apps that share these options, or clones of them, resume each
    /// other's sessions. Default: the system's trust store.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(self, options: impl Into<TlsOptions>) -> Self {
        self.with_connect(|connect| connect.tls = options.into())
    }

    /// Time for the TLS handshake with the server, counted from the connected stream. Default 10 s.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls_timeout(self, timeout: Duration) -> Self {
        self.with_connect(|connect| connect.tls_timeout = timeout)
    }

    /// Time for the whole opening handshake, counted from the connected stream, with TLS from the end of its
    /// handshake. Default 10 s.
    #[must_use]
    pub fn upgrade_timeout(self, timeout: Duration) -> Self {
        self.with(|config| config.upgrade_timeout = timeout)
    }

    /// Time without progress while bytes wait to be written, after which the connection is lost.
    /// Default 30 s.
    #[must_use]
    pub fn write_timeout(self, timeout: Duration) -> Self {
        self.with(|config| config.write_timeout = timeout)
    }

    /// Time for the closing handshake, after which the stream is dropped;
    /// [`Close::timeout`](crate::Close::timeout) sets it for one close. Zero waits for no answer.
    /// Default 3 s.
    #[must_use]
    pub fn close_timeout(self, timeout: Duration) -> Self {
        self.with(|config| config.close_timeout = timeout)
    }

    /// Offers to compress messages with permessage-deflate (RFC 7692);
    /// [`Response::deflate`](crate::Response::deflate) reports what was agreed. Default: none.
    ///
    /// ```
    /// use websocket_app::{Deflate, DeflateOffer, RunOptions};
    ///
    /// let options = RunOptions::new().compression(Deflate::new());
    /// // For thousands of connections: nothing is kept between messages.
    /// let frugal = DeflateOffer::new().client_no_context_takeover().server_no_context_takeover();
    /// let options = options.compression(Deflate::from(frugal).threshold(500));
    /// # let _ = options;
    /// ```
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn compression(self, deflate: impl Into<Deflate>) -> Self {
        self.with(|config| config.deflate = Some(deflate.into()))
    }

    /// Largest payload of one received frame, in bytes. Default 64 MiB.
    #[must_use]
    pub fn max_frame_size(self, bytes: u64) -> Self {
        self.with(|config| config.max_frame_size = bytes)
    }

    /// Largest received message over all its fragments, in bytes. Default 64 MiB.
    #[must_use]
    pub fn max_message_size(self, bytes: u64) -> Self {
        self.with(|config| config.max_message_size = bytes)
    }

    /// Most fragments of one received message. Default 1 048 576.
    #[must_use]
    pub fn max_fragments(self, fragments: u32) -> Self {
        self.with(|config| config.max_fragments = fragments)
    }

    /// Most bytes that may wait to be written; a message that would exceed it is refused and handed back.
    /// Default 64 MiB.
    #[must_use]
    pub fn max_queued_bytes(self, bytes: usize) -> Self {
        self.with(|config| config.max_queued_bytes = bytes)
    }

    /// Most bytes of the response's headers. Default 64 KiB.
    #[must_use]
    pub fn max_header_bytes(self, bytes: usize) -> Self {
        self.with(|config| config.max_header_bytes = bytes)
    }

    /// Most headers in the response. Default 128.
    #[must_use]
    pub fn max_headers(self, headers: usize) -> Self {
        self.with(|config| config.max_headers = headers)
    }

    /// Most bytes kept of the body of a response that refuses the upgrade. Default 16 KiB.
    #[must_use]
    pub fn max_error_body(self, bytes: usize) -> Self {
        self.with(|config| config.max_error_body = bytes)
    }

    /// Accepts masked frames from the server, which RFC 6455 section 5.1 forbids. Default `false`.
    #[must_use]
    pub fn accept_masked_frames(self, accept: bool) -> Self {
        self.with(|config| config.accept_masked_frames = accept)
    }

    /// Accepts frame lengths in more bytes than needed, which RFC 6455 section 5.2 forbids. Default `false`.
    #[must_use]
    pub fn accept_non_minimal_lengths(self, accept: bool) -> Self {
        self.with(|config| config.accept_non_minimal_lengths = accept)
    }

    /// Sets the value of the `Host` header, instead of the URL's host.
    #[must_use]
    pub fn host(self, host: impl Into<String>) -> Self {
        let host = host.into();
        self.with_connect(|connect| connect.host = Some(host))
    }

    /// Sends no `Host` header, even when [`host`](Self::host) is set. Default `false`.
    #[must_use]
    pub fn suppress_host(self, suppress: bool) -> Self {
        self.with_connect(|connect| connect.suppress_host = suppress)
    }

    /// Sets the value of the `Origin` header, instead of `http://host`.
    #[must_use]
    pub fn origin(self, origin: impl Into<String>) -> Self {
        let origin = origin.into();
        self.with_connect(|connect| connect.origin = Some(origin))
    }

    /// Sends no `Origin` header. Default `false`.
    #[must_use]
    pub fn suppress_origin(self, suppress: bool) -> Self {
        self.with_connect(|connect| connect.suppress_origin = suppress)
    }

    /// Whether a server that selects none of the offered subprotocols is refused. Default `true`.
    #[must_use]
    pub fn require_subprotocol(self, require: bool) -> Self {
        self.with_connect(|connect| connect.require_subprotocol = require)
    }

    /// Adds a closure that sets options on the TCP socket before it connects, after the defaults of
    /// [`SocketOptions`].
    #[must_use]
    pub fn sockopt(self, set: impl Fn(&Socket) -> io::Result<()> + Send + Sync + 'static) -> Self {
        self.with_connect(|connect| connect.socket = std::mem::take(&mut connect.socket).with(set))
    }

    /// All options of the TCP socket at once.
    #[must_use]
    pub fn socket_options(self, options: SocketOptions) -> Self {
        self.with_connect(|connect| connect.socket = options)
    }

    fn with(mut self, set: impl FnOnce(&mut Config)) -> Self {
        set(Arc::make_mut(&mut self.config));
        self
    }

    pub(crate) fn with_connect(mut self, set: impl FnOnce(&mut ConnectOptions)) -> Self {
        set(Arc::make_mut(&mut self.connect));
        self
    }
}
