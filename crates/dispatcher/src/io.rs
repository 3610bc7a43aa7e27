//! The stream objects that dispatchers watch.

#[cfg(test)]
mod tests;

use std::any::Any;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::SocketAddr;
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
#[cfg(windows)]
use std::os::windows::io::{AsSocket, BorrowedSocket};

use crate::{Interest, Source};

/// A non-blocking byte stream that is neither a TCP nor a unix socket: a pipe, a vsock, a simulation.
///
/// `read` and `write` behave as on a non-blocking socket: `WouldBlock` when they would wait, `Ok(0)`
/// from `read` at the end of the stream.
///
/// A stream that wraps another one names it by [`inner`](Self::inner) and [`inner_mut`](Self::inner_mut), and
/// every dispatcher that can watch the inner one can watch it. Such a stream may hold bytes that readiness
/// does not show: read it until `WouldBlock`. If it may also hold back bytes that `write` has taken, `flush`
/// hands them on, with `WouldBlock` while some are left.
pub trait Stream: Read + Write + Any {
    /// The descriptor that a readiness-based loop can watch, if there is one.
    ///
    /// A stream without one works only on a dispatcher that knows it, which recognises it with
    /// [`Io::downcast_mut`].
    #[cfg(unix)]
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// As the descriptor elsewhere: the socket that a readiness-based loop can watch. mio watches only
    /// sockets that it has made, so run a stream with one on a dispatcher that takes any,
    /// `websocket-dispatcher-polling` for one.
    #[cfg(windows)]
    fn socket(&self) -> Option<BorrowedSocket<'_>> {
        None
    }

    /// Whether the stream is connected: `Ok(false)` while that is under way, an error when it failed.
    ///
    /// # Errors
    /// The reason why connecting failed.
    fn connected(&mut self) -> io::Result<bool> {
        Ok(true)
    }

    /// The address of the peer, if the stream has one.
    fn peer_addr(&self) -> Option<SocketAddr> {
        self.inner()?.peer_addr()
    }

    /// The address of this end, if the stream has one.
    fn local_addr(&self) -> Option<SocketAddr> {
        self.inner()?.local_addr()
    }

    /// The stream inside, if this one is a wrapper: it is what a dispatcher watches.
    fn inner(&self) -> Option<&Io> {
        None
    }

    /// As [`inner`](Self::inner), mutably.
    fn inner_mut(&mut self) -> Option<&mut Io> {
        None
    }
}

/// One non-blocking byte stream, or a [`Source`], in the form that every dispatcher can register.
///
/// Dropping it closes it; that is why [`Dispatcher::deregister`](crate::Dispatcher::deregister) takes it by
/// value.
pub struct Io(Kind);

enum Kind {
    /// With whether a dispatcher may read and write it.
    Tcp(mio::net::TcpStream, bool),
    #[cfg(unix)]
    Unix(mio::net::UnixStream),
    Custom(Box<dyn Stream>),
    /// A socket of the system that its dispatcher reads and writes.
    Driven(Box<dyn Stream>),
    Source(Box<dyn Source>),
}

/// What is left of a socket while its dispatcher wraps it.
struct Gone;

impl Read for Gone {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::NotConnected.into())
    }
}

impl Write for Gone {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::NotConnected.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Gone {}

impl Io {
    /// Takes over a TCP stream, connected or connecting, and makes it non-blocking.
    ///
    /// # Errors
    /// When the socket cannot be made non-blocking.
    pub fn tcp(stream: std::net::TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self::nonblocking_tcp(stream))
    }

