//! Wakes from any thread.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

/// A pair of sockets that holds a byte when the bell was rung.
pub(crate) struct Bell {
    receiver: UnixStream,
    ringer: Arc<Ringer>,
}

struct Ringer {
    has_rung: AtomicBool,
    sender: UnixStream,
}

impl Wake for Ringer {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.has_rung.swap(true, Ordering::AcqRel) {
            // It fails only without a receiver, and then there is nothing to wake.
            let _ = (&self.sender).write(&[0]);
        }
    }
}

impl Bell {
    pub(crate) fn new() -> io::Result<Self> {
        let (receiver, sender) = UnixStream::pair()?;
        receiver.set_nonblocking(true)?;
        sender.set_nonblocking(true)?;
        Ok(Self { receiver, ringer: Arc::new(Ringer { has_rung: AtomicBool::new(false), sender }) })
    }

    pub(crate) fn waker(&self) -> Waker {
        self.ringer.clone().into()
    }

    /// Makes it ready to ring again.
    pub(crate) fn hush(&mut self) {
        // The byte first: one that came after the flag would leave a bell that has rung and holds no byte.
        while self.receiver.read(&mut [0; 8]).is_ok_and(|read| read == 8) {}
        self.ringer.has_rung.swap(false, Ordering::AcqRel);
    }
}

impl AsRawFd for Bell {
    fn as_raw_fd(&self) -> RawFd {
        self.receiver.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rings_once_until_it_is_hushed() {
        let mut bell = Bell::new().unwrap();
        let waker = bell.waker();
        for _ in 0..3 {
            waker.wake_by_ref();
            waker.wake_by_ref();
            assert_eq!(bell.receiver.read(&mut [0; 8]).unwrap(), 1);
            bell.hush();
        }
    }
}
