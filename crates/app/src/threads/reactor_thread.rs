//! A thread on which a reactor runs, as other threads see it.

use std::fmt;
use std::panic::resume_unwind;
use std::thread::JoinHandle;

use super::inbox::ReactorHandle;
use crate::error::Error;

/// A thread on which a reactor runs, from [`Reactor::spawn`](crate::Reactor::spawn). Dropping this value leaves the thread running.
pub struct ReactorThread {
    handle: ReactorHandle,
    thread: JoinHandle<Result<(), Error>>,
}

impl ReactorThread {
    pub(crate) const fn new(handle: ReactorHandle, thread: JoinHandle<Result<(), Error>>) -> Self {
        Self { handle, thread }
    }

    /// Returns a handle on the reactor: to add apps, run closures, and stop it.
    pub const fn handle(&self) -> &ReactorHandle {
        &self.handle
    }

    /// Waits until the reactor was stopped.
    ///
    /// # Errors
    /// [`Error::Dispatcher`] when its event loop broke.
    ///
    /// # Panics
    /// When the thread has panicked, with the same payload.
    pub fn join(self) -> Result<(), Error> {
        self.thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    }
}

impl fmt::Debug for ReactorThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReactorThread")
    }
}
