//! Standard input on its own thread, where the loop cannot watch it: a file, or another system than unix.

use std::io::{self, BufRead as _};
use std::sync::mpsc::sync_channel;
use std::thread;

use websocket_app::{AppId, ReactorHandle};

use super::Refill;
use crate::session::Session;

/// Reads when the session has sent what was read before.
pub(super) fn start(id: AppId, reactor: ReactorHandle) -> io::Result<()> {
    thread::Builder::new().name("input".into()).spawn(move || {
        let (more, wanted) = sync_channel(1);
        let mut stdin = io::stdin().lock();
        loop {
            let bytes = match stdin.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    eprintln!("wsdump: reading standard input failed: {error}");
                    Vec::new()
                }
                Ok(bytes) => bytes.to_vec(),
            };
            stdin.consume(bytes.len());
            let (has_ended, more) = (bytes.is_empty(), more.clone());
            reactor.run(move |apps| {
                apps.with(id, |app| Session::of(app)?.read(app, &bytes, Some(Refill::Thread(more))));
            });
            if has_ended || wanted.recv().is_err() {
                return;
            }
        }
    })?;
    Ok(())
}
