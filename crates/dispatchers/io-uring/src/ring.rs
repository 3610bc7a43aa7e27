//! The kernel's ring: what it is asked, and what it reports.

use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};

use crate::buffers::{Buffers, GROUP};

/// Requests that one submission carries at most.
pub(crate) const ENTRIES: u32 = 256;

/// As many for a ring that receives and sends: what it cannot hold costs another system call.
pub(crate) const MANY_ENTRIES: u32 = 1024;

/// A ring that polls descriptors, for events as poll(2) has them, and may receive and send.
pub(crate) struct Ring {
    ring: IoUring,
    /// Whether one request continues to report.
    multishot: bool,
    /// What the ring receives into. It is taken from the kernel before its memory is released: see [`Drop`].
    buffers: Option<Buffers>,
}

/// One report.
pub(crate) struct Completion {
    /// What the request was given.
    pub(crate) data: u64,
    /// The events that were seen, or an error number below zero.
    pub(crate) result: i32,
    /// The request continues.
    pub(crate) more: bool,
    /// The buffer that was received into.
    pub(crate) buffer: Option<u16>,
}

impl Ring {
    pub(crate) fn new(entries: u32) -> io::Result<Self> {
        let build = |cooperative| {
            let mut builder = IoUring::builder();
            builder.setup_cqsize(4 * entries);
            if cooperative {
                builder.setup_coop_taskrun();
            }
            builder.build(entries)
        };
        // Otherwise each report interrupts the thread, which makes a busy reactor a quarter slower. Kernels
        // before 5.19 know nothing else.
        let ring = match build(true) {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => build(false),
            built => built,
        };
        let ring = ring.map_err(refused)?;
        let offered = ring.params();
        if !(offered.is_feature_ext_arg() && offered.is_feature_nodrop()) {
            return Err(unavailable(io::ErrorKind::Unsupported, "this kernel is older than Linux 5.11"));
        }
        // Requests that continue came earlier, but those of earlier kernels could miss events; this came with
        // their repair.
        let multishot = offered.is_feature_skip_cqe_on_success();
        Ok(Self { ring, multishot, buffers: None })
    }

    /// A ring that receives and sends as well.
    ///
    /// Its requests run inside the calls of this thread only, which [`enter`](Self::enter) and [`run`](Self::run) make: between two of
    /// them it reads no socket, and what they hand over to be sent has been tried when they return.
    pub(crate) fn completing(entries: u32) -> io::Result<Self> {
        let mut builder = IoUring::builder();
        // With 6.1 or later come requests that continue to receive (6.0) and buffers that are given in a ring (5.19).
        builder.setup_cqsize(8 * entries).setup_single_issuer().setup_defer_taskrun();
        let ring = builder.build(entries).map_err(|error| match error.raw_os_error() {
            Some(libc::EINVAL) => io::Error::new(error.kind(), "this kernel is older than Linux 6.1"),
            _ => refused(error),
        })?;
        let buffers = Buffers::new(&ring)?;
        Ok(Self { ring, multishot: true, buffers: Some(buffers) })
    }

    /// What is received into; `None` on a ring that only polls.
    pub(crate) fn buffers(&mut self) -> Option<&mut Buffers> {
        self.buffers.as_mut()
    }

    /// Whether it receives and sends.
    pub(crate) fn completes(&self) -> bool {
        self.buffers.is_some()
    }

    /// The same with requests that end with each report, as on kernels before 5.17.
    #[cfg(test)]
    pub(crate) fn one_shot(entries: u32) -> io::Result<Self> {
        let mut ring = Self::new(entries)?;
        ring.multishot = false;
        Ok(ring)
    }

    /// Asks for the events of `fd`, which must stay open until the next [`enter`](Self::enter). `false` if
    /// there is no room at the moment.
    pub(crate) fn poll(&mut self, fd: RawFd, events: u32, data: u64) -> io::Result<bool> {
        let request = opcode::PollAdd::new(Fd(fd), events).multi(self.multishot);
        self.push(&request.build().user_data(data))
    }

    /// Asks once for the events of `fd`, as [`poll`](Self::poll).
    pub(crate) fn poll_once(&mut self, fd: RawFd, events: u32, data: u64) -> io::Result<bool> {
        self.push(&opcode::PollAdd::new(Fd(fd), events).build().user_data(data))
    }

    /// Asks for what arrives on the socket `fd`, in buffers of the ring's, until the request is ended or ends. As [`poll`](Self::poll).
    pub(crate) fn receive(&mut self, fd: RawFd, data: u64) -> io::Result<bool> {
        self.push(&opcode::RecvMulti::new(Fd(fd), GROUP).build().user_data(data))
    }

    /// Sends `bytes` on the socket `fd`, as far as there is room. Reports only what was not sent whole.
    ///
    /// # Safety
    /// `bytes` must stay where they are until [`is_settled`](Self::is_settled) says after an [`enter`](Self::enter) that the request was
    /// handed over.
    pub(crate) unsafe fn send(&mut self, fd: RawFd, bytes: &[u8], data: u64) -> io::Result<bool> {
        // That it does not wait means that the kernel tries it once, when it is handed over. That it is to send all means that less counts as
        // a failure, which is reported.
        let flags = libc::MSG_DONTWAIT | libc::MSG_WAITALL | libc::MSG_NOSIGNAL;
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let request = opcode::Send::new(Fd(fd), bytes.as_ptr(), len).flags(flags).build();
        self.push(&request.flags(squeue::Flags::SKIP_SUCCESS).user_data(data))
    }

