//! Headers as users write them: a map, pairs or lines.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};

/// A header that cannot be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum HeaderError {
    /// The name is not a token (RFC 9110 section 5.1).
    Name(String),
    /// The value of this header contains a line break or another control character.
    Value(String),
    /// A line without a colon.
    Line,
    /// More headers than any request can have: some ten thousand.
    TooMany,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => {
                write!(f, "header name {name:?} must be a token: letters, digits and !#$%&'*+-.^_`|~")
            }
            Self::Value(name) => {
                write!(f, "the value of header {name:?} must not contain control characters")
            }
            Self::Line => f.write_str("a header line must have the form \"Name: value\""),
            Self::TooMany => f.write_str("there are too many headers for one request"),
        }
    }
}

impl std::error::Error for HeaderError {}

/// A header's value: a string, or one that may be absent.
pub trait HeaderText {
    /// The text; `None` leaves the header out.
    fn header_text(&self) -> Option<&str>;
}

impl HeaderText for &str {
    fn header_text(&self) -> Option<&str> {
        Some(self)
    }
}

impl HeaderText for String {
    fn header_text(&self) -> Option<&str> {
        Some(self)
    }
}

impl<T: HeaderText> HeaderText for Option<T> {
    fn header_text(&self) -> Option<&str> {
        self.as_ref().and_then(T::header_text)
    }
}

/// Anything that says which headers to send.
///
/// Maps and pairs of name and value (a value that is `None` is left out), or lines of the form
/// `"Name: value"`.
pub trait ToHeaders {
    /// The headers.
    ///
    /// # Errors
    /// The first that cannot be sent.
    fn to_headers(&self) -> Result<HeaderMap, HeaderError>;
}

impl ToHeaders for HeaderMap {
    fn to_headers(&self) -> Result<HeaderMap, HeaderError> {
        Ok(self.clone())
    }
}

impl<K: AsRef<str>, V: HeaderText> ToHeaders for [(K, V)] {
    fn to_headers(&self) -> Result<HeaderMap, HeaderError> {
        collect(self.iter().map(|(name, value)| (name.as_ref(), value.header_text())))
    }
}

impl<K: AsRef<str>, V: HeaderText, const N: usize> ToHeaders for [(K, V); N] {
    fn to_headers(&self) -> Result<HeaderMap, HeaderError> {
        self.as_slice().to_headers()
    }
}

impl<K: AsRef<str>, V: HeaderText> ToHeaders for Vec<(K, V)> {
    fn to_headers(&self) -> Result<HeaderMap, HeaderError> {
        self.as_slice().to_headers()
    }
}

impl<K: AsRef<str>, V: HeaderText, S> ToHeaders for HashMap<K, V, S> {
    fn to_headers(&self) -> Result<HeaderMap, HeaderError> {
        collect(self.iter().map(|(name, value)| (name.as_ref(), value.header_text())))
    }
}

impl<K: AsRef<str>, V: HeaderText> ToHeaders for BTreeMap<K, V> {
    fn to_headers(&self) -> Result<HeaderMap, HeaderError> {
        collect(self.iter().map(|(name, value)| (name.as_ref(), value.header_text())))
    }
}

impl ToHeaders for [&str] {
    fn to_headers(&self) -> Result<HeaderMap, HeaderError> {
        lines(self.iter().copied())
    }
}

impl<const N: usize> ToHeaders for [&str; N] {
    fn to_headers(&self) -> Result<HeaderMap, HeaderError> {
        lines(self.iter().copied())
    }
}

impl ToHeaders for Vec<&str> {
    fn to_headers(&self) -> Result<HeaderMap, HeaderError> {
        lines(self.iter().copied())
    }
}

impl ToHeaders for Vec<String> {
    fn to_headers(&self) -> Result<HeaderMap, HeaderError> {
        lines(self.iter().map(String::as_str))
    }
}

