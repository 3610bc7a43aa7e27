//! From options to a configuration of rustls.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, KeyLog, SupportedProtocolVersion};

use super::key_log::KeyLogFile;
use super::pem::Source;
use super::roots::{self, Environment, Roots};
use super::verify::{AcceptAny, Verifier};
use super::{TlsConfigError, TlsVersion, client_certificate, provider};

/// What the options say, but for the server name.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) ready_made: Option<Arc<ClientConfig>>,
    pub(super) roots: Vec<Roots>,
    pub(super) client: Option<(Source, Source)>,
    pub(super) accept_invalid_names: Option<bool>,
    pub(super) accept_invalid_certificates: bool,
    pub(super) versions: Vec<TlsVersion>,
    pub(super) cipher_suites: Vec<String>,
    pub(super) key_exchange_groups: Vec<String>,
    pub(super) alpn: Vec<Vec<u8>>,
    pub(super) key_log: KeyLogging,
    pub(super) resumption: bool,
    pub(super) provider: Option<Arc<CryptoProvider>>,
    pub(super) environment: Arc<Environment>,
}

#[derive(Clone, Debug)]
pub(super) enum KeyLogging {
    Environment,
    Off,
    File(PathBuf),
    Custom(Arc<dyn KeyLog>),
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ready_made: None,
            roots: Vec::new(),
            client: None,
            accept_invalid_names: None,
            accept_invalid_certificates: false,
            versions: vec![TlsVersion::Tls12, TlsVersion::Tls13],
            cipher_suites: Vec::new(),
            key_exchange_groups: Vec::new(),
            alpn: vec![b"http/1.1".to_vec()],
            key_log: KeyLogging::Environment,
            resumption: true,
            provider: None,
            environment: Arc::new(|name| std::env::var_os(name)),
        }
    }
}

impl Settings {
    pub(super) fn config(&self) -> Result<ClientConfig, TlsConfigError> {
        if self.accept_invalid_certificates && self.accept_invalid_names == Some(false) {
            return Err(TlsConfigError::NameCheckWithoutVerification);
        }
        if let Some(protocol) = self.alpn.iter().find(|protocol| !(1..=255).contains(&protocol.len())) {
            return Err(TlsConfigError::AlpnProtocol(protocol.clone()));
        }
        let provider =
            provider::select(self.provider.as_deref(), &self.cipher_suites, &self.key_exchange_groups)?;
        let provider = Arc::new(provider);
        let versions: Vec<&SupportedProtocolVersion> = self
            .versions
            .iter()
            .map(|version| match version {
                TlsVersion::Tls12 => &rustls::version::TLS12,
                TlsVersion::Tls13 => &rustls::version::TLS13,
            })
            .collect();
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&versions)
            .map_err(TlsConfigError::Unusable)?;
        let builder = builder.dangerous().with_custom_certificate_verifier(self.verifier(provider.clone())?);
        let mut config = match &self.client {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let shown = client_certificate::load(certificate, key, &provider)?;
                builder.with_client_cert_resolver(Arc::new(shown))
            }
        };
        config.alpn_protocols = self.alpn.clone();
        if !self.resumption {
            config.resumption = Resumption::disabled();
        }
        if let Some(log) = self.key_log()? {
            config.key_log = log;
        }
        Ok(config)
    }

    fn verifier(&self, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, TlsConfigError> {
        if self.accept_invalid_certificates {
            log::warn!(target: "websocket::tls", "certificates are not verified: whoever is on the way can read and change everything");
            return Ok(Arc::new(AcceptAny(provider.signature_verification_algorithms)));
        }
        let check_name = !self.accept_invalid_names.unwrap_or(false);
        if !check_name {
            log::warn!(target: "websocket::tls", "names in certificates are not checked: whoever has a certificate can sit in between");
        }
        let trusted = roots::load(&self.roots, &*self.environment)?;
        let algorithms = provider.signature_verification_algorithms;
        let inner = if trusted.store.is_empty() {
            None
        } else {
            let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(trusted.store), provider);
            Some(
                builder
                    .build()
                    .map_err(|error| TlsConfigError::NoSystemRoots { reason: error.to_string() })?,
            )
        };
        Ok(Arc::new(Verifier { inner, algorithms, own: trusted.own, check_name }))
    }

    fn key_log(&self) -> Result<Option<Arc<dyn KeyLog>>, TlsConfigError> {
        let path = match &self.key_log {
            KeyLogging::Off => return Ok(None),
            KeyLogging::Custom(log) => return Ok(Some(log.clone())),
            KeyLogging::File(path) => path.clone(),
            KeyLogging::Environment => match (self.environment)("SSLKEYLOGFILE") {
                Some(path) if !path.is_empty() => path.into(),
                _ => return Ok(None),
            },
        };
        match KeyLogFile::open(&path) {
            Ok(log) => Ok(Some(log)),
            // A forgotten variable shall not keep a program from connecting.
            Err(error) if matches!(self.key_log, KeyLogging::Environment) => {
                log::warn!(target: "websocket::tls", "SSLKEYLOGFILE: {} cannot be opened: {error}", path.display());
                Ok(None)
            }
            Err(error) => Err(TlsConfigError::KeyLog { path, kind: error.kind() }),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ready_made.is_some() {
            return f.write_str("ReadyMade");
        }
        f.debug_struct("Settings")
            .field("roots", &self.roots)
            .field("client", &self.client)
            .field("accept_invalid_names", &self.accept_invalid_names)
            .field("accept_invalid_certificates", &self.accept_invalid_certificates)
            .field("versions", &self.versions)
            .field("cipher_suites", &self.cipher_suites)
            .field("key_exchange_groups", &self.key_exchange_groups)
            .field("key_log", &self.key_log)
            .field("resumption", &self.resumption)
            .finish_non_exhaustive()
    }
}
