//! The user's code that panics inside a dial: hanging up still leaves nothing behind.

use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
#[cfg(unix)]
use std::path::Path;

use websocket_dispatcher::Stream;
use websocket_link::{Answer, Connector, Query, Resolver, SocketOptions};

use super::steps::{PROXY, Wait};
use super::*;
use crate::challenge::Challenge;

const BOOM: &str = "this panic belongs to the test";

fn boom<T>() -> T {
    panic!("{BOOM}")
}

/// Panics when it is asked for this address or name; everything else goes to the simulated network.
struct Panicking<T> {
    inner: T,
    at: &'static str,
}

impl Connector for Panicking<SimNet> {
    fn connect(&mut self, address: SocketAddr, options: &SocketOptions) -> io::Result<Io> {
        if address.ip().to_string() == self.at { boom() } else { self.inner.connect(address, options) }
    }

    #[cfg(unix)]
    fn connect_unix(&mut self, _: &Path) -> io::Result<Io> {
        boom()
    }
}

impl Resolver for Panicking<SimResolver> {
    fn resolve(&mut self, query: Query, answer: Answer) {
        if query.host == self.at { boom() } else { self.inner.resolve(query, answer) }
    }
}

/// What a stream panics in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum When {
    Asked,
    Read,
    Written,
    Flushed,
    Dropped,
}

/// A stream of the simulated network that panics.
struct Touchy {
    inner: Io,
    when: When,
}

impl Touchy {
    fn check(&self, when: When) {
        if self.when == when {
            boom()
        }
    }
}

impl Stream for Touchy {
    fn connected(&mut self) -> io::Result<bool> {
        self.check(When::Asked);
        self.inner.connected()
    }

    fn inner(&self) -> Option<&Io> {
        Some(&self.inner)
    }

    fn inner_mut(&mut self) -> Option<&mut Io> {
        Some(&mut self.inner)
    }
}

impl Read for Touchy {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.check(When::Read);
        self.inner.read(buffer)
    }
}

impl Write for Touchy {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.check(When::Written);
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.check(When::Flushed);
        self.inner.flush()
    }
}

impl Drop for Touchy {
    fn drop(&mut self) {
        // A test that fails unwinds through here, too.
        if !std::thread::panicking() {
            self.check(When::Dropped);
        }
    }
}

/// Makes every stream touchy.
struct Touching(SimNet, When);

impl Connector for Touching {
    fn connect(&mut self, address: SocketAddr, options: &SocketOptions) -> io::Result<Io> {
        let inner = self.0.connect(address, options)?;
        Ok(Io::custom(Touchy { inner, when: self.1 }))
    }

    #[cfg(unix)]
    fn connect_unix(&mut self, _: &Path) -> io::Result<Io> {
        self.connect(address(1), &SocketOptions::default())
    }
}

