//! The results as a chart: horizontal bars in SVG, a panel for each figure of a workload, a group of bars for each cell.

use std::fmt::Write;

use websocket_bench::contract::Workload;
use websocket_bench::table::figure;

use crate::clients::Role;
use crate::results::Row;
use crate::table::left_out;

const WIDTH: f64 = 900.0;
const LEFT: f64 = 230.0;
const RIGHT: f64 = 780.0;
const BAR: f64 = 16.0;
const ROW: f64 = 20.0;
const GAP: f64 = 10.0;
const HEAD: f64 = 64.0;
const LEGEND: f64 = 44.0;

/// Beyond this factor between the least and the greatest, a linear scale hides the least.
const LINEAR_UP_TO: f64 = 20.0;

/// What a panel shows of a row.
struct Panel {
    title: &'static str,
    /// The length of the bar.
    bar: Figure,
    /// The end of a line that goes on from there.
    line: Figure,
}

type Figure = fn(&Row) -> Option<f64>;

/// A panel of processor time or memory.
const fn costs(title: &'static str) -> Panel {
    Panel { title, bar: Row::cost, line: |_| None }
}

/// A panel of round trips, in microseconds.
const fn latencies(title: &'static str) -> Panel {
    Panel {
        title,
        bar: |row| row.latency_p50_ns.map(|ns| ns / 1000.0),
        line: |row| row.latency_p99_9_ns.map(|ns| ns / 1000.0),
    }
}

fn panels(workload: Workload) -> &'static [Panel] {
    const RECEIVE: &[Panel] = &[costs("receive: processor time per message, ns, by payload")];
    const SEND: &[Panel] =
        &[costs("send: processor time per message, ns, by payload (-each: one write per message)")];
    const ECHO: &[Panel] = &[
        costs("echo: processor time per round trip, ns, by connections"),
        latencies("echo: round trips, us, by connections; bar: median, line: p99.9"),
    ];
    const CONNECT: &[Panel] =
        &[costs("connect: processor time per connection, ns, by connections under way")];
    const IDLE: &[Panel] = &[costs("idle: resident memory per connection, bytes, by connections")];
    const RECEIVE_TLS: &[Panel] = &[costs("receive over TLS: processor time per message, ns, by payload")];
    const ECHO_TLS: &[Panel] = &[
        costs("echo over TLS: processor time per round trip, ns, by connections"),
        latencies("echo over TLS: round trips, us, by connections; bar: median, line: p99.9"),
    ];
    const CONNECT_TLS: &[Panel] =
        &[costs("connect over TLS: processor time per connection, ns, by connections under way")];
    const IDLE_TLS: &[Panel] =
        &[costs("idle over TLS: resident memory per connection, bytes, by connections")];
    const RECEIVE_DEFLATE: &[Panel] =
        &[costs("receive, compressed: processor time per message, ns, by payload and mode")];
    const SEND_DEFLATE: &[Panel] =
        &[costs("send, compressed: processor time per message, ns, by payload and mode")];
    const IDLE_DEFLATE: &[Panel] =
        &[costs("idle, compressed: resident memory per connection, bytes, by payload and mode")];
    match workload {
        Workload::Receive => RECEIVE,
        Workload::Send => SEND,
        Workload::Echo => ECHO,
        Workload::Connect => CONNECT,
        Workload::Idle => IDLE,
        Workload::ReceiveTls => RECEIVE_TLS,
        Workload::EchoTls => ECHO_TLS,
        Workload::ConnectTls => CONNECT_TLS,
        Workload::IdleTls => IDLE_TLS,
        Workload::ReceiveDeflate => RECEIVE_DEFLATE,
        Workload::SendDeflate => SEND_DEFLATE,
        Workload::IdleDeflate => IDLE_DEFLATE,
    }
}

/// The chart of those of the workloads that have rows.
pub(crate) fn render(workloads: &[Workload], rows: &[Row]) -> String {
    let mut body = legend();
    let mut top = LEGEND;
    for &workload in workloads {
        let rows: Vec<&Row> = rows.iter().filter(|row| row.workload == workload.name()).collect();
        if !rows.is_empty() {
            for panel in panels(workload) {
                top = draw(&mut body, top, panel, &rows);
            }
        }
    }
    for (client, what) in left_out(rows) {
        top += ROW;
        text(&mut body, 16.0, top, "fill=\"#666666\"", &format!("* {client} leaves out: {what}"));
    }
    top += GAP;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{top}\" viewBox=\"0 0 {WIDTH} {top}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{body}</svg>\n"
    )
}

fn legend() -> String {
    let mut out = String::new();
    let entries =
        [(Role::Ours, "this project"), (Role::Peer, "peers"), (Role::Floor, "floors: the least possible")];
    for (index, (role, label)) in entries.into_iter().enumerate() {
        let x = 16.0 + 130.0 * index as f64;
        let _ =
            writeln!(out, "<rect x=\"{x}\" y=\"16\" width=\"12\" height=\"12\" fill=\"{}\"/>", colour(role));
        text(&mut out, x + 18.0, 26.0, "", label);
    }
    out
}

