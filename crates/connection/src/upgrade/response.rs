//! The response to the upgrade request (RFC 6455 section 4.1).

use http::StatusCode;
use http::header::HeaderMap;

#[cfg(feature = "deflate")]
use crate::DeflateAgreed;

/// The response of a server, with whatever it says.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct Response {
    /// The status; 101 when the upgrade succeeded.
    pub status: StatusCode,
    /// The reason phrase of the status line, without what cannot be printed.
    pub status_message: String,
    /// All headers; repeated ones are kept. Of a refusal, lines that are malformed are left out, and those beyond `max_headers`.
    pub headers: HeaderMap,
    /// The subprotocol that the server selected.
    pub subprotocol: Option<String>,
    /// How messages are compressed, if the server has accepted that.
    #[cfg(feature = "deflate")]
    pub deflate: Option<DeflateAgreed>,
    /// Of a refusal: the first line of its body, as the error's text shows it.
    pub(super) first_line: Option<String>,
}

impl Response {
    pub(super) const fn new(status: StatusCode, status_message: String, headers: HeaderMap) -> Self {
        Self {
            status,
            status_message,
            headers,
            subprotocol: None,
            #[cfg(feature = "deflate")]
            deflate: None,
            first_line: None,
        }
    }
}