    /// As [`tcp`](Self::tcp), for a stream that is non-blocking already, which spares a system call. With one that is not, the loop would wait
    /// in it.
    pub fn nonblocking_tcp(stream: std::net::TcpStream) -> Self {
        Self(Kind::Tcp(mio::net::TcpStream::from_std(stream), true))
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

    /// Takes over something that is watched, but not read or written through this `Io`.
    ///
    /// `read`, `write` and `flush` fail with `Unsupported`; [`source_mut`](Self::source_mut) gives access to
    /// the source itself.
    pub fn source(source: impl Source) -> Self {
        Self(Kind::Source(Box::new(source)))
    }

    /// Has a dispatcher read and write the socket itself: puts `wrap` of it in its place, also where it is the innermost stream of a wrapper.
    /// Returns `false` where there is no such socket: for a source, a custom stream with a descriptor or without a stream inside, and a
    /// socket that is driven already or [refuses](Self::refuse_to_be_driven).
    ///
    /// The wrapper names the socket as its [`inner`](Stream::inner) stream, and reads and writes as the socket would: see the contract of
    /// [`Dispatcher`](crate::Dispatcher), point 14. For everything else this stays a socket of the system.
    pub fn drive<S: Stream>(&mut self, wrap: impl FnOnce(Self) -> S) -> bool {
        match &mut self.0 {
            Kind::Driven(_) | Kind::Source(_) | Kind::Tcp(_, false) => return false,
            Kind::Custom(stream) => {
                #[cfg(unix)]
                let has_its_own = stream.fd().is_some();
                #[cfg(windows)]
                let has_its_own = stream.socket().is_some();
                return !has_its_own && stream.inner_mut().is_some_and(|inner| inner.drive(wrap));
            }
            _ => {}
        }
        let socket = std::mem::replace(self, Self::custom(Gone));
        *self = Self(Kind::Driven(Box::new(wrap(socket))));
        true
    }

    /// Keeps dispatchers from reading and writing this TCP socket themselves, for a caller that reads it by its descriptor. Without effect on a
    /// stream that is registered already, and on others, which such a caller cannot read.
    pub fn refuse_to_be_driven(&mut self) {
        if let Kind::Tcp(_, may_be_driven) = &mut self.0 {
            *may_be_driven = false;
        }
    }

    /// Whether a dispatcher reads and writes this socket itself, so that its bytes cannot be read by its descriptor.
    pub fn is_driven(&self) -> bool {
        matches!(self.0, Kind::Driven(_))
    }

    /// Returns the source as its type; `None` if this is a stream or a source of another type.
    pub fn source_mut<S: Source>(&mut self) -> Option<&mut S> {
        let Kind::Source(source) = &mut self.0 else { return None };
        (source.as_mut() as &mut dyn Any).downcast_mut()
    }

    /// Whether the stream is connected: `Ok(false)` while that is under way. A source counts as connected.
    ///
    /// # Errors
    /// The reason why connecting failed. The system reports it once: drop the stream then.
    pub fn connected(&mut self) -> io::Result<bool> {
        // A stream that knows its peer is connected. Of one that does not, the error that is pending says why.
        let (peer, pending) = match &mut self.0 {
            Kind::Tcp(stream, _) => match stream.peer_addr() {
                Ok(_) => return Ok(true),
                Err(error) => (error, stream.take_error()?),
            },
            #[cfg(unix)]
            Kind::Unix(stream) => match stream.peer_addr() {
                Ok(_) => return Ok(true),
                Err(error) => (error, stream.take_error()?),
            },
            Kind::Custom(stream) | Kind::Driven(stream) => return stream.connected(),
            Kind::Source(_) => return Ok(true),
        };
        match pending {
            None if peer.kind() == io::ErrorKind::NotConnected => Ok(false),
            pending => Err(pending.unwrap_or(peer)),
        }
    }

    /// What to watch a stream for that is not connected yet, after [`connected`](Self::connected) has said
    /// so.
    ///
    /// A wrapper whose stream inside is connected converses with its peer, which is not what being writable
    /// is a sign of: it waits for bytes, and for room only while it holds some itself.
    pub fn connecting_interest(&mut self) -> Interest {
        let Kind::Custom(stream) = &mut self.0 else { return Interest::Write };
        match stream.inner_mut().map(Self::connected) {
            Some(Ok(true)) if stream.flush().is_ok() => Interest::Read,
            _ => Interest::ReadWrite,
        }
    }

    /// Whether this is a stream socket of the operating system, which reads short only when it has run dry.
    pub fn is_socket(&self) -> bool {
        !matches!(self.0, Kind::Custom(_) | Kind::Source(_))
    }

    /// The descriptor to watch; `None` for a custom stream or a source that has none, nor wraps one.
    #[cfg(unix)]
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.0 {
            Kind::Tcp(stream, _) => Some(stream.as_fd()),
            Kind::Unix(stream) => Some(stream.as_fd()),
            Kind::Custom(stream) | Kind::Driven(stream) => stream.fd().or_else(|| stream.inner()?.fd()),
            Kind::Source(source) => source.fd().or_else(|| source.io()?.fd()),
        }
    }

