//! How far a message has come over its fragments (RFC 6455 section 5.4).

use crate::frame::Header;
use crate::utf8::Incremental;
use crate::{Config, Kind, Opcode, ProtocolError};

/// The message that is under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    pub(crate) kind: Kind,
    pub(crate) fragments: u32,
    /// Bytes of payload; of a compressed message before they are inflated.
    pub(crate) len: u64,
    utf8: Incremental,
    /// So many bytes at the end of what has come were not checked: where the rest comes at once, that is done with the whole message.
    pub(crate) unchecked: u32,
    /// The payloads are compressed (RFC 7692 section 6).
    pub(crate) compressed: bool,
}

impl Progress {
    /// Where the message stands once the frame of this header is part of it, or why that frame may not come now. With `single` fragments
    /// each is handed on by itself, and only its own length counts as held.
    #[inline]
    pub(crate) fn after(
        message: Option<Self>,
        header: &Header,
        single: bool,
        config: &Config,
    ) -> Result<Self, ProtocolError> {
        let start = |kind| Self {
            kind,
            fragments: 0,
            len: 0,
            utf8: Incremental::default(),
            unchecked: 0,
            compressed: header.compressed,
        };
        let mut progress = match (header.opcode, message) {
            (Opcode::Continuation, Some(message)) => message,
            (Opcode::Continuation, None) => return Err(ProtocolError::UnexpectedContinuation),
            (_, Some(_)) => return Err(ProtocolError::UnfinishedMessage),
            (Opcode::Text, None) => start(Kind::Text),
            (_, None) => start(Kind::Binary),
        };
        progress.fragments += 1;
        if progress.fragments > config.max_fragments {
            return Err(ProtocolError::TooManyFragments { limit: config.max_fragments });
        }
        progress.len = progress.len.saturating_add(header.len);
        if progress.compressed {
            // The limit is for the length that it is inflated to.
            return Ok(progress);
        }
        let held = if single { header.len } else { progress.len };
        if held > config.message_limit() {
            return Err(ProtocolError::MessageTooBig { len: held, limit: config.message_limit() });
        }
        Ok(progress)
    }

    /// Checks the next piece of a text.
    pub(crate) fn check(&mut self, piece: &[u8], config: &Config) -> Result<(), ProtocolError> {
        if self.kind == Kind::Binary || !config.validate_utf8 {
            return Ok(());
        }
        self.utf8.feed(piece).map_err(|_| ProtocolError::InvalidUtf8)
    }

    /// Checks that a text does not end inside a character.
    pub(crate) fn finish(&mut self, config: &Config) -> Result<(), ProtocolError> {
        if self.kind == Kind::Binary || !config.validate_utf8 {
            return Ok(());
        }
        self.utf8.finish().map_err(|_| ProtocolError::InvalidUtf8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MAX_HELD;

    #[test]
    fn b076_fragments_that_memory_cannot_hold_together_are_refused_and_their_lengths_not_wrapped() {
        let mut config = Config::default();
        config.max_message_size = u64::MAX;
        let header =
            |opcode, len| Header { fin: false, opcode, compressed: false, mask: None, len, size: 10 };
        let first = Progress::after(None, &header(Opcode::Binary, MAX_HELD), false, &config).unwrap();
        let next = |len| Progress::after(Some(first), &header(Opcode::Continuation, len), false, &config);
        assert_eq!(next(0).unwrap().len, MAX_HELD);
        for more in [1, MAX_HELD] {
            let len = MAX_HELD + more;
            assert_eq!(next(more).unwrap_err(), ProtocolError::MessageTooBig { len, limit: MAX_HELD });
        }
    }
}
