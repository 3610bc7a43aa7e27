//! fastwebsockets on tokio. It takes a stream that is upgraded already, writes each message by itself, and here joins fragments with its
//! `FragmentCollector`; where messages share a write, a buffered stream is under it.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use contract::Result;
use contract::contract::{Task, WRITE, Workload, client_main};
use contract::on_tokio::{Peer, Stream, run, upgrade};
use fastwebsockets::{FragmentCollector, Frame, OpCode, Payload, Role, WebSocket};
use tokio::io::BufWriter;

fn main() -> ExitCode {
    client_main(run::<Socket<_>, Socket<_>>)
}

struct Socket<S> {
    inner: Inner<S>,
    /// A frame is masked where it lies.
    text: Vec<u8>,
}

enum Inner<S> {
    Whole(FragmentCollector<S>),
    /// The collector has no way to flush a stream.
    Buffered(WebSocket<BufWriter<S>>),
}

impl<S: Stream> Peer<S> for Socket<S> {
    type Text = Frame<'static>;

    async fn open(task: &Task, mut stream: S) -> Result<Self> {
        upgrade(task, &mut stream).await?;
        let inner = match task.workload == Workload::Send && !task.each {
            true => {
                let stream = BufWriter::with_capacity(WRITE, stream);
                Inner::Buffered(WebSocket::after_handshake(stream, Role::Client))
            }
            false => {
                let socket = WebSocket::after_handshake(stream, Role::Client);
                Inner::Whole(FragmentCollector::new(socket))
            }
        };
        Ok(Self { inner, text: Vec::new() })
    }

    async fn receive(&mut self) -> Result<Option<Frame<'static>>> {
        let frame = match &mut self.inner {
            Inner::Whole(socket) => socket.read_frame().await?,
            Inner::Buffered(socket) => socket.read_frame().await?,
        };
        match frame.opcode {
            OpCode::Text => Ok(Some(frame)),
            OpCode::Close => Ok(None),
            other => Err(format!("not a text: {other:?}").into()),
        }
    }

    fn bytes<'t>(text: &'t Frame<'static>) -> &'t [u8] {
        &text.payload
    }

    async fn send_back(&mut self, text: Frame<'static>) -> Result<()> {
        match &mut self.inner {
            Inner::Whole(socket) => socket.write_frame(text).await?,
            Inner::Buffered(socket) => socket.write_frame(text).await?,
        }
        Ok(())
    }

    async fn feed(&mut self, text: &str) -> Result<()> {
        self.text.clear();
        self.text.extend_from_slice(text.as_bytes());
        let frame = Frame::text(Payload::BorrowedMut(&mut self.text));
        match &mut self.inner {
            Inner::Whole(socket) => socket.write_frame(frame).await?,
            Inner::Buffered(socket) => socket.write_frame(frame).await?,
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        match &mut self.inner {
            Inner::Whole(_) => Ok(()),
            Inner::Buffered(socket) => Ok(socket.flush().await?),
        }
    }
}
