//! What the example `tungstenite_port` replaces: the usual program on tokio-tungstenite, with the reconnecting that it has to write itself.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncBufReadExt as _, BufReader, stdin};
use tokio::time::{interval, sleep};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::{Bytes, Message};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("usage: tungstenite_original URL")?;
    let mut lines = BufReader::new(stdin()).lines();
    let mut delay = Duration::from_secs(1);
    loop {
        let socket = match connect_async(&url).await {
            Ok((socket, _response)) => socket,
            Err(error) => {
                eprintln!("{error}; the next attempt begins in {delay:?}");
                sleep(delay).await;
                delay = (delay * 2).min(Duration::from_secs(60));
                continue;
            }
        };
        delay = Duration::from_secs(1);
        let (mut write, mut read) = socket.split();
        let mut ping = interval(Duration::from_secs(20));
        loop {
            tokio::select! {
                line = lines.next_line() => match line? {
                    Some(line) => if write.send(Message::text(line)).await.is_err() {
                        break;
                    },
                    None => {
                        write.send(Message::Close(None)).await?;
                        while let Some(Ok(Message::Text(text))) = read.next().await {
                            println!("{text}");
                        }
                        return Ok(());
                    }
                },
                message = read.next() => match message {
                    Some(Ok(Message::Text(text))) => println!("{text}"),
                    Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                    Some(Ok(_)) => {}
                },
                _ = ping.tick() => if write.send(Message::Ping(Bytes::new())).await.is_err() {
                    break;
                },
            }
        }
    }
}
