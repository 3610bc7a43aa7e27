//! Sources of the system on the default loop.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::{ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use websocket_dispatcher::{Dispatcher as _, Interest, Io, Key, MioDispatcher, Ready, Wait as _};

const KEY: Key = Key::new(0, 0);

/// A loop that watches `source` for `interest`.
fn watching(mut source: Io, interest: Interest) -> (MioDispatcher, Io) {
    let mut dispatcher = MioDispatcher::new().unwrap();
    dispatcher.register(KEY, &mut source, interest).unwrap();
    (dispatcher, source)
}

fn wait(dispatcher: &mut MioDispatcher) -> Vec<Ready> {
    let mut ready = Vec::new();
    dispatcher.wait(None, &mut ready).unwrap();
    ready
}

fn look(dispatcher: &mut MioDispatcher) -> Vec<Ready> {
    let mut ready = Vec::new();
    dispatcher.wait(Some(Instant::now()), &mut ready).unwrap();
    ready
}

#[test]
fn a_source_is_read_only_by_its_owner() {
    let mut io = Io::source(UdpSocket::bind("127.0.0.1:0").unwrap());
    let unsupported = |outcome: io::Result<usize>| outcome.unwrap_err().kind() == io::ErrorKind::Unsupported;
    assert!(unsupported(io.read(&mut [0; 8])) && unsupported(io.write(b"x")));
    assert_eq!(io.flush().unwrap_err().kind(), io::ErrorKind::Unsupported);
    assert!(!io.is_socket() && io.connected().unwrap() && io.fd().is_some());
    assert!(io.source_mut::<TcpListener>().is_none(), "it is given back as another type");
    assert!(io.source_mut::<UdpSocket>().is_some());
    assert_eq!(format!("{io:?}"), "Io(source)");
}

#[test]
fn a_stream_as_a_source_is_watched_by_its_socket() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut far, _) = listener.accept().unwrap();
    let (mut dispatcher, mut io) = watching(Io::source(Io::tcp(stream).unwrap()), Interest::Read);
    far.write_all(b"x").unwrap();
    assert_eq!(wait(&mut dispatcher), [Ready::new(KEY, true, false)]);
    assert_eq!(io.source_mut::<Io>().unwrap().read(&mut [0; 8]).unwrap(), 1);
}

#[test]
fn datagrams_left_unread_are_reported_by_re_registering() {
    let near = UdpSocket::bind("127.0.0.1:0").unwrap();
    let far = UdpSocket::bind("127.0.0.1:0").unwrap();
    far.connect(near.local_addr().unwrap()).unwrap();
    let (mut dispatcher, mut io) = watching(Io::source(near), Interest::Read);
    far.send(b"one").unwrap();
    far.send(b"two").unwrap();
    let mut buffer = [0; 8];
    for datagram in [b"one", b"two"] {
        assert_eq!(wait(&mut dispatcher), [Ready::new(KEY, true, false)]);
        assert_eq!(io.source_mut::<UdpSocket>().unwrap().recv(&mut buffer).unwrap(), 3);
        assert!(buffer.starts_with(datagram));
        dispatcher.reregister(KEY, &mut io, Interest::Read).unwrap();
    }
    assert_eq!(look(&mut dispatcher), [], "nothing is left");
}

#[test]
fn the_end_of_a_pipe_is_readable_on_one_side_and_writable_on_the_other() {
    let (reader, writer) = io::pipe().unwrap();
    let (mut dispatcher, mut io) = watching(Io::source(reader), Interest::Read);
    drop(writer);
    let ready = wait(&mut dispatcher);
    assert!(ready[0].readable && ready[0].read_closed, "{ready:?}");
    assert_eq!(io.source_mut::<io::PipeReader>().unwrap().read(&mut [0; 8]).unwrap(), 0);

    let (reader, writer) = io::pipe().unwrap();
    let (mut dispatcher, _io) = watching(Io::source(writer), Interest::Write);
    assert!(wait(&mut dispatcher)[0].writable);
    drop(reader);
    assert!(wait(&mut dispatcher)[0].writable);
}

#[test]
fn a_listener_is_readable_when_a_connection_waits() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (mut dispatcher, mut io) = watching(Io::source(listener), Interest::Read);
    let far = TcpStream::connect(address).unwrap();
    assert_eq!(wait(&mut dispatcher), [Ready::new(KEY, true, false)]);
    let (near, _) = io.source_mut::<TcpListener>().unwrap().accept().unwrap();
    assert_eq!(near.peer_addr().unwrap(), far.local_addr().unwrap());
}

