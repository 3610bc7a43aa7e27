//! tokio-websockets on tokio, with masking keys from a cryptographic generator. Where messages share a write, it flushes when 64 KiB wait,
//! instead of 8, into a buffered stream: by itself it writes at most 32 messages at once.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use contract::Result;
use contract::contract::{Task, WRITE, Workload, client_main};
use contract::on_tokio::{Peer, Stream, run};
use futures_util::{SinkExt, StreamExt};
use tokio::io::BufWriter;
use tokio_websockets::{ClientBuilder, Config, Message, WebSocketStream};

fn main() -> ExitCode {
    client_main(run::<Socket<_>, Socket<_>>)
}

struct Socket<S>(WebSocketStream<BufWriter<S>>);

impl<S: Stream> Peer<S> for Socket<S> {
    type Text = Message;

    async fn open(task: &Task, stream: S) -> Result<Self> {
        let builder = ClientBuilder::new().uri(&task.url())?.config(Config::default().flush_threshold(WRITE));
        let size = if task.workload == Workload::Send && !task.each { WRITE } else { 0 };
        Ok(Self(builder.connect_on(BufWriter::with_capacity(size, stream)).await?.0))
    }

    async fn receive(&mut self) -> Result<Option<Message>> {
        let message = self.0.next().await.ok_or("the server ended without a close")??;
        match message {
            _ if message.is_text() => Ok(Some(message)),
            _ if message.is_close() => Ok(None),
            other => Err(format!("not a text: {other:?}").into()),
        }
    }

    fn bytes(text: &Message) -> &[u8] {
        text.as_payload()
    }

    async fn send_back(&mut self, text: Message) -> Result<()> {
        Ok(self.0.send(text).await?)
    }

    async fn feed(&mut self, text: &str) -> Result<()> {
        Ok(self.0.feed(Message::text(text.to_owned())).await?)
    }

    async fn flush(&mut self) -> Result<()> {
        Ok(self.0.flush().await?)
    }
}
