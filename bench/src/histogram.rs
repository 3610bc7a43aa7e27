//! How times are spread, as lines of text.

use std::fmt::Write as _;
use std::time::Duration;

/// The most lines of a histogram, and the longest bar.
const BUCKETS: usize = 10;
const BAR: usize = 40;

/// How many of the sorted `times` lie in which range; each range is as many times longer than the one before.
pub fn histogram(times: &[Duration]) -> String {
    let (Some(first), Some(last)) = (times.first(), times.last()) else { return String::new() };
    let (first, last) = (first.as_secs_f64().max(1e-9), last.as_secs_f64());
    let buckets = if last > first { BUCKETS } else { 1 };
    let bound = |index: usize| first * (last / first).powf(index as f64 / buckets as f64);
    let mut counts = vec![0_usize; buckets];
    for time in times {
        let index = (1..buckets).filter(|&index| time.as_secs_f64() >= bound(index)).count();
        counts[index] += 1;
    }
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let mut text = String::new();
    for (index, count) in counts.into_iter().enumerate() {
        let from = format!("{:.1?}", Duration::from_secs_f64(bound(index)));
        let bar = "#".repeat((count * BAR).div_ceil(most));
        let _ = writeln!(text, "{}", format!("{from:>10} {count:>6} {bar}").trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_histogram_counts_every_run_once() {
        let times: Vec<_> = [1, 1, 1, 1, 2, 1000].map(|ms| ms * MS).into();
        let text = histogram(&times);
        let count = |line: &str| line.split_whitespace().nth(1).and_then(|count| count.parse().ok());
        let counts: Vec<usize> = text.lines().filter_map(count).collect();
        assert_eq!(counts.len(), BUCKETS);
        assert_eq!((counts.iter().sum::<usize>(), counts[0], counts[BUCKETS - 1]), (6, 4, 1));
        assert_eq!(text.lines().next().unwrap(), format!("     1.0ms      4 {}", "#".repeat(BAR)));
    }

    #[test]
    fn a_histogram_of_equal_times_has_one_line() {
        assert_eq!(histogram(&[3 * MS, 3 * MS]), format!("     3.0ms      2 {}\n", "#".repeat(BAR)));
        assert_eq!(histogram(&[]), "");
        assert_eq!(histogram(&[Duration::ZERO]).lines().count(), 1);
    }
}
