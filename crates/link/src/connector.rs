//! From an address to a stream that is on its way.

use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::Path;
use std::time::Duration;

#[cfg(unix)]
use socket2::SockAddr;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use websocket_dispatcher::Io;

use crate::SocketOptions;

/// Starts connecting to one address and never waits for the end of it.
pub trait Connector {
    /// Returns a stream that is connecting or connected; [`Io::connected`] tells when it is.
    ///
    /// # Errors
    /// When the attempt fails at once: no descriptors left, no route, or an option that the system refuses.
    /// Whatever the kind of the error is, the address has failed.
    fn connect(&mut self, address: SocketAddr, options: &SocketOptions) -> io::Result<Io>;

    /// As [`connect`](Self::connect), for a unix stream socket at `path`. Unless it is provided, there are no unix sockets.
    ///
    /// # Errors
    /// As [`connect`](Self::connect), except for [`WouldBlock`](io::ErrorKind::WouldBlock): the listener has
    /// no room for another connection yet, and the caller is to try again after a while.
    #[cfg(unix)]
    fn connect_unix(&mut self, path: &Path) -> io::Result<Io> {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!("this connector has no way to the unix socket {}", path.display()),
        ))
    }

    /// A WebSocket connection is open on a stream that [`connect`](Self::connect) has returned, which may be inside a wrapper. It is called
    /// after `on_open`, unless that has closed or removed the app.
    ///
    /// Unless it is provided, it sets the keep-alive that [`SocketOptions`] leaves for then.
    fn opened(&mut self, io: &Io, options: &SocketOptions) {
        #[cfg(unix)]
        let handle = io.fd();
        #[cfg(windows)]
        let handle = io.socket();
        if let Some(handle) = handle {
            options.apply_once_open(&SockRef::from(&handle));
        }
    }
}

/// The default [`Connector`]: non-blocking sockets of the operating system.
#[derive(Clone, Copy, Default, Debug)]
pub struct SystemConnector;

impl Connector for SystemConnector {
    fn connect(&mut self, address: SocketAddr, options: &SocketOptions) -> io::Result<Io> {
        let socket = nonblocking(Domain::for_address(address), Some(Protocol::TCP))?;
        options.apply_before_connect(&socket, address)?;
        match socket.connect(&address.into()) {
            Ok(()) => {}
            Err(error) if in_progress(&error) => {}
            Err(error) => return Err(error),
        }
        if (address.port() > LAST_PRIVILEGED_PORT || options.is_custom()) && leads_to_itself(&socket, address)
        {
            // Reset, so that the port is free at once for a server, or for the next attempt.
            let _kept_for_a_while = socket.set_linger(Some(Duration::ZERO));
            let what = "the socket is connected to itself: nothing listens there, and the port is its own";
            return Err(io::Error::new(io::ErrorKind::ConnectionRefused, what));
        }
        Ok(Io::nonblocking_tcp(socket.into()))
    }

    #[cfg(unix)]
    fn connect_unix(&mut self, path: &Path) -> io::Result<Io> {
        let socket = nonblocking(Domain::UNIX, None)?;
        match socket.connect(&SockAddr::unix(path)?) {
            Ok(()) => {}
            Err(error) if in_progress(&error) => {}
            Err(error) => return Err(error),
        }
        Io::unix(std::os::fd::OwnedFd::from(socket).into())
    }
}

/// The ports that a system chooses for connecting begin above this one, unless its administrator has lowered them: a server's port up to here
/// is not the socket's own.
const LAST_PRIVILEGED_PORT: u16 = 1023;

/// A stream socket that is non-blocking from the call on that creates it.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
fn nonblocking(domain: Domain, protocol: Option<Protocol>) -> io::Result<Socket> {
    Socket::new(domain, Type::STREAM.nonblocking(), protocol)
}

/// A stream socket that is non-blocking: two calls where the system has none that does both.
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
fn nonblocking(domain: Domain, protocol: Option<Protocol>) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::STREAM, protocol)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Whether the socket connects from where it connects to. TCP takes that for two ends that open at the same time (RFC 9293 section 3.5), and
/// connects them. It happens on one's own machine where nothing listens and the system chooses that very port to connect from.
fn leads_to_itself(socket: &Socket, address: SocketAddr) -> bool {
    let Some(local) = socket.local_addr().ok().and_then(|local| local.as_socket()) else { return false };
    // To the unspecified address means to the own one.
    local.port() == address.port() && (local.ip() == address.ip() || address.ip().is_unspecified())
}

#[cfg(unix)]
fn in_progress(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINPROGRESS)
}

