//! The URL of a server (RFC 6455 section 3).

mod authority;
mod error;
mod unix;
mod zone;

use std::borrow::Cow;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use http::HeaderValue;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use url::Url;

use authority::Authority;
pub(crate) use authority::TargetHost;
pub use error::UrlError;

/// What must not stand in a request line as it is; everything else of the path stays byte for byte.
const ENCODED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'`')
    .add(b'{')
    .add(b'}')
    .add(b'|')
    .add(b'^')
    .add(b'\\');

/// Where a URL leads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Target {
    /// The unix socket that leads there. `host` and `port` then only name it, as `localhost`.
    pub(crate) unix: Option<PathBuf>,
    pub(crate) host: TargetHost,
    /// The zone of an IPv6 address: a number or the name of an interface. It is not sent to any server.
    pub(crate) zone: Option<Box<str>>,
    pub(crate) port: u16,
    /// Whether the scheme asks for TLS.
    pub(crate) secure: bool,
    /// Path and query, percent-encoded.
    pub(crate) path: String,
    /// `host` or `host:port` as in a `Host` header.
    pub(crate) authority: HeaderValue,
    pub(crate) origin: HeaderValue,
    /// The URL's user and password as a `Basic` credential.
    pub(crate) authorization: Option<HeaderValue>,
}

impl Target {
    /// Where `url` leads, if this build can reach it.
    pub(crate) fn parse(url: &str) -> Result<Self, UrlError> {
        let target = Self::parse_any(url)?;
        target.check_tls(cfg!(feature = "tls"))?;
        if target.unix.is_some() && !cfg!(unix) {
            return Err(UrlError::UnixUnavailable);
        }
        Ok(target)
    }

    /// Where `url` leads, whether this build can reach it or not.
    pub(crate) fn parse_any(url: &str) -> Result<Self, UrlError> {
        let syntax = |what: &str| UrlError::Syntax(what.to_owned());
        if url.bytes().any(|byte| byte.is_ascii_control()) || url.trim() != url {
            return Err(syntax("it contains control characters, or white space around it"));
        }
        if let Some((secure, rest)) = unix::scheme(url) {
            let (socket, path) = unix::parse(rest)?;
            let target = Self::at("localhost", secure, path)?;
            return Ok(Self { unix: Some(socket), ..target });
        }
        let (scheme, rest) = url.split_once("://").ok_or_else(|| syntax("there is no \"://\""))?;
        if !is_scheme(scheme) {
            // It may be a credential or a token that has lost its way: the error does not repeat it.
            return Err(syntax("what stands before \"://\" is not a scheme"));
        }
        let secure = scheme.eq_ignore_ascii_case("wss");
        if !secure && !scheme.eq_ignore_ascii_case("ws") {
            return Err(UrlError::Scheme(scheme.to_owned()));
        }
        let split = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(split);
        if authority.is_empty() || authority.contains('\\') {
            return Err(syntax("there is no host"));
        }
        Self::at(authority, secure, path)
    }

    /// Refuses `wss` where there is no TLS.
    pub(crate) const fn check_tls(&self, available: bool) -> Result<(), UrlError> {
        if self.secure && !available { Err(UrlError::TlsUnavailable) } else { Ok(()) }
    }

    /// The address to connect to; `None` when a name must be resolved first.
    ///
    /// # Errors
    /// The zone of the address names no interface of this machine.
    pub(crate) fn socket_address(&self) -> Option<io::Result<SocketAddr>> {
        match (&self.host, &self.zone) {
            (TargetHost::Name(_), _) => None,
            (TargetHost::Address(IpAddr::V6(address)), Some(zone)) => {
                Some(zone::socket_address(*address, self.port, zone))
            }
            (TargetHost::Address(address), _) => Some(Ok(SocketAddr::new(*address, self.port))),
        }
    }

    /// Whether both have scheme, host and port in common (RFC 6454 section 5).
    pub(crate) fn same_origin(&self, other: &Self) -> bool {
        (self.secure, &self.host, self.port) == (other.secure, &other.host, other.port)
    }

