//! nexus-web's blocking client, and the same on a mio poll. Messages that share a write are encoded by its `FrameWriter`, since the client
//! writes each by itself.

#![forbid(unsafe_code)]

#[cfg(feature = "tls")]
mod tls;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;

use contract::Result;
use contract::contract::{Task, Workload, client_main};
use contract::on_mio::{Peer, blocks, run};
use nexus_web::ws::{Client, FrameWriter, Message, Role};

/// Bytes of each buffer where there are many connections.
const SMALL: usize = 1024;

fn main() -> ExitCode {
    client_main(|task| match task.workload {
        #[cfg(feature = "tls")]
        Workload::ReceiveTls => contract::on_mio::receive::<Nexus<tls::Stream>>(task),
        _ => run::<Nexus<TcpStream>>(task),
    })
}

struct Nexus<S> {
    client: Client<S>,
    blocks: bool,
    batch: Option<Batch>,
}

/// What a client reads from and writes to.
trait Secure: Read + Write + Sized {
    fn secure(task: &Task, stream: TcpStream) -> Result<Self>;
}

impl Secure for TcpStream {
    fn secure(_: &Task, stream: TcpStream) -> Result<Self> {
        Ok(stream)
    }
}

impl<S: Secure> Peer for Nexus<S> {
    fn open(task: &Task, stream: TcpStream) -> Result<Self> {
        let blocks = blocks(task);
        let builder = match blocks {
            true => Client::builder(),
            false => Client::builder().buffer_capacity(SMALL).write_buffer_capacity(SMALL),
        };
        let client = builder.connect_with(S::secure(task, stream)?, &task.url())?;
        let batch = (task.workload == Workload::Send && !task.each).then(Batch::new);
        Ok(Self { client, blocks, batch })
    }

    fn receive(&mut self, mut on_text: impl FnMut(&str)) -> Result<bool> {
        match self.client.recv()? {
            Some(Message::Text(text)) => on_text(text),
            Some(Message::Close(_)) => return Ok(false),
            Some(other) => return Err(format!("not a text: {other:?}").into()),
            // The end of the stream, or nothing to read.
            None if self.blocks => return Err("the server ended without a close".into()),
            None => {}
        }
        Ok(true)
    }

    fn feed(&mut self, text: &str) -> Result<()> {
        match &mut self.batch {
            Some(batch) => batch.encode(text),
            None => self.client.send_text(text)?,
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if let Some(batch) = &mut self.batch {
            self.client.stream_mut().write_all(&batch.buffer[..batch.filled])?;
            batch.filled = 0;
        }
        Ok(())
    }
}

/// Frames that share a write.
struct Batch {
    writer: FrameWriter,
    buffer: Vec<u8>,
    filled: usize,
}

impl Batch {
    fn new() -> Self {
        Self { writer: FrameWriter::new(Role::Client), buffer: Vec::new(), filled: 0 }
    }

    fn encode(&mut self, text: &str) {
        let end = self.filled + self.writer.max_encoded_len(text.len());
        if end > self.buffer.len() {
            self.buffer.resize(end, 0);
        }
        self.filled += self.writer.encode_text(text.as_bytes(), &mut self.buffer[self.filled..]);
    }
}
