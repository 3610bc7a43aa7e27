//! tungstenite with its default configuration, as its users would write it: blocking for a feed on one connection,
//! on a mio poll for a thread's worth of connections.

#![forbid(unsafe_code)]

mod connect;

use std::hint::black_box;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::process::ExitCode;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use tungstenite::client::connect_with_config;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Error, Message, WebSocket};
use websocket_bench::Result;
use websocket_bench::contract::{Report, Task, WRITE, Workload, client_main, payload};
use websocket_bench::measure::{RoundTrips, Sending, Tally, measure_idle};

fn main() -> ExitCode {
    client_main(|task| match task.workload {
        Workload::Receive => receive(task),
        Workload::Send => send(task),
        Workload::Echo => echo(task),
        Workload::Connect => connect::run(task),
        Workload::Idle => idle(task),
        other => Err(format!("tungstenite has no '{}'", other.name()).into()),
    })
}

fn receive(task: &Task) -> Result<Report> {
    let mut tally = Tally::new(task)?;
    let (mut socket, _) = tungstenite::connect(task.url())?;
    loop {
        match socket.read()? {
            Message::Text(text) => {
                tally.count(black_box(text.as_str()).len());
            }
            Message::Close(_) => return tally.into_report(),
            other => return Err(format!("no text: {other:?}").into()),
        }
    }
}

fn send(task: &Task) -> Result<Report> {
    let mut sending = Sending::new(task)?;
    let config = WebSocketConfig::default().write_buffer_size(WRITE);
    let (mut socket, _) = connect_with_config(task.url(), Some(config), 0)?;
    loop {
        while let Some(text) = sending.next_text() {
            let message = Message::text(text);
            if task.each { socket.send(message) } else { socket.write(message) }?;
        }
        socket.flush()?;
        let word = socket.read()?;
        if sending.heard(word.to_text()?) {
            return sending.into_report();
        }
    }
}

fn echo(task: &Task) -> Result<Report> {
    let mut poll = Poll::new()?;
    let mut sockets = Vec::with_capacity(task.connections);
    for index in 0..task.connections {
        sockets.push(open(task, &poll, Token(index))?);
    }
    let mut trips = RoundTrips::new(task)?;
    for socket in &mut sockets {
        socket.send(Message::text(payload(task.payload)))?;
    }
    let mut events = Events::with_capacity(1024);
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            polled => polled?,
        }
        for event in &events {
            let index = event.token().0;
            while let Some(message) = read(&mut sockets[index])? {
                if trips.count(index, message.len()) {
                    return trips.into_report();
                }
                sockets[index].send(message)?;
            }
        }
    }
}

fn idle(task: &Task) -> Result<Report> {
    let poll = Poll::new()?;
    measure_idle(task, || {
        let mut socket = open(task, &poll, Token(0))?;
        // As any loop on edge-triggered readiness does before it waits.
        match read(&mut socket)? {
            None => Ok(socket),
            Some(message) => Err(format!("not idle: {message:?}").into()),
        }
    })
}

/// Opens a connection, registers it, and makes it non-blocking.
fn open(task: &Task, poll: &Poll, token: Token) -> Result<WebSocket<TcpStream>> {
    let stream = TcpStream::connect(task.addr)?;
    stream.set_nodelay(true)?;
    let (socket, _) = tungstenite::client(task.url(), stream)?;
    socket.get_ref().set_nonblocking(true)?;
    poll.registry().register(&mut SourceFd(&socket.get_ref().as_raw_fd()), token, Interest::READABLE)?;
    Ok(socket)
}

/// The next message; `None` where the socket would block.
fn read(socket: &mut WebSocket<TcpStream>) -> Result<Option<Message>> {
    match socket.read() {
        Ok(message) => Ok(Some(message)),
        Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error.into()),
    }
}
