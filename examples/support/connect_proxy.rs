//! The smallest HTTP proxy: CONNECT for one user, and bytes from one side to the other.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use websocket_testkit::handshake::Request;

/// The one user, as in RFC 7617 section 2.
pub const USER: &str = "Aladdin";
/// The user's password.
pub const PASSWORD: &str = "open sesame";
const EXPECTED: &str = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";

const UNAUTHORIZED: &[u8] = b"HTTP/1.1 407 Proxy Authentication Required\r\n\
    Proxy-Authenticate: Basic realm=\"cave\"\r\nContent-Length: 0\r\n\r\n";
const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

/// A proxy on threads of its own.
#[derive(Debug)]
pub struct ConnectProxy {
    address: SocketAddr,
    tunnels: Arc<AtomicUsize>,
}

impl ConnectProxy {
    /// Starts one on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When the system refuses a socket or a thread.
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let tunnels = Arc::new(AtomicUsize::new(0));
        let count = tunnels.clone();
        thread::Builder::new().name("proxy".into()).spawn(move || {
            for client in listener.incoming() {
                let count = count.clone();
                thread::spawn(move || serve(client?, &count));
            }
        })?;
        Ok(Self { address, tunnels })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many tunnels it has made so far.
    pub fn tunnels(&self) -> usize {
        self.tunnels.load(Ordering::Relaxed)
    }
}

fn serve(mut client: TcpStream, tunnels: &AtomicUsize) -> io::Result<()> {
    let mut head = Vec::new();
    let request = loop {
        if let Some(request) = Request::parse(&head) {
            break request;
        }
        let mut bytes = [0; 1024];
        match client.read(&mut bytes)? {
            0 => return Ok(()),
            len => head.extend_from_slice(&bytes[..len]),
        }
    };
    if request.header("Proxy-Authorization") != Some(EXPECTED) {
        return client.write_all(UNAUTHORIZED);
    }
    let server = TcpStream::connect(&request.path)?;
    tunnels.fetch_add(1, Ordering::Relaxed);
    client.write_all(ESTABLISHED)?;
    let (from_client, to_server) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || pour(from_client, to_server));
    pour(server, client)
}

/// Carries bytes until there are no more, and says so.
fn pour(mut from: TcpStream, mut to: TcpStream) -> io::Result<()> {
    io::copy(&mut from, &mut to)?;
    to.shutdown(Shutdown::Write)
}
