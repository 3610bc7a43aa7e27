//! What stands in for TLS in a build without it, where `wss` is refused before any I/O.

use std::io;
use std::ops::ControlFlow;
use std::time::Instant;

use websocket_connection::{Connection, Env};
use websocket_dispatcher::Io;
use websocket_link::proxy::Proxy;

use super::wire::Written;
use crate::address::Target;
use crate::error::Error;
use crate::options::ConnectOptions;

pub(crate) type Scratch = ();

/// There is none.
pub(crate) enum Secure {}

#[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "the same signatures as with TLS")]
impl Secure {
    pub(crate) fn begin(
        _: &ConnectOptions,
        _: &Target,
        _: bool,
        _: Instant,
    ) -> Result<Option<Box<Self>>, Error> {
        Ok(None)
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match *self {}
    }

    pub(crate) fn restore(&mut self, _: &mut [u8]) -> usize {
        match *self {}
    }

    pub(crate) fn has_ended(&self) -> bool {
        match *self {}
    }

    pub(crate) fn end_of_stream(&self) -> Result<(), Error> {
        match *self {}
    }

    pub(crate) fn put_back(&mut self, _: &mut [u8]) {
        match *self {}
    }

    pub(crate) fn receive(
        &mut self,
        _: &mut [u8],
        _: impl FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        match *self {}
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        match *self {}
    }

    pub(crate) fn has_output(&self) -> bool {
        match *self {}
    }

    pub(super) fn write_all(
        &mut self,
        _: &mut Connection,
        _: &mut Io,
        _: &mut Env,
        _: &mut Scratch,
    ) -> Written {
        match *self {}
    }

    pub(crate) fn say_goodbye(&mut self, _: &mut Io) {
        match *self {}
    }
}

/// There is none with a proxy either.
pub(crate) enum ProxyTls {}

impl ProxyTls {
    /// Refuses a proxy that speaks TLS.
    pub(crate) fn begin(_: &ConnectOptions, proxy: &Proxy) -> Result<Option<Self>, Error> {
        if proxy.is_tls() {
            let source = io::Error::new(
                io::ErrorKind::Unsupported,
                "https proxies need TLS, which is not in this build",
            );
            return Err(Error::ProxyStream { proxy: proxy.to_string(), source });
        }
        Ok(None)
    }

    pub(crate) fn over(self, _: Io) -> Io {
        match self {}
    }
}
