//! A proxy server: what to speak to it, where it is, who the user is.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

use super::login::Login;
use super::{ProxyConfigError, ProxyError, ProxyFailure, ProxyScheme};
use crate::{Destination, Host};

/// A proxy server. Neither `Debug` nor `Display` shows its credentials.
///
/// ```
/// use websocket_link::proxy::{Proxy, ProxyScheme};
///
/// let parsed = Proxy::parse("socks5h://user:p%40ss@proxy.example")?;
/// let built = Proxy::new(ProxyScheme::Socks5h, "proxy.example", None)?.credentials("user", "p@ss")?;
/// assert_eq!(parsed, built);
/// assert_eq!(parsed.to_string(), "socks5h://proxy.example:1080");
/// # Ok::<(), websocket_link::proxy::ProxyConfigError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    scheme: ProxyScheme,
    server: Destination,
    login: Option<Login>,
}

impl Proxy {
    /// A proxy from its parts. Without a port it is that of the scheme.
    ///
    /// # Errors
    /// When `host` is neither a name nor an address, or the port is 0.
    pub fn new(scheme: ProxyScheme, host: &str, port: Option<u16>) -> Result<Self, ProxyConfigError> {
        let host: Host = host.parse().map_err(|_| ProxyConfigError::Host)?;
        let port = port.unwrap_or_else(|| scheme.default_port());
        if port == 0 {
            return Err(ProxyConfigError::Port);
        }
        Ok(Self { scheme, server: Destination::new(host, port), login: None })
    }

    /// A proxy from `[scheme://][user[:password]@]host[:port][/]`, user and password percent-encoded. Without a scheme it is `http`.
    ///
    /// # Errors
    /// When it has not that form, or when its credentials cannot be sent in its scheme.
    pub fn parse(url: &str) -> Result<Self, ProxyConfigError> {
        if url.bytes().any(|byte| byte.is_ascii_control() || byte == b' ') {
            return Err(ProxyConfigError::Syntax("it contains a space or a control character"));
        }
        let (scheme, rest) = match url.split_once("://") {
            // What is no scheme may be a credential that has lost its way: the error does not repeat it.
            Some((scheme, _))
                if scheme.is_empty() || !scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) =>
            {
                return Err(ProxyConfigError::Syntax("what stands before \"://\" is no scheme"));
            }
            Some((scheme, rest)) => (scheme.parse()?, rest),
            None => (ProxyScheme::default(), url),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#', '\\']) {
            return Err(ProxyConfigError::Syntax(
                "it must end with the port; in user and password '/', '?', '#' and '\\' are percent-encoded",
            ));
        }
        let (login, place) = match authority.rsplit_once('@') {
            Some((login, place)) => (Some(login), place),
            None => (None, authority),
        };
        let (host, port) = split_port(place)?;
        let proxy = Self::new(scheme, host, port)?;
        match login.map(|login| login.split_once(':').unwrap_or((login, ""))) {
            None | Some(("", "")) => Ok(proxy),
            Some((user, password)) => proxy.credentials(
                percent_decode_str(user).collect::<Vec<u8>>(),
                percent_decode_str(password).collect::<Vec<u8>>(),
            ),
        }
    }

    /// User and password: `Basic` for HTTP, RFC 1929 for SOCKS5; SOCKS4 has a user only. Both are raw, not percent-encoded.
    ///
    /// # Errors
    /// When the scheme cannot carry them.
    pub fn credentials(
        mut self,
        user: impl Into<Vec<u8>>,
        password: impl Into<Vec<u8>>,
    ) -> Result<Self, ProxyConfigError> {
        self.login = Some(Login::password(self.scheme, user.into(), password.into())?);
        Ok(self)
    }

    /// The value of `Proxy-Authorization`, in place of `Basic`: a token, or the answer to a challenge of
    /// [`AuthenticationRequired`](super::ProxyFailure::AuthenticationRequired).
    ///
    /// # Errors
    /// When the scheme is not HTTP, or the value no header's value.
    pub fn authorization(mut self, value: &str) -> Result<Self, ProxyConfigError> {
        self.login = Some(Login::authorization(self.scheme, value)?);
        Ok(self)
    }

    /// What it speaks.
    pub const fn scheme(&self) -> ProxyScheme {
        self.scheme
    }

    /// Where to connect to; the host may have to be resolved.
    pub const fn server(&self) -> &Destination {
        &self.server
    }

    /// Whether TLS is to be spoken to the proxy itself.
    pub const fn is_tls(&self) -> bool {
        matches!(self.scheme, ProxyScheme::Https)
    }

    /// Whether `destination` must be resolved before a handshake can carry it: a name, with `socks4` or `socks5`.
    pub const fn needs_address(&self, destination: &Destination) -> bool {
        matches!(self.scheme, ProxyScheme::Socks4 | ProxyScheme::Socks5)
            && destination.host.address().is_none()
    }

    /// Of the addresses to which a destination's name was resolved, the first that a handshake can carry.
    ///
    /// # Errors
    /// When there is none.
    pub fn pick_address(&self, addresses: &[SocketAddr]) -> Result<SocketAddr, ProxyError> {
        let ipv4_only = matches!(self.scheme, ProxyScheme::Socks4 | ProxyScheme::Socks4a);
        let usable = |address: &&SocketAddr| !ipv4_only || address.ip().to_canonical().is_ipv4();
        let failure =
            if addresses.is_empty() { ProxyFailure::NeedsAddress } else { ProxyFailure::Ipv6Unsupported };
        let error = || ProxyError { proxy: self.to_string(), failure };
        addresses.iter().find(usable).copied().ok_or_else(error)
    }

    pub(super) const fn login(&self) -> Option<&Login> {
        self.login.as_ref()
    }
}

