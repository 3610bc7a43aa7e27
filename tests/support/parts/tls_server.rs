//! Servers that speak TLS and no WebSocket, in what programs for servers are made with.

use std::net::SocketAddr;

use super::daemon::Daemon;
use super::place::{Place, ReservedPort};
use super::program::find;
use crate::{Identity, Scratch};

const NODE: &str = "const {readFileSync: read} = require('fs');
require('https').createServer({cert: read('server.pem'), key: read('server.key')}).listen(+process.argv[1], '127.0.0.1');";

const PYTHON: &str = "
import http.server, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain('server.pem', 'server.key')
server = http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), http.server.SimpleHTTPRequestHandler)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
";

/// A server that speaks TLS.
#[derive(Debug)]
pub struct TlsServer {
    _daemon: Daemon,
    at: SocketAddr,
}

impl TlsServer {
    /// `openssl s_server`.
    #[track_caller]
    pub fn openssl(identity: &Identity) -> Option<Self> {
        let arguments =
            ["s_server", "-quiet", "-www", "-cert", "server.pem", "-key", "server.key", "-accept"];
        Self::start("openssl", identity, &arguments, |at| at.to_string())
    }

    /// Node's `https`.
    #[track_caller]
    pub fn node(identity: &Identity) -> Option<Self> {
        Self::start("node", identity, &["-e", NODE], |at| at.port().to_string())
    }

    /// Python's `ssl`.
    #[track_caller]
    pub fn python(identity: &Identity) -> Option<Self> {
        Self::start("python3", identity, &["-c", PYTHON], |at| at.port().to_string())
    }

    /// Starts it with `arguments` and, as the last one, where it is to listen.
    #[track_caller]
    fn start(
        program: &str,
        identity: &Identity,
        arguments: &[&str],
        listen: fn(SocketAddr) -> String,
    ) -> Option<Self> {
        let program = find(program)?;
        let scratch = Scratch::new();
        scratch.file("server.pem", &identity.certificate);
        scratch.file("server.key", &identity.key);
        let port = ReservedPort::new();
        let at = port.addr();
        let listen = listen(at);
        let arguments = arguments.iter().copied().chain([listen.as_str()]);
        Some(Self { _daemon: Daemon::start(&program, scratch, &[Place::Port(port)], arguments), at })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.at
    }
}
