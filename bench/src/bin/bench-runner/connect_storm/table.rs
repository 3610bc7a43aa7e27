//! The phases as a table, and below it the errors by their kind.

use std::fmt::Write as _;
use std::time::Duration;

use websocket_bench::arrivals::Arrivals;
use websocket_bench::table::aligned;

use crate::connect_storm::storm::{Events, Kinds};

const HEADING: [&str; 9] = [
    "phase",
    "open",
    "time",
    "attempts",
    "failed",
    "lost",
    "most under way",
    "most not upgraded",
    "peak memory",
];

/// One phase of the storm.
#[derive(Clone, Debug)]
pub(crate) struct Phase {
    pub(crate) name: &'static str,
    pub(crate) apps: usize,
    /// Apps that were open at the end.
    pub(crate) open: usize,
    /// Until all were open; `None` where that never happened.
    pub(crate) time: Option<Duration>,
    /// Attempts that were started.
    pub(crate) started: u64,
    pub(crate) events: Events,
    /// The most sockets that were connecting or upgrading at once, as the client sees it.
    pub(crate) most_under_way: usize,
    pub(crate) arrivals: Arrivals,
    /// The largest resident memory of the client's process so far.
    pub(crate) peak_bytes: Option<u64>,
}

impl Phase {
    /// How many attempts failed.
    pub(crate) fn failed(&self) -> usize {
        self.events.failed.values().sum()
    }

    fn fields(&self) -> Vec<String> {
        let time = self.time.map_or_else(|| "-".to_owned(), |time| format!("{time:.2?}"));
        let peak = self
            .peak_bytes
            .map_or_else(|| "unknown".to_owned(), |bytes| format!("{:.1} MB", bytes as f64 / 1e6));
        vec![
            self.name.to_owned(),
            format!("{} of {}", self.open, self.apps),
            time,
            self.started.to_string(),
            self.failed().to_string(),
            self.events.lost.values().sum::<usize>().to_string(),
            self.most_under_way.to_string(),
            self.arrivals.most_waiting.to_string(),
            peak,
        ]
    }
}

/// The table, and a line for each kind of error.
pub(crate) fn render(phases: &[Phase]) -> String {
    let mut lines = vec![HEADING.map(str::to_owned).to_vec()];
    lines.extend(phases.iter().map(Phase::fields));
    let mut text = aligned(&lines, 1);
    text.push('\n');
    for phase in phases {
        errors(&mut text, &format!("{}, failed attempts", phase.name), &phase.events.failed);
        errors(&mut text, &format!("{}, lost connections", phase.name), &phase.events.lost);
    }
    text
}

fn errors(text: &mut String, heading: &str, kinds: &Kinds) {
    if kinds.is_empty() {
        return;
    }
    let lines: Vec<_> = kinds.iter().map(|(kind, count)| vec![kind.clone(), count.to_string()]).collect();
    // Writing to a string does not fail.
    let _ = writeln!(text, "\n{heading}\n{}", aligned(&lines, 1));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_row_for_each_phase_and_a_line_for_each_kind_of_error() {
        let failed = Kinds::from([("Connect: connection refused".to_owned(), 3)]);
        let connect = Phase {
            name: "connect",
            apps: 50,
            open: 50,
            time: Some(Duration::from_millis(12)),
            started: 50,
            events: Events::default(),
            most_under_way: 40,
            arrivals: Arrivals { most_waiting: 7, ..Arrivals::default() },
            peak_bytes: Some(12_300_000),
        };
        let mut reconnect =
            Phase { name: "reconnect", open: 49, time: None, peak_bytes: None, ..connect.clone() };
        reconnect.events.failed = failed;
        let text = render(&[connect, reconnect]);
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("phase          open     time  attempts  failed  lost  "), "{text}");
        assert!(lines[1].starts_with("connect    50 of 50  12.00ms        50       0     0  "), "{text}");
        assert!(lines[1].ends_with("  40                  7      12.3 MB"), "{text}");
        assert!(lines[2].starts_with("reconnect  49 of 50        -        50       3     0  "), "{text}");
        assert!(lines[2].ends_with("  unknown"), "{text}");
        assert_eq!(lines[4..], ["reconnect, failed attempts", "Connect: connection refused  3"]);
    }
}
