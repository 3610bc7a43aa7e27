//! What a proxy speaks.

use std::fmt;
use std::str::FromStr;

use super::ProxyConfigError;

/// What a proxy speaks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
#[non_exhaustive]
pub enum ProxyScheme {
    /// HTTP with CONNECT (RFC 9110 section 9.3.6). The default.
    #[default]
    Http,
    /// As `Http`, over TLS to the proxy.
    Https,
    /// SOCKS4: IPv4 addresses only, names are resolved here.
    Socks4,
    /// SOCKS4a: names are resolved by the proxy.
    Socks4a,
    /// SOCKS5 (RFC 1928): names are resolved here.
    Socks5,
    /// SOCKS5 (RFC 1928): names are resolved by the proxy.
    Socks5h,
}

impl ProxyScheme {
    /// The port of a proxy that names none: 80, 443 for `https`, 1080 for SOCKS.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
            Self::Socks4 | Self::Socks4a | Self::Socks5 | Self::Socks5h => 1080,
        }
    }

    /// The name, as in a URL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Socks4 => "socks4",
            Self::Socks4a => "socks4a",
            Self::Socks5 => "socks5",
            Self::Socks5h => "socks5h",
        }
    }
}

impl fmt::Display for ProxyScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ProxyScheme {
    type Err = ProxyConfigError;

    fn from_str(text: &str) -> Result<Self, ProxyConfigError> {
        [Self::Http, Self::Https, Self::Socks4, Self::Socks4a, Self::Socks5, Self::Socks5h]
            .into_iter()
            .find(|scheme| scheme.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| ProxyConfigError::Scheme(text.to_owned()))
    }
}
