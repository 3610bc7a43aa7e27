//! An echo server that carries thousands of connections on one thread.

use std::io::{self, Read as _, Write as _};
use std::mem;
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

use super::session::Session;
use super::{LISTENER, Stop, WAKER};

const BATCH: usize = 1024;
const READ_BUFFER: usize = 64 * 1024;
/// Reads from one connection before the others get their turn.
const READS_A_TURN: usize = 16;
/// Where the system's own edges suffice, a short read has emptied the socket and the one that would say so
/// can be spared.
const SHORT_READ_DRAINS: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// Sends back every message that it gets, frame by frame. Answers pings and close frames, and breaches of the
/// protocol with 1002; the one rule that it does not check is that text is UTF-8.
///
/// It is made for thousands of connections: one thread, one read buffer, some 100 bytes for a connection that
/// has nothing to write, and no reading from a client that does not read itself.
///
/// ```
/// use websocket_testkit::server::EchoServer;
///
/// let server = EchoServer::start()?;
/// assert!(server.url().starts_with("ws://127.0.0.1:"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct EchoServer {
    addr: SocketAddr,
    stop: Stop,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl EchoServer {
    /// Starts a server on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When the system refuses a socket or a thread.
    pub fn start() -> io::Result<Self> {
        Self::bind((Ipv4Addr::LOCALHOST, 0).into())
    }

    /// Starts a server on `addr`.
    ///
    /// # Errors
    /// When the address is not free, or the system refuses a socket or a thread.
    pub fn bind(addr: SocketAddr) -> io::Result<Self> {
        Self::on(TcpListener::bind(addr)?)
    }

    fn on(mut listener: TcpListener) -> io::Result<Self> {
        let addr = listener.local_addr()?;
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let stop = Stop::new(poll.registry())?;
        let server = Loop {
            poll,
            listener,
            stop: stop.clone(),
            connections: Slab::new(),
            hungry: Vec::new(),
            accept_is_due: false,
            input: vec![0; READ_BUFFER].into(),
            output: Vec::new(),
        };
        let thread = thread::Builder::new().name("echo-server".into()).spawn(|| server.run())?;
        Ok(Self { addr, stop, thread: Some(thread) })
    }

    /// The URL to connect to.
    pub fn url(&self) -> String {
        format!("ws://{}/", self.addr)
    }

    /// The address that it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for EchoServer {
    fn drop(&mut self) {
        self.stop.request();
        let outcome = self.thread.take().map(JoinHandle::join);
        if !thread::panicking() {
            match outcome {
                Some(Err(panic)) => std::panic::resume_unwind(panic),
                Some(Ok(Err(error))) => panic!("the echo server's poll failed: {error}"),
                _ => {}
            }
        }
    }
}

struct EchoConnection {
    stream: TcpStream,
    session: Session,
    /// What the socket did not take yet.
    backlog: Vec<u8>,
}

struct Loop {
    poll: Poll,
    listener: TcpListener,
    stop: Stop,
    connections: Slab<EchoConnection>,
    /// Connections that used up their turn with more to read.
    hungry: Vec<usize>,
    /// Accepting failed for want of descriptors.
    accept_is_due: bool,
    input: Box<[u8]>,
    output: Vec<u8>,
}

/// What is to become of a connection after its turn.
enum Turn {
    Wait,
    Continue,
    Remove,
}

impl Loop {
    fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(BATCH);
        while !self.stop.is_requested() {
            let timeout = if self.hungry.is_empty() { None } else { Some(Duration::ZERO) };
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for event in &events {
                match event.token() {
                    WAKER => {}
                    LISTENER => self.accept(),
                    Token(index) => self.serve(index, event.is_read_closed()),
                }
            }
            for index in mem::take(&mut self.hungry) {
                self.serve(index, true);
            }
        }
        Ok(())
    }

    fn accept(&mut self) {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    if let Err(error) = self.add(stream) {
                        log::warn!(target: "websocket::testkit", "the echo server dropped a connection: {error}");
                    }
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return,
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => {}
                    _ => {
                        log::warn!(target: "websocket::testkit", "the echo server cannot accept for now: {error}");
                        self.accept_is_due = true;
                        return;
                    }
                },
            }
        }
    }

    fn add(&mut self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let entry = self.connections.vacant_entry();
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut stream, Token(entry.key()), interest)?;
        entry.insert(EchoConnection { stream, session: Session::new(), backlog: Vec::new() });
        Ok(())
    }

    fn serve(&mut self, index: usize, read_closed: bool) {
        let Some(connection) = self.connections.get_mut(index) else { return };
        match connection.turn(&mut self.input, &mut self.output, read_closed) {
            Ok(Turn::Wait) => {}
            Ok(Turn::Continue) => self.hungry.push(index),
            Ok(Turn::Remove) | Err(_) => {
                self.connections.remove(index);
                if mem::take(&mut self.accept_is_due) {
                    self.accept();
                }
            }
        }
    }
}

