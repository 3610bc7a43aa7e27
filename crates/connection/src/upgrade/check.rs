//! What RFC 6455 section 4.1 asks of a response with status 101.

use http::header;

use super::elements::elements;
use super::error::UpgradeError;
use super::response::Response;
use crate::{Config, deflate};

/// What was asked, as far as the response is checked against it.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) accept: String,
    pub(super) subprotocols: Vec<String>,
    pub(super) require_subprotocol: bool,
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
    let (first, second) = (selected.next(), selected.next());
    let offered = |name: &&str| expected.subprotocols.iter().any(|offered| offered == name);
    if let Some(name) = first.into_iter().chain(second).find(|name| !offered(name)) {
        return Err(UpgradeError::UnrequestedSubprotocol(name.to_owned()));
    }
    response.subprotocol = match (first, second) {
        (None, _) if expected.require_subprotocol && !expected.subprotocols.is_empty() => {
            return Err(UpgradeError::NoSubprotocol);
        }
        (None, _) => None,
        (Some(name), None) => Some(name.to_owned()),
        (Some(first), Some(second)) => {
            return Err(UpgradeError::SeveralSubprotocols(first.to_owned(), second.to_owned()));
        }
    };
    Ok(())
}
