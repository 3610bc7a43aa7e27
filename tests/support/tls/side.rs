//! The server's side of one connection, sans I/O.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use websocket_app::tls::rustls::{Error, HandshakeKind, ServerConfig, ServerConnection};
use websocket_testkit::frame::{Decoder, Frame};
use websocket_testkit::handshake::{Request, response};

/// Takes ciphertext and gives requests and frames; takes plaintext and gives ciphertext.
#[derive(Debug)]
pub struct TlsSide {
    session: ServerConnection,
    received: Decoder,
}

impl TlsSide {
    /// Waits for a client.
    ///
    /// # Panics
    /// When the configuration contradicts itself.
    pub fn new(config: &Arc<ServerConfig>) -> Self {
        let mut session = ServerConnection::new(config.clone()).expect("the configuration is sound");
        session.set_buffer_limit(None);
        Self { session, received: Decoder::new() }
    }

    /// Takes what came from the client.
    ///
    /// # Errors
    /// What TLS says about it; the alert is in [`output`](Self::output).
    ///
    /// # Panics
    /// Never: it reads from memory.
    pub fn feed(&mut self, mut ciphertext: &[u8]) -> Result<(), Error> {
        // It takes nothing after close_notify.
        while self.session.read_tls(&mut ciphertext).expect("memory is readable") > 0 {
            self.session.process_new_packets()?;
            let mut plaintext = Vec::new();
            // It ends with WouldBlock, or with close_notify.
            let _end = self.session.reader().read_to_end(&mut plaintext);
            self.received.feed(&plaintext);
        }
        Ok(())
    }

    /// What is to be written to the client.
    ///
    /// # Panics
    /// Never: it writes to memory.
    pub fn output(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while self.session.wants_write() {
            self.session.write_tls(&mut bytes).expect("memory is writable");
        }
        bytes
    }

    /// Encrypts, one record for each 16 KiB, and gives all that is to be written.
    ///
    /// # Panics
    /// Never: it has no limit.
    pub fn seal(&mut self, plaintext: &[u8]) -> Vec<u8> {
        self.session.writer().write_all(plaintext).expect("there is no limit");
        self.output()
    }

    /// The response to the client's request, encrypted, once the request has come.
    pub fn seal_response(&mut self) -> Option<(Request, Vec<u8>)> {
        let request = self.request()?;
        let sealed = self.seal(&response(&request, &[]));
        Some((request, sealed))
    }

    /// `close_notify`.
    pub fn seal_end(&mut self) -> Vec<u8> {
        self.session.send_close_notify();
        self.output()
    }

    /// The client's request, once it has come.
    pub fn request(&mut self) -> Option<Request> {
        let request = Request::parse(self.received.rest())?;
        self.received.consume(request.bytes.len());
        Some(request)
    }

    /// The next frame of the client's, once it has come.
    pub fn frame(&mut self) -> Option<Frame> {
        self.received.next_frame()
    }

    /// Whether the client has said, with `close_notify`, that it sends no more.
    pub fn client_has_closed(&mut self) -> bool {
        self.session.process_new_packets().is_ok_and(|state| state.peer_has_closed())
    }

    /// Whether the handshake took up an earlier session; `None` while it goes on.
    pub fn resumed(&self) -> Option<bool> {
        Some(self.session.handshake_kind()? == HandshakeKind::Resumed)
    }

    /// The session, for what is not offered here.
    pub fn session(&mut self) -> &mut ServerConnection {
        &mut self.session
    }
}
