//! `ws` where a server expects TLS: the error says that the URL may have to begin with `wss`.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use websocket_app::link::proxy::Proxy;
use websocket_app::{Error, RunOptions, UpgradeError};
use websocket_testkit::server::{Peer, ScriptedServer};
use websocket_tests::{Authority, Log, run_forever, secure_server, serve_identity};

/// How connecting to `url` fails, and what a `main` that returns the error prints.
#[track_caller]
fn failure(url: &str, options: &RunOptions) -> (Error, String) {
    let outcome = run_forever(&mut Log::new().app(url), options).unwrap();
    let error = outcome.into_result().unwrap_err();
    let printed = format!("{error:?}");
    (error, printed)
}

fn ws(address: SocketAddr) -> String {
    format!("ws://{address}/")
}

/// How connecting to a server without TLS fails that does this.
#[track_caller]
fn failure_of(script: impl Fn(Peer) + Send + Sync + 'static) -> (Error, String) {
    failure(&ScriptedServer::start(script).unwrap().url(), &RunOptions::new())
}

#[test]
fn a_tls_server_is_recognised_by_its_answer() {
    let config = Arc::new(serve_identity(&Authority::new().server(), None));
    let server = secure_server(&config, |peer, _| assert!(peer.handshake().is_err()));
    let (error, printed) = failure(&ws(server.addr()), &RunOptions::new());
    assert!(matches!(error, Error::Upgrade(UpgradeError::Tls)), "{printed}");
    assert!(
        printed.ends_with("the server answers in TLS on this port; use wss:// rather than ws://"),
        "{printed}"
    );
}

#[test]
fn an_alert_is_recognised_at_every_cut_also_before_a_reset() {
    for cut in 0..7 {
        for reset in [false, true] {
            let (error, printed) = failure_of(move |mut peer| {
                peer.read_request();
                let (first, second) = b"\x15\x03\x01\x00\x02\x02\x46".split_at(cut);
                peer.write(first);
                // The client may have gone by now.
                let _ = peer.try_write(second);
                if reset {
                    peer.reset();
                }
            });
            // Some systems drop what came before a reset.
            let is_hidden = reset && matches!(error, Error::NoResponse { .. });
            assert!(is_hidden || matches!(error, Error::Upgrade(UpgradeError::Tls)), "{printed}");
        }
    }
}

#[test]
fn a_close_without_a_response_may_be_that_of_a_tls_server() {
    let (error, printed) = failure_of(|mut peer| {
        peer.read_request();
        peer.shutdown();
        peer.read_to_end();
    });
    assert!(matches!(error, Error::NoResponse { source: None, .. }), "{printed}");
    let text = "the server closed the connection without a response; if it expects TLS, use wss:// rather than ws://";
    assert_eq!(printed, text);
}

#[test]
fn a_reset_without_a_response_may_be_that_of_a_tls_server() {
    let (error, printed) = failure_of(|mut peer| {
        peer.read_request();
        peer.reset();
    });
    let Error::NoResponse { source: Some(source), .. } = error else { panic!("{printed}") };
    assert_eq!(source.kind(), io::ErrorKind::ConnectionReset);
    let text = format!(
        "the connection broke without a response: {source}; if the server expects TLS, use wss:// rather than ws://"
    );
    assert_eq!(printed, text);
}

#[test]
fn a_response_that_breaks_off_does_not_suggest_tls() {
    let ends: [fn(Peer); 2] = [drop, Peer::reset];
    for end in ends {
        let (_, printed) = failure_of(move |mut peer| {
            peer.read_request();
            peer.write(b"HTTP/1.1 101 Swi");
            end(peer);
        });
        assert!(!printed.contains("TLS") && !printed.contains("wss"), "{printed}");
    }
}

#[test]
fn a_response_that_begins_in_the_same_read_as_the_tunnel_is_one() {
    let proxy = ScriptedServer::start(|mut peer| {
        peer.read_request();
        peer.write(b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101 Swi");
        peer.shutdown();
        peer.read_to_end();
    })
    .unwrap();
    let options = RunOptions::new().proxy(Proxy::parse(&format!("http://{}", proxy.addr())).unwrap());
    let (error, printed) = failure("ws://192.0.2.1/", &options);
    assert!(matches!(error, Error::Upgrade(UpgradeError::EndOfStream)), "{printed}");
}

#[test]
fn within_tls_nothing_suggests_tls() {
    let authority = Authority::new();
    let config = Arc::new(serve_identity(&authority.server(), None));
    let server = secure_server(&config, |peer, _| peer.handshake().unwrap());
    let tls = websocket_app::tls::TlsOptions::new().environment(|_| None).roots_from_bytes(authority.pem());
    let url = format!("wss://localhost:{}/", server.addr().port());
    let (_, printed) = failure(&url, &RunOptions::new().tls(tls));
    assert!(!printed.contains("wss"), "{printed}");
}

#[cfg(target_os = "linux")]
mod real_servers {
    use websocket_tests::parts::TlsServer;

    use super::*;

    #[track_caller]
    fn suggests_wss(server: Option<TlsServer>) {
        let Some(server) = server else { return };
        let (_, printed) = failure(&ws(server.addr()), &RunOptions::new());
        assert!(printed.contains("use wss:// rather than ws://"), "{printed}");
    }

    #[test]
    fn openssl() {
        suggests_wss(TlsServer::openssl(&Authority::new().server()));
    }

    #[test]
    fn node() {
        suggests_wss(TlsServer::node(&Authority::new().server()));
    }

    #[test]
    fn python() {
        suggests_wss(TlsServer::python(&Authority::new().server()));
    }
}
