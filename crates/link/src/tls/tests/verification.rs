//! Whose certificates are accepted.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
};

use super::identity::{Authority, Identity, expired, not_yet_valid, says_it_is_a_ca, self_signed};
use super::pair::{Pair, VERSIONS, isolated, server_config, server_config_with, trusting};
use crate::tls::{TlsError, TlsOptions, provider};

fn meet(options: &TlsOptions, identity: &Identity) -> Result<(), TlsError> {
    let server = Arc::new(server_config(identity));
    for version in VERSIONS {
        let mut pair = Pair::new(&options.clone().versions([version]), &server);
        pair.handshake()?;
        assert!(!pair.client.is_handshaking());
    }
    Ok(())
}

fn refused(options: &TlsOptions, identity: &Identity) -> CertificateError {
    match meet(options, identity) {
        Err(TlsError::Certificate(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn b197_a_certificate_of_a_trusted_authority_for_the_name_is_accepted() {
    let authority = Authority::new("an authority");
    let options = trusting(&authority);
    assert_eq!(meet(&options, &authority.issue(&["localhost"])), Ok(()));
    assert_eq!(meet(&options, &authority.issue(&["a.example", "localhost"])), Ok(()));
}

#[test]
fn b197_b206_an_expired_certificate_is_refused_as_such() {
    let authority = Authority::new("an authority");
    let options = trusting(&authority);
    let identity = authority.issue_with(&["localhost"], expired);
    assert!(matches!(refused(&options, &identity), CertificateError::ExpiredContext { .. }));
    let error = meet(&options, &identity).unwrap_err();
    assert!(error.to_string().contains("it has expired"), "{error}");

    let identity = authority.issue_with(&["localhost"], not_yet_valid);
    assert!(matches!(refused(&options, &identity), CertificateError::NotValidYetContext { .. }));
}

#[test]
fn b197_b206_a_certificate_for_another_name_is_refused_as_such() {
    let authority = Authority::new("an authority");
    let options = trusting(&authority);
    for names in [&["other.example"][..], &["127.0.0.1"], &["xlocalhost"], &["*.localhost"], &[]] {
        let identity = authority.issue(names);
        assert!(matches!(refused(&options, &identity), CertificateError::NotValidForNameContext { .. }));
    }
    let error = meet(&options, &authority.issue(&["other.example"])).unwrap_err().to_string();
    assert!(error.contains("another name") && error.contains("other.example"), "{error}");
    assert_eq!(meet(&options.server_name("other.example"), &authority.issue(&["other.example"])), Ok(()));
}

#[test]
fn b197_b206_an_unknown_issuer_and_a_self_signed_certificate_are_refused_with_a_hint() {
    let options = trusting(&Authority::new("an authority"));
    let strangers = [
        Authority::new("a stranger").issue(&["localhost"]),
        Authority::new("an authority").issue(&["localhost"]),
        self_signed(&["localhost"], |_| {}),
        self_signed(&["localhost"], says_it_is_a_ca),
    ];
    for stranger in &strangers {
        let error = meet(&options, stranger).unwrap_err();
        assert!(matches!(error, TlsError::Certificate(_)), "{error:?}");
    }
    assert_eq!(refused(&options, &strangers[0]), CertificateError::UnknownIssuer);
    for stranger in [&strangers[0], &strangers[2], &strangers[3]] {
        let error = meet(&options, stranger).unwrap_err().to_string();
        assert!(error.contains("TlsOptions::roots_from_file"), "{error}");
    }
}

#[test]
fn b200_a_self_signed_certificate_can_be_trusted_by_naming_it() {
    let change: [fn(&mut rcgen::CertificateParams); 2] = [|_| {}, says_it_is_a_ca];
    for change in change {
        let identity = self_signed(&["localhost"], change);
        let options = isolated().roots_from_bytes(&identity.certificate);
        assert_eq!(meet(&options, &identity), Ok(()));

        // Nothing else is waived by that.
        assert!(meet(&options, &self_signed(&["localhost"], change)).is_err(), "another one of its kind");
        assert!(meet(&options.clone().server_name("other.example"), &identity).is_err());
        let old = self_signed(&["localhost"], |params| {
            change(params);
            expired(params);
        });
        let options = isolated().roots_from_bytes(&old.certificate);
        assert!(matches!(refused(&options, &old), CertificateError::ExpiredContext { .. }));
    }
}

#[test]
fn b198_without_verification_every_certificate_is_accepted() {
    let options = isolated().danger_accept_invalid_certificates(true);
    for identity in [
        self_signed(&["other.example"], expired),
        self_signed(&[], says_it_is_a_ca),
        Authority::new("a stranger").issue_with(&["other.example"], not_yet_valid),
    ] {
        assert_eq!(meet(&options, &identity), Ok(()));
    }
    assert_eq!(
        meet(&options.danger_accept_invalid_names(true), &self_signed(&["other.example"], |_| {})),
        Ok(())
    );
}

#[test]
fn b198_without_verification_the_server_must_still_hold_the_key_of_its_certificate() {
    let options = isolated().danger_accept_invalid_certificates(true);
    let shown = self_signed(&["localhost"], |_| {});
    let held = self_signed(&["localhost"], |_| {});
    #[derive(Debug)]
    struct Impostor(Arc<rustls::sign::CertifiedKey>);
    impl rustls::server::ResolvesServerCert for Impostor {
        fn resolve(&self, _: rustls::server::ClientHello<'_>) -> Option<Arc<rustls::sign::CertifiedKey>> {
            Some(self.0.clone())
        }
    }
    let provider = provider::select(None, &[], &[]).unwrap();
    let key = provider.key_provider.load_private_key(held.key()).unwrap();
    let key = Arc::new(rustls::sign::CertifiedKey::new(shown.chain(), key));
    for version in VERSIONS {
        let mut server = server_config(&shown);
        server.cert_resolver = Arc::new(Impostor(key.clone()));
        let mut pair = Pair::new(&options.clone().versions([version]), &Arc::new(server));
        assert_eq!(pair.handshake(), Err(TlsError::Certificate(CertificateError::BadSignature)));
    }
}

#[test]
fn b198_the_name_check_alone_can_be_off() {
    let authority = Authority::new("an authority");
    let options = trusting(&authority).danger_accept_invalid_names(true);
    assert_eq!(meet(&options, &authority.issue(&["other.example"])), Ok(()));
    assert_eq!(meet(&options, &authority.issue(&[])), Ok(()));

    let stranger = Authority::new("a stranger").issue(&["localhost"]);
    assert_eq!(refused(&options, &stranger), CertificateError::UnknownIssuer);
    let old = authority.issue_with(&["other.example"], expired);
    assert!(matches!(refused(&options, &old), CertificateError::ExpiredContext { .. }));

    let own = self_signed(&["other.example"], says_it_is_a_ca);
    let options = isolated().roots_from_bytes(&own.certificate).danger_accept_invalid_names(true);
    assert_eq!(meet(&options, &own), Ok(()));
}

#[test]
fn b201_a_client_certificate_is_shown_to_a_server_that_asks() {
    let authority = Authority::new("an authority");
    let server = server_config_with(&authority.issue(&["localhost"]), &[], Some(&authority));
    let server = Arc::new(server);
    let client = authority.issue(&["a client"]);
    for version in VERSIONS {
        let options = trusting(&authority).versions([version]);
        let showing = options.clone().client_certificate_from_bytes(&client.certificate, &client.key);
        let mut pair = Pair::new(&showing, &server);
        assert!(pair.handshake().unwrap());
        assert_eq!(pair.server.peer_certificates().unwrap(), client.chain());

        let mut pair = Pair::new(&options, &server);
        let error = pair.handshake().unwrap_err();
        assert!(matches!(error, TlsError::Alert(_)), "{error:?}");
        assert!(error.to_string().contains("client certificate"), "{error}");

        let stranger = Authority::new("a stranger").issue(&["a client"]);
        let showing = options.client_certificate_from_bytes(&stranger.certificate, &stranger.key);
        let error = Pair::new(&showing, &server).handshake().unwrap_err();
        assert!(matches!(error, TlsError::Alert(AlertDescription::UnknownCA)), "{error:?}");
    }
}

/// A caller's own verifier, for which everything is revoked.
#[derive(Debug)]
struct Revoking(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Revoking {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Err(CertificateError::Revoked.into())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.3 only".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

#[test]
fn b203_b206_a_certificate_that_the_callers_verifier_holds_for_revoked_is_refused() {
    let provider = Arc::new(provider::select(None, &[], &[]).unwrap());
    let verifier = Revoking(provider.signature_verification_algorithms);
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    let authority = Authority::new("an authority");
    let server = Arc::new(server_config(&authority.issue(&["localhost"])));
    let mut pair = Pair::new(&TlsOptions::from(Arc::new(config)), &server);
    let error = pair.handshake().unwrap_err();
    assert_eq!(error, TlsError::Certificate(CertificateError::Revoked));
    assert!(error.to_string().contains("revoked"), "{error}");
}