#[test]
fn what_a_child_process_prints_and_its_end_are_readable() {
    let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let (mut dispatcher, mut io) = watching(Io::source(child.stdout.take().unwrap()), Interest::Read);
    assert_eq!(look(&mut dispatcher), [], "it has printed nothing");
    stdin.write_all(b"hello").unwrap();
    assert!(wait(&mut dispatcher)[0].readable);
    let stdout = io.source_mut::<ChildStdout>().unwrap();
    let mut printed = [0; 5];
    stdout.read_exact(&mut printed).unwrap();
    assert_eq!(&printed, b"hello");
    drop(stdin);
    assert!(wait(&mut dispatcher)[0].readable);
    assert_eq!(io.source_mut::<ChildStdout>().unwrap().read(&mut printed).unwrap(), 0);
    assert!(child.wait().unwrap().success());
}

#[test]
fn the_poll_of_one_reactor_is_a_source_for_another() {
    let inner = MioDispatcher::new().unwrap();
    let waker = inner.waker();
    let (mut outer, mut io) = watching(Io::source(inner), Interest::Read);
    assert_eq!(look(&mut outer), []);
    waker.wake();
    assert_eq!(wait(&mut outer), [Ready::new(KEY, true, false)]);
    assert_eq!(look(io.source_mut().unwrap()), [], "a wake is not readiness");
}

#[test]
#[cfg(any(target_os = "linux", target_os = "android"))]
fn what_the_poll_refuses_leaves_its_key_free() {
    let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
    let mut dispatcher = MioDispatcher::new().unwrap();
    let refused = dispatcher.register(KEY, &mut Io::source(file), Interest::Read);
    assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::PermissionDenied);

    let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
    let mut first = Io::source(socket.clone());
    dispatcher.register(KEY, &mut first, Interest::Read).unwrap();
    let other = Key::new(1, 0);
    let twice = dispatcher.register(other, &mut Io::source(socket.clone()), Interest::Read);
    assert_eq!(twice.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    let mut duplicate = Io::source(socket.try_clone().unwrap());
    dispatcher.register(other, &mut duplicate, Interest::Read).unwrap();
    dispatcher.deregister(KEY, first);
    socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
    assert_eq!(wait(&mut dispatcher), [Ready::new(other, true, false)]);
}

#[test]
#[cfg(any(target_os = "linux", target_os = "android"))]
fn an_interest_that_cannot_come_back_can_be_tried_again() {
    let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
    let (mut dispatcher, mut first) = watching(Io::source(socket.clone()), Interest::Read);
    dispatcher.reregister(KEY, &mut first, Interest::None).unwrap();
    let (other, mut second) = (Key::new(1, 0), Io::source(socket.clone()));
    dispatcher.register(other, &mut second, Interest::Read).unwrap();
    let taken = dispatcher.reregister(KEY, &mut first, Interest::Read);
    assert_eq!(taken.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    dispatcher.deregister(other, second);
    dispatcher.reregister(KEY, &mut first, Interest::Read).unwrap();
    socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
    assert_eq!(wait(&mut dispatcher), [Ready::new(KEY, true, false)]);
}

/// A socket that was watched for room only, as one that is connecting is, with a peer.
fn watched_for_room() -> (MioDispatcher, Io, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (far, _) = listener.accept().unwrap();
    let (dispatcher, io) = watching(Io::tcp(stream).unwrap(), Interest::Write);
    (dispatcher, io, far)
}

#[test]
fn bytes_that_came_while_only_room_was_of_interest_are_reported_when_they_are() {
    let (mut dispatcher, mut io, mut far) = watched_for_room();
    far.write_all(b"x").unwrap();
    while !wait(&mut dispatcher).contains(&Ready::new(KEY, false, true)) {}
    dispatcher.reregister(KEY, &mut io, Interest::Read).unwrap();
    assert_eq!(wait(&mut dispatcher), [Ready::new(KEY, true, false)]);
}

#[test]
fn room_is_not_reported_when_only_bytes_are_of_interest() {
    let (mut dispatcher, mut io, mut far) = watched_for_room();
    assert_eq!(wait(&mut dispatcher), [Ready::new(KEY, false, true)]);
    dispatcher.reregister(KEY, &mut io, Interest::Read).unwrap();
    assert_eq!(look(&mut dispatcher), []);
    for byte in *b"ab" {
        far.write_all(&[byte]).unwrap();
        assert_eq!(wait(&mut dispatcher), [Ready::new(KEY, true, false)]);
        assert_eq!(io.read(&mut [0; 8]).unwrap(), 1);
    }
    dispatcher.reregister(KEY, &mut io, Interest::ReadWrite).unwrap();
    assert_eq!(wait(&mut dispatcher), [Ready::new(KEY, false, true)]);
    drop(far);
    dispatcher.reregister(KEY, &mut io, Interest::Write).unwrap();
    dispatcher.reregister(KEY, &mut io, Interest::Read).unwrap();
    assert!(wait(&mut dispatcher)[0].read_closed);
}
