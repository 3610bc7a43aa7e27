//! Servers that want to negotiate a session of TLS 1.2 again.

use rustls::crypto::cipher::{MessageEncrypter, OutboundChunks, OutboundPlainMessage};
use rustls::{
    AlertDescription, ConnectionTrafficSecrets, ContentType, ProtocolVersion, SupportedCipherSuite,
};

use super::pair::{Pair, World};
use crate::tls::{TlsError, TlsVersion};

const SUITE: &str = "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256";
const HELLO_REQUEST: (ContentType, &[u8]) = (ContentType::Handshake, &[0, 0, 0, 0]);
const FATAL: u8 = 2;

/// Encrypts what rustls' server never says.
struct Server {
    encrypter: Box<dyn MessageEncrypter>,
    sequence: u64,
}

impl Server {
    fn say(&mut self, (typ, payload): (ContentType, &[u8])) -> Vec<u8> {
        let payload = OutboundChunks::Single(payload);
        let message = OutboundPlainMessage { typ, version: ProtocolVersion::TLSv1_2, payload };
        let record = self.encrypter.encrypt(message, self.sequence).unwrap();
        self.sequence += 1;
        record.encode()
    }

    fn alert(&mut self, alert: AlertDescription) -> Vec<u8> {
        self.say((ContentType::Alert, &[FATAL, alert.into()]))
    }
}

/// A client in an open session, and the server.
fn open() -> (Pair, Server) {
    let world = World::with(TlsVersion::Tls12, |server| server.enable_secret_extraction = true);
    let options = world.options.clone().cipher_suites([SUITE]);
    let mut pair = Pair::new(&options, &world.server);
    assert!(pair.handshake().unwrap());
    // Its place is taken by one that will not be asked.
    let server = std::mem::replace(&mut pair.server, world.pair().server);
    let Some(SupportedCipherSuite::Tls12(suite)) = server.negotiated_cipher_suite() else { panic!() };
    let (sequence, secrets) = server.dangerous_extract_secrets().unwrap().tx;
    let ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } = secrets else { panic!() };
    (pair, Server { encrypter: suite.aead_alg.encrypter(key, iv.as_ref(), &[]), sequence })
}

#[test]
fn words_a_server_that_ends_the_session_since_it_may_not_negotiate_again_is_reported_as_such() {
    for alert in [AlertDescription::HandshakeFailure, AlertDescription::NoRenegotiation] {
        for in_pieces in [false, true] {
            let (mut pair, mut server) = open();
            let bytes = [server.say(HELLO_REQUEST), server.alert(alert)].concat();
            let outcome = pair.feed_in_pieces(&bytes, || if in_pieces { 1 } else { usize::MAX });
            assert_eq!(outcome, Err(TlsError::Renegotiation));
            let text = TlsError::Renegotiation.to_string();
            assert!(text.contains("renegotiation") && text.contains("client certificate"), "{text}");
        }
    }
}

#[test]
fn words_a_server_that_insists_on_negotiating_again_is_reported_as_such() {
    let (mut pair, mut server) = open();
    pair.feed(&server.say(HELLO_REQUEST)).unwrap();
    assert!(!pair.output.is_empty(), "a warning");
    assert_eq!(pair.feed(&server.say(HELLO_REQUEST)), Err(TlsError::Renegotiation));
}

#[test]
fn words_a_session_goes_on_after_a_refused_negotiation() {
    let (mut pair, mut server) = open();
    pair.feed(&server.say(HELLO_REQUEST)).unwrap();
    pair.feed(&server.say((ContentType::ApplicationData, b"data"))).unwrap();
    assert_eq!(pair.received(), b"data");
    let other = pair.feed(&server.alert(AlertDescription::InternalError));
    assert_eq!(other, Err(TlsError::Alert(AlertDescription::InternalError)));
}

#[test]
fn words_without_a_new_negotiation_an_alert_is_only_that() {
    let (mut pair, mut server) = open();
    pair.feed(&server.say((ContentType::ApplicationData, b"data"))).unwrap();
    let alert = pair.feed(&server.alert(AlertDescription::HandshakeFailure));
    assert_eq!(alert, Err(TlsError::Alert(AlertDescription::HandshakeFailure)));
}
