//! From an address to a stream that is on its way.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};
use websocket_dispatcher::Io;

use crate::SocketOptions;

/// Starts connecting to one address and never waits for the end of it.
pub trait Connector {
    /// Returns a stream that is connecting or connected; [`Io::connected`] tells when it is.
    ///
    /// # Errors
    /// When the attempt fails at once: no descriptors left, no route, or an option that the system refuses.
    fn connect(&mut self, address: SocketAddr, options: &SocketOptions) -> io::Result<Io>;
}

/// The default [`Connector`]: a non-blocking TCP socket.
#[derive(Clone, Copy, Default, Debug)]
pub struct TcpConnector;

impl Connector for TcpConnector {
    fn connect(&mut self, address: SocketAddr, options: &SocketOptions) -> io::Result<Io> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        options.apply(&socket)?;
        match socket.connect(&address.into()) {
            Ok(()) => {}
            Err(error) if in_progress(&error) => {}
            Err(error) => return Err(error),
        }
        Io::tcp(socket.into())
    }
}

#[cfg(unix)]
fn in_progress(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINPROGRESS)
}

#[cfg(not(unix))]
fn in_progress(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpListener;
    use std::time::Duration;

    use socket2::SockRef;
    use websocket_dispatcher::{Dispatcher as _, Interest, Key, MioDispatcher, Wait as _};

    use super::*;

    fn connected(options: &SocketOptions) -> io::Result<Io> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let mut io = TcpConnector.connect(listener.local_addr()?, options)?;
        let mut dispatcher = MioDispatcher::new()?;
        dispatcher.register(Key::new(0, 0), &mut io, Interest::Write)?;
        while !io.connected()? {
            dispatcher.wait(None, &mut Vec::new())?;
        }
        listener.accept()?;
        Ok(io)
    }

    #[test]
    #[cfg(unix)]
    fn b193_nodelay_and_keep_alive_are_on_and_the_users_options_come_after() {
        let io = connected(&SocketOptions::default()).unwrap();
        let fd = io.fd().unwrap();
        let socket = SockRef::from(&fd);
        assert!(socket.tcp_nodelay().unwrap());
        assert!(socket.keepalive().unwrap());
        #[cfg(target_os = "linux")]
        {
            assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(30));
            assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(10));
            assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
        }

        let io = connected(&SocketOptions::default().with(|socket| socket.set_tcp_nodelay(false))).unwrap();
        let fd = io.fd().unwrap();
        assert!(!SockRef::from(&fd).tcp_nodelay().unwrap());
    }

    #[test]
    fn an_option_that_fails_ends_the_attempt_with_its_own_error() {
        let options = SocketOptions::default().with(|_| Err(io::Error::other("no such interface")));
        assert_eq!(connected(&options).unwrap_err().to_string(), "no such interface");
    }

    #[test]
    fn a_refused_connect_shows_its_reason_and_a_write_does_not_panic() {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let outcome = TcpConnector.connect(closed, &SocketOptions::default()).and_then(|mut io| {
            let mut dispatcher = MioDispatcher::new()?;
            dispatcher.register(Key::new(0, 0), &mut io, Interest::Write)?;
            dispatcher.wait(None, &mut Vec::new())?;
            let outcome = io.connected();
            let _ = io.write(b"x");
            outcome
        });
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }
}
