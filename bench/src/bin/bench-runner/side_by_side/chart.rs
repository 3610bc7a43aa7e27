//! The results as a chart: horizontal bars in SVG, a panel for each figure of a workload, a group of bars for each cell.
//!
//! Costs are drawn to a linear scale from zero, for each group its own: what is compared is within a group. A bar that would leave no room
//! for the others is cut. Latencies, which differ by
//! orders of magnitude within a client, share a logarithmic scale.

use std::fmt::Write;

use websocket_bench::contract::Workload;
use websocket_bench::stats::median;
use websocket_bench::table::figure;

use crate::side_by_side::clients::Role;
use crate::side_by_side::results::Row;
use crate::side_by_side::table::left_out;

const WIDTH: f64 = 900.0;
const LEFT: f64 = 230.0;
const RIGHT: f64 = 780.0;
const BAR: f64 = 16.0;
const ROW: f64 = 20.0;
const GAP: f64 = 10.0;
const HEAD: f64 = 36.0;
const TICKS: f64 = 28.0;
const LEGEND: f64 = 44.0;

/// The most letters on a line of a note.
const NOTE: usize = 125;
/// How many times as long as the median of a group its longest bar is at most.
const LONGEST: f64 = 4.0;

/// What a panel shows of a row.
struct Panel {
    title: &'static str,
    /// The length of the bar.
    bar: Figure,
    /// The end of a line that goes on from there, in a panel with a logarithmic scale.
    line: Option<Figure>,
}

type Figure = fn(&Row) -> Option<f64>;

/// A panel of processor time or memory.
const fn costs(title: &'static str) -> Panel {
    Panel { title, bar: Row::cost, line: None }
}

/// A panel of round trips, in microseconds.
const fn latencies(title: &'static str) -> Panel {
    Panel {
        title,
        bar: |row| row.latency_p50_ns.map(|ns| ns / 1000.0),
        line: Some(|row| row.latency_p99_9_ns.map(|ns| ns / 1000.0)),
    }
}

fn panels(workload: Workload) -> &'static [Panel] {
    const RECEIVE: &[Panel] = &[costs("receive: processor time per message, ns, by payload")];
    const SEND: &[Panel] = &[costs("send: processor time per message, ns, by payload")];
    const ECHO: &[Panel] = &[
        costs("echo: processor time per round trip, ns, by connections"),
        latencies("echo: round trips, us, by connections; bar: median, line: up to p99.9"),
    ];
    const CONNECT: &[Panel] =
        &[costs("connect: processor time per connection, ns, by connections under way")];
    const IDLE: &[Panel] = &[costs("idle: resident memory per connection, bytes, by connections")];
    const RECEIVE_TLS: &[Panel] = &[costs("receive over TLS: processor time per message, ns, by payload")];
    const ECHO_TLS: &[Panel] = &[
        costs("echo over TLS: processor time per round trip, ns, by connections"),
        latencies("echo over TLS: round trips, us, by connections; bar: median, line: up to p99.9"),
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
        for line in lines(&format!("* {client} leaves out: {what}")) {
            top += ROW;
            text(&mut body, 16.0, top, "fill=\"#666666\"", &line);
        }
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
    let scales = "each group to its own scale; bars with a gap are cut";
    text(&mut out, WIDTH - 16.0, 26.0, "text-anchor=\"end\" fill=\"#666666\"", scales);
    out
}

