//! What is received and sent on one socket that the ring reads and writes.

use std::collections::VecDeque;
use std::io;
use std::os::fd::RawFd;

use crate::buffers::{Buffers, Queue};

/// The state of one socket that the ring reads and writes.
pub(crate) struct Flow {
    /// That of the socket, which is open as long as this is registered.
    pub(crate) fd: RawFd,
    /// Something is to be asked or cancelled for it: see `Engine::unasked`.
    pub(crate) is_listed: bool,
    /// The request that receives, until it has reported its end.
    pub(crate) receive: Option<u64>,
    /// That request is to end.
    pub(crate) is_cancelled: bool,
    /// What was received, and not read yet: first what was moved out of the ring's buffers, then what is in them.
    spilled: VecDeque<u8>,
    pub(crate) received: Queue,
    /// Nothing more will be received: the peer has ended its side, or the stream has failed.
    pub(crate) has_ended: bool,
    pub(crate) read_error: Option<i32>,
    /// What was written, and not handed to the kernel yet.
    pub(crate) output: Vec<u8>,
    /// The kernel has refused some of the output: it waits for room.
    pub(crate) is_stalled: bool,
    /// Room is to be reported, where it is of interest.
    pub(crate) wants_room: bool,
    pub(crate) write_error: Option<i32>,
}

impl Flow {
    pub(crate) const fn new(fd: RawFd, wants_room: bool) -> Self {
        Self {
            fd,
            is_listed: false,
            receive: None,
            is_cancelled: false,
            spilled: VecDeque::new(),
            received: Queue::EMPTY,
            has_ended: false,
            read_error: None,
            output: Vec::new(),
            is_stalled: false,
            wants_room,
            write_error: None,
        }
    }

    /// Whether all that was received has been read.
    pub(crate) fn is_dry(&self) -> bool {
        self.received.is_empty() && self.spilled.is_empty()
    }

    /// Whether a read would return something other than `WouldBlock`, as far as is known.
    pub(crate) fn is_readable(&self) -> bool {
        !self.is_dry() || self.has_ended
    }

    /// Reads what was received.
    pub(crate) fn read(&mut self, buffers: &mut Buffers, into: &mut [u8]) -> usize {
        let spilled = self.spilled.len().min(into.len());
        if spilled > 0 {
            for (to, from) in into.iter_mut().zip(self.spilled.drain(..spilled)) {
                *to = from;
            }
            if self.spilled.is_empty() {
                self.spilled = VecDeque::new();
            }
        }
        spilled + buffers.read(&mut self.received, &mut into[spilled..])
    }

    /// Moves what was received out of the ring's buffers, which the other streams need.
    pub(crate) fn spill(&mut self, buffers: &mut Buffers) {
        let (start, len) = (self.spilled.len(), buffers.len(self.received));
        self.spilled.resize(start + len, 0);
        buffers.read(&mut self.received, &mut self.spilled.make_contiguous()[start..]);
    }

    /// Why reading or writing has failed, once.
    pub(crate) fn take_error(&mut self) -> io::Result<()> {
        self.take_read_error()?;
        self.take_write_error()
    }

    pub(crate) fn take_read_error(&mut self) -> io::Result<()> {
        self.read_error.take().map_or(Ok(()), |code| Err(io::Error::from_raw_os_error(code)))
    }

    pub(crate) fn take_write_error(&mut self) -> io::Result<()> {
        self.write_error.take().map_or(Ok(()), |code| Err(io::Error::from_raw_os_error(code)))
    }
}
