//! The results in short, as a table for a page: how our client compares on each cell.

use websocket_bench::table::{factor, figure, markdown};

use crate::side_by_side::clients::OURS;
use crate::side_by_side::results::Row;
use crate::side_by_side::table::left_out;

const HEAD: [&str; 7] = ["workload", "cell", "ours", "spread", "x floor", "cheapest peer", "x cheapest peer"];

/// The table in Markdown, and what the peers that it names leave out.
pub(crate) fn render(rows: &[Row]) -> String {
    let ours = || rows.iter().filter(|row| row.client == OURS);
    let mut lines = vec![HEAD.map(str::to_owned).to_vec()];
    lines.extend(ours().map(|row| line(row, rows).to_vec()));
    let mut text = markdown(&lines, 2);
    for (client, what) in left_out(rows) {
        if ours().any(|row| row.cheapest_peer == Some(client)) {
            text += &format!("\n\\* {client} leaves out: {what}\n");
        }
    }
    text
}

fn line(row: &Row, rows: &[Row]) -> [String; 7] {
    let peer = rows.iter().find(|other| {
        (other.workload, other.cell) == (row.workload, row.cell) && Some(other.client) == row.cheapest_peer
    });
    let peer = peer.map(|peer| {
        let star = if peer.leaves_out.is_some() { " \\*" } else { "" };
        format!("{}{star}, {}", peer.client, cost(peer))
    });
    let or_dash = |field: Option<String>| field.unwrap_or_else(|| "-".to_owned());
    [
        row.workload.to_owned(),
        row.cell.to_owned(),
        cost(row),
        or_dash(row.spread.map(|spread| format!("{:.0} %", 100.0 * spread))),
        or_dash(row.ratio_to_floor.map(factor)),
        or_dash(peer),
        or_dash(row.ratio_to_cheapest_peer.map(factor)),
    ]
}

fn cost(row: &Row) -> String {
    match (row.cpu_ns, row.resident_bytes) {
        (Some(ns), _) => format!("{} ns", figure(ns)),
        (None, Some(bytes)) => format!("{} bytes", figure(bytes)),
        (None, None) => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::side_by_side::table::tests::row;

    #[test]
    fn a_line_has_our_cost_and_that_of_the_cheapest_peer() {
        let mut ours = row(OURS, "32B", 20.0, 0.5);
        ours.cheapest_peer = Some("c");
        let rows = [ours, row("b", "32B", 90.0, 1.0), row("c", "32B", 10.0, 1.0), row("c", "1KiB", 1.0, 1.0)];
        let expected = "\
| workload | cell | ours | spread | x floor | cheapest peer | x cheapest peer |
|---|---|---:|---:|---:|---:|---:|
| receive | 32B | 20.0 ns | 12 % | 1.50 | c \\*, 10.0 ns | 2.00 |

\\* c leaves out: masks
";
        assert_eq!(render(&rows), expected);
    }
}