#[cfg(not(unix))]
fn in_progress(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpListener;

    use websocket_dispatcher::{Dispatcher as _, Interest, Key, MioDispatcher, Wait as _};

    use super::*;

    fn connected(options: &SocketOptions) -> io::Result<Io> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let mut io = SystemConnector.connect(listener.local_addr()?, options)?;
        let mut dispatcher = MioDispatcher::new()?;
        dispatcher.register(Key::new(0, 0), &mut io, Interest::Write)?;
        while !io.connected()? {
            dispatcher.wait(None, &mut Vec::new())?;
        }
        listener.accept()?;
        Ok(io)
    }

    #[test]
    #[cfg(unix)]
    fn b193_nodelay_and_keep_alive_are_on_and_the_users_options_come_after() {
        let io = connected(&SocketOptions::default()).unwrap();
        let fd = io.fd().unwrap();
        let socket = SockRef::from(&fd);
        assert!(socket.tcp_nodelay().unwrap());
        assert!(!socket.keepalive().unwrap(), "not before the connection is open");
        SystemConnector.opened(&io, &SocketOptions::default());
        assert!(socket.keepalive().unwrap());
        #[cfg(target_os = "linux")]
        {
            assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(30));
            assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(10));
            assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
        }

        let io = connected(&SocketOptions::default().with(|socket| socket.set_tcp_nodelay(false))).unwrap();
        let fd = io.fd().unwrap();
        assert!(!SockRef::from(&fd).tcp_nodelay().unwrap());
    }

    #[test]
    #[cfg(unix)]
    fn b193_keep_alive_that_was_asked_for_or_may_be_undone_is_set_before_connecting_and_not_again() {
        let asked_for = SocketOptions::default().keep_alive(Some(crate::KeepAlive::default()));
        let switched_off = SocketOptions::default().keep_alive(None);
        let undone = SocketOptions::default().with(|socket| socket.set_keepalive(false));
        for (options, expected) in [(asked_for, true), (switched_off, false), (undone, false)] {
            let io = connected(&options).unwrap();
            let fd = io.fd().unwrap();
            assert_eq!(SockRef::from(&fd).keepalive().unwrap(), expected, "{options:?}");
            SystemConnector.opened(&io, &options);
            assert_eq!(SockRef::from(&fd).keepalive().unwrap(), expected, "{options:?}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn b196_a_unix_socket_is_connected_to_by_its_path() {
        let directory = std::env::temp_dir().join(format!("websocket-link-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("socket");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let mut io = SystemConnector.connect_unix(&path).unwrap();
        assert!(io.connected().unwrap());
        let (mut peer, _) = listener.accept().unwrap();
        io.write_all(b"x").unwrap();
        let mut byte = [0];
        std::io::Read::read_exact(&mut peer, &mut byte).unwrap();
        assert_eq!(byte, *b"x");
        std::fs::remove_dir_all(&directory).unwrap();
        assert_eq!(SystemConnector.connect_unix(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    #[cfg(target_os = "linux")] // elsewhere only 127.0.0.1 is there
    fn the_local_address_can_be_chosen() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let options = SocketOptions::default().bind("127.0.0.2".parse().unwrap());
        SystemConnector.connect(listener.local_addr().unwrap(), &options).unwrap();
        assert_eq!(listener.accept().unwrap().1.ip().to_string(), "127.0.0.2");

        let six = SocketOptions::default().bind("::1".parse().unwrap());
        let refused = SystemConnector.connect(listener.local_addr().unwrap(), &six).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AddrNotAvailable);
    }

    #[test]
    fn an_option_that_fails_ends_the_attempt_with_its_own_error() {
        let options = SocketOptions::default().with(|_| Err(io::Error::other("no such interface")));
        assert_eq!(connected(&options).unwrap_err().to_string(), "no such interface");
    }

    #[test]
    #[cfg(target_os = "linux")] // elsewhere two sockets cannot share a port like this
    fn h1_a_socket_that_connects_to_itself_is_refused_and_its_port_is_free_at_once() {
        for (host, target) in [
            ("127.0.0.1:0", None),
            ("[::1]:0", None),
            ("127.0.0.1:0", Some("0.0.0.0")),
            ("[::]:0", Some("::1")),
            ("0.0.0.0:0", Some("127.0.0.1")),
        ] {
            // Holds the port, and listens on nothing.
            let holder = share(host.parse().unwrap()).unwrap();
            let local = holder.local_addr().unwrap().as_socket().unwrap();
            let mut address = local;
            address.set_ip(target.map_or(local.ip(), |target| target.parse().unwrap()));
            let options = SocketOptions::default().with(move |socket| {
                socket.set_reuse_address(true)?;
                socket.bind(&local.into())
            });
            for _attempt in 0..3 {
                let error = SystemConnector.connect(address, &options).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused, "{host} {target:?} {error}");
            }
            drop(holder);
            TcpListener::bind(local).unwrap();
        }
    }

    #[cfg(target_os = "linux")]
    fn share(address: SocketAddr) -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        Ok(socket)
    }

    #[test]
    fn h1_a_server_on_the_port_that_the_client_connects_from_is_no_self() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = listener.local_addr().unwrap();
        SystemConnector.connect(server, &SocketOptions::default()).unwrap();
        assert_ne!(listener.accept().unwrap().1, server);
    }

    #[test]
    fn a_refused_connect_shows_its_reason_and_a_write_does_not_panic() {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let outcome = SystemConnector.connect(closed, &SocketOptions::default()).and_then(|mut io| {
            let mut dispatcher = MioDispatcher::new()?;
            dispatcher.register(Key::new(0, 0), &mut io, Interest::Write)?;
            dispatcher.wait(None, &mut Vec::new())?;
            let outcome = io.connected();
            let _ = io.write(b"x");
            outcome
        });
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }
}
