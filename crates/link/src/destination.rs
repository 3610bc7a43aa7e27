//! The host and port that a stream leads to.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// A host: a name in ASCII (punycode) or an address. Free of anything that could break out of a header or a request line.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Host(Kind);

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Kind {
    Name(Box<str>),
    Address(IpAddr),
}

impl Host {
    /// The name; `None` for an address.
    pub fn name(&self) -> Option<&str> {
        match &self.0 {
            Kind::Name(name) => Some(name),
            Kind::Address(_) => None,
        }
    }

    /// The address; `None` for a name, which must be resolved first.
    pub const fn address(&self) -> Option<IpAddr> {
        match self.0 {
            Kind::Name(_) => None,
            Kind::Address(address) => Some(address),
        }
    }
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Self {
        Self(Kind::Address(address))
    }
}

/// Reads a name, which may be international, or an address, an IPv6 one with or without brackets.
impl FromStr for Host {
    type Err = InvalidHost;

    fn from_str(text: &str) -> Result<Self, InvalidHost> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(address.into());
        }
        if is_plain(text) {
            return Ok(Self(Kind::Name(text.into())));
        }
        match url::Host::parse(text) {
            Ok(url::Host::Domain(name)) => Ok(Self(Kind::Name(name.into()))),
            Ok(url::Host::Ipv4(address)) => Ok(IpAddr::V4(address).into()),
            Ok(url::Host::Ipv6(address)) => Ok(IpAddr::V6(address).into()),
            Err(_) => Err(InvalidHost),
        }
    }
}

/// Whether `text` is a name that stays as it is: of lower-case letters, digits and hyphens, not punycode, and not an address.
fn is_plain(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.contains("--")
            && label.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    last.starts_with(|first: char| first.is_ascii_lowercase()) && text.split('.').all(is_label)
}

/// As in a URL: IPv6 addresses stand in brackets.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Name(name) => f.write_str(name),
            Kind::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Kind::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// A text that is neither a host name nor an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct InvalidHost;

impl fmt::Display for InvalidHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the host must be a name or an address, without scheme, user, port and path")
    }
}

impl std::error::Error for InvalidHost {}

/// A host and a port. It prints as `host:port`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub struct Destination {
    /// The host.
    pub host: Host,
    /// The port.
    pub port: u16,
}

impl Destination {
    /// `host` at `port`.
    pub const fn new(host: Host, port: u16) -> Self {
        Self { host, port }
    }
}

impl From<SocketAddr> for Destination {
    fn from(address: SocketAddr) -> Self {
        Self::new(address.ip().into(), address.port())
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        Destination::new(text.parse().unwrap(), 9).to_string()
    }

    #[test]
    fn b184_ipv6_addresses_print_in_brackets() {
        assert_eq!(shown("::1"), "[::1]:9");
        assert_eq!(shown("[2001:DB8::1]"), "[2001:db8::1]:9");
        assert_eq!(shown("127.0.0.1"), "127.0.0.1:9");
        assert_eq!(Destination::from(SocketAddr::from(([1, 2, 3, 4], 5))).to_string(), "1.2.3.4:5");
    }

    #[test]
    fn a_name_is_ascii_in_lower_case() {
        let host: Host = "Bücher.Example".parse().unwrap();
        assert_eq!((host.name(), host.address()), (Some("xn--bcher-kva.example"), None));
        assert_eq!("a_b".parse::<Host>().unwrap().name(), Some("a_b"));
    }

    #[test]
    fn a_plain_name_is_read_as_the_url_crate_reads_it() {
        for text in [
            "h",
            "localhost",
            "feed.example",
            "a-1.b2.example",
            "-a-.example",
            "1.example",
            "1.2.3.a4",
            "a.0x1",
            "a.1",
            "1",
            "xn--bcher-kva.example",
            "ab--c.example",
            "h.",
            "a..b",
            ".h",
            "H.example",
            "a_b",
            "a%62",
        ] {
            let expected = url::Host::parse(text).map_err(|_| InvalidHost).map(|host| host.to_string());
            assert_eq!(text.parse::<Host>().map(|host| host.to_string()), expected, "{text}");
        }
        assert!(is_plain("feed-1.example") && !is_plain("xn--bcher-kva.example") && !is_plain("a.1"));
    }

    #[test]
    fn b153_what_is_no_host_is_refused() {
        for text in [
            "", " ", "a b", "a\r\nb", "a\0b", "a:1", "a/b", "u@h", "[::1", "::1]", "[::1]:80", "http://h",
            "a%0d%0ab", "h#", "h?",
        ] {
            assert_eq!(text.parse::<Host>(), Err(InvalidHost), "{text:?}");
        }
    }
}
