//! Whether a server holds the key of its certificate, also where webpki refuses to read that certificate.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::CertificateDer;
use rustls::{CertificateError, DigitallySignedStruct, Error, PeerMisbehaved, SignatureScheme};

use super::certificate::{Certificate, PublicKey};

/// What servers with other keys than rustls verifies sign with: `rsa_pss_pss_sha256` and its longer relatives are for RSA keys that are
/// restricted to PSS (RFC 8446 section 4.2.3).
const UNUSUAL_SCHEMES: [SignatureScheme; 5] = [
    SignatureScheme::ECDSA_NISTP521_SHA512,
    SignatureScheme::ED448,
    SignatureScheme::Unknown(0x0809),
    SignatureScheme::Unknown(0x080a),
    SignatureScheme::Unknown(0x080b),
];

/// The schemes that the crypto provider verifies, and those without which servers with other keys cannot sign at all.
pub(super) fn schemes_of_all_keys(algorithms: &WebPkiSupportedAlgorithms) -> Vec<SignatureScheme> {
    let mut schemes = algorithms.supported_schemes();
    let missing = UNUSUAL_SCHEMES.into_iter().filter(|scheme| !schemes.contains(scheme));
    schemes.extend(missing.collect::<Vec<_>>());
    schemes
}

/// The key of a certificate; `None` if no signature of it can be verified, since the certificate cannot be read at all, or the crypto
/// provider does not know keys of that kind or size.
pub(super) fn usable_key<'a>(
    certificate: &'a CertificateDer<'_>,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Option<PublicKey<'a>> {
    Certificate::parse(certificate).map(|parsed| parsed.public_key).filter(|key| key.is_usable(algorithms))
}

/// Verifies the signature of a TLS 1.2 handshake, as rustls does it with a certificate.
pub(super) fn verify_tls12(
    message: &[u8],
    key: PublicKey<'_>,
    signature: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let offered = algorithms.mapping.iter().find(|(scheme, _)| *scheme == signature.scheme);
    let (_, candidates) = offered.ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
    let fitting = candidates.iter().find(|algorithm| key.is_of(algorithm.public_key_alg_id()));
    match fitting.map(|algorithm| algorithm.verify_signature(key.bits, message, signature.signature())) {
        Some(Ok(())) => Ok(HandshakeSignatureValid::assertion()),
        Some(Err(_)) | None => Err(CertificateError::BadSignature.into()),
    }
}

/// Verifies the signature of a TLS 1.3 handshake.
pub(super) fn verify_tls13(
    message: &[u8],
    key: PublicKey<'_>,
    signature: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    verify_tls13_signature_with_raw_key(message, &key.to_der(), signature, algorithms)
}