    /// The URL that the url crate reads; without user, password, zone and unix socket.
    ///
    /// # Errors
    /// The url crate refuses what this module has let pass, which is not known to happen.
    pub(crate) fn url(&self, scheme: &str) -> Result<Url, UrlError> {
        let authority = self.authority.to_str().unwrap_or_default();
        let parsed = Url::parse(&format!("{scheme}://{authority}{}", self.path));
        parsed.map_err(|error| UrlError::Syntax(error.to_string()))
    }

    /// The URL as users write it, without user and password.
    pub(crate) fn to_text(&self) -> String {
        let scheme = if self.secure { "wss" } else { "ws" };
        match &self.unix {
            Some(socket) => format!("{scheme}+unix:{}:{}", socket.display(), self.path),
            None => format!("{scheme}://{}{}", self.authority.to_str().unwrap_or_default(), self.path),
        }
    }

    fn at(authority: &str, secure: bool, path: &str) -> Result<Self, UrlError> {
        let syntax = |what: &str| UrlError::Syntax(what.to_owned());
        if path.contains('#') {
            return Err(UrlError::Fragment);
        }
        let (scheme, web_scheme, default_port) =
            if secure { ("wss", "https", 443) } else { ("ws", "http", 80) };
        let (authority, zone) = zone::split(authority)?;
        let Authority { host: target_host, text: host, port, authorization } =
            match Authority::plain(&authority) {
                Some(authority) => authority,
                None => Authority::parse(scheme, &authority)?,
            };
        let port = port.unwrap_or(default_port);
        if port == 0 {
            return Err(UrlError::PortZero);
        }
        let mut authority = host;
        if port != default_port {
            authority.push(':');
            authority.push_str(&port.to_string());
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        let value =
            |text: String| HeaderValue::from_str(&text).map_err(|_| syntax("the host has odd characters"));
        Ok(Self {
            unix: None,
            host: target_host,
            zone,
            port,
            secure,
            path: [slash, &Cow::from(utf8_percent_encode(path, ENCODED))].concat(),
            origin: value([web_scheme, "://", &authority].concat())?,
            authority: value(authority)?,
            authorization,
        })
    }
}

/// Whether `text` has the form of a scheme (RFC 3986 section 3.1).
pub(crate) fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Target {
        Target::parse(url).unwrap()
    }

