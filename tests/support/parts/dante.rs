//! Dante, the SOCKS server.

use std::net::SocketAddr;

use super::daemon::Daemon;
use super::place::{Place, ReservedPort};
use super::program::find;
use crate::Scratch;

/// Dante, which speaks SOCKS4 and SOCKS5 with everybody. SOCKS4a it does not know, and passwords only those of the system's users.
#[derive(Debug)]
pub struct Dante {
    _daemon: Daemon,
    addr: SocketAddr,
}

impl Dante {
    /// For everybody.
    #[track_caller]
    pub fn open() -> Option<Self> {
        Self::start("none")
    }

    /// For users of this system with their passwords, so for nobody that a test could be.
    #[track_caller]
    pub fn refusing() -> Option<Self> {
        Self::start("username")
    }

    #[track_caller]
    fn start(method: &str) -> Option<Self> {
        let program = find("danted")?;
        let scratch = Scratch::new();
        let port = ReservedPort::new();
        let addr = port.addr();
        let configuration = format!(
            "logoutput: stderr
            internal: {} port = {}
            external: lo
            clientmethod: none
            socksmethod: {method}
            client pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}
            socks pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 command: connect }}\n",
            addr.ip(),
            addr.port()
        );
        scratch.file("danted.conf", configuration);
        let arguments = ["-f", "danted.conf", "-p", "danted.pid"];
        let daemon = Daemon::start(&program, scratch, &[Place::Port(port)], arguments);
        Some(Self { _daemon: daemon, addr })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}
