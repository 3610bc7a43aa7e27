//! Standard input: a source beside the connection where the loop can watch it, else a thread.

mod lines;
mod thread;
#[cfg(unix)]
mod watched;

use std::io;
use std::time::Duration;

use websocket_app::Context;

pub(crate) use lines::Lines;

/// How long to wait for a connection that takes no more.
const PAUSE: Duration = Duration::from_millis(10);

/// How input is read.
#[derive(Clone, Copy)]
pub(crate) struct Input {
    /// For how long the connection outlives the input.
    pub(crate) eof_wait: Duration,
    /// Lines wait for the next connection where another follows a loss.
    pub(crate) is_patient: bool,
}

impl Input {
    /// Begins to send the lines of standard input.
    pub(crate) fn start(self, app: &mut Context<'_>) -> io::Result<()> {
        #[cfg(unix)]
        return watched::start(self, app);
        #[cfg(not(unix))]
        return thread::start(self, app.sender());
    }
}
