//! The authority of a URL: user, host and port.

use std::fmt;
use std::net::IpAddr;

use http::HeaderValue;
use percent_encoding::percent_decode_str;
use url::Url;
use websocket_link::Host;

use super::error::UrlError;

/// The host of a URL.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum TargetHost {
    /// A name in ASCII (punycode).
    Name(String),
    Address(IpAddr),
}

impl fmt::Display for TargetHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(address) => write!(f, "{address}"),
        }
    }
}

/// What stands between the scheme and the path of a URL.
pub(super) struct Authority {
    pub(super) host: TargetHost,
    /// The host as in a URL.
    pub(super) text: String,
    pub(super) port: Option<u16>,
    /// User and password as a `Basic` credential.
    pub(super) authorization: Option<HeaderValue>,
}

impl Authority {
    /// A name or an IPv4 address that is written as a URL shows it, with or without a port. That is what most are, and costs a quarter of what
    /// the url crate does. `None` for anything else, and for what may be wrong.
    pub(super) fn plain(authority: &str) -> Option<Self> {
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                (host, Some(port.parse().ok()?))
            }
            Some(_) => return None,
            None => (authority, None),
        };
        let (known, text) = (host.parse::<Host>().ok()?, host.to_owned());
        let host = match (known.name(), known.address()) {
            (Some(name), _) if name == text => TargetHost::Name(text.clone()),
            (None, Some(IpAddr::V4(address))) if host.parse() == Ok(address) => {
                TargetHost::Address(address.into())
            }
            _ => return None,
        };
        Some(Self { host, text, port, authorization: None })
    }

    /// What the url crate makes of it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(scheme: &str, authority: &str) -> Result<Self, UrlError> {
        let parsed = Url::parse(&format!("{scheme}://{authority}/"))
            .map_err(|error| UrlError::Syntax(error.to_string()))?;
        let host = match parsed.host() {
            Some(url::Host::Domain(name)) => TargetHost::Name(name.to_owned()),
            Some(url::Host::Ipv4(address)) => TargetHost::Address(address.into()),
            Some(url::Host::Ipv6(address)) => TargetHost::Address(address.into()),
            None => return Err(UrlError::Syntax("there is no host".to_owned())),
        };
        Ok(Self {
            host,
            text: parsed.host_str().unwrap_or_default().to_owned(),
            port: parsed.port(),
            authorization: credential(&parsed),
        })
    }
}

fn credential(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut plain: Vec<u8> = percent_decode_str(url.username()).collect();
    plain.push(b':');
    plain.extend(percent_decode_str(url.password().unwrap_or_default()));
    let mut value = HeaderValue::from_str(&format!("Basic {}", data_encoding::BASE64.encode(&plain))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_authority_is_read_as_the_url_crate_reads_it() {
        for authority in [
            "h",
            "feed.example",
            "feed.example:81",
            "h:80",
            "h:080",
            "h:0",
            "h:",
            "h:65536",
            "127.0.0.1:8080",
            "127.1",
            "0x7f.1",
            "1.2.3.256",
            "a.1",
            "a..b",
            "h.",
            ".",
            "-",
            "xn--bcher-kva.example",
            "xn--",
            "ab--c",
            "H",
            "a_b",
            "u@h",
            "[::1]:81",
        ] {
            let shown = |authority: Authority| (authority.host, authority.text, authority.port);
            if let Some(plain) = Authority::plain(authority) {
                // The crate leaves out the port of the scheme.
                let (host, text, port) = shown(plain);
                let expected = Authority::parse("ws", authority).map(shown).unwrap();
                assert_eq!((host, text, port.filter(|port| *port != 80)), expected, "{authority}");
            }
        }
        let is_plain = |authority| Authority::plain(authority).is_some();
        assert!(is_plain("feed.example:81") && is_plain("127.0.0.1:8080"));
        for other in ["u:81@h", "[::1]:81", "::1", "h:", "H", "127.1", "a%62", "b\u{fc}cher.example"] {
            assert!(!is_plain(other), "{other}");
        }
    }
}
