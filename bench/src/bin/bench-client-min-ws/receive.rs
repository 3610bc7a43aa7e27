//! `receive` on the floor.

use std::hint::black_box;
use std::io::{ErrorKind, Read};

use mio::{Events, Poll, Token};
use websocket_bench::contract::{Report, Task};
use websocket_bench::frame::{CLOSE, Header, MAX_HEADER, TEXT};
use websocket_bench::measure::Tally;
use websocket_bench::{CHUNK, Result};

use crate::socket::{open, wait};
use crate::text::validate;

pub(crate) fn run(task: &Task) -> Result<Report> {
    let mut tally = Tally::new(task)?;
    feed(task, |first, payload| match first {
        TEXT => {
            tally.count(black_box(validate(payload)?).len());
            Ok(())
        }
        first => Err(format!("no place for a frame that begins with {first:#x}").into()),
    })?;
    tally.into_report()
}

/// Hands the first byte and the payload of every frame to `on_frame` until the server closes.
pub(crate) fn feed(task: &Task, mut on_frame: impl FnMut(u8, &[u8]) -> Result<()>) -> Result<()> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(16);
    let mut buffer = vec![0; CHUNK];
    let (mut stream, mut filled) = open(task, &poll, Token(0), &mut buffer)?;
    loop {
        let mut used = 0;
        let mut missing = MAX_HEADER;
        while let Some(header) = Header::read(&buffer[used..filled]) {
            let Some(payload) = buffer[used..filled].get(header.start..header.end) else {
                missing = header.end;
                break;
            };
            match header.first {
                CLOSE => return Ok(()),
                first => on_frame(first, payload)?,
            }
            used += header.end;
        }
        buffer.copy_within(used..filled, 0);
        filled -= used;
        if missing > buffer.len() {
            buffer.resize(missing, 0);
        }
        loop {
            match stream.read(&mut buffer[filled..]) {
                Ok(0) => return Err("the server ended without a close frame".into()),
                Ok(more) => {
                    filled += more;
                    break;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => wait(&mut poll, &mut events, None)?,
                Err(error) => return Err(error.into()),
            }
        }
    }
}
