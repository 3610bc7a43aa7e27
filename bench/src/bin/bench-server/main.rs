//! The load server: one thread on one poll, as cheap as can be, for it must outrun every client.
//!
//! It prints its port on its first line and ends when its standard input does.

#![forbid(unsafe_code)]

mod echo;
mod feed;
mod upgrade;

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::{net, thread};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use websocket_bench::system::raise_descriptor_limit;
use websocket_bench::{CHUNK, Result};

use crate::echo::Echo;
use crate::feed::Feed;
use crate::upgrade::{Part, Upgrade};

const LISTENER: Token = Token(usize::MAX);

fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> Result<()> {
    raise_descriptor_limit()?;
    // The standard library's listener takes the longest queue that the system allows; mio's takes a shorter one.
    let listener = net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    println!("{}", listener.local_addr()?.port());
    io::stdout().flush()?;

    thread::spawn(|| {
        let _ended = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(0);
    });

    let mut poll = Poll::new()?;
    let mut listener = TcpListener::from_std(listener);
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(1024);
    let mut scratch = vec![0; CHUNK];
    // Slots are not reused: a server lives for one run of one client.
    let mut connections: Vec<Option<Connection>> = Vec::new();
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            polled => polled?,
        }
        for event in &events {
            if event.token() == LISTENER {
                accept(&listener, &poll, &mut connections)?;
            } else if let Some(slot) = connections.get_mut(event.token().0)
                && let Some(connection) = slot
                && !connection.ready(&mut scratch)
            {
                *slot = None;
            }
        }
    }
}

fn accept(listener: &TcpListener, poll: &Poll, connections: &mut Vec<Option<Connection>>) -> Result<()> {
    loop {
        let mut stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        stream.set_nodelay(true)?;
        let token = Token(connections.len());
        poll.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        connections.push(Some(Connection { stream, stage: Stage::Upgrade(Upgrade::default()) }));
    }
}

struct Connection {
    stream: TcpStream,
    stage: Stage,
}

enum Stage {
    Upgrade(Upgrade),
    Feed(Feed),
    Echo(Echo),
}

/// How far a stage has come.
enum Progress {
    /// Until the socket is ready again.
    Waits,
    /// The next stage follows.
    Done,
    /// The connection is over.
    Ended,
}

impl Connection {
    /// Does all that can be done without waiting; false when the connection is over.
    fn ready(&mut self, scratch: &mut [u8]) -> bool {
        loop {
            let progress = match &mut self.stage {
                Stage::Upgrade(upgrade) => upgrade.ready(&mut self.stream),
                Stage::Feed(feed) => feed.ready(&mut self.stream),
                Stage::Echo(echo) => echo.ready(&mut self.stream, scratch),
            };
            match progress {
                Ok(Progress::Done) => self.advance(),
                Ok(Progress::Waits) => return true,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(Progress::Ended) | Err(_) => return false,
            }
        }
    }

    fn advance(&mut self) {
        self.stage = match &self.stage {
            Stage::Upgrade(upgrade) => match upgrade.part() {
                Part::Feed { payload, messages } => Stage::Feed(Feed::new(payload, messages)),
                Part::Echo => Stage::Echo(Echo::default()),
            },
            Stage::Feed(_) | Stage::Echo(_) => Stage::Echo(Echo::closing()),
        }
    }
}
