//! One connection's TLS, without any I/O: all that touches rustls' unbuffered interface.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, InsufficientSizeError, UnbufferedStatus,
    WriteTraffic,
};
use rustls::{ClientConfig, HandshakeKind, InvalidMessage, ProtocolVersion};

use super::first_bytes::FirstBytes;
use super::{TlsError, TlsInfo, TlsOutput};

/// Plaintext bytes that one record carries at most.
const RECORD: usize = 16 << 10;

/// What TLS 1.3 adds to each record. Earlier versions add a little more, and a key update may be due: rustls says so then.
const OVERHEAD: usize = 22;

/// The first byte of a record with a handshake message.
const HANDSHAKE: u8 = 22;

/// A client's TLS session, sans I/O: bytes of the stream go in, plaintext comes out, and the reverse.
///
/// It decrypts in place, so it works on whatever buffer the caller reads into, one for all connections if that is wanted, and holds
/// no memory of its own between records. What was cut by the end of a read it keeps itself; [`restore`](Self::restore) puts that
/// back in front of the bytes that are read next.
/// The module shows one at work.
pub struct TlsSession {
    connection: UnbufferedClientConnection,
    /// What the last read left: half a record, or half a handshake message, which lies there decrypted. Byte for byte as rustls left it.
    held: Vec<u8>,
    incoming: Incoming,
    has_sent_close: bool,
    /// Whether the peer wanted to negotiate again.
    renegotiation: bool,
    error: Option<Box<TlsError>>,
}

/// What becomes of incoming bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Incoming {
    /// None have come: the peer may not speak TLS at all.
    Expected,
    Welcome,
    /// The peer has said that no more will come.
    Closed,
    /// The caller wants no more, or panicked when it got some.
    Unwanted,
}

impl TlsSession {
    /// The longest rest that is kept between two reads, in bytes; the peer cannot make a session hold more. Buffers should be larger.
    pub const MAX_HELD: usize = 72 << 10;

    /// Plaintext bytes that one [`send`](Self::send) takes at most.
    pub const MAX_SEND: usize = 64 << 10;

    /// Begins a session with the server of that name and puts the first flight into `output`.
    ///
    /// # Errors
    /// When the system gives no random bytes or no time, or the configuration contradicts itself.
    pub fn new(
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        output: &mut TlsOutput,
    ) -> Result<Self, TlsError> {
        let mut session = Self {
            connection: UnbufferedClientConnection::new(config, name)?,
            held: Vec::new(),
            incoming: Incoming::Expected,
            has_sent_close: false,
            renegotiation: false,
            error: None,
        };
        session.process(&mut [], output, &mut |_| ControlFlow::Continue(()))?;
        Ok(session)
    }

    /// Puts what the last read left at the front of `buffer` and returns its length: read more behind it and give both to
    /// [`receive`](Self::receive). Nothing is put into a buffer that has no room behind it; the session then joins the parts itself.
    pub fn restore(&mut self, buffer: &mut [u8]) -> usize {
        let len = self.held.len();
        if len >= buffer.len() {
            return 0;
        }
        buffer[..len].copy_from_slice(&self.held);
        self.held.clear();
        len
    }

    /// Takes bytes of the stream, all of them, and decrypts them where they are. Every whole record at hand is handled before it
    /// returns: `deliver` gets the plaintext of each in turn; what the peer shall be sent goes into `output`, also when this
    /// fails (it is the alert then).
    ///
    /// When `deliver` breaks, or panics, the caller wants nothing more from this peer: all that came and comes is dropped.
    /// Sending goes on.
    ///
    /// # Errors
    /// When the handshake fails or the peer breaks the protocol. What was decrypted before has been delivered.
    pub fn receive(
        &mut self,
        incoming: &mut [u8],
        output: &mut TlsOutput,
        mut deliver: impl FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), TlsError> {
        self.check()?;
        if matches!(self.incoming, Incoming::Closed | Incoming::Unwanted) {
            return Ok(());
        }
        if self.held.is_empty() {
            return self.process(incoming, output, &mut deliver);
        }
        let mut joined = std::mem::take(&mut self.held);
        joined.extend_from_slice(incoming);
        self.process(&mut joined, output, &mut deliver)
    }

