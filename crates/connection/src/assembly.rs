//! Payload that comes in pieces: where it goes, and when text in it is checked.
//!
//! A text is checked as a whole when its last byte is there. Before that it is checked piece by piece only where the rest may be long in
//! coming, so that bad bytes are found early and most text is looked at once.

use std::ops::Range;

use crate::frame::Header;
use crate::receive::{Partial, Rx};
use crate::{Config, Env, ProtocolError, mask};

/// From this many missing bytes on, a payload is read straight into its assembly.
const DIRECT: u64 = 16 << 10;

/// Bytes of text that may wait to be checked with the whole message.
const UNCHECKED: usize = 1 << 20;

impl Rx {
    /// Whether there is text that was not checked.
    #[inline]
    pub(crate) fn has_unchecked(&self) -> bool {
        self.message.as_ref().is_some_and(|message| message.unchecked > 0)
    }

    /// Room for the rest of a large payload, so that it can be read without a copy; `None` when there is no such payload.
    pub(crate) fn spare(&mut self, env: &mut Env) -> Option<&mut [u8]> {
        let Partial::Payload { missing, .. } = self.partial else { return None };
        if missing < DIRECT || self.is_compressed() {
            return None;
        }
        Some(self.buffers.spare(missing, env))
    }

    /// `len` bytes were read into [`spare`](Self::spare).
    pub(crate) fn filled(&mut self, len: usize, config: &Config) -> Result<(), ProtocolError> {
        let Partial::Payload { header, missing } = self.partial else { return Ok(()) };
        let new = self.buffers.filled((len as u64).min(missing) as usize);
        self.added(header, missing, new, config)
    }

    /// Payload has come to lie at `new` in the assembly, out of `missing` bytes of it.
    pub(crate) fn added(
        &mut self,
        header: Header,
        missing: u64,
        new: Range<usize>,
        config: &Config,
    ) -> Result<(), ProtocolError> {
        let rest = missing - new.len() as u64;
        let bytes = self.buffers.assembled(new);
        if let Some(key) = header.mask {
            mask::apply(bytes, mask::rotate(key, header.len - missing));
        }
        self.partial = Partial::Payload { header, missing: rest };
        let Some(message) = &mut self.message else { return Ok(()) };
        let unchecked = std::mem::take(&mut message.unchecked) as usize + bytes.len();
        if rest == 0 && header.fin && !self.deliver_fragments {
            // It is checked as a whole.
            return Ok(());
        }
        if rest == 0 || unchecked >= UNCHECKED {
            return message.check(self.buffers.last(unchecked), config);
        }
        message.unchecked = unchecked as u32;
        Ok(())
    }

    /// Checks the text that was not checked.
    pub(crate) fn check_rest(&mut self, config: &Config) -> Result<(), ProtocolError> {
        let Some(message) = &mut self.message else { return Ok(()) };
        let rest = std::mem::take(&mut message.unchecked) as usize;
        message.check(self.buffers.last(rest), config)
    }
}
