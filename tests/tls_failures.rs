//! What goes wrong before a `wss` connection is open: each a typed error, in bounded time, and the neighbours do not notice.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;
use std::time::Duration;

use websocket_app::tls::rustls::ServerConfig;
use websocket_app::tls::rustls::version::TLS12;
use websocket_app::tls::{TlsConfigError, TlsOptions, TlsVersion};
use websocket_app::{Error, RunOptions, WebSocketApp};
use websocket_testkit::frame;
use websocket_testkit::server::ScriptedServer;
use websocket_testkit::sim::SimPeer;
use websocket_tests::{
    Authority, Identity, Log, SECURE_URL, SERVER, SecureSimPeer, SecureWorld, Trust, URL, dispatcher,
    neighbour, reactor, run, run_forever, secure_server, serve_identity, serve_versions,
};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// Runs an app against a server that does `script`, beside a neighbour. Returns the app's lines.
fn fails(
    url: &str,
    options: &RunOptions,
    config: &Arc<ServerConfig>,
    script: impl Fn(&mut SecureSimPeer) + 'static,
) -> (Vec<String>, Option<SecureSimPeer>) {
    let mut secure = SecureWorld::new();
    let echoes = neighbour(&mut secure.world);
    let log = Log::new();
    let listener = secure.world.start(log.app(url), options);
    let mut peer = listener.accept().map(|peer| SecureSimPeer::new(peer, config));
    let patience = secure.world.net.elapsed() + 60 * SECOND;
    while log.lines().is_empty() && secure.world.net.elapsed() < patience {
        if let Some(peer) = &mut peer {
            script(peer);
        }
        secure.world.run_for(SECOND / 10);
    }
    let before = echoes.get();
    secure.world.run_for(5 * SECOND);
    assert_eq!(echoes.get(), before + 5, "the neighbour goes on");
    assert_eq!(secure.world.reactor.apps().len(), 1);
    (log.lines(), peer)
}

/// The lines of an attempt that failed like this.
fn failed(with: &str) -> Vec<String> {
    vec![format!("error {with}"), format!("close: {with}")]
}

fn answer(peer: &mut SecureSimPeer) {
    // What the client complains of is read later.
    let _alert = peer.receive();
}

/// Takes what has come and says the same to every client.
fn say(bytes: &'static [u8]) -> impl Fn(&mut SecureSimPeer) {
    move |peer| {
        if !peer.peer.read_available().is_empty() {
            peer.peer.write(bytes);
        }
    }
}

#[test]
fn b206_certificates_that_do_not_serve_are_told_apart_and_the_server_is_told() {
    let trust = Trust::new();
    let named = |authority: &Authority| authority.server_for(&["192.0.2.1"]);
    let cases = [
        (trust.0.expired_server(), "Tls(Certificate(ExpiredContext", "CertificateExpired"),
        (trust.0.server_for(&["other.example"]), "Tls(Certificate(NotValidForNameContext", "BadCertificate"),
        (named(&Authority::new()), "Tls(Certificate(UnknownIssuer))", "UnknownCA"),
    ];
    for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
        for (identity, expected, alert) in &cases {
            let config = Arc::new(serve_identity(identity, None));
            let (lines, peer) = fails(SECURE_URL, &trust.options_for(version), &config, answer);
            assert!(lines[0].starts_with(&format!("error {expected}")), "{lines:?}");
            assert!(lines[1].starts_with(&format!("close: {expected}")), "{lines:?}");
            assert_eq!(lines.len(), 2);
            let told = peer.unwrap().receive().unwrap_err();
            assert_eq!(format!("{told:?}"), format!("AlertReceived({alert})"));
        }
    }
}

#[test]
fn b206_a_self_signed_certificate_is_refused_unless_it_is_named_as_a_root() {
    let trust = Trust::new();
    let identity = Identity::self_signed(&["192.0.2.1"]);
    let config = Arc::new(serve_identity(&identity, None));
    let (lines, _) = fails(SECURE_URL, &trust.options(), &config, answer);
    assert_eq!(lines, failed("Tls(Certificate(UnknownIssuer))"));
    let options = RunOptions::new().tls(trust.tls().roots_from_bytes(&identity.certificate));
    let (lines, _) = fails(SECURE_URL, &options, &config, |peer| {
        answer(peer);
        if let Some((_, response)) = peer.side.seal_response() {
            peer.peer.write(&response);
            peer.write(&frame::close(1000, ""));
            peer.end();
        }
    });
    assert_eq!(lines, ["open", "close 1000, by server, clean"]);
}

