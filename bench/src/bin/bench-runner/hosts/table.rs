//! The results on the screen and in Markdown.

use websocket_bench::table::{aligned, factor, figure, markdown, plural};

use crate::hosts::results::{Echo, Results, Row, Share};
use crate::hosts::rounds::SHARED;

/// What was not measured.
const NOTHING: &str = "-";

/// The tables on the screen.
pub(crate) fn render(results: &Results) -> String {
    let mut text = format!("\n{}\n\n", machine(results));
    for (title, lines, names) in tables(results) {
        text.push_str(&format!("{title}\n{}\n\n", aligned(&lines, names)));
    }
    text.push_str(&remarks(results));
    text
}

/// The same for a page.
pub(crate) fn page(results: &Results) -> String {
    let mut text = String::new();
    for (title, lines, names) in tables(results) {
        text.push_str(&format!("{title}:\n\n{}\n", markdown(&lines, names)));
    }
    text.push_str(&remarks(results));
    text.push_str(&format!("{}.\n", machine(results)));
    text
}

fn machine(results: &Results) -> String {
    let (cores, rounds) = (plural(results.cores, "core"), plural(results.rounds, "round"));
    format!("Measured on {cores}, {}; medians of {rounds}", results.kernel)
}

/// Each with its title and the number of its columns that are no figures.
fn tables(results: &Results) -> Vec<(String, Vec<Vec<String>>, usize)> {
    let mut tables = vec![(
        "Echoes of 32 bytes, one in flight on each connection; x is the ratio to mio".to_owned(),
        echoes(&results.hosts),
        1,
    )];
    tables.push((
        format!(
            "System calls a second of {} idle connections, how late timers are, and lines of the adapter",
            results.idle_connections
        ),
        rest(&results.hosts),
        1,
    ));
    if let Some(many) = results.hosts.first().filter(|_| !results.shared.is_empty()) {
        tables.push((
            format!("{} apps and a task of the host's own on one thread of {SHARED}", many.many.connections),
            shares(&results.shared),
            2,
        ));
    }
    tables
}

fn echoes(rows: &[Row]) -> Vec<Vec<String>> {
    let mut lines = vec![vec!["host".to_owned()]];
    let of = |row: &Row| [row.one.clone(), row.many.clone()];
    for echo in rows.first().map(of).into_iter().flatten() {
        lines[0].push(format!("{}: p50 µs", plural(echo.connections, "connection")));
        lines[0].extend(["x", "p99 µs", "CPU µs", "x"].map(str::to_owned));
    }
    for row in rows {
        let mut line = vec![row.host.to_owned()];
        for Echo { p50_ns, p50_ratio, p99_ns, cpu_ns, cpu_ratio, .. } in of(row) {
            line.extend([micros(p50_ns), shown(p50_ratio, factor), micros(p99_ns)]);
            line.extend([micros(cpu_ns), shown(cpu_ratio, factor)]);
        }
        lines.push(line);
    }
    lines
}

