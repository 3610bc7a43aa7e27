//! The URL of a unix socket, in the form that Node's `ws` made common: `ws+unix:/path/of/socket:/path?query`.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use super::UrlError;

/// Whether the URL wants TLS on a unix socket, and what follows its scheme; `None` for all other URLs.
pub(super) fn scheme(url: &str) -> Option<(bool, &str)> {
    let (scheme, rest) = url.split_once(':')?;
    let secure = scheme.eq_ignore_ascii_case("wss+unix");
    (secure || scheme.eq_ignore_ascii_case("ws+unix")).then_some((secure, rest))
}

/// The socket, percent-decoded so that its path may hold `%3A` and `%3F`, and path and query of the request.
pub(super) fn parse(rest: &str) -> Result<(PathBuf, &str), UrlError> {
    // An empty host may be written, as in `file:///path`.
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let (socket, request) = rest.split_once(':').unwrap_or((rest, ""));
    if !socket.starts_with('/') {
        return Err(UrlError::UnixSyntax("the path of the socket must start with '/'"));
    }
    if socket.contains(['?', '#']) {
        return Err(UrlError::UnixSyntax(
            "':' must stand between socket and query; write '?' and '#' of the socket's path as %3F and %23",
        ));
    }
    if !(request.is_empty() || request.starts_with(['/', '?', '#'])) {
        return Err(UrlError::UnixSyntax(
            "the path of the request must start with '/'; write ':' of the socket's path as %3A",
        ));
    }
    let decoded = percent_decode_str(socket).decode_utf8();
    let decoded = decoded.map_err(|_| UrlError::UnixSyntax("the path of the socket is not UTF-8"))?;
    let socket = PathBuf::from(decoded.into_owned());
    check(&socket)?;
    Ok((socket, request))
}

#[cfg(unix)]
fn check(socket: &std::path::Path) -> Result<(), UrlError> {
    match std::os::unix::net::SocketAddr::from_pathname(socket) {
        Ok(_) => Ok(()),
        Err(_) => {
            Err(UrlError::UnixSyntax("the path of the socket contains NUL or is too long for this system"))
        }
    }
}

#[cfg(not(unix))]
fn check(_: &std::path::Path) -> Result<(), UrlError> {
    Err(UrlError::UnixUnavailable)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::path::Path;

    use http::HeaderValue;

    use super::super::{Target, TargetHost};
    use super::*;

    fn value(text: &'static str) -> HeaderValue {
        HeaderValue::from_static(text)
    }

    fn target(url: &str) -> Target {
        Target::parse_any(url).unwrap()
    }

    #[test]
    fn b196_a_unix_socket_and_the_path_to_ask_for() {
        for (url, socket, path) in [
            ("ws+unix:/run/app.sock", "/run/app.sock", "/"),
            ("ws+unix:///run/app.sock", "/run/app.sock", "/"),
            ("WS+Unix:/run/app.sock:/chat?a=b:c", "/run/app.sock", "/chat?a=b:c"),
            ("ws+unix:///run/app.sock:?q", "/run/app.sock", "/?q"),
            ("ws+unix:/run/a%3Ab%3Fc%20d é:/a b", "/run/a:b?c d é", "/a%20b"),
        ] {
            let target = target(url);
            assert_eq!(target.unix.as_deref(), Some(Path::new(socket)), "{url}");
            assert_eq!(target.path, path, "{url}");
        }
    }

    #[test]
    fn b196_host_and_origin_are_localhost() {
        let plain = target("ws+unix:/s");
        assert_eq!((plain.host, plain.port, plain.secure), (TargetHost::Name("localhost".into()), 80, false));
        assert_eq!((plain.authority, plain.origin), (value("localhost"), value("http://localhost")));
        let secure = target("wss+unix:/s");
        assert_eq!((secure.port, secure.secure), (443, true));
        assert_eq!((secure.authority, secure.origin), (value("localhost"), value("https://localhost")));
        assert_eq!((plain.authorization, plain.zone), (None, None));
    }

    #[test]
    fn b196_what_names_no_socket_is_refused() {
        let long = format!("ws+unix:/{}", "x".repeat(200));
        for url in [
            "ws+unix:",
            "ws+unix://",
            "ws+unix:relative",
            "ws+unix://host/s",
            "ws+unix:/s?query",
            "ws+unix:/s:chat",
            "ws+unix:/a%00b",
            "ws+unix:/a%FFb",
            &long,
        ] {
            assert!(matches!(Target::parse_any(url), Err(UrlError::UnixSyntax(_))), "{url}");
        }
        assert_eq!(Target::parse_any("ws+unix:/s:/p#f"), Err(UrlError::Fragment));
        assert!(matches!(Target::parse_any("ws+unix:/s\n"), Err(UrlError::Syntax(_))));
    }
}
