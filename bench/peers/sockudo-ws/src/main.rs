//! sockudo-ws on tokio, with checked texts and masking keys from a cryptographic generator; its default one is guessable.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use bytes::Bytes;
use contract::Result;
use contract::contract::{Task, client_main};
use contract::on_tokio::{Peer, Stream, run};
use futures_util::{SinkExt, StreamExt};
use sockudo_ws::client::WebSocketClient;
use sockudo_ws::{Config, Http1, Message, WebSocketStream};

fn main() -> ExitCode {
    client_main(run::<Socket<_>, Socket<_>>)
}

struct Socket<S>(WebSocketStream<S>);

impl<S: Stream> Peer<S> for Socket<S> {
    type Text = Bytes;

    async fn open(task: &Task, stream: S) -> Result<Self> {
        let client = WebSocketClient::<Http1>::new(Config::default());
        let (socket, _) = client.connect_raw(stream, &task.addr.to_string(), &task.target(), None).await?;
        Ok(Self(socket))
    }

    async fn receive(&mut self) -> Result<Option<Bytes>> {
        match self.0.next().await.ok_or("the server ended without a close")?? {
            Message::Text(text) => Ok(Some(text)),
            Message::Close(_) => Ok(None),
            other => Err(format!("not a text: {other:?}").into()),
        }
    }

    fn bytes(text: &Bytes) -> &[u8] {
        text
    }

    async fn send_back(&mut self, text: Bytes) -> Result<()> {
        Ok(self.0.send(Message::Text(text)).await?)
    }

    async fn feed(&mut self, text: &str) -> Result<()> {
        Ok(self.0.feed(Message::text(text.to_owned())).await?)
    }

    async fn flush(&mut self) -> Result<()> {
        Ok(self.0.flush().await?)
    }
}
