//! TLS of the floor and of a peer: one crypto provider for everybody, and trust in the load server alone.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::Result;
use crate::contract::Task;

/// The provider of the load server and of every client.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// rustls' defaults, and trust in the certificate that the task names.
///
/// # Errors
/// The task names none, or the file holds none.
pub fn client_config(task: &Task) -> Result<Arc<ClientConfig>> {
    let path = task.root.as_ref().ok_or("--root is missing")?;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(path)?)?;
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}
