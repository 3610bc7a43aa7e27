//! What has to hold, and whether it does.

use serde::Serialize;
use websocket_bench::table::{figure, plural};

use crate::hosts::results::{BUSY, ECHO, Row, Share};

/// Processor time a round trip, as that on mio, of the hosts that are for everybody.
const CPU: f64 = 1.25;
const EVERYBODYS: [&str; 2] = ["polling", "tokio"];
/// The host that spends processor time on latency, and may not be slower than mio.
const FAST: &str = "busy-poll";
/// Of the ticks that are due, this share is had beside apps that are at work.
const TICKS: f64 = 0.9;
/// A task waits longer than this for one turn in a hundred: it waits for the end of that of the apps, of which a thousand take some
/// milliseconds when all of them are ready.
const LATE_MS: f64 = 20.0;
/// Of the echoes that apps make alone, this share is made beside a task that is never idle.
const ECHOES: f64 = 1.0 / 3.0;
/// One of them. A figure that was not measured has no limit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Limit {
    pub(crate) what: String,
    pub(crate) value: f64,
    pub(crate) bound: Bound,
    pub(crate) kept: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Limit {
    fn new(what: impl Into<String>, value: Option<f64>, bound: Bound) -> Option<Self> {
        let value = value?;
        let kept = match bound {
            Bound::AtMost(most) => value <= most,
            Bound::AtLeast(least) => value >= least,
        };
        Some(Self { what: what.into(), value, bound, kept })
    }

    /// In a line.
    pub(crate) fn line(&self) -> String {
        let (word, bound) = match self.bound {
            Bound::AtMost(most) => ("at most", most),
            Bound::AtLeast(least) => ("at least", least),
        };
        let outcome = if self.kept { "kept" } else { "MISSED" };
        format!("{outcome:<6}  {}: {}, {word} {}", self.what, figure(self.value), figure(bound))
    }
}

/// All that concern what was measured.
pub(crate) fn limits(hosts: &[Row], shared: &[Share]) -> Vec<Limit> {
    let mut limits = Vec::new();
    for row in hosts {
        let host = row.host;
        if EVERYBODYS.contains(&host) {
            for echo in [&row.one, &row.many] {
                let what = format!(
                    "{host}: processor time an echo, {}, x mio",
                    plural(echo.connections, "connection")
                );
                limits.push(Limit::new(what, echo.cpu_ratio, Bound::AtMost(CPU)));
            }
        }
        if host == FAST {
            let what = format!("{host}: p50 of an echo, 1 connection, x mio");
            limits.push(Limit::new(what, row.one.p50_ratio, Bound::AtMost(1.0)));
        }
        let calls = row.idle.as_ref().map(|idle| idle.calls_per_second);
        limits.push(Limit::new(
            format!("{host}: system calls a second when idle"),
            calls,
            Bound::AtMost(0.0),
        ));
    }
    for share in shared.iter().filter(|share| share.apps == ECHO) {
        let late = match share.task {
            BUSY => {
                let what = "share of the echoes that is left beside a busy task";
                limits.push(Limit::new(what, share.echoes_share, Bound::AtLeast(ECHOES)));
                "busy task"
            }
            task => {
                let what = "share of the ticks that come beside echoing apps";
                limits.push(Limit::new(what, share.task_share, Bound::AtLeast(TICKS)));
                task
            }
        };
        let what = format!("{late} beside echoing apps: milliseconds late, p99");
        limits.push(Limit::new(what, share.task_late_p99_ns.map(|ns| ns / 1e6), Bound::AtMost(LATE_MS)));
    }
    limits.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hosts::idle::Idle;
    use crate::hosts::results::Echo;

    fn row(host: &'static str, cpu_ratio: f64, p50_ratio: f64, calls_per_second: Option<f64>) -> Row {
        let echo = |connections| Echo {
            connections,
            p50_ns: Some(1.0),
            p50_ratio: Some(p50_ratio),
            p99_ns: None,
            p99_ratio: None,
            cpu_ns: Some(1.0),
            cpu_ratio: Some(cpu_ratio),
            cpu_spread: None,
        };
        let idle = calls_per_second.map(|calls_per_second| Idle { calls_per_second, ..Idle::default() });
        let (one, many) = (echo(1), echo(1000));
        Row { host, lines: None, one, many, timers_late_p50_ns: None, timers_late_p99_ns: None, idle }
    }

    fn kept(row: Row) -> Vec<bool> {
        limits(&[row], &[]).iter().map(|limit| limit.kept).collect()
    }

    #[test]
    fn each_host_has_its_limits() {
        assert_eq!(kept(row("mio", 1.0, 1.0, Some(0.0))), [true]);
        assert_eq!(kept(row("tokio", 1.25, 3.0, Some(2.0))), [true, true, false]);
        assert_eq!(kept(row("polling", 1.26, 1.0, None)), [false, false]);
        assert_eq!(kept(row("busy-poll", 9.0, 1.1, Some(0.0))), [false, true]);
        assert_eq!(kept(row("glib", 9.0, 9.0, None)), [false; 0]);
    }

    #[test]
    fn neither_apps_nor_task_may_starve() {
        let share = |task, echoes_share, task_share, late_ms: f64| Share {
            apps: ECHO,
            task,
            echoes_per_second: Some(1.0),
            echoes_share: Some(echoes_share),
            echo_p50_ns: None,
            echo_p99_ns: None,
            task_share: Some(task_share),
            task_late_p50_ns: None,
            task_late_p99_ns: Some(1e6 * late_ms),
        };
        let kept = |share| limits(&[], &[share]).iter().map(|limit| limit.kept).collect::<Vec<bool>>();
        assert_eq!(kept(share("ticks", 0.1, 0.95, 2.0)), [true, true]);
        assert_eq!(kept(share("ticks", 1.0, 0.8, 21.0)), [false, false]);
        assert_eq!(kept(share(BUSY, 0.34, 0.001, 19.0)), [true, true]);
        assert_eq!(kept(share(BUSY, 0.3, 0.6, 21.0)), [false, false]);
    }

    #[test]
    fn a_line_says_what_was_missed() {
        let lines: Vec<String> =
            limits(&[row("tokio", 1.5, 1.0, Some(0.0))], &[]).iter().map(Limit::line).collect();
        assert_eq!(
            lines[1],
            "MISSED  tokio: processor time an echo, 1000 connections, x mio: 1.50, at most 1.25"
        );
        assert_eq!(lines[2], "kept    tokio: system calls a second when idle: 0.00, at most 0.00");
    }
}