/// Functions of which the one with this name panics. Only a name that is there is called.
fn functions(name: &str) -> Functions {
    let mut functions = Functions::default();
    match name {
        "url" => functions.url = Some(Box::new(boom)),
        "headers" => functions.headers = Some(Box::new(boom)),
        "subprotocols" => functions.subprotocols = Some(Box::new(boom)),
        "socket" => functions.socket = Some(Box::new(boom)),
        "authorize" => functions.authorize = Some(Box::new(|_: &Challenge<'_>| boom())),
        _ => unreachable!(),
    }
    functions
}

/// Checks that this panics, and that nothing is left when the dial is hung up then.
#[track_caller]
fn assert_panics(mut rig: Rig, step: impl FnOnce(&mut Rig) -> Progress) {
    let panic = catch_unwind(AssertUnwindSafe(|| step(&mut rig))).map(drop).expect_err("it panics");
    assert_eq!(crate::panics::panic_message(&*panic), BOOM);
    rig.assert_leaves_nothing();
}

#[test]
fn functions_of_the_user_that_panic_leave_nothing_behind() {
    for name in ["url", "headers", "subprotocols", "socket"] {
        for url in [BY_ADDRESS, BY_NAME] {
            let rig = Rig::new(url, &options(None)).with_name(&[1]).with_functions(functions(name));
            assert_panics(rig, |rig| rig.begin_and_run_until(SECOND));
        }
    }
    // When the turn of the connection has come.
    for name in ["headers", "subprotocols", "socket"] {
        for wait in [Wait::ToConnect, Wait::ToConnectByName] {
            let mut rig = wait.rig(&wait.options());
            rig.plan.set_functions(functions(name));
            rig.give_places_back();
            assert_panics(rig, |rig| rig.run_until(SECOND));
        }
    }
}

#[test]
fn a_resolver_that_panics_leaves_nothing_behind() {
    for (wait, at) in [
        (Wait::ForName, NAME),
        (Wait::ForProxyName, "proxy.test"),
        (Wait::ForNameBehindProxy, NAME),
        (Wait::ToAsk, NAME),
    ] {
        let mut rig = Rig::new(BY_NAME, &wait.options());
        rig.links.resolver = Box::new(Panicking { inner: rig.resolver.clone(), at });
        if wait == Wait::ToAsk {
            rig.take_all_names();
            waiting(rig.begin());
            rig.give_places_back();
            assert_panics(rig, |rig| rig.run_until(SECOND));
        } else {
            assert_panics(rig, Rig::begin);
        }
    }
}

#[test]
fn a_connector_that_panics_leaves_nothing_behind() {
    let panicking = |rig: &mut Rig, at| {
        rig.links.connector = Box::new(Panicking { inner: rig.net.clone(), at });
    };
    for (url, proxy, at) in [
        (BY_ADDRESS, None, "192.0.2.1"),
        (BY_NAME, None, "192.0.2.1"),
        (BY_NAME, Some("http://192.0.2.9:3128"), "192.0.2.9"),
        // The second address, while the first is under way.
        (BY_NAME, None, "192.0.2.2"),
        #[cfg(unix)]
        ("ws+unix:/run/server.sock", None, ""),
    ] {
        let mut rig = Rig::new(url, &options(proxy)).with_name(&[1, 2]);
        rig.net.black_hole(address(1));
        panicking(&mut rig, at);
        assert_panics(rig, |rig| rig.begin_and_run_until(SECOND));
    }
    // At the second address, when its turn has come.
    for wait in [Wait::ForServerAndToRace, Wait::ToRace] {
        let mut rig = wait.rig_with(&wait.options(), |rig| panicking(rig, "192.0.2.2"));
        rig.links.connections.set_max_total(2);
        rig.give_places_back();
        assert_panics(rig, |rig| rig.run_until(SECOND));
    }
}

#[test]
fn answers_to_challenges_that_panic_leave_nothing_behind() {
    let wait = Wait::ForHttpTunnel;
    // On a stream that is kept, and on one that is not.
    for framing in ["Content-Length: 0\r\n", ""] {
        let mut rig = Rig::new(BY_NAME, &wait.options()).with_functions(functions("authorize"));
        rig.net.serve_arrivals(PROXY, move |peer| {
            if !peer.read_available().is_empty() {
                let head = "HTTP/1.1 407 Who\r\nProxy-Authenticate: Bearer\r\n";
                peer.write(format!("{head}{framing}\r\n").as_bytes());
            }
        });
        waiting(rig.begin());
        assert_panics(rig, |rig| rig.run_until(SECOND));
    }
}

#[test]
fn streams_that_panic_while_they_connect_or_ask_a_proxy_leave_nothing_behind() {
    for when in [When::Asked, When::Read, When::Written, When::Flushed] {
        let wait = Wait::ForHttpTunnel;
        let mut rig = Rig::new(BY_NAME, &wait.options());
        drop(rig.net.listen(PROXY));
        rig.links.connector = Box::new(Touching(rig.net.clone(), when));
        assert_panics(rig, |rig| rig.begin_and_run_until(SECOND));
    }
}

#[test]
fn streams_that_panic_when_they_are_dropped_are_given_back_all_the_same() {
    let touching = |rig: &mut Rig| {
        rig.links.connector = Box::new(Touching(rig.net.clone(), When::Dropped));
    };
    for wait in
        [Wait::ForServer, Wait::ForRace, Wait::ForServerAndToRace, Wait::ForProxy, Wait::ForHttpTunnel]
    {
        // Hung up, and out of time.
        let mut rig = wait.rig_with(&wait.options(), touching);
        rig.assert_leaves_nothing();
        let mut rig = wait.rig_with(&wait.options(), touching);
        drop(failure(rig.run_until(HOUR)));
        rig.assert_leaves_nothing();
    }
    // Refused, and beaten by another one.
    let mut rig = Wait::ToRace.rig_with(&options(None), touching);
    rig.assert_leaves_nothing();
    let mut rig = Rig::new(BY_NAME, &options(None)).with_name(&[1, 2]);
    touching(&mut rig);
    rig.net.black_hole(address(1));
    drop(rig.net.listen(address(2)));
    let arrived = arrival(rig.begin_and_run_until(SECOND));
    assert_eq!(rig.dispatcher.registrations(), 1);
    rig.net().unwatch(arrived.wire);
    rig.assert_leaves_nothing();
    // Refused by the proxy.
    let mut rig = Rig::new(BY_NAME, &Wait::ForHttpTunnel.options());
    touching(&mut rig);
    rig.net.serve_arrivals(PROXY, |peer| peer.write(b"nonsense"));
    drop(failure(rig.begin_and_run_until(SECOND)));
    rig.assert_leaves_nothing();
}

/// Sessions of the user's that are never remembered: asking for one panics.
#[cfg(feature = "tls")]
mod tls {
    use websocket_link::tls::rustls::client::{
        ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue,
    };
    use websocket_link::tls::rustls::crypto::ring::default_provider;
    use websocket_link::tls::rustls::pki_types::ServerName;
    use websocket_link::tls::rustls::{ClientConfig, NamedGroup, RootCertStore};

    use super::*;

    #[derive(Debug)]
    struct Store;

    impl ClientSessionStore for Store {
        fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {}

        fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
            boom()
        }

        fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}

        fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
            boom()
        }

        fn remove_tls12_session(&self, _: &ServerName<'static>) {}

        fn insert_tls13_ticket(&self, _: ServerName<'static>, _: Tls13ClientSessionValue) {}

        fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
            boom()
        }
    }

    #[test]
    fn a_session_store_that_panics_on_the_way_to_a_proxy_leaves_nothing_behind() {
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let mut config = builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
        config.resumption = Resumption::store(Arc::new(Store));
        let run = options(Some("https://192.0.2.9:3128")).tls(Arc::new(config));
        let mut rig = Rig::new(BY_NAME, &run);
        drop(rig.net.listen(PROXY));
        waiting(rig.begin());
        assert_panics(rig, |rig| rig.run_until(SECOND));
    }
}
