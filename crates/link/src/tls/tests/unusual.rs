//! Certificates that webpki does not read, keys that the crypto provider does not know.

use std::sync::Arc;

use rcgen::{CertificateParams, CustomExtension};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureAlgorithm,
    SignatureScheme,
};

use super::identity::{Authority, Identity, expired, not_yet_valid, says_it_is_a_ca, self_signed};
use super::pair::{Numbers, Pair, VERSIONS, isolated, server_config};
use crate::tls::{TlsError, TlsOptions, TlsVersion, der, provider};

fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let [.., high, low] = content.len().to_be_bytes();
    [&[tag, 0x82, high, low], &content[..]].concat()
}

/// Where the fields of a certificate of version 3 have the serial number, the key and the extensions.
const SERIAL: usize = 1;
const KEY: usize = 6;
const EXTENSIONS: usize = 7;

/// The fields of a certificate, and what follows them.
fn taken_apart(mut certificate: &[u8]) -> (Vec<&[u8]>, Vec<&[u8]>) {
    let wholes = |input| der::all(input).map(|element| element.whole).collect::<Vec<_>>();
    let mut parts = der::expect(&mut certificate, der::SEQUENCE).unwrap();
    let fields = der::expect(&mut parts, der::SEQUENCE).unwrap();
    (wholes(fields), wholes(parts))
}

/// The same certificate with other fields; its signature is no longer right, and nothing here looks at that.
fn with_fields(certificate: &[u8], fields: &[&[u8]]) -> Vec<u8> {
    let (_, rest) = taken_apart(certificate);
    tlv(der::SEQUENCE, &[&tlv(der::SEQUENCE, fields), &rest.concat()])
}

/// What `openssl x509 -req -signkey` makes: without version and extensions.
fn version_1(identity: &Identity) -> Vec<u8> {
    let certificate = &identity.chain()[0];
    with_fields(certificate, &taken_apart(certificate).0[SERIAL..EXTENSIONS])
}

fn version_2(identity: &Identity) -> Vec<u8> {
    let certificate = &identity.chain()[0];
    let fields = [&[&[0xa0, 3, 2, 1, 1][..]], &taken_apart(certificate).0[SERIAL..EXTENSIONS]].concat();
    with_fields(certificate, &fields)
}

/// A certificate of version 1 with another key.
fn with_key(key: &[u8]) -> Vec<u8> {
    let identity = self_signed(&["localhost"], |_| {});
    let certificate = &identity.chain()[0];
    let mut fields = taken_apart(certificate).0;
    fields[KEY] = key;
    with_fields(certificate, &fields[SERIAL..EXTENSIONS])
}

fn with_critical_extension(params: &mut CertificateParams) {
    let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4, 5], vec![12, 1, b'x']);
    extension.set_criticality(true);
    params.custom_extensions.push(extension);
}

/// A key of RSA with so many bits.
fn rsa(bits: usize) -> Vec<u8> {
    let mut modulus = Numbers::new(7).bytes(bits / 8);
    modulus[0] |= 0x80;
    let key = tlv(der::SEQUENCE, &[&tlv(der::INTEGER, &[&[0], &modulus]), &[2, 3, 1, 0, 1]]);
    let algorithm = [0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 1, 5, 0];
    tlv(der::SEQUENCE, &[&algorithm, &tlv(der::BIT_STRING, &[&[0], &key])])
}

/// A key of Ed448, which no provider knows.
fn ed448() -> Vec<u8> {
    tlv(der::SEQUENCE, &[&[0x30, 5, 6, 3, 0x2b, 0x65, 0x71], &tlv(der::BIT_STRING, &[&[0], &[7; 57]])])
}

/// Signs with what is no signature.
#[derive(Clone, Copy, Debug)]
struct Scribble(SignatureScheme, SignatureAlgorithm);

impl SigningKey for Scribble {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&self.0).then(|| Box::new(*self) as _)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.1
    }
}

impl Signer for Scribble {
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(vec![7; 128])
    }

    fn scheme(&self) -> SignatureScheme {
        self.0
    }
}

const RSA: Scribble = Scribble(SignatureScheme::RSA_PSS_SHA256, SignatureAlgorithm::RSA);

fn signing(identity: &Identity) -> Arc<dyn SigningKey> {
    provider::select(None, &[], &[]).unwrap().key_provider.load_private_key(identity.key()).unwrap()
}

/// A server that shows these bytes and signs with that key.
fn serving(certificate: &[u8], key: Arc<dyn SigningKey>) -> Arc<ServerConfig> {
    let mut server = server_config(&self_signed(&["localhost"], |_| {}));
    let chain = vec![CertificateDer::from(certificate.to_vec())];
    server.cert_resolver = Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, key)));
    Arc::new(server)
}

