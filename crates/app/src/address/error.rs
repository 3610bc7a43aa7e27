//! What is wrong with a URL.

use std::fmt;

/// A URL that cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum UrlError {
    /// It is not of the form `ws://host[:port][/path][?query]`; the text says what is wrong.
    Syntax(String),
    /// It is not of the form `ws+unix:/path/of/socket[:/path][?query]`; the text says what is wrong.
    UnixSyntax(&'static str),
    /// Its scheme is none of `ws`, `wss`, `ws+unix` and `wss+unix`.
    Scheme(String),
    /// Its scheme is `wss`, and this build has no TLS.
    TlsUnavailable,
    /// Its scheme is `ws+unix`, and there are no unix sockets here.
    UnixUnavailable,
    /// Its port is 0, which nothing can listen on.
    PortZero,
    /// It has a fragment (RFC 6455 section 3); a `#` in the path must be written `%23`.
    Fragment,
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(what) => write!(f, "the URL is not ws://host[:port][/path][?query]: {what}"),
            Self::UnixSyntax(what) => {
                write!(f, "the URL is not ws+unix:/path/of/socket[:/path][?query]: {what}")
            }
            Self::Scheme(scheme) => {
                write!(f, "the URL's scheme must be ws or wss, ws+unix or wss+unix, not {scheme:?}")
            }
            Self::TlsUnavailable => {
                f.write_str("wss needs TLS, which is not available in this build; use ws")
            }
            Self::UnixUnavailable => f.write_str("unix sockets are not available here; use ws://host"),
            Self::PortZero => f.write_str("the URL's port must be between 1 and 65535"),
            Self::Fragment => f.write_str("the URL must not have a fragment; write '#' in the path as %23"),
        }
    }
}

impl std::error::Error for UrlError {}
