//! The results on the screen and in Markdown.

use websocket_bench::table::{aligned, factor, figure, markdown};

use crate::results::{Echo, Results, Row, Share};
use crate::rounds::SHARED;

/// What was not measured.
const NOTHING: &str = "-";

/// The tables on the screen.
pub(crate) fn render(results: &Results) -> String {
    let mut text = format!("\n{}\n\n", machine(results));
    for title_and_lines in tables(results) {
        let (title, lines, names) = title_and_lines;
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
    format!("Measured on {} cores, {}; medians of {} rounds", results.cores, results.kernel, results.rounds)
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
        let unit = if echo.connections == 1 { "connection" } else { "connections" };
        lines[0].push(format!("{} {unit}: p50 µs", echo.connections));
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
