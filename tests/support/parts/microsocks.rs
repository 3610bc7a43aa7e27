//! MicroSocks, the small SOCKS5 server.

use std::net::SocketAddr;

use super::daemon::Daemon;
use super::place::{Place, ReservedPort};
use super::program::find;
use crate::Scratch;

/// MicroSocks, which speaks SOCKS5 only.
#[derive(Debug)]
pub struct Microsocks {
    _daemon: Daemon,
    addr: SocketAddr,
}

impl Microsocks {
    /// For everybody.
    #[track_caller]
    pub fn open() -> Option<Self> {
        Self::start(&[])
    }

    /// For those who know the password.
    #[track_caller]
    pub fn with_password(user: &str, password: &str) -> Option<Self> {
        Self::start(&["-u", user, "-P", password])
    }

    #[track_caller]
    fn start(access: &[&str]) -> Option<Self> {
        let program = find("microsocks")?;
        let port = ReservedPort::new();
        let addr = port.addr();
        let (ip, number) = (addr.ip().to_string(), addr.port().to_string());
        let arguments = ["-i", &ip, "-p", &number].into_iter().chain(access.iter().copied());
        let daemon = Daemon::start(&program, Scratch::new(), &[Place::Port(port)], arguments);
        Some(Self { _daemon: daemon, addr })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}
