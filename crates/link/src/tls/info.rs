//! What users can learn about a session.

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
}
