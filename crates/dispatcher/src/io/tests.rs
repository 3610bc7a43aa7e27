//! Wrappers, sources, and what dispatchers see of them.

use std::net::{TcpListener, TcpStream};
#[cfg(unix)]
use std::os::fd::AsRawFd as _;

use super::*;
use crate::{Dispatcher as _, Interest, Key, MioDispatcher, Wait as _};

/// Hands everything through.
struct Wrapper(Io);

impl Read for Wrapper {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Wrapper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Stream for Wrapper {
    fn inner(&self) -> Option<&Io> {
        Some(&self.0)
    }

    fn inner_mut(&mut self) -> Option<&mut Io> {
        Some(&mut self.0)
    }
}

/// Known to one dispatcher only.
struct Simulated;

impl Read for Simulated {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Ok(0)
    }
}

impl Write for Simulated {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Simulated {}

#[test]
fn a_wrapper_is_watched_by_the_socket_inside_however_deep() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    let mut io = Io::custom(Wrapper(Io::custom(Wrapper(Io::tcp(stream).unwrap()))));
    assert!(!io.is_socket() && io.downcast_ref::<Simulated>().is_none());
    assert_eq!(io.peer_addr(), Some(listener.local_addr().unwrap()));
    assert_eq!(io.local_addr(), Some(peer.peer_addr().unwrap()));
    #[cfg(unix)]
    assert!(io.fd().is_some());

    let mut dispatcher = MioDispatcher::new().unwrap();
    let key = Key::new(0, 0);
    dispatcher.register(key, &mut io, Interest::Read).unwrap();
    peer.write_all(b"x").unwrap();
    let mut ready = Vec::new();
    dispatcher.wait(None, &mut ready).unwrap();
    assert!(ready.iter().any(|ready| ready.key == key && ready.readable));
    assert_eq!(io.read(&mut [0; 8]).unwrap(), 1);
    dispatcher.deregister(key, io);
    assert_eq!(peer.read(&mut [0; 8]).unwrap(), 0, "the dropped wrapper closed the socket");
}

#[test]
fn a_wrapped_custom_stream_is_recognised_by_its_dispatcher() {
    let mut io = Io::custom(Wrapper(Io::custom(Simulated)));
    assert!(io.downcast_mut::<Simulated>().is_some());
    assert!(io.downcast_mut::<Wrapper>().is_some());
    assert!(io.downcast_ref::<Simulated>().is_some() && io.downcast_ref::<Wrapper>().is_some());
    assert_eq!((io.peer_addr(), io.local_addr()), (None, None));
    #[cfg(unix)]
    assert!(io.fd().is_none());

    let mut dispatcher = MioDispatcher::new().unwrap();
    let refused = dispatcher.register(Key::new(0, 0), &mut io, Interest::Read);
    assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::Unsupported);
}

#[test]
fn a_custom_stream_can_be_a_source() {
    let mut stream = Io::custom(Simulated);
    assert!(stream.source_mut::<Io>().is_none(), "a stream is not a source");
    let mut source = Io::source(stream);
    assert!(source.downcast_mut::<Simulated>().is_some(), "its dispatcher does not know it any more");
    assert_eq!(source.source_mut::<Io>().unwrap().write(&[0; 7]).unwrap(), 7);
    let refused = MioDispatcher::new().unwrap().register(Key::new(0, 0), &mut source, Interest::Read);
    assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::Unsupported);
}

