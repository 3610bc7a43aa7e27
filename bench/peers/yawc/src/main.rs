//! yawc on tokio, as its users would write it: with zlib, SIMD and checked texts, and where no context is taken over with the pool that its
//! page recommends; on idle connections also with the small buffers that it recommends for many of them.

#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::sync::LazyLock;

use contract::Result;
use contract::contract::{Report, Takeover, Task, WRITE, Workload, client_main};
use contract::measure::measure_idle;
use contract::on_tokio::{Peer, Stream, run, runtime};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use yawc::frame::{Frame, OpCode};
use yawc::{CompressionLevel, DeflatePool, Options, WebSocket};

/// That of all connections. One message is compressed or inflated at a time.
static POOL: LazyLock<DeflatePool> = LazyLock::new(|| DeflatePool::new(4));
/// Bytes of each buffer where there are many connections.
const SMALL: usize = 1024;
/// Bytes of a message at most, as with the others; yawc's default is 1 MiB.
const MESSAGE: usize = 16 << 20;

fn main() -> ExitCode {
    client_main(|task| match task.workload {
        Workload::IdleDeflate => idle_deflate(task),
        _ => run::<Socket<_>, Socket<_>>(task),
    })
}

struct Socket<S>(WebSocket<S>);

impl<S: Stream> Peer<S> for Socket<S> {
    type Text = Frame;

    async fn open(task: &Task, stream: S) -> Result<Self> {
        Ok(Self(WebSocket::handshake(task.url().parse()?, stream, options(task)).await?))
    }

    async fn receive(&mut self) -> Result<Option<Frame>> {
        let frame = self.0.next().await.ok_or("the server ended without a close")?;
        match frame.opcode() {
            OpCode::Text => Ok(Some(frame)),
            OpCode::Close => Ok(None),
            other => Err(format!("not a text: {other:?}").into()),
        }
    }

    fn bytes(text: &Frame) -> &[u8] {
        text.payload()
    }

    async fn send_back(&mut self, text: Frame) -> Result<()> {
        Ok(self.0.send(Frame::text(text.into_payload())).await?)
    }

    async fn feed(&mut self, text: &str) -> Result<()> {
        Ok(self.0.feed(Frame::text(text.to_owned())).await?)
    }

    async fn flush(&mut self) -> Result<()> {
        Ok(self.0.flush().await?)
    }
}

fn options(task: &Task) -> Options {
    let options = Options::default().with_utf8().with_limits(MESSAGE, 2 * MESSAGE);
    let options = match task.connections == 1 {
        true => options.with_read_buffer_capacity(WRITE).with_write_buffer_capacity(WRITE),
        false => options.with_read_buffer_capacity(SMALL).with_write_buffer_capacity(SMALL),
    };
    if !task.workload.is_deflate() {
        return options;
    }
    let options = options.with_compression_level(CompressionLevel::new(task.compression.level.into()));
    match task.compression.takeover {
        Takeover::Yes => options,
        Takeover::No => {
            options.server_no_context_takeover().client_no_context_takeover().with_deflate_pool(POOL.clone())
        }
    }
}

fn idle_deflate(task: &Task) -> Result<Report> {
    let runtime = runtime()?;
    measure_idle(task, || {
        runtime.block_on(async {
            let stream = TcpStream::connect(task.addr).await?;
            let mut socket = Socket::open(task, stream).await?;
            let text = socket.receive().await?.ok_or("the server sent nothing")?;
            socket.send_back(text).await?;
            Ok(socket)
        })
    })
}
