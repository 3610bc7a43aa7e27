//! The response to the upgrade request (RFC 6455 section 4.1).

use std::fmt;

use http::StatusCode;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::{Config, deflate};
#[cfg(feature = "deflate")]
use crate::{DeflateAgreed, DeflateError};

/// The response of a server, with whatever it says.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Response {
    /// The status; 101 when the upgrade succeeded.
    pub status: StatusCode,
    /// The reason phrase of the status line.
    pub status_message: String,
    /// All headers; repeated ones are kept.
    pub headers: HeaderMap,
    /// The subprotocol that the server selected.
    pub subprotocol: Option<String>,
    /// How messages are compressed, if the server has accepted that.
    #[cfg(feature = "deflate")]
    pub deflate: Option<DeflateAgreed>,
}

/// Why the opening handshake failed.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum UpgradeError {
    /// The server does not speak HTTP/1.1.
    NotHttp,
    /// The response cannot be parsed; the text says where.
    Malformed(&'static str),
    /// The headers exceed `max_header_bytes`.
    HeadersTooLong {
        /// What is allowed, in bytes.
        limit: usize,
    },
    /// There are more headers than `max_headers`.
    TooManyHeaders {
        /// What is allowed.
        limit: usize,
    },
    /// The server refused: any status but 101.
    Status {
        /// Status and headers.
        response: Box<Response>,
        /// The body, as far as it came and at most `max_error_body` bytes.
        body: Vec<u8>,
    },
    /// `Upgrade` is not `websocket`.
    UpgradeHeader,
    /// `Connection` does not contain `upgrade`.
    ConnectionHeader,
    /// `Sec-WebSocket-Accept` is missing or does not fit the key.
    AcceptHeader,
    /// An extension that was not offered.
    UnrequestedExtension(String),
    /// permessage-deflate in a way that was not offered, or that RFC 7692 does not know.
    #[cfg(feature = "deflate")]
    Deflate(DeflateError),
    /// A subprotocol that was not offered, or more than one.
    UnrequestedSubprotocol(String),
    /// None of the offered subprotocols was selected.
    NoSubprotocol,
    /// The stream ended before the response was complete.
    EndOfStream,
}

impl fmt::Display for UpgradeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHttp => {
                f.write_str("the server does not answer in HTTP/1.1 (is it TLS, or another protocol?)")
            }
            Self::Malformed(what) => write!(f, "the response is malformed: {what}"),
            Self::HeadersTooLong { limit } => {
                write!(f, "the response's headers exceed max_header_bytes ({limit})")
            }
            Self::TooManyHeaders { limit } => {
                write!(f, "the response has more than max_headers ({limit}) headers")
            }
            Self::Status { response, .. } => {
                write!(f, "the server answered {} {}", response.status.as_u16(), response.status_message)
            }
            Self::UpgradeHeader => f.write_str("the response lacks 'Upgrade: websocket'"),
            Self::ConnectionHeader => f.write_str("the response lacks 'Connection: Upgrade'"),
            Self::AcceptHeader => f.write_str("Sec-WebSocket-Accept is missing or does not fit the key"),
            Self::UnrequestedExtension(name) => {
                write!(f, "the server selected extension {name:?}, which was not offered")
            }
            #[cfg(feature = "deflate")]
            Self::Deflate(error) => write!(f, "the server's permessage-deflate: {error}"),
            Self::UnrequestedSubprotocol(name) => {
                write!(f, "the server selected subprotocol {name:?}, which was not offered")
            }
            Self::NoSubprotocol => f.write_str("the server selected none of the offered subprotocols"),
            Self::EndOfStream => f.write_str("the server closed the stream before the response was complete"),
        }
    }
}

impl fmt::Debug for UpgradeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers and body may hold cookies and tokens: whoever wants them takes them from the fields.
        write!(f, "UpgradeError({self})")
    }
}

impl std::error::Error for UpgradeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            #[cfg(feature = "deflate")]
            Self::Deflate(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(feature = "deflate")]
impl From<DeflateError> for UpgradeError {
    fn from(error: DeflateError) -> Self {
        Self::Deflate(error)
    }
}

/// What was asked, as far as the response is checked against it.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) accept: String,
    pub(super) subprotocols: Vec<String>,
    pub(super) require_subprotocol: bool,
}

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

/// The comma-separated elements of all headers called `name`.
pub(crate) fn elements<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| std::str::from_utf8(value.as_bytes()).ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|element| !element.is_empty())
}

/// The checks of RFC 6455 section 4.1 on a response with status 101, in its order.
pub(super) fn check(
    response: &mut Response,
    expected: &Expected,
    config: &Config,
) -> Result<(), UpgradeError> {
    let headers = &response.headers;
    if !elements(headers, &header::UPGRADE).any(|element| element.eq_ignore_ascii_case("websocket")) {
        return Err(UpgradeError::UpgradeHeader);
    }
    if !elements(headers, &header::CONNECTION).any(|element| element.eq_ignore_ascii_case("upgrade")) {
        return Err(UpgradeError::ConnectionHeader);
    }
    let mut accepts = headers.get_all(header::SEC_WEBSOCKET_ACCEPT).iter();
    match (accepts.next(), accepts.next()) {
        (Some(accept), None) if accept.as_bytes() == expected.accept.as_bytes() => {}
        _ => return Err(UpgradeError::AcceptHeader),
    }
    deflate::negotiate(response, config)?;
    let mut selected = elements(&response.headers, &header::SEC_WEBSOCKET_PROTOCOL);
    match (selected.next(), selected.next()) {
        (None, _) if expected.require_subprotocol && !expected.subprotocols.is_empty() => {
            return Err(UpgradeError::NoSubprotocol);
        }
        (None, _) => {}
        (Some(name), None) if expected.subprotocols.iter().any(|offered| offered == name) => {
            response.subprotocol = Some(name.to_owned());
        }
        (Some(name), None) | (Some(_), Some(name)) => {
            return Err(UpgradeError::UnrequestedSubprotocol(name.to_owned()));
        }
    }
    Ok(())
}
