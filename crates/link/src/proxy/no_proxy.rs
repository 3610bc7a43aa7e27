//! The hosts that are reached without a proxy.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::ProxyConfigError;
use super::server::split_port;
use crate::{Destination, Host};

/// The destinations that are reached without a proxy, as in the variable `no_proxy`.
///
/// An entry is one of:
///
/// | entry | matches |
/// |---|---|
/// | `*` | everything |
/// | `example.com`, `.example.com`, `*.example.com` | that host and all its sub-domains, and never `badexample.com` |
/// | `192.0.2.1`, `2001:db8::1`, `[2001:db8::1]` | that address |
/// | `10.0.0.0/8`, `2001:db8::/32` | the addresses of that network; host bits may be set: `10.0.0.1/8` is the same |
///
/// All but networks can end with a `:port`, and match that port only then (an IPv6 address in brackets). Case does not matter. Addresses
/// match destinations that are given as addresses: names are not resolved. Nothing is exempt by itself, `localhost` neither.
///
/// ```
/// use websocket_link::Destination;
/// use websocket_link::proxy::NoProxy;
///
/// let exceptions = NoProxy::parse("localhost, 10.0.0.0/8, .internal.example:8080")?;
/// assert!(exceptions.matches(&Destination::new("10.1.2.3".parse()?, 80)));
/// assert!(!exceptions.matches(&Destination::new("internal.example".parse()?, 80)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Default)]
pub struct NoProxy(Arc<[Entry]>);

#[derive(Clone, PartialEq, Eq, Debug)]
struct Entry {
    hosts: Hosts,
    port: Option<u16>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Hosts {
    All,
    /// A host and its sub-domains, in lower case and without dots around it.
    Domain(Box<str>),
    /// What shares this many leading bits with the address.
    Network(IpAddr, u8),
}

impl NoProxy {
    /// The exceptions in a list whose separators are commas and white space. An empty list exempts nothing.
    ///
    /// # Errors
    /// The first entry that is none of the known.
    pub fn parse(list: &str) -> Result<Self, ProxyConfigError> {
        entries(list)
            .map(|entry| Entry::parse(entry).ok_or_else(|| ProxyConfigError::Exception(entry.to_owned())))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The exceptions in a list that other programs read, too: entries that only they understand are left out.
    pub(super) fn parse_known(list: &str) -> Self {
        let known = |entry| {
            let parsed = Entry::parse(entry);
            if parsed.is_none() {
                log::debug!(target: "websocket::proxy", "no_proxy: {entry:?} is unknown and ignored");
            }
            parsed
        };
        Self(entries(list).filter_map(known).collect())
    }

    /// Whether `destination` is reached without a proxy.
    pub fn matches(&self, destination: &Destination) -> bool {
        self.0.iter().any(|entry| {
            entry.port.is_none_or(|port| port == destination.port) && entry.hosts.contain(&destination.host)
        })
    }
}

impl fmt::Debug for NoProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter()).finish()
    }
}

fn entries(list: &str) -> impl Iterator<Item = &str> {
    list.split(|character: char| character == ',' || character.is_whitespace())
        .filter(|entry| !entry.is_empty())
}

impl Entry {
    fn parse(text: &str) -> Option<Self> {
        let everywhere = |hosts| Self { hosts, port: None };
        if let Some((address, prefix)) = text.split_once('/') {
            let prefix = prefix.bytes().all(|byte| byte.is_ascii_digit()).then(|| prefix.parse().ok())??;
            return Some(everywhere(network(literal(address)?, Some(prefix))?));
        }
        if let Ok(address) = text.parse() {
            return Some(everywhere(network(address, None)?));
        }
        let (host, port) = split_port(text).ok()?;
        let hosts = match (host, literal(host)) {
            ("*", _) => Hosts::All,
            (_, Some(address)) => network(address, None)?,
            (name, None) => {
                let name = name.strip_prefix("*.").or(name.strip_prefix('.')).unwrap_or(name);
                let name: Host = Some(name).filter(|name| !name.contains('*'))?.parse().ok()?;
                Hosts::Domain(undotted(name.name()?).into())
            }
        };
        Some(Self { hosts, port })
    }
}

/// An address, with brackets or without.
fn literal(text: &str) -> Option<IpAddr> {
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    inner.unwrap_or(text).parse().ok()
}

fn network(address: IpAddr, prefix: Option<u8>) -> Option<Hosts> {
    let bits = if address.is_ipv4() { 32 } else { 128 };
    match prefix {
        None => {
            let address = address.to_canonical();
            Some(Hosts::Network(address, if address.is_ipv4() { 32 } else { 128 }))
        }
        Some(prefix) => (prefix <= bits).then_some(Hosts::Network(address, prefix)),
    }
}

