//! `send` on the floor: one masking copy into one buffer, which is written when it is full.

use std::io::{self, ErrorKind, Read, Write};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use websocket_bench::contract::{Report, Task, WRITE};
use websocket_bench::frame::read_text;
use websocket_bench::measure::Sending;
use websocket_bench::{CHUNK, Result};

use crate::out::Out;
use crate::socket::{open, wait};

pub(crate) fn run(task: &Task) -> Result<Report> {
    let mut sending = Sending::new(task)?;
    let share = if task.each { 1 } else { WRITE };
    let mut out = Out::with_room_for(WRITE + task.payload);
    let mut buffer = vec![0; CHUNK];
    let poll = Poll::new()?;
    let (mut stream, mut filled) = open(task, &poll, Token(0), &mut buffer)?;
    poll.registry().reregister(&mut stream, Token(0), Interest::READABLE | Interest::WRITABLE)?;
    let mut stream = Waiting { stream, poll, events: Events::with_capacity(16) };
    loop {
        while let Some(text) = sending.next_text() {
            if out.push(text) >= share {
                stream.write_all(out.take())?;
            }
        }
        stream.write_all(out.take())?;
        if sending.heard(read_text(&mut stream, &mut buffer, filled)?) {
            return sending.into_report();
        }
        filled = 0;
    }
}

/// A stream that waits on the poll where it would block.
struct Waiting {
    stream: TcpStream,
    poll: Poll,
    events: Events,
}

impl Waiting {
    fn until<T>(&mut self, mut done: impl FnMut(&mut TcpStream) -> io::Result<T>) -> io::Result<T> {
        loop {
            match done(&mut self.stream) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    wait(&mut self.poll, &mut self.events, None)?
                }
                outcome => return outcome,
            }
        }
    }
}

impl Read for Waiting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.until(|stream| stream.read(buffer))
    }
}

impl Write for Waiting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.until(|stream| stream.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
