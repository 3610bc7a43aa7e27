//! TLS between the stream and the connection: bytes are decrypted in the reactor's buffer and encrypted
//! through one that all connections take turns in.

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::time::Instant;

use websocket_connection::{Connection, Env};
use websocket_dispatcher::Io;
use websocket_link::proxy::Proxy;
use websocket_link::tls::rustls::pki_types::ServerName;
use websocket_link::tls::{TlsConfigError, TlsInfo, TlsOptions, TlsOutput, TlsSession, TlsStream};

use super::wire::{Written, flush};
use crate::address::Target;
use crate::error::Error;
use crate::options::ConnectOptions;
use crate::schedule::later;

/// Bytes of plaintext that one record carries at most.
const RECORD: usize = 16 << 10;

/// Memory to encrypt into, which all connections of a reactor take turns in.
pub(crate) type Scratch = TlsOutput;

/// The TLS of one connection.
pub(crate) struct Secure {
    session: TlsSession,
    /// Ciphertext that the stream has not taken yet.
    output: TlsOutput,
    /// Bytes of ciphertext that the stream has taken.
    written: u64,
    /// Records in `output`: where each ends in the ciphertext, and how many bytes of the connection's output
    /// it carries.
    records: VecDeque<(u64, usize)>,
    /// By when the handshake must be complete.
    deadline: Instant,
}

impl Secure {
    /// Begins a session with the server of `target`, if its URL asks for TLS. A redirect may have led to
    /// another host than that of the user's URL.
    pub(crate) fn begin(
        options: &ConnectOptions,
        target: &Target,
        other_host: bool,
        now: Instant,
    ) -> Result<Option<Box<Self>>, Error> {
        if !target.secure {
            return Ok(None);
        }
        let mut output = TlsOutput::new();
        let host = target.host.to_string();
        let name = if other_host { own_name(&host) } else { options.tls.server_name_for(&host) }?;
        let session = TlsSession::new(options.tls.build()?, name, &mut output)?;
        Ok(Some(Box::new(Self {
            session,
            output,
            written: 0,
            records: VecDeque::new(),
            deadline: later(now, options.tls_timeout),
        })))
    }

    /// By when the handshake must be complete, until it is.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.session.is_handshaking().then_some(self.deadline)
    }

    /// Puts what the last read has cut to the front of `buffer`; returns its length.
    pub(crate) fn restore(&mut self, buffer: &mut [u8]) -> usize {
        self.session.restore(buffer)
    }

    /// Whether the server has said that it sends no more.
    pub(crate) fn has_ended(&self) -> bool {
        self.session.peer_has_closed()
    }

    /// What the end of the stream means, which the connection inside cannot know.
    pub(crate) fn end_of_stream(&self) -> Result<(), Error> {
        // After the handshake, WebSocket has its own closing handshake, and many servers never send
        // close_notify. A failure was reported before.
        let unfinished = self.session.is_handshaking() && self.session.error().is_none();
        if unfinished { Ok(self.session.end_of_stream()?) } else { Ok(()) }
    }

    /// Gives back what [`restore`](Self::restore) has put to the front of the buffer, since nothing came
    /// behind it.
    pub(crate) fn put_back(&mut self, cut: &mut [u8]) {
        if !cut.is_empty() {
            // It was looked at before: there is nothing to deliver, and a failure is kept.
            let _looked_at_before =
                self.session.receive(cut, &mut self.output, |_| ControlFlow::Continue(()));
        }
    }

    /// Decrypts `incoming` and passes the plaintext of each record to `deliver`. What is cut stays with the
    /// session.
    ///
    /// # Errors
    /// The failure of TLS. What was decrypted before has been delivered.
    pub(crate) fn receive(
        &mut self,
        incoming: &mut [u8],
        deliver: impl FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        Ok(self.session.receive(incoming, &mut self.output, deliver)?)
    }

    /// Whether the handshake is not complete yet.
    pub(crate) fn is_handshaking(&self) -> bool {
        self.session.is_handshaking()
    }

    /// What was negotiated.
    pub(crate) fn info(&self) -> Option<TlsInfo> {
        self.session.info()
    }

    /// Whether there is ciphertext to write.
    pub(crate) fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// As [`write_all`](super::write_all), encrypted. `scratch` is empty memory to encrypt into, and is given
    /// back.
    pub(super) fn write_all(
        &mut self,
        connection: &mut Connection,
        io: &mut Io,
        env: &mut Env,
        scratch: &mut Scratch,
    ) -> Written {
        if self.output.is_empty() {
            std::mem::swap(&mut self.output, scratch);
        }
        let mut bytes = 0;
        let emptied = self.write_on(&mut bytes, connection, io, env);
        if self.output.is_empty() {
            std::mem::swap(&mut self.output, scratch);
        }
        self.output.release();
        Written { bytes, emptied }
    }

    fn write_on(
        &mut self,
        bytes: &mut usize,
        connection: &mut Connection,
        io: &mut Io,
        env: &mut Env,
    ) -> io::Result<bool> {
        loop {
            // What the session has to say, its last handshake message for one, shares a write with what follows. Its last words before an error
            // go first.
            let follows = connection.queued_bytes() > 0 && !self.session.is_handshaking();
            let may_follow = self.output.is_empty() || self.session.error().is_none();
            if follows && self.records.is_empty() && may_follow {
                self.encrypt(connection.output())?;
            }
            if self.output.is_empty() {
                return flush(connection.tx(), io, env);
            }
            while !self.output.is_empty() {
                match io.write(self.output.as_slice()) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(len) => {
                        self.output.consume(len);
                        self.written += len as u64;
                        let done = self.take_written();
                        // Also where no record is done yet, the stream has moved.
                        connection.wrote(done, env);
                        *bytes += done;
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        connection.tx().stall(env);
                        return Ok(false);
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
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

    /// Bytes of the connection's output that are in records which were wholly written by now: the server
    /// cannot read one that was cut.
    fn take_written(&mut self) -> usize {
        let mut done = 0;
        while let Some((_, len)) = self.records.front().filter(|(end, _)| *end <= self.written) {
            done += len;
            self.records.pop_front();
        }
        done
    }

    /// Says that nothing more will be sent, or what went wrong, if the stream takes that at once.
    pub(crate) fn say_goodbye(&mut self, io: &mut Io) {
        self.session.close_notify(&mut self.output);
        if !self.output.is_empty() {
            // It is a courtesy: the stream is dropped next, whatever becomes of it.
            let _courtesy = io.write(self.output.as_slice()).and_then(|_| io.flush());
        }
    }
}

/// TLS with a proxy that waits for its stream.
pub(crate) struct ProxyTls {
    session: TlsSession,
    output: TlsOutput,
}

impl ProxyTls {
    /// Begins a session with the proxy, if it speaks TLS.
    pub(crate) fn begin(options: &ConnectOptions, proxy: &Proxy) -> Result<Option<Self>, Error> {
        if !proxy.is_tls() {
            return Ok(None);
        }
        let name = own_name(&proxy.server().host.to_string())?;
        let mut output = TlsOutput::new();
        let session = TlsSession::new(options.tls.build()?, name, &mut output)?;
        Ok(Some(Self { session, output }))
    }

    /// Continues on the stream that leads to the proxy.
    pub(crate) fn over(self, io: Io) -> Io {
        Io::custom(TlsStream::with_session(io, self.session, self.output))
    }
}

/// The name of a host for which none was set: one that was is the name of the URL's server, and of no other.
fn own_name(host: &str) -> Result<ServerName<'static>, TlsConfigError> {
    TlsOptions::new().server_name_for(host)
}
