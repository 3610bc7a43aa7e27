//! The workloads of peers that read a socket themselves: blocking on one connection, as a user with one feed would, on a mio poll with many.

use std::hint::black_box;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::os::fd::AsRawFd;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use crate::contract::{Report, Task, WRITE, Workload, payload};
use crate::measure::{RoundTrips, Sending, Tally, measure_idle};
use crate::{MAX_HEADER, Result, unknown_workload};

/// A connection of the peer.
pub trait Peer: Sized {
    /// Upgrades a stream that is connected, blocking.
    fn open(task: &Task, stream: TcpStream) -> Result<Self>;

    /// Reads once at most, and hands over texts that are whole and checked to be UTF-8; false when the server has closed.
    fn receive(&mut self, on_text: impl FnMut(&str)) -> Result<bool>;

    /// Sends a text, which may wait in a buffer for [`Peer::flush`].
    fn feed(&mut self, text: &str) -> Result<()>;

    /// Writes what waits.
    fn flush(&mut self) -> Result<()>;
}

/// Runs a workload without TLS on a peer.
///
/// # Errors
/// The workload fails, or there is no such workload here.
pub fn run<P: Peer>(task: &Task) -> Result<Report> {
    match task.workload {
        Workload::Receive => receive::<P>(task),
        Workload::Send => send::<P>(task),
        Workload::Echo => echo::<P>(task),
        Workload::Idle => idle::<P>(task),
        _ => Err(unknown_workload(task)),
    }
}

/// Whether the sockets of a workload block.
pub fn blocks(task: &Task) -> bool {
    matches!(task.workload, Workload::Receive | Workload::ReceiveTls | Workload::Send)
}

/// Runs `receive`, or `receive-tls` on a peer with TLS.
///
/// # Errors
/// The workload fails.
pub fn receive<P: Peer>(task: &Task) -> Result<Report> {
    let mut tally = Tally::new(task)?;
    let mut peer = P::open(task, connect(task)?)?;
    while peer.receive(|text| {
        tally.count(black_box(text).len());
    })? {}
    tally.into_report()
}

fn send<P: Peer>(task: &Task) -> Result<Report> {
    let mut sending = Sending::new(task)?;
    let mut peer = P::open(task, connect(task)?)?;
    let most = if task.each { 0 } else { WRITE };
    loop {
        let mut waiting = 0;
        while let Some(text) = sending.next_text() {
            peer.feed(text)?;
            waiting += text.len() + MAX_HEADER;
            if waiting >= most {
                peer.flush()?;
                waiting = 0;
            }
        }
        peer.flush()?;
        let mut word = None;
        while word.is_none() && peer.receive(|text| word = Some(text.to_owned()))? {}
        if sending.heard(&word.ok_or("the server has nothing to say")?) {
            return sending.into_report();
        }
    }
}

fn echo<P: Peer>(task: &Task) -> Result<Report> {
    let mut poll = Poll::new()?;
    let mut peers = Vec::with_capacity(task.connections);
    for index in 0..task.connections {
        peers.push(open::<P>(task, &poll, Token(index))?);
    }
    let mut trips = RoundTrips::new(task)?;
    let first = payload(task.payload);
    for peer in &mut peers {
        peer.feed(&first)?;
        peer.flush()?;
    }
    let mut events = Events::with_capacity(1024);
    let mut answer = String::new();
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            polled => polled?,
        }
        for event in &events {
            let index = event.token().0;
            let peer = &mut peers[index];
            answer.clear();
            // One message is in flight: when it has come, there is nothing more to read.
            if !peer.receive(|text| answer.push_str(text))? {
                return Err("the server has closed".into());
            }
            if answer.is_empty() {
                continue;
            }
            if trips.count(index, answer.len()) {
                return trips.into_report();
            }
            peer.feed(&answer)?;
            peer.flush()?;
        }
    }
}

fn idle<P: Peer>(task: &Task) -> Result<Report> {
    let poll = Poll::new()?;
    measure_idle(task, || {
        let mut peer = open::<P>(task, &poll, Token(0))?;
        // As any loop on edge-triggered readiness does before it waits.
        let mut idle = true;
        match peer.receive(|_| idle = false)? && idle {
            true => Ok(peer),
            false => Err("not idle".into()),
        }
    })
}

/// Opens a connection, registers it, and makes it non-blocking.
fn open<P: Peer>(task: &Task, poll: &Poll, token: Token) -> Result<P> {
    let stream = connect(task)?;
    let (handle, descriptor) = (stream.try_clone()?, stream.as_raw_fd());
    let peer = P::open(task, stream)?;
    handle.set_nonblocking(true)?;
    poll.registry().register(&mut SourceFd(&descriptor), token, Interest::READABLE)?;
    Ok(peer)
}

/// Connects, without Nagle's algorithm as the others do.
fn connect(task: &Task) -> Result<TcpStream> {
    let stream = TcpStream::connect(task.addr)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
