//! TLS by nexus-web's own codec around rustls.

use std::net::TcpStream;

use contract::Result;
use contract::contract::Task;
use contract::tls::provider;
use nexus_web::tls::{TlsCodec, TlsConfig, TlsStream};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::Secure;

pub(crate) type Stream = TlsStream<TcpStream>;

impl Secure for Stream {
    fn secure(task: &Task, stream: TcpStream) -> Result<Self> {
        // nexus-web takes the default provider, which is aws-lc-rs where nothing is said; here it is that of all.
        provider().as_ref().clone().install_default().map_err(|_| "there is a provider already")?;
        let path = task.root.as_ref().ok_or("--root is missing")?;
        let root = CertificateDer::from_pem_file(path)?;
        let config = TlsConfig::builder().skip_system_certs().add_root_cert(root).build()?;
        let codec = TlsCodec::new(&config, &task.addr.ip().to_string())?;
        Ok(TlsStream::connect(stream, codec)?)
    }
}
