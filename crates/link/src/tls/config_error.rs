//! What can be wrong with TLS options.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why TLS options cannot be used. Found before any connection is tried.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum TlsConfigError {
    /// A file or directory could not be read.
    #[non_exhaustive]
    Unreadable {
        /// Which one, and which variable named it.
        origin: String,
        /// What the system said.
        kind: io::ErrorKind,
    },
    /// A file or bytes that should hold certificates hold none.
    #[non_exhaustive]
    NoCertificate {
        /// Where they were looked for.
        origin: String,
    },
    /// Certificates that cannot be decoded.
    #[non_exhaustive]
    InvalidCertificate {
        /// Where they were found.
        origin: String,
        /// What is wrong with them.
        reason: String,
    },
    /// The system has no root certificates.
    #[non_exhaustive]
    NoSystemRoots {
        /// What was tried.
        reason: String,
    },
    /// A file or bytes that should hold a private key hold none that can be decoded.
    #[non_exhaustive]
    NoPrivateKey {
        /// Where it was looked for.
        origin: String,
    },
    /// The private key is encrypted.
    #[non_exhaustive]
    EncryptedPrivateKey {
        /// Where it was found.
        origin: String,
    },
    /// The client certificate cannot be used: its key is of an unknown kind or belongs to another certificate.
    ClientCertificate(rustls::Error),
    /// Names shall be checked but certificates shall not: a name in an unverified certificate means nothing.
    NameCheckWithoutVerification,
    /// A cipher suite that the crypto provider does not have.
    #[non_exhaustive]
    UnknownCipherSuite {
        /// The name that was given.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// A key exchange group that the crypto provider does not have.
    #[non_exhaustive]
    UnknownKeyExchangeGroup {
        /// The name that was given.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// No TLS version, or no cipher suite, or no key exchange group is left that could be negotiated.
    Unusable(rustls::Error),
    /// An ALPN protocol that is empty or longer than 255 bytes (RFC 7301 section 3.1).
    AlpnProtocol(Vec<u8>),
    /// A server name that is neither a DNS name (in ASCII) nor an IP address.
    ServerName(String),
    /// The file for the session keys cannot be opened.
    #[non_exhaustive]
    KeyLog {
        /// The file.
        path: PathBuf,
        /// What the system said.
        kind: io::ErrorKind,
    },
    /// Built without the features `ring` and `aws-lc-rs`, and no provider was given.
    NoProvider,
}

impl fmt::Display for TlsConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { origin, kind } => write!(f, "{origin} cannot be read: {kind}"),
            Self::NoCertificate { origin } => {
                write!(f, "{origin} holds no certificate in PEM form (\"-----BEGIN CERTIFICATE-----\")")
            }
            Self::InvalidCertificate { origin, reason } => {
                write!(f, "{origin} holds a certificate that cannot be decoded: {reason}")
            }
            Self::NoSystemRoots { reason } => write!(
                f,
                "no root certificates were found on this system ({reason}); install its CA certificates or name your own \
                 (TlsOptions::roots_from_file or WEBSOCKET_CLIENT_CA_BUNDLE)"
            ),
            Self::NoPrivateKey { origin } => {
                write!(f, "{origin} holds no private key in PEM form (PKCS #8, PKCS #1 or SEC 1)")
            }
            Self::EncryptedPrivateKey { origin } => write!(
                f,
                "{origin} holds an encrypted private key, which is not supported; decrypt it with \
                 `openssl pkey -in key.pem -out decrypted.pem` and protect the file, or pass the decrypted bytes"
            ),
            Self::ClientCertificate(rustls::Error::General(reason)) => write!(
                f,
                "the key of the client certificate cannot be used: {reason}; RSA keys need at least 2048 bits, those of elliptic curves a \
                 curve that the crypto provider knows"
            ),
            Self::ClientCertificate(error) => write!(f, "the client certificate cannot be used: {error}"),
            Self::NameCheckWithoutVerification => f.write_str(
                "names cannot be checked while certificates are not verified: a name in an unverified certificate means nothing; \
                 drop danger_accept_invalid_names(false) or danger_accept_invalid_certificates(true)",
            ),
            Self::UnknownCipherSuite { name, known } => {
                write!(f, "there is no cipher suite {name:?}; there are {}", known.join(", "))
            }
            Self::UnknownKeyExchangeGroup { name, known } => {
                write!(f, "there is no key exchange group {name:?}; there are {}", known.join(", "))
            }
            Self::Unusable(error) => {
                write!(f, "TLS versions, cipher suites and key exchange groups leave nothing to negotiate: {error}")
            }
            Self::AlpnProtocol(protocol) => write!(
                f,
                "an ALPN protocol has 1 to 255 bytes, not {}: {:?}",
                protocol.len(),
                String::from_utf8_lossy(protocol)
            ),
            Self::ServerName(name) => write!(
                f,
                "{name:?} cannot be a TLS server name; a DNS name in ASCII or an IP address is needed"
            ),
            Self::KeyLog { path, kind } => {
                write!(f, "the key log file {} cannot be opened: {kind}", path.display())
            }
            Self::NoProvider => f.write_str(
                "there is no crypto provider: enable the feature `ring` or `aws-lc-rs`, or give one by TlsOptions::provider",
            ),
        }
    }
}

// No `source`: the text says it all.
impl std::error::Error for TlsConfigError {}
