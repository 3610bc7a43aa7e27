//! The rows of the results, and how they come from the reports.

use std::collections::BTreeMap;

use serde::Serialize;
use websocket_bench::contract::Report;
use websocket_bench::stats::{median, ratio, spread};

use crate::side_by_side::cells::Cell;
use crate::side_by_side::clients::{Client, FLOOR, RAW, Role};
use crate::side_by_side::launch::Run;
use crate::side_by_side::options::Options;

/// The contents of the JSON file.
#[derive(Debug, Serialize)]
pub(crate) struct Results {
    rounds: usize,
    quick: bool,
    pinned: bool,
    /// The share of the machine's time that went to processes other than the benchmark's.
    pub(crate) others_cpu_share: f64,
    pub(crate) rows: Vec<Row>,
}

impl Results {
    pub(crate) fn new(options: &Options, pinned: bool) -> Self {
        Self { rounds: options.rounds, quick: options.quick, pinned, others_cpu_share: 0.0, rows: Vec::new() }
    }
}

/// One client on one cell. Figures are medians over the rounds; every `ratio_to_*` is this client's cost over the
/// other's, so less is better. What a workload does not measure is null.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) client: &'static str,
    pub(crate) role: Role,
    /// What the client does not do, or null.
    pub(crate) leaves_out: Option<&'static str>,
    pub(crate) workload: &'static str,
    pub(crate) cell: &'static str,
    /// Processor time per message; in `echo*`, per round trip, in `connect*`, per connection.
    pub(crate) cpu_ns: Option<f64>,
    /// `idle`: resident memory a connection.
    pub(crate) resident_bytes: Option<f64>,
    /// From the cheapest to the dearest round, relative to the median.
    pub(crate) spread: Option<f64>,
    pub(crate) ratio_to_floor: Option<f64>,
    pub(crate) ratio_to_raw: Option<f64>,
    pub(crate) ratio_to_cheapest_peer: Option<f64>,
    /// The inverse: how many times cheaper than the cheapest peer. More is better.
    pub(crate) times_cheaper_than_cheapest_peer: Option<f64>,
    pub(crate) cheapest_peer: Option<&'static str>,
    pub(crate) latency_p50_ns: Option<f64>,
    pub(crate) latency_p90_ns: Option<f64>,
    pub(crate) latency_p99_ns: Option<f64>,
    pub(crate) latency_p99_9_ns: Option<f64>,
    pub(crate) latency_p99_99_ns: Option<f64>,
    pub(crate) latency_p50_ratio_to_floor: Option<f64>,
    /// `connect*`: connections that were opened in a second.
    pub(crate) connections_per_second: Option<f64>,
    /// `connect-tls`: the share of the connections that resumed a session, from 0 to 1.
    pub(crate) resumed_share: Option<f64>,
    /// `send*`: bytes on the wire a message.
    pub(crate) wire_bytes: Option<f64>,
    /// Heap allocations a message.
    pub(crate) allocations: Option<f64>,
    /// Messages in each run.
    pub(crate) messages: u64,
}

impl Row {
    /// What the client is compared by.
    pub(crate) fn cost(&self) -> Option<f64> {
        self.cpu_ns.or(self.resident_bytes)
    }
}

/// The runs of one client on one cell, one per round.
pub(crate) struct Series<'a> {
    pub(crate) client: &'a Client,
    pub(crate) runs: Vec<Run>,
}

impl Series<'_> {
    fn costs(&self, cell: &Cell) -> Vec<f64> {
        match cell.workload.is_idle() {
            true => self.figures(|report| Some(report.rss_bytes? as f64 / cell.connections as f64)),
            false => self.figures(|report| Some(report.cpu_ns as f64 / report.messages as f64)),
        }
    }

    fn figures(&self, figure: impl Fn(&Report) -> Option<f64>) -> Vec<f64> {
        self.runs.iter().filter_map(|run| figure(&run.report)).collect()
    }
}

