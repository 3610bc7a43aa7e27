//! Options of the TCP socket, set before it connects.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Socket, TcpKeepalive};

/// TCP keep-alive: how a dead route is noticed below WebSocket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(clippy::exhaustive_structs, reason = "these three are all that TCP has")]
pub struct KeepAlive {
    /// Silence before the first probe. Default 30 s.
    pub idle: Duration,
    /// Time between probes. Default 10 s.
    pub interval: Duration,
    /// Unanswered probes after which the connection is dead. Default 3.
    pub retries: u32,
}

impl Default for KeepAlive {
    fn default() -> Self {
        Self { idle: Duration::from_secs(30), interval: Duration::from_secs(10), retries: 3 }
    }
}

type Custom = Arc<dyn Fn(&Socket) -> io::Result<()> + Send + Sync>;

/// What is set on a TCP socket before it connects.
///
/// The default is `TCP_NODELAY` and [`KeepAlive::default`]; the closures added by [`with`](Self::with) run after that and may undo it.
///
/// ```
/// use websocket_link::SocketOptions;
///
/// let options = SocketOptions::default()
///     .keep_alive(None)
///     .with(|socket| socket.set_recv_buffer_size(1 << 20));
/// # let _ = options;
/// ```
#[derive(Clone)]
pub struct SocketOptions {
    nodelay: bool,
    keep_alive: Option<KeepAlive>,
    bind: Option<IpAddr>,
    #[cfg(target_os = "linux")]
    interface: Option<String>,
    custom: Vec<Custom>,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self {
            nodelay: true,
            keep_alive: Some(KeepAlive::default()),
            bind: None,
            #[cfg(target_os = "linux")]
            interface: None,
            custom: Vec::new(),
        }
    }
}

impl SocketOptions {
    /// Sends small segments at once (`TCP_NODELAY`). Default `true`.
    #[must_use]
    pub fn nodelay(mut self, nodelay: bool) -> Self {
        self.nodelay = nodelay;
        self
    }

    /// TCP keep-alive, or `None` for the system's silence.
    #[must_use]
    pub fn keep_alive(mut self, keep_alive: Option<KeepAlive>) -> Self {
        self.keep_alive = keep_alive;
        self
    }

    /// Connects from this local address. Servers' addresses of the other family then fail at once. Default: the system chooses.
    #[must_use]
    pub fn bind(mut self, local: IpAddr) -> Self {
        self.bind = Some(local);
        self
    }

    /// Connects through this network interface, as `eth0` (`SO_BINDTODEVICE`). Default: the system chooses.
    #[cfg(target_os = "linux")]
    #[must_use]
    pub fn interface(mut self, name: impl Into<String>) -> Self {
        self.interface = Some(name.into());
        self
    }

    /// Adds a closure that sets whatever else is wanted; an error from it ends the connection attempt.
    #[must_use]
    pub fn with(mut self, set: impl Fn(&Socket) -> io::Result<()> + Send + Sync + 'static) -> Self {
        self.custom.push(Arc::new(set));
        self
    }

    /// As [`apply`](Self::apply), and chooses where the socket connects from, on the way to `address`.
    ///
    /// # Errors
    /// As [`apply`](Self::apply), or a local address that is not ours or of the other family.
    pub fn apply_to(&self, socket: &Socket, address: SocketAddr) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        if let Some(interface) = &self.interface {
            socket.bind_device(Some(interface.as_bytes()))?;
        }
        if let Some(local) = self.bind {
            if local.is_ipv4() != address.is_ipv4() {
                let what = format!("{local}, to connect from, is of another family than {address}");
                return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, what));
            }
            socket.bind(&SocketAddr::new(local, 0).into())?;
        }
        self.apply(socket)
    }

    /// Sets everything on `socket`, in the order described above.
    ///
    /// # Errors
    /// The first option that the system or a closure refuses.
    pub fn apply(&self, socket: &Socket) -> io::Result<()> {
        socket.set_tcp_nodelay(self.nodelay)?;
        if let Some(keep_alive) = self.keep_alive {
            let probes = TcpKeepalive::new().with_time(keep_alive.idle).with_interval(keep_alive.interval);
            #[cfg(not(windows))]
            let probes = probes.with_retries(keep_alive.retries);
            socket.set_tcp_keepalive(&probes)?;
        }
        self.custom.iter().try_for_each(|set| set(socket))
    }
}

impl fmt::Debug for SocketOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketOptions")
            .field("nodelay", &self.nodelay)
            .field("keep_alive", &self.keep_alive)
            .field("bind", &self.bind)
            .field("custom", &self.custom.len())
            .finish()
    }
}
