//! web-socket on tokio, over buffered streams, for it reads a header in pieces. It validates no text, which is done here, and hands over
//! fragments as they come.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use contract::Result;
use contract::contract::{Task, WRITE, client_main};
use contract::on_tokio::{Peer, Stream, run, upgrade};
use simdutf8::basic::from_utf8;
use tokio::io::BufStream;
use web_socket::{DataType, Event, MessageType, WebSocket};

/// Bytes of each buffer where there are many connections.
const SMALL: usize = 1024;

fn main() -> ExitCode {
    client_main(run::<Socket<_>, Socket<_>>)
}

struct Socket<S>(WebSocket<BufStream<S>>);

impl<S: Stream> Peer<S> for Socket<S> {
    type Text = Box<[u8]>;

    async fn open(task: &Task, mut stream: S) -> Result<Self> {
        upgrade(task, &mut stream).await?;
        let size = if task.connections == 1 { WRITE } else { SMALL };
        Ok(Self(WebSocket::client(BufStream::with_capacity(size, size, stream))))
    }

    async fn receive(&mut self) -> Result<Option<Box<[u8]>>> {
        match self.0.recv().await? {
            Event::Data { ty: DataType::Complete(MessageType::Text), data } => {
                from_utf8(&data)?;
                Ok(Some(data))
            }
            Event::Close { .. } => Ok(None),
            other => Err(format!("not a whole text: {other:?}").into()),
        }
    }

    fn bytes(text: &Box<[u8]>) -> &[u8] {
        text
    }

    async fn send_back(&mut self, text: Box<[u8]>) -> Result<()> {
        self.0.send(std::str::from_utf8(&text)?).await?;
        self.flush().await
    }

    async fn feed(&mut self, text: &str) -> Result<()> {
        Ok(self.0.send(text).await?)
    }

    async fn flush(&mut self) -> Result<()> {
        Ok(self.0.flash().await?)
    }
}
