//! Sockets on the poll.

use std::io::{self, ErrorKind};
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use websocket_bench::contract::Task;
use websocket_bench::{Result, upgrade};

/// Opens a connection and registers it. The size is that of what is already in `buffer`.
pub(crate) fn open(task: &Task, poll: &Poll, token: Token, buffer: &mut [u8]) -> Result<(TcpStream, usize)> {
    let (stream, filled) = upgrade::connect(task, buffer)?;
    stream.set_nonblocking(true)?;
    let mut stream = TcpStream::from_std(stream);
    poll.registry().register(&mut stream, token, Interest::READABLE)?;
    Ok((stream, filled))
}

/// Waits for events, but not longer than `patience`.
pub(crate) fn wait(poll: &mut Poll, events: &mut Events, patience: Option<Duration>) -> io::Result<()> {
    loop {
        match poll.poll(events, patience) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            polled => return polled,
        }
    }
}