fn meet(options: &TlsOptions, certificate: &[u8], key: &Arc<dyn SigningKey>) -> Result<(), TlsError> {
    meet_in(&VERSIONS, options, certificate, key)
}

fn meet_in(
    versions: &[TlsVersion],
    options: &TlsOptions,
    certificate: &[u8],
    key: &Arc<dyn SigningKey>,
) -> Result<(), TlsError> {
    let server = serving(certificate, key.clone());
    for version in versions {
        let mut pair = Pair::new(&options.clone().versions([*version]), &server);
        pair.handshake()?;
        assert!(!pair.client.is_handshaking());
        assert_eq!(pair.client.peer_certificates().unwrap()[0].as_ref(), certificate);
    }
    Ok(())
}

fn accepting_any() -> TlsOptions {
    isolated().danger_accept_invalid_certificates(true)
}

fn own(certificate: &[u8]) -> TlsOptions {
    isolated().roots_from_bytes(certificate)
}

#[test]
fn g1_a_certificate_of_an_old_version_is_accepted_when_all_are() {
    let identity = self_signed(&["device"], |_| {});
    for certificate in [version_1(&identity), version_2(&identity)] {
        assert_eq!(meet(&accepting_any(), &certificate, &signing(&identity)), Ok(()));
    }
}

#[test]
fn g1_a_server_must_hold_the_key_of_a_certificate_of_version_1() {
    let (shown, held) = (self_signed(&["localhost"], |_| {}), self_signed(&["localhost"], |_| {}));
    let certificate = version_1(&shown);
    for options in [accepting_any(), own(&certificate).danger_accept_invalid_names(true)] {
        for version in VERSIONS {
            let refused = meet_in(&[version], &options, &certificate, &signing(&held));
            assert_eq!(refused, Err(TlsError::Certificate(CertificateError::BadSignature)));
        }
    }
}

#[test]
fn g2_a_certificate_with_an_unknown_critical_extension_is_accepted_when_all_are() {
    let identity = self_signed(&["other.example"], with_critical_extension);
    assert_eq!(meet(&accepting_any(), &identity.chain()[0], &signing(&identity)), Ok(()));
}

#[test]
fn g2_a_key_that_cannot_be_verified_with_is_accepted_when_all_are() {
    for key in [rsa(512), rsa(1024), rsa(2040), rsa(16384)] {
        let key: (Vec<u8>, Arc<dyn SigningKey>) = (key, Arc::new(RSA));
        assert_eq!(meet(&accepting_any(), &with_key(&key.0), &key.1), Ok(()));
    }
    let long_enough = meet(&accepting_any(), &with_key(&rsa(2048)), &(Arc::new(RSA) as _));
    assert_eq!(long_enough, Err(TlsError::Certificate(CertificateError::BadSignature)));

    let scribble: Arc<dyn SigningKey> = Arc::new(Scribble(SignatureScheme::ED448, SignatureAlgorithm::ED448));
    assert_eq!(meet_in(&[TlsVersion::Tls13], &accepting_any(), &with_key(&ed448()), &scribble), Ok(()));
}

#[test]
fn g2_what_is_not_a_certificate_is_accepted_when_all_are() {
    for shown in [&b"not a certificate"[..], b"\x30\x80", &[0x30, 3, 0x30, 1, 2], &[0; 4000]] {
        assert_eq!(meet(&accepting_any(), shown, &(Arc::new(RSA) as _)), Ok(()));
    }
}

#[test]
fn g3_a_certificate_of_version_1_is_accepted_from_the_server_that_it_was_named_for() {
    let identity = self_signed(&["device"], |_| {});
    for certificate in [version_1(&identity), version_2(&identity)] {
        let options = own(&certificate);
        let unchecked = options.clone().danger_accept_invalid_names(true);
        assert_eq!(meet(&unchecked, &certificate, &signing(&identity)), Ok(()));

        // It names nothing: a Common Name does not count.
        let error = meet(&options, &certificate, &signing(&identity)).unwrap_err();
        assert!(
            matches!(error, TlsError::Certificate(CertificateError::NotValidForNameContext { .. })),
            "{error:?}"
        );
        assert!(error.to_string().contains("danger_accept_invalid_names"), "{error}");

        let other = self_signed(&["device"], |_| {});
        assert!(meet(&unchecked, &version_1(&other), &signing(&other)).is_err(), "another one of its kind");
    }
}