fn rest(rows: &[Row]) -> Vec<Vec<String>> {
    let mut lines = vec![
        ["host", "calls/s when idle", "timers: p50 µs late", "p99 µs late", "lines"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for row in rows {
        let calls = row.idle.as_ref().map(|idle| idle.calls_per_second);
        lines.push(vec![
            row.host.to_owned(),
            shown(calls, |calls| format!("{calls:.0}")),
            micros(row.timers_late_p50_ns),
            micros(row.timers_late_p99_ns),
            row.lines.map_or_else(|| NOTHING.to_owned(), |lines| lines.to_string()),
        ]);
    }
    lines
}

fn shares(shares: &[Share]) -> Vec<Vec<String>> {
    let heading = [
        "apps",
        "task",
        "echoes/s",
        "share",
        "p50 µs",
        "p99 µs",
        "task's share",
        "p50 µs late",
        "p99 µs late",
    ];
    let mut lines = vec![heading.map(str::to_owned).to_vec()];
    let percent = |share: f64| format!("{:.0} %", 100.0 * share);
    for share in shares {
        lines.push(vec![
            share.apps.to_owned(),
            share.task.to_owned(),
            shown(share.echoes_per_second, figure),
            shown(share.echoes_share, percent),
            micros(share.echo_p50_ns),
            micros(share.echo_p99_ns),
            shown(share.task_share, percent),
            micros(share.task_late_p50_ns),
            micros(share.task_late_p99_ns),
        ]);
    }
    lines
}

/// What the tables cannot say.
fn remarks(results: &Results) -> String {
    let mut text = String::new();
    if results.hosts.iter().any(|row| row.idle.is_none()) {
        text.push_str(
            "System calls were not measured: strace is not here, or may not look at other processes.\n\n",
        );
    }
    for (row, idle) in results.hosts.iter().filter_map(|row| Some((row, row.idle.as_ref()?))) {
        if !idle.calls.is_empty() {
            let calls: Vec<String> =
                idle.calls.iter().map(|(name, count)| format!("{name} {count} times")).collect();
            text.push_str(&format!("Idle, {} called {}.\n\n", row.host, calls.join(", ")));
        }
    }
    text
}

fn micros(ns: Option<f64>) -> String {
    shown(ns, |ns| figure(ns / 1000.0))
}

fn shown(value: Option<f64>, show: impl FnOnce(f64) -> String) -> String {
    value.map_or_else(|| NOTHING.to_owned(), show)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hosts::idle::Idle;

    fn row(host: &'static str, idle: Option<u64>) -> Row {
        let echo = |connections| Echo {
            connections,
            p50_ns: Some(30_000.0),
            p50_ratio: Some(1.0),
            p99_ns: Some(50_000.0),
            p99_ratio: Some(1.0),
            cpu_ns: Some(1500.0),
            cpu_ratio: Some(1.25),
            cpu_spread: Some(0.1),
        };
        let calls = |calls: u64| Idle {
            calls_per_second: calls as f64,
            calls: (calls > 0).then(|| ("read".to_owned(), calls)).into_iter().collect(),
        };
        Row {
            host,
            lines: Some(103),
            one: echo(1),
            many: echo(1000),
            timers_late_p50_ns: Some(550_000.0),
            timers_late_p99_ns: None,
            idle: idle.map(calls),
        }
    }

    fn results(hosts: Vec<Row>) -> Results {
        let share = Share {
            apps: "wait",
            task: "ticks",
            echoes_per_second: None,
            echoes_share: None,
            echo_p50_ns: None,
            echo_p99_ns: None,
            task_share: Some(0.99),
            task_late_p50_ns: Some(1_000_000.0),
            task_late_p99_ns: Some(2_000_000.0),
        };
        Results {
            cores: 2,
            kernel: "Linux 6.1".to_owned(),
            rounds: 1,
            quick: false,
            pinned: true,
            others_cpu_share: 0.0,
            idle_connections: 100,
            hosts,
            shared: vec![share],
            limits: Vec::new(),
        }
    }

    #[test]
    fn a_page_has_three_tables_and_says_where_it_was_measured() {
        let page = page(&results(vec![row("mio", Some(0)), row("io-uring", Some(0))]));
        let lines: Vec<&str> = page.lines().collect();
        assert!(
            lines[2]
                .starts_with("| host | 1 connection: p50 µs | x | p99 µs | CPU µs | x | 1000 connections: ")
        );
        assert!(lines[4].starts_with("| mio | 30.0 | 1.00 | 50.0 | 1.50 | 1.25 | 30.0 | "));
        assert!(lines.contains(&"| io-uring | 0 | 550 | - | 103 |"));
        assert!(lines.contains(&"| wait | ticks | - | - | - | - | 99 % | 1 000 | 2 000 |"));
        assert_eq!(lines.iter().filter(|line| line.starts_with("|---")).count(), 3);
        assert_eq!(lines.last(), Some(&"Measured on 2 cores, Linux 6.1; medians of 1 round."));
    }

    #[test]
    fn who_calls_the_system_when_idle_is_told_with_the_calls() {
        let told = |calls| remarks(&results(vec![row("mio", calls)]));
        assert_eq!(told(Some(7)), "Idle, mio called read 7 times.\n\n");
        assert_eq!(told(Some(0)), "");
        assert!(told(None).starts_with("System calls were not measured: "));
        assert!(render(&results(vec![row("mio", None)])).contains("\nmio                   -  "));
    }
}
