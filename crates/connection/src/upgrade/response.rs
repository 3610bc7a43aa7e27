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
