//! Sockets of the system, and the share of one that keeps it open.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::SocketAddr;
#[cfg(unix)]
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd as Owned, RawFd};
#[cfg(windows)]
use std::os::windows::io::{AsRawSocket, AsSocket, BorrowedSocket, OwnedSocket as Owned, RawSocket};
use std::sync::Arc;

/// A socket of the system, which is read and written also where it is shared.
pub(super) enum Socket {
    Tcp(mio::net::TcpStream),
    #[cfg(unix)]
    Unix(mio::net::UnixStream),
    /// A second descriptor of something that is read and written by its own.
    Duplicate(Owned),
}

impl Socket {
    pub(super) fn connected(&self) -> io::Result<bool> {
        // A stream that knows its peer is connected. Of one that does not, the error that is pending says why.
        let (peer, pending) = match self {
            Self::Tcp(stream) => match stream.peer_addr() {
                Ok(_) => return Ok(true),
                Err(error) => (error, stream.take_error()?),
            },
            #[cfg(unix)]
            Self::Unix(stream) => match stream.peer_addr() {
                Ok(_) => return Ok(true),
                Err(error) => (error, stream.take_error()?),
            },
            Self::Duplicate(_) => return Ok(true),
        };
        match pending {
            None if peer.kind() == io::ErrorKind::NotConnected => Ok(false),
            pending => Err(pending.unwrap_or(peer)),
        }
    }

    pub(super) fn peer_addr(&self) -> Option<SocketAddr> {
        let Self::Tcp(stream) = self else { return None };
        stream.peer_addr().ok()
    }

    pub(super) fn local_addr(&self) -> Option<SocketAddr> {
        let Self::Tcp(stream) = self else { return None };
        stream.local_addr().ok()
    }

    /// What mio registers, while only one owner knows the socket.
    pub(super) fn as_source(&mut self) -> Option<&mut dyn mio::event::Source> {
        match self {
            Self::Tcp(stream) => Some(stream),
            #[cfg(unix)]
            Self::Unix(stream) => Some(stream),
            Self::Duplicate(_) => None,
        }
    }
}

/// What only its owner reads and writes.
pub(super) fn unreadable() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "this is a source, which is only watched: read and write it as the type that it has",
    )
}

macro_rules! each {
    ($socket:expr, $stream:ident => $body:expr) => {
        match $socket {
            Socket::Tcp($stream) => $body,
            #[cfg(unix)]
            Socket::Unix($stream) => $body,
            Socket::Duplicate(_) => Err(unreadable()),
        }
    };
}

impl Read for &Socket {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        each!(self, stream => (&*stream).read(buffer))
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        each!(self, stream => (&*stream).read_vectored(buffers))
    }
}

impl Write for &Socket {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        each!(self, stream => (&*stream).write(bytes))
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        each!(self, stream => (&*stream).write_vectored(slices))
    }

    fn flush(&mut self) -> io::Result<()> {
        each!(self, stream => (&*stream).flush())
    }
}

#[cfg(unix)]
impl AsFd for Socket {
    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
            Self::Duplicate(owned) => owned.as_fd(),
        }
    }
}

#[cfg(windows)]
impl AsSocket for Socket {
    fn as_socket(&self) -> BorrowedSocket<'_> {
        match self {
            Self::Tcp(stream) => stream.as_socket(),
            Self::Duplicate(owned) => owned.as_socket(),
        }
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(stream) => stream.fmt(f),
            #[cfg(unix)]
            Self::Unix(stream) => stream.fmt(f),
            Self::Duplicate(owned) => owned.fmt(f),
        }
    }
}

/// A share in what a dispatcher watches, made by [`Io::share`](crate::Io::share): its descriptor or socket stays open while there is one.
///
/// It is for dispatchers on loops that must not be left with a closed descriptor. It has the same descriptor as the stream from
/// beginning to end, and counts as none. Clones share further.
#[derive(Clone, Debug)]
pub struct Shared(pub(super) Arc<Socket>);

impl Shared {
    /// Owns a descriptor for the same open file or socket.
    pub(super) fn duplicate(owned: Owned) -> Self {
        Self(Arc::new(Socket::Duplicate(owned)))
    }
}

#[cfg(unix)]
impl AsFd for Shared {
    #[inline]
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(unix)]
impl AsRawFd for Shared {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

#[cfg(windows)]
impl AsSocket for Shared {
    fn as_socket(&self) -> BorrowedSocket<'_> {
        self.0.as_socket()
    }
}

#[cfg(windows)]
impl AsRawSocket for Shared {
    fn as_raw_socket(&self) -> RawSocket {
        self.as_socket().as_raw_socket()
    }
}
