//! The results on the screen.

use websocket_bench::contract::Workload;
use websocket_bench::table::{aligned, factor, figure};

use crate::side_by_side::results::Row;

type Column = (&'static str, fn(&Row) -> Option<String>);

/// A table: its title, what its cells are, its columns.
type Table = (&'static str, &'static str, &'static [Column]);

const RECEIVE: Table = (
    "receive: processor time per message on one connection",
    "payload",
    &[CLIENT, CPU, SPREAD, TO_FLOOR, TO_RAW, AGAINST_PEER],
);
const SEND: Table = (
    "send: processor time per message on one connection",
    "payload",
    &[CLIENT, CPU, SPREAD, TO_FLOOR, TO_RAW, AGAINST_PEER, WIRE],
);
const ECHO: Table = (
    "echo: processor time per round trip, one message in flight on every connection",
    "connections",
    &[CLIENT, CPU, SPREAD, TO_FLOOR, AGAINST_PEER],
);
const ECHO_LATENCY: Table = ("echo: latency of a round trip, us", "connections", LATENCY);
const CONNECT: Table = (
    "connect: processor time per connection, opened and upgraded",
    "under way",
    &[CLIENT, CPU_CONNECTION, SPREAD, TO_FLOOR, AGAINST_PEER, PER_SECOND],
);
const IDLE: Table = ("idle: resident memory per connection", "connections", RESIDENT_COLUMNS);
const RECEIVE_TLS: Table = (
    "receive-tls: processor time per message on one connection, over TLS",
    "payload",
    &[CLIENT, CPU, SPREAD, TO_FLOOR, AGAINST_PEER],
);
const ECHO_TLS: Table = (
    "echo-tls: processor time per round trip, one message in flight on every connection, over TLS",
    "connections",
    &[CLIENT, CPU, SPREAD, TO_FLOOR, AGAINST_PEER],
);
const ECHO_TLS_LATENCY: Table = ("echo-tls: latency of a round trip over TLS, us", "connections", LATENCY);
const CONNECT_TLS: Table = (
    "connect-tls: processor time per connection, opened and upgraded, over TLS",
    "under way",
    &[CLIENT, CPU_CONNECTION, SPREAD, TO_FLOOR, AGAINST_PEER, PER_SECOND, RESUMED],
);
const IDLE_TLS: Table =
    ("idle-tls: resident memory per connection, over TLS", "connections", RESIDENT_COLUMNS);
const RECEIVE_DEFLATE: Table = (
    "receive-deflate: processor time per message on one connection, compressed",
    "payload",
    &[CLIENT, CPU, SPREAD, TO_FLOOR, AGAINST_PEER],
);
const SEND_DEFLATE: Table = (
    "send-deflate: processor time per message on one connection, compressed",
    "payload",
    &[CLIENT, CPU, SPREAD, AGAINST_PEER, WIRE],
);
const IDLE_DEFLATE: Table = (
    "idle-deflate: resident memory per connection, after a compressed message each way",
    "payload",
    &[CLIENT, RESIDENT, SPREAD, AGAINST_PEER],
);

const LATENCY: &[Column] = &[CLIENT, P50, P50_TO_FLOOR, P90, P99, P99_9, P99_99];
const RESIDENT_COLUMNS: &[Column] = &[CLIENT, RESIDENT, SPREAD, TO_FLOOR, AGAINST_PEER];

const CLIENT: Column = ("client", |row| Some(row.client.to_owned()));
const CPU: Column = ("CPU ns/msg", |row| row.cpu_ns.map(figure));
const CPU_CONNECTION: Column = ("CPU us", |row| row.cpu_ns.map(micros));
const PER_SECOND: Column = ("per second", |row| row.connections_per_second.map(figure));
const RESUMED: Column = ("resumed", |row| row.resumed_share.map(percent));
const RESIDENT: Column = ("bytes", |row| row.resident_bytes.map(figure));
const SPREAD: Column = ("spread", |row| row.spread.map(percent));
const TO_FLOOR: Column = ("x floor", |row| row.ratio_to_floor.map(factor));
const TO_RAW: Column = ("x raw", |row| row.ratio_to_raw.map(factor));
const AGAINST_PEER: Column = ("cheapest peer", |row| {
    Some(match row.times_cheaper_than_cheapest_peer? {
        _ if row.cheapest_peer == Some(row.client) => "is the cheapest".to_owned(),
        times if times >= 1.0 => format!("{} x cheaper", factor(times)),
        _ => format!("{} x dearer", factor(row.ratio_to_cheapest_peer?)),
    })
});
const P50: Column = ("p50", |row| row.latency_p50_ns.map(micros));
const P50_TO_FLOOR: Column = ("x floor", |row| row.latency_p50_ratio_to_floor.map(factor));
const P90: Column = ("p90", |row| row.latency_p90_ns.map(micros));
const P99: Column = ("p99", |row| row.latency_p99_ns.map(micros));
const P99_9: Column = ("p99.9", |row| row.latency_p99_9_ns.map(micros));
const P99_99: Column = ("p99.99", |row| row.latency_p99_99_ns.map(micros));
const WIRE: Column = ("wire bytes", |row| row.wire_bytes.map(figure));
const ALLOCATIONS: Column = ("allocs/msg", |row| row.allocations.map(factor));

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

fn micros(ns: f64) -> String {
    figure(ns / 1000.0)
}

/// The tables of one workload.
pub(crate) fn render(workload: Workload, rows: &[Row]) -> String {
    let tables: &[Table] = match workload {
        Workload::Receive => &[RECEIVE],
        Workload::Send => &[SEND],
        Workload::Echo => &[ECHO, ECHO_LATENCY],
        Workload::Connect => &[CONNECT],
        Workload::Idle => &[IDLE],
        Workload::ReceiveTls => &[RECEIVE_TLS],
        Workload::EchoTls => &[ECHO_TLS, ECHO_TLS_LATENCY],
        Workload::ConnectTls => &[CONNECT_TLS],
        Workload::IdleTls => &[IDLE_TLS],
        Workload::ReceiveDeflate => &[RECEIVE_DEFLATE],
        Workload::SendDeflate => &[SEND_DEFLATE],
        Workload::IdleDeflate => &[IDLE_DEFLATE],
    };
    let mut text = String::new();
    for (index, (title, cell, columns)) in tables.iter().enumerate() {
        let mut columns = columns.to_vec();
        if index == 0 && rows.iter().any(|row| row.allocations.is_some()) {
            columns.push(ALLOCATIONS);
        }
        text += &format!("\n{title}\n{}\n", grid(cell, &columns, rows));
    }
    for (client, what) in left_out(rows) {
        text += &format!("{client} leaves out: {what}\n");
    }
    text
}

/// The clients that do not do everything, with what they leave out.
pub(crate) fn left_out(rows: &[Row]) -> Vec<(&'static str, &'static str)> {
    let mut all = Vec::new();
    for row in rows {
        if let Some(what) = row.leaves_out
            && !all.contains(&(row.client, what))
        {
            all.push((row.client, what));
        }
    }
    all
}

fn grid(cell: &'static str, columns: &[Column], rows: &[Row]) -> String {
    let heading: Vec<String> =
        std::iter::once(cell).chain(columns.iter().map(|(name, _)| *name)).map(String::from).collect();
    let mut lines = vec![heading];
    let mut group = "";
    for row in rows {
        let label = if row.cell == group { "" } else { row.cell };
        group = row.cell;
        let fields = columns.iter().map(|(_, field)| field(row).unwrap_or_else(|| "-".to_owned()));
        lines.push(std::iter::once(label.to_owned()).chain(fields).collect());
    }
    aligned(&lines, 2)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::side_by_side::clients::Role;

    pub(in super::super) fn row(
        client: &'static str,
        cell: &'static str,
        cpu_ns: f64,
        times_cheaper: f64,
    ) -> Row {
        Row {
            client,
            role: Role::Peer,
            leaves_out: Some("masks").filter(|_| client == "c"),
            workload: "receive",
            cell,
            cpu_ns: Some(cpu_ns),
            resident_bytes: None,
            spread: Some(0.125),
            ratio_to_floor: Some(1.5),
            ratio_to_raw: None,
            ratio_to_cheapest_peer: Some(1.0 / times_cheaper),
            times_cheaper_than_cheapest_peer: Some(times_cheaper),
            cheapest_peer: Some("b"),
            latency_p50_ns: None,
            latency_p90_ns: None,
            latency_p99_ns: None,
            latency_p99_9_ns: None,
            latency_p99_99_ns: None,
            latency_p50_ratio_to_floor: None,
            connections_per_second: None,
            resumed_share: None,
            wire_bytes: None,
            allocations: None,
            messages: 1,
        }
    }

    #[test]
    fn columns_line_up_and_a_cell_is_named_once() {
        let rows = [row("ours", "32B", 9.0, 10.0), row("b", "32B", 90.0, 1.0), row("c", "1KiB", 1234.0, 0.5)];
        let expected = "
receive: processor time per message on one connection
payload  client  CPU ns/msg  spread  x floor  x raw    cheapest peer
32B      ours          9.00    12 %     1.50      -  10.00 x cheaper
         b             90.0    12 %     1.50      -  is the cheapest
1KiB     c            1 234    12 %     1.50      -    2.00 x dearer
c leaves out: masks
";
        assert_eq!(render(Workload::Receive, &rows), expected);
    }

    #[test]
    fn echo_has_a_table_of_latencies() {
        let timed =
            Row { latency_p50_ns: Some(9500.0), latency_p99_99_ns: Some(1e6), ..row("ours", "1", 9.0, 10.0) };
        let expected = "
echo: latency of a round trip, us
connections  client   p50  x floor  p90  p99  p99.9  p99.99
1            ours    9.50        -    -    -      -   1 000
";
        assert!(render(Workload::Echo, &[timed]).ends_with(expected));
    }

    #[test]
    fn allocations_have_a_column_where_they_are_counted() {
        let plain = row("ours", "32B", 9.0, 10.0);
        let counted = Row { allocations: Some(0.0), ..plain.clone() };
        assert!(!render(Workload::Receive, &[plain]).contains("allocs"));
        assert!(render(Workload::Receive, &[counted]).contains("allocs/msg"));
    }
}
