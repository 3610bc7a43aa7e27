//! Standard input beside the connection, on the same thread.

use std::io::{self, BufRead as _, ErrorKind};

use websocket_app::dispatcher::Interest;
use websocket_app::{AppId, Context, SourceContext, SourceEvent};

use super::{Refill, thread};
use crate::session::Session;

/// Watches standard input, or starts a thread if the loop does not watch such a file.
pub(super) fn start(app: &mut Context<'_>) -> io::Result<()> {
    let id = app.id();
    let ready = move |stdin: &mut SourceContext<'_, io::Stdin>, event| ready(id, stdin, event);
    app.apps().watch(io::stdin(), Interest::Read, ready).map(drop).map_err(io::Error::other)
}

fn ready(id: AppId, stdin: &mut SourceContext<'_, io::Stdin>, event: SourceEvent) -> io::Result<()> {
    if event.refused.is_some() {
        return thread::start(id, stdin.apps.handle());
    }
    // It blocks if the hint was wrong, but to make it non-blocking would do so for every process that shares it.
    let mut reader = stdin.source.lock();
    let bytes = match reader.fill_buf() {
        Ok(bytes) => bytes.to_vec(),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return Ok(()),
        Err(error) => {
            eprintln!("wsdump: reading standard input failed: {error}");
            Vec::new()
        }
    };
    reader.consume(bytes.len());
    drop(reader);
    let source = stdin.id();
    stdin.apps.set_interest(source, Interest::None);
    let read = stdin.apps.with(id, |app| Session::of(app)?.read(app, &bytes, Some(Refill::Source(source))));
    if read.is_none() {
        // The app has ended.
        stdin.apps.unwatch(source);
    }
    Ok(())
}
