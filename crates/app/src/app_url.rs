//! The URL of an app, in a form that may be logged.

use std::fmt;

use crate::address::Target;

/// The URL of an app, from [`Context::url`](crate::Context::url). `Display` and `Debug` show what may be logged: scheme, host, port
/// and path, without user, password and query.
///
/// Where URLs differ only in their queries, or in secrets, [`as_str`](Self::as_str) tells them apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AppUrl<'a>(&'a str);

impl<'a> AppUrl<'a> {
    pub(crate) const fn new(url: &'a str) -> Self {
        Self(url)
    }

    /// The whole URL as it was given, with user, password and query: do not log it.
    pub const fn as_str(&self) -> &'a str {
        self.0
    }
}

impl fmt::Display for AppUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Where the secrets are is known only in a URL that can be parsed.
        let Ok(target) = Target::parse_any(self.0) else { return f.write_str("a URL that cannot be used") };
        let url = self.0.split('?').next().unwrap_or_default();
        let Some((scheme, rest)) = url.split_once("://").filter(|_| target.unix.is_none()) else {
            // A unix socket, which has no user.
            return f.write_str(url);
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        // A password may contain '@', as in the url crate.
        let host = authority.rsplit('@').next().unwrap_or_default();
        write!(f, "{scheme}://{host}{path}")
    }
}

impl fmt::Debug for AppUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AppUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_password_and_query_are_not_shown() {
        for (url, shown) in [
            ("ws://h/", "ws://h/"),
            ("ws://h", "ws://h"),
            ("WSS://Feed.example:8443/a/b?token=secret", "WSS://Feed.example:8443/a/b"),
            ("ws://h?token=secret", "ws://h"),
            ("ws://user:secret@h:81/p", "ws://h:81/p"),
            ("ws://secret@h/p@q", "ws://h/p@q"),
            ("ws://user:s@cret@h/p", "ws://h/p"),
            ("ws://h/p?a=ws://x@y/z", "ws://h/p"),
            ("ws://[fe80::1%25eth0]:81/p", "ws://[fe80::1%25eth0]:81/p"),
            ("ws://bücher.example/ü", "ws://bücher.example/ü"),
            #[cfg(unix)]
            ("ws+unix:/run/app.sock:/chat?token=secret", "ws+unix:/run/app.sock:/chat"),
            #[cfg(unix)]
            ("wss+unix:/run/app.sock", "wss+unix:/run/app.sock"),
        ] {
            let it = AppUrl::new(url);
            assert_eq!((it.to_string(), it.as_str()), (shown.to_owned(), url));
            assert_eq!(format!("{it:?}"), format!("AppUrl({shown})"));
        }
    }

    #[test]
    fn nothing_is_shown_of_a_url_that_cannot_be_used() {
        for url in [
            "secret",
            "ws://user:sec/ret@h/",
            "ws://h/#secret",
            "secret://h/",
            "ws://secret@h:x/",
            "ws://h:0/secret",
        ] {
            assert_eq!(AppUrl::new(url).to_string(), "a URL that cannot be used", "{url}");
        }
    }
}
