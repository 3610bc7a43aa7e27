//! The stream objects that dispatchers watch.

use std::any::Any;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
#[cfg(windows)]
use std::os::windows::io::{AsSocket, BorrowedSocket};

/// A non-blocking byte stream that is neither a TCP nor a unix socket: a pipe, a vsock, a simulation.
///
/// `read` and `write` behave as on a non-blocking socket: `WouldBlock` when they would wait, `Ok(0)`
/// from `read` at the end of the stream.
pub trait Stream: Read + Write + Any {
    /// The descriptor that a readiness-based loop can watch, if there is one.
    ///
    /// A stream without one works only on a dispatcher that knows it, which recognises it with
    /// [`Io::downcast_mut`].
    #[cfg(unix)]
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Whether the stream is connected: `Ok(false)` while that is under way, an error when it failed.
    ///
    /// # Errors
    /// The reason why connecting failed.
    fn connected(&mut self) -> io::Result<bool> {
        Ok(true)
    }
}

/// One non-blocking byte stream, in the form that every dispatcher can register.
///
/// Dropping it closes it; that is why [`Dispatcher::deregister`](crate::Dispatcher::deregister) takes it by value.
pub struct Io(Kind);

enum Kind {
    Tcp(mio::net::TcpStream),
    #[cfg(unix)]
    Unix(mio::net::UnixStream),
    Custom(Box<dyn Stream>),
}

impl Io {
    /// Takes over a TCP stream, connected or connecting, and makes it non-blocking.
    ///
    /// # Errors
    /// When the socket cannot be made non-blocking.
    pub fn tcp(stream: std::net::TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self(Kind::Tcp(mio::net::TcpStream::from_std(stream))))
    }

    /// Takes over a unix stream socket and makes it non-blocking.
    ///
    /// # Errors
    /// When the socket cannot be made non-blocking.
    #[cfg(unix)]
    pub fn unix(stream: std::os::unix::net::UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self(Kind::Unix(mio::net::UnixStream::from_std(stream))))
    }

    /// Takes over any other stream.
    pub fn custom(stream: impl Stream) -> Self {
        Self(Kind::Custom(Box::new(stream)))
    }

    /// Whether the stream is connected: `Ok(false)` while that is under way.
    ///
    /// # Errors
    /// The reason why connecting failed. The system tells it once: drop the stream then.
    pub fn connected(&mut self) -> io::Result<bool> {
        let peer = match &mut self.0 {
            Kind::Tcp(stream) => match stream.take_error()? {
                Some(error) => return Err(error),
                None => stream.peer_addr().map(drop),
            },
            #[cfg(unix)]
            Kind::Unix(stream) => match stream.take_error()? {
                Some(error) => return Err(error),
                None => stream.peer_addr().map(drop),
            },
            Kind::Custom(stream) => return stream.connected(),
        };
        match peer {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether this is a socket of the operating system, which reads short only when it has run dry.
    pub fn is_socket(&self) -> bool {
        !matches!(self.0, Kind::Custom(_))
    }

    /// The descriptor to watch; `None` for a custom stream that has none.
    #[cfg(unix)]
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.0 {
            Kind::Tcp(stream) => Some(stream.as_fd()),
            Kind::Unix(stream) => Some(stream.as_fd()),
            Kind::Custom(stream) => stream.fd(),
        }
    }

    /// The socket to watch; `None` for a custom stream.
    #[cfg(windows)]
    pub fn socket(&self) -> Option<BorrowedSocket<'_>> {
        match &self.0 {
            Kind::Tcp(stream) => Some(stream.as_socket()),
            Kind::Custom(_) => None,
        }
    }

    /// The custom stream as the type that its dispatcher knows.
    pub fn downcast_mut<S: Stream>(&mut self) -> Option<&mut S> {
        match &mut self.0 {
            Kind::Custom(stream) => (stream.as_mut() as &mut dyn Any).downcast_mut(),
            _ => None,
        }
    }

    /// Runs `visit` on what mio can register; `None` when there is nothing it could watch.
    pub(crate) fn with_source<R>(
        &mut self,
        visit: impl FnOnce(&mut dyn mio::event::Source) -> R,
    ) -> Option<R> {
        match &mut self.0 {
            Kind::Tcp(stream) => Some(visit(stream)),
            #[cfg(unix)]
            Kind::Unix(stream) => Some(visit(stream)),
            #[cfg(unix)]
            Kind::Custom(stream) => {
                use std::os::fd::AsRawFd;
                let fd = stream.fd()?.as_raw_fd();
                Some(visit(&mut mio::unix::SourceFd(&fd)))
            }
            #[cfg(not(unix))]
            Kind::Custom(_) => None,
        }
    }
}

macro_rules! each {
    ($io:expr, $stream:ident => $body:expr) => {
        match &mut $io.0 {
            Kind::Tcp($stream) => $body,
            #[cfg(unix)]
            Kind::Unix($stream) => $body,
            Kind::Custom($stream) => $body,
        }
    };
}

impl Read for Io {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        each!(self, stream => stream.read(buffer))
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        each!(self, stream => stream.read_vectored(buffers))
    }
}

impl Write for Io {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        each!(self, stream => stream.write(bytes))
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        each!(self, stream => stream.write_vectored(slices))
    }

    fn flush(&mut self) -> io::Result<()> {
        each!(self, stream => stream.flush())
    }
}

impl fmt::Debug for Io {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Tcp(stream) => f.debug_tuple("Io").field(stream).finish(),
            #[cfg(unix)]
            Kind::Unix(stream) => f.debug_tuple("Io").field(stream).finish(),
            Kind::Custom(_) => f.write_str("Io(custom)"),
        }
    }
}
