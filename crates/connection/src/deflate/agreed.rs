//! The server's answer, checked against the offers (RFC 7692 section 7.1).

use super::error::DeflateError;
use super::offer::{ClientWindow, Deflate, DeflateOffer};
use super::parameters::{
    CLIENT_MAX_WINDOW_BITS, CLIENT_NO_CONTEXT_TAKEOVER, MAX_BITS, NAME, SERVER_MAX_WINDOW_BITS,
    SERVER_NO_CONTEXT_TAKEOVER,
};

/// What client and server have agreed on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct DeflateAgreed {
    /// The server starts each message with an empty window.
    pub server_no_context_takeover: bool,
    /// The client starts each message with an empty window.
    pub client_no_context_takeover: bool,
    /// The server looks back 2^n bytes at most.
    pub server_max_window_bits: u8,
    /// The client looks back 2^n bytes at most.
    pub client_max_window_bits: u8,
}

/// The parameters of the answer as they stand there.
#[derive(Default)]
struct Answer {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    client_max_window_bits: Option<u8>,
}

/// What was agreed by an answer with these parameters. It has to fit one of the offers. Which one the server meant, it does not say: if it
/// fits several, what each of them announces of the client holds, for the server may count on it.
pub(super) fn check<'a>(
    parameters: impl Iterator<Item = &'a str>,
    deflate: &Deflate,
) -> Result<DeflateAgreed, DeflateError> {
    let answer = Answer::parse(parameters)?;
    let mut agreed: Option<DeflateAgreed> = None;
    let mut first = None;
    for offer in &deflate.offers {
        match (answer.fit(offer), &mut agreed) {
            (Ok(fitting), None) => agreed = Some(fitting),
            (Ok(fitting), Some(agreed)) => {
                agreed.client_no_context_takeover |= fitting.client_no_context_takeover;
                agreed.client_max_window_bits =
                    agreed.client_max_window_bits.min(fitting.client_max_window_bits);
            }
            (Err(error), _) => first = first.or(Some(error)),
        }
    }
    agreed.ok_or_else(|| first.unwrap_or(DeflateError::NotOffered(NAME)))
}

impl Answer {
    fn parse<'a>(parameters: impl Iterator<Item = &'a str>) -> Result<Self, DeflateError> {
        let mut answer = Self::default();
        for parameter in parameters {
            let (name, value) = match parameter.split_once('=') {
                Some((name, value)) => (name.trim_end(), Some(unquoted(value.trim_start()))),
                None => (parameter, None),
            };
            match name {
                SERVER_NO_CONTEXT_TAKEOVER => {
                    flag(&mut answer.server_no_context_takeover, SERVER_NO_CONTEXT_TAKEOVER, value)?;
                }
                CLIENT_NO_CONTEXT_TAKEOVER => {
                    flag(&mut answer.client_no_context_takeover, CLIENT_NO_CONTEXT_TAKEOVER, value)?;
                }
                SERVER_MAX_WINDOW_BITS => {
                    bits(&mut answer.server_max_window_bits, SERVER_MAX_WINDOW_BITS, value)?;
                }
                CLIENT_MAX_WINDOW_BITS => {
                    bits(&mut answer.client_max_window_bits, CLIENT_MAX_WINDOW_BITS, value)?;
                }
                _ => return Err(DeflateError::UnknownParameter(name.to_owned())),
            }
        }
        Ok(answer)
    }

    /// What the answer means for this offer.
    fn fit(&self, offer: &DeflateOffer) -> Result<DeflateAgreed, DeflateError> {
        // Section 7.1.1.1.
        if offer.server_no_context_takeover && !self.server_no_context_takeover {
            return Err(DeflateError::NotAccepted(SERVER_NO_CONTEXT_TAKEOVER));
        }
        // Section 7.1.2.1. A server may limit itself unasked.
        let server_max_window_bits = match (offer.server_max_window_bits, self.server_max_window_bits) {
            (None, answered) => answered.unwrap_or(MAX_BITS),
            (Some(_), None) => return Err(DeflateError::NotAccepted(SERVER_MAX_WINDOW_BITS)),
            (Some(offered), Some(bits)) => within(bits, offered, SERVER_MAX_WINDOW_BITS)?,
        };
        // Section 7.1.2.2.
        let client_max_window_bits = match (offer.client_window, self.client_max_window_bits) {
            (ClientWindow::Unlimited, Some(_)) => {
                return Err(DeflateError::NotOffered(CLIENT_MAX_WINDOW_BITS));
            }
            (ClientWindow::Unlimited, None) => MAX_BITS,
            (ClientWindow::Any, answered) => answered.unwrap_or(MAX_BITS),
            (ClientWindow::Bits(offered), None) => offered,
            (ClientWindow::Bits(offered), Some(bits)) => within(bits, offered, CLIENT_MAX_WINDOW_BITS)?,
        };
        Ok(DeflateAgreed {
            server_no_context_takeover: self.server_no_context_takeover,
            // Section 7.1.1.2: a server may ask for it unasked, and need not repeat what the client has announced.
            client_no_context_takeover: self.client_no_context_takeover || offer.client_no_context_takeover,
            server_max_window_bits,
            client_max_window_bits,
        })
    }
}

/// A value may be quoted if it is a token inside the quotes (RFC 6455 section 9.1).
fn unquoted(value: &str) -> &str {
    value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value)
}

fn flag(flag: &mut bool, parameter: &'static str, value: Option<&str>) -> Result<(), DeflateError> {
    if let Some(value) = value {
        return Err(DeflateError::UnexpectedValue { parameter, value: value.to_owned() });
    }
    if std::mem::replace(flag, true) { Err(DeflateError::RepeatedParameter(parameter)) } else { Ok(()) }
}

fn bits(bits: &mut Option<u8>, parameter: &'static str, value: Option<&str>) -> Result<(), DeflateError> {
    let known = match value {
        Some("8") => 8,
        Some("9") => 9,
        Some("10") => 10,
        Some("11") => 11,
        Some("12") => 12,
        Some("13") => 13,
        Some("14") => 14,
        Some("15") => 15,
        _ => return Err(DeflateError::InvalidWindowBits { parameter, value: value.map(str::to_owned) }),
    };
    if bits.replace(known).is_some() { Err(DeflateError::RepeatedParameter(parameter)) } else { Ok(()) }
}

fn within(bits: u8, offered: u8, parameter: &'static str) -> Result<u8, DeflateError> {
    if bits > offered {
        return Err(DeflateError::WindowTooLarge { parameter, bits, offered });
    }
    Ok(bits)
}
