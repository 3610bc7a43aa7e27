//! From the bytes of a head to a response (RFC 9112 sections 4 and 5).

use http::StatusCode;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::error::UpgradeError;
use super::response::Response;
use crate::Config;

/// Parses a complete head, up to and including its empty line.
pub(super) fn parse(head: &[u8], config: &Config) -> Result<Response, UpgradeError> {
    let lines = head.iter().filter(|byte| **byte == b'\n').count();
    let mut headers = vec![httparse::EMPTY_HEADER; config.max_headers.min(lines)];
    let mut parsed = httparse::Response::new(&mut headers);
    match parsed.parse(head) {
        Ok(httparse::Status::Complete(end)) if end == head.len() => {}
        // An empty line of a bare line feed, which httparse takes for the end.
        Ok(httparse::Status::Complete(_)) => return Err(UpgradeError::Malformed("a line break")),
        Ok(httparse::Status::Partial) => return Err(UpgradeError::Malformed("the head ends early")),
        Err(error) => {
            return Err(match error {
                httparse::Error::TooManyHeaders => UpgradeError::TooManyHeaders { limit: config.max_headers },
                httparse::Error::HeaderName => UpgradeError::Malformed("a header's name"),
                httparse::Error::HeaderValue => UpgradeError::Malformed("a header's value"),
                httparse::Error::Status => UpgradeError::Malformed("the status"),
                httparse::Error::Version => UpgradeError::NotHttp,
                _ => UpgradeError::Malformed("the status line or a line break"),
            });
        }
    }
    if parsed.version != Some(1) {
        return Err(UpgradeError::NotHttp);
    }
    let status = parsed.code.and_then(|code| StatusCode::from_u16(code).ok());
    let mut response = Response {
        status: status.ok_or(UpgradeError::Malformed("the status"))?,
        status_message: parsed.reason.unwrap_or_default().to_owned(),
        headers: HeaderMap::new(),
        subprotocol: None,
        #[cfg(feature = "deflate")]
        deflate: None,
    };
    for header in parsed.headers.iter() {
        let name = HeaderName::from_bytes(header.name.as_bytes());
        let value = HeaderValue::from_bytes(header.value);
        match (name, value) {
            (Ok(name), Ok(mut value)) if std::str::from_utf8(header.value).is_ok() => {
                let limit = response.headers.len();
                value.set_sensitive(name == header::SET_COOKIE);
                if response.headers.try_append(name, value).is_err() {
                    return Err(UpgradeError::TooManyHeaders { limit });
                }
            }
            (Ok(_), _) => return Err(UpgradeError::Malformed("a header's value")),
            (Err(_), _) => return Err(UpgradeError::Malformed("a header's name")),
        }
    }
    Ok(response)
}
