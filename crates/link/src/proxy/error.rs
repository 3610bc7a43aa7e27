//! Why a proxy cannot be used, and why it gave no tunnel.

use std::fmt;

use super::challenge;

/// A proxy or a list of exceptions that cannot be used. It never repeats credentials.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ProxyConfigError {
    /// There is no such scheme of proxies.
    Scheme(String),
    /// The URL has not the form `[scheme://][user[:password]@]host[:port]`; the text says where.
    Syntax(&'static str),
    /// The host is neither a name nor an address.
    Host,
    /// The port is not between 1 and 65535.
    Port,
    /// The credentials cannot be sent in this scheme; the text says why.
    Credentials(&'static str),
    /// This entry of a list of exceptions is none of those that [`NoProxy`](super::NoProxy) knows.
    Exception(String),
}

impl fmt::Display for ProxyConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheme(scheme) => write!(
                f,
                "the proxy's scheme must be http, https, socks4, socks4a, socks5 or socks5h, not {scheme:?}"
            ),
            Self::Syntax(what) => {
                write!(f, "the proxy is not [scheme://][user[:password]@]host[:port]: {what}")
            }
            Self::Host => f.write_str("the proxy's host must be a name or an address, IPv6 in brackets"),
            Self::Port => f.write_str("the proxy's port must be between 1 and 65535"),
            Self::Credentials(what) => write!(f, "the proxy's credentials cannot be sent: {what}"),
            Self::Exception(entry) => write!(
                f,
                "{entry:?} is no exception from the proxy: it must be a host, a domain, an address or a network, \
                 with :port or without, or *"
            ),
        }
    }
}

impl std::error::Error for ProxyConfigError {}

/// A proxy that gave no tunnel. It names the proxy and never its credentials.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ProxyError {
    /// The proxy, as `scheme://host:port`.
    pub proxy: String,
    /// What went wrong there.
    pub failure: ProxyFailure,
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "proxy {}: {}", self.proxy, self.failure)
    }
}

impl std::error::Error for ProxyError {}

/// What went wrong at a proxy, sorted by whose fault it is: the caller's, the proxy's refusal, the proxy's breach of its protocol.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ProxyFailure {
    /// The scheme wants the destination's address, and only its name was given, or the name has no address.
    NeedsAddress,
    /// The destination has no IPv4 address, and SOCKS4 carries no other.
    Ipv6Unsupported,
    /// The destination's name is longer than this, in bytes.
    NameTooLong {
        /// What is allowed.
        limit: usize,
    },

    /// An HTTP proxy answered with a status other than 2xx.
    #[non_exhaustive]
    Status {
        /// The status code.
        status: u16,
        /// The reason phrase, cut to 100 characters, without control characters.
        reason: String,
    },
    /// An HTTP proxy answered 407.
    ///
    /// A new attempt with [`Proxy::authorization`](super::Proxy::authorization) can answer a challenge that Basic does not.
    #[non_exhaustive]
    AuthenticationRequired {
        /// The values of its `Proxy-Authenticate` headers.
        challenges: Vec<String>,
        /// Whether credentials had been sent, which are thereby refused.
        sent: bool,
    },
    /// A SOCKS4 proxy refused.
    Socks4(Socks4Reply),
    /// A SOCKS5 proxy refused.
    Socks5(Socks5Reply),
    /// A SOCKS5 proxy accepts none of the offered methods of authentication.
    #[non_exhaustive]
    NoAcceptableMethod {
        /// Whether user and password had been offered.
        offered_password: bool,
    },
    /// A SOCKS5 proxy refused user and password (RFC 1929).
    #[non_exhaustive]
    CredentialsRefused {
        /// Its status, anything but 0.
        status: u8,
    },

    /// The proxy's first bytes are of another protocol than its scheme says.
    WrongProtocol,
    /// The proxy's answer cannot be parsed; the text says where.
    Malformed(&'static str),
    /// The heads of an HTTP proxy's answer are longer than this, in bytes.
    HeadersTooLong {
        /// What is allowed.
        limit: usize,
    },
    /// The proxy closed the stream before its answer was complete.
    EndOfStream,
}

