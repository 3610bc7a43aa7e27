//! Certificates, and a server that shows them.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair};
use websocket_app::tls::rustls::crypto::ring;
use websocket_app::tls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use websocket_app::tls::rustls::server::WebPkiClientVerifier;
use websocket_app::tls::rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use websocket_testkit::server::echo_on;

pub(crate) type Root = CertifiedIssuer<'static, KeyPair>;

pub(crate) fn root() -> Root {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "wsdump tests");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, new_key()).expect("this works everywhere")
}

fn new_key() -> KeyPair {
    KeyPair::generate().expect("the system has entropy")
}

pub(crate) fn issue(root: &Root, name: &str) -> (rcgen::Certificate, KeyPair) {
    let key = new_key();
    let mut params = CertificateParams::new([name.to_owned()]).expect("this works everywhere");
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    (params.signed_by(&key, root).expect("this works everywhere"), key)
}

/// The URL of a `wss` echo server for `localhost`, which wants a certificate of its clients if `strict`.
pub(crate) fn tls_server(root: &Root, strict: bool) -> String {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone());
    let builder = builder.with_safe_default_protocol_versions().expect("this works everywhere");
    let builder = if strict {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(root.der().to_vec())).expect("this works everywhere");
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider)
            .build()
            .expect("this works everywhere");
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let (certificate, key) = issue(root, "localhost");
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let config =
        Arc::new(builder.with_single_cert(vec![certificate.into()], key).expect("this works everywhere"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("this works everywhere");
    let url = format!("wss://localhost:{}/", listener.local_addr().expect("this works everywhere").port());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let session = ServerConnection::new(config.clone()).expect("this works everywhere");
            let _: io::Result<()> = stream.and_then(|stream| echo_on(StreamOwned::new(session, stream)));
        }
    });
    url
}
