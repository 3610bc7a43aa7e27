//! What stands in for TLS in a build without it, where `wss` is refused before any I/O.

use std::io;
use std::time::Instant;

use websocket_connection::{Connection, Env};
use websocket_dispatcher::Io;
use websocket_link::proxy::Proxy;

use super::AppId;
use super::app::{App, Control};
use super::attempt::Attempt;
use super::drive::Driver;
use crate::Error;
use crate::options::Way;

pub(super) type Shared = ();

/// There is none.
pub(super) enum Secure {}

#[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "the same signatures as with TLS")]
impl Secure {
    pub(super) fn begin(_: &Way, _: &Attempt, _: Instant) -> Result<Option<Box<Self>>, Error> {
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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;
    use std::time::Duration;

    use websocket_testkit::sim::SimNet;

    use crate::{Error, Reactor, RunOptions, UrlError, WebSocketApp};

    #[test]
    fn b207_a_redirect_to_wss_is_refused_and_never_followed_in_the_clear() {
        let net = SimNet::new(1);
        net.serve("192.0.2.1:80".parse().unwrap(), |peer| {
            if peer.read_request().is_some() {
                peer.write(b"HTTP/1.1 302 Found\r\nLocation: wss://192.0.2.1/\r\nContent-Length: 0\r\n\r\n");
            }
        });
        let reactor = Reactor::with_dispatcher(net.dispatcher()).unwrap();
        let mut reactor = reactor.connector(net.clone());
        let errors = Rc::new(RefCell::new(Vec::new()));
        let told = errors.clone();
        let app = WebSocketApp::new("ws://192.0.2.1/").on_error(move |_, error| {
            told.borrow_mut().push(matches!(error, Error::Url(UrlError::TlsUnavailable)));
        });
        app.run_on(&mut reactor, &RunOptions::new()).unwrap();
        for _ in 0..20 {
            reactor.poll(Some(Duration::ZERO)).unwrap();
        }
        assert_eq!(net.attempts().len(), 1);
        assert_eq!(*errors.borrow(), [true]);
    }
}