    /// Encrypts the front of `plaintext` into `output` and returns how many of its bytes that were: all, up to
    /// [`MAX_SEND`](Self::MAX_SEND), so that a slow peer costs little memory if the caller waits until `output` is written.
    ///
    /// # Errors
    /// [`TlsError::Handshaking`], [`TlsError::Closed`] after [`close_notify`](Self::close_notify), or the failure of the session.
    #[must_use = "not all of the plaintext may have been taken"]
    pub fn send(&mut self, plaintext: &[u8], output: &mut TlsOutput) -> Result<usize, TlsError> {
        self.check()?;
        if self.has_sent_close {
            return Err(TlsError::Closed);
        }
        if self.is_handshaking() {
            return Err(TlsError::Handshaking);
        }
        let chunk = &plaintext[..plaintext.len().min(Self::MAX_SEND)];
        let len = chunk.len() + OVERHEAD * chunk.len().div_ceil(RECORD);
        self.write(len, output, |traffic, room| traffic.encrypt(chunk, room))?;
        Ok(chunk.len())
    }

    /// Tells the peer that nothing more will be sent. Does nothing when that has been said, the session has failed, or its handshake is not
    /// complete. Bytes from the peer may still be received.
    pub fn close_notify(&mut self, output: &mut TlsOutput) {
        if self.has_sent_close || self.error.is_some() || self.is_handshaking() {
            return;
        }
        self.has_sent_close = true;
        // A failure is kept, and there is no more to say to the peer.
        let _kept = self.write(OVERHEAD + 2, output, |traffic, room| traffic.queue_close_notify(room));
    }

    /// The stream has ended: was that the end of the session too? Whether an end without `close_notify` is harmless is for the protocol
    /// inside to say; after a WebSocket close frame it is.
    ///
    /// # Errors
    /// [`TlsError::EndOfHandshake`], [`TlsError::Truncated`], or the failure of the session.
    pub fn end_of_stream(&self) -> Result<(), TlsError> {
        self.check()?;
        match self.incoming {
            Incoming::Closed => Ok(()),
            _ if self.is_handshaking() => Err(TlsError::EndOfHandshake),
            _ => Err(TlsError::Truncated),
        }
    }

    /// Whether the handshake is not complete, so that nothing can be sent.
    pub fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Whether the peer has said, with `close_notify`, that it sends no more.
    pub fn peer_has_closed(&self) -> bool {
        self.incoming == Incoming::Closed
    }

    /// Why the session failed, if it did.
    pub fn error(&self) -> Option<&TlsError> {
        self.error.as_deref()
    }

    /// What was negotiated; `None` while the handshake is not complete.
    pub fn info(&self) -> Option<TlsInfo> {
        if self.is_handshaking() {
            return None;
        }
        let connection = &self.connection;
        Some(TlsInfo {
            version: connection.protocol_version()?,
            cipher_suite: connection.negotiated_cipher_suite()?.suite(),
            key_exchange: connection.negotiated_key_exchange_group().map(|group| group.name()),
            alpn: connection.alpn_protocol().map(<[u8]>::to_vec),
            resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
            certificates: connection.peer_certificates().unwrap_or_default().to_vec(),
        })
    }

    /// The peer's certificates, its own first, once they have been verified.
    pub fn peer_certificates(&self) -> Option<&[CertificateDer<'static>]> {
        self.connection.peer_certificates()
    }

    /// In this state, a handshake message can only ask for another handshake.
    fn is_established_tls12(&self) -> bool {
        !self.is_handshaking() && self.connection.protocol_version() == Some(ProtocolVersion::TLSv1_2)
    }

    fn check(&self) -> Result<(), TlsError> {
        match &self.error {
            Some(error) => Err((**error).clone()),
            None => Ok(()),
        }
    }

