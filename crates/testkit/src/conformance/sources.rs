//! Point 13 of the contract: sources, which only their owner reads.

use std::io::{self, Read as _, Write as _};
use std::time::Duration;

use websocket_dispatcher::{Dispatcher as _, Interest, Io, Key};

use super::rig::{Line, Rig, drain};
use super::{Far, Host};

/// A stream of the host that the reactor does not read.
fn open<H: Host>(rig: &mut Rig<'_, H>, slot: u32, interest: Interest) -> Line<H::Far> {
    let (io, far) = rig.pair();
    let (key, mut io) = (Key::new(slot, 0), Io::source(io));
    rig.dispatcher.register(key, &mut io, interest).expect("a source can be registered");
    Line { key, io, far }
}

/// What the owner has: the stream itself.
fn owned(io: &mut Io) -> &mut Io {
    io.source_mut().expect("the source keeps its type")
}

/// A source is reported like a stream, and only its owner can read it.
pub fn a_source_is_reported_like_a_stream<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    let mut line = open(&mut rig, 0, Interest::Read);
    for _ in 0..3 {
        rig.rest(Duration::from_millis(5));
        line.far.write(b"x");
        rig.until_readable("bytes in a source", line.key);
        let error = line.io.read(&mut [0; 8]).expect_err("the reactor does not read a source");
        assert_eq!(error.kind(), io::ErrorKind::Unsupported, "{error}");
        let error = line.io.write(b"x").expect_err("the reactor does not write to a source");
        assert_eq!(error.kind(), io::ErrorKind::Unsupported, "{error}");
        assert_eq!(drain(owned(&mut line.io)).expect("an open stream"), (b"x".to_vec(), false));
    }
    line.far.close();
    rig.until_readable("the end of a source", line.key);
}

/// A source whose owner has left something unread is reported again by re-registering, which makes a level of
/// an edge.
pub fn reregistration_reports_a_source_that_is_still_ready<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    let mut line = open(&mut rig, 0, Interest::Read);
    line.far.write(b"abc");
    rig.until_readable("bytes in a source", line.key);
    for left in (1..=3).rev() {
        rig.reregister(&mut line, Interest::Read);
        rig.until_readable("bytes that are still in a source", line.key);
        let mut byte = [0];
        // An early report may be spurious.
        while let Err(error) = owned(&mut line.io).read(&mut byte) {
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{left} bytes were left: {error}");
        }
    }
    rig.reregister(&mut line, Interest::None);
    rig.look();
    line.far.write(b"x");
    rig.rest(Duration::from_millis(5));
    rig.reregister(&mut line, Interest::Read);
    rig.until_readable("bytes in a source whose interest came back", line.key);
}

/// Deregistering a source closes it.
pub fn deregistering_closes_a_source<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    let mut line = open(&mut rig, 0, Interest::ReadWrite);
    rig.until_writable("room in a source", line.key);
    rig.dispatcher.deregister(line.key, line.io);
    rig.until_done("the end of a deregistered source", |_| line.far.has_ended());
}

/// A UDP socket is watched for datagrams.
#[cfg(unix)]
pub fn udp_sockets_are_watched<H: Host>(host: &mut H) {
    use std::net::UdpSocket;

    let mut rig = Rig::new(host);
    let near = UdpSocket::bind("127.0.0.1:0").expect("a socket on loopback");
    near.set_nonblocking(true).expect("a non-blocking socket");
    let address = near.local_addr().expect("a bound socket");
    let far = UdpSocket::bind("127.0.0.1:0").expect("a socket on loopback");
    let (key, mut io) = (Key::new(0, 0), Io::source(near));
    rig.dispatcher.register(key, &mut io, Interest::Read).expect("a UDP socket can be registered");
    for _ in 0..2 {
        rig.rest(Duration::from_millis(5));
        far.send_to(b"one", address).expect("room for a datagram");
        far.send_to(b"two", address).expect("room for a datagram");
        rig.until_readable("datagrams", key);
        for datagram in [b"one", b"two"] {
            rig.dispatcher.reregister(key, &mut io, Interest::Read).expect("a live key");
            rig.until_readable("datagrams that are left", key);
            let socket: &mut UdpSocket = io.source_mut().expect("the source keeps its type");
            let mut buffer = [0; 8];
            let length = socket.recv(&mut buffer).expect("a datagram");
            assert_eq!(&buffer[..length], datagram);
        }
        rig.look();
    }
    rig.dispatcher.deregister(key, io);
    rig.stays_silent(key);
}

