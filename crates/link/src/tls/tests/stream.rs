//! TLS as a stream over streams in memory.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::rc::Rc;
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection};
use websocket_dispatcher::{Io, Stream};

use super::pair::{Numbers, VERSIONS, World, hear};
use crate::tls::{TlsError, TlsOptions, TlsStream, TlsVersion};

/// What lies between a client's stream and a server.
#[derive(Default)]
struct Wire {
    to_client: VecDeque<u8>,
    to_server: VecDeque<u8>,
    ended: bool,
    /// Writing fails.
    broken: bool,
    connecting: bool,
    /// Bytes that one read gives at most.
    piece: usize,
    /// Bytes that may wait for the server.
    room: usize,
    reads: usize,
}

#[derive(Clone)]
struct Pipe(Rc<RefCell<Wire>>);

impl Pipe {
    fn new() -> Self {
        Self(Rc::new(RefCell::new(Wire { piece: usize::MAX, room: usize::MAX, ..Wire::default() })))
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut wire = self.0.borrow_mut();
        wire.reads += 1;
        let len = buffer.len().min(wire.piece).min(wire.to_client.len());
        match len {
            0 if wire.ended => Ok(0),
            0 => Err(ErrorKind::WouldBlock.into()),
            len => {
                for byte in &mut buffer[..len] {
                    *byte = wire.to_client.pop_front().unwrap();
                }
                Ok(len)
            }
        }
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut wire = self.0.borrow_mut();
        if wire.broken {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let len = bytes.len().min(wire.room.saturating_sub(wire.to_server.len()));
        if len == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        wire.to_server.extend(&bytes[..len]);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Pipe {
    fn connected(&mut self) -> io::Result<bool> {
        Ok(!self.0.borrow().connecting)
    }
}

/// The peer: it says what it hears.
struct Echo {
    pipe: Pipe,
    server: ServerConnection,
}

impl Echo {
    fn new(config: &Arc<ServerConfig>) -> Self {
        let mut server = ServerConnection::new(config.clone()).unwrap();
        server.set_buffer_limit(None);
        Self { pipe: Pipe::new(), server }
    }

    fn stream(&self, options: &TlsOptions) -> TlsStream {
        let name = options.server_name_for("localhost").unwrap();
        TlsStream::new(Io::custom(self.pipe.clone()), options.build().unwrap(), name).unwrap()
    }

    fn turn(&mut self) {
        let mut wire = self.pipe.0.borrow_mut();
        let bytes: Vec<u8> = wire.to_server.drain(..).collect();
        let mut heard = Vec::new();
        hear(&mut self.server, &bytes, &mut heard).unwrap();
        self.server.writer().write_all(&heard).unwrap();
        let mut said = Vec::new();
        while self.server.wants_write() {
            self.server.write_tls(&mut said).unwrap();
        }
        wire.to_client.extend(said);
    }

    fn say(&mut self, plaintext: &[u8]) {
        self.server.writer().write_all(plaintext).unwrap();
        self.turn();
    }

    fn connect(&mut self, stream: &mut TlsStream) {
        while !stream.connected().unwrap() {
            self.turn();
        }
        self.turn();
    }
}

fn would_block<T: std::fmt::Debug>(result: io::Result<T>) {
    assert_eq!(result.unwrap_err().kind(), ErrorKind::WouldBlock);
}

fn tls_error(error: &io::Error) -> &TlsError {
    error.get_ref().unwrap().downcast_ref().unwrap()
}

/// Reads until it would block.
fn drain(stream: &mut impl Read) -> Vec<u8> {
    let mut received = Vec::new();
    let mut buffer = [0; 5000];
    loop {
        match stream.read(&mut buffer) {
            Ok(len) => received.extend_from_slice(&buffer[..len]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return received,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn b018_a_supplied_stream_is_wrapped_in_tls_explicitly() {
    for version in VERSIONS {
        let world = World::new(version);
        let mut echo = Echo::new(&world.server);
        let mut io = Io::custom(echo.stream(&world.options));
        would_block(io.write(b"before it is connected"));
        while !io.connected().unwrap() {
            echo.turn();
        }
        io.write_all(b"hello").unwrap();
        io.flush().unwrap();
        would_block(io.read(&mut [0; 8]));
        echo.turn();
        let mut buffer = [0; 8];
        assert_eq!(io.read(&mut buffer).unwrap(), 5);
        assert_eq!(&buffer[..5], b"hello");
        assert!(io.downcast_mut::<Pipe>().is_some(), "its dispatcher knows it again");
        let info = io.downcast_mut::<TlsStream>().unwrap().session().info().unwrap();
        assert_eq!(info.alpn.as_deref(), Some(&b"http/1.1"[..]));
    }
}

#[test]
fn it_is_connected_when_the_stream_below_is_and_the_handshake_complete() {
    for version in VERSIONS {
        let world = World::new(version);
        let mut echo = Echo::new(&world.server);
        echo.pipe.0.borrow_mut().connecting = true;
        echo.pipe.0.borrow_mut().piece = 1;
        let mut stream = echo.stream(&world.options);
        assert!(!stream.connected().unwrap());
        assert!(echo.pipe.0.borrow().to_server.is_empty(), "nothing is written before");
        echo.pipe.0.borrow_mut().connecting = false;

        echo.pipe.0.borrow_mut().room = 100;
        let mut turns = 0;
        while !stream.connected().unwrap() {
            turns += 1;
            echo.turn();
        }
        assert!(turns > 2, "the first flight did not fit");
        echo.turn();
        drain(&mut stream);
        assert_eq!(stream.held_bytes(), 0);
    }
}

#[test]
fn b209_what_did_not_fit_is_read_next_without_touching_the_stream_below() {
    let world = World::new(TlsVersion::Tls13);
    let mut echo = Echo::new(&world.server);
    let mut stream = echo.stream(&world.options);
    echo.connect(&mut stream);
    for frame in [b"11", b"22", b"33", b"44", b"55"] {
        echo.say(frame);
    }
    let mut buffer = [0; 3];
    assert_eq!(stream.read(&mut buffer).unwrap(), 3);
    assert_eq!(&buffer, b"112");
    let reads = echo.pipe.0.borrow().reads;
    assert_eq!(stream.read(&mut []).unwrap(), 0);
    let mut rest = Vec::new();
    for len in [3, 3, 1] {
        assert_eq!(stream.read(&mut buffer).unwrap(), len);
        rest.extend_from_slice(&buffer[..len]);
    }
    assert_eq!(rest, b"2334455");
    assert_eq!(echo.pipe.0.borrow().reads, reads);
    would_block(stream.read(&mut buffer));
    assert_eq!(stream.held_bytes(), 0);
}

#[test]
fn a_mebibyte_goes_there_and_back_through_little_room() {
    for version in VERSIONS {
        let world = World::new(version);
        let mut echo = Echo::new(&world.server);
        let mut stream = echo.stream(&world.options);
        echo.connect(&mut stream);
        let mut numbers = Numbers::new(7);
        let data = numbers.bytes(1 << 20);
        let mut rest = &data[..];
        let mut received = Vec::new();
        while received.len() < data.len() {
            {
                let mut wire = echo.pipe.0.borrow_mut();
                wire.room = 1 + numbers.below(60_000);
                wire.piece = 1 + numbers.below(60_000);
            }
            while !rest.is_empty() {
                match stream.write(rest) {
                    Ok(len) => rest = &rest[len..],
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => panic!("{error}"),
                }
            }
            let flushed = stream.flush();
            assert!(flushed.is_ok() || rest.is_empty() || stream.write(rest).is_err());
            assert!(stream.held_bytes() < 300_000, "a slow peer costs {}", stream.held_bytes());
            echo.turn();
            received.extend(drain(&mut stream));
        }
        assert!(received == data);
        stream.flush().unwrap();
        assert_eq!(stream.held_bytes(), 0);
    }
}

#[test]
fn flush_says_would_block_until_what_was_taken_is_written() {
    let world = World::new(TlsVersion::Tls13);
    let mut echo = Echo::new(&world.server);
    let mut stream = echo.stream(&world.options);
    echo.connect(&mut stream);
    echo.pipe.0.borrow_mut().room = 10;
    assert_eq!(stream.write(b"hello").unwrap(), 5);
    would_block(stream.flush());
    would_block(stream.write(b"world"));
    while stream.flush().is_err() {
        echo.turn();
    }
    echo.turn();
    assert_eq!(drain(&mut stream), b"hello");
}

#[test]
fn what_came_is_read_though_nothing_can_be_written_any_more() {
    let world = World::new(TlsVersion::Tls13);
    let mut echo = Echo::new(&world.server);
    let mut stream = echo.stream(&world.options);
    echo.connect(&mut stream);
    echo.say(b"bye");
    {
        let mut wire = echo.pipe.0.borrow_mut();
        wire.room = wire.to_server.len() + 10;
    }
    assert_eq!(stream.write(b"hello").unwrap(), 5);
    echo.pipe.0.borrow_mut().broken = true;
    let mut buffer = [0; 8];
    assert_eq!(stream.read(&mut buffer).unwrap(), 3);
    assert_eq!(&buffer[..3], b"bye");
    assert_eq!(stream.write(b"world").unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[test]
fn b209_the_ends_of_a_stream_are_distinguished() {
    let world = World::new(TlsVersion::Tls13);
    let mut echo = Echo::new(&world.server);
    let mut stream = echo.stream(&world.options);
    echo.connect(&mut stream);
    echo.say(b"bye");
    echo.server.send_close_notify();
    echo.turn();
    let mut buffer = [0; 8];
    assert_eq!(stream.read(&mut buffer).unwrap(), 3);
    assert_eq!(stream.read(&mut buffer).unwrap(), 0);
    stream.close_notify();
    stream.flush().unwrap();
    echo.turn();
    assert!(echo.server.process_new_packets().unwrap().peer_has_closed());
    assert_eq!(stream.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);

    let mut echo = Echo::new(&world.server);
    let mut stream = echo.stream(&world.options);
    echo.connect(&mut stream);
    echo.say(b"cut");
    echo.pipe.0.borrow_mut().ended = true;
    assert_eq!(stream.read(&mut buffer).unwrap(), 3);
    let error = stream.read(&mut buffer).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    assert_eq!(tls_error(&error), &TlsError::Truncated);

    let echo = Echo::new(&world.server);
    let mut stream = echo.stream(&world.options);
    echo.pipe.0.borrow_mut().ended = true;
    let error = stream.connected().unwrap_err();
    assert_eq!(tls_error(&error), &TlsError::EndOfHandshake);
}

#[test]
fn b206_failures_keep_their_type_and_do_not_go_away() {
    let world = World::new(TlsVersion::Tls13);
    let mut echo = Echo::new(&world.server);
    let stranger = super::pair::trusting(&super::identity::Authority::new("a stranger"));
    let mut stream = echo.stream(&stranger);
    assert!(!stream.connected().unwrap());
    echo.turn();
    for _ in 0..2 {
        let error = stream.connected().unwrap_err();
        assert!(matches!(tls_error(&error), TlsError::Certificate(_)), "{error}");
    }
    assert!(stream.write(b"x").is_err() && stream.read(&mut [0; 8]).is_err());
    assert!(!echo.pipe.0.borrow().to_server.is_empty(), "the alert was written");

    let mut echo = Echo::new(&world.server);
    let mut stream = echo.stream(&world.options);
    echo.connect(&mut stream);
    echo.say(b"whole");
    let garbage = [0x17, 3, 3, 0, 20];
    echo.pipe.0.borrow_mut().to_client.extend(garbage.iter().chain(&[9; 20]));
    let mut buffer = [0; 8];
    assert_eq!(stream.read(&mut buffer).unwrap(), 5, "what came before the failure is read before it");
    for _ in 0..2 {
        let error = stream.read(&mut buffer).unwrap_err();
        assert_eq!(tls_error(&error), &TlsError::Protocol(rustls::Error::DecryptError));
    }
}

#[test]
fn tls_goes_through_tls() {
    let [outer, inner] = [World::new(TlsVersion::Tls13), World::new(TlsVersion::Tls12)];
    // A proxy that decrypts the outer layer and hands the inner one to a server behind it.
    let mut proxy = Echo::new(&outer.server);
    let mut server = Echo::new(&inner.server);
    let name = inner.options.server_name_for("localhost").unwrap();
    let io = Io::custom(proxy.stream(&outer.options));
    let mut stream = TlsStream::new(io, inner.options.build().unwrap(), name).unwrap();
    let mut turn = || {
        let bytes: Vec<u8> = proxy.pipe.0.borrow_mut().to_server.drain(..).collect();
        let mut forward = Vec::new();
        hear(&mut proxy.server, &bytes, &mut forward).unwrap();
        server.pipe.0.borrow_mut().to_server.extend(forward);
        server.turn();
        let back: Vec<u8> = server.pipe.0.borrow_mut().to_client.drain(..).collect();
        proxy.server.writer().write_all(&back).unwrap();
        let mut said = Vec::new();
        while proxy.server.wants_write() {
            proxy.server.write_tls(&mut said).unwrap();
        }
        proxy.pipe.0.borrow_mut().to_client.extend(said);
    };
    while !stream.connected().unwrap() {
        turn();
    }
    let data = Numbers::new(8).bytes(100_000);
    let mut rest = &data[..];
    while !rest.is_empty() {
        let len = stream.write(rest).unwrap();
        rest = &rest[len..];
        stream.flush().unwrap();
    }
    turn();
    assert!(drain(&mut stream) == data);
}