/// A name without the dot of the root.
fn undotted(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

impl Hosts {
    fn contain(&self, host: &Host) -> bool {
        match (self, host.name(), host.address().map(|address| address.to_canonical())) {
            (Self::All, ..) => true,
            (Self::Domain(domain), Some(name), _) => undotted(name)
                .strip_suffix(&**domain)
                .is_some_and(|labels| labels.is_empty() || labels.ends_with('.')),
            // A shift by all the bits, of a prefix of 0, leaves nothing to differ.
            (Self::Network(IpAddr::V4(network), prefix), _, Some(IpAddr::V4(address))) => {
                let differ = network.to_bits() ^ address.to_bits();
                differ.checked_shr(32 - u32::from(*prefix)).unwrap_or(0) == 0
            }
            (Self::Network(IpAddr::V6(network), prefix), _, Some(IpAddr::V6(address))) => {
                let differ = network.to_bits() ^ address.to_bits();
                differ.checked_shr(128 - u32::from(*prefix)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(list: &str, host: &str) -> bool {
        matches_at(list, host, 80)
    }

    fn matches_at(list: &str, host: &str, port: u16) -> bool {
        NoProxy::parse(list).unwrap().matches(&Destination::new(host.parse().unwrap(), port))
    }

    #[test]
    fn b188_a_star_matches_everything() {
        for host in ["any.websocket.org", "192.168.0.1", "::1"] {
            assert!(matches("*", host));
            assert!(matches("other.websocket.org, *", host));
        }
        assert!(matches_at("*:81", "h", 81) && !matches_at("*:81", "h", 80));
        assert!(!matches("", "any.websocket.org"));
    }

    #[test]
    fn b188_an_exact_host_and_an_exact_address() {
        assert!(matches("other.websocket.org, my.websocket.org", "my.websocket.org"));
        assert!(!matches("other.websocket.org", "my.websocket.org"));
        assert!(matches("127.0.0.1", "127.0.0.1"));
        assert!(!matches("127.0.0.1", "127.0.0.2"));
        assert!(matches("2001:db8::1", "2001:DB8:0::1"));
        assert!(matches("[2001:db8::1]", "2001:db8::1"));
        assert!(!matches("[2001:db8::1]", "2001:db8::2"));
    }

    #[test]
    fn b188_networks() {
        assert!(matches("127.0.0.0/8", "127.1.2.3"));
        assert!(!matches("127.0.0.0/24", "127.1.0.1"));
        assert!(matches("2001:db8::/64", "2001:db8::1"));
        assert!(matches("[2001:db8::]/64", "2001:db8::1"));
        assert!(!matches("2001:db8::/64", "2001:db8:1::1"));
        assert!(matches("0.0.0.0/0", "203.0.113.9") && !matches("0.0.0.0/0", "::1"));
        assert!(matches("::/0", "2001:db8::1") && !matches("::/0", "1.2.3.4"));
        assert!(matches("1.2.3.4/32", "1.2.3.4") && !matches("1.2.3.4/32", "1.2.3.5"));
        assert!(matches("::1/128", "::1") && !matches("::2/127", "::1"));
        assert!(!matches("127.0.0.0/8", "localhost"));
    }

    #[test]
    fn b188_the_same_address_written_as_mapped_ipv6() {
        assert!(matches("127.0.0.0/8", "::ffff:127.0.0.1"));
        assert!(matches("::ffff:127.0.0.1", "127.0.0.1"));
    }

    #[test]
    fn b188_spaces_do_not_matter() {
        assert!(matches("  a.example ,\tb.example,, c.example ", "b.example"));
        assert!(matches("a.example b.example", "b.example"));
        assert!(!matches(" , ", "b.example"));
    }

    #[test]
    fn b189_a_domain_matches_its_sub_domains() {
        for list in ["websocket.org", ".websocket.org", "*.websocket.org"] {
            assert!(matches(list, "websocket.org"), "{list}");
            assert!(matches(list, "any.websocket.org"), "{list}");
            assert!(matches(list, "my.other.websocket.org"), "{list}");
            assert!(!matches(list, "any.websocket.com"), "{list}");
        }
    }

    #[test]
    fn b189_b190_a_domain_ends_at_a_label() {
        for list in ["websocket.org", ".websocket.org", "*.websocket.org"] {
            assert!(!matches(list, "notwebsocket.org"), "{list}");
            assert!(!matches(list, "org"), "{list}");
        }
    }

    #[test]
    fn b190_case_and_the_roots_dot_do_not_matter() {
        assert!(matches("WebSocket.ORG", "www.websocket.org"));
        assert!(matches("websocket.org", "WWW.WEBSOCKET.ORG"));
        assert!(matches("websocket.org.", "www.websocket.org"));
        assert!(matches("websocket.org", "www.websocket.org."));
        assert!(matches("bücher.example", "www.xn--bcher-kva.example"));
    }

    #[test]
    fn b190_ports() {
        assert!(matches_at("h.example:8080", "h.example", 8080));
        assert!(matches_at("h.example:8080", "a.h.example", 8080));
        assert!(!matches_at("h.example:8080", "h.example", 80));
        assert!(matches_at("10.0.0.1:81", "10.0.0.1", 81) && !matches_at("10.0.0.1:81", "10.0.0.1", 80));
        assert!(matches_at("[::1]:81", "::1", 81) && !matches_at("[::1]:81", "::1", 80));
        assert!(matches_at("h.example", "h.example", 8080));
    }

    #[test]
    fn b190_host_bits_of_a_network_may_be_set() {
        assert!(matches("10.0.0.1/8", "10.200.0.3"));
        assert!(matches("2001:db8::7/32", "2001:db8:9::1"));
        assert!(!matches("10.0.0.1/8", "11.0.0.1"));
    }

    #[test]
    fn b191_localhost_is_no_exception() {
        for host in ["localhost", "127.0.0.1", "::1"] {
            assert!(!NoProxy::default().matches(&Destination::new(host.parse().unwrap(), 80)));
            assert!(!matches("example.com", host));
        }
    }

    #[test]
    fn b188_an_unknown_entry_is_refused_by_name_or_ignored_in_the_environment() {
        for entry in [
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/8:80",
            "host/8",
            "192.168.",
            "h:port",
            "h:0",
            "h:99999",
            "<local>",
            "[::1",
            "http://h",
            "u@h",
            ".",
            "**",
            "*example.com",
            "192.168.*",
            "a:b:c",
        ] {
            let list = format!("a.example,{entry},b.example");
            assert_eq!(NoProxy::parse(&list), Err(ProxyConfigError::Exception(entry.to_owned())));
            let known = NoProxy::parse_known(&list);
            assert_eq!(known, NoProxy::parse("a.example b.example").unwrap(), "{entry}");
        }
    }
}
