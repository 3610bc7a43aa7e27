//! Peers that are not what they should be.

use std::sync::Arc;

use rustls::{AlertDescription, InvalidMessage, PeerIncompatible};

use super::pair::{Numbers, Pair, VERSIONS, World, isolated, server_config, server_config_with};
use crate::tls::{TlsConfigError, TlsError, TlsSession, TlsVersion};

/// Why the handshake fails, and what the server hears.
fn failure(pair: &mut Pair) -> (TlsError, Option<rustls::Error>) {
    let error = pair.handshake().unwrap_err();
    (error, pair.reach_server().err())
}

#[test]
fn a_plain_http_answer_is_recognised_however_it_is_cut() {
    for piece in [1, 3, 5, 6, 100] {
        let mut pair = World::new(TlsVersion::Tls13).pair();
        pair.reach_server().unwrap();
        let error = pair.feed_in_pieces(b"HTTP/1.1 400 Bad Request\r\n\r\nThe plain HTTP request", || piece);
        let error = error.unwrap_err();
        assert_eq!(error, TlsError::NotTls { http: true });
        assert!(
            error.to_string().contains("plain HTTP") && error.to_string().contains("is it ws://"),
            "{error}"
        );
        assert!(pair.output.is_empty(), "no alert to somebody who does not know what that is");
        assert_eq!(pair.client.send(b"x", &mut pair.output), Err(error));
    }
}

#[test]
fn an_answer_that_is_not_tls_is_reported_as_such() {
    let answers: [&[u8]; 10] = [
        b"+",
        b"OK",
        b"HTT!",
        b"SSH-",
        &[22, 2],
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"220 mail.example ESMTP\r\n",
        &[0; 5],
        &[0xff; 4000],
        &[22, 2, 0, 0, 1],
    ];
    for answer in answers {
        let mut pair = World::new(TlsVersion::Tls13).pair();
        let error = pair.feed(answer).unwrap_err();
        assert_eq!(error, TlsError::NotTls { http: false });
        assert!(error.to_string().contains("is it ws://"), "{error}");
    }
    for begun in [&b"HTTP"[..], b"H", &[22], &[21, 3, 3]] {
        let mut pair = World::new(TlsVersion::Tls13).pair();
        pair.feed(begun).unwrap();
        assert_eq!(pair.client.end_of_stream(), Err(TlsError::EndOfHandshake));
    }
}

#[test]
fn a_record_that_cannot_be_is_refused_with_an_alert() {
    for (answer, expected) in [
        (&[22, 3, 3, 0xff, 0xff][..], InvalidMessage::MessageTooLarge),
        (&[22, 3, 3, 0, 0], InvalidMessage::InvalidEmptyPayload),
    ] {
        let mut pair = World::new(TlsVersion::Tls13).pair();
        pair.reach_server().unwrap();
        assert_eq!(pair.feed(answer), Err(TlsError::Protocol(expected.into())));
        assert!(pair.reach_server().is_err(), "an alert");
    }
}

#[test]
fn garbage_never_panics_and_never_opens() {
    let mut numbers = Numbers::new(5);
    for round in 0..500 {
        let version = VERSIONS[round % 2];
        // Only the client matters here, so one certificate serves for all rounds.
        let mut pair = garbage_world(version).pair();
        let mut garbage = vec![20 + (round % 4) as u8, 3, 3, 0, 40];
        let len = numbers.below(200);
        garbage.extend(numbers.bytes(len));
        let _any = pair.feed_in_pieces(&garbage, || 1 + numbers.below(30));
        assert!(pair.client.is_handshaking());
        assert!(pair.client.end_of_stream().is_err());
    }
}

#[test]
fn a_damaged_handshake_never_panics_and_never_opens() {
    let mut numbers = Numbers::new(6);
    for round in 0..400 {
        let version = VERSIONS[round % 2];
        let mut pair = garbage_world(version).pair();
        pair.reach_server().unwrap();
        let mut flight = pair.server_output();
        let at = numbers.below(flight.len());
        if meaningless(&flight, at) {
            continue;
        }
        let damage = 1 + numbers.below(255) as u8;
        flight[at] ^= damage;
        let before = pair.output.len();
        if let Err(error) = pair.feed_in_pieces(&flight, || 1 + numbers.below(500)) {
            assert!(pair.output.len() - before < 50, "at most one alert");
            assert_eq!(pair.client.error().map(ToString::to_string), Some(error.to_string()));
            let len = pair.output.len();
            let _same = pair.feed(&flight);
            assert_eq!(pair.output.len(), len);
        }
        assert!(pair.client.is_handshaking(), "{version:?}: {damage:#x} at {at}");
    }
}

/// Whether the byte is the minor version in a record's header, which is to be ignored (RFC 8446 section 5.1).
fn meaningless(flight: &[u8], at: usize) -> bool {
    let mut record = 0;
    while record + 5 <= at {
        let len = 5 + usize::from(u16::from_be_bytes([flight[record + 3], flight[record + 4]]));
        if record + len > at {
            break;
        }
        record += len;
    }
    at == record + 2
}

/// Made once for each version: keys take their time.
fn garbage_world(version: TlsVersion) -> &'static World {
    static WORLDS: std::sync::OnceLock<[World; 2]> = std::sync::OnceLock::new();
    let worlds = WORLDS.get_or_init(|| {
        VERSIONS.map(|version| {
            let mut world = World::new(version);
            world.options = world.options.resumption(false);
            world
        })
    });
    &worlds[usize::from(version == TlsVersion::Tls13)]
}

