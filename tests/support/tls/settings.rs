//! What servers show and what clients trust.

use std::sync::Arc;

use websocket_app::RunOptions;
use websocket_app::tls::rustls::crypto::ring::default_provider;
use websocket_app::tls::rustls::pki_types::pem::PemObject as _;
use websocket_app::tls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use websocket_app::tls::rustls::server::WebPkiClientVerifier;
use websocket_app::tls::rustls::{DEFAULT_VERSIONS, RootCertStore, ServerConfig, SupportedProtocolVersion};
use websocket_app::tls::{TlsOptions, TlsVersion};

use crate::{Authority, Identity};

/// An authority, and servers and clients that know it.
#[derive(Default)]
pub struct Trust(pub Authority);

impl Trust {
    /// With a new authority.
    pub fn new() -> Self {
        Self::default()
    }

    /// For a server on loopback.
    pub fn server(&self) -> Arc<ServerConfig> {
        Arc::new(serve_identity(&self.0.server(), None))
    }

    /// TLS options that trust the authority, and nothing of this machine's environment.
    pub fn tls(&self) -> TlsOptions {
        TlsOptions::new().environment(|_| None).roots_from_bytes(self.0.pem())
    }

    /// Options of a run with [`tls`](Self::tls).
    pub fn options(&self) -> RunOptions {
        RunOptions::new().tls(self.tls())
    }

    /// The same for one version of TLS.
    pub fn options_for(&self, version: TlsVersion) -> RunOptions {
        RunOptions::new().tls(self.tls().versions([version]))
    }
}

/// A server that shows `identity`, and wants a certificate of `clients` if there are any.
///
/// # Panics
/// When the identity is none.
pub fn serve_identity(identity: &Identity, clients: Option<&Authority>) -> ServerConfig {
    serve(identity, clients, DEFAULT_VERSIONS)
}

/// A server that shows `identity` and speaks these versions only.
///
/// # Panics
/// When the identity is none.
pub fn serve_versions(identity: &Identity, versions: &[&'static SupportedProtocolVersion]) -> ServerConfig {
    serve(identity, None, versions)
}

fn serve(
    identity: &Identity,
    clients: Option<&Authority>,
    versions: &[&'static SupportedProtocolVersion],
) -> ServerConfig {
    let provider = Arc::new(default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .expect("the provider knows them");
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(certificate(&authority.pem())).expect("an authority is a root");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.expect("there is a root"))
        }
    };
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).expect("a key is PEM");
    let chain = vec![certificate(&identity.certificate)];
    let mut config = builder.with_single_cert(chain, key).expect("the key is the certificate's");
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

fn certificate(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate is PEM")
}
