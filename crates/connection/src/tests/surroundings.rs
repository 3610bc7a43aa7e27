//! What a connection under test borrows.

use crate::fuzzing::clock::start;
use crate::{Entropy, Env};

/// Counts up: good enough where nobody attacks, and the same in every run.
#[derive(Default)]
pub(crate) struct CountingEntropy(u32);

impl Entropy for CountingEntropy {
    fn next_u32(&mut self) -> u32 {
        self.0 += 1;
        self.0.wrapping_mul(0x9e37_79b9)
    }
}

pub(crate) fn env(entropy: impl Entropy + 'static) -> Env {
    Env::new(start(), entropy)
}
