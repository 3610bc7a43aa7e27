//! The certificate that is shown to servers.

use rustls::crypto::CryptoProvider;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{Error, InconsistentKeys};

use super::TlsConfigError;
use super::certificate::{Certificate, PublicKey};
use super::pem::{self, Source};

/// Reads a certificate, with those of its issuers, and its key. Whether the certificate will do is the server's judgement: here it must only
/// have the key's public half, and even that is not asked of one that cannot be read.
pub(super) fn load(
    certificate: &Source,
    key: &Source,
    provider: &CryptoProvider,
) -> Result<SingleCertAndKey, TlsConfigError> {
    let chain = pem::certificates(&certificate.read()?, certificate)?;
    let key = pem::private_key(&key.read()?, key)?;
    let key = provider.key_provider.load_private_key(key).map_err(TlsConfigError::ClientCertificate)?;
    let shown = chain.first().and_then(|certificate| Certificate::parse(certificate));
    let held = key.public_key();
    let held = held.as_ref().and_then(|key| PublicKey::parse(key));
    if let (Some(shown), Some(held)) = (shown, held)
        && shown.public_key.bits != held.bits
    {
        return Err(TlsConfigError::ClientCertificate(Error::InconsistentKeys(
            InconsistentKeys::KeyMismatch,
        )));
    }
    Ok(CertifiedKey::new(chain, key).into())
}
