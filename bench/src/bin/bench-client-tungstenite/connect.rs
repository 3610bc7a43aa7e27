//! `connect`, with some connections under way on one mio poll.

use std::io::ErrorKind;

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use tungstenite::ClientHandshake;
use tungstenite::handshake::{HandshakeError, MidHandshake};
use websocket_bench::Result;
use websocket_bench::contract::{Report, Task};
use websocket_bench::measure::Tally;

enum Attempt {
    Connecting(TcpStream),
    Upgrading(MidHandshake<ClientHandshake<TcpStream>>),
}

pub(crate) fn run(task: &Task) -> Result<Report> {
    let mut poll = Poll::new()?;
    let registry = poll.registry().try_clone()?;
    let mut left = task.warm_up + task.messages;
    let mut begin = |token| -> Result<Option<Attempt>> {
        if left == 0 {
            return Ok(None);
        }
        left -= 1;
        let mut stream = TcpStream::connect(task.addr)?;
        stream.set_nodelay(true)?;
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Some(Attempt::Connecting(stream)))
    };
    let mut tally = Tally::new(task)?;
    let mut events = Events::with_capacity(task.connections);
    let mut attempts = (0..task.connections).map(|index| begin(Token(index))).collect::<Result<Vec<_>>>()?;
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            polled => polled?,
        }
        for event in &events {
            let slot = &mut attempts[event.token().0];
            let Some(attempt) = slot.take() else { continue };
            *slot = match attempt.ready(task, event)? {
                Some(attempt) => Some(attempt),
                None if tally.count(0) => return tally.into_report(),
                None => begin(event.token())?,
            };
        }
    }
}

impl Attempt {
    /// Does what can be done without waiting; `None` when the connection is open, which drops it.
    fn ready(self, task: &Task, event: &Event) -> Result<Option<Self>> {
        let outcome = match self {
            Self::Connecting(stream) if !event.is_writable() => return Ok(Some(Self::Connecting(stream))),
            Self::Connecting(stream) => tungstenite::client(task.url(), stream),
            Self::Upgrading(handshake) => handshake.handshake(),
        };
        match outcome {
            Ok(_open) => Ok(None),
            Err(HandshakeError::Interrupted(handshake)) => Ok(Some(Self::Upgrading(handshake))),
            Err(HandshakeError::Failure(error)) => Err(error.into()),
        }
    }
}
