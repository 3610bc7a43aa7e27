//! What is watched but not read by the reactor.

use std::any::Any;
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
#[cfg(windows)]
use std::os::windows::io::{AsSocket, BorrowedSocket};

use crate::Io;

/// Something that a loop can watch and that only its owner reads and writes: a UDP socket, a listener, a
/// pipe, standard input, a timerfd.
///
/// On unix, every type with [`AsFd`] is one; on Windows, every type with `AsSocket`. [`Io`] is one too, so a
/// custom [`Stream`](crate::Stream) that only one dispatcher knows can also be a source. Make a source
/// non-blocking before it is watched: readiness is a hint, and a read that blocks holds up the whole loop.
///
/// ```
/// use std::net::UdpSocket;
/// use websocket_dispatcher::{Dispatcher, Interest, Io, Key, MioDispatcher, Wait};
///
/// # #[cfg(unix)] {
/// let socket = UdpSocket::bind("127.0.0.1:0")?;
/// socket.set_nonblocking(true)?;
/// let address = socket.local_addr()?;
/// let mut io = Io::source(socket);
///
/// let mut dispatcher = MioDispatcher::new()?;
/// let key = Key::new(0, 0);
/// dispatcher.register(key, &mut io, Interest::Read)?;
/// UdpSocket::bind("127.0.0.1:0")?.send_to(b"hello", address)?;
/// let mut ready = Vec::new();
/// dispatcher.wait(None, &mut ready)?;
/// assert!(ready[0].key == key && ready[0].readable);
/// assert_eq!(io.source_mut::<UdpSocket>().unwrap().recv(&mut [0; 16])?, 5);
/// # }
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait Source: Any {
    /// Returns the descriptor to watch; `None` where only a dispatcher that knows the type can watch it.
    #[cfg(unix)]
    fn fd(&self) -> Option<BorrowedFd<'_>>;

    /// Returns the socket to watch; `None` where only a dispatcher that knows the type can watch it.
    ///
    /// mio watches only sockets that it has made: `mio::net::UdpSocket`, `mio::net::TcpListener`, and what
    /// [`Io`] holds.
    #[cfg(windows)]
    fn socket(&self) -> Option<BorrowedSocket<'_>>;

    /// Returns the stream inside, if that is what a dispatcher has to register.
    fn io(&self) -> Option<&Io> {
        None
    }

    /// As [`io`](Self::io), mutably.
    fn io_mut(&mut self) -> Option<&mut Io> {
        None
    }
}

#[cfg(unix)]
impl<T: AsFd + Any> Source for T {
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.as_fd())
    }
}

#[cfg(windows)]
impl<T: AsSocket + Any> Source for T {
    fn socket(&self) -> Option<BorrowedSocket<'_>> {
        Some(self.as_socket())
    }
}

impl Source for Io {
    #[cfg(unix)]
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Self::fd(self)
    }

    #[cfg(windows)]
    fn socket(&self) -> Option<BorrowedSocket<'_>> {
        Self::socket(self)
    }

    fn io(&self) -> Option<&Io> {
        Some(self)
    }

    fn io_mut(&mut self) -> Option<&mut Io> {
        Some(self)
    }
}
