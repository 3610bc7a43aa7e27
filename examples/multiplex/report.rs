//! The table at the end.

use std::fmt;
use std::time::Duration;

use websocket_examples::latencies::Latencies;

pub(crate) struct Report {
    pub(crate) apps: usize,
    pub(crate) connecting: Duration,
    pub(crate) exchanging: Duration,
    pub(crate) latencies: Latencies,
    pub(crate) memory: Memory,
    /// In this process.
    pub(crate) threads: Option<usize>,
}

/// Resident memory, where the system tells.
pub(crate) struct Memory {
    /// In bytes: in all, and what an app has added.
    resident: Option<(u64, u64)>,
    with_server: bool,
}

impl Memory {
    /// `before` there were any apps, and `after` all of them had opened.
    pub(crate) fn new(before: Option<u64>, after: Option<u64>, apps: usize, with_server: bool) -> Self {
        let resident =
            before.zip(after).map(|(before, after)| (after, after.saturating_sub(before) / apps as u64));
        Self { resident, with_server }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.latencies.count();
        let rate = (count as f64 / self.exchanging.as_secs_f64()) as u64;
        let mut row = |name: &str, value: String, note: &str| {
            let line = format!("{name:<12} {value:>14}  {note}");
            writeln!(f, "{}", line.trim_end())
        };
        row("apps", grouped(self.apps as u64), "on one reactor, on one thread")?;
        row("messages", grouped(count), "of 32 bytes there and back, one in flight for each app")?;
        row("throughput", grouped(rate), "messages a second")?;
        for percent in [50, 90, 99] {
            row(&format!("latency p{percent}"), millis(self.latencies.percentile(percent)), "")?;
        }
        row("latency max", millis(self.latencies.max()), "")?;
        let server = if self.memory.with_server { "the server's end included" } else { "without the server" };
        match self.memory.resident {
            Some((all, each)) => {
                row("memory", format!("{:.1} MiB", all as f64 / f64::from(1 << 20)), "resident in all")?;
                row("", format!("{:.2} KiB", each as f64 / 1024.0), &format!("for each app, {server}"))?;
            }
            None => row("memory", "-".into(), "not told by this system")?,
        }
        let threads =
            if self.memory.with_server { "one for all apps, one for the server" } else { "for all apps" };
        row("threads", self.threads.map_or("-".into(), |threads| threads.to_string()), threads)?;
        row("time", seconds(self.connecting), "to connect all apps")?;
        row("", seconds(self.exchanging), "of messages")
    }
}

fn millis(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// A number in groups of three digits.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> =
        digits.as_bytes().rchunks(3).rev().map(|group| String::from_utf8_lossy(group)).collect();
    groups.join(" ")
}
