//! Why a redirect is not followed.

use std::fmt;

use http::StatusCode;

use crate::address::{UrlError, is_scheme};

/// Longest part of a location that an error shows, in characters.
const SHOWN: usize = 200;

/// A redirect that is not followed.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum RedirectError {
    /// More redirects in a row than `max_redirects`, as in a redirect loop.
    TooMany {
        /// What is allowed.
        limit: u32,
    },
    /// The response does not say where to go, or names several places.
    NoLocation {
        /// Its status.
        status: StatusCode,
    },
    /// The location cannot be used.
    #[non_exhaustive]
    Location {
        /// What the server sent, without user, password, query and fragment.
        location: String,
        /// What is wrong with it.
        source: UrlError,
    },
    /// From `wss` to `ws`: what follows could be read and changed by anyone on the way.
    #[non_exhaustive]
    Downgrade {
        /// What the server sent, without user, password, query and fragment.
        location: String,
    },
}

impl fmt::Display for RedirectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany { limit } => {
                write!(f, "the server redirects more often than max_redirects ({limit}) allows")
            }
            Self::NoLocation { status } => {
                write!(f, "the server answered {} without one Location to follow", status.as_u16())
            }
            Self::Location { location, source } => {
                write!(f, "the server redirects to {location:?}, which cannot be used: {source}")
            }
            Self::Downgrade { location } => {
                write!(f, "the server redirects from wss to {location:?}, which is not encrypted")
            }
        }
    }
}

// The text has that of the error inside; a source would repeat it.
impl std::error::Error for RedirectError {}

/// `location` for an error: without what may be secret in it.
pub(super) fn redacted(location: &str) -> String {
    let location = location.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = match location.split_once("//") {
        Some(("", rest)) => ("//".to_owned(), rest),
        Some((scheme, rest)) if scheme.strip_suffix(':').is_some_and(is_scheme) => {
            (format!("{scheme}//"), rest)
        }
        _ => (String::new(), location),
    };
    // An `@` in the path hides more than it must; one that is not in its place hides no less than it must.
    let rest = rest.rsplit('@').next().unwrap_or_default();
    let mut shown: String = scheme.chars().chain(rest.chars()).take(SHOWN).collect();
    if shown.len() < scheme.len() + rest.len() {
        shown.push('…');
    }
    shown
}