    /// Ends the request that was given `request`, which reports an error then; what goes wrong is reported under `data`.
    /// `false` if there is no room at the moment.
    pub(crate) fn cancel(&mut self, request: u64, data: u64) -> io::Result<bool> {
        // Removing a poll would fail where its report is being made.
        let cancel = opcode::AsyncCancel::new(request).build().user_data(data);
        // Kernels that know this have requests that continue.
        let flags = if self.multishot { squeue::Flags::SKIP_SUCCESS } else { squeue::Flags::empty() };
        self.push(&cancel.flags(flags))
    }

    fn push(&mut self, entry: &squeue::Entry) -> io::Result<bool> {
        if self.ring.submission().is_full() {
            self.submit()?;
        }
        // SAFETY: most requests that are made here carry numbers, and no pointers that would have to stay valid. Were a descriptor closed too
        // early, its request would fail, or report what no code waits for. One that sends has a pointer, and the promise of `send`'s caller;
        // those that receive write into buffers that live as long as the kernel has the ring.
        Ok(unsafe { self.ring.submission().push(entry) }.is_ok())
    }

    /// Whether nothing was asked for that has not been handed over.
    pub(crate) fn is_settled(&mut self) -> bool {
        self.ring.submission().is_empty()
    }

    /// Hands over what was asked for, without waiting.
    pub(crate) fn submit(&mut self) -> io::Result<()> {
        tolerate(self.ring.submit())
    }

    /// Hands over what was asked for, and has the kernel do what it has put off, without waiting.
    pub(crate) fn run(&mut self) -> io::Result<()> {
        // Only a call that asks for reports has it done.
        self.enter(Some(Duration::ZERO))
    }

    /// Hands over what was asked for, and waits for a report, a signal, or `timeout`. Some of it may be left
    /// for the next time.
    pub(crate) fn enter(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let time = timeout.map(Timespec::from);
        let args = SubmitArgs::new();
        tolerate(match &time {
            Some(time) => self.ring.submitter().submit_with_args(1, &args.timespec(time)),
            None => self.ring.submitter().submit_with_args(1, &args),
        })
    }

    /// Whether there are reports that found no room: another [`enter`](Self::enter) brings them.
    pub(crate) fn has_overflown(&mut self) -> bool {
        self.ring.submission().cq_overflow()
    }

    /// Takes what was reported.
    pub(crate) fn completions(&mut self) -> impl Iterator<Item = Completion> + '_ {
        self.ring.completion().map(|entry| Completion {
            data: entry.user_data(),
            result: entry.result(),
            more: cqueue::more(entry.flags()),
            buffer: cqueue::buffer_select(entry.flags()),
        })
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        if let Some(buffers) = self.buffers.take() {
            buffers.withdraw(&self.ring);
        }
    }
}

/// The time has passed, a signal came, or the kernel wants reports to be taken first: a wait that ends early.
fn tolerate(outcome: io::Result<usize>) -> io::Result<()> {
    match outcome {
        Err(error)
            if !matches!(
                error.raw_os_error(),
                Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN)
            ) =>
        {
            Err(error)
        }
        _ => Ok(()),
    }
}

fn refused(error: io::Error) -> io::Error {
    let why = match error.raw_os_error() {
        Some(libc::ENOSYS) => "this kernel has none",
        Some(libc::EPERM | libc::EACCES) => {
            "it is forbidden here, by the sysctl kernel.io_uring_disabled or by a filter as containers have it"
        }
        Some(libc::ENOMEM) => "the limit of locked memory, RLIMIT_MEMLOCK, is too low for it",
        Some(libc::EINVAL) => "this kernel is older than Linux 5.11",
        _ => return error,
    };
    unavailable(error.kind(), why)
}

fn unavailable(kind: io::ErrorKind, why: &str) -> io::Error {
    io::Error::new(kind, format!("io_uring cannot be used: {why}; MioDispatcher works on every kernel"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_why_and_what_to_do() {
        for (number, word) in [
            (libc::ENOSYS, "has none"),
            (libc::EPERM, "io_uring_disabled"),
            (libc::ENOMEM, "RLIMIT_MEMLOCK"),
            (libc::EINVAL, "5.11"),
        ] {
            let message = refused(io::Error::from_raw_os_error(number)).to_string();
            assert!(message.contains(word) && message.contains("MioDispatcher"), "{message}");
        }
        let other = refused(io::Error::from_raw_os_error(libc::EMFILE));
        assert_eq!(other.raw_os_error(), Some(libc::EMFILE));
    }

    #[test]
    fn a_wait_that_ends_early_is_no_error() {
        for number in [libc::ETIME, libc::EINTR, libc::EBUSY, libc::EAGAIN] {
            tolerate(Err(io::Error::from_raw_os_error(number))).unwrap();
        }
        tolerate(Err(io::Error::from_raw_os_error(libc::EBADF))).unwrap_err();
    }
}
