//! The server's end of one real connection.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;

use websocket_app::tls::rustls::{Error, ServerConfig};
use websocket_testkit::frame::{self, Frame};
use websocket_testkit::handshake::Request;
use websocket_testkit::server::{Peer, ScriptedServer};

use super::TlsSide;

/// The server's end of a connection with TLS, in blocking calls that panic when the client does something else.
#[derive(Debug)]
pub struct SecurePeer<S> {
    stream: S,
    /// TLS and WebSocket.
    pub side: TlsSide,
}

impl<S: Read + Write> SecurePeer<S> {
    /// The handshake has not begun.
    pub fn new(stream: S, config: &Arc<ServerConfig>) -> Self {
        Self { stream, side: TlsSide::new(config) }
    }

    /// Completes the TLS handshake.
    ///
    /// # Errors
    /// Why it failed; the client was told.
    ///
    /// # Panics
    /// When the client leaves.
    pub fn handshake(&mut self) -> Result<(), Error> {
        while self.side.session().is_handshaking() {
            self.receive().expect("the client goes on")?;
        }
        Ok(())
    }

    /// Completes the TLS handshake and the upgrade.
    ///
    /// # Panics
    /// When the client does not.
    #[track_caller]
    pub fn accept_upgrade(&mut self) -> Request {
        loop {
            if let Some((request, response)) = self.side.seal_response() {
                self.write_raw(&response);
                return request;
            }
            self.receive().expect("a request").expect("TLS");
        }
    }

    /// Reads one frame, which must keep the rules for clients.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn read_frame(&mut self) -> Frame {
        self.next_frame().expect("a frame")
    }

    /// The next frame; `None` when the client's stream ends before it comes.
    ///
    /// # Panics
    /// When it breaks the rules for clients, or TLS is broken.
    #[track_caller]
    pub fn next_frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.side.frame() {
                assert_eq!(frame.fault(), None);
                return Some(frame);
            }
            self.receive().ok()?.expect("TLS");
        }
    }

    /// Encrypts and writes.
    ///
    /// # Panics
    /// When the client does not take it.
    #[track_caller]
    pub fn write(&mut self, plaintext: &[u8]) {
        let sealed = self.side.seal(plaintext);
        self.write_raw(&sealed);
    }

    /// Writes ciphertext, or whatever it is.
    ///
    /// # Panics
    /// When the client does not take it.
    #[track_caller]
    pub fn write_raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the client takes it");
    }

    /// Sends a close frame and waits for the client's, then for the end of its stream; whether that came with `close_notify`.
    ///
    /// # Panics
    /// When it does not come.
    #[track_caller]
    pub fn close(&mut self, code: u16, reason: &str) -> bool {
        self.write(&frame::close(code, reason));
        assert_eq!(self.read_frame().opcode, frame::CLOSE);
        let end = self.side.seal_end();
        self.write_raw(&end);
        self.ends_with_close_notify()
    }

    /// Waits for the end of the client's stream; whether it came with `close_notify`.
    pub fn ends_with_close_notify(&mut self) -> bool {
        while self.receive().is_ok() {}
        self.side.client_has_closed()
    }

    /// Sends back all messages and answers pings, until the client closes or leaves. Then it ends the session, and dropping it the stream.
    pub fn echo(&mut self) {
        while let Some(it) = self.next_frame() {
            match it.opcode {
                frame::PING => self.write(&frame::pong(&it.payload)),
                frame::PONG => {}
                frame::CLOSE => {
                    // In one write: the client may be gone when it has the close frame.
                    let mut end = self.side.seal(&frame::encode(true, 0, frame::CLOSE, &it.payload));
                    end.extend(self.side.seal_end());
                    return self.write_raw(&end);
                }
                opcode => self.write(&frame::encode(it.fin, 0, opcode, &it.payload)),
            }
        }
    }

    /// Takes what comes next, and answers as far as TLS has to.
    ///
    /// # Errors
    /// That the stream has ended or broken.
    pub fn receive(&mut self) -> io::Result<Result<(), Error>> {
        let mut buffer = vec![0; 64 << 10];
        let len = self.stream.read(&mut buffer)?;
        if len == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let fed = self.side.feed(&buffer[..len]);
        let answer = self.side.output();
        self.stream.write_all(&answer)?;
        Ok(fed)
    }
}

/// A server on loopback that runs `script` for each connection.
///
/// # Panics
/// When the system refuses a socket or a thread.
pub fn secure_server(
    config: &Arc<ServerConfig>,
    script: impl Fn(&mut SecurePeer<&std::net::TcpStream>, usize) + Send + Sync + 'static,
) -> ScriptedServer {
    let config = config.clone();
    let serve = move |peer: Peer| {
        let mut secure = SecurePeer::new(peer.stream(), &config);
        script(&mut secure, peer.index());
        // An orderly end, whatever the client still says.
        let _gone = peer.stream().shutdown(Shutdown::Write);
        while secure.receive().is_ok() {}
    };
    ScriptedServer::start(serve).expect("a port and a thread are free")
}

/// A server on loopback that sends everything back.
///
/// # Panics
/// When the system refuses a socket or a thread.
pub fn secure_echo(config: &Arc<ServerConfig>) -> ScriptedServer {
    secure_server(config, |peer, _| {
        peer.accept_upgrade();
        peer.echo();
    })
}
