//! What a TLS connection trusts, shows and negotiates.

use std::ffi::OsString;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, KeyLog};

use super::pem::Source;
use super::roots::Roots;
use super::settings::{KeyLogging, Settings};
use super::{TlsConfigError, TlsVersion};

/// Options of TLS connections.
///
/// Without any: certificates are verified against the system's roots and the name of the server, TLS 1.2 and 1.3 are allowed, and
/// ALPN offers `http/1.1`. The environment has a say where the options are silent: `WEBSOCKET_CLIENT_CA_BUNDLE` (a file or a directory
/// of PEM certificates, ignored if it does not exist), else `SSL_CERT_FILE` and `SSL_CERT_DIR`, replace the system's roots, and
/// `SSLKEYLOGFILE` names a file for the session keys.
///
/// Files are read by the first [`build`](Self::build), and the result is kept: clones share it, and with it the memory of sessions that can be
/// resumed. Every change of an option, but for the server name, starts a new one.
///
/// ```
/// use websocket_link::tls::{TlsConfigError, TlsOptions, TlsVersion};
///
/// let options = TlsOptions::new()
///     .roots_from_file("no/such/ca.pem")
///     .client_certificate_from_files("client.pem", "client.key")
///     .versions([TlsVersion::Tls13]);
/// assert!(matches!(options.build(), Err(TlsConfigError::Unreadable { .. })));
/// ```
#[derive(Clone)]
pub struct TlsOptions {
    server_name: Option<String>,
    settings: Settings,
    built: Arc<OnceLock<Arc<ClientConfig>>>,
}

impl Default for TlsOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl TlsOptions {
    /// The options described above.
    pub fn new() -> Self {
        Self { server_name: None, settings: Settings::default(), built: Arc::default() }
    }

    /// Replaces all options but [`server_name`](Self::server_name) by a ready-made configuration, which is used as it is: it names its own
    /// ALPN protocols (`http/1.1` for WebSocket, or none), crypto provider, verifier and key log.
    #[must_use]
    pub fn ready_made(self, config: Arc<ClientConfig>) -> Self {
        self.set(|settings| settings.ready_made = Some(config))
    }

    /// The name that the server is asked for (SNI) and must have a certificate for; default: the host of the URL. For an IP address no
    /// SNI is sent (RFC 6066 section 3) and the certificate must hold the address.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Trusts the certificates in a file: PEM, as many as there are, or a single one in DER. Like the next methods this replaces the default
    /// roots; together they add up.
    ///
    /// A server may show one of these certificates itself, also if it is not fit for a server by the rules: a CA's, one of X.509 version 1, or
    /// with unknown critical extensions. It must be valid now and name the server in its subjectAltName; a Common Name does not count. For
    /// one without names, use [`danger_accept_invalid_names`](Self::danger_accept_invalid_names).
    #[must_use]
    pub fn roots_from_file(self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        self.set(|settings| settings.roots.push(Roots::Pem(Source::File(path))))
    }

    /// Trusts the certificates in all files of a directory, not of those below it; files without any are passed over.
    #[must_use]
    pub fn roots_from_directory(self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        self.set(|settings| settings.roots.push(Roots::Directory(path)))
    }

    /// Trusts the certificates in a PEM text, or a single one in DER.
    #[must_use]
    pub fn roots_from_bytes(self, certificates: impl AsRef<[u8]>) -> Self {
        let source = Source::Bytes(certificates.as_ref().into());
        self.set(|settings| settings.roots.push(Roots::Pem(source)))
    }

    /// Trusts the system's roots besides others. By default they are trusted alone.
    #[must_use]
    pub fn system_roots(self) -> Self {
        self.set(|settings| settings.roots.push(Roots::System))
    }

    /// Trusts Mozilla's roots, as they were when this was compiled.
    #[cfg(feature = "webpki-roots")]
    #[must_use]
    pub fn mozilla_roots(self) -> Self {
        self.set(|settings| settings.roots.push(Roots::Mozilla))
    }

    /// Shows a certificate, with those of its issuers, to servers that ask for one. Both files are PEM and may be the same one. The
    /// certificate is shown as it is; whether it is acceptable is up to the server.
    #[must_use]
    pub fn client_certificate_from_files(
        self,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        let pair = (Source::File(certificate.into()), Source::File(key.into()));
        self.set(|settings| settings.client = Some(pair))
    }

    /// As [`client_certificate_from_files`](Self::client_certificate_from_files), from PEM texts.
    #[must_use]
    pub fn client_certificate_from_bytes(self, certificate: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        let pair = (Source::Bytes(certificate.as_ref().into()), Source::Bytes(key.as_ref().into()));
        self.set(|settings| settings.client = Some(pair))
    }

    /// **Dangerous.** Accepts a certificate that is verified but belongs to another name: anyone who has any certificate can sit in
    /// between. Default `false`. To expect another name, use [`server_name`](Self::server_name).
    ///
    /// A server may also show exactly a certificate that is named as a root, whatever rules for certificates it breaks. If the crypto provider
    /// cannot verify signatures with its key (RSA with less than 2048 bits, say), nothing proves then that the server holds the key.
    #[must_use]
    pub fn danger_accept_invalid_names(self, accept: bool) -> Self {
        self.set(|settings| settings.accept_invalid_names = Some(accept))
    }

