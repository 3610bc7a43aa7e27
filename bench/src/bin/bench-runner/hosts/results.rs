//! What comes out of the rounds: medians over them, and medians of ratios within each.

use std::time::Duration;

use serde::Serialize;
use websocket_bench::Result;
use websocket_bench::contract::Report;
use websocket_bench::hosts::{PIECE, TICK, Turns};
use websocket_bench::stats::{median, ratio, spread};

use crate::hosts::idle::Idle;
use crate::hosts::limits::{Limit, limits};
use crate::hosts::lines;
use crate::hosts::options::{BASE, Options};
use crate::hosts::rounds::{Measured, Series, Shared};

/// What apps do that have something to do.
pub(crate) const ECHO: &str = "echo";
/// What a task does that is never idle.
pub(crate) const BUSY: &str = "busy";

/// The contents of the JSON file.
#[derive(Debug, Serialize)]
pub(crate) struct Results {
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    pub(crate) rounds: usize,
    pub(crate) quick: bool,
    pub(crate) pinned: bool,
    /// The share of the machine's time that went to processes other than the benchmark's.
    pub(crate) others_cpu_share: f64,
    pub(crate) idle_connections: usize,
    pub(crate) hosts: Vec<Row>,
    /// Many apps beside a task of the host's own.
    pub(crate) shared: Vec<Share>,
    pub(crate) limits: Vec<Limit>,
}

/// One host.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) host: &'static str,
    /// Of its adapter.
    pub(crate) lines: Option<usize>,
    pub(crate) one: Echo,
    pub(crate) many: Echo,
    pub(crate) timers_late_p50_ns: Option<f64>,
    pub(crate) timers_late_p99_ns: Option<f64>,
    /// Null where it was not measured.
    pub(crate) idle: Option<Idle>,
}

/// Round trips on so many connections; ratios are to mio, and below 1 is cheaper.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Echo {
    pub(crate) connections: usize,
    pub(crate) p50_ns: Option<f64>,
    pub(crate) p50_ratio: Option<f64>,
    pub(crate) p99_ns: Option<f64>,
    pub(crate) p99_ratio: Option<f64>,
    /// Processor time a round trip.
    pub(crate) cpu_ns: Option<f64>,
    pub(crate) cpu_ratio: Option<f64>,
    /// From the cheapest to the dearest round, relative to the median.
    pub(crate) cpu_spread: Option<f64>,
}

/// Who got what in one way of sharing.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Share {
    pub(crate) apps: &'static str,
    pub(crate) task: &'static str,
    pub(crate) echoes_per_second: Option<f64>,
    /// Of what they do without the task.
    pub(crate) echoes_share: Option<f64>,
    pub(crate) echo_p50_ns: Option<f64>,
    pub(crate) echo_p99_ns: Option<f64>,
    /// Of the ticks that were due, or of the time.
    pub(crate) task_share: Option<f64>,
    /// From when the task wanted its turn until it had it.
    pub(crate) task_late_p50_ns: Option<f64>,
    pub(crate) task_late_p99_ns: Option<f64>,
}

/// The results of the rounds, but for what the neighbours did meanwhile.
pub(crate) fn results(options: &Options, pinned: bool, measured: &Measured) -> Result<Results> {
    let base =
        measured.series.iter().find(|series| series.host == BASE).ok_or("the base was not measured")?;
    let mut hosts = Vec::with_capacity(measured.series.len());
    for series in &measured.series {
        hosts.push(Row {
            host: series.host,
            lines: lines::of(series.host)?,
            one: echo(1, series, base, |series| &series.one),
            many: echo(options.size.many, series, base, |series| &series.many),
            timers_late_p50_ns: median(series.timers.iter().map(|timers| timers.late_p50_ns as f64)),
            timers_late_p99_ns: median(series.timers.iter().map(|timers| timers.late_p99_ns as f64)),
            idle: series.idle.clone(),
        });
    }
    let shared = shares(&measured.shared);
    Ok(Results {
        cores: std::thread::available_parallelism()?.get(),
        kernel: kernel()?,
        rounds: options.rounds,
        quick: options.size.quick,
        pinned,
        others_cpu_share: 0.0,
        idle_connections: options.size.idle,
        limits: limits(&hosts, &shared),
        hosts,
        shared,
    })
}

fn kernel() -> Result<String> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    // What follows is whose build it is.
    let version = release.trim().split('-').next().unwrap_or_default();
    Ok(format!("Linux {version}"))
}

fn echo(connections: usize, series: &Series, base: &Series, runs: fn(&Series) -> &Vec<Report>) -> Echo {
    let figures = |figure: fn(&Report) -> f64| {
        let of = |series| runs(series).iter().map(figure).collect::<Vec<f64>>();
        (of(series), of(base))
    };
    let (p50, base_p50) = figures(p50);
    let (p99, base_p99) = figures(p99);
    let (cpu, base_cpu) = figures(|report| report.cpu_ns as f64 / report.messages.max(1) as f64);
    Echo {
        connections,
        p50_ratio: ratio(&p50, &base_p50),
        p50_ns: median(p50),
        p99_ratio: ratio(&p99, &base_p99),
        p99_ns: median(p99),
        cpu_ratio: ratio(&cpu, &base_cpu),
        cpu_spread: spread(&cpu),
        cpu_ns: median(cpu),
    }
}