/// The proxy as `scheme://host:port`.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.server)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let login = if self.login.is_some() { ", with credentials" } else { "" };
        write!(f, "Proxy({self}{login})")
    }
}

impl FromStr for Proxy {
    type Err = ProxyConfigError;

    fn from_str(url: &str) -> Result<Self, ProxyConfigError> {
        Self::parse(url)
    }
}

/// Splits `host[:port]`, where an IPv6 address stands in brackets.
pub(super) fn split_port(place: &str) -> Result<(&str, Option<u16>), ProxyConfigError> {
    let host_end = place.rfind(']').map_or(0, |bracket| bracket + 1);
    let (host, port) = match place[host_end..].split_once(':') {
        Some((_, port)) => (&place[..place.len() - port.len() - 1], port),
        None => return Ok((place, None)),
    };
    if port.is_empty() {
        return Ok((host, None));
    }
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port.parse().ok().filter(|port| digits && *port != 0).ok_or(ProxyConfigError::Port)?;
    Ok((host, Some(port)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::testing::destination;

    fn parse(url: &str) -> Proxy {
        Proxy::parse(url).unwrap()
    }

    fn build(scheme: &str, host: &str, port: Option<u16>) -> Result<Proxy, ProxyConfigError> {
        Proxy::new(scheme.parse()?, host, port)
    }

    const SCHEMES: [(&str, u16); 6] = [
        ("http", 80),
        ("https", 443),
        ("socks4", 1080),
        ("socks4a", 1080),
        ("socks5", 1080),
        ("socks5h", 1080),
    ];

    #[test]
    fn b178_b180_each_scheme_is_known_in_any_case_and_has_its_port() {
        for (scheme, port) in SCHEMES {
            assert_eq!(parse(&format!("{scheme}://h")).to_string(), format!("{scheme}://h:{port}"));
            assert_eq!(parse(&format!("{}://H/", scheme.to_uppercase())), parse(&format!("{scheme}://h")));
            for explicit in [21, 80, 443, 1080, 65535] {
                let url = format!("{scheme}://h:{explicit}");
                assert_eq!(parse(&url).server(), &destination("h", explicit));
            }
            assert_eq!(parse(&format!("{scheme}://h:")).server().port, port);
            assert_eq!(build(scheme, "h", None), Ok(parse(&format!("{scheme}://h"))));
            assert_eq!(build(scheme, "h", Some(9)), Ok(parse(&format!("{scheme}://h:9"))));
        }
        assert!(parse("https://h").is_tls() && !parse("http://h").is_tls());
    }

    #[test]
    fn b178_other_schemes_are_refused() {
        for scheme in ["ftp", "socks", "socks6", "ws"] {
            let expected = ProxyConfigError::Scheme(scheme.into());
            assert_eq!(Proxy::parse(&format!("{scheme}://h")), Err(expected.clone()));
            assert_eq!(build(scheme, "h", None), Err(expected));
        }
    }

    #[test]
    fn b185_without_a_scheme_a_proxy_is_http() {
        assert_eq!(parse("h:3128"), parse("http://h:3128"));
        assert_eq!(parse("user:pass@h"), parse("http://user:pass@h"));
        assert_eq!(ProxyScheme::default(), ProxyScheme::Http);
    }

    #[test]
    fn b184_addresses_are_hosts_too() {
        assert_eq!(parse("http://[::1]:3128").to_string(), "http://[::1]:3128");
        assert_eq!(parse("[2001:db8::1]").server(), &destination("2001:db8::1", 80));
        assert_eq!(parse("socks5://127.0.0.1").server().host.address(), Some([127, 0, 0, 1].into()));
        assert_eq!(build("http", "::1", None), build("http", "[::1]", None));
    }

    #[test]
    fn b181_b186_credentials_are_percent_decoded() {
        for (url, user, password) in [
            ("http://user:pass@h", "user", "pass"),
            ("http://us%65r:p%3A%40%2Fss@h", "user", "p:@/ss"),
            ("http://user@h", "user", ""),
            ("http://user:@h", "user", ""),
            ("http://:pass@h", "", "pass"),
            ("http://user:a:b@c@h", "user", "a:b@c"),
            ("socks5://%C3%BC:100%@h", "ü", "100%"),
        ] {
            let bare = Proxy::new(parse(url).scheme(), "h", None).unwrap();
            assert_eq!(parse(url), bare.credentials(user, password).unwrap(), "{url}");
        }
        assert_eq!(parse("http://@h"), parse("http://h"));
        assert_eq!(parse("http://:@h"), parse("http://h"));
        assert_ne!(parse("http://u@h"), parse("http://h"));
    }

    #[test]
    fn b187_nonsense_is_an_error() {
        use ProxyConfigError::{Host, Port};
        let syntax = |url| matches!(Proxy::parse(url), Err(ProxyConfigError::Syntax(_)));
        for url in [
            "http:// h",
            "http://h\r\n",
            "a b",
            "://h",
            "u:p@x://h",
            "http://h/path",
            "h?q",
            "http://h#f",
            "h\\x",
        ] {
            assert!(syntax(url), "{url}");
        }
        for url in ["", "http://", "http:///", "http://:80", "u@", "::1]", "[h]", "a%0db", "[::1]x"] {
            assert_eq!(Proxy::parse(url), Err(Host), "{url}");
        }
        for url in
            ["h:0", "h:65536", "h:+1", "h:x", "h:-1", "http://::1", "[::1", "h:1:2", "h:99999999999999999999"]
        {
            assert_eq!(Proxy::parse(url), Err(Port), "{url}");
        }
        assert_eq!(build("http", "h:80", None), Err(Host));
        assert_eq!(build("http", "http://h", None), Err(Host));
        assert_eq!(build("http", "h", Some(0)), Err(Port));
    }

    #[test]
    fn b181_credentials_that_cannot_be_sent_are_refused_beforehand() {
        let refused = |scheme: &str, user: &[u8], password: &[u8]| {
            let outcome = build(scheme, "h", None).unwrap().credentials(user, password);
            assert!(matches!(outcome, Err(ProxyConfigError::Credentials(_))), "{scheme}");
        };
        let long = [b'x'; 256];
        for (scheme, _) in &SCHEMES[..2] {
            refused(scheme, b"a:b", b"");
            refused(scheme, b"a\n", b"");
            refused(scheme, b"a", b"\0");
        }
        for (scheme, _) in &SCHEMES[2..4] {
            refused(scheme, &long, b"");
            refused(scheme, b"a\0b", b"");
            refused(scheme, b"a", b"password");
        }
        for (scheme, _) in &SCHEMES[4..] {
            refused(scheme, &long, b"");
            refused(scheme, b"a", &long);
            build(scheme, "h", None).unwrap().credentials(&long[1..], &long[1..]).unwrap();
        }
    }

    #[test]
    fn b153_an_authorization_must_be_a_headers_value_and_for_http() {
        for value in ["", "a\r\nb", "a\0", "ü", "a\tb"] {
            let outcome = parse("http://h").authorization(value);
            assert!(matches!(outcome, Err(ProxyConfigError::Credentials(_))), "{value:?}");
        }
        parse("https://h").authorization("Digest username=\"u\", nc=00000001").unwrap();
        let outcome = parse("socks5://h").authorization("Bearer x");
        assert!(matches!(outcome, Err(ProxyConfigError::Credentials(_))));
    }

    #[test]
    fn b163_credentials_are_never_shown() {
        for proxy in [
            parse("http://secret:secret@h"),
            parse("socks4://secret@h"),
            parse("http://h").authorization("Bearer secret").unwrap(),
        ] {
            let shown = format!("{proxy} {proxy:?}");
            assert!(!shown.contains("secret") && shown.contains("with credentials"), "{shown}");
        }
        for url in ["user:secret@x://h", "http://u:secret@h:x", "http://u:se#secret@h", "socks4://u:secret@h"]
        {
            let error = Proxy::parse(url).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("secret"), "{url}");
        }
    }

    #[test]
    fn b178_of_a_names_addresses_the_first_that_the_scheme_can_carry_is_picked() {
        let addresses =
            ["[2001:db8::1]:80", "192.0.2.7:80", "192.0.2.8:80"].map(|text| text.parse().unwrap());
        let pick = |scheme: &str, addresses: &[SocketAddr]| {
            build(scheme, "p", None).unwrap().pick_address(addresses).map_err(|error| error.failure)
        };
        assert_eq!(pick("socks4", &addresses), Ok(addresses[1]));
        assert_eq!(pick("socks5", &addresses), Ok(addresses[0]));
        assert_eq!(pick("socks4", &addresses[..1]), Err(ProxyFailure::Ipv6Unsupported));
        assert_eq!(pick("socks5", &[]), Err(ProxyFailure::NeedsAddress));
    }
}
