//! Verification of the peer's certificate that differs from rustls' own.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};

use super::certificate::{Certificate, PublicKey};
use super::error::UnusableKey;
use super::signature::{schemes_of_all_keys, usable_key, verify_tls12, verify_tls13};

/// rustls' verification with two differences: the name may count for nothing, and a server may show a certificate that is itself among
/// the user's own roots, whatever rules for certificates it breaks: it may say that it is a CA's, be of X.509 version 1, or have critical
/// extensions that webpki does not know. Who trusts a key to vouch for every server trusts it for its own. Only its validity period and
/// its names are looked at, and that the server holds its key.
#[derive(Debug)]
pub(super) struct Verifier {
    /// `None` where no root can vouch for others.
    pub(super) inner: Option<Arc<WebPkiServerVerifier>>,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
    /// The roots that the user named.
    pub(super) own: Vec<CertificateDer<'static>>,
    pub(super) check_name: bool,
}

impl Verifier {
    fn is_own(&self, certificate: &CertificateDer<'_>) -> bool {
        self.own.iter().any(|own| own == certificate)
    }

    /// Verifies a certificate that is one of the user's roots; `refusal` is what rustls has against it.
    fn verify_own(
        &self,
        certificate: &CertificateDer<'_>,
        name: &ServerName<'_>,
        now: UnixTime,
        refusal: Error,
    ) -> Result<ServerCertVerified, Error> {
        let Some((parsed, (not_before, not_after))) = Certificate::parse(certificate)
            .and_then(|parsed| parsed.validity().map(|validity| (parsed, validity)))
        else {
            return Err(refusal);
        };
        if now < not_before {
            return Err(CertificateError::NotValidYetContext { time: now, not_before }.into());
        }
        if now > not_after {
            return Err(CertificateError::ExpiredContext { time: now, not_after }.into());
        }
        if self.check_name {
            match ParsedCertificate::try_from(certificate) {
                Ok(certificate) => verify_server_name(&certificate, name)?,
                Err(_) if parsed.is_for(name) => {}
                Err(_) => {
                    let (expected, presented) = (name.to_owned(), parsed.names());
                    return Err(CertificateError::NotValidForNameContext { expected, presented }.into());
                }
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    /// Has `verify` look at the signature of a certificate that is one of the user's roots.
    fn verify_own_signature(
        &self,
        certificate: &CertificateDer<'_>,
        verify: impl FnOnce(PublicKey<'_>) -> Result<HandshakeSignatureValid, Error>,
    ) -> Result<HandshakeSignatureValid, Error> {
        match usable_key(certificate, &self.algorithms) {
            Some(key) => verify(key),
            None if self.check_name => Err(CertificateError::Other(OtherError(Arc::new(UnusableKey))).into()),
            None => Ok(accept_unverified()),
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = match &self.inner {
            Some(inner) => inner.verify_server_cert(certificate, intermediates, name, ocsp_response, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        };
        match verified {
            // The name is looked at last: everything else is in order.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.check_name => Ok(ServerCertVerified::assertion()),
            Err(refusal) if self.is_own(certificate) => self.verify_own(certificate, name, now, refusal),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match &self.inner {
            Some(inner) if !self.is_own(certificate) => {
                inner.verify_tls12_signature(message, certificate, signature)
            }
            _ => self.verify_own_signature(certificate, |key| {
                verify_tls12(message, key, signature, &self.algorithms)
            }),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match &self.inner {
            Some(inner) if !self.is_own(certificate) => {
                inner.verify_tls13_signature(message, certificate, signature)
            }
            _ => self.verify_own_signature(certificate, |key| {
                verify_tls13(message, key, signature, &self.algorithms)
            }),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Accepts every certificate. The peer must still hold its key where that can be verified, so that somebody who compares the certificate
/// afterwards compares that of the peer.
#[derive(Debug)]
pub(super) struct AcceptAny(pub(super) WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match usable_key(certificate, &self.0) {
            Some(key) => verify_tls12(message, key, signature, &self.0),
            None => Ok(accept_unverified()),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match usable_key(certificate, &self.0) {
            Some(key) => verify_tls13(message, key, signature, &self.0),
            None => Ok(accept_unverified()),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        schemes_of_all_keys(&self.0)
    }
}

fn accept_unverified() -> HandshakeSignatureValid {
    log::warn!(
        target: "websocket::tls",
        "the server's certificate has a key that signatures cannot be verified with: it may belong to another server"
    );
    HandshakeSignatureValid::assertion()
}
