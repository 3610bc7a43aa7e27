//! From a stream to a proxy to one that leads through it.

use std::io::{self, Read as _, Write as _};
use std::ops::Range;
use std::time::{Duration, Instant};

use websocket_dispatcher::{Interest, Key};
use websocket_link::proxy::{Handshake, ProxyFailure};

use super::attempt::Via;
use super::net::Net;
use crate::error::Error;
use crate::live::{ProxyTls, Wire};
use crate::plan::Plan;
use crate::schedule::later;

/// The longest wait for the body of a 407 once its head is there. It is read only so that the stream can be kept.
const BODY_WAIT: Duration = Duration::from_millis(500);

/// A stream on which a proxy is asked for a tunnel.
pub(super) struct Tunnel {
    pub(super) wire: Wire,
    handshake: Handshake,
    deadline: Instant,
    /// By when the body of a 407 must have come.
    body_deadline: Option<Instant>,
    /// The stream has carried another request.
    reused: bool,
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
    pub(super) fn new(via: &Via, plan: &Plan) -> Result<Self, Error> {
        let handshake = handshake(via, plan)?;
        let tls = ProxyTls::begin(&plan.options.connect, &via.proxy)?;
        Ok(Self { handshake, tls, proxy: via.proxy.to_string() })
    }
}

/// Begins to ask a proxy. Bodies are read only if the stream may be needed for an answer to its challenge.
fn handshake(via: &Via, plan: &Plan) -> Result<Handshake, Error> {
    let mut handshake = Handshake::new(&via.proxy, &via.destination).map_err(Error::Proxy)?;
    if plan.can_authorize() {
        handshake.read_body(plan.config().max_error_body);
    }
    Ok(handshake)
}

impl Tunnel {
    /// Asks the proxy at the other end of `wire` for a tunnel.
    pub(super) fn new(mut wire: Wire, preparation: Preparation, deadline: Instant) -> Self {
        let Preparation { handshake, tls, proxy } = preparation;
        if let Some(tls) = tls {
            wire.io = tls.over(wire.io);
        }
        Self { wire, handshake, deadline, body_deadline: None, reused: false, proxy }
    }

    /// Asks again on the same stream, within the same time.
    ///
    /// # Errors
    /// Why the proxy cannot be asked.
    pub(super) fn ask_again(&mut self, via: &Via, plan: &Plan) -> Result<(), Error> {
        self.handshake = handshake(via, plan)?;
        self.body_deadline = None;
        self.reused = true;
        Ok(())
    }

    /// Whether the proxy can be asked again on this stream.
    pub(super) const fn can_ask_again(&self) -> bool {
        self.handshake.keeps_stream()
    }

    /// Whether `failure` is only that of a stream which the proxy could have kept and has not, so that the same request can be
    /// sent on another (RFC 9112 section 9.3.1).
    pub(super) fn is_unanswered(&self, failure: &Error) -> bool {
        self.reused
            && match failure {
                Error::ProxyStream { .. } => true,
                Error::Proxy(error) => error.failure == ProxyFailure::EndOfStream,
                _ => false,
            }
    }

    /// By when the proxy must have answered.
    pub(super) fn due(&self) -> Instant {
        self.body_deadline.map_or(self.deadline, |body| body.min(self.deadline))
    }

    /// The time is up. Returns the refusal whose body alone is missing, if there is one.
    pub(super) fn take_refusal(&mut self) -> Option<Error> {
        self.handshake.is_refused().then(|| Error::Proxy(self.handshake.end_of_stream()))
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
                if self.handshake.is_refused() {
                    self.body_deadline.get_or_insert_with(|| later(net.now(), BODY_WAIT));
                }
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
