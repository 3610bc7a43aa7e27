//! From the first byte to the first plaintext.

use rustls::crypto::CryptoProvider;
use rustls::{CipherSuite, ProtocolVersion};

use super::pair::{Numbers, Pair, VERSIONS, World, server_config};
use crate::tls::{TlsError, TlsOptions, TlsSession, TlsVersion};

fn talk(pair: &mut Pair) {
    pair.send(b"from the client").unwrap();
    pair.reach_server().unwrap();
    assert_eq!(pair.heard(), b"from the client");
    let bytes = pair.say(b"from the server");
    pair.feed(&bytes).unwrap();
    assert_eq!(pair.received(), b"from the server");
}

#[test]
fn b209_a_handshake_completes_however_its_bytes_are_cut() {
    for version in VERSIONS {
        let world = World::new(version);
        let mut numbers = Numbers::new(1);
        for size in [1, 2, 3, 5, 7, 64, 1000, 0, 0, 0, 0, 0] {
            let mut pair = world.pair();
            while pair.client.is_handshaking() {
                pair.reach_server().unwrap();
                let bytes = pair.server_output();
                let piece = || if size == 0 { numbers.below(300) } else { size };
                pair.feed_in_pieces(&bytes, piece).unwrap();
            }
            talk(&mut pair);
        }
    }
}

#[test]
fn a_handshake_completes_when_the_servers_flight_is_cut_in_two_anywhere() {
    for version in VERSIONS {
        // Resumed handshakes are cheaper; the first one is a full one.
        let world = World::new(version);
        for cut in (0..).step_by(3) {
            let mut pair = Pair::new(&world.options.clone().resumption(false), &world.server);
            pair.reach_server().unwrap();
            let flight = pair.server_output();
            if cut > flight.len() {
                break;
            }
            pair.feed(&flight[..cut]).unwrap();
            pair.feed(&flight[cut..]).unwrap();
            assert!(pair.handshake().unwrap(), "{version:?}, cut at {cut}");
        }
    }
}

#[test]
fn the_request_leaves_in_one_flight_with_the_end_of_the_handshake() {
    let mut pair = World::new(TlsVersion::Tls13).pair();
    assert_eq!(pair.client.send(b"too early", &mut pair.output), Err(TlsError::Handshaking));
    pair.reach_server().unwrap();
    let flight = pair.server_output();
    pair.feed(&flight).unwrap();
    assert!(!pair.client.is_handshaking(), "one round trip");
    assert!(!pair.output.is_empty(), "the handshake's end waits");
    pair.send(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    pair.reach_server().unwrap();
    assert_eq!(pair.heard(), b"GET / HTTP/1.1\r\n\r\n");
}

#[test]
fn b220_b208_what_was_negotiated_can_be_read_after_the_handshake() {
    for (version, expected) in VERSIONS.into_iter().zip([ProtocolVersion::TLSv1_2, ProtocolVersion::TLSv1_3])
    {
        let world = World::new(version);
        let mut pair = world.pair();
        assert_eq!(pair.client.info(), None);
        pair.handshake().unwrap();
        let info = pair.client.info().unwrap();
        assert_eq!(info.version, expected);
        assert_eq!(info.alpn.as_deref(), Some(&b"http/1.1"[..]));
        assert!(info.key_exchange.is_some());
        assert!(!info.resumed);
        assert_eq!(pair.client.peer_certificates().unwrap().len(), 1);
        assert!(format!("{:?}", pair.client).contains("TLSv1_"));
    }
}

#[test]
fn b208_sessions_are_resumed_across_connections_and_clones_of_the_options() {
    for version in VERSIONS {
        let world = World::new(version);
        let clone = world.options.clone();
        talk(&mut world.open());
        for _reconnect in 0..3 {
            let mut resumed = Pair::new(&clone, &world.server);
            resumed.handshake().unwrap();
            assert!(resumed.client.info().unwrap().resumed, "{version:?}");
            talk(&mut resumed);
        }

        let changed = world.options.clone().alpn(["http/1.1"]);
        let mut apart = Pair::new(&changed, &world.server);
        apart.handshake().unwrap();
        assert!(!apart.client.info().unwrap().resumed, "other options share nothing");
    }
}

#[test]
fn sessions_are_not_resumed_when_that_is_not_wanted() {
    for version in VERSIONS {
        let world = World::new(version);
        let options = world.options.clone().resumption(false);
        for _ in 0..2 {
            let mut pair = Pair::new(&options, &world.server);
            pair.handshake().unwrap();
            assert!(!pair.client.info().unwrap().resumed);
            talk(&mut pair);
        }
    }
}

#[test]
fn b202_the_named_suites_groups_and_versions_are_negotiated() {
    let world = World::new(TlsVersion::Tls12);
    for (suite, expected) in [
        ("TLS_CHACHA20_POLY1305_SHA256", CipherSuite::TLS13_CHACHA20_POLY1305_SHA256),
        ("TLS13_AES_128_GCM_SHA256", CipherSuite::TLS13_AES_128_GCM_SHA256),
        ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
    ] {
        for (group, length) in [("secp256r1", "secp256r1"), ("x25519", "X25519")] {
            let options =
                world.options.clone().versions(VERSIONS).cipher_suites([suite]).key_exchange_groups([group]);
            // With suites of one version only, only that version can be offered.
            let options = match expected {
                CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => options.versions([TlsVersion::Tls12]),
                _ => options.versions([TlsVersion::Tls13]),
            };
            let mut pair = Pair::new(&options, &world.server);
            pair.handshake().unwrap();
            let info = pair.client.info().unwrap();
            assert_eq!(info.cipher_suite, expected);
            assert_eq!(format!("{:?}", info.key_exchange.unwrap()), length);
        }
    }
}

#[test]
fn b204_the_server_is_asked_for_the_host_or_for_the_given_name() {
    let world = World::new(TlsVersion::Tls13);
    let config = server_config(&world.authority.issue(&["localhost", "other.example", "127.0.0.1", "::1"]));
    let server = std::sync::Arc::new(config);
    let asked = |options: &TlsOptions, host: &str| {
        let mut pair = Pair::for_host(options, &server, host);
        assert!(pair.handshake().unwrap());
        pair.server.server_name().map(str::to_owned)
    };
    let options = &world.options;
    assert_eq!(asked(options, "localhost").as_deref(), Some("localhost"));
    assert_eq!(asked(options, "localhost.").as_deref(), Some("localhost"));
    let renamed = options.clone().server_name("other.example");
    assert_eq!(asked(&renamed, "localhost").as_deref(), Some("other.example"));
    for address in ["127.0.0.1", "::1", "[::1]", "[::1%lo]"] {
        assert_eq!(asked(options, address), None, "an address is verified, not sent");
    }
    assert_eq!(asked(&options.clone().server_name("127.0.0.1"), "localhost"), None);
}

#[test]
fn an_idle_session_holds_no_buffer() {
    for version in VERSIONS {
        let mut pair = World::new(version).open();
        talk(&mut pair);
        assert_eq!(pair.client.held_bytes(), 0);
        pair.output.release();
        assert_eq!(pair.output.held_bytes(), 0);
        assert!(size_of::<TlsSession>() < 1500, "{} bytes", size_of::<TlsSession>());
    }
}

#[test]
fn the_process_wide_crypto_provider_is_left_alone() {
    talk(&mut World::new(TlsVersion::Tls13).open());
    assert!(CryptoProvider::get_default().is_none());
}
