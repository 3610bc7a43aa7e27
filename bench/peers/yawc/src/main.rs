//! yawc on tokio's current-thread runtime, as its users would write it: with zlib, SIMD and checked texts, and where no context is taken
//! over with the pool that its page recommends; on idle connections also with the small buffers that it recommends for many of them.

#![forbid(unsafe_code)]

use std::hint::black_box;
use std::process::ExitCode;

use contract::Result;
use contract::contract::{Report, Takeover, Task, Workload, client_main};
use contract::measure::{Sending, Tally, measure_idle};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::runtime::{self, Runtime};
use yawc::frame::{Frame, OpCode};
use yawc::{CompressionLevel, DeflatePool, MaybeTlsStream, Options, WebSocket};

type Socket = WebSocket<MaybeTlsStream<TcpStream>>;

/// One message is compressed or inflated at a time.
const POOL: usize = 4;
const SMALL: usize = 1024;

fn main() -> ExitCode {
    client_main(|task| match task.workload {
        Workload::ReceiveDeflate => receive(task),
        Workload::SendDeflate => send(task),
        Workload::IdleDeflate => idle(task),
        other => Err(format!("yawc has no '{}' here", other.name()).into()),
    })
}

fn options(task: &Task) -> Options {
    let level = CompressionLevel::new(task.compression.level.into());
    let options = Options::default().with_compression_level(level).with_utf8().with_no_delay();
    let options = match task.compression.takeover {
        Takeover::Yes => options,
        Takeover::No => options
            .server_no_context_takeover()
            .client_no_context_takeover()
            .with_deflate_pool(DeflatePool::new(POOL)),
    };
    match task.workload.is_idle() {
        true => options.with_read_buffer_capacity(SMALL).with_write_buffer_capacity(SMALL),
        false => options,
    }
}

fn receive(task: &Task) -> Result<Report> {
    runtime()?.block_on(async {
        let mut tally = Tally::new(task)?;
        let mut socket = open(task, &options(task)).await?;
        while let Some(frame) = socket.next().await {
            match frame.opcode() {
                OpCode::Text => {
                    tally.count(black_box(frame.as_str()).len());
                }
                OpCode::Close => return tally.into_report(),
                other => return Err(format!("no text: {other:?}").into()),
            }
        }
        Err("the feed did not end with a close".into())
    })
}

fn send(task: &Task) -> Result<Report> {
    runtime()?.block_on(async {
        let mut sending = Sending::new(task)?;
        let mut socket = open(task, &options(task)).await?;
        loop {
            while let Some(text) = sending.next_text() {
                socket.feed(Frame::text(text.to_owned())).await?;
            }
            socket.flush().await?;
            let word = socket.next().await.ok_or("the server has nothing to say")?;
            if sending.heard(word.as_str()) {
                return sending.into_report();
            }
        }
    })
}

fn idle(task: &Task) -> Result<Report> {
    let runtime = runtime()?;
    let options = options(task);
    measure_idle(task, || {
        runtime.block_on(async {
            let mut socket = open(task, &options).await?;
            let text = socket.next().await.ok_or("the server sent nothing")?;
            socket.send(Frame::text(text.into_payload())).await?;
            Ok(socket)
        })
    })
}

fn runtime() -> Result<Runtime> {
    Ok(runtime::Builder::new_current_thread().enable_all().build()?)
}

async fn open(task: &Task, options: &Options) -> Result<Socket> {
    Ok(WebSocket::connect(task.url().parse()?).with_options(options.clone()).await?)
}
