//! A response that refuses the upgrade, while its body comes.

use std::time::{Duration, Instant};

use http::header;

use super::body::Body;
use super::elements::elements;
use super::head::Head;
use super::printable::first_line;
use super::response::Response;
use super::secrets::Secrets;
use super::{UpgradeError, fields};
use crate::Config;

/// The longest wait for the body of a refusal once its head is there. The body is wanted for the error's text alone, so a server that
/// announces one and does not send it delays the error by no more than this.
const BODY_WAIT: Duration = Duration::from_millis(500);

/// A refusal whose head is complete.
pub(super) struct Refusal {
    response: Box<Response>,
    body: Body,
    /// The head allows another request on the stream, and nothing came behind the body.
    keeps_stream: bool,
    /// When the head was complete.
    since: Instant,
}

impl Refusal {
    pub(super) fn new(head: Head, config: &Config, now: Instant) -> Self {
        let Head { line, fields } = head;
        let headers = fields::lenient(&fields, config.max_headers);
        // The body of a redirect is for people with a browser.
        let is_redirect = matches!(line.status.as_u16(), 301 | 302 | 303 | 307 | 308);
        let limit = if is_redirect { 0 } else { config.max_error_body };
        let body = Body::new(line.status, line.is_http_1_0, &headers, limit);
        let closes =
            elements(&headers, &header::CONNECTION).any(|option| option.eq_ignore_ascii_case("close"));
        // RFC 9112 section 6.3: both may mean that it is not one response.
        let is_ambiguous =
            headers.contains_key(header::TRANSFER_ENCODING) && headers.contains_key(header::CONTENT_LENGTH);
        let is_strict = fields::strict(&fields, config.max_headers).is_ok();
        let keeps_stream = is_strict && !(line.is_http_1_0 || closes || is_ambiguous);
        let response = Box::new(Response::new(line.status, line.message, headers));
        Self { response, body, keeps_stream, since: now }
    }

    /// Takes what belongs to the body from the front of `input`; returns the bytes taken and whether nothing more is waited for.
    pub(super) fn feed(&mut self, input: &[u8]) -> (usize, bool) {
        let (taken, complete) = self.body.feed(input);
        self.keeps_stream &= !complete || taken == input.len();
        (taken, complete)
    }

    /// Whether the stream can carry another request: the head allows it, and all of the body came and nothing else.
    pub(super) fn keeps_stream(&self) -> bool {
        self.keeps_stream && self.body.has_ended()
    }

    /// When the body is no longer waited for.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.since.checked_add(BODY_WAIT)
    }

    /// The error, with the body as far as it came. Its text has no secret that the server repeats.
    pub(super) fn into_error(self, secrets: &Secrets) -> UpgradeError {
        let Self { mut response, body, .. } = self;
        let body = body.into_bytes();
        if !response.headers.contains_key(header::CONTENT_ENCODING) {
            let line = first_line(&body).filter(|line| !is_request_line(line));
            response.first_line = line.map(|line| secrets.hidden_in(line));
        }
        UpgradeError::Status { response, body }
    }
}

/// Whether a server that shows what it was sent begins so.
fn is_request_line(line: &str) -> bool {
    line.starts_with("GET /") && line.ends_with(" HTTP/1.1")
}
