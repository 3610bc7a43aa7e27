//! From compressed frames to the message (RFC 7692 section 7.2.2).

use std::fmt;

use zlib_rs::InflateFlush;

use super::agreed::DeflateAgreed;
use super::inflater::{self, Inflated, Inflater};
use super::parameters::{LEAST_BITS, MAX_BITS, TAIL};
use super::window::Window;
use crate::buffers::Buffers;
use crate::progress::Progress;
use crate::{Config, Env, ProtocolError};

/// Inflates what the server sends; nothing where that was not agreed.
pub(crate) struct Inbound(Option<Box<Inflation>>);

struct Inflation {
    takeover: bool,
    window: Window,
    /// While a message is under way.
    inflater: Option<Box<Inflater>>,
    /// The inflater that has the window inside, if no other connection used it since.
    stamp: u64,
    /// The data so far ends with a final block.
    ended: bool,
    /// The last bytes of the data of this message.
    latest: [u8; TAIL.len()],
}

/// Before a message has as many.
const NONE: [u8; TAIL.len()] = [0xff; TAIL.len()];

impl Inbound {
    pub(crate) const fn new() -> Self {
        Self(None)
    }

    pub(super) fn with(agreed: &DeflateAgreed) -> Self {
        Self(Some(Box::new(Inflation {
            takeover: !agreed.server_no_context_takeover,
            window: Window::new(1 << agreed.server_max_window_bits.clamp(LEAST_BITS, MAX_BITS)),
            inflater: None,
            stamp: 0,
            ended: false,
            latest: NONE,
        })))
    }

    /// Whether messages may come compressed.
    #[inline]
    pub(crate) const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Inflates the next piece of a message into `buffers`; text is checked as it comes out.
    pub(crate) fn inflate(
        &mut self,
        piece: &[u8],
        buffers: &mut Buffers,
        message: &mut Progress,
        config: &Config,
        env: &mut Env,
    ) -> Result<(), ProtocolError> {
        match &mut self.0 {
            Some(inflation) if !piece.is_empty() => inflation.inflate(piece, buffers, message, config, env),
            _ => Ok(()),
        }
    }

    /// Ends the message.
    pub(crate) fn finish(&mut self, env: &mut Env) -> Result<(), ProtocolError> {
        let Some(inflation) = &mut self.0 else { return Ok(()) };
        let mut inflater = inflation.take_inflater(env)?;
        let latest = std::mem::replace(&mut inflation.latest, NONE);
        match (std::mem::take(&mut inflation.ended), latest) {
            (true, _) => {}
            // Data that is cut as it should be ends with the type of an empty block, which is three zero bits, and what is left of their
            // byte is zero too. So these bytes are the tail, left on.
            (false, TAIL) => inflater::check_ended(&mut inflater)?,
            (false, _) => inflater::end(&mut inflater)?,
        }
        inflation.stamp = env.contexts.give_inflater(inflater);
        if !inflation.takeover {
            inflation.stamp = 0;
            env.output.give(inflation.window.take());
        }
        Ok(())
    }

    /// Gives all memory back; nothing more is received.
    pub(crate) fn clear(&mut self, env: &mut Env) {
        let Some(mut inflation) = self.0.take() else { return };
        if let Some(inflater) = inflation.inflater.take() {
            env.contexts.give_inflater(inflater);
        }
        env.output.give(inflation.window.take());
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn held_bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |inflation| inflation.window.held_bytes())
    }
}

impl Inflation {
    fn inflate(
        &mut self,
        mut piece: &[u8],
        buffers: &mut Buffers,
        message: &mut Progress,
        config: &Config,
        env: &mut Env,
    ) -> Result<(), ProtocolError> {
        let mut inflater = self.take_inflater(env)?;
        let known = self.latest.len().saturating_sub(piece.len());
        self.latest.copy_within(TAIL.len() - known.., 0);
        self.latest[known..].copy_from_slice(&piece[piece.len() - (TAIL.len() - known)..]);
        loop {
            self.ended = false;
            let room = buffers.room(config.message_limit(), env);
            let most = room.len();
            let Inflated { used, made, last, invalid } = inflater.step(piece, room, InflateFlush::SyncFlush);
            piece = &piece[used..];
            env.inflated += made as u64;
            let new = buffers.filled(made);
            let len = new.end as u64;
            let bytes = buffers.assembled(new);
            // Before the length: a bad byte in it comes first.
            message.check(bytes, config)?;
            if len > config.message_limit() {
                return Err(ProtocolError::MessageTooBig { len, limit: config.message_limit() });
            }
            self.window.push(bytes);
            if last {
                // Others may follow (section 7.2.3.5), which may refer to what was before.
                self.start(&mut inflater, env)?;
                self.ended = true;
            } else if invalid || (used + made == 0 && !piece.is_empty()) {
                return Err(ProtocolError::InvalidDeflate);
            }
            if piece.is_empty() && (last || made < most) {
                break;
            }
        }
        self.inflater = Some(inflater);
        Ok(())
    }

    /// The inflater of the message under way, or one that is ready for the next message.
    fn take_inflater(&mut self, env: &mut Env) -> Result<Box<Inflater>, ProtocolError> {
        if let Some(inflater) = self.inflater.take() {
            return Ok(inflater);
        }
        let mut inflater = env.contexts.inflater(self.stamp);
        if inflater.stamp != self.stamp || self.stamp == 0 {
            if !self.takeover {
                // It goes back with the message.
                self.window.start(env.output.take());
            }
            self.start(&mut inflater, env)?;
        }
        Ok(inflater)
    }

    fn start(&self, inflater: &mut Inflater, env: &mut Env) -> Result<(), ProtocolError> {
        env.inflated += self.window.len() as u64;
        inflater.start(&self.window)
    }
}

impl fmt::Debug for Inbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Inbound").field(&self.is_on()).finish()
    }
}
