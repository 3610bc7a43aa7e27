//! From messages to compressed frames (RFC 7692 section 7.2.1).

use super::agreed::DeflateAgreed;
use super::deflater::{Deflater, worst};
use super::offer::Deflate;
use super::parameters::{LEAST_BITS, MAX_BITS, MAX_LEVEL, TAIL};
use super::window::Window;
use crate::Env;

/// The most bytes that a connection keeps of what it has sent, while another one uses the deflater that it had. Small messages
/// compress nearly as well with these as with eight times as many, which take ten times as long to load.
const KEPT: usize = 4 << 10;

/// Cuts the end off a message (section 7.2.1).
fn cut(out: &mut Vec<u8>) {
    if out.ends_with(&TAIL) {
        out.truncate(out.len() - TAIL.len());
    } else {
        // Everything was flushed before: an empty block is all that is left (section 7.2.3.6).
        out.push(0);
    }
}

/// Compresses what the client sends; nothing where that was not agreed.
pub(crate) struct Outbound(Option<Box<Deflation>>);

struct Deflation {
    takeover: bool,
    level: u8,
    bits: u8,
    threshold: usize,
    /// Messages that begin now are compressed.
    wanted: bool,
    /// A fragmented message is being compressed.
    fragmented: bool,
    /// With takeover: the end of what was compressed.
    window: Window,
    /// With takeover: the deflater that has all of it inside, if no other connection used it since.
    stamp: u64,
    /// Between fragments.
    deflater: Option<Box<Deflater>>,
}

impl Outbound {
    pub(crate) const fn new() -> Self {
        Self(None)
    }

    pub(super) fn with(agreed: &DeflateAgreed, options: &Deflate) -> Self {
        let bits = agreed.client_max_window_bits.clamp(LEAST_BITS, MAX_BITS);
        Self(Some(Box::new(Deflation {
            takeover: !agreed.client_no_context_takeover,
            level: options.level.min(MAX_LEVEL),
            bits,
            threshold: options.threshold.max(1),
            wanted: true,
            fragmented: false,
            window: Window::new(KEPT.min(1 << bits)),
            stamp: 0,
            deflater: None,
        })))
    }

    /// Whether messages that begin from now on are compressed.
    pub(crate) fn set_wanted(&mut self, wanted: bool) {
        if let Some(deflation) = &mut self.0 {
            deflation.wanted = wanted;
        }
    }

    /// Whether a whole message of `len` bytes is to be compressed.
    #[inline]
    pub(crate) fn takes(&self, len: usize) -> bool {
        self.0.as_ref().is_some_and(|deflation| deflation.wanted && len >= deflation.threshold)
    }

    /// The bytes that the next fragment of `len` bytes takes up at most.
    pub(crate) fn fragment_len(&self, first: bool, len: usize) -> usize {
        if self.takes_fragment(first) { worst(len) } else { len }
    }

    fn takes_fragment(&self, first: bool) -> bool {
        self.0.as_ref().is_some_and(|deflation| if first { deflation.wanted } else { deflation.fragmented })
    }

    /// A whole message as it is to be sent, in memory that goes back to `env.output`; `None` where it is better sent as it is, since it
    /// would not become shorter, or would exceed `most` bytes.
    pub(crate) fn message(&mut self, payload: &[u8], most: usize, env: &mut Env) -> Option<Vec<u8>> {
        let deflation = self.0.as_mut()?;
        let mut deflater = deflation.take_deflater(env);
        let mut out = start(env);
        deflater.compress(payload, &mut out);
        cut(&mut out);
        let fits = if deflation.takeover { out.len() <= most } else { out.len() < payload.len() };
        if fits {
            deflation.give_back(deflater, payload, env);
            return Some(out);
        }
        // The server never sees these bytes, so nothing may refer to them.
        deflation.stamp = env.contexts.give_deflater(deflater, false);
        env.output.give(out);
        None
    }

    /// A fragment as it is to be sent, in memory that goes back to `env.output`; `None` where its message is not compressed.
    pub(crate) fn fragment(
        &mut self,
        payload: &[u8],
        first: bool,
        fin: bool,
        env: &mut Env,
    ) -> Option<Vec<u8>> {
        if !self.takes_fragment(first) {
            return None;
        }
        let deflation = self.0.as_mut()?;
        let mut deflater = deflation.take_deflater(env);
        let mut out = start(env);
        deflater.compress(payload, &mut out);
        deflation.fragmented = !fin;
        if fin {
            cut(&mut out);
            deflation.give_back(deflater, payload, env);
        } else {
            deflation.keep(payload);
            deflation.deflater = Some(deflater);
        }
        Some(out)
    }

    /// Gives all memory back; nothing more is sent.
    pub(crate) fn clear(&mut self, env: &mut Env) {
        let Some(deflation) = self.0.take() else { return };
        match deflation.deflater {
            Some(deflater) => {
                env.contexts.give_deflater(deflater, false);
            }
            None => env.contexts.free_deflater(deflation.stamp),
        }
    }
}

impl Deflation {
    fn take_deflater(&mut self, env: &mut Env) -> Box<Deflater> {
        let kept = self.deflater.take();
        kept.unwrap_or_else(|| env.contexts.deflater(self.stamp, self.level, self.bits, &self.window))
    }

    /// The message has ended with `payload`.
    fn give_back(&mut self, deflater: Box<Deflater>, payload: &[u8], env: &mut Env) {
        self.keep(payload);
        self.stamp = env.contexts.give_deflater(deflater, self.takeover);
    }

    fn keep(&mut self, payload: &[u8]) {
        if self.takeover {
            self.window.push(payload);
        }
    }
}

fn start(env: &mut Env) -> Vec<u8> {
    let mut out = env.output.take();
    out.clear();
    out
}
