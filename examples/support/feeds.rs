//! A server of market-data feeds, one of which falls silent once.

use std::io::{self, Read as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use websocket_testkit::frame::{self, Decoder};
use websocket_testkit::server::{Peer, ScriptedServer};

/// Time between two batches of messages on a connection.
const PAUSE: Duration = Duration::from_millis(10);
const BATCH: u32 = 5;
/// Messages after which the feed at `/0` says nothing more on its first connection, which stays open.
const SILENT_AFTER: u32 = 100;

/// Starts the server. Each path is a feed, which needs no subscription: texts of the form `NUMBER PRICE`, numbered from 0 on each connection.
///
/// # Errors
/// When the system refuses a socket or a thread.
pub fn start() -> io::Result<ScriptedServer> {
    let was_silent = AtomicBool::new(false);
    ScriptedServer::start(move |peer| {
        // A client that breaks off while it is written to is not a failure of the server.
        let _ = serve(peer, &was_silent);
    })
}

fn serve(mut peer: Peer, was_silent: &AtomicBool) -> io::Result<()> {
    let request = peer.accept_upgrade();
    // A client that takes nothing for now is waited for.
    peer.stream().set_write_timeout(None)?;
    peer.stream().set_read_timeout(None)?;
    let stream = peer.stream().try_clone()?;
    let (open, closed) = mpsc::channel::<()>();
    let reader = thread::spawn(move || {
        wait_for_close(stream);
        drop(open);
    });
    let falls_silent = request.path == "/0" && !was_silent.swap(true, Ordering::Relaxed);
    let mut price = 100.0;
    let mut next = 0;
    while closed.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
        if falls_silent && next >= SILENT_AFTER {
            continue;
        }
        let mut batch = Vec::new();
        for number in next..next + BATCH {
            price += f64::from((number * 7919) % 41) / 20.0 - 1.0;
            batch.extend(frame::text(&format!("{number} {price:.2}")));
        }
        next += BATCH;
        peer.try_write(&batch)?;
    }
    peer.try_write(&frame::close(1000, ""))?;
    peer.shutdown();
    let _ = reader.join();
    Ok(())
}

/// Returns when the client has sent a close frame or ended the stream.
fn wait_for_close(mut stream: TcpStream) {
    let mut decoder = Decoder::new();
    let mut buffer = [0; 1024];
    while let Ok(len @ 1..) = stream.read(&mut buffer) {
        decoder.feed(&buffer[..len]);
        while let Some(frame) = decoder.next_frame() {
            if frame.opcode == frame::CLOSE {
                return;
            }
        }
    }
}
