//! From a stream to a proxy to one that leads through it.

use std::io::{self, Read as _, Write as _};

use websocket_dispatcher::{Interest, Io, Key};
use websocket_link::proxy::Handshake;

use super::AppId;
use super::app::{App, Stage, Tunnelling};
use super::attempt::Attempt;
use super::drive::Driver;
use super::schedule::later;
use super::secure;
use crate::Error;

/// How far the conversation with the proxy has come.
enum Progress {
    /// The stream has to become ready for this first.
    Wait(Interest),
    /// The tunnel is there; this range of the buffer came through it.
    Done(std::ops::Range<usize>),
}

impl Driver<'_> {
    /// Asks the proxy at the other end of `io` for a tunnel.
    pub(super) fn tunnel(
        &mut self,
        app: &mut App,
        id: AppId,
        key: Key,
        io: Io,
        interest: Interest,
        attempt: Box<Attempt>,
    ) {
        let Some(via) = &attempt.via else { return self.unwatch(id, key, io) };
        let handshake = match Handshake::new(&via.proxy, &via.destination) {
            Ok(handshake) => handshake,
            Err(error) => {
                self.unwatch(id, key, io);
                return self.end(app, id, Some(Error::Proxy(error)));
            }
        };
        let io = match secure::to_proxy(&app.plan.options.way, &via.proxy, io) {
            Ok(io) => io,
            Err((io, error)) => {
                self.unwatch(id, key, io);
                return self.end(app, id, Some(error));
            }
        };
        let deadline = later(self.apps.env.now, app.plan.options.way.proxy_timeout);
        app.stage =
            Stage::Tunnelling(Box::new(Tunnelling { key, io, interest, handshake, deadline, attempt }));
        self.tunnelling(app, id);
    }

    /// The stream to the proxy has moved.
    pub(super) fn tunnelling(&mut self, app: &mut App, id: AppId) {
        let Stage::Tunnelling(tunnelling) = &mut app.stage else { return };
        let failure = match talk(tunnelling, self.buffer) {
            Ok(Progress::Wait(interest)) => {
                let changed = std::mem::replace(&mut tunnelling.interest, interest) != interest;
                let Tunnelling { key, io, .. } = &mut **tunnelling;
                match changed.then(|| self.dispatcher.reregister(*key, io, interest)) {
                    None | Some(Ok(())) => return,
                    Some(Err(error)) => Error::Io(error),
                }
            }
            Ok(Progress::Done(early)) => return self.tunnelled(app, id, early),
            Err(error) => error,
        };
        let Stage::Tunnelling(tunnelling) = std::mem::replace(&mut app.stage, Stage::New) else { return };
        let Tunnelling { key, io, attempt, .. } = *tunnelling;
        self.unwatch(id, key, io);
        self.challenged_by_proxy(app, id, failure, attempt);
    }

    /// The stream leads to the server; `early` bytes of the buffer have come from there already.
    fn tunnelled(&mut self, app: &mut App, id: AppId, early: std::ops::Range<usize>) {
        let Stage::Tunnelling(tunnelling) = std::mem::replace(&mut app.stage, Stage::New) else { return };
        let Tunnelling { key, io, interest, attempt, .. } = *tunnelling;
        self.handshake(app, id, key, io, interest, attempt);
        let len = early.len();
        self.buffer.copy_within(early, 0);
        self.early(app, id, len);
    }
}

/// Goes on until the stream has to become ready.
fn talk(tunnelling: &mut Tunnelling, buffer: &mut [u8]) -> Result<Progress, Error> {
    let Tunnelling { io, handshake, attempt, .. } = tunnelling;
    let broken = |source: io::Error| {
        let proxy = attempt.via.as_ref().map(|via| via.proxy.to_string()).unwrap_or_default();
        Error::ProxyStream { proxy, source }
    };
    let blocked = |error: &io::Error| error.kind() == io::ErrorKind::WouldBlock;
    if !io.connected().map_err(broken)? {
        // TLS with the proxy is under way.
        return Ok(Progress::Wait(io.connecting_interest()));
    }
    loop {
        while !handshake.output().is_empty() {
            match io.write(handshake.output()) {
                Ok(0) => return Err(broken(io::ErrorKind::WriteZero.into())),
                Ok(len) => handshake.wrote(len),
                Err(error) if blocked(&error) => return Ok(Progress::Wait(Interest::ReadWrite)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(broken(error)),
            }
        }
        match io.flush() {
            Err(error) if blocked(&error) => return Ok(Progress::Wait(Interest::ReadWrite)),
            flushed => flushed.map_err(broken)?,
        }
        match io.read(buffer) {
            Ok(0) => return Err(Error::Proxy(handshake.end_of_stream())),
            Ok(len) => {
                let progress = handshake.receive(&buffer[..len]).map_err(Error::Proxy)?;
                if progress.done {
                    return Ok(Progress::Done(progress.used..len));
                }
            }
            Err(error) if blocked(&error) => return Ok(Progress::Wait(Interest::Read)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(broken(error)),
        }
    }
}
