//! Another TLS library on the connected stream: `native-tls` converses with memory, and a stream carries its bytes without ever blocking the loop.
//!
//! It is the TLS of the system: OpenSSL, Secure Transport or SChannel. Run it with
//! `cargo run --package websocket-examples --features native-tls --example native_tls`; Linux needs OpenSSL's development files.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::mem;
use std::net::SocketAddr;

use native_tls::{Certificate, HandshakeError, MidHandshakeTlsStream, TlsConnector, TlsStream};
use websocket_app::dispatcher::{Io, Stream};
use websocket_app::link::{Connector as _, SocketOptions, SystemConnector};
use websocket_app::{BoxError, Error, Outcome, RunOptions, WebSocketApp};
use websocket_examples::tls_server::TlsServer;

/// What native-tls reads and writes: ciphertext on its way.
#[derive(Default)]
struct Memory {
    received: VecDeque<u8>,
    /// Nothing follows what was received.
    ended: bool,
    to_send: VecDeque<u8>,
}

impl Read for Memory {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.received.is_empty() && !self.ended {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.received.read(buffer)
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to_send.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Memory {
    /// Sends what is there, as far as it goes; `WouldBlock` while something is left.
    fn send_to(&mut self, io: &mut Io) -> io::Result<()> {
        while !self.to_send.is_empty() {
            match io.write(self.to_send.as_slices().0) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(len) => drop(self.to_send.drain(..len)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        io.flush()
    }

    /// Receives what has come; `WouldBlock` if that is nothing.
    fn receive_from(&mut self, io: &mut Io) -> io::Result<()> {
        let mut buffer = [0; 16 << 10];
        let len = io.read(&mut buffer)?;
        self.ended = len == 0;
        self.received.extend(&buffer[..len]);
        Ok(())
    }
}

enum Session {
    Handshaking(MidHandshakeTlsStream<Memory>),
    Open(TlsStream<Memory>),
    Failed,
}

impl Session {
    fn of(result: Result<TlsStream<Memory>, HandshakeError<Memory>>) -> io::Result<Self> {
        match result {
            Ok(stream) => Ok(Self::Open(stream)),
            Err(HandshakeError::WouldBlock(stream)) => Ok(Self::Handshaking(stream)),
            Err(HandshakeError::Failure(error)) => Err(io::Error::other(error)),
        }
    }
}

/// A stream that is connected when the handshake of TLS on it is complete. It owns the stream below, whatever becomes of the session,
/// since the dispatcher watches that one.
struct NativeTls {
    io: Io,
    session: Session,
}

impl NativeTls {
    /// Begins a session over `io`, which may still be connecting. The server must have a certificate for `name`.
    fn new(io: Io, connector: &TlsConnector, name: &str) -> io::Result<Self> {
        let session = Session::of(connector.connect(name, Memory::default()))?;
        Ok(Self { io, session })
    }

    /// Continues the handshake up to its end; `WouldBlock` where it has to wait for the stream.
    fn handshake(&mut self) -> io::Result<()> {
        loop {
            match mem::replace(&mut self.session, Session::Failed) {
                Session::Handshaking(mut stream) => {
                    let memory = stream.get_mut();
                    let moved = memory.send_to(&mut self.io).and_then(|()| memory.receive_from(&mut self.io));
                    if let Err(error) = moved {
                        self.session = Session::Handshaking(stream);
                        return Err(error);
                    }
                    self.session = Session::of(stream.handshake())?;
                }
                session => {
                    self.session = session;
                    return self.flush();
                }
            }
        }
    }

    fn open(&mut self) -> io::Result<(&mut TlsStream<Memory>, &mut Io)> {
        match &mut self.session {
            Session::Open(stream) => Ok((stream, &mut self.io)),
            _ => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl Stream for NativeTls {
    /// Called whenever the stream below is ready, until it says that this one is connected.
    fn connected(&mut self) -> io::Result<bool> {
        if !self.io.connected()? {
            return Ok(false);
        }
        match self.handshake() {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn inner(&self) -> Option<&Io> {
        Some(&self.io)
    }

    fn inner_mut(&mut self) -> Option<&mut Io> {
        Some(&mut self.io)
    }
}

impl Read for NativeTls {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (stream, io) = self.open()?;
        loop {
            match stream.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    stream.get_mut().receive_from(io)?
                }
                read => return read,
            }
        }
    }
}

impl Write for NativeTls {
    /// Takes bytes only when those before are on their way, so that little waits here.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (stream, io) = self.open()?;
        stream.get_mut().send_to(io)?;
        stream.write(bytes)
    }

    /// The loop watches for room as long as this is `WouldBlock`.
    fn flush(&mut self) -> io::Result<()> {
        match &mut self.session {
            Session::Handshaking(stream) => stream.get_mut().send_to(&mut self.io),
            Session::Open(stream) => stream.get_mut().send_to(&mut self.io),
            Session::Failed => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

/// An app whose streams lead to `address` and trust `root` alone, as PEM.
fn app(address: SocketAddr, root: &str) -> Result<WebSocketApp, BoxError> {
    let root = Certificate::from_pem(root.as_bytes())?;
    let connector =
        TlsConnector::builder().disable_built_in_roots(true).add_root_certificate(root).build()?;
    // With wss:// there would be the TLS of this crate on top.
    let app = WebSocketApp::new("ws://localhost/").socket_with(move || {
        let io = SystemConnector.connect(address, &SocketOptions::default())?;
        Ok(Io::custom(NativeTls::new(io, &connector, "localhost")?))
    });
    Ok(app
        .on_open(|app, _| app.send_text("x".repeat(100_000)))
        .on_message(|app, message| {
            println!("{} bytes came back, through native-tls", message.as_bytes().len());
            app.close();
        })
        .on_close(|_, closed| println!("closed, cleanly: {}", closed.clean)))
}

fn main() -> Result<(), BoxError> {
    let server = TlsServer::start("ACME")?;
    // Its certificate is verified: another company's root does not vouch for it.
    let stranger = TlsServer::start("Initech")?;
    match app(server.address(), stranger.root())?.run_forever(&RunOptions::new())? {
        Outcome::Lost(error @ Error::Connect { .. }) => println!("refused: {error}"),
        outcome => return Err(format!("who is that? {outcome:?}").into()),
    }
    Ok(app(server.address(), server.root())?.run_forever(&RunOptions::new())?.into_result()?)
}
