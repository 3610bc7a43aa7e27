//! The rounds as two distributions and one ratio.

use std::fmt::Write as _;
use std::time::Duration;

use websocket_bench::histogram::histogram;
use websocket_bench::measure::percentile;
use websocket_bench::table::{SPREAD, aligned, spread};

/// All rounds so far.
#[derive(Default)]
pub(crate) struct Rounds {
    alone: Vec<Duration>,
    beside: Vec<Duration>,
    /// The p99 without and with those who stall, a round each.
    p99: Vec<[Duration; 2]>,
}

impl Rounds {
    /// Adds a round: the times without, and with, those who stall.
    pub(crate) fn push(&mut self, mut alone: Vec<Duration>, mut beside: Vec<Duration>) {
        let p99 = [&mut alone, &mut beside].map(|times| {
            times.sort_unstable();
            percentile(times, 99).unwrap_or_default()
        });
        self.p99.push(p99);
        self.alone.append(&mut alone);
        self.beside.append(&mut beside);
        self.alone.sort_unstable();
        self.beside.sort_unstable();
    }

    /// The last round in a line.
    pub(crate) fn last(&self) -> String {
        let [alone, beside] = self.p99.last().copied().unwrap_or_default();
        format!("p99 {alone:.1?} without, {beside:.1?} with, {:.2} x", quotient([alone, beside]))
    }

    /// The median over the rounds of the ratio within each.
    pub(crate) fn ratio(&self) -> f64 {
        quantile(&self.ratios(), 50)
    }

    /// The bounds between which the ratio is in 95 of 100 measurements like this one (order statistics, by the normal approximation
    /// of the binomial distribution); without bounds where the rounds are too few to tell.
    pub(crate) fn interval(&self) -> (f64, f64) {
        let ratios = self.ratios();
        let (middle, reach) = (ratios.len() as f64 / 2.0, 0.98 * (ratios.len() as f64).sqrt());
        let low = (middle - reach).floor();
        match (low >= 1.0).then(|| low as usize - 1) {
            Some(low) => (ratios[low], ratios[ratios.len() - 1 - low]),
            None => (0.0, f64::INFINITY),
        }
    }

    /// Whether the whole interval lies on one side of `limit`.
    pub(crate) fn are_clear(&self, limit: f64) -> bool {
        let (low, high) = self.interval();
        high <= limit || low > limit
    }

    /// Table and histograms.
    pub(crate) fn render(&self) -> String {
        let rows = [("without those who stall", &self.alone), ("with them", &self.beside)];
        let mut lines = vec![["echo", "messages"].iter().chain(&SPREAD).map(ToString::to_string).collect()];
        lines.extend(rows.map(|(name, times)| {
            [name.to_owned(), times.len().to_string()].into_iter().chain(spread(times)).collect()
        }));
        let mut text = format!("\nfrom send() in another thread to on_message\n{}\n", aligned(&lines, 1));
        for (name, times) in rows {
            // Writing to a string does not fail.
            let _ = write!(text, "\n{name}\n{}", histogram(times));
        }
        text
    }

    /// Sorted.
    fn ratios(&self) -> Vec<f64> {
        let mut ratios: Vec<f64> = self.p99.iter().copied().map(quotient).collect();
        ratios.sort_by(f64::total_cmp);
        ratios
    }
}

fn quotient([alone, beside]: [Duration; 2]) -> f64 {
    beside.as_secs_f64() / alone.as_secs_f64().max(1e-9)
}

/// Of sorted ratios; nothing is infinitely bad.
fn quantile(sorted: &[f64], percent: usize) -> f64 {
    percentile(sorted, percent).unwrap_or(f64::INFINITY)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hundred times, the slowest of which are these; the p99 is the first of the two.
    fn times(slow: [u64; 2]) -> Vec<Duration> {
        let times = std::iter::repeat_n(10, 98).chain(slow);
        times.map(Duration::from_micros).collect()
    }

    fn rounds(p99: &[[u64; 2]]) -> Rounds {
        let mut rounds = Rounds::default();
        for &[alone, beside] in p99 {
            rounds.push(times([alone, 1000]), times([beside, 1000]));
        }
        rounds
    }

    #[test]
    fn the_ratio_is_the_median_of_those_within_a_round() {
        let rounds = rounds(&[[20, 24], [200, 220], [20, 80]]);
        assert!((rounds.ratio() - 1.2).abs() < 1e-6);
        assert_eq!(rounds.last(), "p99 20.0µs without, 80.0µs with, 4.00 x");
    }

    #[test]
    fn one_round_that_is_far_off_does_not_matter_among_many() {
        let mut all = vec![[20, 22]; 14];
        all[7] = [20, 200];
        let rounds = rounds(&all);
        assert!((rounds.ratio() - 1.1).abs() < 1e-6);
        assert!((rounds.interval().1 - 1.1).abs() < 1e-6);
        assert!(rounds.are_clear(1.5) && rounds.are_clear(1.0));
    }

    #[test]
    fn what_may_be_chance_is_not_clear() {
        assert!(!rounds(&[[20, 22], [20, 22]]).are_clear(1.5), "too few");
        let split: Vec<_> = (0..30).map(|round| [20, if round % 2 == 0 { 22 } else { 80 }]).collect();
        assert!(!rounds(&split).are_clear(1.5));
    }

    #[test]
    fn the_table_has_both_distributions() {
        let text = rounds(&[[20, 30]]).render();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[2], "echo                     messages     min     p50     p90     p99    max");
        assert_eq!(lines[3], "without those who stall       100  10.0µs  10.0µs  10.0µs  20.0µs  1.0ms");
        assert_eq!(lines[4], "with them                     100  10.0µs  10.0µs  10.0µs  30.0µs  1.0ms");
        assert_eq!(lines.iter().filter(|line| line.contains('#')).count(), 6);
    }

    #[test]
    fn nothing_is_no_good() {
        assert!(Rounds::default().ratio().is_infinite());
    }
}
