//! Standard input: a source beside the connection where the loop can watch it, else a thread.

mod lines;
mod thread;
#[cfg(unix)]
mod watched;

use std::io;

use websocket_app::Context;

pub(crate) use lines::{Line, Lines, Refill};

/// Begins to read standard input for the session of `app`.
pub(crate) fn start(app: &mut Context<'_>) -> io::Result<()> {
    #[cfg(unix)]
    return watched::start(app);
    #[cfg(not(unix))]
    return thread::start(app.id(), app.apps().handle());
}