/// The words of a note, as many on a line as fit.
fn lines(note: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in note.split(' ') {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() < NOTE => *line += &format!(" {word}"),
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Draws a panel below `top` and returns where the next begins.
fn draw(out: &mut String, top: f64, panel: &Panel, rows: &[&Row]) -> f64 {
    let groups = || rows.chunk_by(|one, other| one.cell == other.cell);
    let common = panel
        .line
        .map(|line| Scale::logarithmic(rows.iter().flat_map(|row| [(panel.bar)(row), line(row)]).flatten()));
    let head = if common.is_some() { HEAD + TICKS } else { HEAD };
    let bottom = top + head + ROW * rows.len() as f64 + GAP * groups().count() as f64;

    text(out, 16.0, top + 22.0, "font-size=\"15\" font-weight=\"bold\"", panel.title);
    for (tick, x) in common.iter().flat_map(Scale::ticks) {
        let (from, to) = (top + head - 8.0, bottom - GAP);
        let _ = writeln!(out, "<path d=\"M{x:.1} {from}V{to}\" stroke=\"#dddddd\"/>");
        text(out, x, from - 6.0, "text-anchor=\"middle\" fill=\"#666666\"", &tick_label(tick));
    }
    let mut y = top + head;
    for group in groups() {
        text(out, 16.0, y + 13.0, "font-weight=\"bold\"", group[0].cell);
        let scale = common.unwrap_or_else(|| Scale::linear(group.iter().filter_map(|row| (panel.bar)(row))));
        for row in group {
            draw_row(out, y, row, panel, scale);
            y += ROW;
        }
        y += GAP;
    }
    bottom
}

fn draw_row(out: &mut String, y: f64, row: &Row, panel: &Panel, scale: Scale) {
    let mark = if row.leaves_out.is_some() { "*" } else { "" };
    text(out, LEFT - 8.0, y + 13.0, "text-anchor=\"end\"", &format!("{}{mark}", row.client));
    let Some(cost) = (panel.bar)(row) else { return };
    let mut end = scale.x(cost);
    let (width, fill) = (end - LEFT, colour(row.role));
    let _ =
        writeln!(out, "<rect x=\"{LEFT}\" y=\"{y}\" width=\"{width:.1}\" height=\"{BAR}\" fill=\"{fill}\"/>");
    if scale.is_below(cost) {
        let x = end - 16.0;
        let _ =
            writeln!(out, "<path d=\"M{x} {}l8 -{}\" stroke=\"white\" stroke-width=\"4\"/>", y + BAR, BAR);
    }
    let mut label = figure(cost);
    if let Some(to) = panel.line.and_then(|line| line(row)) {
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

#[derive(Clone, Copy, Debug, PartialEq)]
enum Scale {
    /// From zero to the value.
    Linear(f64),
    /// From one power of ten to another.
    Logarithmic(i32, i32),
}

impl Scale {
    /// From zero to the greatest of the values that is not cut.
    fn linear(values: impl Iterator<Item = f64> + Clone) -> Self {
        let cut = median(values.clone()).filter(|&middle| middle > 0.0).map(|middle| LONGEST * middle);
        Self::Linear(values.fold(1.0, f64::max).min(cut.unwrap_or(f64::INFINITY)))
    }

    /// Whether the bar of a value is cut.
    fn is_below(self, value: f64) -> bool {
        matches!(self, Self::Linear(to) if to < value)
    }

    /// From the power of ten below the least of the values, whose bar can be seen, to that above the greatest.
    fn logarithmic(values: impl Iterator<Item = f64>) -> Self {
        let bounds = (f64::INFINITY, 1.0);
        let (least, greatest) = values
            .filter(|&value| value > 0.0)
            .fold(bounds, |(least, greatest), value| (value.min(least), value.max(greatest)));
        let from = (least.min(greatest) * 0.8).log10().floor();
        Self::Logarithmic(from as i32, greatest.log10().ceil() as i32)
    }

    fn x(self, value: f64) -> f64 {
        let share = match self {
            Self::Linear(to) => value / to,
            Self::Logarithmic(..) if value <= 0.0 => 0.0,
            Self::Logarithmic(from, to) => (value.log10() - f64::from(from)) / f64::from(to - from),
        };
        LEFT + share.clamp(0.0, 1.0) * (RIGHT - LEFT)
    }

    /// The powers of ten of a logarithmic scale, and where they are.
    fn ticks(&self) -> Vec<(f64, f64)> {
        match *self {
            Self::Linear(_) => Vec::new(),
            Self::Logarithmic(from, to) => {
                (from..=to).map(|exponent| 10_f64.powi(exponent)).map(|tick| (tick, self.x(tick))).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_hold_their_values() {
        assert_eq!(Scale::linear([1000.0, 5000.0].into_iter()), Scale::Linear(5000.0));
        assert_eq!(Scale::linear([].into_iter()), Scale::Linear(1.0));
        let cut = Scale::linear([10.0, 20.0, 500.0].into_iter());
        assert!(cut == Scale::Linear(80.0) && cut.is_below(500.0) && !cut.is_below(20.0));
        assert_eq!(Scale::logarithmic([4.0, 0.0, 150_000.0].into_iter()), Scale::Logarithmic(0, 6));
        assert_eq!(Scale::logarithmic([].into_iter()), Scale::Logarithmic(-1, 0));
    }

    #[test]
    fn bars_grow_with_the_value_and_stay_inside() {
        for scale in [Scale::Linear(5000.0), Scale::Logarithmic(0, 6)] {
            let ends = [0.0, 4.0, 50.0, 4000.0, 1e9].map(|value| scale.x(value));
            assert!(ends.is_sorted(), "{scale:?}");
            assert_eq!((ends[0], ends[4]), (LEFT, RIGHT));
        }
    }

    #[test]
    fn notes_have_as_many_lines_as_they_need() {
        let note = vec!["words"; 40].join(" ");
        let lines = lines(&note);
        assert!(lines.len() == 2 && lines.iter().all(|line| line.len() <= NOTE));
        assert_eq!(lines.join(" "), note);
    }

    #[test]
    fn ticks_are_short() {
        assert_eq!([0.1, 10.0, 2500.0, 1e6].map(tick_label), ["0.1", "10", "2.5 k", "1 M"]);
        assert_eq!(
            Scale::Logarithmic(0, 2).ticks(),
            [(1.0, LEFT), (10.0, (LEFT + RIGHT) / 2.0), (100.0, RIGHT)]
        );
    }
}
