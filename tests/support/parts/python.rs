//! A server in Python, with its `websockets` package.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::daemon::Daemon;
use super::place::{Place, ReservedPort};
use super::program::{find, installed, skipped};
use crate::{Identity, Scratch};

const ECHO: &str = include_str!("echo.py");

/// An echo server in Python.
#[derive(Debug)]
pub struct PythonServer<At> {
    _daemon: Daemon,
    at: At,
}

impl PythonServer<SocketAddr> {
    /// Takes plain connections.
    #[track_caller]
    pub fn tcp() -> Option<Self> {
        Self::on_port("tcp", Scratch::new(), &[])
    }

    /// Takes connections with TLS.
    #[track_caller]
    pub fn tls(identity: &Identity) -> Option<Self> {
        let scratch = Scratch::new();
        scratch.file("server.pem", &identity.certificate);
        scratch.file("server.key", &identity.key);
        Self::on_port("tls", scratch, &["server.pem", "server.key"])
    }

    #[track_caller]
    fn on_port(kind: &str, scratch: Scratch, identity: &[&str]) -> Option<Self> {
        let program = program()?;
        let port = ReservedPort::new();
        let at = port.addr();
        let number = at.port().to_string();
        let arguments = ["-c", ECHO, kind, &number].into_iter().chain(identity.iter().copied());
        let places = [Place::Port(port)];
        Some(Self { _daemon: Daemon::start_with(&program, scratch, &places, arguments, with_package), at })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.at
    }
}

impl PythonServer<PathBuf> {
    /// Takes plain connections on a unix socket.
    #[track_caller]
    pub fn unix() -> Option<Self> {
        let program = program()?;
        let scratch = Scratch::new();
        let at = scratch.path().join("socket");
        let arguments = ["-c", ECHO, "unix", "socket"];
        let places = [Place::Unix(at.clone())];
        Some(Self { _daemon: Daemon::start_with(&program, scratch, &places, arguments, with_package), at })
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.at
    }
}

/// A Python that has the package.
pub(super) fn program() -> Option<PathBuf> {
    static HAS_PACKAGE: OnceLock<bool> = OnceLock::new();
    let program = find("python3")?;
    let has_package = *HAS_PACKAGE.get_or_init(|| {
        let mut command = Command::new(&program);
        command.args(["-c", "import websockets"]).stdin(Stdio::null()).stderr(Stdio::null());
        with_package(&mut command);
        command.status().is_ok_and(|status| status.success())
    });
    if !has_package {
        skipped("Python's package websockets is not installed");
    }
    has_package.then_some(program)
}

/// Where `tests/install-parts` puts the package comes first.
pub(super) fn with_package(command: &mut Command) {
    command.env_remove("PYTHONHOME");
    if let Some(installed) = installed() {
        command.env("PYTHONPATH", installed.join("python"));
    }
}
