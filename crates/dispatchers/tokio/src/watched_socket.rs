//! A socket that tokio watches on Windows, where it has no `AsyncFd`.

use std::io;
use std::os::windows::io::AsSocket as _;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use tokio::io::Interest;
use tokio::net::TcpStream;
use websocket_dispatcher::{PollReady, Shared};

/// A socket that tokio watches in both directions, by a second handle. As a `TcpStream`, whatever it is: nothing but its readiness
/// is used, which Windows reports for sockets of all kinds alike.
#[derive(Debug)]
pub(crate) struct Watched {
    socket: TcpStream,
    /// Readiness that was reported. tokio remembers it until the next poll, by which time the reactor has used it.
    read_reported: bool,
    write_reported: bool,
}

impl Watched {
    /// Watches it in the runtime whose context is entered.
    pub(crate) fn new(shared: Shared) -> io::Result<Self> {
        // tokio takes nothing less than a stream that it may close.
        let socket = TcpStream::from_std(shared.as_socket().try_clone_to_owned()?.into())?;
        Ok(Self { socket, read_reported: false, write_reported: false })
    }

    /// Makes tokio forget that the socket was ready, and look whether it still is.
    fn look_again(&self, interest: Interest) -> io::Result<()> {
        match self.socket.try_io(interest, || Err::<(), _>(io::ErrorKind::WouldBlock.into())) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    }

    /// What tokio knows, which is at least what a poll has just reported.
    fn known(&self, cx: &mut Context<'_>, interest: Interest) -> Poll<io::Result<tokio::io::Ready>> {
        pin!(self.socket.ready(interest)).poll(cx)
    }
}

impl PollReady for Watched {
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if std::mem::take(&mut self.read_reported) {
            self.look_again(Interest::READABLE)?;
        }
        ready!(self.socket.poll_read_ready(cx))?;
        self.read_reported = true;
        self.known(cx, Interest::READABLE).map_ok(tokio::io::Ready::is_read_closed)
    }

    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if std::mem::take(&mut self.write_reported) {
            self.look_again(Interest::WRITABLE)?;
        }
        ready!(self.socket.poll_write_ready(cx))?;
        self.write_reported = true;
        self.known(cx, Interest::WRITABLE).map_ok(tokio::io::Ready::is_write_closed)
    }
}
