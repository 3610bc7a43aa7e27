//! The stream objects that dispatchers watch.

mod socket;
mod stream;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem;
use std::net::SocketAddr;
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
#[cfg(windows)]
use std::os::windows::io::{AsSocket, BorrowedSocket};
use std::sync::Arc;

pub use self::socket::Shared;
use self::socket::{Socket, unreadable};
pub use self::stream::Stream;
use self::stream::{Gone, watched_inner};
use crate::{Interest, Source};

/// One non-blocking byte stream, or a [`Source`], in the form that every dispatcher can register.
///
/// Dropping it closes it, unless a dispatcher holds a [share](Self::share) of it; that is why
/// [`Dispatcher::deregister`](crate::Dispatcher::deregister) takes it by value.
pub struct Io(Kind);

enum Kind {
    /// With whether a dispatcher may read and write it.
    Socket(Socket, bool),
    /// A socket of which a dispatcher holds a share, or did.
    Shared(Shared),
    Custom(Box<dyn Stream>),
    /// A socket of the system that its dispatcher reads and writes.
    Driven(Box<dyn Stream>),
    Source(Box<dyn Source>),
}

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
        Self(Kind::Socket(Socket::Tcp(mio::net::TcpStream::from_std(stream)), true))
    }

    /// Takes over a unix stream socket and makes it non-blocking.
    ///
    /// # Errors
    /// When the socket cannot be made non-blocking.
    #[cfg(unix)]
    pub fn unix(stream: std::os::unix::net::UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self(Kind::Socket(Socket::Unix(mio::net::UnixStream::from_std(stream)), true)))
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
    /// socket that is driven already, [shared](Self::share), or [refuses](Self::refuse_to_be_driven).
    ///
    /// The wrapper names the socket as its [`inner`](Stream::inner) stream, and reads and writes as the socket would: see the contract of
    /// [`Dispatcher`](crate::Dispatcher), point 14. For everything else this stays a socket of the system.
    pub fn drive<S: Stream>(&mut self, wrap: impl FnOnce(Self) -> S) -> bool {
        match &mut self.0 {
            Kind::Socket(_, true) => {}
            Kind::Socket(_, false) | Kind::Shared(_) | Kind::Driven(_) | Kind::Source(_) => return false,
            Kind::Custom(stream) => {
                let Some(inner) = watched_inner(stream.as_mut()) else { return false };
                return inner.drive(wrap);
            }
        }
        let socket = mem::replace(self, Self::custom(Gone));
        *self = Self(Kind::Driven(Box::new(wrap(socket))));
        true
    }

    /// Keeps dispatchers from reading and writing this TCP socket themselves, for a caller that reads it by its descriptor. Without effect on a
    /// stream that is registered already, and on others, which such a caller cannot read.
    pub fn refuse_to_be_driven(&mut self) {
        if let Kind::Socket(Socket::Tcp(_), may_be_driven) = &mut self.0 {
            *may_be_driven = false;
        }
    }

    /// Whether a dispatcher reads and writes this socket itself, so that its bytes cannot be read by its descriptor.
    pub fn is_driven(&self) -> bool {
        matches!(self.0, Kind::Driven(_))
    }

    /// Returns a share in the descriptor or socket to watch, which keeps it open however this is dropped: for a dispatcher on a loop that must
    /// not be left with a closed one. [`Dispatcher::deregister`](crate::Dispatcher::deregister) drops the share before the stream, which
    /// closes it at once; a stream that is dropped without that stays open, and connected, until its dispatcher is dropped.
    ///
    /// Of a TCP or unix socket, also inside wrappers, it has the socket's own descriptor: the first share takes an allocation of 24
    /// bytes, and each a reference count. Of a custom stream with a descriptor, and of a source, it has a duplicate, a descriptor more.
    ///
    /// # Errors
    /// `Unsupported` for a custom stream or a source without a descriptor or socket; what the system says when it cannot duplicate one.
    pub fn share(&mut self) -> io::Result<Shared> {
        self.0 = match mem::replace(&mut self.0, Kind::Custom(Box::new(Gone))) {
            Kind::Socket(socket, _) => Kind::Shared(Shared(Arc::new(socket))),
            other => other,
        };
        let inside = match &mut self.0 {
            Kind::Shared(shared) => return Ok(shared.clone()),
            Kind::Custom(stream) | Kind::Driven(stream) => watched_inner(stream.as_mut()),
            Kind::Source(source) => source.io_mut(),
            Kind::Socket(..) => None,
        };
        if let Some(inside) = inside {
            return inside.share();
        }
        #[cfg(unix)]
        let borrowed = self.fd();
        #[cfg(windows)]
        let borrowed = self.socket();
        borrowed.ok_or_else(unwatchable)?.try_clone_to_owned().map(Shared::duplicate)
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
        match &mut self.0 {
            Kind::Socket(socket, _) => socket.connected(),
            Kind::Shared(shared) => shared.0.connected(),
            Kind::Custom(stream) | Kind::Driven(stream) => stream.connected(),
            Kind::Source(_) => Ok(true),
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
            Kind::Socket(socket, _) => Some(socket.as_fd()),
            Kind::Shared(shared) => Some(shared.as_fd()),
            Kind::Custom(stream) | Kind::Driven(stream) => stream.fd().or_else(|| stream.inner()?.fd()),
            Kind::Source(source) => source.fd().or_else(|| source.io()?.fd()),
        }
    }

    /// The socket to watch; `None` for a custom stream or a source that has none, nor wraps one.
    #[cfg(windows)]
    pub fn socket(&self) -> Option<BorrowedSocket<'_>> {
        match &self.0 {
            Kind::Socket(socket, _) => Some(socket.as_socket()),
            Kind::Shared(shared) => Some(shared.as_socket()),
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
            Kind::Socket(socket, _) => socket.peer_addr(),
            Kind::Shared(shared) => shared.0.peer_addr(),
            Kind::Custom(stream) | Kind::Driven(stream) => stream.peer_addr(),
            Kind::Source(_) => None,
        }
    }

    /// The address of this end, as [`peer_addr`](Self::peer_addr).
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.0 {
            Kind::Socket(socket, _) => socket.local_addr(),
            Kind::Shared(shared) => shared.0.local_addr(),
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
            Kind::Socket(socket, _) => socket.as_source().map(visit),
            // Others have it too, so mio gets its number only.
            #[cfg(unix)]
            Kind::Shared(shared) => {
                use std::os::fd::AsRawFd;
                Some(visit(&mut mio::unix::SourceFd(&shared.as_raw_fd())))
            }
            // mio watches there what it has made, and needs it for itself.
            #[cfg(windows)]
            Kind::Shared(shared) => Arc::get_mut(&mut shared.0)?.as_source().map(visit),
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

fn unwatchable() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "this stream has no descriptor or socket that a loop could watch; run it on a dispatcher that knows its type",
    )
}

macro_rules! each {
    ($io:expr, $stream:ident => $body:expr) => {
        match &mut $io.0 {
            Kind::Socket(socket, _) => {
                let mut $stream = &*socket;
                $body
            }
            Kind::Shared(shared) => {
                let mut $stream = &*shared.0;
                $body
            }
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
            Kind::Socket(socket, _) => f.debug_tuple("Io").field(socket).finish(),
            Kind::Shared(shared) => f.debug_tuple("Io").field(&shared.0).finish(),
            Kind::Custom(_) => f.write_str("Io(custom)"),
            Kind::Driven(_) => f.write_str("Io(driven)"),
            Kind::Source(_) => f.write_str("Io(source)"),
        }
    }
}
