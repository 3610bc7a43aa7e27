//! `connect` and `connect-tls` on the floor.

use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Registry, Token};
use rustls::ClientConfig;
use websocket_bench::contract::{Report, Task};
use websocket_bench::measure::Tally;
use websocket_bench::tls::client_config;
use websocket_bench::{CHUNK, Result, upgrade};

use crate::socket::wait;
use crate::tls_session::Opening;

pub(crate) fn run(task: &Task) -> Result<Report> {
    let config = task.workload.is_tls().then(|| client_config(task)).transpose()?;
    let mut poll = Poll::new()?;
    let registry = poll.registry().try_clone()?;
    let mut events = Events::with_capacity(task.connections);
    let mut buffer = vec![0; CHUNK];
    let mut tally = Tally::new(task)?;
    let mut left = task.warm_up + task.messages;
    let mut begin = |token| match left {
        0 => Ok(None),
        _ => {
            left -= 1;
            Attempt::begin(task, config.as_ref(), &registry, token).map(Some)
        }
    };
    let mut attempts = (0..task.connections).map(|index| begin(Token(index))).collect::<Result<Vec<_>>>()?;
    loop {
        wait(&mut poll, &mut events, None)?;
        for event in &events {
            let slot = &mut attempts[event.token().0];
            let Some(attempt) = slot else { continue };
            if attempt.ready(event, &mut buffer)? {
                if tally.count(0) {
                    return tally.into_report();
                }
                *slot = begin(event.token())?;
            }
        }
    }
}

/// A connection on its way to the upgrade.
struct Attempt {
    stream: TcpStream,
    connected: bool,
    upgrade: Upgrade,
}

enum Upgrade {
    Plain(String),
    /// With the ciphertext of a record that is not whole.
    Tls(Box<Opening>, Vec<u8>),
}

impl Attempt {
    fn begin(
        task: &Task,
        config: Option<&Arc<ClientConfig>>,
        registry: &Registry,
        token: Token,
    ) -> Result<Self> {
        let mut stream = TcpStream::connect(task.addr)?;
        stream.set_nodelay(true)?;
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        let upgrade = match config {
            Some(config) => Upgrade::Tls(Box::new(Opening::new(task, config)?), Vec::new()),
            None => Upgrade::Plain(upgrade::request(task)),
        };
        Ok(Self { stream, connected: false, upgrade })
    }

    /// Does what can be done without waiting; true when the upgrade has succeeded.
    fn ready(&mut self, event: &Event, buffer: &mut [u8]) -> Result<bool> {
        if !self.connected {
            if !event.is_writable() {
                return Ok(false);
            }
            self.connected = true;
            // A failure to connect shows here.
            match &mut self.upgrade {
                Upgrade::Plain(request) => self.stream.write_all(request.as_bytes())?,
                Upgrade::Tls(opening, _) => {
                    opening.step(buffer, &mut 0, &mut self.stream)?;
                }
            }
        }
        if !event.is_readable() {
            return Ok(false);
        }
        let kept: &[u8] = match &self.upgrade {
            Upgrade::Plain(_) => &[],
            Upgrade::Tls(_, kept) => kept,
        };
        buffer[..kept.len()].copy_from_slice(kept);
        let mut filled = match self.stream.read(&mut buffer[kept.len()..]) {
            Ok(0) => return Err("the server ended before its response did".into()),
            Ok(more) => kept.len() + more,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        match &mut self.upgrade {
            Upgrade::Plain(_) => {
                upgrade::response(&buffer[..filled])?.ok_or("a response did not arrive whole")?;
                Ok(true)
            }
            Upgrade::Tls(opening, kept) => {
                let upgraded = opening.step(buffer, &mut filled, &mut self.stream)?;
                kept.clear();
                kept.extend_from_slice(&buffer[..filled]);
                Ok(upgraded)
            }
        }
    }
}
