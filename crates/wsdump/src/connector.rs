//! Shows which addresses are tried.

use std::io;
use std::net::SocketAddr;

use websocket_app::dispatcher::Io;
use websocket_app::link::{Connector, SocketOptions, SystemConnector};

use crate::output::Output;

/// The system's connector, which says what it does if `--handshake` is given.
pub(crate) struct ShownConnector {
    pub(crate) output: Output,
    pub(crate) is_shown: bool,
}

impl Connector for ShownConnector {
    fn connect(&mut self, address: SocketAddr, options: &SocketOptions) -> io::Result<Io> {
        if self.is_shown {
            self.output.lock().note(format_args!("trying {address}"))?;
        }
        SystemConnector.connect(address, options)
    }

    #[cfg(unix)]
    fn connect_unix(&mut self, path: &std::path::Path) -> io::Result<Io> {
        SystemConnector.connect_unix(path)
    }
}
