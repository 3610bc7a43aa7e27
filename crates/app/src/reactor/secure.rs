//! TLS between the stream and the connection: bytes are decrypted in the reactor's buffer and encrypted through one that all
//! connections take turns in.

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::time::Instant;

use websocket_connection::{Connection, Env, Input};
use websocket_dispatcher::Io;
use websocket_link::proxy::Proxy;
use websocket_link::tls::rustls::pki_types::ServerName;
use websocket_link::tls::{TlsConfigError, TlsOptions, TlsOutput, TlsSession, TlsStream};

use super::AppId;
use super::app::{App, Control, LiveStage, Stage};
use super::attempt::Attempt;
use super::drive::Driver;
use super::receive::converse;
use super::schedule::later;
use crate::Error;
use crate::context::flush;
use crate::options::Way;

/// Bytes of plaintext that one record carries at most.
const RECORD: usize = 16 << 10;

/// Memory to encrypt into, which all connections of a reactor take turns in.
pub(super) type Shared = TlsOutput;

/// The TLS of one connection.
pub(super) struct Secure {
    session: TlsSession,
    /// Ciphertext that the stream has not taken yet.
    output: TlsOutput,
    /// Bytes of ciphertext that the stream has taken.
    written: u64,
    /// Records in `output`: where each ends in the ciphertext, and how many bytes of the connection's output it carries.
    records: VecDeque<(u64, usize)>,
    /// By when the handshake must be complete.
    deadline: Instant,
}

impl Secure {
    /// Begins a session with the server of the attempt's target; `None` where there is none to be.
    pub(super) fn begin(way: &Way, attempt: &Attempt, now: Instant) -> Result<Option<Box<Self>>, Error> {
        if !attempt.target.secure {
            return Ok(None);
        }
        let mut output = TlsOutput::new();
        let host = attempt.target.host();
        let name = if attempt.other_host { own_name(&host) } else { way.tls.server_name_for(&host) }?;
        let session = TlsSession::new(way.tls.build()?, name, &mut output)?;
        Ok(Some(Box::new(Self {
            session,
            output,
            written: 0,
            records: VecDeque::new(),
            deadline: later(now, way.tls_timeout),
        })))
    }

