//! From a stream to a proxy to one that leads through it.

use std::io::{self, Read as _, Write as _};
use std::ops::Range;
use std::time::Instant;

use websocket_dispatcher::{Interest, Key};
use websocket_link::proxy::Handshake;

use super::attempt::Via;
use super::net::Net;
use crate::error::Error;
use crate::live::{ProxyTls, Wire};
use crate::options::ConnectOptions;

/// A stream on which a proxy is asked for a tunnel.
pub(super) struct Tunnel {
    pub(super) wire: Wire,
    handshake: Handshake,
    pub(super) deadline: Instant,
    /// The proxy, as `scheme://host:port`.
    proxy: String,
}

/// How far the conversation with the proxy has come.
enum Talk {
    /// The stream has to become ready for this first.
    Wait(Interest),
    /// The tunnel is there; this range of the buffer came through it.
    Done(Range<usize>),
}

/// What is needed to ask a proxy, made before there is a stream to ask it on: it may call the user's code.
pub(super) struct Preparation {
    handshake: Handshake,
    tls: Option<ProxyTls>,
    proxy: String,
}

impl Preparation {
    /// # Errors
    /// Why the proxy cannot be asked.
    pub(super) fn new(via: &Via, options: &ConnectOptions) -> Result<Self, Error> {
        let handshake = Handshake::new(&via.proxy, &via.destination).map_err(Error::Proxy)?;
        let tls = ProxyTls::begin(options, &via.proxy)?;
        Ok(Self { handshake, tls, proxy: via.proxy.to_string() })
    }
}

impl Tunnel {
    /// Asks the proxy at the other end of `wire` for a tunnel.
    pub(super) fn new(mut wire: Wire, preparation: Preparation, deadline: Instant) -> Self {
        let Preparation { handshake, tls, proxy } = preparation;
        if let Some(tls) = tls {
            wire.io = tls.over(wire.io);
        }
        Self { wire, handshake, deadline, proxy }
    }

    /// Continues the conversation. `Some` when the tunnel is there: this range of the buffer came through it.
    ///
    /// # Errors
    /// Why there is no tunnel.
    pub(super) fn ready(&mut self, key: Key, net: &mut Net<'_>) -> Result<Option<Range<usize>>, Error> {
        if self.wire.key != key {
            return Ok(None);
        }
        match self.talk(net.buffer)? {
            Talk::Wait(interest) => {
                self.wire.watch_for(interest, net.dispatcher).map_err(Error::Io)?;
                Ok(None)
            }
            Talk::Done(range) => Ok(Some(range)),
        }
    }

    /// Converses until the stream has to become ready.
    fn talk(&mut self, buffer: &mut [u8]) -> Result<Talk, Error> {
        let Self { wire: Wire { io, .. }, handshake, proxy, .. } = self;
        let broken = |source: io::Error| Error::ProxyStream { proxy: proxy.clone(), source };
        let blocked = |error: &io::Error| error.kind() == io::ErrorKind::WouldBlock;
        if !io.connected().map_err(broken)? {
            // TLS with the proxy is under way.
            return Ok(Talk::Wait(io.connecting_interest()));
        }
        loop {
            while !handshake.output().is_empty() {
                match io.write(handshake.output()) {
                    Ok(0) => return Err(broken(io::ErrorKind::WriteZero.into())),
                    Ok(len) => handshake.wrote(len),
                    Err(error) if blocked(&error) => return Ok(Talk::Wait(Interest::ReadWrite)),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(broken(error)),
                }
            }
            match io.flush() {
                Err(error) if blocked(&error) => return Ok(Talk::Wait(Interest::ReadWrite)),
                flushed => flushed.map_err(broken)?,
            }
            match io.read(buffer) {
                Ok(0) => return Err(Error::Proxy(handshake.end_of_stream())),
                Ok(len) => {
                    let progress = handshake.receive(&buffer[..len]).map_err(Error::Proxy)?;
                    if progress.done {
                        return Ok(Talk::Done(progress.used..len));
                    }
                }
                Err(error) if blocked(&error) => return Ok(Talk::Wait(Interest::Read)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(broken(error)),
            }
        }
    }
}
