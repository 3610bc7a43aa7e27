//! Certificates made for one test.

use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

static AUTHORITIES: AtomicUsize = AtomicUsize::new(1);

/// Signs certificates; trust it to trust them.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
#[derive(Clone)]
pub struct Identity {
    /// The certificate as PEM.
    pub certificate: String,
    /// Its private key as PEM (PKCS #8), not encrypted.
    pub key: String,
}

impl Authority {
    /// One that nobody trusts yet.
    ///
    /// # Panics
    /// When the system has no entropy.
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        // A name of its own, as real ones have: else the wrong one looks like the right one with a bad signature.
        let number = AUTHORITIES.fetch_add(1, Ordering::Relaxed);
        params.distinguished_name.push(DnType::CommonName, format!("websocket-tests authority {number}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Self(CertifiedIssuer::self_signed(params, new_key()).expect("the parameters are sound"))
    }

    /// Its own certificate as PEM: what a client is to trust.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// For a server on loopback: `localhost`, 127.0.0.1 and ::1.
    pub fn server(&self) -> Identity {
        self.server_for(&["localhost", "127.0.0.1", "::1"])
    }

    /// For a server with these names and addresses.
    ///
    /// # Panics
    /// When a name is none.
    pub fn server_for(&self, names: &[&str]) -> Identity {
        self.issue(names, ExtendedKeyUsagePurpose::ServerAuth, |_| {})
    }

    /// For a server on loopback, but no longer valid.
    pub fn expired_server(&self) -> Identity {
        self.issue(&["localhost", "127.0.0.1", "::1"], ExtendedKeyUsagePurpose::ServerAuth, |params| {
            params.not_before = date_time_ymd(2001, 1, 1);
            params.not_after = date_time_ymd(2002, 1, 1);
        })
    }

    /// For a client to show.
    pub fn client(&self) -> Identity {
        self.issue(&[], ExtendedKeyUsagePurpose::ClientAuth, |_| {})
    }

    fn issue(
        &self,
        names: &[&str],
        purpose: ExtendedKeyUsagePurpose,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Identity {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("these are names");
        params.distinguished_name.push(DnType::CommonName, "websocket-tests");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![purpose];
        // Strict verifiers, Python's since 3.13 among them, ask for it.
        params.use_authority_key_identifier_extension = true;
        change(&mut params);
        let key = new_key();
        let certificate = params.signed_by(&key, &self.0).expect("the parameters are sound");
        Identity { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

impl Identity {
    /// For a server with these names and addresses, signed by itself alone.
    ///
    /// # Panics
    /// When a name is none.
    pub fn self_signed(names: &[&str]) -> Self {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = new_key();
        let params = CertificateParams::new(names).expect("these are names");
        let certificate = params.self_signed(&key).expect("the parameters are sound");
        Self { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

fn new_key() -> KeyPair {
    KeyPair::generate().expect("the system has entropy")
}
