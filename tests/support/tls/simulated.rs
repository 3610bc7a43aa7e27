//! The server's end of one simulated connection.

use std::sync::Arc;

use websocket_app::tls::rustls::{Error, ServerConfig};
use websocket_app::{RunOptions, WebSocketApp};
use websocket_testkit::frame::Frame;
use websocket_testkit::sim::{SimListener, SimNet, SimPeer};

use super::{TlsSide, Trust, serve_identity};
use crate::World;

/// How to reach [`SERVER`](crate::SERVER) with TLS.
pub const SECURE_URL: &str = "wss://192.0.2.1:80/";

/// The server's end of a simulated connection with TLS. It never waits.
#[derive(Debug)]
pub struct SecureSimPeer {
    /// The connection below.
    pub peer: SimPeer,
    /// TLS and WebSocket.
    pub side: TlsSide,
}

impl SecureSimPeer {
    /// The handshake has not begun.
    pub fn new(peer: SimPeer, config: &Arc<ServerConfig>) -> Self {
        Self { peer, side: TlsSide::new(config) }
    }

    /// Takes what has arrived, and answers as far as TLS has to.
    ///
    /// # Errors
    /// What TLS says about it; the client is told.
    pub fn receive(&mut self) -> Result<(), Error> {
        let received = self.side.feed(&self.peer.read_available());
        let answer = self.side.output();
        if !answer.is_empty() {
            self.peer.write(&answer);
        }
        received
    }

    /// The next frame that has arrived.
    ///
    /// # Panics
    /// When it breaks the rules for clients, or TLS is broken.
    #[track_caller]
    pub fn read_frame(&mut self) -> Option<Frame> {
        self.receive().expect("TLS");
        let frame = self.side.frame()?;
        assert_eq!(frame.fault(), None);
        Some(frame)
    }

    /// Encrypts and sends.
    pub fn write(&mut self, plaintext: &[u8]) {
        self.peer.write(&self.side.seal(plaintext));
    }

    /// Ends the session and the server's side of the stream.
    pub fn end(&mut self) {
        self.peer.write(&self.side.seal_end());
        self.peer.shutdown();
    }
}

/// A [`World`] with a server that speaks TLS, and a client that trusts it.
pub struct SecureWorld {
    /// The network and the reactor.
    pub world: World,
    /// Of the server.
    pub config: Arc<ServerConfig>,
    /// Of the client.
    pub options: RunOptions,
    /// Whom both know.
    pub trust: Trust,
}

impl Default for SecureWorld {
    fn default() -> Self {
        Self::on(SimNet::new(1))
    }
}

impl SecureWorld {
    /// A world whose network has no faults.
    pub fn new() -> Self {
        Self::default()
    }

    /// A world on this network.
    pub fn on(net: SimNet) -> Self {
        let trust = Trust::new();
        let config = Arc::new(serve_identity(&trust.0.server_for(&["192.0.2.1"]), None));
        Self { world: World::on(net), config, options: trust.options(), trust }
    }

    /// Puts `app` on the reactor and lets it connect.
    pub fn start(&mut self, app: WebSocketApp) -> SimListener {
        let options = self.options.clone();
        self.world.start(app, &options)
    }

    /// The server's end of the next connection that has arrived at `listener`.
    ///
    /// # Panics
    /// When none has.
    #[track_caller]
    pub fn arrived(&mut self, listener: &SimListener) -> SecureSimPeer {
        SecureSimPeer::new(listener.accept().expect("the app has connected"), &self.config)
    }

    /// Completes the TLS handshake, without time passing.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn handshake(&mut self, peer: &mut SecureSimPeer) {
        while peer.side.session().is_handshaking() {
            self.world.settle();
            peer.receive().expect("TLS");
        }
        self.world.settle();
        peer.receive().expect("TLS");
    }

    /// Opens the next connection that has arrived at `listener`, without time passing.
    ///
    /// # Panics
    /// When none has, or it does not open.
    #[track_caller]
    pub fn accept(&mut self, listener: &SimListener) -> SecureSimPeer {
        let mut peer = self.arrived(listener);
        self.handshake(&mut peer);
        let (_, response) = peer.side.seal_response().expect("the app has sent its request");
        peer.peer.write(&response);
        self.world.settle();
        peer
    }

    /// Puts `app` on the reactor and opens its connection, without time passing.
    ///
    /// # Panics
    /// When it does not open.
    #[track_caller]
    pub fn open(&mut self, app: WebSocketApp) -> SecureSimPeer {
        let listener = self.start(app);
        self.accept(&listener)
    }
}
