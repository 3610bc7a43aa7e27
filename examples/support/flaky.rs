//! A server that has a bad day: it breaks off, is busy, goes away without a word and restarts, before all is well again.

use std::io;

use websocket_testkit::frame;
use websocket_testkit::server::{Peer, ScriptedServer};

/// Ticks that each connection gets before something happens to it.
pub const TICKS: u32 = 3;

const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n";

/// Starts the server. A text `subscribe NUMBER` gets that tick and some of the following, as texts `tick NUMBER`; a binary message is
/// confirmed by a text. The first six connections each have another fate.
///
/// # Errors
/// When the system refuses a socket or a thread.
pub fn start() -> io::Result<ScriptedServer> {
    ScriptedServer::start(|mut peer| match peer.index() {
        0 => {
            subscription(&mut peer);
            // The beginning of what comes next is all that it will ever get.
            peer.read_exact(1000);
            peer.reset();
        }
        1 | 2 => {
            peer.read_request();
            peer.write(BUSY);
            peer.shutdown();
            peer.read_to_end();
        }
        3 => {
            subscription(&mut peer);
            let report = peer.read_frame();
            peer.send_text(&format!("a report of {} bytes has arrived", report.payload.len()));
            peer.shutdown();
            peer.read_to_end();
        }
        4 => {
            subscription(&mut peer);
            peer.send_close(1012, "restarting");
            peer.read_close();
        }
        _ => {
            subscription(&mut peer);
            if let Some((code, reason)) = peer.read_close() {
                peer.send_close(code, &reason);
            }
        }
    })
}

/// Opens the connection and serves the client's subscription.
fn subscription(peer: &mut Peer) {
    peer.accept_upgrade();
    let wish = peer.read_frame();
    let text = wish.text();
    let first: u32 = match (wish.opcode, text.strip_prefix("subscribe ").map(str::parse)) {
        (frame::TEXT, Some(Ok(first))) => first,
        _ => panic!("no subscription: {text:?}"),
    };
    for number in first..first + TICKS {
        peer.send_text(&format!("tick {number}"));
    }
}
