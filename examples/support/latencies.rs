//! A histogram of latencies that stays small, however many there are.

use std::time::Duration;

/// Buckets for each doubling: the percentiles are exact to 1 / 64.
const STEPS: u64 = 64;

/// Counts latencies in buckets whose width grows with the latency.
#[derive(Clone, Debug)]
pub struct Latencies {
    counts: Vec<u64>,
    count: u64,
    max: Duration,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { counts: vec![0; bucket(u64::MAX) + 1], count: 0, max: Duration::ZERO }
    }
}

impl Latencies {
    /// Adds one.
    pub fn add(&mut self, latency: Duration) {
        self.counts[bucket(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX))] += 1;
        self.count += 1;
        self.max = self.max.max(latency);
    }

    /// How many there are.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The longest.
    pub const fn max(&self) -> Duration {
        self.max
    }

    /// The latency that `percent` per cent do not exceed.
    pub fn percentile(&self, percent: u64) -> Duration {
        let wanted = (self.count * percent).div_ceil(100);
        let mut seen = 0;
        let reached = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        reached.map_or(self.max, |bucket| Duration::from_nanos(upper_end(bucket)).min(self.max))
    }
}

/// Where `nanos` is counted: one by one up to 64, then in 64 steps for each doubling.
fn bucket(nanos: u64) -> usize {
    let shift = u64::from(nanos.checked_ilog2().unwrap_or(0)).saturating_sub(6);
    (shift * STEPS + (nanos >> shift)) as usize
}

/// The largest value that is counted in `bucket`.
fn upper_end(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let shift = (bucket / STEPS).saturating_sub(1);
    (bucket - shift * STEPS) << shift | ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket_and_close_to_its_end() {
        for nanos in (0..5000).chain([1 << 20, (1 << 20) - 1, 123_456_789, u64::MAX - 1, u64::MAX]) {
            let end = upper_end(bucket(nanos));
            assert!(end >= nanos && end - nanos <= nanos / STEPS, "{nanos} {end}");
            assert!(end == u64::MAX || bucket(end + 1) == bucket(nanos) + 1, "{nanos}");
        }
    }

    #[test]
    fn percentiles_of_a_known_series() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.percentile(99), Duration::ZERO);
        for millis in 1..=100 {
            latencies.add(Duration::from_millis(millis));
        }
        assert_eq!((latencies.count(), latencies.max()), (100, Duration::from_millis(100)));
        for percent in [50, 90, 99] {
            let exact = Duration::from_millis(percent);
            let shown = latencies.percentile(percent);
            assert!(shown >= exact && shown <= exact * 65 / 64, "{percent} {shown:?}");
        }
        assert_eq!(latencies.percentile(100), latencies.max());
    }
}
