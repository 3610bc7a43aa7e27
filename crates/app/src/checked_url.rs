//! The URL of an app, which has been checked.

use std::mem;

use crate::address::{Target, UrlError};

/// The URL of an app. Until the first attempt it has what it was parsed to when it was checked; then only the text is kept, for an open
/// connection needs nothing else of it.
pub(crate) enum CheckedUrl {
    Text(Box<str>),
    Parsed(Box<(Box<str>, Target)>),
}

impl CheckedUrl {
    /// The text.
    pub(crate) const fn as_str(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Parsed(parsed) => &parsed.0,
        }
    }

    /// Keeps what the text was parsed to, for the next attempt.
    pub(crate) fn keep(&mut self, target: Target) {
        *self = Self::Parsed(Box::new((self.take().0, target)));
    }

    /// Where the URL leads, for an attempt.
    ///
    /// # Errors
    /// What is wrong with the URL.
    pub(crate) fn take_target(&mut self) -> Result<Target, UrlError> {
        let (text, target) = self.take();
        let target = target.map_or_else(|| Target::parse(&text), Ok);
        *self = Self::Text(text);
        target
    }

    fn take(&mut self) -> (Box<str>, Option<Target>) {
        match mem::replace(self, Self::Text(Box::default())) {
            Self::Text(text) => (text, None),
            Self::Parsed(parsed) => (parsed.0, Some(parsed.1)),
        }
    }
}

impl From<&str> for CheckedUrl {
    fn from(url: &str) -> Self {
        Self::Text(url.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_parsed_serves_one_attempt_and_takes_no_room_in_an_app() {
        let mut url = CheckedUrl::from("ws://h/p");
        url.keep(Target::parse("ws://other/").unwrap());
        assert_eq!(url.as_str(), "ws://h/p");
        assert_eq!(url.take_target().unwrap().authority, "other", "it is not parsed again");
        assert_eq!(url.take_target().unwrap().authority, "h");
        assert_eq!(url.as_str(), "ws://h/p");
        assert_eq!(size_of::<CheckedUrl>(), size_of::<Box<str>>());
    }

    #[test]
    fn a_url_that_is_wrong_stays_as_it_is() {
        let mut url = CheckedUrl::from("h");
        assert!(matches!(url.take_target(), Err(UrlError::Syntax(_))));
        assert_eq!(url.as_str(), "h");
    }
}
