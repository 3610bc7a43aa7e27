//! The state machine as a whole: vectors at every split, virtual time.

mod breaches;
mod closing;
#[cfg(feature = "deflate")]
mod compression;
mod fuzz;
mod heads;
mod keep_alive;
mod limits;
mod numbers;
mod pieces;
mod probes;
mod properties;
mod queue;
mod receiving;
mod refusals;
mod rounds;
mod sending;
mod splits;
mod surroundings;
mod upgrade;

use std::time::Duration;

use crate::Error;
use crate::fuzzing::harness::{Client, Leave, Sent};
pub(crate) use surroundings::{CountingEntropy, env};

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