/// Both ends of a pipe are watched, also for the end of the other.
#[cfg(unix)]
pub fn pipes_are_watched<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    let (reader, mut far) = io::pipe().expect("a pipe");
    let (key, mut io) = (Key::new(0, 0), Io::source(reader));
    rig.dispatcher.register(key, &mut io, Interest::Read).expect("a pipe can be registered");
    rig.rest(Duration::from_millis(5));
    far.write_all(b"x").expect("room for a byte");
    rig.until_readable("bytes in a pipe", key);
    let reader: &mut io::PipeReader = io.source_mut().expect("the source keeps its type");
    assert_eq!(reader.read(&mut [0; 8]).expect("a byte"), 1);
    rig.dispatcher.reregister(key, &mut io, Interest::None).expect("a live key");
    rig.look();
    drop(far);
    rig.rest(Duration::from_millis(5));
    rig.dispatcher.reregister(key, &mut io, Interest::Read).expect("a live key");
    rig.until_readable("the end of a pipe", key);
    rig.dispatcher.deregister(key, io);

    let (far, writer) = io::pipe().expect("a pipe");
    let (key, mut io) = (Key::new(1, 0), Io::source(writer));
    rig.dispatcher.register(key, &mut io, Interest::Write).expect("a pipe can be registered");
    rig.until_writable("room in a pipe", key);
    rig.dispatcher.reregister(key, &mut io, Interest::None).expect("a live key");
    rig.look();
    drop(far);
    rig.rest(Duration::from_millis(5));
    rig.dispatcher.reregister(key, &mut io, Interest::Write).expect("a live key");
    rig.until_writable("a pipe without a reader", key);
    let writer: &mut io::PipeWriter = io.source_mut().expect("the source keeps its type");
    assert_eq!(writer.write(b"x").map_err(|error| error.kind()), Err(io::ErrorKind::BrokenPipe));
}

/// A listener is watched for connections.
#[cfg(unix)]
pub fn listeners_are_watched<H: Host>(host: &mut H) {
    use std::net::{TcpListener, TcpStream};

    let mut rig = Rig::new(host);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener on loopback");
    let address = listener.local_addr().expect("a bound socket");
    let (key, mut io) = (Key::new(0, 0), Io::source(listener));
    rig.dispatcher.register(key, &mut io, Interest::Read).expect("a listener can be registered");
    for _ in 0..2 {
        rig.rest(Duration::from_millis(5));
        let _far = TcpStream::connect(address).expect("a connection over loopback");
        rig.until_readable("a connection", key);
        let listener: &mut TcpListener = io.source_mut().expect("the source keeps its type");
        listener.accept().expect("a connection");
        rig.dispatcher.reregister(key, &mut io, Interest::Read).expect("a live key");
        rig.look();
    }
}

/// Some systems cannot watch a regular file, for others it is always ready. The outcome is an error that
/// leaves the key free, or readiness.
#[cfg(unix)]
pub fn a_regular_file_is_refused_or_ready<H: Host>(host: &mut H) {
    let mut rig = Rig::new(host);
    let path = std::env::current_exe().expect("this program is a file");
    let (key, mut io) =
        (Key::new(0, 0), Io::source(std::fs::File::open(path).expect("a file that can be read")));
    if rig.dispatcher.register(key, &mut io, Interest::Read).is_ok() {
        rig.until_readable("a regular file", key);
        rig.dispatcher.deregister(key, io);
    }
    let mut line = rig.open_as(key, Interest::Read);
    line.far.write(b"x");
    rig.until_readable("a stream under the key of a file", key);
}
