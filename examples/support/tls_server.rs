//! A `wss` server whose certificate a root of its own vouches for, as inside a company.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use websocket_app::BoxError;
use websocket_app::tls::rustls::crypto::ring;
use websocket_app::tls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use websocket_app::tls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use websocket_testkit::server::echo_on;

/// A `wss` echo server on a thread of its own.
#[derive(Debug)]
pub struct TlsServer {
    address: SocketAddr,
    root: String,
}

impl TlsServer {
    /// Starts one on a free port, for a company of that name. Its certificate is for `localhost`.
    ///
    /// # Errors
    /// When the system refuses a socket, a thread or entropy.
    pub fn start(company: &str) -> Result<Self, BoxError> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, company);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(["localhost".to_owned()])?.signed_by(&key, &root)?;
        let config = config(certificate.into(), PrivateKeyDer::Pkcs8(key.serialize_der().into()))?;

        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        thread::Builder::new().name("wss server".into()).spawn(move || {
            for stream in listener.incoming() {
                let config = config.clone();
                thread::spawn(move || -> io::Result<()> {
                    let session = ServerConnection::new(config).map_err(io::Error::other)?;
                    // A client that does not trust the certificate breaks off, which is not the server's problem.
                    echo_on(StreamOwned::new(session, stream?))
                });
            }
        })?;
        Ok(Self { address, root: root.pem() })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL to connect to.
    pub fn url(&self) -> String {
        format!("wss://localhost:{}/", self.address.port())
    }

    /// The certificate of its root, as PEM: trust it to trust the server.
    pub fn root(&self) -> &str {
        &self.root
    }
}

fn config(
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, BoxError> {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    Ok(Arc::new(config))
}