#[test]
fn a_handshake_message_without_an_end_is_refused_in_bounded_memory() {
    // The header announces 65 535 bytes, and they come one a record.
    let header = [22, 3, 3, 0, 4, 2, 0, 0xff, 0xff];
    let mut pair = World::new(TlsVersion::Tls13).pair();
    pair.feed(&header).unwrap();
    let mut fed = 0;
    let error = loop {
        fed += 6;
        if let Err(error) = pair.feed(&[22, 3, 3, 0, 1, 0]) {
            break error;
        }
        assert!(pair.client.held_bytes() <= 2 * TlsSession::MAX_HELD);
        assert!(fed < 2 * TlsSession::MAX_HELD);
    };
    assert_eq!(error, TlsError::Protocol(InvalidMessage::HandshakePayloadTooLarge.into()));
    assert_eq!(pair.client.held_bytes(), 0);
}

#[test]
fn b206_without_a_common_version_the_error_says_so() {
    let world = World::new(TlsVersion::Tls12);
    let server = server_config(&world.authority.issue(&["localhost"]));
    let suites = ["TLS_AES_128_GCM_SHA256".to_owned()];
    let only_13 = {
        let provider = Arc::new(crate::tls::provider::select(None, &suites, &[]).unwrap());
        rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(server.cert_resolver)
    };
    let (error, _) = failure(&mut Pair::new(&world.options, &Arc::new(only_13)));
    assert_eq!(error, TlsError::Alert(AlertDescription::ProtocolVersion));
    assert!(error.to_string().contains("no TLS version in common"), "{error}");
}

#[test]
fn b206_without_a_common_cipher_suite_the_error_says_so() {
    let world = World::new(TlsVersion::Tls12);
    let suites = ["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384".to_owned()];
    let server = server_config_with(&world.authority.issue(&["localhost"]), &suites, None);
    let options = world.options.clone().cipher_suites(["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]);
    let (error, _) = failure(&mut Pair::new(&options, &Arc::new(server)));
    assert_eq!(error, TlsError::Alert(AlertDescription::HandshakeFailure));
    assert!(error.to_string().contains("no cipher suite"), "{error}");
}

#[test]
fn b206_a_server_that_chooses_an_older_version_is_refused() {
    // A ServerHello of TLS 1.1.
    let mut hello = vec![22, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0xc0, 0x13, 0]);
    let mut pair = World::new(TlsVersion::Tls13).pair();
    let error = pair.feed(&hello).unwrap_err();
    assert_eq!(error, TlsError::Protocol(PeerIncompatible::ServerDoesNotSupportTls12Or13.into()), "{error}");
    assert!(error.to_string().contains("in common"), "{error}");
}

#[test]
fn a_plaintext_alert_instead_of_a_handshake_is_reported() {
    let mut pair = World::new(TlsVersion::Tls13).pair();
    let error = pair.feed_in_pieces(&[21, 3, 3, 0, 2, 2, 112], || 1).unwrap_err();
    assert_eq!(error, TlsError::Alert(AlertDescription::UnrecognisedName));
    assert!(error.to_string().contains("server_name"), "{error}");
}

#[test]
fn b208_a_server_without_http_1_1_is_refused_by_itself() {
    let world = World::with(TlsVersion::Tls13, |server| server.alpn_protocols = vec![b"h2".to_vec()]);
    let (error, _) = failure(&mut world.pair());
    assert_eq!(error, TlsError::Alert(AlertDescription::NoApplicationProtocol));
    let options = world.options.clone().alpn(Vec::<Vec<u8>>::new());
    assert!(Pair::new(&options, &world.server).handshake().unwrap(), "unless nothing is offered");
}

#[test]
fn the_text_of_an_error_says_all_so_that_its_source_repeats_nothing() {
    use std::error::Error as _;
    let rustls = rustls::Error::General("because".to_owned());
    let error = TlsError::Protocol(rustls.clone());
    assert!(error.to_string().contains("because") && error.source().is_none());
    assert!(std::io::Error::from(error).source().is_none());
    for error in [TlsConfigError::Unusable(rustls.clone()), TlsConfigError::ClientCertificate(rustls)] {
        assert!(error.to_string().contains("because") && error.source().is_none());
    }
}

#[test]
fn errors_become_io_errors_that_keep_their_type() {
    for (error, kind) in [
        (TlsError::Truncated, std::io::ErrorKind::UnexpectedEof),
        (TlsError::NotTls { http: true }, std::io::ErrorKind::InvalidData),
        (TlsError::Closed, std::io::ErrorKind::BrokenPipe),
    ] {
        let io = std::io::Error::from(error.clone());
        assert_eq!(io.kind(), kind);
        assert_eq!(io.get_ref().unwrap().downcast_ref(), Some(&error));
    }
}

#[test]
fn b206_a_certificate_that_is_refused_is_reported_to_the_server_too() {
    for version in VERSIONS {
        let world = World::new(version);
        let stranger = isolated()
            .roots_from_bytes(super::identity::Authority::new("another authority").pem())
            .versions([version]);
        let (error, heard) = failure(&mut Pair::new(&stranger, &world.server));
        assert_eq!(error, TlsError::Certificate(rustls::CertificateError::UnknownIssuer));
        assert_eq!(heard, Some(rustls::Error::AlertReceived(AlertDescription::UnknownCA)));
    }
}
