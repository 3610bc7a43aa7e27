//! The results on the screen.

use websocket_bench::contract::Workload;
use websocket_bench::table::{aligned, factor, figure};

use crate::results::Row;

type Column = (&'static str, fn(&Row) -> Option<String>);

const RECEIVE: &[Column] = &[CLIENT, CPU, SPREAD, TO_FLOOR, TO_RAW, AGAINST_PEER];
const RECEIVE_TLS: &[Column] = &[CLIENT, CPU, SPREAD, TO_FLOOR, AGAINST_PEER];
const SEND: &[Column] = &[CLIENT, CPU, SPREAD, TO_FLOOR, TO_RAW, AGAINST_PEER, WIRE];
const ECHO: &[Column] = &[CLIENT, CPU, SPREAD, TO_FLOOR, AGAINST_PEER, P50, P50_TO_FLOOR, P99];
const IDLE: &[Column] = &[CLIENT, RESIDENT, SPREAD, TO_FLOOR, AGAINST_PEER];

const RECEIVE_DEFLATE: &[Column] = &[CLIENT, CPU, SPREAD, TO_FLOOR, AGAINST_PEER];
const SEND_DEFLATE: &[Column] = &[CLIENT, CPU, SPREAD, AGAINST_PEER, WIRE];
const IDLE_DEFLATE: &[Column] = &[CLIENT, RESIDENT, SPREAD, AGAINST_PEER];

const CLIENT: Column = ("client", |row| Some(row.client.to_owned()));
const CPU: Column = ("CPU ns/msg", |row| row.cpu_ns.map(figure));
const RESIDENT: Column = ("bytes", |row| row.resident_bytes.map(figure));
const SPREAD: Column = ("spread", |row| row.spread.map(|spread| format!("{:.0} %", 100.0 * spread)));
const TO_FLOOR: Column = ("x floor", |row| row.ratio_to_floor.map(factor));
const TO_RAW: Column = ("x raw", |row| row.ratio_to_raw.map(factor));
const AGAINST_PEER: Column = ("cheapest peer", |row| {
    Some(match row.times_cheaper_than_cheapest_peer? {
        _ if row.cheapest_peer == Some(row.client) => "is the cheapest".to_owned(),
        times if times >= 1.0 => format!("{} x cheaper", factor(times)),
        _ => format!("{} x dearer", factor(row.ratio_to_cheapest_peer?)),
    })
});
const P50: Column = ("p50 us", |row| row.latency_p50_ns.map(|ns| figure(ns / 1000.0)));
const P50_TO_FLOOR: Column = ("x floor", |row| row.latency_p50_ratio_to_floor.map(factor));
const P99: Column = ("p99 us", |row| row.latency_p99_ns.map(|ns| figure(ns / 1000.0)));
const WIRE: Column = ("wire bytes", |row| row.wire_bytes.map(figure));
const ALLOCATIONS: Column = ("allocs/msg", |row| row.allocations.map(factor));

/// The table of one workload.
pub(crate) fn render(workload: Workload, rows: &[Row]) -> String {
    let (title, cell, columns) = match workload {
        Workload::Receive => ("receive: processor time a message on one connection", "payload", RECEIVE),
        Workload::Send => ("send: processor time a message on one connection", "payload", SEND),
        Workload::Echo => (
            "echo: processor time a round trip, one message in flight on every connection",
            "connections",
            ECHO,
        ),
        Workload::Idle => ("idle: resident memory a connection", "connections", IDLE),
        Workload::ReceiveTls => {
            ("receive-tls: processor time a message on one connection, over TLS", "payload", RECEIVE_TLS)
        }
        Workload::IdleTls => ("idle-tls: resident memory a connection, over TLS", "connections", IDLE),
        Workload::ReceiveDeflate => (
            "receive-deflate: processor time a message on one connection, compressed",
            "payload",
            RECEIVE_DEFLATE,
        ),
        Workload::SendDeflate => {
            ("send-deflate: processor time a message on one connection, compressed", "payload", SEND_DEFLATE)
        }
        Workload::IdleDeflate => (
            "idle-deflate: resident memory a connection, after a compressed message each way",
            "payload",
            IDLE_DEFLATE,
        ),
    };
    let mut columns = columns.to_vec();
    if rows.iter().any(|row| row.allocations.is_some()) {
        columns.push(ALLOCATIONS);
    }
    format!("\n{title}\n{}\n", grid(cell, &columns, rows))
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
mod tests {
    use super::*;
    use crate::clients::Role;

    fn row(client: &'static str, cell: &'static str, cpu_ns: f64, times_cheaper: f64) -> Row {
        Row {
            client,
            role: Role::Peer,
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
            latency_p99_ns: None,
            latency_p50_ratio_to_floor: None,
            wire_bytes: None,
            allocations: None,
            messages: 1,
        }
    }

    #[test]
    fn columns_line_up_and_a_cell_is_named_once() {
        let rows = [row("ours", "32B", 9.0, 10.0), row("b", "32B", 90.0, 1.0), row("c", "1KiB", 1234.0, 0.5)];
        let expected = "
receive: processor time a message on one connection
payload  client  CPU ns/msg  spread  x floor  x raw    cheapest peer
32B      ours          9.00    12 %     1.50      -  10.00 x cheaper
         b             90.0    12 %     1.50      -  is the cheapest
1KiB     c            1 234    12 %     1.50      -    2.00 x dearer
";
        assert_eq!(render(Workload::Receive, &rows), expected);
    }

    #[test]
    fn allocations_have_a_column_where_they_are_counted() {
        let plain = row("ours", "32B", 9.0, 10.0);
        let counted = Row { allocations: Some(0.0), ..plain.clone() };
        assert!(!render(Workload::Receive, &[plain]).contains("allocs"));
        assert!(render(Workload::Receive, &[counted]).contains("allocs/msg"));
    }
}
