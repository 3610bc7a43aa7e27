//! boomnet's client over a blocking socket, or one on a mio poll. It validates no text, which is done here, joins no fragments, and masks with
//! zeros. What it writes is held here until it is flushed, for its own buffer writes each message by itself and takes none that is longer.

#![forbid(unsafe_code)]

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;

use boomnet::stream::{ConnectionInfo, ConnectionInfoProvider, ReadHint};
use boomnet::ws::{Error, IntoWebsocket, Websocket, WebsocketFrame};
use contract::Result;
use contract::contract::{Task, WRITE, Workload, client_main};
use contract::on_mio::{Peer, run};
use simdutf8::basic::from_utf8;

fn main() -> ExitCode {
    client_main(run::<Boomnet>)
}

struct Boomnet(Websocket<Held>);

impl Peer for Boomnet {
    fn open(task: &Task, stream: TcpStream) -> Result<Self> {
        let info = ConnectionInfo::new(task.addr.ip().to_string(), task.addr.port());
        let share = task.workload == Workload::Send && !task.each;
        let held = Held { stream, info, waiting: Vec::new(), share };
        let mut socket = held.into_websocket(&task.target());
        while !socket.handshake_complete() {
            socket.receive_next().transpose()?;
        }
        Ok(Self(socket))
    }

    fn receive(&mut self, mut on_text: impl FnMut(&str)) -> Result<bool> {
        for frame in self.0.read_batch()? {
            match frame {
                Ok(WebsocketFrame::Text(true, body)) => on_text(from_utf8(body)?),
                Ok(_) => return Err("not a whole text".into()),
                Err(Error::ReceivedCloseFrame(..)) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    fn feed(&mut self, text: &str) -> Result<()> {
        Ok(self.0.send_text(true, Some(text.as_bytes()))?)
    }

    /// What waits is written by [`Held`].
    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

/// A socket, and what waits to be written to it: a message, or where messages share a write as many as fit into it, at the latest until
/// something is read.
struct Held {
    stream: TcpStream,
    info: ConnectionInfo,
    waiting: Vec<u8>,
    share: bool,
}

impl Held {
    fn write_waiting(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.waiting)?;
        self.waiting.clear();
        Ok(())
    }
}

impl Read for Held {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.waiting.is_empty() {
            self.write_waiting()?;
        }
        self.stream.read(buffer)
    }
}

impl Write for Held {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    /// What boomnet calls, five times for a message.
    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.waiting.len() + bytes.len() > WRITE {
            self.write_waiting()?;
        }
        if bytes.len() >= WRITE {
            return self.stream.write_all(bytes);
        }
        self.waiting.extend_from_slice(bytes);
        Ok(())
    }

    /// It comes after each message.
    fn flush(&mut self) -> io::Result<()> {
        if self.share { Ok(()) } else { self.write_waiting() }
    }
}

impl ReadHint for Held {
    fn read_hint(&self) -> bool {
        true
    }
}

impl ConnectionInfoProvider for Held {
    fn connection_info(&self) -> &ConnectionInfo {
        &self.info
    }
}