    #[test]
    fn b136_ports_paths_and_addresses() {
        let target = parse("ws://www.example.com/path?a=b&c");
        assert_eq!(target.host, TargetHost::Name("www.example.com".into()));
        assert_eq!((target.port, target.path.as_str()), (80, "/path?a=b&c"));
        assert_eq!(parse("ws://h:8080/p").port, 8080);
        assert_eq!(parse("ws://h").path, "/");
        assert_eq!(parse("ws://h?q=1").path, "/?q=1");
        let target = parse("ws://[2a03:4000::abcd]:90/p");
        assert_eq!(target.host, TargetHost::Address("2a03:4000::abcd".parse().unwrap()));
        assert_eq!(target.authority, "[2a03:4000::abcd]:90");
        assert_eq!(parse("ws://127.0.0.1/").host, TargetHost::Address("127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn the_text_of_a_target_is_a_url_that_leads_there() {
        for (url, text) in [
            ("ws://user:secret@H:81/p?q", "ws://h:81/p?q"),
            ("WSS://h", "wss://h/"),
            ("ws://[2001:db8::1]:80", "ws://[2001:db8::1]/"),
            #[cfg(unix)]
            ("ws+unix:/run/app.sock:/chat?q", "ws+unix:/run/app.sock:/chat?q"),
        ] {
            assert_eq!(Target::parse_any(url).unwrap().to_text(), text);
            assert_eq!(Target::parse_any(text).unwrap().to_text(), text);
        }
    }

    #[test]
    fn b137_other_schemes_and_urls_without_host_are_refused() {
        assert_eq!(Target::parse("http://h/"), Err(UrlError::Scheme("http".into())));
        for url in [
            "",
            "h",
            "ws:h",
            "ws:/h",
            "ws://",
            "ws:///p",
            "ws://?q",
            "ws://h:port/",
            "ws://h:99999/",
            "ws://[::1/",
            "ws://a b/",
        ] {
            assert!(matches!(Target::parse(url), Err(UrlError::Syntax(_))), "{url}");
        }
    }

    #[test]
    fn b163_an_error_does_not_repeat_a_credential() {
        for url in [
            "user:secret@ws://h/",
            "token=secret://h/",
            "http://user:secret@h/?token=secret",
            "ws://secret@h:x/",
        ] {
            let error = Target::parse(url).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
        }
    }

    #[test]
    fn b138_the_scheme_is_case_insensitive() {
        assert_eq!(parse("WS://h/"), parse("ws://h/"));
    }

    #[test]
    fn b139_the_path_is_kept_byte_for_byte() {
        for path in ["/p;a=1", "/a/../b", "/%7Euser/%2F", "//x", "/?a=b;c#"[..7].trim(), "/'()*!$&+,=:@~"] {
            assert_eq!(parse(&format!("ws://h{path}")).path, path);
        }
    }

    #[test]
    fn b140_spaces_and_non_ascii_are_encoded() {
        assert_eq!(parse("ws://h/a b/ü?q=€").path, "/a%20b/%C3%BC?q=%E2%82%AC");
        assert_eq!(parse("ws://bücher.example/").host, TargetHost::Name("xn--bcher-kva.example".into()));
        for url in ["ws://h/a\r\nX: y", "ws://h/a\tb", " ws://h/", "ws://h/\u{0}"] {
            assert!(matches!(Target::parse(url), Err(UrlError::Syntax(_))), "{url:?}");
        }
    }

    #[test]
    fn b141_user_and_password_become_a_basic_credential() {
        let target = parse("ws://us%65r:p%3Ass@h/");
        let expected = format!("Basic {}", data_encoding::BASE64.encode(b"user:p:ss"));
        assert_eq!(target.authorization.as_ref().unwrap(), expected.as_str());
        assert_eq!(target.authority, "h");
        assert!(!format!("{target:?}").contains(&expected));
        assert_eq!(parse("ws://h/").authorization, None);
    }

    #[test]
    fn b142_port_zero_is_refused() {
        assert_eq!(Target::parse("ws://h:0/"), Err(UrlError::PortZero));
    }

    #[test]
    fn b146_b147_host_and_origin_omit_only_the_schemes_own_port() {
        assert_eq!(parse("ws://h:80/").authority, "h");
        assert_eq!(parse("ws://h:443/").authority, "h:443");
        assert_eq!(parse("ws://h:443/").origin, "http://h:443");
        assert_eq!(parse("ws://[::1]/").authority, "[::1]");
        let secure = |url: &str| Target::parse_any(url).unwrap();
        assert_eq!(secure("wss://h:443/").authority, "h");
        assert_eq!(secure("wss://h:443/").origin, "https://h");
        assert_eq!(secure("wss://[::1]:80/").authority, "[::1]:80");
        assert_eq!(secure("wss://[::1]:80/").origin, "https://[::1]:80");
    }

    #[test]
    fn b136_wss_has_a_port_of_its_own() {
        let target = Target::parse_any("WSS://Bücher.example?q").unwrap();
        assert_eq!((target.secure, target.port, target.path.as_str()), (true, 443, "/?q"));
        assert_eq!(target.host, TargetHost::Name("xn--bcher-kva.example".into()));
        assert!(!parse("ws://h/").secure);
        assert_eq!(Target::parse_any("wss://h:0/"), Err(UrlError::PortZero));
    }

    #[test]
    fn b136_literal_addresses_need_no_resolver() {
        let address = |url: &str| parse(url).socket_address().map(Result::unwrap);
        assert_eq!(address("ws://127.0.0.1:81/"), Some("127.0.0.1:81".parse().unwrap()));
        assert_eq!(address("ws://[::1]/"), Some("[::1]:80".parse().unwrap()));
        assert_eq!(address("ws://h/"), None);
    }

    #[test]
    fn b207_wss_without_tls_is_a_clear_error() {
        assert_eq!(Target::parse("wss://h/").is_ok(), cfg!(feature = "tls"));
        let target = Target::parse_any("wss://h/").unwrap();
        assert_eq!(target.check_tls(false), Err(UrlError::TlsUnavailable));
        assert_eq!(target.check_tls(true), Ok(()));
        assert_eq!(parse("ws://h/").check_tls(false), Ok(()));
    }

    #[test]
    fn a_fragment_is_refused() {
        assert_eq!(Target::parse("ws://h/p#f"), Err(UrlError::Fragment));
    }
}
