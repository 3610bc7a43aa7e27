//! TLS below the stages: a stream that encrypts what they write.

use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;
use std::sync::Arc;

use mio::net::TcpStream;
use rcgen::CertifiedKey;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::server::NoServerSessionStorage;
use rustls::{HandshakeKind, ServerConfig, ServerConnection};
use websocket_bench::{CHUNK, Result, tls};

/// A server for 127.0.0.1 with a certificate of its own, which is written to `root` for clients to trust.
pub(crate) fn config(root: &Path, resumption: bool) -> Result<Arc<ServerConfig>> {
    let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    std::fs::write(root, cert.pem()).map_err(|error| format!("{}: {error}", root.display()))?;
    let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    let builder =
        ServerConfig::builder_with_provider(tls::provider()).with_safe_default_protocol_versions()?;
    let mut config = builder.with_no_client_auth().with_single_cert(vec![cert.der().clone()], key.into())?;
    if !resumption {
        config.session_storage = Arc::new(NoServerSessionStorage {});
    }
    Ok(Arc::new(config))
}

/// A connection's bytes, encrypted or not.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<Tls>),
}

/// A TLS session on a socket. Whatever is written is taken whole, once all that was written before has left.
pub(crate) struct Tls {
    socket: TcpStream,
    session: ServerConnection,
    /// Records, of which the socket has taken `sent` bytes.
    unsent: Vec<u8>,
    sent: usize,
    /// Bytes of plaintext in a record, where they are to be fewer than fit.
    record: usize,
}

impl Stream {
    pub(crate) fn new(socket: TcpStream, config: Option<&Arc<ServerConfig>>) -> Result<Self> {
        let Some(config) = config else { return Ok(Self::Plain(socket)) };
        let mut session = ServerConnection::new(config.clone())?;
        session.set_buffer_limit(None);
        Ok(Self::Tls(Box::new(Tls { socket, session, unsent: Vec::new(), sent: 0, record: CHUNK })))
    }

    /// Whether an earlier session was resumed.
    pub(crate) fn is_resumed(&self) -> bool {
        matches!(self, Self::Tls(tls) if tls.session.handshake_kind() == Some(HandshakeKind::Resumed))
    }

    /// From now on, begins a record every so many bytes.
    pub(crate) fn cut(&mut self, record: usize) {
        if let Self::Tls(tls) = self {
            tls.record = record;
        }
    }
}

impl Tls {
    /// Writes what is encrypted; fails with `WouldBlock` where the socket does not take all of it.
    fn send(&mut self) -> io::Result<()> {
        if self.session.wants_write() {
            self.unsent.drain(..self.sent);
            self.sent = 0;
            while self.session.wants_write() {
                self.session.write_tls(&mut self.unsent)?;
            }
        }
        while self.sent < self.unsent.len() {
            self.sent += self.socket.write(&self.unsent[self.sent..])?;
        }
        self.unsent.clear();
        self.sent = 0;
        Ok(())
    }
}

impl Read for Tls {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.session.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // A client that drops its socket has ended, with or without a word.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(0),
                read => return read,
            }
            self.session.read_tls(&mut self.socket)?;
            self.session.process_new_packets().map_err(io::Error::other)?;
            match self.send() {
                Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
        }
    }
}

impl Write for Tls {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send()?;
        for record in bytes.chunks(self.record) {
            self.session.writer().write_all(record)?;
        }
        match self.send() {
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            _ => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(tls) => tls.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(tls) => tls.flush(),
        }
    }
}
