//! What can go wrong with a TLS session.

use std::fmt;
use std::io;

use rustls::{AlertDescription, CertificateError, PeerIncompatible, PeerMisbehaved};

/// Why a TLS session failed.
///
/// The first failure of the session itself is kept: every later call returns it again. Errors that hold what a caller's own verifier
/// said (`CertificateError::Other`) never compare equal, not even to themselves.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum TlsError {
    /// The peer's certificate was refused, for this reason.
    Certificate(CertificateError),
    /// The peer does not speak TLS; `http` when what it sent is a plain HTTP answer.
    #[non_exhaustive]
    NotTls {
        /// Whether the answer begins with `HTTP/`.
        http: bool,
    },
    /// The peer ended the session with this alert.
    Alert(AlertDescription),
    /// The peer wanted to negotiate the session again, which is refused (TLS 1.2, RFC 5246 section 7.4.1.1), and ended it for that. Servers
    /// do that to ask for a client certificate when they see what is requested.
    Renegotiation,
    /// The peer broke the protocol, or has nothing in common with what is allowed here.
    Protocol(rustls::Error),
    /// The stream ended before the handshake was complete.
    EndOfHandshake,
    /// The stream ended without `close_notify`: something may have been cut off (RFC 8446 section 6.1).
    Truncated,
    /// Data can be sent once the handshake is complete. The session goes on.
    Handshaking,
    /// Data cannot be sent after `close_notify`.
    Closed,
    /// The keys have encrypted as much as is safe and this TLS version cannot change them. Connect again.
    Exhausted,
}

impl TlsError {
    /// What this failure means after the peer wanted to negotiate again: rustls answers that with a warning, and most peers end
    /// the session then, with an alert that gives no reason.
    pub(super) fn after_renegotiation(self) -> Self {
        match self {
            Self::Alert(AlertDescription::HandshakeFailure | AlertDescription::NoRenegotiation)
            | Self::Protocol(rustls::Error::PeerMisbehaved(PeerMisbehaved::TooManyRenegotiationRequests)) => {
                Self::Renegotiation
            }
            other => other,
        }
    }
}

impl From<rustls::Error> for TlsError {
    fn from(error: rustls::Error) -> Self {
        match error {
            rustls::Error::InvalidCertificate(reason) => Self::Certificate(reason),
            rustls::Error::AlertReceived(alert) => Self::Alert(alert),
            error => Self::Protocol(error),
        }
    }
}

impl From<TlsError> for io::Error {
    fn from(error: TlsError) -> Self {
        let kind = match error {
            TlsError::EndOfHandshake | TlsError::Truncated => io::ErrorKind::UnexpectedEof,
            TlsError::Handshaking => io::ErrorKind::NotConnected,
            TlsError::Closed => io::ErrorKind::BrokenPipe,
            TlsError::Exhausted => io::ErrorKind::ConnectionAborted,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate(reason) => certificate(reason, f),
            Self::NotTls { http } => write!(
                f,
                "{} TLS on this port; is it ws:// rather than wss://, or, if it is a proxy, http:// rather than https://?",
                if *http { "the server answered in plain HTTP, it does not speak" } else { "the server does not speak" },
            ),
            Self::Alert(alert) => write!(f, "the server refused the TLS session ({alert:?}){}", advice(*alert)),
            Self::Renegotiation => f.write_str(
                "the server asked for a new handshake within the session (TLS 1.2 renegotiation), which is not supported, and ended \
                 the session; if it wants a client certificate, it must ask for that in the first handshake, or speak TLS 1.3",
            ),
            Self::Protocol(rustls::Error::PeerIncompatible(why)) => incompatible(why, f),
            Self::Protocol(error) => write!(f, "TLS failed: {error}"),
            Self::EndOfHandshake => f.write_str(
                "the stream ended before the TLS handshake was complete; does the server speak TLS on this port?",
            ),
            Self::Truncated => f.write_str("the stream ended without TLS close_notify"),
            Self::Handshaking => f.write_str("nothing can be sent before the TLS handshake is complete"),
            Self::Closed => f.write_str("nothing can be sent after TLS close_notify"),
            Self::Exhausted => {
                f.write_str("the TLS 1.2 keys have encrypted as much as is safe; connect again")
            }
        }
    }
}

// No `source`: the text says it all.
impl std::error::Error for TlsError {}

fn certificate(reason: &CertificateError, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("the server's certificate was refused: ")?;
    match reason {
        CertificateError::UnknownIssuer => f.write_str(
            "its issuer is unknown; if you trust it, add its root certificate (TlsOptions::roots_from_file or WEBSOCKET_CLIENT_CA_BUNDLE)",
        ),
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => f.write_str(
            "it is for no name at all: only its subjectAltName counts, not its Common Name (RFC 9525); the server needs one with a name, \
             or, if you named this very certificate as a root, set TlsOptions::danger_accept_invalid_names",
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            write!(f, "it is for another name ({reason}); if that is meant, set TlsOptions::server_name")
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            write!(f, "it has expired ({reason}); the server needs a new one, or this machine's clock is wrong")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            write!(f, "it is not valid yet ({reason}); is this machine's clock right?")
        }
        CertificateError::Revoked => f.write_str("it has been revoked"),
        CertificateError::Other(other) if is_ca_as_leaf(other) => f.write_str(
            "it is a CA certificate, which vouches for others, not for a server; if it is self-signed and you trust it, \
             add it as a root (TlsOptions::roots_from_file)",
        ),
        CertificateError::Other(rustls::OtherError(other)) if other.is::<UnusableKey>() => write!(f, "{other}"),
        reason => write!(f, "{reason}"),
    }
}

/// Why a certificate that is one of the user's roots is refused: no signature can be verified with its key.
#[derive(Debug)]
pub(super) struct UnusableKey;

impl fmt::Display for UnusableKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "its key is of a kind or size that the crypto provider cannot verify signatures with, so that nothing proves that the server \
             holds it; the server needs another key",
        )
    }
}

impl std::error::Error for UnusableKey {}

/// Whether webpki refused a certificate because its basic constraints say that it is a CA's.
fn is_ca_as_leaf(other: &rustls::OtherError) -> bool {
    matches!(other.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
}

fn incompatible(why: &PeerIncompatible, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(
        f,
        "the server has no TLS version, cipher suite or key exchange in common with what is allowed here ({why:?})"
    )
}

fn advice(alert: AlertDescription) -> &'static str {
    match alert {
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => {
            ": no cipher suite or key exchange in common, or it wants a client certificate"
        }
        AlertDescription::ProtocolVersion => ": no TLS version in common",
        AlertDescription::CertificateRequired => ": it wants a client certificate",
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied => {
            ": it does not accept the client certificate, or wants another one"
        }
        AlertDescription::UnrecognisedName => {
            ": it does not know the server name; see TlsOptions::server_name"
        }
        AlertDescription::NoApplicationProtocol => ": it does not offer http/1.1",
        _ => "",
    }
}
