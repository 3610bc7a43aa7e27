//! What a connection borrows from its surroundings: the time, entropy, memory.

use std::fmt;
use std::time::Instant;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

#[cfg(feature = "deflate")]
use crate::deflate::Contexts;

/// A source of numbers for masks and handshake keys.
///
/// The peer must not be able to predict them from those that it has seen (RFC 6455 section 10.3).
pub trait Entropy {
    /// The next number.
    fn next_u32(&mut self) -> u32;
}

/// The default [`Entropy`]: a cryptographic generator that the caller seeds.
pub struct SeededEntropy(StdRng);

impl SeededEntropy {
    /// Starts from `seed`, which outside of tests must come from the operating system.
    pub fn new(seed: [u8; 32]) -> Self {
        Self(StdRng::from_seed(seed))
    }
}

impl Entropy for SeededEntropy {
    fn next_u32(&mut self) -> u32 {
        self.0.next_u32()
    }
}

impl fmt::Debug for SeededEntropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SeededEntropy")
    }
}

/// Memory that many connections take turns in, so that an idle one holds none.
///
/// Bounded: what does not fit when it comes back is freed.
#[derive(Default, Debug)]
pub(crate) struct Pool {
    free: Vec<Vec<u8>>,
    bytes: usize,
}

impl Pool {
    const MAX_BUFFERS: usize = 256;
    const MAX_BYTES: usize = 8 << 20;

    /// A buffer with unspecified contents, or an empty one.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        let buffer = self.free.pop().unwrap_or_default();
        self.bytes -= buffer.capacity();
        buffer
    }

    /// Takes a buffer back.
    pub(crate) fn give(&mut self, buffer: Vec<u8>) {
        let capacity = buffer.capacity();
        if capacity > 0 && self.free.len() < Self::MAX_BUFFERS && self.bytes + capacity <= Self::MAX_BYTES {
            self.bytes += capacity;
            self.free.push(buffer);
        }
    }
}

/// What every call on a [`Connection`](crate::Connection) needs from outside; many connections share one.
pub struct Env {
    /// The time on the caller's clock. Keep it current; going backwards is harmless.
    pub now: Instant,
    entropy: Box<dyn Entropy>,
    /// Buffers of outgoing bytes; their contents mean nothing.
    pub(crate) output: Pool,
    /// Buffers of reassembled messages; their whole length has been initialised.
    pub(crate) assembly: Pool,
    /// What compresses and inflates.
    #[cfg(feature = "deflate")]
    pub(crate) contexts: Contexts,
    pub(crate) inflated: u64,
}

impl Env {
    /// Surroundings that start at `now`.
    pub fn new(now: Instant, entropy: impl Entropy + 'static) -> Self {
        Self {
            now,
            entropy: Box::new(entropy),
            output: Pool::default(),
            assembly: Pool::default(),
            #[cfg(feature = "deflate")]
            contexts: Contexts::default(),
            inflated: 0,
        }
    }

    /// The next number from the source of entropy.
    pub fn next_u32(&mut self) -> u32 {
        self.entropy.next_u32()
    }

    /// What inflating has cost so far, in bytes: those that came out, and those of earlier messages that were loaded into an inflater first.
    pub const fn inflated_bytes(&self) -> u64 {
        self.inflated
    }

    /// Bytes that the pools hold for later use.
    pub fn pooled_bytes(&self) -> usize {
        self.output.bytes + self.assembly.bytes
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env").field("now", &self.now).field("pooled_bytes", &self.pooled_bytes()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pool_is_bounded_in_buffers_and_bytes() {
        let mut pool = Pool::default();
        for _ in 0..2 * Pool::MAX_BUFFERS {
            pool.give(vec![0; 16]);
        }
        assert_eq!(pool.free.len(), Pool::MAX_BUFFERS);
        pool.give(Vec::with_capacity(2 * Pool::MAX_BYTES));
        assert_eq!(pool.bytes, 16 * Pool::MAX_BUFFERS);
        let buffer = pool.take();
        assert_eq!(buffer.len(), 16);
        assert_eq!(pool.bytes, 16 * (Pool::MAX_BUFFERS - 1));
    }
}