    /// The socket to watch; `None` for a custom stream or a source that has none, nor wraps one.
    #[cfg(windows)]
    pub fn socket(&self) -> Option<BorrowedSocket<'_>> {
        match &self.0 {
            Kind::Tcp(stream, _) => Some(stream.as_socket()),
            Kind::Custom(stream) | Kind::Driven(stream) => {
                stream.socket().or_else(|| stream.inner()?.socket())
            }
            Kind::Source(source) => source.socket().or_else(|| source.io()?.socket()),
        }
    }

    /// The address of the peer: the server, or the proxy on the way to it. `None` for a unix socket, for a custom stream
    /// that has none, and once the system does not know it any more.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        match &self.0 {
            Kind::Tcp(stream, _) => stream.peer_addr().ok(),
            #[cfg(unix)]
            Kind::Unix(_) => None,
            Kind::Custom(stream) | Kind::Driven(stream) => stream.peer_addr(),
            Kind::Source(_) => None,
        }
    }

    /// The address of this end, as [`peer_addr`](Self::peer_addr).
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.0 {
            Kind::Tcp(stream, _) => stream.local_addr().ok(),
            #[cfg(unix)]
            Kind::Unix(_) => None,
            Kind::Custom(stream) | Kind::Driven(stream) => stream.local_addr(),
            Kind::Source(_) => None,
        }
    }

    /// The custom stream as its type, also from inside a wrapper.
    pub fn downcast_ref<S: Stream>(&self) -> Option<&S> {
        let (Kind::Custom(stream) | Kind::Driven(stream)) = &self.0 else { return None };
        let stream = stream.as_ref();
        (stream as &dyn Any).downcast_ref().or_else(|| stream.inner()?.downcast_ref())
    }

    /// The custom stream as the type that its dispatcher knows, also from inside a wrapper or a source.
    pub fn downcast_mut<S: Stream>(&mut self) -> Option<&mut S> {
        let stream = match &mut self.0 {
            Kind::Custom(stream) | Kind::Driven(stream) => stream,
            Kind::Source(source) => return source.io_mut()?.downcast_mut(),
            _ => return None,
        };
        if (stream.as_ref() as &dyn Any).is::<S>() {
            return (stream.as_mut() as &mut dyn Any).downcast_mut();
        }
        stream.inner_mut()?.downcast_mut()
    }

    /// Runs `visit` on what mio can register; `None` when there is nothing it could watch.
    pub(crate) fn with_source<R>(
        &mut self,
        visit: impl FnOnce(&mut dyn mio::event::Source) -> R,
    ) -> Option<R> {
        match &mut self.0 {
            Kind::Tcp(stream, _) => Some(visit(stream)),
            #[cfg(unix)]
            Kind::Unix(stream) => Some(visit(stream)),
            #[cfg(unix)]
            Kind::Custom(stream) if stream.inner().is_none() => {
                use std::os::fd::AsRawFd;
                let fd = stream.fd()?.as_raw_fd();
                Some(visit(&mut mio::unix::SourceFd(&fd)))
            }
            Kind::Custom(stream) | Kind::Driven(stream) => stream.inner_mut()?.with_source(visit),
            #[cfg(unix)]
            Kind::Source(source) if source.io().is_none() => {
                use std::os::fd::AsRawFd;
                let fd = source.fd()?.as_raw_fd();
                Some(visit(&mut mio::unix::SourceFd(&fd)))
            }
            #[cfg(windows)]
            Kind::Source(source) if source.io().is_none() => {
                let source: &mut dyn Any = source.as_mut();
                if let Some(socket) = source.downcast_mut::<mio::net::UdpSocket>() {
                    return Some(visit(socket));
                }
                source.downcast_mut::<mio::net::TcpListener>().map(|listener| visit(listener))
            }
            Kind::Source(source) => source.io_mut()?.with_source(visit),
        }
    }
}

/// What only its owner reads and writes.
fn unreadable() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "this is a source, which is only watched: read and write it as the type that it has",
    )
}

macro_rules! each {
    ($io:expr, $stream:ident => $body:expr) => {
        match &mut $io.0 {
            Kind::Tcp($stream, _) => $body,
            #[cfg(unix)]
            Kind::Unix($stream) => $body,
            Kind::Custom($stream) | Kind::Driven($stream) => $body,
            Kind::Source(_) => Err(unreadable()),
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
            Kind::Tcp(stream, _) => f.debug_tuple("Io").field(stream).finish(),
            #[cfg(unix)]
            Kind::Unix(stream) => f.debug_tuple("Io").field(stream).finish(),
            Kind::Custom(_) => f.write_str("Io(custom)"),
            Kind::Driven(_) => f.write_str("Io(driven)"),
            Kind::Source(_) => f.write_str("Io(source)"),
        }
    }
}