impl EchoConnection {
    fn turn(&mut self, input: &mut [u8], output: &mut Vec<u8>, read_closed: bool) -> io::Result<Turn> {
        if !self.backlog.is_empty() {
            let written = write(&mut self.stream, &self.backlog)?;
            self.backlog.drain(..written);
            if !self.backlog.is_empty() {
                return Ok(Turn::Wait);
            }
            self.backlog = Vec::new();
            self.finish();
        }
        for _ in 0..READS_A_TURN {
            let read = match self.stream.read(input) {
                Ok(0) => return Ok(Turn::Remove),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Turn::Wait),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            output.clear();
            self.session.receive(&mut input[..read], output);
            let written = write(&mut self.stream, output)?;
            if written < output.len() {
                self.backlog.extend_from_slice(&output[written..]);
                return Ok(Turn::Wait);
            }
            self.finish();
            if SHORT_READ_DRAINS && read < input.len() && !read_closed {
                return Ok(Turn::Wait);
            }
        }
        Ok(Turn::Continue)
    }

    /// Ends the stream once everything is said; the client's own end is then awaited, since closing earlier
    /// could reset it.
    fn finish(&self) {
        if self.session.is_over() {
            // It fails only when the client has gone, which the next read tells.
            let _ = self.stream.shutdown(Shutdown::Write);
        }
    }
}

/// Writes until all is written or the socket is full, and tells how much it took.
fn write(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut written = 0;
    while written < bytes.len() {
        match stream.write(&bytes[written..]) {
            Ok(more) => written += more,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use tungstenite::{Message, WebSocket};

    use super::*;
    use crate::frame;

    fn connect(server: &EchoServer) -> WebSocket<TcpStream> {
        let stream = TcpStream::connect(server.addr()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        tungstenite::client(server.url(), stream).unwrap().0
    }

    #[test]
    fn a_strict_client_gets_its_messages_back_and_a_clean_end() {
        let server = EchoServer::start().unwrap();
        let mut client = connect(&server);
        for message in [
            Message::text("hello"),
            Message::text(""),
            Message::binary(vec![1; 200]),
            Message::binary(vec![2; 1 << 20]),
        ] {
            client.send(message.clone()).unwrap();
            assert!(client.read().unwrap() == message);
        }
        client.send(Message::Ping("are you there?".into())).unwrap();
        assert_eq!(client.read().unwrap(), Message::Pong("are you there?".into()));
        client.close(None).unwrap();
        assert_eq!(client.read().unwrap(), Message::Close(None));
        assert!(matches!(client.read(), Err(tungstenite::Error::ConnectionClosed)));
    }

    #[test]
    fn what_the_socket_does_not_take_at_once_is_sent_later() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        // Accepted sockets inherit it; an answer to all that was read at once does not fit in.
        socket2::SockRef::from(&listener).set_send_buffer_size(READ_BUFFER / 8).unwrap();
        let server = EchoServer::on(listener).unwrap();
        let mut client = connect(&server);
        let payload: Vec<_> = (0..1 << 20).map(|index| (index % 251) as u8).collect();
        let mut writer = client.get_ref().try_clone().unwrap();
        let question = frame::masked(0x82, [1, 2, 3, 4], &payload);
        let sender = thread::spawn(move || writer.write_all(&question));
        assert!(client.read().unwrap().into_data() == payload);
        sender.join().unwrap().unwrap();
    }

    #[test]
    fn many_clients_are_served_at_once() {
        let server = EchoServer::start().unwrap();
        let mut clients: Vec<_> = (0..200).map(|_| connect(&server)).collect();
        for round in 0..3 {
            for (index, client) in clients.iter_mut().enumerate() {
                client.send(Message::text(format!("{round} {index}"))).unwrap();
            }
            for (index, client) in clients.iter_mut().enumerate() {
                assert_eq!(client.read().unwrap(), Message::text(format!("{round} {index}")));
            }
        }
    }

    #[test]
    fn dropping_the_server_ends_its_connections() {
        let server = EchoServer::start().unwrap();
        let mut client = connect(&server);
        drop(server);
        assert!(client.read().is_err());
    }
}
