//! A server that does as a test says.

use websocket_testkit::server::{Peer, ScriptedServer};

/// Accepts, does as `script` says, and answers the close.
pub(crate) fn server(script: impl Fn(&mut Peer) + Send + Sync + 'static) -> ScriptedServer {
    let server = ScriptedServer::start(move |mut peer| {
        peer.accept_upgrade();
        script(&mut peer);
        if let Some((code, reason)) = peer.read_close() {
            peer.send_close(code, &reason);
        }
        peer.shutdown();
        peer.read_to_end();
    });
    server.expect("a server")
}
