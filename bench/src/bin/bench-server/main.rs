//! The load server: one thread on one poll, as cheap as can be, for it must outrun every client.
//!
//! It prints its port on its first line and ends when its standard input does; for each line of that it
//! prints how its connections have arrived. With `--root FILE` it speaks TLS, and writes the certificate that
//! clients are to trust into the file; with `--no-resumption` every handshake is a full one. `--listen ADDR` and `--backlog N` choose where it listens, and how
//! many connections may wait to be accepted. `--work MICROSECONDS` keeps it busy for so long at each upgrade.

#![forbid(unsafe_code)]

mod echo;
mod feed;
mod options;
mod sink;
mod tls;
mod upgrade;

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{net, thread};

use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};
use rustls::ServerConfig;
use socket2::{Domain, Socket, Type};
use websocket_bench::arrivals::Arrivals;
use websocket_bench::contract::Records;
use websocket_bench::frame::{COMPRESSED, TEXT};
use websocket_bench::system::raise_descriptor_limit;
use websocket_bench::{CHUNK, Result};

use crate::echo::Echo;
use crate::feed::{Feed, frame_of};
use crate::options::Options;
use crate::sink::Sink;
use crate::tls::Stream;
use crate::upgrade::{Part, Upgrade};

const LISTENER: Token = Token(usize::MAX);

fn main() -> ExitCode {
    match options::parse(std::env::args_os().skip(1)).and_then(serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(options: Options) -> Result<()> {
    raise_descriptor_limit()?;
    // Before the port is told: who knows that finds the file.
    let tls = options.root.as_ref().map(|root| tls::config(root, options.resumption)).transpose()?;
    let listener = listen(&options)?;
    println!("{}", listener.local_addr()?.port());
    io::stdout().flush()?;

    let arrivals = Arc::new(Mutex::new(Arrivals::default()));
    let counted = arrivals.clone();
    thread::spawn(move || {
        for _question in io::stdin().lines().map_while(io::Result::ok) {
            // An answer that cannot be written has no reader.
            let _sent = tell(*lock(&counted));
        }
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
                accept(&listener, &poll, tls.as_ref(), &mut connections, &arrivals)?;
            } else if let Some(slot) = connections.get_mut(event.token().0)
                && let Some(connection) = slot
            {
                let waited = connection.waits_for_upgrade();
                let goes_on = connection.ready(&mut scratch);
                let upgraded = !connection.waits_for_upgrade();
                if waited && (upgraded || !goes_on) {
                    be_busy(options.work);
                    lock(&arrivals).leave(upgraded, connection.stream.is_resumed());
                }
                if !goes_on {
                    *slot = None;
                }
            }
        }
    }
}

/// A listener whose port can be taken again at once when its predecessor was killed.
fn listen(options: &Options) -> io::Result<net::TcpListener> {
    let socket = Socket::new(Domain::for_address(options.listen), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&options.listen.into())?;
    socket.listen(options.backlog)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Uses the processor for this long.
fn be_busy(time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        std::hint::spin_loop();
    }
}

fn tell(arrivals: Arrivals) -> io::Result<()> {
    let mut stdout = io::stdout();
    writeln!(stdout, "{}", serde_json::to_string(&arrivals)?)?;
    stdout.flush()
}

fn lock(arrivals: &Mutex<Arrivals>) -> MutexGuard<'_, Arrivals> {
    arrivals.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(
    listener: &TcpListener,
    poll: &Poll,
    tls: Option<&Arc<ServerConfig>>,
    connections: &mut Vec<Option<Connection>>,
    arrivals: &Mutex<Arrivals>,
) -> Result<()> {
    loop {
        let mut stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        lock(arrivals).accept();
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
    fn waits_for_upgrade(&self) -> bool {
        matches!(self.stage, Stage::Upgrade(_))
    }

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
                Part::Sink { warm_up, messages, takeover } => {
                    let first = if takeover.is_some() { TEXT | COMPRESSED } else { TEXT };
                    Stage::Sink(Sink::new(first, warm_up, messages))
                }
                Part::Echo => Stage::Echo(Echo::default()),
            },
            Stage::Feed(_, AfterFeed::ReadOn) => Stage::Sink(Sink::silent(TEXT | COMPRESSED)),
            Stage::Feed(..) | Stage::Sink(_) | Stage::Echo(_) => Stage::Echo(Echo::closing()),
        }
    }
}
