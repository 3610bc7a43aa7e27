//! When the kernel received what is read from a TCP socket, on Linux.

use std::io;
use std::time::SystemTime;

use websocket_dispatcher::Io;

/// Reads from a TCP socket, with the time at which the kernel received the newest of the bytes.
///
/// The kernel stamps each packet before TCP sees it, if any socket of the system has asked for that (`SO_TIMESTAMPNS`), and reports
/// the stamp of the last packet from which a read has copied. It merges packets that arrive in a row and then keeps the newest stamp,
/// so the time may be that of bytes behind those which were read, and never that of earlier ones.
///
/// ```no_run
/// use websocket_link::kernel_time::KernelTime;
/// use websocket_link::{Connector as _, SocketOptions, SystemConnector};
///
/// let mut io = SystemConnector.connect("192.0.2.1:80".parse().unwrap(), &SocketOptions::default())?;
/// // Once it is connected, and readable:
/// if let Some(mut kernel_time) = KernelTime::of(&io) {
///     let len = kernel_time.read(&mut io, &mut [0; 1500])?;
///     println!("{len} bytes, received at {:?}", kernel_time.newest());
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct KernelTime {
    newest: Option<SystemTime>,
}

impl KernelTime {
    /// Asks the kernel for the times of what arrives on `io`. `None` if this is not a TCP socket of the system, if its dispatcher reads it
    /// itself (io_uring's does), if the kernel refuses, and on other systems than Linux.
    pub fn of(io: &Io) -> Option<Self> {
        // A custom stream may have a descriptor, but its bytes are not to be read past it; a unix socket has no address.
        if !io.is_socket() || io.is_driven() || io.local_addr().is_none() {
            return None;
        }
        system::request(io).then_some(Self { newest: None })
    }

    /// Reads from the socket that this was made for, as [`Io`] itself does, with a system call that also returns the time.
    ///
    /// # Errors
    /// As reading from the socket; the last time stays as it was then.
    pub fn read(&mut self, io: &mut Io, buffer: &mut [u8]) -> io::Result<usize> {
        let (len, received_at) = system::read(io, buffer)?;
        self.newest = received_at;
        Ok(len)
    }

    /// Returns when the kernel received the newest of the bytes that were read last, on the wall clock (`CLOCK_REALTIME`). `None` before the
    /// first read, and for a packet that has no stamp: the kernel begins to stamp a moment after the first socket has asked for it.
    pub const fn newest(&self) -> Option<SystemTime> {
        self.newest
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::io::{self, IoSliceMut};
    use std::os::fd::AsRawFd as _;
    use std::time::{Duration, SystemTime};

    use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
    use nix::sys::time::TimeSpec;
    use websocket_dispatcher::Io;

    /// Room for control messages, aligned as their headers. One with a time takes 32 bytes.
    #[repr(align(8))]
    struct Control([u8; 64]);

    pub(super) fn request(io: &Io) -> bool {
        io.fd().is_some_and(|fd| setsockopt(&fd, sockopt::ReceiveTimestampns, &true).is_ok())
    }

    pub(super) fn read(io: &Io, buffer: &mut [u8]) -> io::Result<(usize, Option<SystemTime>)> {
        let fd = io.fd().ok_or(io::ErrorKind::Unsupported)?.as_raw_fd();
        let (mut parts, mut control) = ([IoSliceMut::new(buffer)], Control([0; 64]));
        let message = recvmsg::<()>(fd, &mut parts, Some(&mut control.0), MsgFlags::empty())?;
        let time = message.cmsgs().ok().and_then(|mut all| all.find_map(time));
        Ok((message.bytes, time))
    }

    fn time(message: ControlMessageOwned) -> Option<SystemTime> {
        let ControlMessageOwned::ScmTimestampns(time) = message else { return None };
        since_epoch(time).and_then(|time| SystemTime::UNIX_EPOCH.checked_add(time))
    }

    /// `None` before 1970.
    fn since_epoch(time: TimeSpec) -> Option<Duration> {
        Some(Duration::new(time.tv_sec().try_into().ok()?, time.tv_nsec().try_into().ok()?))
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::io;
    use std::time::SystemTime;

    use websocket_dispatcher::Io;

    pub(super) fn request(_: &Io) -> bool {
        false
    }

    pub(super) fn read(_: &Io, _: &mut [u8]) -> io::Result<(usize, Option<SystemTime>)> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
