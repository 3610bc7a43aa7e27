//! Where the suite gets its dispatchers and streams from.

use std::fmt;
use std::io::{self, Read as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use socket2::SockRef;
use websocket_dispatcher::{Io, Wait};

/// What the suite runs on: something that makes dispatchers, and streams that they can watch.
pub trait Host {
    /// How long the suite waits before it calls something missing. Only a test that fails ever waits so long. Default 10 s; on Windows 60 s,
    /// since under Wine each call of a socket waits for another process, which a busy machine delays.
    const PATIENCE: Duration = Duration::from_secs(if cfg!(windows) { 60 } else { 10 });

    /// The dispatcher under test.
    type Dispatcher: Wait;

    /// The far end of a stream.
    type Far: Far;

    /// Makes a dispatcher.
    fn dispatcher(&mut self) -> Self::Dispatcher;

    /// Makes a connected stream and its far end.
    fn pair(&mut self) -> (Io, Self::Far);

    /// How many registrations there are in `dispatcher` and the loop below it, whatever they consist of:
    /// entries, tasks, sources. `None`, the default, where the host cannot tell.
    fn registrations(&mut self, dispatcher: &Self::Dispatcher) -> Option<usize> {
        let _ = dispatcher;
        None
    }
}

/// The far end of a stream under test. Nothing here waits. Dropping it need not close it: the suite calls one
/// of the last three.
pub trait Far {
    /// Sends what the stream takes of `bytes` now. Returns how many that were.
    fn send(&mut self, bytes: &[u8]) -> usize;

    /// Appends what has arrived to `bytes`. Returns whether the near end's end has arrived, too.
    fn receive(&mut self, bytes: &mut Vec<u8>) -> bool;

    /// Sends a few bytes.
    ///
    /// # Panics
    /// When the stream does not take them.
    fn write(&mut self, bytes: &[u8]) {
        assert_eq!(self.send(bytes), bytes.len(), "the near end takes a few bytes");
    }

    /// Takes and forgets all that has arrived.
    fn drain(&mut self) {
        self.has_ended();
    }

    /// Whether the near end's end has arrived. What comes before it is forgotten.
    fn has_ended(&mut self) -> bool {
        self.receive(&mut Vec::new())
    }

    /// Ends this side (FIN) and stays to read.
    fn shutdown(&mut self);

    /// Closes the stream.
    fn close(self);

    /// Breaks the stream off (RST).
    fn reset(self);
}

/// The buffer that the system is asked for between the near and the far end; it may hold some more.
const BUFFER: usize = 64 << 10;

/// The usual [`Host`]: the dispatchers that a closure builds, and TCP over loopback.
pub struct Sockets<D, F> {
    make: F,
    listener: TcpListener,
    count: Option<fn(&D) -> usize>,
}

impl<D: Wait, F: Fn() -> D> Sockets<D, F> {
    /// A host for the dispatchers that `make` builds.
    ///
    /// # Panics
    /// When loopback cannot be listened on.
    pub fn new(make: F) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener on loopback");
        Self { make, listener, count: None }
    }

    /// Has the suite see, by `count`, that no registration is left behind: see [`Host::registrations`].
    ///
    /// ```
    /// use websocket_testkit::conformance::Sockets;
    ///
    /// websocket_testkit::conformance!(sockets: Sockets::new(MyDispatcher::new).counting(MyDispatcher::registrations));
    /// ```
    #[must_use]
    pub fn counting(mut self, count: fn(&D) -> usize) -> Self {
        self.count = Some(count);
        self
    }
}

impl<D: Wait, F: Fn() -> D> Host for Sockets<D, F> {
    type Dispatcher = D;
    type Far = TcpStream;

    fn dispatcher(&mut self) -> D {
        (self.make)()
    }

    fn pair(&mut self) -> (Io, TcpStream) {
        let pair = || -> io::Result<_> {
            let near = TcpStream::connect(self.listener.local_addr()?)?;
            // Other connections to this port, such as one of a test that expects to be refused, are not part
            // of the pair.
            let far = loop {
                let (far, address) = self.listener.accept()?;
                if address == near.local_addr()? {
                    break far;
                }
            };
            // Small buffers are full soon.
            SockRef::from(&near).set_send_buffer_size(BUFFER)?;
            SockRef::from(&far).set_recv_buffer_size(BUFFER)?;
            far.set_nodelay(true)?;
            far.set_nonblocking(true)?;
            Ok((Io::tcp(near)?, far))
        };
        pair().expect("a connection over loopback")
    }

    fn registrations(&mut self, dispatcher: &D) -> Option<usize> {
        self.count.map(|count| count(dispatcher))
    }
}

impl<D, F> fmt::Debug for Sockets<D, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sockets").field("listener", &self.listener).finish_non_exhaustive()
    }
}

impl Far for TcpStream {
    fn send(&mut self, bytes: &[u8]) -> usize {
        let mut sent = 0;
        while sent < bytes.len() {
            match io::Write::write(self, &bytes[sent..]) {
                Ok(length) => sent += length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => panic!("the near end is there: {error}"),
            }
        }
        sent
    }

    fn receive(&mut self, bytes: &mut Vec<u8>) -> bool {
        match self.read_to_end(bytes) {
            Ok(_) => true,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
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
