//! Why a cookie is not kept.

use std::fmt;

use crate::address::UrlError;

/// A cookie that is not kept.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum CookieError {
    /// The URL that it is for cannot be used.
    Url(UrlError),
    /// It is not of the form `name=value[; attribute[=value]]...`, or contains control characters.
    Malformed,
    /// It is longer than any jar must keep (RFC 6265 section 6.1).
    TooLong {
        /// What is allowed, in bytes over name, value and attributes.
        limit: usize,
    },
    /// Its domain is neither the host of the URL nor above it.
    Domain,
    /// Its domain is one under which strangers have theirs, such as `com`.
    PublicSuffix,
    /// Without TLS a cookie must neither be `Secure` nor replace one that is.
    NotSecure,
    /// Its name begins with `__Secure-` or `__Host-`, and it lacks the attributes that this promises.
    Prefix,
    /// There are as many cookies as a domain, or the jar, may have; none of them has expired.
    Full {
        /// What is allowed.
        limit: usize,
    },
}

impl fmt::Display for CookieError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(error) => write!(f, "{error}"),
            Self::Malformed => f.write_str("the cookie is not name=value[; attribute[=value]]..."),
            Self::TooLong { limit } => write!(f, "the cookie is longer than {limit} bytes"),
            Self::Domain => f.write_str("the cookie's Domain is neither the URL's host nor above it"),
            Self::PublicSuffix => f.write_str("the cookie's Domain is a public suffix"),
            Self::NotSecure => {
                f.write_str("a cookie may only be Secure, or replace one that is, when it comes over wss")
            }
            Self::Prefix => {
                f.write_str("the cookie's name begins with __Secure- or __Host- without what that promises")
            }
            Self::Full { limit } => write!(f, "there are {limit} cookies already, and no more are kept"),
        }
    }
}

// The text has that of the error inside; a source would repeat it.
impl std::error::Error for CookieError {}

impl From<UrlError> for CookieError {
    fn from(error: UrlError) -> Self {
        Self::Url(error)
    }
}