    /// By when the handshake must be complete, until it is.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.session.is_handshaking().then_some(self.deadline)
    }

    /// Puts what the last read has cut to the front of `buffer`; returns its length.
    pub(super) fn restore(&mut self, buffer: &mut [u8]) -> usize {
        self.session.restore(buffer)
    }

    /// Whether the server has said that it sends no more.
    pub(super) fn has_ended(&self) -> bool {
        self.session.peer_has_closed()
    }

    /// What the end of the stream means, where the connection inside could not know.
    pub(super) fn end_of_stream(&self) -> Result<(), Error> {
        // Behind the handshake, WebSocket has an end of its own, and many servers never send close_notify. A failure was told before.
        let unfinished = self.session.is_handshaking() && self.session.error().is_none();
        if unfinished { Ok(self.session.end_of_stream()?) } else { Ok(()) }
    }

    /// As [`write_all`](crate::context::write_all), encrypted. `shared` is empty memory to encrypt into, and is given back.
    pub(super) fn write_all(
        &mut self,
        control: &mut Control,
        connection: &mut Connection,
        io: &mut Io,
        env: &mut Env,
        shared: &mut Shared,
    ) -> io::Result<bool> {
        if self.output.is_empty() {
            std::mem::swap(&mut self.output, shared);
        }
        let written = self.write_on(control, connection, io, env);
        if self.output.is_empty() {
            std::mem::swap(&mut self.output, shared);
        }
        self.output.release();
        written
    }

    fn write_on(
        &mut self,
        control: &mut Control,
        connection: &mut Connection,
        io: &mut Io,
        env: &mut Env,
    ) -> io::Result<bool> {
        loop {
            while !self.output.is_empty() {
                match io.write(self.output.as_slice()) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(len) => {
                        self.output.consume(len);
                        self.written += len as u64;
                        self.account(control, connection, env);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        control.blocked = true;
                        connection.tx().stall(env);
                        return Ok(false);
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            if connection.queued_bytes() == 0 || self.session.is_handshaking() {
                return flush(control, connection.tx(), io, env);
            }
            self.encrypt(connection.output())?;
        }
    }

    /// Encrypts the front of what the connection has to say, record by record.
    fn encrypt(&mut self, plaintext: &[u8]) -> io::Result<()> {
        let front = &plaintext[..plaintext.len().min(TlsSession::MAX_SEND)];
        for record in front.chunks(RECORD) {
            let taken = self.session.send(record, &mut self.output)?;
            self.records.push_back((self.written + self.output.len() as u64, taken));
        }
        Ok(())
    }

    /// The connection has written what is in records that were wholly written: the server cannot read one that was cut.
    fn account(&mut self, control: &mut Control, connection: &mut Connection, env: &mut Env) {
        let mut done = 0;
        while let Some((_, len)) = self.records.front().filter(|(end, _)| *end <= self.written) {
            done += len;
            self.records.pop_front();
        }
        // Also where no record is done yet, the stream has moved.
        connection.wrote(done, env);
        control.wrote(done);
    }

    /// Says that nothing more will be sent, or what went wrong, if the stream takes that at once.
    pub(super) fn say_goodbye(&mut self, io: &mut Io) {
        self.session.close_notify(&mut self.output);
        if !self.output.is_empty() {
            // It is a courtesy: the stream is dropped next, whatever becomes of it.
            let _courtesy = io.write(self.output.as_slice()).and_then(|_| io.flush());
        }
    }
}

/// Speaks TLS with the proxy at the other end of `io`, if the proxy does.
pub(super) fn to_proxy(way: &Way, proxy: &Proxy, io: Io) -> Result<Io, (Io, Error)> {
    if !proxy.is_tls() {
        return Ok(io);
    }
    let mut output = TlsOutput::new();
    match proxy_session(way, proxy, &mut output) {
        Ok(session) => Ok(Io::custom(TlsStream::with_session(io, session, output))),
        Err(error) => Err((io, error)),
    }
}

/// The name of a host for which none was set: one that was is the name of the URL's server, and of no other.
fn own_name(host: &str) -> Result<ServerName<'static>, TlsConfigError> {
    TlsOptions::new().server_name_for(host)
}

fn proxy_session(way: &Way, proxy: &Proxy, output: &mut TlsOutput) -> Result<TlsSession, Error> {
    let name = own_name(&proxy.server().host.to_string())?;
    Ok(TlsSession::new(way.tls.build()?, name, output)?)
}

impl Driver<'_> {
    /// Decrypts the first `len` bytes of the buffer and delivers what is in them. What is cut stays with the session.
    pub(super) fn deliver_secure(&mut self, app: &mut App, id: AppId, len: usize) {
        let App { handler, control, stage, .. } = app;
        let Stage::Live(live) = stage else { return };
        let LiveStage { connection, secure: Some(secure), .. } = &mut **live else { return };
        let was_handshaking = secure.session.is_handshaking();
        let mut outcome = Ok(());
        let received = secure.session.receive(&mut self.buffer[..len], &mut secure.output, |plaintext| {
            let mut input = Input::new(plaintext);
            outcome = converse(&mut **handler, control, self.apps, id, connection, None, &mut input);
            if outcome.is_ok() && !self.apps.interrupted {
                outcome = connection.absorb(&mut input, &mut self.apps.env).map_err(Error::from);
            }
            match outcome {
                Ok(()) if !self.apps.interrupted => ControlFlow::Continue(()),
                _ => ControlFlow::Break(()),
            }
        });
        if self.apps.interrupted {
            return;
        }
        if was_handshaking && !secure.session.is_handshaking() {
            let info = secure.session.info();
            log::debug!(target: "websocket::tls", "{id}: {info:?}");
            control.on_open.get_or_insert_default().tls = info;
            connection.restart_upgrade(&self.apps.env);
        }
        if connection.queued_bytes() > 0 || !secure.output.is_empty() {
            control.mark_dirty(self.apps, id);
        }
        if received.is_err() {
            // The session has more to say about it, the connection has not.
            connection.abort(&mut self.apps.env);
        }
        let failure = outcome.err().or(received.err().map(Error::Tls));
        if let (Some(error), None) = (failure, &app.failure) {
            self.refused(app, id, error);
        }
    }
}
