//! The zone of an IPv6 address (RFC 4007), as in `[fe80::1%25eth0]` (RFC 6874).

use std::borrow::Cow;
use std::io;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6, ToSocketAddrs as _};

use percent_encoding::percent_decode_str;

use super::UrlError;

/// Takes the zone out of an authority: what is left, which the url crate understands, and the zone.
///
/// `[fe80::1%eth0]` is read too, as RFC 6874 section 3 suggests: it is what users copy from their system's tools.
pub(super) fn split(authority: &str) -> Result<(Cow<'_, str>, Option<Box<str>>), UrlError> {
    let (userinfo, host) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
    let literal = host.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let address = literal.and_then(|(literal, port)| Some((literal.split_once('%')?, port)));
    let Some(((address, encoded), port)) = address else {
        return Ok((authority.into(), None));
    };
    let encoded = encoded.strip_prefix("25").filter(|zone| !zone.is_empty()).unwrap_or(encoded);
    let zone = percent_decode_str(encoded).decode_utf8().unwrap_or_default();
    if zone.is_empty() || zone.contains(|c: char| c.is_control() || c.is_whitespace() || "%[]/\\".contains(c))
    {
        return Err(UrlError::Syntax("the zone of the IPv6 address is not a number or an interface".into()));
    }
    Ok((format!("{userinfo}[{address}]{port}").into(), Some(zone.into())))
}

/// The address within `zone`, a number or the name of an interface.
///
/// # Errors
/// There is no such interface.
pub(super) fn socket_address(address: Ipv6Addr, port: u16, zone: &str) -> io::Result<SocketAddr> {
    if let Ok(index) = zone.parse() {
        return Ok(SocketAddrV6::new(address, port, 0, index).into());
    }
    // Only the system knows the interfaces. It is given a literal: it asks no name server and never waits.
    let mut addresses = (format!("{address}%{zone}"), port).to_socket_addrs()?;
    addresses.next().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such interface"))
}

#[cfg(test)]
mod tests {
    use super::super::{Target, TargetHost};
    use super::*;

    fn zone(url: &str) -> Option<String> {
        Target::parse_any(url).unwrap().zone.map(String::from)
    }

    #[test]
    fn b136_the_zone_of_an_address_is_kept_apart() {
        let target = Target::parse_any("ws://user:a%25b@[fe80::1%25eth0]:90/p%20q").unwrap();
        assert_eq!(target.host, TargetHost::Address("fe80::1".parse().unwrap()));
        assert_eq!((target.zone.as_deref(), target.port), (Some("eth0"), 90));
        // RFC 6874 section 4: the zone has a meaning on this machine only.
        assert_eq!(target.authority, "[fe80::1]:90");
        assert_eq!(target.origin, "http://[fe80::1]:90");
        assert!(target.authorization.is_some());
        assert_eq!(target.path, "/p%20q");
    }

    #[test]
    fn b136_zones_are_numbers_or_names_encoded_or_not() {
        for (literal, expected) in [
            ("fe80::1%251", "1"),
            ("fe80::1%1", "1"),
            ("fe80::1%25", "25"),
            ("fe80::1%eth0", "eth0"),
            ("fe80::1%25br-lan.1", "br-lan.1"),
            ("fe80::1%25wl%C3%A4n", "wlän"),
        ] {
            assert_eq!(zone(&format!("ws://[{literal}]/")).as_deref(), Some(expected), "{literal}");
        }
        assert_eq!(zone("ws://[fe80::1]/a%25b"), None);
        assert_eq!(zone("ws://[::1]:80"), None);
    }

    #[test]
    fn b137_bad_zones_are_refused() {
        for host in [
            "[fe80::1%]",
            "[fe80::1%25%00]",
            "[fe80::1%25a%2Fb]",
            "[fe80::1%25a%20b]",
            "[fe80::1%25%FF]",
            "[fe80::1%25a]b]",
            "[fe80::1%25a",
            "[127.0.0.1%251]",
            "fe80::1%25a",
            "[%25a]",
        ] {
            let parsed = Target::parse_any(&format!("ws://{host}/"));
            assert!(matches!(parsed, Err(UrlError::Syntax(_))), "{host}: {parsed:?}");
        }
    }

    #[test]
    fn b136_a_numbered_zone_is_the_scope_of_the_address() {
        let address = Target::parse_any("ws://[fe80::1%257]:90/").unwrap().socket_address().unwrap().unwrap();
        assert_eq!(address, SocketAddrV6::new("fe80::1".parse().unwrap(), 90, 0, 7).into());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn b136_a_named_zone_is_looked_up_on_this_machine() {
        let address = |url: &str| Target::parse_any(url).unwrap().socket_address().unwrap();
        let Ok(SocketAddr::V6(found)) = address("ws://[fe80::1%25lo]:90/") else { panic!("no loopback") };
        assert_eq!((found.port(), found.ip().segments()[0]), (90, 0xfe80));
        assert_ne!(found.scope_id(), 0);
        assert!(address("ws://[fe80::1%25nowhere9]/").is_err());
    }
}