#[test]
fn g3_a_root_with_an_unknown_critical_extension_is_accepted_for_its_names_alone() {
    let identity = self_signed(&["localhost", "127.0.0.1", "::1", "*.device.example"], |params| {
        with_critical_extension(params);
        says_it_is_a_ca(params);
    });
    let certificate = &identity.chain()[0];
    let options = own(certificate);
    assert_eq!(meet(&options, certificate, &signing(&identity)), Ok(()));
    for name in ["localhost.", "LOCALHOST", "127.0.0.1", "::1", "a.device.example", "A.Device.Example"] {
        let options = options.clone().server_name(name);
        assert_eq!(meet(&options, certificate, &signing(&identity)), Ok(()), "{name}");
    }
    for name in ["other.example", "127.0.0.2", "::2", "device.example", "a.b.device.example", "xlocalhost"] {
        let error = meet(&options.clone().server_name(name), certificate, &signing(&identity)).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("another name") && text.contains("DnsName(\"localhost\")"), "{name}: {text}");
    }
}

#[test]
fn g3_the_validity_of_an_unusual_root_counts() {
    for (change, expected) in
        [(expired as fn(&mut _), "it has expired"), (not_yet_valid, "it is not valid yet")]
    {
        let identity = self_signed(&["localhost"], |params| {
            with_critical_extension(params);
            change(params);
        });
        for certificate in [identity.chain()[0].to_vec(), version_1(&identity)] {
            let options = own(&certificate).danger_accept_invalid_names(true);
            let error = meet(&options, &certificate, &signing(&identity)).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}

#[test]
fn g3_a_root_with_a_short_key_is_accepted_with_names_unchecked_and_else_refused_with_the_reason() {
    let certificate = with_key(&rsa(1024));
    let key: Arc<dyn SigningKey> = Arc::new(RSA);
    let unchecked = own(&certificate).danger_accept_invalid_names(true);
    assert_eq!(meet(&unchecked, &certificate, &key), Ok(()));

    let identity = self_signed(&["localhost"], |_| {});
    let (certificate, short) = (&identity.chain()[0], rsa(1024));
    let mut fields = taken_apart(certificate).0;
    fields[KEY] = &short;
    let named = with_fields(certificate, &fields);
    let error = meet(&own(&named), &named, &key).unwrap_err().to_string();
    assert!(error.contains("cannot verify signatures with"), "{error}");
}

#[test]
fn g3_a_servers_certificate_named_as_a_root_needs_no_issuer() {
    let identity = Authority::new("an authority").issue(&["localhost"]);
    let certificate = &identity.chain()[0];
    assert_eq!(meet(&own(certificate), certificate, &signing(&identity)), Ok(()));
}

/// Asks clients for certificates and accepts any.
#[derive(Debug)]
struct Curious;

impl ClientCertVerifier for Curious {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let provider = provider::select(None, &[], &[]).unwrap();
        provider.signature_verification_algorithms.supported_schemes()
    }
}

fn pem(certificate: &[u8]) -> String {
    let text = data_encoding::BASE64.encode(certificate);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

#[test]
fn g4_a_client_certificate_is_shown_without_being_judged() {
    let provider = Arc::new(provider::select(None, &[], &[]).unwrap());
    let authority = Authority::new("an authority");
    let identity = authority.issue(&["localhost"]);
    let server = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .unwrap()
        .with_client_cert_verifier(Arc::new(Curious))
        .with_single_cert(identity.chain(), identity.key())
        .unwrap();
    let server = Arc::new(server);
    let client = self_signed(&["client"], with_critical_extension);
    let shown =
        [version_1(&client), version_2(&client), client.chain()[0].to_vec(), b"not a certificate".to_vec()];
    for (certificate, version) in shown.iter().flat_map(|shown| VERSIONS.map(|version| (shown, version))) {
        let options = isolated()
            .roots_from_bytes(authority.pem())
            .client_certificate_from_bytes(pem(certificate), &client.key)
            .versions([version]);
        let mut pair = Pair::new(&options, &server);
        assert!(pair.handshake().unwrap());
        assert_eq!(pair.server.peer_certificates().unwrap()[0].as_ref(), certificate);
    }
}

#[test]
fn g4_a_client_certificate_of_another_key_is_refused_beforehand() {
    let (client, other) = (self_signed(&["client"], |_| {}), self_signed(&["client"], |_| {}));
    let options = accepting_any().client_certificate_from_bytes(pem(&version_1(&client)), &other.key);
    let error = options.build().unwrap_err().to_string();
    assert!(error.contains("client certificate"), "{error}");
}
