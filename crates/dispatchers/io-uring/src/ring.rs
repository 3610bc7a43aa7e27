//! The kernel's ring, and all that is `unsafe` about it.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::time::Duration;

use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};

/// Requests that one submission carries at most.
pub(crate) const ENTRIES: u32 = 256;

/// A ring that polls descriptors, for events as poll(2) has them.
pub(crate) struct Ring {
    ring: IoUring,
    /// Whether one request continues to report.
    multishot: bool,
}

/// One report.
pub(crate) struct Completion {
    /// What the request was given.
    pub(crate) data: u64,
    /// The events that were seen, or an error number below zero.
    pub(crate) result: i32,
    /// The request continues.
    pub(crate) more: bool,
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
        Ok(Self { ring, multishot })
    }

    /// The same with requests that end with each report, as on kernels before 5.17.
    #[cfg(test)]
    pub(crate) fn one_shot(entries: u32) -> io::Result<Self> {
        Ok(Self { multishot: false, ..Self::new(entries)? })
    }

    /// Asks for the events of `fd`, which must stay open until the next [`enter`](Self::enter). `false` if
    /// there is no room at the moment.
    pub(crate) fn poll(&mut self, fd: BorrowedFd<'_>, events: u32, data: u64) -> io::Result<bool> {
        let request = opcode::PollAdd::new(Fd(fd.as_raw_fd()), events).multi(self.multishot);
        self.push(&request.build().user_data(data))
    }

    /// Ends the request that was given `request`, which reports an error then, and says so under `data`.
    /// `false` if there is no room at the moment.
    pub(crate) fn cancel(&mut self, request: u64, data: u64) -> io::Result<bool> {
        self.push(&opcode::PollRemove::new(request).build().user_data(data))
    }

    fn push(&mut self, entry: &squeue::Entry) -> io::Result<bool> {
        if self.ring.submission().is_full() {
            self.submit()?;
        }
        // SAFETY: the requests made here carry numbers, and no pointers that would have to stay valid. Were a
        // descriptor closed too early, its request would fail, or report what no code waits for.
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

    /// Takes what was reported.
    pub(crate) fn completions(&mut self) -> impl Iterator<Item = Completion> + '_ {
        self.ring.completion().map(|entry| Completion {
            data: entry.user_data(),
            result: entry.result(),
            more: cqueue::more(entry.flags()),
        })
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
