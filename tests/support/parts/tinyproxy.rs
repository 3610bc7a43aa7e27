//! Tinyproxy, the small HTTP proxy.

use std::net::SocketAddr;

use super::daemon::Daemon;
use super::place::{Place, ReservedPort};
use super::program::find;
use crate::Scratch;

/// Tinyproxy, which takes CONNECT to any port.
#[derive(Debug)]
pub struct Tinyproxy {
    _daemon: Daemon,
    addr: SocketAddr,
}

impl Tinyproxy {
    /// For everybody.
    #[track_caller]
    pub fn open() -> Option<Self> {
        Self::start("")
    }

    /// For those who know the password, told as Basic. Who tells none gets status 407, who tells a wrong one 401. Letters and digits only.
    #[track_caller]
    pub fn with_basic(user: &str, password: &str) -> Option<Self> {
        Self::start(&format!("BasicAuth {user} {password}\n"))
    }

    #[track_caller]
    fn start(access: &str) -> Option<Self> {
        let program = find("tinyproxy")?;
        let scratch = Scratch::new();
        let port = ReservedPort::new();
        let addr = port.addr();
        let configuration = format!(
            "Listen {}\nPort {}\nTimeout 600\nMaxClients 100\nAllow 127.0.0.1\nLogLevel Info\n{access}",
            addr.ip(),
            addr.port()
        );
        scratch.file("tinyproxy.conf", configuration);
        let arguments = ["-d", "-c", "tinyproxy.conf"];
        let daemon = Daemon::start(&program, scratch, &[Place::Port(port)], arguments);
        Some(Self { _daemon: daemon, addr })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}
