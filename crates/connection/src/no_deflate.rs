//! What stands in for permessage-deflate in a build without it.

use http::header;

use crate::buffers::Buffers;
use crate::progress::Progress;
use crate::upgrade::elements;
use crate::{Config, Env, ProtocolError, Response, UpgradeError};

/// Nothing comes compressed.
#[derive(Debug)]
pub(crate) struct Inbound;

/// Nothing is compressed.
pub(crate) struct Outbound;

pub(crate) const fn extensions(_: &Config) -> Option<String> {
    None
}

/// No extension was offered, so none may be accepted.
pub(crate) fn negotiate(response: &mut Response, _: &Config) -> Result<(), UpgradeError> {
    match elements(&response.headers, &header::SEC_WEBSOCKET_EXTENSIONS).next() {
        Some(extension) => Err(UpgradeError::UnrequestedExtension(extension.to_owned())),
        None => Ok(()),
    }
}

pub(crate) const fn start(_: &Response, _: &Config, _: &mut Inbound, _: &mut Outbound) {}

#[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "the same signatures as with it")]
impl Inbound {
    pub(crate) const fn new() -> Self {
        Self
    }

    #[inline]
    pub(crate) const fn is_on(&self) -> bool {
        false
    }

    pub(crate) const fn inflate(
        &mut self,
        _: &[u8],
        _: &mut Buffers,
        _: &mut Progress,
        _: &Config,
        _: &mut Env,
    ) -> Result<(), ProtocolError> {
        Ok(())
    }

    pub(crate) const fn finish(&mut self, _: &mut Env) -> Result<(), ProtocolError> {
        Ok(())
    }

    pub(crate) const fn clear(&mut self, _: &mut Env) {}

    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) const fn held_bytes(&self) -> usize {
        0
    }
}

#[allow(clippy::unused_self, reason = "the same signatures as with it")]
impl Outbound {
    pub(crate) const fn new() -> Self {
        Self
    }

    #[inline]
    pub(crate) const fn takes(&self, _: usize) -> bool {
        false
    }

    pub(crate) const fn fragment_len(&self, _: bool, len: usize) -> usize {
        len
    }

    pub(crate) const fn message(&mut self, _: &[u8], _: usize, _: &mut Env) -> Option<Vec<u8>> {
        None
    }

    pub(crate) const fn fragment(&mut self, _: &[u8], _: bool, _: bool, _: &mut Env) -> Option<Vec<u8>> {
        None
    }

    pub(crate) const fn clear(&mut self, _: &mut Env) {}
}
