//! Percentiles as a table, and below it how the times are spread.

use std::fmt::Write as _;
use std::time::Duration;

use websocket_bench::histogram::histogram;
use websocket_bench::table::{SPREAD, aligned, spread};

/// The runs against one server.
pub(crate) struct Row {
    server: &'static str,
    /// Sorted; at least one.
    times: Vec<Duration>,
    /// What the client has to wait for before its own part.
    wait: Duration,
    limit: Duration,
}

impl Row {
    pub(crate) fn new(
        server: &'static str,
        mut times: Vec<Duration>,
        wait: Duration,
        allowance: Duration,
    ) -> Self {
        times.sort_unstable();
        Self { server, times, wait, limit: wait + allowance }
    }

    /// How many runs ended too late, or before they should.
    pub(crate) fn late(&self) -> usize {
        self.times.iter().filter(|&&time| time < self.wait || time > self.limit).count()
    }

    fn fields(&self) -> Vec<String> {
        let runs = self.times.len();
        let mut fields = vec![self.server.to_owned(), runs.to_string()];
        fields.extend(spread(&self.times));
        fields.extend([format!("{:?}", self.limit), format!("{} of {runs}", runs - self.late())]);
        fields
    }
}

/// Table and histograms.
pub(crate) fn render(rows: &[Row]) -> String {
    let heading = ["server", "runs"].iter().chain(&SPREAD).chain(&["limit", "in time"]);
    let mut lines = vec![heading.map(ToString::to_string).collect()];
    lines.extend(rows.iter().map(Row::fields));
    let mut text =
        format!("\nfrom close() in another thread to the end of run_forever\n{}\n", aligned(&lines, 1));
    for row in rows {
        // Writing to a string does not fail.
        let _ = write!(text, "\nthe server {}\n{}", row.server, histogram(&row.times));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_row_counts_what_was_late_or_early() {
        let row = |times: &[u32], wait| {
            let times = times.iter().map(|&ms| ms * MS).collect();
            Row::new("answers", times, wait, 50 * MS).late()
        };
        assert_eq!(row(&[1, 50, 3], Duration::ZERO), 0);
        assert_eq!(row(&[51, 1, 2000], Duration::ZERO), 2);
        assert_eq!(row(&[99, 100, 150, 151], 100 * MS), 2);
    }

    #[test]
    fn the_table_has_the_percentiles() {
        let times = (1..=200).rev().map(|ms| ms * MS).collect();
        let text = render(&[Row::new("answers", times, Duration::ZERO, 50 * MS)]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[2], "server   runs    min      p50      p90      p99      max  limit    in time");
        assert_eq!(lines[3], "answers   200  1.0ms  100.0ms  180.0ms  198.0ms  200.0ms   50ms  50 of 200");
        assert_eq!(lines[5], "the server answers");
    }
}
