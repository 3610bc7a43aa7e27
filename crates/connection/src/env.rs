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

    /// Puts numbers for the next mask keys to the front of `keys`, and returns how many, at least one. Provided: the next number alone. A
    /// source for which many at a time are cheaper may draw ahead.
    fn mask_keys(&mut self, keys: &mut [u32; 16]) -> usize {
        keys[0] = self.next_u32();
        1
    }
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

    /// Fills all of `keys`. None is zero, which would leave the payload as it is.
    fn mask_keys(&mut self, keys: &mut [u32; 16]) -> usize {
        for key in &mut *keys {
            *key = self.0.next_u32();
            while *key == 0 {
                *key = self.0.next_u32();
            }
        }
        keys.len()
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
    /// The last one is taken first, so those at the front are used least.
    free: Vec<Vec<u8>>,
    bytes: usize,
    /// The fewest bytes that there were since the last call of [`free_unused`](Self::free_unused): so many were not used.
    unused: usize,
}

impl Pool {
    const MAX_BUFFERS: usize = 256;
    /// As much as the largest message that is accepted by default: a stream of these takes no new memory for each.
    const MAX_BYTES: usize = 64 << 20;

    /// A buffer with unspecified contents, or an empty one.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        let buffer = self.free.pop().unwrap_or_default();
        self.bytes -= buffer.capacity();
        self.unused = self.unused.min(self.bytes);
        buffer
    }

    /// Frees buffers that were not used since the last call.
    fn free_unused(&mut self) {
        let before = self.bytes;
        let unused = self.free.iter().map(Vec::capacity).take_while(|capacity| {
            let is_unused = before - self.bytes + capacity <= self.unused;
            if is_unused {
                self.bytes -= capacity;
            }
            is_unused
        });
        let count = unused.count();
        self.free.drain(..count);
        self.unused = self.bytes;
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
    mask_keys: [u32; 16],
    /// How many of them, at the front, were not used yet.
    mask_keys_left: usize,
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
            mask_keys: [0; 16],
            mask_keys_left: 0,
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

    /// The mask key of the next frame.
    #[inline]
    pub(crate) fn mask_key(&mut self) -> [u8; 4] {
        if self.mask_keys_left == 0 {
            self.draw_mask_keys();
        }
        self.mask_keys_left -= 1;
        self.mask_keys[self.mask_keys_left].to_ne_bytes()
    }

    #[cold]
    fn draw_mask_keys(&mut self) {
        let drawn = self.entropy.mask_keys(&mut self.mask_keys);
        self.mask_keys_left = drawn.clamp(1, self.mask_keys.len());
    }

    /// What inflating has cost so far, in bytes: those that came out, and those of earlier messages that were loaded into an inflater first.
    pub const fn inflated_bytes(&self) -> u64 {
        self.inflated
    }

    /// Frees the memory for later use that was not used since the last call: to be called once in a while, so that memory is kept while a
    /// stream of large messages lasts, and not after it.
    pub fn free_unused(&mut self) {
        self.output.free_unused();
        self.assembly.free_unused();
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
    use std::collections::HashSet;

    use super::*;
    use crate::tests::{CountingEntropy, env};

    #[test]
    fn b056_seeded_mask_keys_are_all_different_and_none_is_zero() {
        let mut entropy = SeededEntropy::new([1; 32]);
        let mut drawn = HashSet::new();
        let mut keys = [0; 16];
        for _ in 0..100 {
            assert_eq!(entropy.mask_keys(&mut keys), keys.len());
            assert!(!keys.contains(&0) && keys.iter().all(|key| drawn.insert(*key)), "{keys:x?}");
        }
    }

    #[test]
    fn a_source_is_asked_for_one_mask_key_at_a_time_unless_it_draws_ahead() {
        let mut asked = env(CountingEntropy::default());
        let first = asked.mask_key();
        let other = asked.next_u32().to_ne_bytes();
        let mut same = env(CountingEntropy::default());
        assert_eq!([first, other], [same.mask_key(), same.mask_key()]);
    }

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

    #[test]
    fn the_pool_keeps_what_was_used_since_the_last_look() {
        let mut pool = Pool::default();
        for len in [100, 50, 20] {
            pool.give(vec![0; len]);
        }
        pool.free_unused();
        assert_eq!(pool.bytes, 170, "all of it came since the last look");
        let (first, second) = (pool.take(), pool.take());
        pool.give(second);
        pool.give(first);
        pool.free_unused();
        assert_eq!((pool.bytes, pool.free.len()), (70, 2));
        let used = pool.take();
        pool.give(used);
        pool.free_unused();
        assert_eq!(pool.bytes, 20);
        pool.free_unused();
        assert_eq!((pool.bytes, pool.free.len()), (0, 0));
    }
}
