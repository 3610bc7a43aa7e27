//! `echo` on the floor.

use std::io::{ErrorKind, Read};

use mio::net::TcpStream;
use mio::{Events, Poll, Token};
use websocket_bench::contract::{Report, Task, payload};
use websocket_bench::frame::{Header, TEXT};
use websocket_bench::measure::RoundTrips;
use websocket_bench::{CHUNK, Result};

use crate::out::Out;
use crate::text::validate;
use crate::{open, wait};

pub(crate) fn run(task: &Task) -> Result<Report> {
    let mut poll = Poll::new()?;
    let mut buffer = vec![0; CHUNK];
    let mut streams = Vec::with_capacity(task.connections);
    for index in 0..task.connections {
        streams.push(open(task, &poll, Token(index), &mut buffer)?.0);
    }

    let mut out = Out::with_room_for(task.payload);
    let mut trips = RoundTrips::new(task)?;
    let text = payload(task.payload);
    for stream in &mut streams {
        out.send(stream, &text)?;
    }
    let on_text = |index: usize, text: &str, stream: &mut TcpStream, out: &mut Out| -> Result<bool> {
        let last = trips.count(index, text.len());
        out.send(stream, text)?;
        Ok(last)
    };
    turn_until_last(&mut poll, &mut streams, &mut buffer, &mut out, on_text)?;
    trips.into_report()
}

/// Hands every text to `on_text`, with the way to answer it, until that says that it was the last.
fn turn_until_last(
    poll: &mut Poll,
    streams: &mut [TcpStream],
    buffer: &mut [u8],
    out: &mut Out,
    mut on_text: impl FnMut(usize, &str, &mut TcpStream, &mut Out) -> Result<bool>,
) -> Result<()> {
    let mut events = Events::with_capacity(1024);
    loop {
        wait(poll, &mut events)?;
        for event in &events {
            let index = event.token().0;
            let stream = &mut streams[index];
            let size = match stream.read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                read => read?,
            };
            let frame = &buffer[..size];
            let whole = Header::read(frame).filter(|header| header.first == TEXT && header.end == size);
            let header = whole.ok_or("an echo did not arrive whole")?;
            if on_text(index, validate(&frame[header.start..])?, stream, out)? {
                return Ok(());
            }
        }
    }
}
