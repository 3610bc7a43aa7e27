//! Standard input beside the connection, on the same thread.

use std::io::{self, BufRead as _, ErrorKind};

use websocket_app::dispatcher::Interest;
use websocket_app::{AppId, Apps, Context, SourceContext, SourceEvent, SourceId};

use super::lines::Wanted;
use super::{Input, PAUSE, thread};
use crate::session::Session;

/// Watches standard input, or starts a thread if the loop does not watch such a file.
pub(super) fn start(input: Input, app: &mut Context<'_>) -> io::Result<()> {
    let id = app.id();
    let ready = move |stdin: &mut SourceContext<'_, _>, event| ready(input, id, stdin, event);
    app.apps().watch(io::stdin(), Interest::Read, ready).map(drop).map_err(io::Error::other)
}

fn ready(
    input: Input,
    id: AppId,
    stdin: &mut SourceContext<'_, io::Stdin>,
    event: SourceEvent,
) -> io::Result<()> {
    if event.refused.is_some() {
        let sender = stdin.apps.with(id, |app| app.sender());
        return sender.map_or(Ok(()), |sender| thread::start(input, sender));
    }
    // It blocks if the hint was wrong, but to make it non-blocking would do so for every process that shares it.
    let mut reader = stdin.source.lock();
    let len = {
        let bytes = match reader.fill_buf() {
            Ok(bytes) => bytes,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return Ok(());
            }
            Err(error) => {
                eprintln!("wsdump: reading standard input failed: {error}");
                &[]
            }
        };
        stdin.apps.with(id, |app| app.handler_mut::<Session>().map(|session| session.lines.push(bytes)));
        bytes.len()
    };
    reader.consume(len);
    drop(reader);
    let source = stdin.id();
    send(input, id, source, stdin.apps);
    Ok(())
}

/// Sends what was read, and decides when to read more.
fn send(input: Input, id: AppId, source: SourceId, apps: &mut Apps) {
    let sent = apps.with(id, |app| {
        let sender = app.sender();
        let wanted = app.handler_mut::<Session>()?.lines.send(&sender, input.is_patient);
        Some((wanted, sender))
    });
    match sent.flatten() {
        Some((Wanted::More, _)) => drop(apps.set_interest(source, Interest::Read)),
        Some((Wanted::Later, _)) => {
            apps.set_interest(source, Interest::None);
            apps.set_timeout(PAUSE, move |apps| send(input, id, source, apps));
        }
        Some((Wanted::Nothing, sender)) => {
            apps.unwatch(source);
            apps.set_timeout(input.eof_wait, move |_| sender.close());
        }
        // The app has ended.
        None => drop(apps.unwatch(source)),
    }
}
