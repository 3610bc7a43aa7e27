//! The usual tokio-tungstenite program, ported: lines that are typed are sent, what comes is printed; pings and reconnecting are options.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncBufReadExt as _, BufReader, stdin};
use websocket_app::{Reactor, Reconnect, RunOptions};
use websocket_stream::{Message, connect};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("usage: tungstenite_port URL")?;
    let mut lines = BufReader::new(stdin()).lines();
    let options = RunOptions::new().ping_interval(Duration::from_secs(20)).reconnect(Reconnect::default());
    let reactor = Reactor::spawn(Reactor::new)?;
    let (mut write, mut read) = connect(url, &options, reactor.handle()).await?.split();
    loop {
        tokio::select! {
            line = lines.next_line() => match line? {
                Some(line) => write.send(Message::from(line)).await?,
                None => break,
            },
            message = read.next() => match message.transpose()? {
                Some(Message::Text(text)) => println!("{text}"),
                Some(_) => {}
                None => return Ok(()),
            },
        }
    }
    write.close().await?;
    while let Some(Message::Text(text)) = read.next().await.transpose()? {
        println!("{text}");
    }
    Ok(())
}