fn p50(report: &Report) -> f64 {
    report.latency_p50_ns.unwrap_or_default() as f64
}

fn p99(report: &Report) -> f64 {
    report.latency_p99_ns.unwrap_or_default() as f64
}

fn pace(report: &Report) -> f64 {
    report.messages as f64 * 1e9 / report.wall_ns.max(1) as f64
}

/// A row for each way of sharing; none without rounds.
fn shares(rounds: &[Shared]) -> Vec<Share> {
    if rounds.is_empty() {
        return Vec::new();
    }
    let alone: Vec<&Report> = rounds.iter().map(|round| &round.alone).collect();
    let ticks = rounds.iter().map(|round| (&round.beside_ticks.0, &round.beside_ticks.1));
    let (apps_ticks, task_ticks): (Vec<_>, Vec<_>) = ticks.unzip();
    let busy = rounds.iter().map(|round| (&round.beside_busy.0, &round.beside_busy.1));
    let (apps_busy, task_busy): (Vec<_>, Vec<_>) = busy.unzip();
    let ticks_alone: Vec<&Turns> = rounds.iter().map(|round| &round.ticks_alone).collect();
    vec![
        Share::new(ECHO, "none").apps(&alone, &alone),
        Share::new("wait", "ticks").task(&ticks_alone, TICK),
        Share::new(ECHO, "ticks").apps(&apps_ticks, &alone).task(&task_ticks, TICK),
        Share::new(ECHO, BUSY).apps(&apps_busy, &alone).task(&task_busy, PIECE),
    ]
}

impl Share {
    fn new(apps: &'static str, task: &'static str) -> Self {
        Self {
            apps,
            task,
            echoes_per_second: None,
            echoes_share: None,
            echo_p50_ns: None,
            echo_p99_ns: None,
            task_share: None,
            task_late_p50_ns: None,
            task_late_p99_ns: None,
        }
    }

    fn apps(self, reports: &[&Report], alone: &[&Report]) -> Self {
        let figures = |reports: &[&Report], figure: fn(&Report) -> f64| {
            reports.iter().map(|report| figure(report)).collect::<Vec<f64>>()
        };
        Self {
            echoes_per_second: median(figures(reports, pace)),
            echoes_share: ratio(&figures(reports, pace), &figures(alone, pace)),
            echo_p50_ns: median(figures(reports, p50)),
            echo_p99_ns: median(figures(reports, p99)),
            ..self
        }
    }

    fn task(self, turns: &[&Turns], worth: Duration) -> Self {
        Self {
            task_share: median(turns.iter().map(|turns| turns.share(worth))),
            task_late_p50_ns: median(turns.iter().map(|turns| turns.late_p50_ns as f64)),
            task_late_p99_ns: median(turns.iter().map(|turns| turns.late_p99_ns as f64)),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(cpu_ns: u64, p50: u64, wall_ns: u64) -> Report {
        let (latency_p50_ns, latency_p99_ns) = (Some(p50), Some(10 * p50));
        Report { messages: 10, cpu_ns, wall_ns, latency_p50_ns, latency_p99_ns, ..Report::default() }
    }

    fn series(host: &'static str, cpu_ns: [u64; 3]) -> Series {
        Series { host, one: cpu_ns.map(|cpu_ns| report(cpu_ns, 5, 1000)).into(), ..Series::default() }
    }

    #[test]
    fn ratios_to_the_base_are_those_within_a_round() {
        // The machine was slow in the second round.
        let (base, other) = (series(BASE, [100, 1000, 100]), series("tokio", [120, 1200, 150]));
        let row = echo(1, &other, &base, |series| &series.one);
        assert_eq!((row.cpu_ns, row.p50_ns, row.p99_ns), (Some(15.0), Some(5.0), Some(50.0)));
        assert_eq!((row.cpu_ratio, row.p50_ratio), (Some(1.2), Some(1.0)));
        assert_eq!(echo(1, &base, &base, |series| &series.one).cpu_ratio, Some(1.0));
    }

    #[test]
    fn shares_are_those_of_the_time_and_of_what_apps_do_alone() {
        let turns = |count, wall| Turns { count, wall_ns: wall, late_p50_ns: 1, late_p99_ns: 2 };
        let round = Shared {
            alone: report(1, 5, 1000),
            ticks_alone: turns(10, 10_000_000),
            beside_ticks: (report(1, 5, 1250), turns(9, 10_000_000)),
            beside_busy: (report(1, 5, 2000), turns(10, 1_000_000)),
        };
        let shares = shares(&[round]);
        let figures: Vec<_> = shares.iter().map(|share| (share.echoes_share, share.task_share)).collect();
        let expected = [(Some(1.0), None), (None, Some(1.0)), (Some(0.8), Some(0.9)), (Some(0.5), Some(0.2))];
        assert_eq!(figures, expected);
        assert!(super::shares(&[]).is_empty());
    }
}