/// One row a client, with its ratios to the others on the same cell.
pub(crate) fn rows(cell: &Cell, series: &[Series<'_>]) -> Vec<Row> {
    let p50 = |series: &Series<'_>| series.figures(|report| report.latency_p50_ns.map(|ns| ns as f64));
    let by_name: BTreeMap<&str, &Series<'_>> =
        series.iter().map(|series| (series.client.name, series)).collect();
    let costs_of = |name: &str| by_name.get(name).map(|series| series.costs(cell));
    let (floor, raw) = (costs_of(FLOOR), costs_of(RAW));
    let floor_p50 = by_name.get(FLOOR).map(|series| p50(series));
    let peers = series.iter().filter(|series| series.client.role == Role::Peer);
    let cheapest = peers
        .filter_map(|series| Some((median(series.costs(cell))?, series)))
        .min_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, series)| series);

    let row = |series: &Series<'_>| {
        let costs = series.costs(cell);
        let cost = median(costs.iter().copied());
        let idle = cell.workload.is_idle();
        let to = |base: &Option<Vec<f64>>| ratio(&costs, base.as_ref()?);
        let peer = cheapest.map(|peer| peer.costs(cell));
        let latency = |figure: fn(&Report) -> Option<u64>| {
            median(series.figures(|report| Some(figure(report)? as f64)))
        };
        Row {
            client: series.client.name,
            role: series.client.role,
            leaves_out: Some(series.client.leaves_out).filter(|what| !what.is_empty()),
            workload: cell.workload.name(),
            cell: cell.name,
            cpu_ns: cost.filter(|_| !idle),
            resident_bytes: cost.filter(|_| idle),
            spread: spread(&costs),
            ratio_to_floor: to(&floor),
            ratio_to_raw: to(&raw),
            ratio_to_cheapest_peer: to(&peer),
            times_cheaper_than_cheapest_peer: peer.as_ref().and_then(|peer| ratio(peer, &costs)),
            cheapest_peer: cheapest.map(|peer| peer.client.name),
            latency_p50_ns: latency(|report| report.latency_p50_ns),
            latency_p90_ns: latency(|report| report.latency_p90_ns),
            latency_p99_ns: latency(|report| report.latency_p99_ns),
            latency_p99_9_ns: latency(|report| report.latency_p99_9_ns),
            latency_p99_99_ns: latency(|report| report.latency_p99_99_ns),
            latency_p50_ratio_to_floor: floor_p50.as_ref().and_then(|floor| ratio(&p50(series), floor)),
            connections_per_second: median(
                series.figures(|report| Some(1e9 * report.messages as f64 / report.wall_ns as f64)),
            )
            .filter(|_| cell.workload.is_connect()),
            resumed_share: median(series.runs.iter().filter_map(|run| run.resumed_share)),
            wire_bytes: median(
                series.figures(|report| Some(report.wire_bytes? as f64 / report.messages as f64)),
            ),
            allocations: median(
                series.figures(|report| Some(report.allocations? as f64 / report.messages as f64)),
            )
            .filter(|_| !idle),
            messages: series.runs.first().map_or(0, |run| run.report.messages),
        }
    };
    series.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::side_by_side::cells::cells;
    use websocket_bench::contract::Workload;

    const OURS: Client = Client { name: "ours", role: Role::Ours, workloads: &Workload::ALL, leaves_out: "" };
    const ONE: Client = Client { name: "one", role: Role::Peer, workloads: &Workload::ALL, leaves_out: "" };
    const OTHER: Client =
        Client { name: "other", role: Role::Peer, workloads: &Workload::ALL, leaves_out: "" };
    const FLOOR_CLIENT: Client =
        Client { name: FLOOR, role: Role::Floor, workloads: &Workload::ALL, leaves_out: "" };

    /// Ten messages a round, of so much each.
    fn series<'a>(client: &'a Client, cpu_ns: &[u64]) -> Series<'a> {
        let run = |&ns: &u64| {
            let report = Report {
                messages: 10,
                cpu_ns: 10 * ns,
                wall_ns: 20 * ns,
                rss_bytes: Some(10_000 * ns),
                latency_p50_ns: Some(100 * ns),
                latency_p99_99_ns: Some(700 * ns),
                ..Report::default()
            };
            Run { report, resumed_share: Some(0.75) }
        };
        Series { client, runs: cpu_ns.iter().map(run).collect() }
    }

    #[test]
    fn ratios_say_who_is_cheaper_in_both_directions() {
        let cell = &cells(Workload::Receive, false)[0];
        let all = [
            series(&FLOOR_CLIENT, &[10, 20, 10]),
            series(&OURS, &[20, 40, 20]),
            series(&ONE, &[300, 600, 300]),
            series(&OTHER, &[100, 200, 100]),
        ];
        let rows = rows(cell, &all);
        let ours = &rows[1];
        assert_eq!(
            (ours.client, ours.workload, ours.cell, ours.cpu_ns),
            ("ours", "receive", "32B", Some(20.0))
        );
        assert_eq!(ours.ratio_to_floor, Some(2.0));
        assert_eq!(ours.ratio_to_raw, None);
        assert_eq!(ours.cheapest_peer, Some("other"));
        assert_eq!(ours.ratio_to_cheapest_peer, Some(0.2));
        assert_eq!(ours.times_cheaper_than_cheapest_peer, Some(5.0));
        assert_eq!(ours.latency_p50_ratio_to_floor, Some(2.0));
        assert_eq!(rows[2].ratio_to_cheapest_peer, Some(3.0));
        assert_eq!(rows[3].ratio_to_cheapest_peer, Some(1.0));
    }

    #[test]
    fn idle_is_compared_by_memory() {
        let cell = &cells(Workload::Idle, false)[0];
        let rows = rows(cell, &[series(&FLOOR_CLIENT, &[0]), series(&OURS, &[50]), series(&ONE, &[400])]);
        assert_eq!((rows[1].cpu_ns, rows[1].resident_bytes), (None, Some(50.0)));
        assert_eq!(rows[1].times_cheaper_than_cheapest_peer, Some(8.0));
        assert_eq!(rows[1].ratio_to_floor, None, "nothing is a multiple of nothing");
    }

    #[test]
    fn latencies_and_connections_are_medians() {
        let echo = &rows(&cells(Workload::Echo, false)[0], &[series(&OURS, &[10, 20, 60])])[0];
        assert_eq!((echo.latency_p50_ns, echo.latency_p99_99_ns), (Some(2000.0), Some(14_000.0)));
        assert_eq!(echo.connections_per_second, None);
        let connect = &rows(&cells(Workload::ConnectTls, false)[0], &[series(&OURS, &[10, 20, 60])])[0];
        assert_eq!((connect.cpu_ns, connect.connections_per_second), (Some(20.0), Some(25e6)));
        assert_eq!(connect.resumed_share, Some(0.75));
    }

    #[test]
    fn without_floor_and_peers_there_are_no_ratios() {
        let row = &rows(&cells(Workload::Echo, false)[0], &[series(&OURS, &[20])])[0];
        assert_eq!((row.ratio_to_floor, row.ratio_to_cheapest_peer, row.cheapest_peer), (None, None, None));
    }

    #[test]
    fn the_json_has_its_documented_names() {
        let row = &rows(&cells(Workload::Receive, false)[0], &[series(&OURS, &[20])])[0];
        let json = serde_json::to_value(row).unwrap();
        for name in ["client", "cell", "cpu_ns", "ratio_to_floor", "ratio_to_cheapest_peer"] {
            assert!(json.get(name).is_some(), "{name}");
        }
        assert_eq!(json["role"], "ours");
    }
}
