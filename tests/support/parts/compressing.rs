//! Servers that compress messages (RFC 7692), as people have them.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::daemon::Daemon;
use super::place::{Place, ReservedPort};
use super::{node, python};
use crate::Scratch;

/// Servers that send back every message, and make messages up when they are asked to: all of one program, each with its options.
#[derive(Debug)]
pub struct Compressing {
    _daemon: Daemon,
    addrs: Vec<SocketAddr>,
}

impl Compressing {
    /// Python's `websockets`, one server for each of `options`: a JSON object with the parameters of RFC 7692 or others that the package
    /// knows, or `null` for no compression.
    #[track_caller]
    pub fn python(options: &[String]) -> Option<Self> {
        let program = python::program()?;
        Some(Self::start(&program, ["-c", include_str!("compressing.py")], options, python::with_package))
    }

    /// The same with `ws` of npm.
    #[track_caller]
    pub fn node(options: &[String]) -> Option<Self> {
        let program = node::program()?;
        Some(Self::start(&program, ["-e", include_str!("compressing.js")], options, node::with_package))
    }

    #[track_caller]
    fn start(
        program: &Path,
        script: [&str; 2],
        options: &[String],
        with_package: impl FnOnce(&mut Command),
    ) -> Self {
        let ports: Vec<_> = options.iter().map(|_| ReservedPort::new()).collect();
        let addrs: Vec<_> = ports.iter().map(ReservedPort::addr).collect();
        let numbers: Vec<_> = addrs.iter().map(|addr| addr.port().to_string()).collect();
        let servers = numbers.iter().zip(options).flat_map(|(number, options)| [number.as_str(), options]);
        let places: Vec<_> = ports.into_iter().map(Place::Port).collect();
        let arguments = script.into_iter().chain(servers);
        let daemon = Daemon::start_with(program, Scratch::new(), &places, arguments, with_package);
        Self { _daemon: daemon, addrs }
    }

    /// Where they listen, in the order of their options.
    pub fn addrs(&self) -> &[SocketAddr] {
        &self.addrs
    }
}