#[test]
fn b206_a_server_of_plain_http_is_recognised() {
    let trust = Trust::new();
    let http = say(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
    let (lines, _) = fails(SECURE_URL, &trust.options(), &trust.server(), http);
    assert_eq!(lines, failed("Tls(NotTls { http: true })"));
    let (lines, _) = fails(SECURE_URL, &trust.options(), &trust.server(), say(b"220 smtp ready\r\n"));
    assert_eq!(lines, failed("Tls(NotTls { http: false })"));
}

#[test]
fn b206_a_failure_is_told_once_also_when_the_server_hangs_up_with_it() {
    let trust = Trust::new();
    let answers: [(&[u8], &str); 3] = [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "Tls(NotTls { http: true })"),
        (b"\x15\x03\x03\x00\x02\x02\x46", "Tls(Alert(ProtocolVersion))"),
        (b"\x16\x03\x03\x00\x04\x00\x00\x00\x00", "Tls(Protocol(InappropriateHandshakeMessage"),
    ];
    for (answer, expected) in answers {
        for reset in [false, true] {
            let (lines, _) = fails(SECURE_URL, &trust.options(), &trust.server(), move |peer| {
                peer.peer.write(answer);
                match reset {
                    true => peer.peer.reset(),
                    false => peer.peer.shutdown(),
                }
            });
            assert_eq!(lines.len(), 2, "{lines:?}");
            assert!(lines[0].starts_with(&format!("error {expected}")), "{lines:?}");
        }
    }
}

#[test]
fn a_tls_server_that_is_reached_by_ws_is_recognised() {
    let trust = Trust::new();
    let (lines, _) = fails(URL, &RunOptions::new(), &trust.server(), |peer| {
        answer(peer);
        peer.peer.shutdown();
    });
    assert_eq!(lines, failed("Upgrade(Tls)"));
}

#[test]
fn b206_an_end_anywhere_in_the_handshake_is_told_as_such() {
    let trust = Trust::new();
    for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
        let options = trust.options_for(version);
        for cut in (0..1200).step_by(37) {
            let (lines, _) = fails(SECURE_URL, &options, &trust.server(), move |peer| {
                peer.side.feed(&peer.peer.read_available()).unwrap();
                let flight = peer.side.output();
                let cut = cut.min(flight.len().saturating_sub(300));
                peer.peer.write(&flight[..cut]);
                peer.peer.shutdown();
            });
            assert_eq!(lines, failed("Tls(EndOfHandshake)"), "{version:?}, cut at {cut}");
        }
    }
}

#[test]
fn a_reset_in_the_handshake_is_a_broken_connection() {
    let trust = Trust::new();
    let reset = |peer: &mut SecureSimPeer| peer.peer.reset();
    let (lines, _) = fails(SECURE_URL, &trust.options(), &trust.server(), reset);
    assert_eq!(lines, failed("Io(ConnectionReset)"));
}

#[test]
fn b206_a_handshake_that_stalls_anywhere_ends_after_its_timeout() {
    let trust = Trust::new();
    let options = trust.options().tls_timeout(7 * SECOND).attempt_timeout(60 * SECOND);
    // Nothing; half a header; half a flight; a flight whose answer the server leaves at that.
    for bytes in [0, 3, 200, usize::MAX] {
        for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
            let options = options.clone().tls(trust.tls().versions([version]));
            let mut secure = SecureWorld::new();
            let echoes = neighbour(&mut secure.world);
            let log = Log::new();
            let listener = secure.world.start(log.app(SECURE_URL), &options);
            let begun = secure.world.net.elapsed();
            let mut peer = SecureSimPeer::new(listener.accept().unwrap(), &trust.server());
            // Of another name: the flight would be refused if it were whole.
            peer.side.feed(&peer.peer.read_available()).unwrap();
            let flight = peer.side.output();
            let bytes = bytes.min(flight.len() - 100);
            peer.peer.write(&flight[..bytes]);
            secure.world.run_until(begun + 7 * SECOND - MS);
            assert_eq!(log.lines(), [""; 0]);
            secure.world.run_until(begun + 7 * SECOND);
            assert_eq!(log.lines(), failed("Timeout(Tls)"));
            assert!(peer.peer.ended().is_some());
            assert!(echoes.get() >= 6, "the neighbour goes on");
        }
    }
}

#[test]
fn b206_the_timeout_of_the_whole_attempt_counts_too() {
    let trust = Trust::new();
    let mut secure = SecureWorld::new();
    let log = Log::new();
    let options = trust.options().attempt_timeout(3 * SECOND);
    secure.world.start(log.app(SECURE_URL), &options);
    secure.world.run_until(3 * SECOND);
    assert_eq!(log.lines(), failed("Timeout(Attempt)"));
}

#[test]
fn a_handshake_can_be_closed_and_stopped() {
    for stop in [false, true] {
        let (mut secure, log) = (SecureWorld::new(), Log::new());
        let mut app = log.app(SECURE_URL);
        let sender = app.sender();
        let listener = secure.start(app);
        let peer: SimPeer = listener.accept().unwrap();
        match stop {
            true => secure.world.reactor.apps().stop(),
            false => sender.close(),
        }
        secure.world.settle();
        let by = if stop { "close" } else { "close, by client" };
        assert_eq!(log.lines(), [by]);
        assert!(peer.ended().is_some());
        assert!(secure.world.reactor.apps().is_empty());
    }
}

