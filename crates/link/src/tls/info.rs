//! What users can learn about a session.

use rustls::pki_types::CertificateDer;
use rustls::{CipherSuite, NamedGroup, ProtocolVersion};

/// What was negotiated in a handshake.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct TlsInfo {
    /// The version of TLS.
    pub version: ProtocolVersion,
    /// The cipher suite.
    pub cipher_suite: CipherSuite,
    /// The key exchange group; `None` where a session was resumed without a new exchange.
    pub key_exchange: Option<NamedGroup>,
    /// The application protocol, if the server chose one.
    pub alpn: Option<Vec<u8>>,
    /// Whether an earlier session was resumed, which spares the certificates.
    pub resumed: bool,
    /// The certificates of the peer, its own first, in the order in which it has shown them. Where a session was resumed, those of the
    /// first handshake, as far as they are still known.
    pub certificates: Vec<CertificateDer<'static>>,
}
