//! TLS below the floor's frames.

use std::io::{Read, Write};
use std::net;
use std::sync::Arc;

use mio::net::TcpStream;
use mio::{Interest, Poll, Token};
use rustls::ClientConfig;
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::unbuffered::{ConnectionState, UnbufferedStatus};
use websocket_bench::contract::Task;
use websocket_bench::{Result, upgrade};

/// More than a flight of ours takes, which has no certificate in it.
const FLIGHT: usize = 4096;

/// A session on its way to the upgrade.
pub(crate) struct Opening {
    tls: UnbufferedClientConnection,
    /// What is sent when the session is open; then empty.
    request: String,
    early: Vec<u8>,
}

impl Opening {
    pub(crate) fn new(task: &Task, config: &Arc<ClientConfig>) -> Result<Self> {
        let name = ServerName::IpAddress(task.addr.ip().into());
        let tls = UnbufferedClientConnection::new(config.clone(), name)?;
        Ok(Self { tls, request: upgrade::request(task), early: Vec::new() })
    }

    /// Handles what is whole at the front of `buffer`, as [`pump`] does, and answers; true when the upgrade has succeeded.
    pub(crate) fn step(
        &mut self,
        buffer: &mut [u8],
        filled: &mut usize,
        stream: &mut impl Write,
    ) -> Result<bool> {
        let early = &mut self.early;
        let mut decrypt = |plaintext: &[u8]| {
            early.extend_from_slice(plaintext);
            Ok(())
        };
        let open =
            pump(&mut self.tls, buffer, filled, &mut decrypt, &mut |bytes| Ok(stream.write_all(bytes)?))?;
        if open && !self.request.is_empty() {
            let mut sealed = [0; FLIGHT];
            let size = seal(&mut self.tls, self.request.as_bytes(), &mut sealed)?;
            stream.write_all(&sealed[..size])?;
            self.request.clear();
        }
        let head = upgrade::response(&self.early)?;
        self.early.drain(..head.unwrap_or_default());
        Ok(head.is_some())
    }
}

/// An upgraded connection.
pub(crate) struct Session {
    pub(crate) stream: net::TcpStream,
    pub(crate) tls: UnbufferedClientConnection,
    /// Ciphertext at the front of the buffer.
    pub(crate) filled: usize,
    /// Plaintext behind the response.
    pub(crate) early: Vec<u8>,
}

impl Session {
    /// Connects, shakes hands and upgrades, blocking.
    pub(crate) fn open(task: &Task, config: &Arc<ClientConfig>, buffer: &mut [u8]) -> Result<Self> {
        let mut stream = net::TcpStream::connect(task.addr)?;
        stream.set_nodelay(true)?;
        let mut opening = Opening::new(task, config)?;
        let mut filled = 0;
        while !opening.step(buffer, &mut filled, &mut stream)? {
            match stream.read(&mut buffer[filled..])? {
                0 => return Err("the server ended before its response did".into()),
                more => filled += more,
            }
        }
        Ok(Self { stream, tls: opening.tls, filled, early: opening.early })
    }
}

/// Makes a stream non-blocking and registers it.
pub(crate) fn watch(stream: net::TcpStream, poll: &Poll, token: Token) -> Result<TcpStream> {
    stream.set_nonblocking(true)?;
    let mut stream = TcpStream::from_std(stream);
    poll.registry().register(&mut stream, token, Interest::READABLE)?;
    Ok(stream)
}

/// Handles all that is whole at the front of `buffer` and moves the rest there; true when data can be sent.
pub(crate) fn pump(
    tls: &mut UnbufferedClientConnection,
    buffer: &mut [u8],
    filled: &mut usize,
    decrypt: &mut impl FnMut(&[u8]) -> Result<()>,
    send: &mut impl FnMut(&[u8]) -> Result<()>,
) -> Result<bool> {
    let mut used = 0;
    let open = loop {
        let UnbufferedStatus { mut discard, state } = tls.process_tls_records(&mut buffer[used..*filled]);
        let open = match state? {
            ConnectionState::ReadTraffic(mut traffic) => {
                while let Some(record) = traffic.next_record() {
                    let record = record?;
                    discard += record.discard;
                    decrypt(record.payload)?;
                }
                None
            }
            ConnectionState::EncodeTlsData(mut data) => {
                let mut flight = [0; FLIGHT];
                let size = data.encode(&mut flight)?;
                send(&flight[..size])?;
                None
            }
            ConnectionState::TransmitTlsData(data) => {
                data.done();
                None
            }
            ConnectionState::WriteTraffic(_) => Some(true),
            ConnectionState::BlockedHandshake => Some(false),
            other => return Err(format!("no place for {other:?}").into()),
        };
        used += discard;
        if let Some(open) = open {
            break open;
        }
    };
    buffer.copy_within(used..*filled, 0);
    *filled -= used;
    Ok(open)
}

/// Encrypts into `sealed` and returns the size.
pub(crate) fn seal(
    tls: &mut UnbufferedClientConnection,
    plaintext: &[u8],
    sealed: &mut [u8],
) -> Result<usize> {
    match tls.process_tls_records(&mut []).state? {
        ConnectionState::WriteTraffic(mut traffic) => Ok(traffic.encrypt(plaintext, sealed)?),
        other => Err(format!("no place for {other:?}").into()),
    }
}