    /// Handles all that can be handled of `incoming` and keeps the rest.
    fn process(
        &mut self,
        incoming: &mut [u8],
        output: &mut TlsOutput,
        deliver: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), TlsError> {
        if self.incoming == Incoming::Expected && !incoming.is_empty() {
            match FirstBytes::recognise(incoming) {
                FirstBytes::Tls => {}
                FirstBytes::TooFew => {
                    self.held = incoming.to_vec();
                    return Ok(());
                }
                // An alert would be noise to a peer that does not speak TLS.
                FirstBytes::Other { http } => return Err(self.keep(TlsError::NotTls { http })),
            }
            self.incoming = Incoming::Welcome;
        }
        let before = std::mem::replace(&mut self.incoming, Incoming::Unwanted);
        let mut used = 0;
        let after = loop {
            self.renegotiation |= incoming.get(used) == Some(&HANDSHAKE) && self.is_established_tls12();
            let UnbufferedStatus { mut discard, state } =
                self.connection.process_tls_records(&mut incoming[used..]);
            let end = match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => loop {
                    match traffic.next_record() {
                        Some(Ok(record)) => {
                            discard += record.discard;
                            if deliver(record.payload).is_break() {
                                break Some(Incoming::Unwanted);
                            }
                        }
                        Some(Err(error)) => return Err(self.fail(error, output)),
                        None => break None,
                    }
                },
                Ok(ConnectionState::EncodeTlsData(data)) => {
                    encode(data, output);
                    None
                }
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    None
                }
                Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => Some(Incoming::Closed),
                // More bytes are needed; early data is for servers.
                Ok(_) => Some(before),
                Err(error) => return Err(self.fail(error, output)),
            };
            used += discard;
            if let Some(end) = end {
                break end;
            }
        };
        if matches!(after, Incoming::Expected | Incoming::Welcome) {
            let rest = &incoming[used..];
            if rest.len() > Self::MAX_HELD {
                return Err(self.keep(TlsError::Protocol(InvalidMessage::HandshakePayloadTooLarge.into())));
            }
            self.hold(rest);
        } else {
            self.hold(&[]);
        }
        self.incoming = after;
        Ok(())
    }

    /// Keeps memory only while it is in use.
    fn hold(&mut self, rest: &[u8]) {
        if rest.is_empty() {
            self.held = Vec::new();
        } else {
            self.held.clear();
            self.held.extend_from_slice(rest);
        }
    }

    /// Has rustls write into `len` bytes of room, or as many as it turns out to need.
    fn write(
        &mut self,
        mut len: usize,
        output: &mut TlsOutput,
        mut write: impl FnMut(
            &mut WriteTraffic<'_, ClientConnectionData>,
            &mut [u8],
        ) -> Result<usize, EncryptError>,
    ) -> Result<(), TlsError> {
        loop {
            // Half a handshake message may have come: rustls knows where its bytes are and wants to see them.
            let UnbufferedStatus { discard, state } = self.connection.process_tls_records(&mut self.held);
            match state {
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    let written = loop {
                        match write(&mut traffic, output.room(len)) {
                            Err(EncryptError::InsufficientSize(InsufficientSizeError { required_size }))
                                if required_size > len =>
                            {
                                len = required_size;
                            }
                            written => break written,
                        }
                    };
                    return match written {
                        Ok(written) => {
                            output.filled(written);
                            Ok(())
                        }
                        Err(_) => Err(self.exhausted(output)),
                    };
                }
                Ok(ConnectionState::EncodeTlsData(data)) => encode(data, output),
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(_) => return Err(TlsError::Closed),
                Err(error) => return Err(self.fail(error, output)),
            }
            self.held.drain(..discard);
        }
    }

    /// Keeps the failure and says what rustls has to say about it. It would say more if it were asked again.
    fn fail(&mut self, error: rustls::Error, output: &mut TlsOutput) -> TlsError {
        self.flush(output);
        let error = TlsError::from(error);
        self.keep(if self.renegotiation { error.after_renegotiation() } else { error })
    }

    /// rustls has queued `close_notify`.
    fn exhausted(&mut self, output: &mut TlsOutput) -> TlsError {
        self.flush(output);
        self.keep(TlsError::Exhausted)
    }

    /// Writes what rustls has queued, and takes care that it does not look at its input again.
    fn flush(&mut self, output: &mut TlsOutput) {
        while self.connection.wants_write() {
            match self.connection.process_tls_records(&mut []).state {
                Ok(ConnectionState::EncodeTlsData(data)) => encode(data, output),
                Ok(ConnectionState::ReadTraffic(mut traffic)) => while traffic.next_record().is_some() {},
                _ => return,
            }
        }
    }

    fn keep(&mut self, error: TlsError) -> TlsError {
        log::debug!(target: "websocket::tls", "{error}");
        self.held = Vec::new();
        self.incoming = Incoming::Unwanted;
        self.error = Some(Box::new(error.clone()));
        error
    }

    /// Memory that is held for bytes on their way.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.held.capacity()
    }
}

impl fmt::Debug for TlsSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSession")
            .field("info", &self.info())
            .field("incoming", &self.incoming)
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

fn encode(mut data: EncodeTlsData<'_, ClientConnectionData>, output: &mut TlsOutput) {
    let mut len = 0;
    loop {
        match data.encode(output.room(len)) {
            Ok(written) => return output.filled(written),
            Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size }))
                if required_size > len =>
            {
                len = required_size;
            }
            Err(_) => return,
        }
    }
}
