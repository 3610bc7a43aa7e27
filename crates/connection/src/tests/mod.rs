//! The state machine as a whole: vectors at every split, virtual time.

mod breaches;
mod closing;
#[cfg(feature = "deflate")]
mod compression;
mod fuzz;
mod keep_alive;
mod limits;
mod properties;
mod queue;
mod receiving;
mod sending;
mod splits;
mod upgrade;

use std::time::Duration;

use crate::fuzzing::harness::{self, Client, Leave, Sent};
use crate::{Entropy, Env, Error};

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
    Env::new(harness::start(), entropy)
}

const SECOND: Duration = Duration::from_secs(1);

impl Client {
    /// Bytes came, and no more are at hand.
    fn came(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.feed(bytes, Leave::Absorb)
    }

    /// Time passes, and what is due is done.
    fn advance(&mut self, by: Duration) -> Result<(), Error> {
        self.env.now += by;
        self.conn.handle_timeout(&mut self.env)
    }

    /// The time until the deadline.
    fn due_in(&self) -> Option<Duration> {
        Some(self.conn.deadline()?.saturating_duration_since(self.env.now))
    }

    /// Opcodes and payloads of what was sent.
    fn sent_payloads(&mut self) -> Vec<(u8, Vec<u8>)> {
        self.sent().into_iter().map(|Sent { opcode, payload, .. }| (opcode, payload)).collect()
    }
}
