//! Options of the TCP socket.

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
    /// Unanswered probes after which the connection is dead. Default 3. Windows sends 10 before version 1703 of Windows 10, whatever this says.
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
/// Keep-alive that is only the default, with no closure after it, is set once the connection is open: until then other timeouts watch over
/// it, and an attempt that fails is spared four system calls.
///
/// An option that was asked for and that the system refuses ends the connection attempt, with an error that names it. One that is only a
/// default does not: the connection does without it, and a message at the level `debug` says so.
///
/// ```
/// use websocket_link::SocketOptions;
///
/// let options = SocketOptions::default()
///     .keep_alive(None)
///     .with(|socket| socket.set_recv_buffer_size(1 << 20));
/// # let _ = options;
/// ```
#[derive(Clone, Default)]
pub struct SocketOptions {
    /// `None`: the default.
    nodelay: Option<bool>,
    /// `None`: the default.
    keep_alive: Option<Option<KeepAlive>>,
    bind: Option<IpAddr>,
    #[cfg(target_os = "linux")]
    interface: Option<String>,
    custom: Vec<Custom>,
}

impl SocketOptions {
    /// Sends small segments at once (`TCP_NODELAY`). Default `true`.
    #[must_use]
    pub fn nodelay(mut self, nodelay: bool) -> Self {
        self.nodelay = Some(nodelay);
        self
    }

    /// TCP keep-alive, or `None` for the system's silence.
    #[must_use]
    pub fn keep_alive(mut self, keep_alive: Option<KeepAlive>) -> Self {
        self.keep_alive = Some(keep_alive);
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
        self.bind_for(socket, address)?;
        self.apply(socket)
    }

    /// As [`apply_to`](Self::apply_to), but for what [`apply_once_open`](Self::apply_once_open) sets.
    ///
    /// # Errors
    /// As [`apply_to`](Self::apply_to).
    pub(crate) fn apply_before_connect(&self, socket: &Socket, address: SocketAddr) -> io::Result<()> {
        self.bind_for(socket, address)?;
        self.apply_but_keep_alive(socket, self.keep_alive_waits())
    }

    /// Sets on a connected socket what needs not be set before: keep-alive where that is a default that no closure can have undone.
    pub(crate) fn apply_once_open(&self, socket: &Socket) {
        if self.keep_alive_waits() {
            let _logged = KeepAlive::default().apply(socket, false);
        }
    }

    /// Whether closures choose more than this type knows: a local port, for one.
    pub(crate) fn is_custom(&self) -> bool {
        !self.custom.is_empty()
    }

    fn keep_alive_waits(&self) -> bool {
        self.keep_alive.is_none() && !self.is_custom()
    }

    fn bind_for(&self, socket: &Socket, address: SocketAddr) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        if let Some(interface) = &self.interface {
            let bound = socket.bind_device(Some(interface.as_bytes()));
            bound.map_err(|error| refused(format!("the network interface {interface:?}"), error))?;
        }
        if let Some(local) = self.bind {
            if local.is_ipv4() != address.is_ipv4() {
                let what = format!("{local}, to connect from, is of another family than {address}");
                return Err(io::Error::new(io::ErrorKind::AddrNotAvailable, what));
            }
            let bound = socket.bind(&SocketAddr::new(local, 0).into());
            bound.map_err(|error| refused(format!("the local address {local}"), error))?;
        }
        Ok(())
    }

    /// Sets everything on `socket`, in the order described above.
    ///
    /// # Errors
    /// The first option that was asked for and that the system refuses, or the first closure that fails.
    pub fn apply(&self, socket: &Socket) -> io::Result<()> {
        self.apply_but_keep_alive(socket, false)
    }

    /// As [`apply`](Self::apply), without keep-alive if that is `left_out`.
    fn apply_but_keep_alive(&self, socket: &Socket, left_out: bool) -> io::Result<()> {
        let nodelay = socket.set_tcp_nodelay(self.effective_nodelay());
        check("TCP_NODELAY", nodelay, self.nodelay.is_some())?;
        if let Some(keep_alive) = self.effective_keep_alive().filter(|_| !left_out) {
            keep_alive.apply(socket, self.keep_alive.is_some())?;
        }
        self.custom.iter().try_for_each(|set| set(socket))
    }

    fn effective_nodelay(&self) -> bool {
        self.nodelay.unwrap_or(true)
    }

    fn effective_keep_alive(&self) -> Option<KeepAlive> {
        self.keep_alive.unwrap_or_else(|| Some(KeepAlive::default()))
    }
}

