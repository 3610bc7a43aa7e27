//! How much of the machine's time went to processes that are no part of the benchmark: what makes figures doubtful.

use std::fs;
use std::time::Instant;

use crate::Result;
use crate::system::{children_cpu_ns, own_cpu_ns};

/// Beyond this share of the machine's time for other processes, figures are doubtful.
pub const TOLERATED_SHARE: f64 = 0.03;

/// Measures from its start.
#[derive(Debug)]
pub struct Neighbours {
    wall: Instant,
    ours_ns: u64,
    machine: Machine,
}

impl Neighbours {
    /// Starts to watch.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn watch() -> Result<Self> {
        Ok(Self { wall: Instant::now(), ours_ns: ours_ns()?, machine: Machine::now()? })
    }

    /// The share of all cores' time since the start that others had, from 0 to 1.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn share(&self) -> Result<f64> {
        let now = Machine::now()?;
        let wall_ns = self.wall.elapsed().as_nanos() as f64 * now.cores as f64;
        let ours = (ours_ns()? - self.ours_ns) as f64 / wall_ns;
        Ok((now.busy_share_since(&self.machine) - ours).clamp(0.0, 1.0))
    }
}

fn ours_ns() -> Result<u64> {
    Ok(own_cpu_ns()? + children_cpu_ns()?)
}

/// The kernel's account of all cores, in ticks since boot.
#[derive(Debug, PartialEq)]
struct Machine {
    cores: usize,
    busy: u64,
    all: u64,
}

impl Machine {
    fn now() -> Result<Self> {
        Ok(Self::parse(&fs::read_to_string("/proc/stat")?).ok_or("/proc/stat is not understood")?)
    }

    fn parse(stat: &str) -> Option<Self> {
        let mut lines = stat.lines();
        let total = lines.next()?.strip_prefix("cpu ")?;
        let ticks = total.split_whitespace().map(|field| field.parse().ok()).collect::<Option<Vec<u64>>>()?;
        let &[user, nice, system, idle, iowait, irq, softirq, steal, ..] = ticks.as_slice() else {
            return None;
        };
        Some(Self {
            cores: lines.take_while(|line| line.starts_with("cpu")).count(),
            // Interrupts are left out: most of them are the benchmark's own packets.
            busy: user + nice + system + steal,
            all: user + nice + system + idle + iowait + irq + softirq + steal,
        })
    }

    fn busy_share_since(&self, before: &Self) -> f64 {
        match self.all - before.all {
            0 => 0.0,
            all => (self.busy - before.busy) as f64 / all as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "cpu  10 20 30 400 5 6 7 8 0 0\ncpu0 1 2 3 4\ncpu1 1 2 3 4\nintr 1 2 3\n";

    #[test]
    fn the_kernels_account_is_read() {
        assert_eq!(Machine::parse(STAT), Some(Machine { cores: 2, busy: 68, all: 486 }));
        assert_eq!(Machine::parse("cpu  1 2\n"), None);
        assert!(Machine::now().unwrap().cores > 0);
    }

    #[test]
    fn the_busy_share_is_that_of_the_time_between() {
        let before = Machine { cores: 2, busy: 10, all: 100 };
        let after = Machine { cores: 2, busy: 60, all: 300 };
        assert_eq!(after.busy_share_since(&before), 0.25);
        assert_eq!(after.busy_share_since(&after), 0.0);
    }
}
