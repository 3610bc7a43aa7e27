//! Where a program listens.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use socket2::{Domain, Socket, Type};

/// A place that only one program can listen on, and that refuses connections until it does.
#[derive(Debug)]
pub(super) enum Place {
    Port(ReservedPort),
    Unix(PathBuf),
}

impl Place {
    /// Whether somebody listens.
    pub(super) fn is_open(&self) -> bool {
        match self {
            Self::Port(port) => TcpStream::connect(port.addr()).is_ok(),
            Self::Unix(path) => UnixStream::connect(path).is_ok(),
        }
    }
}

/// A port of 127.0.0.1 for a program that cannot choose one itself, or does not tell which it chose.
///
/// A socket is bound to it and does not listen. As long as it lives, the system gives the port to nobody who asks for any port;
/// Linux lets a program that names it, and allows addresses to be reused, listen on it all the same.
#[derive(Debug)]
pub(super) struct ReservedPort {
    addr: SocketAddr,
    _reservation: Socket,
}

impl ReservedPort {
    /// # Panics
    /// When the system has no port left.
    pub(super) fn new() -> Self {
        Self::reserve().expect("a port of 127.0.0.1 is free")
    }

    fn reserve() -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        let addr = socket.local_addr()?.as_socket();
        Ok(Self { addr: addr.ok_or(io::ErrorKind::AddrNotAvailable)?, _reservation: socket })
    }

    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_reserved_port_is_closed_until_a_program_listens_on_it() {
        let place = Place::Port(ReservedPort::new());
        assert!(!place.is_open());
        let Place::Port(port) = &place else { unreachable!() };
        let _listener = TcpListener::bind(port.addr()).unwrap();
        assert!(place.is_open());
        assert!(TcpListener::bind(port.addr()).is_err());
    }
}
