//! permessage-deflate (RFC 7692): what is offered, what was agreed, and the contexts of both directions.

mod agreed;
mod context;
mod deflater;
mod error;
mod inflater;
mod offer;
mod window;

pub use agreed::DeflateAgreed;
pub(crate) use context::Contexts;
pub(crate) use deflater::Outbound;
pub use error::DeflateError;
pub(crate) use inflater::Inbound;
pub use offer::{Deflate, DeflateOffer};

use http::header;

use crate::upgrade::elements;
use crate::{Config, Response, UpgradeError};

/// The name under which it is negotiated.
const NAME: &str = "permessage-deflate";

const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";

/// The bits of the smallest window that may be negotiated, and of the largest, which is meant where none is named.
const MIN_BITS: u8 = 8;
const MAX_BITS: u8 = 15;

/// The bits of the smallest window that is worked with. It serves for one of 8 bits too: what is deflated with 9 reaches back 250 bytes
/// at most, and many servers that agree to 8 use 9.
const LEAST_BITS: u8 = 9;

/// What ends every message before it is sent, and is not sent (RFC 7692 section 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

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