    /// **Dangerous.** Accepts every certificate, with any name: anyone on the way can read and change everything. Default `false`. To
    /// connect to a server with a certificate of its own making, name that by [`roots_from_file`](Self::roots_from_file).
    ///
    /// Every certificate means also those of X.509 version 1, with unknown critical extensions, with short keys, and what is not a
    /// certificate at all. The server must prove that it holds the key of what it shows, so that the certificate can be compared afterwards.
    /// Where that cannot be verified, since the certificate cannot be read or the crypto provider does not know keys of its kind or size, it
    /// is accepted without proof.
    #[must_use]
    pub fn danger_accept_invalid_certificates(self, accept: bool) -> Self {
        self.set(|settings| settings.accept_invalid_certificates = accept)
    }

    /// The versions that may be negotiated. Default: all of [`TlsVersion`].
    #[must_use]
    pub fn versions(self, versions: impl IntoIterator<Item = TlsVersion>) -> Self {
        let versions = versions.into_iter().collect();
        self.set(|settings| settings.versions = versions)
    }

    /// The cipher suites that may be negotiated, best first, by the names of IANA or rustls: `TLS_AES_256_GCM_SHA384`,
    /// `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256`. Default, also for none: the crypto provider's.
    #[must_use]
    pub fn cipher_suites<S: Into<String>>(self, names: impl IntoIterator<Item = S>) -> Self {
        let names = names.into_iter().map(Into::into).collect();
        self.set(|settings| settings.cipher_suites = names)
    }

    /// The key exchange groups that may be negotiated, best first: `X25519`, `secp256r1`. Default, also for none: the crypto provider's.
    #[must_use]
    pub fn key_exchange_groups<S: Into<String>>(self, names: impl IntoIterator<Item = S>) -> Self {
        let names = names.into_iter().map(Into::into).collect();
        self.set(|settings| settings.key_exchange_groups = names)
    }

    /// The application protocols that are offered, best first. Default: `http/1.1` alone, the only one that WebSocket is spoken over
    /// here. None: the extension is left out, for servers that stumble over it.
    #[must_use]
    pub fn alpn<P: Into<Vec<u8>>>(self, protocols: impl IntoIterator<Item = P>) -> Self {
        let protocols = protocols.into_iter().map(Into::into).collect();
        self.set(|settings| settings.alpn = protocols)
    }

    /// Appends the session keys to a file, for tools such as Wireshark: whoever reads it can decrypt the connection. Default: the file that
    /// `SSLKEYLOGFILE` names, if any.
    #[must_use]
    pub fn key_log_file(self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        self.set(|settings| settings.key_log = KeyLogging::File(path))
    }

    /// Hands the session keys to `log`.
    #[must_use]
    pub fn key_log(self, log: Arc<dyn KeyLog>) -> Self {
        self.set(|settings| settings.key_log = KeyLogging::Custom(log))
    }

    /// Writes session keys nowhere, whatever the environment says.
    #[must_use]
    pub fn no_key_log(self) -> Self {
        self.set(|settings| settings.key_log = KeyLogging::Off)
    }

    /// Resumes earlier sessions with the same server, which spares a part of the handshake. Default `true`.
    #[must_use]
    pub fn resumption(self, resume: bool) -> Self {
        self.set(|settings| settings.resumption = resume)
    }

    /// The crypto provider. Default: that of the feature `aws-lc-rs` if it is on, else `ring`.
    #[must_use]
    pub fn provider(self, provider: Arc<CryptoProvider>) -> Self {
        self.set(|settings| settings.provider = Some(provider))
    }

    /// Where environment variables are read. Default: the process's environment; `|_| None` keeps it out, except that the search for the
    /// system's roots, where none are named, follows the process's own `SSL_CERT_FILE` and `SSL_CERT_DIR`.
    #[must_use]
    pub fn environment(self, read: impl Fn(&str) -> Option<OsString> + Send + Sync + 'static) -> Self {
        self.set(|settings| settings.environment = Arc::new(read))
    }

    /// The configuration, made once for these options and all their clones. It reads files, so call it before a loop waits for it;
    /// a failure is not kept.
    ///
    /// # Errors
    /// The first option that cannot be used, before anything is connected.
    pub fn build(&self) -> Result<Arc<ClientConfig>, TlsConfigError> {
        if let Some(config) = self.settings.ready_made.as_ref().or_else(|| self.built.get()) {
            return Ok(config.clone());
        }
        let config = Arc::new(self.settings.config()?);
        Ok(self.built.get_or_init(|| config).clone())
    }

    /// The name for a session with `host`, the host of a URL: [`server_name`](Self::server_name) if it is set. IPv6 addresses
    /// may be in brackets and have a scope.
    ///
    /// # Errors
    /// When that is neither a DNS name nor an IP address.
    pub fn server_name_for(&self, host: &str) -> Result<ServerName<'static>, TlsConfigError> {
        let name = self.server_name.as_deref().unwrap_or(host);
        let literal = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        // A scope is this machine's own affair (RFC 6874 section 1).
        let address = literal.split_once('%').map_or(literal, |(address, _scope)| address);
        if let Ok(address) = address.parse::<Ipv6Addr>() {
            return Ok(ServerName::IpAddress(IpAddr::V6(address).into()));
        }
        ServerName::try_from(name.to_owned()).map_err(|_| TlsConfigError::ServerName(name.to_owned()))
    }

    fn set(mut self, set: impl FnOnce(&mut Settings)) -> Self {
        set(&mut self.settings);
        self.built = Arc::default();
        self
    }
}

impl From<Arc<ClientConfig>> for TlsOptions {
    fn from(config: Arc<ClientConfig>) -> Self {
        Self::new().ready_made(config)
    }
}

impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsOptions")
            .field("server_name", &self.server_name)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
