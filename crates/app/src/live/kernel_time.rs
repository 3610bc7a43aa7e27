//! When the kernel received what is read, for apps that ask for it.

use std::io::{self, Read as _};
use std::time::SystemTime;

use websocket_dispatcher::Io;
use websocket_link::kernel_time::KernelTime;

use super::observers::Observers;
use crate::feed::FeedOptions;

impl Observers {
    /// When the kernel received the newest bytes of the last read, which may be yet to be delivered.
    pub(crate) fn received_by_kernel(&self) -> Option<SystemTime> {
        self.kernel_time.as_ref()?.newest()
    }
}

/// Has a stream read by system calls whose kernel is to tell when it receives bytes.
pub(crate) fn prepare(options: &FeedOptions, io: &mut Io) {
    if options.kernel_receive_time {
        io.refuse_to_be_driven();
    }
}

/// Has the kernel tell when it receives bytes, where the option asks for it and the stream allows it.
pub(super) fn ask(options: &FeedOptions, io: &Io, observers: &mut Option<Box<Observers>>) {
    if options.kernel_receive_time
        && let Some(kernel_time) = KernelTime::of(io)
    {
        observers.get_or_insert_default().kernel_time = Some(kernel_time);
    }
}

/// Reads once.
#[inline]
pub(super) fn read(
    io: &mut Io,
    observers: &mut Option<Box<Observers>>,
    room: &mut [u8],
) -> io::Result<usize> {
    match observers.as_mut().and_then(|observers| observers.kernel_time.as_mut()) {
        Some(kernel_time) => kernel_time.read(io, room),
        None => io.read(room),
    }
}
