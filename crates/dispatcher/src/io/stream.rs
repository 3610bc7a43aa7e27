//! Streams that are not the system's, or wrap one that is.

use std::any::Any;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
#[cfg(unix)]
use std::os::fd::BorrowedFd;
#[cfg(windows)]
use std::os::windows::io::BorrowedSocket;

use crate::Io;

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

/// The stream inside of a custom one, where that is what a dispatcher watches: one with its own descriptor or socket is watched by that.
pub(super) fn watched_inner(stream: &mut dyn Stream) -> Option<&mut Io> {
    #[cfg(unix)]
    let has_its_own = stream.fd().is_some();
    #[cfg(windows)]
    let has_its_own = stream.socket().is_some();
    if has_its_own { None } else { stream.inner_mut() }
}

/// What is left of a socket while it is wrapped or shared.
pub(super) struct Gone;

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
