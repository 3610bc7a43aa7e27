//! What `bench/run hosts` asks of `bench-on-host`, which runs our apps on one host in a process of its own, and what that answers.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::contract::Report;
use crate::measure::percentile;

/// How often the host's own task wants its turn in [`Part::EchoTicks`] and [`Part::IdleTicks`].
pub const TICK: Duration = Duration::from_millis(1);
/// How long the host's own task works in [`Part::EchoBusy`] before it gives way.
pub const PIECE: Duration = Duration::from_micros(20);

/// What is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The workload `echo`.
    Echo,
    /// Opens the connections, says so in a line, and does nothing until its standard input ends.
    Idle,
    /// One connection on which nothing happens, and as many timers, one after the other, as there are messages.
    Timers,
    /// The workload `echo` beside a task of the host that wants a turn every [`TICK`].
    EchoTicks,
    /// That task beside apps with which nothing happens, as many ticks long as there are messages.
    IdleTicks,
    /// The workload `echo` beside a task of the host that works all the time, and gives way after each [`PIECE`].
    EchoBusy,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Echo, Self::Idle, Self::Timers, Self::EchoTicks, Self::IdleTicks, Self::EchoBusy];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Idle => "idle",
            Self::Timers => "timers",
            Self::EchoTicks => "echo-ticks",
            Self::IdleTicks => "idle-ticks",
            Self::EchoBusy => "echo-busy",
        }
    }

    /// The part of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.name() == name)
    }
}

/// What was measured: a line of output.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostReport {
    /// Of the apps, where they echo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub echo: Option<Report>,
    /// Of the apps' timers, or of the host's own task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turns: Option<Turns>,
}

/// How somebody got turns, and how long after each was wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turns {
    /// How many.
    pub count: u64,
    /// In how much time.
    pub wall_ns: u64,
    /// The median of the waits.
    pub late_p50_ns: u64,
    /// The wait that one in a hundred exceeds.
    pub late_p99_ns: u64,
}

impl Turns {
    /// Of the waits before each turn.
    pub fn new(mut waits: Vec<u64>, wall: Duration) -> Self {
        waits.sort_unstable();
        let at = |percent| percentile(&waits, percent).unwrap_or_default();
        Self {
            count: waits.len() as u64,
            wall_ns: wall.as_nanos() as u64,
            late_p50_ns: at(50),
            late_p99_ns: at(99),
        }
    }

    /// The share that was had of turns that are each worth so much time: ticks, or pieces of work.
    pub fn share(&self, worth: Duration) -> f64 {
        self.count as f64 * worth.as_nanos() as f64 / self.wall_ns.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_found_by_its_name() {
        assert!(Part::ALL.into_iter().all(|part| Part::by_name(part.name()) == Some(part)));
        assert_eq!(Part::by_name("echoes"), None);
    }

    #[test]
    fn turns_have_percentiles_and_a_share() {
        let turns = Turns::new((1..=200).rev().collect(), Duration::from_millis(400));
        assert_eq!((turns.count, turns.late_p50_ns, turns.late_p99_ns), (200, 100, 198));
        assert!((turns.share(TICK) - 0.5).abs() < 1e-9 && (turns.share(PIECE) - 0.01).abs() < 1e-9);
        assert_eq!(Turns::new(Vec::new(), Duration::ZERO), Turns::default());
    }
}