impl fmt::Display for ProxyFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeedsAddress => f.write_str(
                "its scheme needs the destination's address, and there is only a name; socks4a and socks5h take names",
            ),
            Self::Ipv6Unsupported => {
                f.write_str("SOCKS4 reaches IPv4 addresses only; use socks4a with a name, socks5 or socks5h")
            }
            Self::NameTooLong { limit } => write!(f, "the destination's name exceeds {limit} bytes"),
            Self::Status { status, reason } if reason.is_empty() => write!(f, "it answered {status}"),
            Self::Status { status, reason } => write!(f, "it answered {status} {reason}"),
            Self::AuthenticationRequired { challenges, sent } => {
                f.write_str(if *sent { "it refused the credentials (407)" } else { "it wants credentials (407)" })?;
                let schemes: Vec<_> =
                    challenges.iter().flat_map(|challenge| challenge::schemes(challenge)).collect();
                if schemes.is_empty() {
                    return Ok(());
                }
                write!(f, "; it offers {}", schemes.join(", "))
            }
            Self::Socks4(reply) => write!(f, "it refused: {reply}"),
            Self::Socks5(reply) => write!(f, "it refused: {reply}"),
            Self::NoAcceptableMethod { offered_password: true } => {
                f.write_str("it accepts neither user and password nor going without")
            }
            Self::NoAcceptableMethod { offered_password: false } => {
                f.write_str("it wants authentication; give it a user and a password")
            }
            Self::CredentialsRefused { status } => write!(f, "it refused user and password (status {status})"),
            Self::WrongProtocol => {
                f.write_str("it does not speak the protocol of its scheme; is the scheme right, and the port?")
            }
            Self::Malformed(what) => write!(f, "its answer is malformed: {what}"),
            Self::HeadersTooLong { limit } => write!(f, "the headers of its answer exceed {limit} bytes"),
            Self::EndOfStream => f.write_str("it closed the stream before its answer was complete"),
        }
    }
}

/// How a SOCKS4 proxy says no.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Socks4Reply {
    /// 91: rejected or failed.
    Rejected,
    /// 92: the proxy cannot reach the client's identd.
    IdentUnreachable,
    /// 93: the client's identd reports another user.
    IdentMismatch,
    /// A code that the protocol does not know.
    Unknown(u8),
}

impl From<u8> for Socks4Reply {
    fn from(code: u8) -> Self {
        match code {
            91 => Self::Rejected,
            92 => Self::IdentUnreachable,
            93 => Self::IdentMismatch,
            code => Self::Unknown(code),
        }
    }
}

impl fmt::Display for Socks4Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected => f.write_str("request rejected or failed (91)"),
            Self::IdentUnreachable => f.write_str("it cannot reach identd on this machine (92)"),
            Self::IdentMismatch => f.write_str("identd on this machine reports another user (93)"),
            Self::Unknown(code) => write!(f, "code {code}"),
        }
    }
}

/// How a SOCKS5 proxy says no (RFC 1928 section 6).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Socks5Reply {
    /// 1
    GeneralFailure,
    /// 2: the proxy's rules forbid this connection.
    NotAllowed,
    /// 3
    NetworkUnreachable,
    /// 4
    HostUnreachable,
    /// 5: the destination refused the connection.
    ConnectionRefused,
    /// 6
    TtlExpired,
    /// 7
    CommandNotSupported,
    /// 8
    AddressTypeNotSupported,
    /// A code that the protocol does not know.
    Unknown(u8),
}

impl From<u8> for Socks5Reply {
    fn from(code: u8) -> Self {
        match code {
            1 => Self::GeneralFailure,
            2 => Self::NotAllowed,
            3 => Self::NetworkUnreachable,
            4 => Self::HostUnreachable,
            5 => Self::ConnectionRefused,
            6 => Self::TtlExpired,
            7 => Self::CommandNotSupported,
            8 => Self::AddressTypeNotSupported,
            code => Self::Unknown(code),
        }
    }
}

impl fmt::Display for Socks5Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GeneralFailure => "general failure (1)",
            Self::NotAllowed => "its rules do not allow this connection (2)",
            Self::NetworkUnreachable => "network unreachable (3)",
            Self::HostUnreachable => "host unreachable (4)",
            Self::ConnectionRefused => "connection refused by the destination (5)",
            Self::TtlExpired => "TTL expired (6)",
            Self::CommandNotSupported => "command not supported (7)",
            Self::AddressTypeNotSupported => "address type not supported (8)",
            Self::Unknown(code) => return write!(f, "code {code}"),
        })
    }
}