impl<T: ToHeaders + ?Sized> ToHeaders for &T {
    fn to_headers(&self) -> Result<HeaderMap, HeaderError> {
        (**self).to_headers()
    }
}

fn lines<'a>(lines: impl Iterator<Item = &'a str>) -> Result<HeaderMap, HeaderError> {
    let pairs: Result<Vec<_>, _> = lines.map(|line| line.split_once(':').ok_or(HeaderError::Line)).collect();
    collect(pairs?.into_iter().map(|(name, value)| (name.trim_end(), Some(value.trim()))))
}

fn collect<'a>(pairs: impl Iterator<Item = (&'a str, Option<&'a str>)>) -> Result<HeaderMap, HeaderError> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let Some(value) = value else { continue };
        append(&mut headers, self::name(name)?, self::value(name, value)?)?;
    }
    Ok(headers)
}

/// Adds all of `more` to `headers`.
pub(crate) fn append_all(headers: &mut HeaderMap, more: &HeaderMap) -> Result<(), HeaderError> {
    more.iter().try_for_each(|(name, value)| append(headers, name.clone(), value.clone()))
}

fn append(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) -> Result<(), HeaderError> {
    // A map that is full panics in `append`.
    headers.try_append(name, value).map(drop).map_err(|_| HeaderError::TooMany)
}

fn name(name: &str) -> Result<HeaderName, HeaderError> {
    HeaderName::try_from(name).map_err(|_| HeaderError::Name(name.to_owned()))
}

/// `value` as the value of a header called `name`.
pub(crate) fn value(name: &str, value: &str) -> Result<HeaderValue, HeaderError> {
    // `HeaderValue` lets tabs pass, which are harmless, and refuses line breaks and NUL, which would inject
    // headers.
    let mut checked =
        HeaderValue::from_bytes(value.as_bytes()).map_err(|_| HeaderError::Value(name.to_owned()))?;
    // `Debug` of a sensitive value does not show it.
    checked.set_sensitive(["authorization", "cookie"].iter().any(|secret| name.eq_ignore_ascii_case(secret)));
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b151_maps_drop_absent_values_and_lines_are_split() {
        let map = HashMap::from([("X-A", Some("1")), ("X-B", None)]);
        let headers = map.to_headers().unwrap();
        assert_eq!((headers.len(), headers["x-a"].as_bytes()), (1, &b"1"[..]));
        let headers = ["X-A: 1", "X-B:2: 3"].to_headers().unwrap();
        assert_eq!(headers["x-b"], "2: 3");
        let headers = [("X-A", "1"), ("x-a", "2")].to_headers().unwrap();
        assert_eq!(headers.get_all("X-A").iter().count(), 2);
    }

    #[test]
    fn b153_line_breaks_and_nul_are_refused() {
        for text in ["a\r\nX: y", "a\nb", "a\rb", "a\0b"] {
            assert_eq!([("X-A", text)].to_headers(), Err(HeaderError::Value("X-A".into())));
        }
        assert_eq!([("X\r\nY", "v")].to_headers(), Err(HeaderError::Name("X\r\nY".into())));
        assert_eq!(["no colon"].to_headers(), Err(HeaderError::Line));
    }

    #[test]
    fn more_headers_than_a_map_can_hold_are_refused() {
        let many: Vec<_> = (0..40_000).map(|number| (format!("X-{number}"), "")).collect();
        assert_eq!(many.to_headers(), Err(HeaderError::TooMany));
    }

    #[test]
    fn b163_debug_shows_neither_cookies_nor_credentials() {
        let headers = [("Authorization", "Bearer secret"), ("cookie", "secret"), ("X", "shown")].to_headers();
        let text = format!("{:?}", headers.unwrap());
        assert!(text.contains("shown") && !text.contains("secret"), "{text}");
    }

    #[test]
    fn b153_the_error_does_not_show_the_value() {
        let error = [("Authorization", "secret\n")].to_headers().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"));
    }
}
