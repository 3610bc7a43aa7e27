//! The load server: one thread on one poll, as cheap as can be, for it must outrun every client.
//!
//! It prints its port on its first line and ends when its standard input does. With `--root FILE` it speaks TLS, and
//! writes the certificate that clients are to trust into the file.

#![forbid(unsafe_code)]

mod echo;
mod feed;
mod sink;
mod tls;
mod upgrade;

use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::{net, thread};

use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};
use rustls::ServerConfig;
use websocket_bench::contract::Records;
use websocket_bench::system::raise_descriptor_limit;
use websocket_bench::{CHUNK, Result};

use crate::echo::Echo;
use crate::feed::{Feed, frame_of};
use crate::sink::Sink;
use crate::tls::Stream;
use crate::upgrade::{Part, Upgrade};

const LISTENER: Token = Token(usize::MAX);

fn main() -> ExitCode {
    match root().and_then(serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Reads the command line.
fn root() -> Result<Option<PathBuf>> {
    use lexopt::prelude::*;

    let mut parser = lexopt::Parser::from_env();
    let mut root = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Long("root") => root = Some(parser.value()?.into()),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(root)
}

fn serve(root: Option<PathBuf>) -> Result<()> {
    raise_descriptor_limit()?;
    // Before the port is told: who knows that finds the file.
    let tls = root.map(|root| tls::config(&root)).transpose()?;
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
                accept(&listener, &poll, tls.as_ref(), &mut connections)?;
            } else if let Some(slot) = connections.get_mut(event.token().0)
                && let Some(connection) = slot
                && !connection.ready(&mut scratch)
            {
                *slot = None;
            }
        }
    }
}

fn accept(
    listener: &TcpListener,
    poll: &Poll,
    tls: Option<&Arc<ServerConfig>>,
    connections: &mut Vec<Option<Connection>>,
) -> Result<()> {
    loop {
        let mut stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        stream.set_nodelay(true)?;
        let token = Token(connections.len());
        poll.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        let stream = Stream::new(stream, tls)?;
        connections.push(Some(Connection { stream, stage: Stage::Upgrade(Upgrade::default()) }));
    }
}

struct Connection {
    stream: Stream,
    stage: Stage,
}

enum Stage {
    Upgrade(Upgrade),
    Feed(Feed, AfterFeed),
    Sink(Sink),
    Echo(Echo),
}

/// What follows a feed.
#[derive(Clone, Copy)]
enum AfterFeed {
    Close,
    ReadOn,
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
                Stage::Feed(feed, _) => feed.ready(&mut self.stream),
                Stage::Sink(sink) => sink.ready(&mut self.stream, scratch),
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
                Part::Feed { payload, messages, records } => {
                    if records == Records::Frame {
                        self.stream.cut(frame_of(payload).len());
                    }
                    Stage::Feed(Feed::new(payload, messages), AfterFeed::Close)
                }
                Part::Compressed { payload, messages, takeover, closes } => {
                    let feed = Feed::compressed(payload, messages, takeover);
                    Stage::Feed(feed, if closes { AfterFeed::Close } else { AfterFeed::ReadOn })
                }
                Part::Sink { warm_up, messages, .. } => Stage::Sink(Sink::new(warm_up, messages)),
                Part::Echo => Stage::Echo(Echo::default()),
            },
            Stage::Feed(_, AfterFeed::ReadOn) => Stage::Sink(Sink::silent()),
            Stage::Feed(..) | Stage::Sink(_) | Stage::Echo(_) => Stage::Echo(Echo::closing()),
        }
    }
}
