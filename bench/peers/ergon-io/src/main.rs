//! ergon-io's WebSocket codec under a loop that reads a socket: its own loop has no plain connections, and spins. The loop has the buffers,
//! validates texts, draws the masking keys, and joins no fragments.

#![forbid(unsafe_code)]

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;

use contract::contract::{Task, Workload, client_main};
use contract::on_mio::{Peer, blocks, run};
use contract::{Result, unknown_workload};
use ergon_io::ws::{
    OP_CLOSE, OP_TEXT, client_key, client_request, encode_frame, header_len, parse_client_response,
    parse_header,
};
use simdutf8::basic::from_utf8;

/// Bytes of a receive buffer on one connection, and on each of many.
const BUFFER: usize = 256 << 10;
const SMALL: usize = 4 << 10;

fn main() -> ExitCode {
    client_main(|task| match task.workload {
        Workload::Idle => Err(unknown_workload(task)),
        _ => run::<Codec>(task),
    })
}

struct Codec {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
    waiting: Vec<u8>,
}

impl Peer for Codec {
    fn open(task: &Task, mut stream: TcpStream) -> Result<Self> {
        let key = client_key(rand::random());
        stream.write_all(&client_request(&task.addr.to_string(), &task.target(), &key, &[]))?;
        let mut head = Vec::new();
        // Byte by byte: the frames behind it are none of its business.
        while parse_client_response(&head, &key)?.is_none() {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            head.extend(byte);
        }
        let buffer = vec![0; if blocks(task) { BUFFER } else { SMALL }];
        Ok(Self { stream, buffer, filled: 0, waiting: Vec::new() })
    }

    fn receive(&mut self, mut on_text: impl FnMut(&str)) -> Result<bool> {
        match self.stream.read(&mut self.buffer[self.filled..]) {
            Ok(0) => return Err("the server ended without a close".into()),
            Ok(size) => self.filled += size,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
            Err(error) => return Err(error.into()),
        }
        let mut start = 0;
        while let Some(header) = parse_header(&self.buffer[start..self.filled])? {
            let end = start + header.frame_len();
            if end > self.filled {
                self.buffer.resize(self.buffer.len().max(header.frame_len()), 0);
                break;
            }
            match header.opcode {
                OP_TEXT if header.fin => on_text(from_utf8(&self.buffer[start + header.header_len..end])?),
                OP_CLOSE => return Ok(false),
                other => return Err(format!("not a whole text: opcode {other}").into()),
            }
            start = end;
        }
        self.buffer.copy_within(start..self.filled, 0);
        self.filled -= start;
        Ok(true)
    }

    fn feed(&mut self, text: &str) -> Result<()> {
        let start = self.waiting.len();
        self.waiting.resize(start + header_len(text.len(), true) + text.len(), 0);
        encode_frame(OP_TEXT, text.as_bytes(), Some(rand::random()), &mut self.waiting[start..])?;
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.stream.write_all(&self.waiting)?;
        self.waiting.clear();
        Ok(())
    }
}
