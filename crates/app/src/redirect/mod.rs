//! From a redirecting response to the next target (RFC 9110 section 15.4).

mod error;

use http::header::{self, HeaderMap, HeaderName};
use http::{HeaderValue, StatusCode};
use url::Position;

use crate::address::{Target, UrlError};

use error::redacted;

pub use error::RedirectError;

/// The statuses that say where else the server is; all others are refusals.
const REDIRECTS: [StatusCode; 5] = [
    StatusCode::MOVED_PERMANENTLY,
    StatusCode::FOUND,
    StatusCode::SEE_OTHER,
    StatusCode::TEMPORARY_REDIRECT,
    StatusCode::PERMANENT_REDIRECT,
];

/// The headers that another origin may see: those that are the same for every server and not secret.
const HARMLESS: [HeaderName; 11] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::CACHE_CONTROL,
    header::CONNECTION,
    header::ORIGIN,
    header::PRAGMA,
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_PROTOCOL,
    header::SEC_WEBSOCKET_VERSION,
    header::USER_AGENT,
];

/// The redirects of one attempt so far.
#[derive(Default, Debug)]
pub(crate) struct Redirects {
    followed: u32,
    crossed: bool,
}

impl Redirects {
    /// Returns where a response of `from` sends the client; `None` when it is not a redirect.
    pub(crate) fn follow(
        &mut self,
        status: StatusCode,
        headers: &HeaderMap,
        from: &Target,
        limit: u32,
    ) -> Result<Option<Target>, RedirectError> {
        if !REDIRECTS.contains(&status) {
            return Ok(None);
        }
        if self.followed >= limit {
            return Err(RedirectError::TooMany { limit });
        }
        let location = location(headers).ok_or(RedirectError::NoLocation { status })?;
        let location = String::from_utf8_lossy(location.as_bytes());
        let resolved = resolve(&location, from);
        let mut target =
            resolved.map_err(|source| RedirectError::Location { location: redacted(&location), source })?;
        if from.secure && !target.secure {
            return Err(RedirectError::Downgrade { location: redacted(&location) });
        }
        if target.same_origin(from) {
            // The server cannot name what it does not know of.
            target.unix.clone_from(&from.unix);
            target.zone.clone_from(&from.zone);
            target.authorization = target.authorization.or_else(|| from.authorization.clone());
        } else {
            self.crossed = true;
        }
        self.followed += 1;
        Ok(Some(target))
    }

    /// Whether one of the redirects led to another origin (RFC 6454 section 5).
    ///
    /// From then on, what the user gave for the first origin must stay behind: headers (see [`strip`]), the
    /// `cookie` option, the `Host` option; also when a later redirect leads back, for another origin has
    /// chosen the path there.
    pub(crate) const fn crossed_origin(&self) -> bool {
        self.crossed
    }
}

/// Removes what another origin must not see: every header but the harmless ones, and those too if they are
/// marked as sensitive.
///
/// A header that is not known here may be a key: `Authorization`, `Cookie` and `Proxy-Authorization` are not
/// the only ones.
pub(crate) fn strip(headers: &mut HeaderMap) {
    let harmless = |name: &HeaderName| {
        HARMLESS.contains(name) && !headers.get_all(name).iter().any(HeaderValue::is_sensitive)
    };
    let secret: Vec<HeaderName> = headers.keys().filter(|name| !harmless(name)).cloned().collect();
    for name in secret {
        headers.remove(name);
    }
}

/// The one `Location`; repetitions of the same are one.
fn location(headers: &HeaderMap) -> Option<&HeaderValue> {
    let mut locations = headers.get_all(header::LOCATION).iter();
    let first = locations.next()?;
    locations.all(|other| other == first).then_some(first)
}