#[test]
fn b206_nothing_in_common_is_a_tls_error() {
    let trust = Trust::new();
    let identity = trust.0.server_for(&["192.0.2.1"]);
    let usual = Arc::new(serve_identity(&identity, None));
    let old = Arc::new(serve_versions(&identity, &[&TLS12]));
    let newest = trust.options_for(TlsVersion::Tls13);
    let (lines, _) = fails(SECURE_URL, &newest, &old, answer);
    assert_eq!(lines, failed("Tls(Alert(ProtocolVersion))"));
    let h2 = RunOptions::new().tls(trust.tls().alpn(["h2"]));
    let (lines, _) = fails(SECURE_URL, &h2, &usual, answer);
    assert_eq!(lines, failed("Tls(Alert(NoApplicationProtocol))"));
}

#[test]
fn b201_a_server_that_misses_a_client_certificate_is_understood() {
    let trust = Trust::new();
    let config = Arc::new(serve_identity(&trust.0.server_for(&["192.0.2.1"]), Some(&Authority::new())));
    // TLS 1.3 says so when the handshake is complete for the client and the request is on its way.
    for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
        let (lines, _) = fails(SECURE_URL, &trust.options_for(version), &config, answer);
        assert_eq!(lines, failed("Tls(Alert(CertificateRequired))"));
    }
}

#[test]
fn b201_options_that_cannot_work_are_refused_before_any_io() {
    let mut secure = SecureWorld::new();
    let listener = secure.world.net.listen(SERVER);
    let options = RunOptions::new().tls(TlsOptions::new().roots_from_file("no/such/file"));
    let refused = WebSocketApp::new(SECURE_URL).run_on(&mut secure.world.reactor, &options).unwrap_err();
    assert!(matches!(refused, Error::TlsOptions(TlsConfigError::Unreadable { .. })), "{refused:?}");
    let refused = WebSocketApp::new(SECURE_URL).run_forever_on(dispatcher(), &options).unwrap_err();
    assert!(matches!(refused, Error::TlsOptions(_)));
    secure.world.settle();
    assert!(listener.accept().is_none());
    // A plain connection asks nothing of them.
    WebSocketApp::new(URL).run_on(&mut secure.world.reactor, &options).unwrap();
}

#[test]
fn a_refused_upgrade_is_told_with_its_status() {
    let trust = Trust::new();
    let server = secure_server(&trust.server(), |peer, _| {
        peer.handshake().unwrap();
        while peer.side.request().is_none() {
            peer.receive().unwrap().unwrap();
        }
        peer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nno.\n");
    });
    let log = Log::new();
    let url = format!("wss://{}/", server.addr());
    run_forever(&mut log.app(url), &trust.options()).unwrap().into_result().unwrap_err();
    assert_eq!(log.lines(), failed("Upgrade(Status 403)"));
    server.join();
}

#[test]
fn a_failed_handshake_is_tried_again_if_that_may_help_and_else_is_not() {
    let trust = Trust::new();
    // Hangs up in the handshake once, then is a stranger.
    let stranger = Arc::new(serve_identity(&Authority::new().server(), None));
    let server = ScriptedServer::start(move |mut peer| {
        if peer.index() == 0 {
            peer.read_exact(1);
            peer.shutdown();
            peer.read_to_end();
        } else {
            let mut secure = websocket_tests::SecurePeer::new(peer.stream(), &stranger);
            secure.handshake().unwrap_err();
        }
    })
    .unwrap();
    let log = Log::new();
    let mut reactor = reactor();
    let app = log.app(format!("wss://{}/", server.addr()));
    app.run_on(&mut reactor, &trust.options().reconnect(MS)).unwrap();
    run(&mut reactor);
    let lines = log.lines();
    assert_eq!(lines[..2], ["error Tls(EndOfHandshake)", "close: Tls(EndOfHandshake), retry in 1ms"]);
    assert_eq!(lines[2..], failed("Tls(Certificate(UnknownIssuer))"));
    server.join();
}

#[test]
fn b206_what_went_wrong_is_said_in_words() {
    let trust = Trust::new();
    let log = Log::new();
    let told = log.clone();
    let config = Arc::new(serve_identity(&Authority::new().server(), None));
    let server = secure_server(&config, |peer, _| drop(peer.handshake()));
    let mut app = WebSocketApp::new(format!("wss://{}/", server.addr())).on_error(move |_, error| {
        // All of it is in the text.
        assert!(std::error::Error::source(error).is_none());
        told.push(error.to_string());
    });
    run_forever(&mut app, &trust.options()).unwrap().into_result().unwrap_err();
    assert!(log.lines()[0].contains("its issuer is unknown"), "{:?}", log.lines());
}
