//! A server that sends made-up prices to whoever subscribes.

use std::io::{self, Read as _};
use std::net::TcpStream;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use websocket_testkit::frame::{self, Decoder};
use websocket_testkit::server::{Peer, ScriptedServer};

const PAUSE: Duration = Duration::from_millis(250);
const NAMES: [&str; 3] = ["ACME", "INIT", "ZORG"];

/// Starts the server. A text `subscribe` starts the feed: one text of the form `NAME PRICE` after another.
///
/// # Errors
/// When the system refuses a socket or a thread.
pub fn start() -> io::Result<ScriptedServer> {
    ScriptedServer::start(serve)
}

/// What the client wants.
enum Wish {
    Feed,
    Pong(Vec<u8>),
    Close,
}

fn serve(mut peer: Peer) {
    peer.accept_upgrade();
    let Ok(stream) = peer.stream().try_clone() else { return };
    let (wishes, wished) = mpsc::channel();
    let reader = thread::spawn(move || listen(stream, &wishes));
    let mut prices = [101.0, 27.5, 640.0];
    let mut subscribed = false;
    let mut turn = 0;
    loop {
        let written = match wished.recv_timeout(PAUSE) {
            Ok(Wish::Feed) => {
                subscribed = true;
                Ok(())
            }
            Ok(Wish::Pong(payload)) => peer.try_write(&frame::pong(&payload)),
            Err(RecvTimeoutError::Timeout) if subscribed => {
                let which = turn % NAMES.len();
                turn += 1;
                prices[which] += ((turn * 7919) % 41) as f64 / 20.0 - 1.0;
                peer.try_write(&frame::text(&format!("{} {:.2}", NAMES[which], prices[which])))
            }
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Ok(Wish::Close) => {
                let _ = peer.try_write(&frame::close(1000, "goodbye"));
                peer.shutdown();
                break;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        };
        if written.is_err() {
            break;
        }
    }
    // It ends when the client does.
    let _ = reader.join();
}

/// Reads what the client sends, until it ends the stream.
fn listen(mut stream: TcpStream, wishes: &Sender<Wish>) {
    let mut decoder = Decoder::new();
    let mut buffer = [0; 4096];
    while let Ok(len @ 1..) = stream.read(&mut buffer) {
        decoder.feed(&buffer[..len]);
        while let Some(frame) = decoder.next_frame() {
            let wish = match frame.opcode {
                frame::TEXT if frame.payload == b"subscribe" => Wish::Feed,
                frame::PING => Wish::Pong(frame.payload),
                frame::CLOSE => Wish::Close,
                _ => continue,
            };
            if wishes.send(wish).is_err() {
                return;
            }
        }
    }
}