/// The target that `location` means at `from` (RFC 3986 section 5), `http` read as `ws` and `https` as `wss`.
fn resolve(location: &str, from: &Target) -> Result<Target, UrlError> {
    let base = from.url(if from.secure { "wss" } else { "ws" })?;
    let mut url = base.join(location).map_err(|error| UrlError::Syntax(error.to_string()))?;
    // RFC 9110 section 10.2.2 allows a fragment here, RFC 6455 section 3 does not allow it in the target.
    url.set_fragment(None);
    let scheme = match url.scheme() {
        "ws" | "http" => "ws",
        "wss" | "https" => "wss",
        // A server must not lead the client to a unix socket.
        other => return Err(UrlError::Scheme(other.to_owned())),
    };
    Target::parse_any(&format!("{scheme}://{}", &url[Position::BeforeUsername..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> Target {
        Target::parse_any(url).unwrap()
    }

    fn locations(locations: &[&[u8]]) -> HeaderMap {
        let values = locations.iter().map(|location| HeaderValue::from_bytes(location).unwrap());
        values.map(|value| (header::LOCATION, value)).collect()
    }

    /// Where the first response of `from` leads, and whether that is another origin.
    fn step(from: &str, location: &str) -> Result<(Target, bool), RedirectError> {
        let mut redirects = Redirects::default();
        let headers = locations(&[location.as_bytes()]);
        let followed = redirects.follow(StatusCode::FOUND, &headers, &target(from), 3)?;
        Ok((followed.unwrap(), redirects.crossed_origin()))
    }

    #[test]
    fn b165_five_statuses_are_followed_and_no_others() {
        let from = target("ws://h/");
        for status in 100..600 {
            let status = StatusCode::from_u16(status).unwrap();
            let followed = Redirects::default().follow(status, &locations(&[b"/new"]), &from, 3).unwrap();
            let expected = [301, 302, 303, 307, 308].contains(&status.as_u16()).then(|| target("ws://h/new"));
            assert_eq!(followed, expected, "{status}");
        }
    }

    #[test]
    fn b165_b166_the_limit_ends_a_loop() {
        for limit in [0, 1, 3] {
            let mut redirects = Redirects::default();
            let mut at = target("ws://h/loop");
            let mut step = || {
                let next = redirects.follow(StatusCode::FOUND, &locations(&[b"/loop"]), &at, limit)?;
                at = next.unwrap();
                Ok(())
            };
            for _ in 0..limit {
                assert_eq!(step(), Ok(()));
            }
            assert_eq!(step(), Err(RedirectError::TooMany { limit }));
        }
    }

    #[test]
    fn b167_no_location_or_several_are_an_error() {
        let status = StatusCode::SEE_OTHER;
        let from = target("ws://h/");
        for bad in [&[] as &[&[u8]], &[b"/a", b"/b"]] {
            let error = Redirects::default().follow(status, &locations(bad), &from, 3).unwrap_err();
            assert_eq!(error, RedirectError::NoLocation { status });
            assert!(error.to_string().contains("303"), "{error}");
        }
        let same = Redirects::default().follow(status, &locations(&[b"/a", b"/a"]), &from, 3);
        assert_eq!(same, Ok(Some(target("ws://h/a"))));
    }

    #[test]
    fn b167_an_invalid_location_is_named_in_the_error() {
        for (location, shown) in [
            ("ftp://files.example/a", "ftp://files.example/a"),
            ("ws://h:99999/", "ws://h:99999/"),
            ("ws://h:0/p", "ws://h:0/p"),
            ("http://[::1/", "http://[::1/"),
            ("http://a b/", "http://a b/"),
            ("mailto:someone", "mailto:someone"),
            ("ws+unix:///run/docker.sock", "ws+unix:///run/docker.sock"),
        ] {
            let error = step("ws://h/", location).unwrap_err();
            let RedirectError::Location { location: named, .. } = &error else { panic!("{error:?}") };
            assert_eq!(named, shown);
            assert!(error.to_string().contains(shown), "{error}");
        }
    }

    #[test]
    fn b163_b167_the_error_shows_no_secret() {
        for location in [
            "ftp://user:secret@h/p?token=secret#secret",
            "ftp:secret@h/p",
            "user:secret@h",
            "user:secret//user@h",
            "ws://user:secret@h:0/",
            "//user:secret@h:0/?secret",
            "ws://user:sec/ret:secret@h:x/",
        ] {
            let error = step("ws://h/", location).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
        }
        let error = step("wss://h/", "ws://user:secret@h/?secret").unwrap_err();
        assert_eq!(error, RedirectError::Downgrade { location: "ws://h/".into() });
    }

    #[test]
    fn b167_bytes_that_are_no_url_are_an_error_of_bounded_size() {
        let huge = format!("ftp://{}", "é/".repeat(30_000));
        assert!(step("ws://h/", &huge).unwrap_err().to_string().len() < 1000);
        let followed = Redirects::default().follow(
            StatusCode::FOUND,
            &locations(&[b"http://\xff\xfe:x"]),
            &target("ws://h/"),
            3,
        );
        assert!(matches!(followed, Err(RedirectError::Location { .. })));
    }

    #[test]
    fn b168_relative_locations_are_resolved() {
        for (location, expected) in [
            ("/new", "ws://h:8080/new"),
            ("new?x=%7E", "ws://h:8080/a/new?x=%7E"),
            ("../up", "ws://h:8080/up"),
            ("../../../up", "ws://h:8080/up"),
            ("?only=query", "ws://h:8080/a/b?only=query"),
            ("", "ws://h:8080/a/b?q=1"),
            ("//other:81/p", "ws://other:81/p"),
            ("/new#fragment", "ws://h:8080/new"),
            ("ä b", "ws://h:8080/a/%C3%A4%20b"),
        ] {
            assert_eq!(step("ws://h:8080/a/b?q=1", location).unwrap().0, target(expected), "{location}");
        }
        assert_eq!(step("wss://h/a", "b").unwrap().0, target("wss://h/b"));
    }

    #[test]
    fn b168_web_schemes_are_mapped() {
        assert_eq!(step("ws://h/", "http://x:443/p").unwrap().0, target("ws://x:443/p"));
        assert_eq!(step("ws://h/", "HTTPS://x/p").unwrap().0, target("wss://x/p"));
        assert_eq!(step("wss://h/", "https://bücher.example").unwrap().0, target("wss://bücher.example/"));
        assert_eq!(step("ws://h/", "wss://x").unwrap().0, target("wss://x/"));
    }

    #[test]
    fn b169_a_downgrade_is_refused() {
        for location in ["ws://h/", "http://h:443/", "ws://other/"] {
            assert!(matches!(step("wss://h/", location), Err(RedirectError::Downgrade { .. })), "{location}");
        }
    }

    #[test]
    fn b169_another_scheme_host_or_port_is_another_origin() {
        for (location, crossed) in [
            ("/p", false),
            ("ws://H:80/p", false),
            ("http://h/", false),
            ("wss://h/", true),
            ("ws://h:81/", true),
            ("ws://x.h/", true),
            ("//h./", true),
        ] {
            assert_eq!(step("ws://h/", location).unwrap().1, crossed, "{location}");
        }
    }

    #[test]
    fn b169_the_way_back_does_not_bring_back_what_was_left_behind() {
        let mut redirects = Redirects::default();
        let first = target("ws://user:pass@h/");
        let away =
            redirects.follow(StatusCode::FOUND, &locations(&[b"ws://x/"]), &first, 3).unwrap().unwrap();
        assert_eq!(away.authorization, None);
        let back = redirects.follow(StatusCode::FOUND, &locations(&[b"ws://h/"]), &away, 3).unwrap().unwrap();
        assert_eq!(back.authorization, None);
        assert!(redirects.crossed_origin());
    }

    #[test]
    fn b169_the_urls_credential_stays_with_its_origin() {
        let from = target("ws://user:pass@h/");
        assert_eq!(step("ws://user:pass@h/", "/p").unwrap().0.authorization, from.authorization);
        assert_eq!(step("ws://user:pass@h/", "wss://h/").unwrap().0.authorization, None);
        let other = target("ws://x:y@h/").authorization;
        assert_eq!(step("ws://user:pass@h/", "ws://x:y@h/").unwrap().0.authorization, other);
    }

    #[test]
    fn b169_another_origin_sees_harmless_headers_only() {
        let mut headers = HeaderMap::new();
        for name in [
            "authorization",
            "cookie",
            "proxy-authorization",
            "www-authenticate",
            "host",
            "x-api-key",
            "user-agent",
            "accept-language",
            "sec-websocket-protocol",
        ] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static("v"));
        }
        let mut marked = HeaderValue::from_static("v");
        marked.set_sensitive(true);
        headers.append(header::ACCEPT_LANGUAGE, marked);
        strip(&mut headers);
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["sec-websocket-protocol", "user-agent"]);
    }

    #[test]
    fn b170_b196_a_zone_is_kept_within_the_origin() {
        let (zone, _) = step("ws://[fe80::1%25eth0]:90/", "/b").unwrap();
        assert_eq!(zone, target("ws://[fe80::1%25eth0]:90/b"));
    }

    #[test]
    #[cfg(unix)]
    fn b170_b196_a_unix_socket_is_kept_within_the_origin() {
        let (same, _) = step("ws+unix:/run/s:/a", "http://localhost/b").unwrap();
        assert_eq!(same, target("ws+unix:/run/s:/b"));
        let (away, crossed) = step("ws+unix:/run/s:/a", "http://h/b").unwrap();
        assert_eq!((away, crossed), (target("ws://h/b"), true));
    }
}
