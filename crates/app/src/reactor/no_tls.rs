//! What stands in for TLS in a build without it, where `wss` is refused before any I/O.

use std::io;
use std::time::Instant;

use websocket_connection::{Connection, Env};
use websocket_dispatcher::Io;
use websocket_link::proxy::Proxy;

use super::AppId;
use super::app::{App, Control};
use super::drive::Driver;
use crate::Error;
use crate::address::Target;
use crate::options::Way;

pub(super) type Shared = ();

/// There is none.
pub(super) enum Secure {}

#[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "the same signatures as with TLS")]
impl Secure {
    pub(super) fn begin(_: &Way, _: &Target, _: Instant) -> Result<Option<Box<Self>>, Error> {
        Ok(None)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match *self {}
    }

    pub(super) fn restore(&mut self, _: &mut [u8]) -> usize {
        match *self {}
    }

    pub(super) fn has_ended(&self) -> bool {
        match *self {}
    }

    pub(super) fn end_of_stream(&self) -> Result<(), Error> {
        match *self {}
    }

    pub(super) fn write_all(
        &mut self,
        _: &mut Control,
        _: &mut Connection,
        _: &mut Io,
        _: &mut Env,
        _: &mut Shared,
    ) -> io::Result<bool> {
        match *self {}
    }

    pub(super) fn say_goodbye(&mut self, _: &mut Io) {
        match *self {}
    }
}

/// Refuses a proxy that speaks TLS.
pub(super) fn to_proxy(_: &Way, proxy: &Proxy, io: Io) -> Result<Io, (Io, Error)> {
    if proxy.is_tls() {
        let source =
            io::Error::new(io::ErrorKind::Unsupported, "https proxies need TLS, which is not in this build");
        return Err((io, Error::ProxyStream { proxy: proxy.to_string(), source }));
    }
    Ok(io)
}

impl Driver<'_> {
    pub(super) fn deliver_secure(&mut self, _: &mut App, _: AppId, _: usize) {}
}
