//! The extension in the request and in the response (RFC 7692 section 5.1).

use http::header;

use super::agreed;
use super::inbound::Inbound;
use super::offer::Deflate;
use super::outbound::Outbound;
use super::parameters::NAME;
use crate::upgrade::elements;
use crate::{Config, DeflateError, Response, UpgradeError};

/// The value of `Sec-WebSocket-Extensions` in the request.
pub(crate) fn extensions(config: &Config) -> Option<String> {
    config.deflate.as_ref().map(Deflate::header)
}

/// Checks the extension that the response accepts, if it accepts one.
pub(crate) fn negotiate(response: &mut Response, config: &Config) -> Result<(), UpgradeError> {
    let mut accepted = elements(&response.headers, &header::SEC_WEBSOCKET_EXTENSIONS);
    let Some(first) = accepted.next() else { return Ok(()) };
    let mut parts = first.split(';').map(str::trim);
    let (Some(NAME), Some(deflate)) = (parts.next(), &config.deflate) else {
        return Err(UpgradeError::UnrequestedExtension(first.to_owned()));
    };
    let agreed = agreed::check(parts, deflate)?;
    match accepted.next() {
        None => {
            response.deflate = Some(agreed);
            Ok(())
        }
        // RFC 7692 section 5.1: there is one response to all offers of an extension.
        Some(more) if more.split(';').next().map(str::trim) == Some(NAME) => {
            Err(DeflateError::AcceptedTwice.into())
        }
        Some(more) => Err(UpgradeError::UnrequestedExtension(more.to_owned())),
    }
}

/// Begins to do what the response has accepted.
pub(crate) fn start(response: &Response, config: &Config, inbound: &mut Inbound, outbound: &mut Outbound) {
    if let (Some(agreed), Some(deflate)) = (&response.deflate, &config.deflate) {
        *inbound = Inbound::with(agreed);
        *outbound = Outbound::with(agreed, deflate);
    }
}
