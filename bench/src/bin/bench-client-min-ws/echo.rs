//! `echo` and `echo-tls` on the floor.

use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Poll, Token};
use rustls::client::UnbufferedClientConnection;
use websocket_bench::contract::{Report, Task, payload};
use websocket_bench::frame::{Header, TEXT};
use websocket_bench::measure::RoundTrips;
use websocket_bench::tls::client_config;
use websocket_bench::{CHUNK, Result};

use crate::out::Out;
use crate::socket::{open, wait};
use crate::text::validate;
use crate::tls_session::{Session, pump, seal, watch};

/// Waits for events as long as `patience` allows before it looks again: indefinitely, or not at all.
pub(crate) fn run(task: &Task, patience: Option<Duration>) -> Result<Report> {
    let poll = Poll::new()?;
    let mut buffer = vec![0; CHUNK];
    let tokens = (0..task.connections).map(Token);
    if !task.workload.is_tls() {
        let open = |token| Ok(open(task, &poll, token, &mut buffer)?.0);
        let lines = tokens.map(open).collect::<Result<Vec<_>>>()?;
        return talk(task, lines, poll, buffer, patience);
    }
    let config = client_config(task)?;
    let open = |token| {
        let session = Session::open(task, &config, &mut buffer)?;
        if session.filled > 0 || !session.early.is_empty() {
            return Err("something came before the first echo".into());
        }
        Ok(Secure { stream: watch(session.stream, &poll, token)?, tls: session.tls })
    };
    let lines = tokens.map(open).collect::<Result<Vec<_>>>()?;
    talk(task, lines, poll, buffer, patience)
}

fn talk(
    task: &Task,
    mut lines: Vec<impl Line>,
    mut poll: Poll,
    mut buffer: Vec<u8>,
    patience: Option<Duration>,
) -> Result<Report> {
    let mut events = Events::with_capacity(1024);
    let mut out = Out::with_room_for(task.payload);
    let mut trips = RoundTrips::new(task)?;
    let text = payload(task.payload);
    for line in &mut lines {
        out.push(&text);
        line.send(out.take(), &mut buffer)?;
    }
    loop {
        wait(&mut poll, &mut events, patience)?;
        for event in &events {
            let index = event.token().0;
            let mut last = false;
            let answered = lines[index].receive(&mut buffer, |text| {
                last = trips.count(index, text.len());
                out.push(text);
            })?;
            if answered {
                lines[index].send(out.take(), &mut buffer)?;
            }
            if last {
                return trips.into_report();
            }
        }
    }
}

/// A connection; both of its sides may use the one buffer while they run.
trait Line {
    /// Reads, and hands over the text that has come; false where none has.
    fn receive(&mut self, buffer: &mut [u8], on_text: impl FnOnce(&str)) -> Result<bool>;

    /// Sends a frame.
    fn send(&mut self, frame: &[u8], buffer: &mut [u8]) -> Result<()>;
}

impl Line for TcpStream {
    fn receive(&mut self, buffer: &mut [u8], on_text: impl FnOnce(&str)) -> Result<bool> {
        let Some(size) = read(self, buffer)? else { return Ok(false) };
        on_text(text(&buffer[..size])?);
        Ok(true)
    }

    fn send(&mut self, frame: &[u8], _: &mut [u8]) -> Result<()> {
        write(self, frame)
    }
}

struct Secure {
    stream: TcpStream,
    tls: UnbufferedClientConnection,
}

impl Line for Secure {
    fn receive(&mut self, buffer: &mut [u8], on_text: impl FnOnce(&str)) -> Result<bool> {
        let Some(mut size) = read(&mut self.stream, buffer)? else { return Ok(false) };
        let mut on_text = Some(on_text);
        let decrypt = &mut |plaintext: &[u8]| {
            let on_text = on_text.take().ok_or("more than one echo arrived")?;
            on_text(text(plaintext)?);
            Ok(())
        };
        pump(&mut self.tls, buffer, &mut size, decrypt, &mut |_| Ok(()))?;
        match size {
            0 => Ok(on_text.is_none()),
            _ => Err("a record did not arrive whole".into()),
        }
    }

    fn send(&mut self, frame: &[u8], buffer: &mut [u8]) -> Result<()> {
        let size = seal(&mut self.tls, frame, buffer)?;
        write(&mut self.stream, &buffer[..size])
    }
}

fn read(stream: &mut TcpStream, buffer: &mut [u8]) -> Result<Option<usize>> {
    match stream.read(buffer) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        read => Ok(Some(read?)),
    }
}

fn write(stream: &mut TcpStream, bytes: &[u8]) -> Result<()> {
    match stream.write(bytes)? {
        size if size == bytes.len() => Ok(()),
        _ => Err("the socket did not take a message whole".into()),
    }
}

fn text(frame: &[u8]) -> Result<&str> {
    let whole = Header::read(frame).filter(|header| header.first == TEXT && header.end == frame.len());
    let header = whole.ok_or("an echo did not arrive whole")?;
    validate(&frame[header.start..])
}
