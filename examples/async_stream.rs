//! WebSocket connections as streams and sinks in a multi-threaded tokio program: two of them in one `select!`, sent to by other tasks.

use futures_util::{SinkExt as _, StreamExt as _};
use websocket_app::{BoxError, Reactor, RunOptions};
use websocket_stream::{Message, WriteHalf, connect};
use websocket_testkit::server::EchoServer;

const MESSAGES: usize = 3;

/// A task of its own, on any thread.
async fn talk(name: &'static str, mut write: WriteHalf) -> Result<(), websocket_stream::Error> {
    for number in 1..=MESSAGES {
        write.send(Message::from(format!("message {number} of {name}"))).await?;
    }
    // Waits for the closing handshake; what comes until then is read by the other half.
    write.close().await
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let server = EchoServer::start()?;
    // Any number of connections share it, on one thread beside those of the runtime.
    let reactor = Reactor::spawn(Reactor::new)?;
    let options = RunOptions::new();
    let (left, mut from_left) = connect(server.url(), &options, reactor.handle()).await?.split();
    let (right, mut from_right) = connect(server.url(), &options, reactor.handle()).await?.split();
    let talking = [tokio::spawn(talk("left", left)), tokio::spawn(talk("right", right))];
    loop {
        tokio::select! {
            Some(message) = from_left.next() => println!("left received {:?}", message?),
            Some(message) = from_right.next() => println!("right received {:?}", message?),
            // Both have ended.
            else => break,
        }
    }
    for talk in talking {
        talk.await??;
    }
    println!("left was closed by the {:?}", from_left.closed().and_then(|closed| closed.by));
    Ok(())
}