impl KeepAlive {
    /// All at once; where that fails, one by one, so that one that is refused costs no other, and can be named.
    fn apply(self, socket: &Socket, asked_for: bool) -> io::Result<()> {
        let set = |probes| socket.set_tcp_keepalive(&probes);
        let (idle, interval) =
            (TcpKeepalive::new().with_time(self.idle), TcpKeepalive::new().with_interval(self.interval));
        let both = idle.clone().with_interval(self.interval);
        if set(both.clone().with_retries(self.retries)).is_ok() {
            return Ok(());
        }
        // There these two are one option. The third came with version 1703 of Windows 10: older ones do without.
        if cfg!(windows) {
            return check("SIO_KEEPALIVE_VALS", set(both), asked_for);
        }
        check("SO_KEEPALIVE", socket.set_keepalive(true), asked_for)?;
        check("TCP_KEEPIDLE", set(idle), asked_for)?;
        check("TCP_KEEPINTVL", set(interval), asked_for)?;
        check("TCP_KEEPCNT", set(TcpKeepalive::new().with_retries(self.retries)), asked_for)
    }
}

/// Makes an error that names what was refused, unless it is only a default.
fn check(option: &str, outcome: io::Result<()>, asked_for: bool) -> io::Result<()> {
    match outcome {
        Err(error) if asked_for => Err(refused(format!("the socket option {option}"), error)),
        Err(error) => {
            log::debug!(target: "websocket::connect", "the socket option {option} is left at the system's default: {error}");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

fn refused(what: String, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what} was refused: {error}"))
}

impl fmt::Debug for SocketOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketOptions")
            .field("nodelay", &self.effective_nodelay())
            .field("keep_alive", &self.effective_keep_alive())
            .field("bind", &self.bind)
            .field("custom", &self.custom.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use socket2::{Domain, Type};

    use super::*;

    fn tcp() -> Socket {
        Socket::new(Domain::IPV4, Type::STREAM, None).unwrap()
    }

    /// A socket that knows no option of TCP.
    fn udp() -> Socket {
        Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap()
    }

    #[test]
    fn i1_a_default_that_the_system_refuses_is_left_out() {
        assert!(udp().set_tcp_nodelay(true).is_err(), "or this test shows nothing");
        SocketOptions::default().apply(&udp()).unwrap();
        let ran = SocketOptions::default().with(|_| Err(io::Error::other("it ran")));
        assert_eq!(ran.apply(&udp()).unwrap_err().to_string(), "it ran");
    }

    #[test]
    fn i1_an_option_that_was_asked_for_and_is_refused_is_named() {
        let refused =
            |options: SocketOptions, socket: &Socket| options.apply(socket).unwrap_err().to_string();
        let start = "the socket option TCP_NODELAY was refused: ";
        for nodelay in [true, false] {
            let error = refused(SocketOptions::default().nodelay(nodelay), &udp());
            assert!(error.starts_with(start) && error.len() > start.len(), "{error}");
        }
        let error = refused(SocketOptions::default().keep_alive(Some(KeepAlive::default())), &udp());
        assert!(error.contains("KEEP"), "{error}");
    }

    #[test]
    #[cfg(target_os = "linux")] // whose limits these are
    fn i1_the_part_of_keep_alive_that_is_refused_is_named() {
        let default = KeepAlive::default();
        for (keep_alive, option) in [
            (KeepAlive { idle: Duration::ZERO, ..default }, "TCP_KEEPIDLE"),
            (KeepAlive { interval: Duration::from_secs(40_000), ..default }, "TCP_KEEPINTVL"),
            (KeepAlive { retries: 128, ..default }, "TCP_KEEPCNT"),
        ] {
            let error = SocketOptions::default().keep_alive(Some(keep_alive)).apply(&tcp()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(error.to_string().contains(option), "{error}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn i1_a_part_of_keep_alive_that_is_refused_costs_no_other() {
        let socket = tcp();
        let refused = KeepAlive { idle: Duration::ZERO, ..KeepAlive::default() };
        refused.apply(&socket, false).unwrap();
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), refused.interval);
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), refused.retries);
    }

    #[test]
    fn i1_a_local_address_or_an_interface_that_is_refused_is_named() {
        let server = SocketAddr::from(([192, 0, 2, 1], 80));
        let options = SocketOptions::default().bind("192.0.2.7".parse().unwrap());
        let error = options.apply_to(&tcp(), server).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
        assert!(error.to_string().starts_with("the local address 192.0.2.7 was refused: "), "{error}");
        #[cfg(target_os = "linux")]
        {
            let error = SocketOptions::default().interface("nowhere0").apply_to(&tcp(), server).unwrap_err();
            assert!(
                error.to_string().starts_with("the network interface \"nowhere0\" was refused: "),
                "{error}"
            );
        }
    }
}
