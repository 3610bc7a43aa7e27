//! TLS as a stream, on top of any other.

use std::fmt;
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use websocket_dispatcher::{Io, Stream};

use super::{TlsError, TlsOutput, TlsSession};

/// Bytes that are read at once.
const READ: usize = 16 << 10;

/// A [`Stream`] that speaks TLS over another one, for TLS inside TLS or inside a custom stream.
///
/// It is connected when the handshake is complete: watch it for reading **and** writing until [`connected`](Stream::connected) says so, and call that
/// whenever it is ready. Decrypted bytes may lie here that readiness does not show: read it until `WouldBlock`, always. What `write` took
/// may lie here encrypted: after writing, call `flush`, and as long as that says `WouldBlock`, again when the stream is writable.
///
/// Failures come as [`io::Error`]s with a [`TlsError`] inside. An end of the stream without `close_notify` is
/// [`TlsError::Truncated`]. Buffers are held only while bytes are on their way.
pub struct TlsStream {
    io: Io,
    session: TlsSession,
    /// Where ciphertext is read to; empty while nothing flows.
    incoming: Vec<u8>,
    /// Plaintext for which the reader had no room, from `taken` on.
    plaintext: Vec<u8>,
    taken: usize,
    output: TlsOutput,
}

impl TlsStream {
    /// Begins a session over `io`, which may still be connecting. The peer must have a certificate for `name`, or what the configuration
    /// wants instead.
    ///
    /// # Errors
    /// As [`TlsSession::new`].
    pub fn new(io: Io, config: Arc<ClientConfig>, name: ServerName<'static>) -> Result<Self, TlsError> {
        let mut output = TlsOutput::new();
        let session = TlsSession::new(config, name, &mut output)?;
        Ok(Self::with_session(io, session, output))
    }

    /// Goes on over `io` with a session whose first flight waits in `output`.
    pub const fn with_session(io: Io, session: TlsSession, output: TlsOutput) -> Self {
        Self { io, session, incoming: Vec::new(), plaintext: Vec::new(), taken: 0, output }
    }

    /// The session: what was negotiated, and whether the peer has closed it.
    pub fn session(&self) -> &TlsSession {
        &self.session
    }

    /// Tells the peer that nothing more will be written; to be flushed.
    pub fn close_notify(&mut self) {
        self.session.close_notify(&mut self.output);
    }

    /// One read of the stream below: plaintext goes to the front of `buffer`, and what does not fit is kept. `None` at the end of
    /// the stream.
    fn pull(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        if self.incoming.is_empty() {
            self.incoming = vec![0; READ];
        }
        let read = match self.io.read(&mut self.incoming) {
            Ok(0) => None,
            Ok(len) => Some(len),
            Err(error) => {
                self.incoming = Vec::new();
                return Err(error);
            }
        };
        let Some(len) = read else {
            self.incoming = Vec::new();
            self.session.end_of_stream()?;
            return Ok(None);
        };
        let Self { session, incoming, plaintext, output, .. } = self;
        let mut delivered = 0;
        let received = session.receive(&mut incoming[..len], output, |bytes| {
            let fits = bytes.len().min(buffer.len() - delivered);
            buffer[delivered..delivered + fits].copy_from_slice(&bytes[..fits]);
            delivered += fits;
            plaintext.extend_from_slice(&bytes[fits..]);
            ControlFlow::Continue(())
        });
        // An answer of the handshake, or an alert, which is a courtesy.
        let sent = self.send_output();
        // What came before a failure is to be read before it: it shows at the next call.
        if delivered == 0 {
            received?;
            sent?;
        }
        Ok(Some(delivered))
    }

    /// Writes what is encrypted, as far as it goes now; `true` when nothing is left.
    fn send_output(&mut self) -> io::Result<bool> {
        while !self.output.is_empty() {
            match self.io.write(self.output.as_slice()) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(len) => self.output.consume(len),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.output.release();
        Ok(true)
    }

    fn take_plaintext(&mut self, buffer: &mut [u8]) -> usize {
        let rest = &self.plaintext[self.taken..];
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        self.taken += len;
        if self.taken == self.plaintext.len() {
            self.plaintext = Vec::new();
            self.taken = 0;
        }
        len
    }

    /// Memory that is held for bytes on their way.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.incoming.capacity()
            + self.plaintext.capacity()
            + self.output.held_bytes()
            + self.session.held_bytes()
    }
}

impl Stream for TlsStream {
    fn connected(&mut self) -> io::Result<bool> {
        if !self.io.connected()? {
            return Ok(false);
        }
        self.send_output()?;
        while self.session.is_handshaking() {
            if let Some(error) = self.session.error() {
                return Err(error.clone().into());
            }
            match self.pull(&mut []) {
                Ok(Some(_)) => {}
                Ok(None) => return Err(TlsError::EndOfHandshake.into()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.output.is_empty())
    }

    fn inner(&self) -> Option<&Io> {
        Some(&self.io)
    }

    fn inner_mut(&mut self) -> Option<&mut Io> {
        Some(&mut self.io)
    }
}

impl Read for TlsStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if !self.plaintext.is_empty() {
            return Ok(self.take_plaintext(buffer));
        }
        loop {
            if let Some(error) = self.session.error() {
                return Err(error.clone().into());
            }
            if self.session.peer_has_closed() {
                return Ok(0);
            }
            match self.pull(buffer)? {
                Some(0) => {}
                Some(len) => return Ok(len),
                None => return Ok(0),
            }
        }
    }
}

impl Write for TlsStream {
    /// Takes no bytes while earlier ones wait, nor before the handshake is complete.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(error) = self.session.error() {
            return Err(error.clone().into());
        }
        if !self.send_output()? || self.session.is_handshaking() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let len = self.session.send(bytes, &mut self.output)?;
        // The bytes are taken: a failure to write them shows at the next call.
        let _later = self.send_output();
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.send_output()? { self.io.flush() } else { Err(io::ErrorKind::WouldBlock.into()) }
    }
}

impl fmt::Debug for TlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream")
            .field("io", &self.io)
            .field("session", &self.session)
            .field("output", &self.output)
            .finish_non_exhaustive()
    }
}
