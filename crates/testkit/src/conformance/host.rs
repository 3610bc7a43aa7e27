//! Where the suite gets its dispatchers and streams from.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use socket2::SockRef;
use websocket_dispatcher::{Io, Wait};

/// What the suite runs on: something that makes dispatchers, and streams that they can watch.
pub trait Host {
    /// How long the suite waits before it calls something missing. Only a test that fails ever waits so long.
    const PATIENCE: Duration = Duration::from_secs(10);

    /// The dispatcher under test.
    type Dispatcher: Wait;

    /// The far end of a stream.
    type Far: Far;

    /// Makes a dispatcher.
    fn dispatcher(&mut self) -> Self::Dispatcher;

    /// Makes a connected stream and its far end.
    fn pair(&mut self) -> (Io, Self::Far);
}

/// The far end of a stream under test. Nothing here waits. Dropping it need not close it: the suite calls one of the last three.
pub trait Far {
    /// Sends a few bytes.
    fn write(&mut self, bytes: &[u8]);

    /// Takes and forgets all that has arrived.
    fn drain(&mut self);

    /// Whether the near end's end has arrived. What comes before it is forgotten.
    fn has_ended(&mut self) -> bool;

    /// Ends this side (FIN) and stays to read.
    fn shutdown(&mut self);

    /// Closes the stream.
    fn close(self);

    /// Breaks the stream off (RST).
    fn reset(self);
}

/// The usual [`Host`]: the dispatchers that a closure builds, and TCP over loopback.
pub struct Sockets<F> {
    make: F,
    listener: TcpListener,
}

impl<D: Wait, F: Fn() -> D> Sockets<F> {
    /// A host for the dispatchers that `make` builds.
    ///
    /// # Panics
    /// When loopback cannot be listened on.
    pub fn new(make: F) -> Self {
        Self { make, listener: TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener on loopback") }
    }
}

impl<D: Wait, F: Fn() -> D> Host for Sockets<F> {
    type Dispatcher = D;
    type Far = TcpStream;

    fn dispatcher(&mut self) -> D {
        (self.make)()
    }

    fn pair(&mut self) -> (Io, TcpStream) {
        let pair = || -> io::Result<_> {
            let near = TcpStream::connect(self.listener.local_addr()?)?;
            // Whoever else tries this port, a test that expects to be refused for one, is no part of the pair.
            let far = loop {
                let (far, address) = self.listener.accept()?;
                if address == near.local_addr()? {
                    break far;
                }
            };
            far.set_nodelay(true)?;
            far.set_nonblocking(true)?;
            Ok((Io::tcp(near)?, far))
        };
        pair().expect("a connection over loopback")
    }
}

impl<F> fmt::Debug for Sockets<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sockets").field("listener", &self.listener).finish_non_exhaustive()
    }
}

impl Far for TcpStream {
    fn write(&mut self, bytes: &[u8]) {
        self.write_all(bytes).expect("the near end takes a few bytes");
    }

    fn drain(&mut self) {
        self.has_ended();
    }

    fn has_ended(&mut self) -> bool {
        let mut buffer = [0; 64 * 1024];
        loop {
            match self.read(&mut buffer) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() != io::ErrorKind::WouldBlock,
            }
        }
    }

    fn shutdown(&mut self) {
        TcpStream::shutdown(self, Shutdown::Write).expect("the stream is open");
    }

    fn close(self) {}

    fn reset(self) {
        SockRef::from(&self).set_linger(Some(Duration::ZERO)).expect("SO_LINGER can be set");
    }
}
