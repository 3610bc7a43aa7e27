//! Round-trip times, in the manner of ping(8).

use std::time::Duration;

/// The round trips of a run.
#[derive(Default, Debug)]
pub(crate) struct RoundTrips {
    times: Vec<Duration>,
    /// Pings that were sent on connections that are over.
    pub(crate) pings: u64,
}

impl RoundTrips {
    pub(crate) fn pongs(&self) -> u64 {
        self.times.len() as u64
    }

    /// A pong has come. Returns what to say about it.
    pub(crate) fn pong(&mut self, rtt: Duration) -> String {
        self.times.push(rtt);
        format!("pong {}: time={:.3} ms", self.times.len(), milliseconds(rtt))
    }

    /// What to say at the end.
    pub(crate) fn summary(&self) -> String {
        let (pings, pongs) = (self.pings, self.pongs());
        let lost = (pings.saturating_sub(pongs) * 100).checked_div(pings).unwrap_or_default();
        let counts = format!("{pings} pings sent, {pongs} pongs received, {lost} % lost");
        let mut sorted = self.times.clone();
        sorted.sort_unstable();
        let [Some(min), Some(p50), Some(p99), Some(max)] =
            [0, 50, 99, 100].map(|part| percentile(&sorted, part))
        else {
            return counts;
        };
        let mean = sorted.iter().sum::<Duration>().as_secs_f64() * 1e3 / sorted.len() as f64;
        format!(
            "{counts}\n* round trip min/avg/p50/p99/max = {min:.3}/{mean:.3}/{p50:.3}/{p99:.3}/{max:.3} ms"
        )
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// The time, in milliseconds, that `part` per cent of the sorted times do not exceed.
fn percentile(sorted: &[Duration], part: usize) -> Option<f64> {
    let rank = (sorted.len() * part).div_ceil(100).max(1);
    sorted.get(rank - 1).map(|time| milliseconds(*time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_has_the_ranks_of_all_times() {
        let mut trips = RoundTrips { pings: 101, ..RoundTrips::default() };
        for millis in (1..=100).rev() {
            trips.pong(Duration::from_millis(millis));
        }
        let expected = "101 pings sent, 100 pongs received, 0 % lost\n\
            * round trip min/avg/p50/p99/max = 1.000/50.500/50.000/99.000/100.000 ms";
        assert_eq!(trips.summary(), expected);
        assert_eq!(RoundTrips::default().summary(), "0 pings sent, 0 pongs received, 0 % lost");
    }
}