/// Draws a panel below `top` and returns where the next begins.
fn draw(out: &mut String, top: f64, panel: &Panel, rows: &[&Row]) -> f64 {
    let Panel { title, bar, line } = panel;
    let figures = rows.iter().flat_map(|row| [bar(row), line(row)]).flatten();
    let scale = Scale::new(&figures.filter(|&figure| figure > 0.0).collect::<Vec<_>>());
    let groups = rows.chunk_by(|one, other| one.cell == other.cell).count();
    let bottom = top + HEAD + ROW * rows.len() as f64 + GAP * groups as f64;

    text(
        out,
        16.0,
        top + 22.0,
        "font-size=\"15\" font-weight=\"bold\"",
        &format!("{title} ({})", scale.name()),
    );
    for tick in scale.ticks() {
        let x = scale.x(tick);
        let (from, to) = (top + HEAD - 8.0, bottom - GAP);
        let _ = writeln!(out, "<path d=\"M{x:.1} {from}V{to}\" stroke=\"#dddddd\"/>");
        text(out, x, from - 6.0, "text-anchor=\"middle\" fill=\"#666666\"", &tick_label(tick));
    }
    let mut y = top + HEAD;
    for group in rows.chunk_by(|one, other| one.cell == other.cell) {
        text(out, 16.0, y + 13.0, "font-weight=\"bold\"", group[0].cell);
        for row in group {
            draw_row(out, y, row, panel, &scale);
            y += ROW;
        }
        y += GAP;
    }
    bottom
}

fn draw_row(out: &mut String, y: f64, row: &Row, panel: &Panel, scale: &Scale) {
    let mark = if row.leaves_out.is_some() { "*" } else { "" };
    text(out, LEFT - 8.0, y + 13.0, "text-anchor=\"end\"", &format!("{}{mark}", row.client));
    let Some(cost) = (panel.bar)(row) else { return };
    let mut end = scale.x(cost);
    let (width, fill) = (end - LEFT, colour(row.role));
    let _ =
        writeln!(out, "<rect x=\"{LEFT}\" y=\"{y}\" width=\"{width:.1}\" height=\"{BAR}\" fill=\"{fill}\"/>");
    let mut label = figure(cost);
    if let Some(to) = (panel.line)(row) {
        let (from, middle) = (end, y + BAR / 2.0);
        end = scale.x(to);
        let _ = writeln!(
            out,
            "<path d=\"M{from:.1} {middle}H{end:.1}M{end:.1} {}V{}\" stroke=\"{fill}\" stroke-width=\"2\"/>",
            middle - 4.0,
            middle + 4.0
        );
        label = format!("{label} to {}", figure(to));
    }
    text(out, end + 6.0, y + 13.0, "", &label);
}

fn text(out: &mut String, x: f64, y: f64, attributes: &str, content: &str) {
    let content = content.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" {attributes}>{content}</text>");
}

fn colour(role: Role) -> &'static str {
    match role {
        Role::Floor => "#9aa0a6",
        Role::Peer => "#4c78a8",
        Role::Ours => "#e4572e",
    }
}

fn tick_label(value: f64) -> String {
    match value {
        millions if millions >= 1e6 => format!("{} M", millions / 1e6),
        thousands if thousands >= 1e3 => format!("{} k", thousands / 1e3),
        value => format!("{value}"),
    }
}

#[derive(Debug, PartialEq)]
enum Scale {
    /// From zero to the value.
    Linear(f64),
    /// From one power of ten to another.
    Logarithmic(i32, i32),
}

impl Scale {
    fn new(values: &[f64]) -> Self {
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let greatest = values.iter().copied().fold(0.0, f64::max);
        if greatest <= LINEAR_UP_TO * least {
            return Self::Linear(greatest.max(1.0));
        }
        // Below the least value, so that its bar can be seen.
        let from = (least * 0.8).log10().floor();
        Self::Logarithmic(from as i32, greatest.log10().ceil() as i32)
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Linear(_) => "linear scale",
            Self::Logarithmic(..) => "logarithmic scale",
        }
    }

    fn x(&self, value: f64) -> f64 {
        let share = match *self {
            Self::Linear(to) => value / to,
            Self::Logarithmic(..) if value <= 0.0 => 0.0,
            Self::Logarithmic(from, to) => (value.log10() - f64::from(from)) / f64::from(to - from),
        };
        LEFT + share.clamp(0.0, 1.0) * (RIGHT - LEFT)
    }

    fn ticks(&self) -> Vec<f64> {
        match *self {
            Self::Linear(to) => {
                let magnitude = 10_f64.powf(to.log10().floor());
                let step = if to / magnitude < 3.0 { magnitude / 2.0 } else { magnitude };
                (0..).map(|index| f64::from(index) * step).take_while(|&tick| tick <= to).collect()
            }
            Self::Logarithmic(from, to) => (from..=to).map(|exponent| 10_f64.powi(exponent)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wide_range_is_drawn_on_a_logarithmic_scale() {
        assert_eq!(Scale::new(&[1000.0, 5000.0]), Scale::Linear(5000.0));
        assert_eq!(Scale::new(&[4.0, 150_000.0]), Scale::Logarithmic(0, 6));
        assert_eq!(Scale::new(&[]), Scale::Linear(1.0));
    }

    #[test]
    fn bars_grow_with_the_value_and_stay_inside() {
        for scale in [Scale::Linear(5000.0), Scale::Logarithmic(0, 6)] {
            let ends = [0.0, 4.0, 50.0, 4000.0, 1e9].map(|value| scale.x(value));
            assert!(ends.is_sorted(), "{scale:?}");
            assert_eq!((ends[0], ends[4]), (LEFT, RIGHT));
            assert!(scale.ticks().len() >= 3);
        }
    }

    #[test]
    fn ticks_are_short() {
        assert_eq!([0.1, 10.0, 2500.0, 1e6].map(tick_label), ["0.1", "10", "2.5 k", "1 M"]);
    }
}
