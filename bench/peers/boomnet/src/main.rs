//! boomnet's client over a blocking socket, or one on a mio poll. It validates no text, which is done here, joins no fragments, and masks with
//! zeros. What it writes is held here until it is flushed, for its own buffer writes each message by itself and takes none that is longer.

#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::rc::Rc;

use boomnet::stream::{ConnectionInfo, ConnectionInfoProvider, ReadHint};
use boomnet::ws::{Error, IntoWebsocket, Websocket, WebsocketFrame};
use contract::Result;
use contract::contract::{Task, WRITE, client_main};
use contract::on_mio::{Peer, run};
use simdutf8::basic::from_utf8;

fn main() -> ExitCode {
    client_main(run::<Boomnet>)
}

struct Boomnet {
    socket: Websocket<Held>,
    out: Rc<RefCell<Out>>,
}

impl Peer for Boomnet {
    fn open(task: &Task, stream: TcpStream) -> Result<Self> {
        let out = Rc::new(RefCell::new(Out { stream, waiting: Vec::new() }));
        let info = ConnectionInfo::new(task.addr.ip().to_string(), task.addr.port());
        let held = Held { out: out.clone(), info };
        let mut socket = held.into_websocket(&task.target());
        while !socket.handshake_complete() {
            socket.receive_next().transpose()?;
        }
        Ok(Self { socket, out })
    }

    fn receive(&mut self, mut on_text: impl FnMut(&str)) -> Result<bool> {
        for frame in self.socket.read_batch()? {
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
        Ok(self.socket.send_text(true, Some(text.as_bytes()))?)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(self.out.borrow_mut().write()?)
    }
}

/// A socket, and what waits to be written to it.
struct Out {
    stream: TcpStream,
    waiting: Vec<u8>,
}

impl Out {
    fn write(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.waiting)?;
        self.waiting.clear();
        Ok(())
    }
}

/// boomnet's end of it.
struct Held {
    out: Rc<RefCell<Out>>,
    info: ConnectionInfo,
}

impl Read for Held {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut out = self.out.borrow_mut();
        if !out.waiting.is_empty() {
            out.write()?;
        }
        out.stream.read(buffer)
    }
}

impl Write for Held {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut out = self.out.borrow_mut();
        if bytes.len() < WRITE {
            out.waiting.extend_from_slice(bytes);
            return Ok(bytes.len());
        }
        out.write()?;
        out.stream.write(bytes)
    }

    /// It comes after each message.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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
