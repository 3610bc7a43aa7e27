//! Header lines to headers (RFC 9112 section 5).
//!
//! A response that refuses the upgrade keeps the lines that can be read, since its status is what matters. In one that accepts it every line
//! has to be right.

use std::borrow::Cow;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::UpgradeError;

/// Headers of a refusal that are kept before others when there are more than `max_headers`: those that decide what comes next.
const WANTED: [HeaderName; 7] = [
    header::CONTENT_LENGTH,
    header::DATE,
    header::LOCATION,
    header::PROXY_AUTHENTICATE,
    header::RETRY_AFTER,
    header::TRANSFER_ENCODING,
    header::WWW_AUTHENTICATE,
];

/// Headers that the handshake depends on.
const CHECKED: [HeaderName; 5] = [
    header::CONNECTION,
    header::SEC_WEBSOCKET_ACCEPT,
    header::SEC_WEBSOCKET_EXTENSIONS,
    header::SEC_WEBSOCKET_PROTOCOL,
    header::UPGRADE,
];

/// The headers of a response that accepts the upgrade.
pub(super) fn strict(bytes: &[u8], max_headers: usize) -> Result<HeaderMap, UpgradeError> {
    let mut headers = HeaderMap::new();
    for line in lines(bytes) {
        // RFC 9112 section 5.1 allows no blank before the colon, and a fold at the start continues nothing.
        let (name, value) = field(line, <[u8]>::as_ref)?;
        if CHECKED.contains(&name) && !value.as_bytes().is_ascii() {
            return Err(UpgradeError::Malformed("a header's value"));
        }
        let len = headers.len();
        if len >= max_headers {
            return Err(UpgradeError::TooManyHeaders { limit: max_headers });
        }
        if headers.try_append(name, value).is_err() {
            return Err(UpgradeError::TooManyHeaders { limit: len });
        }
    }
    Ok(headers)
}

/// The headers of a refusal: at most `max_headers`, without lines that are malformed.
pub(super) fn lenient(bytes: &[u8], max_headers: usize) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let fields = || lines(bytes).filter_map(|line| field(line, <[u8]>::trim_ascii_end).ok());
    let mut add = |wanted: Option<bool>| {
        for (name, value) in fields() {
            let skipped = wanted.is_some_and(|wanted| wanted != WANTED.contains(&name));
            if !skipped && (headers.len() >= max_headers || headers.try_append(name, value).is_err()) {
                return;
            }
        }
    };
    if fields().nth(max_headers).is_none() {
        add(None);
    } else {
        add(Some(true));
        add(Some(false));
    }
    headers
}

/// Lines up to the empty one, each with those that continue it (obs-fold), without the last line break.
fn lines(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let mut end = 0;
        loop {
            end += bytes[end..].iter().position(|byte| *byte == b'\n')? + 1;
            let empty = matches!(bytes, [b'\n', ..] | [b'\r', b'\n', ..]);
            if empty {
                return None;
            }
            if !matches!(bytes.get(end), Some(b' ' | b'\t')) {
                break;
            }
        }
        let (line, rest) = bytes.split_at(end);
        bytes = rest;
        Some(without_break(line))
    })
}

fn without_break(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Name and value of a line; `name` says what of the part before the colon is the name.
fn field(line: &[u8], name: fn(&[u8]) -> &[u8]) -> Result<(HeaderName, HeaderValue), UpgradeError> {
    let colon = line.iter().position(|byte| *byte == b':');
    let (before, after) = line.split_at(colon.ok_or(UpgradeError::Malformed("a header's name"))?);
    let name =
        HeaderName::from_bytes(name(before)).map_err(|_| UpgradeError::Malformed("a header's name"))?;
    let mut value = HeaderValue::from_bytes(&unfolded(&after[1..]))
        .map_err(|_| UpgradeError::Malformed("a header's value"))?;
    value.set_sensitive(name == header::SET_COOKIE);
    Ok((name, value))
}

/// A value without the blanks around it. RFC 9112 section 5.2: a user agent replaces each fold by a blank.
fn unfolded(value: &[u8]) -> Cow<'_, [u8]> {
    if !value.contains(&b'\n') {
        return Cow::Borrowed(trimmed(value));
    }
    let parts = value.split(|byte| *byte == b'\n').map(|part| trimmed(without_break(part)));
    let parts: Vec<&[u8]> = parts.filter(|part| !part.is_empty()).collect();
    Cow::Owned(parts.join(&b' '))
}

fn trimmed(value: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().position(|byte| !blank(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    &value[start..end]
}
