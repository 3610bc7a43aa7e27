//! TLS in front of the suite's server, whose Python rarely has the libraries to speak it itself.

use std::error::Error;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use websocket_app::tls::TlsOptions;
use websocket_app::tls::rustls::crypto::ring::default_provider;
use websocket_app::tls::rustls::pki_types::PrivateKeyDer;
use websocket_app::tls::rustls::{DEFAULT_VERSIONS, ServerConfig, ServerConnection};

/// Takes connections with TLS and passes on what is inside, byte by byte, ends of streams included. It listens on the loopback
/// interface and ends with the process.
pub(crate) struct Front {
    addr: SocketAddr,
    /// Its certificate, made for this run.
    certificate: String,
}

impl Front {
    /// Begins to listen, in front of the server on this port of the loopback interface.
    pub(crate) fn of(port: u16) -> io::Result<Self> {
        let (config, certificate) = identity().map_err(|error| io::Error::other(error.to_string()))?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let addr = listener.local_addr()?;
        let config = Arc::new(config);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let config = config.clone();
                thread::spawn(move || {
                    // A client or a server that breaks off is what some cases are about: the suite tells how it ended.
                    let _end = pass_on(client, port, config);
                });
            }
        });
        Ok(Self { addr, certificate })
    }

    /// The port that it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.addr.port()
    }

    /// What a client needs to trust it.
    pub(crate) fn trust(&self) -> TlsOptions {
        TlsOptions::new().roots_from_bytes(&self.certificate)
    }
}

/// A certificate for the loopback interface, and a server that shows it.
fn identity() -> Result<(ServerConfig, String), Box<dyn Error>> {
    let identity = rcgen::generate_simple_self_signed([Ipv4Addr::LOCALHOST.to_string()])?;
    let key = PrivateKeyDer::Pkcs8(identity.signing_key.serialize_der().into());
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(DEFAULT_VERSIONS)?
        .with_no_client_auth()
        .with_single_cert(vec![identity.cert.der().clone()], key)?;
    Ok((config, identity.cert.pem()))
}

/// Passes on what either side says until both have ended, or one has broken off.
fn pass_on(client: TcpStream, port: u16, config: Arc<ServerConfig>) -> Result<(), Box<dyn Error>> {
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let tls = ServerConnection::new(config)?;
    let mut pair = Pair { client, server, tls, client_ended: false, server_ended: false };
    while !(pair.client_ended && pair.server_ended) {
        let (from_client, from_server) = pair.wait()?;
        if from_client {
            pair.hear_client()?;
        }
        if from_server {
            pair.hear_server()?;
        }
    }
    Ok(())
}

/// A client, its TLS, and a connection to the server of its own.
struct Pair {
    client: TcpStream,
    server: TcpStream,
    tls: ServerConnection,
    client_ended: bool,
    server_ended: bool,
}

impl Pair {
    /// Waits until one of those that have not ended can be read.
    fn wait(&self) -> io::Result<(bool, bool)> {
        let wanted = |ended| if ended { PollFlags::empty() } else { PollFlags::POLLIN };
        let mut streams = [
            PollFd::new(self.client.as_fd(), wanted(self.client_ended)),
            PollFd::new(self.server.as_fd(), wanted(self.server_ended)),
        ];
        poll(&mut streams, PollTimeout::NONE)?;
        let [client, server] = streams.map(|stream| stream.any().unwrap_or_default());
        Ok((client, server))
    }

    fn hear_client(&mut self) -> Result<(), Box<dyn Error>> {
        let ended = self.tls.read_tls(&mut self.client)? == 0;
        let state = self.tls.process_new_packets();
        // The answer of a handshake, or an alert.
        self.flush()?;
        let state = state?;
        let mut plaintext = vec![0; state.plaintext_bytes_to_read()];
        self.tls.reader().read_exact(&mut plaintext)?;
        self.server.write_all(&plaintext)?;
        if ended || state.peer_has_closed() {
            self.client_ended = true;
            self.server.shutdown(Shutdown::Write)?;
        }
        Ok(())
    }

    fn hear_server(&mut self) -> Result<(), Box<dyn Error>> {
        let mut buffer = [0; 16 << 10];
        let len = match self.server.read(&mut buffer) {
            Err(error) if error.kind() != ErrorKind::ConnectionReset => return Err(error.into()),
            read => read.unwrap_or_default(),
        };
        if len == 0 {
            self.server_ended = true;
            self.tls.send_close_notify();
            self.flush()?;
            self.client.shutdown(Shutdown::Write)?;
        } else {
            self.tls.writer().write_all(&buffer[..len])?;
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.client)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use websocket_app::{Outcome, RunOptions, WebSocketApp};

    use super::*;

    #[test]
    fn what_goes_in_with_tls_comes_out_without_and_the_ends_go_along() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let front = Front::of(listener.local_addr().unwrap().port()).unwrap();
        let server = thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.extend(byte);
            }
            stream.write_all(b"HTTP/1.1 404 Not Found\r\n\r\nno such case").unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            assert_eq!(stream.read_to_end(&mut Vec::new()).unwrap(), 0, "the client's end comes too");
            String::from_utf8(request).unwrap()
        });
        let mut app = WebSocketApp::new(format!("wss://127.0.0.1:{}/case", front.port()));
        let outcome = app.run_forever(&RunOptions::new().tls(front.trust())).unwrap();
        assert!(matches!(&outcome, Outcome::Lost(error) if error.to_string().contains("404")), "{outcome:?}");
        assert!(server.join().unwrap().starts_with("GET /case HTTP/1.1\r\n"));
    }
}