#[test]
fn a_driven_socket_is_a_socket_still_however_deep() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = || Io::tcp(TcpStream::connect(listener.local_addr().unwrap()).unwrap()).unwrap();
    let mut io = socket();
    let address = io.local_addr();
    assert!(!io.is_driven() && io.drive(Wrapper) && io.is_driven());
    assert!(io.is_socket() && io.local_addr() == address && address.is_some());
    assert_eq!(io.connecting_interest(), Interest::Write);
    assert!(io.connected().unwrap());
    assert!(!io.drive(Wrapper), "by one dispatcher only");
    assert!(io.downcast_ref::<Wrapper>().is_some_and(|wrapper| !wrapper.0.is_driven()));
    #[cfg(unix)]
    assert!(io.fd().is_some());

    let mut wrapper = Io::custom(Wrapper(Io::custom(Wrapper(socket()))));
    assert!(wrapper.drive(Wrapper) && !wrapper.is_driven() && !wrapper.is_socket());
    assert!(!wrapper.drive(Wrapper));
    assert!(wrapper.write(b"x").is_ok());

    let mut refuses = socket();
    refuses.refuse_to_be_driven();
    assert!(!refuses.drive(Wrapper) && refuses.is_socket());
    assert!(!Io::custom(Simulated).drive(Wrapper));
    assert!(!Io::source(socket()).drive(Wrapper), "the reactor does not read a source");
}

#[test]
fn a_socket_stays_open_while_its_share_is_there() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let stream = || Io::tcp(TcpStream::connect(address).unwrap()).unwrap();
    let wrap = |io| Io::custom(Wrapper(Io::custom(Wrapper(io))));
    for mut io in [stream(), wrap(stream()), Io::source(stream())] {
        let (mut peer, _) = listener.accept().unwrap();
        peer.set_nonblocking(true).unwrap();
        let share = io.share().unwrap();
        let further = io.share().unwrap();
        #[cfg(unix)]
        {
            let own = io.fd().unwrap().as_raw_fd();
            assert_eq!((own, own), (share.as_raw_fd(), further.as_raw_fd()), "it has another descriptor");
        }
        drop((io, share));
        assert_eq!(peer.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(further);
        peer.set_nonblocking(false).unwrap();
        assert_eq!(peer.read(&mut [0]).unwrap(), 0, "the last share did not close it");
    }
}

#[test]
fn a_shared_socket_is_used_as_before() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut io = Io::tcp(TcpStream::connect(listener.local_addr().unwrap()).unwrap()).unwrap();
    let (mut peer, address) = listener.accept().unwrap();
    let alone = format!("{io:?}");
    let share = io.share().unwrap();
    assert_eq!(format!("{io:?}"), alone);
    assert!(io.is_socket() && io.connected().unwrap());
    assert_eq!((io.local_addr(), io.peer_addr()), (Some(address), listener.local_addr().ok()));
    assert_eq!(io.connecting_interest(), Interest::Write);
    assert!(!io.drive(Wrapper), "another dispatcher watches it");

    peer.write_all(b"abc").unwrap();
    let mut dispatcher = MioDispatcher::new().unwrap();
    let key = Key::new(0, 0);
    // Without others, mio can have it on any system.
    drop(share);
    dispatcher.register(key, &mut io, Interest::Read).unwrap();
    let mut ready = Vec::new();
    dispatcher.wait(None, &mut ready).unwrap();
    assert!(ready[0].readable);
    assert_eq!(io.read(&mut [0; 8]).unwrap(), 3);
    io.write_all(b"de").unwrap();
    io.flush().unwrap();
    dispatcher.deregister(key, io);
    let mut answer = Vec::new();
    peer.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, b"de");
}

#[cfg(unix)]
#[test]
fn what_is_not_a_socket_of_ours_is_shared_by_a_duplicate() {
    let (socket, peer) = std::os::unix::net::UnixStream::pair().unwrap();
    peer.set_nonblocking(true).unwrap();
    let mut io = Io::source(socket);
    let share = io.share().unwrap();
    assert_ne!(share.as_raw_fd(), io.fd().unwrap().as_raw_fd());
    assert!(io.source_mut::<std::os::unix::net::UnixStream>().is_some());
    drop(io);
    assert_eq!((&peer).read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    drop(share);
    assert_eq!((&peer).read(&mut [0]).unwrap(), 0);

    let refused = Io::custom(Simulated).share().unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::Unsupported);
    assert!(refused.to_string().contains("dispatcher that knows its type"));
}
