//! Figures and tables as text.

use std::time::Duration;

use crate::measure::percentile;

/// Lines whose columns line up: the first `names` of them to the left, the others, which are figures, to the right.
pub fn aligned(lines: &[Vec<String>], names: usize) -> String {
    let width = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(|field| field.chars().count()).max().unwrap_or(0)
    };
    let text = |line: &Vec<String>| {
        let fields = line.iter().enumerate().map(|(column, field)| match width(column) {
            width if column < names => format!("{field:<width$}"),
            width => format!("{field:>width$}"),
        });
        fields.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    lines.iter().map(text).collect::<Vec<_>>().join("\n")
}

/// The heads of [`spread`].
pub const SPREAD: [&str; 5] = ["min", "p50", "p90", "p99", "max"];

/// The least, the greatest and the percentiles between them of sorted times.
pub fn spread(sorted: &[Duration]) -> [String; 5] {
    let shown = |time: Option<Duration>| time.map_or_else(|| "-".to_owned(), |time| format!("{time:.1?}"));
    let at = |percent| shown(percentile(sorted, percent));
    [shown(sorted.first().copied()), at(50), at(90), at(99), at(100)]
}

/// Lines as [`aligned`] takes them, as a table in Markdown; the first line is its head.
pub fn markdown(lines: &[Vec<String>], names: usize) -> String {
    let row = |fields: &[String]| format!("| {} |\n", fields.join(" | "));
    let mut text = String::new();
    for (index, line) in lines.iter().enumerate() {
        text.push_str(&row(line));
        if index == 0 {
            let rule = (0..line.len()).map(|column| if column < names { "---" } else { "---:" });
            text.push_str(&format!("|{}|\n", rule.collect::<Vec<_>>().join("|")));
        }
    }
    text
}

/// So many of what `one` is the name of one of.
pub fn plural(count: usize, one: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {one}{ending}")
}

/// A figure with three significant digits or more.
pub fn figure(value: f64) -> String {
    match value {
        small if small < 9.95 => format!("{small:.2}"),
        middling if middling < 99.5 => format!("{middling:.1}"),
        large => grouped(large.round() as u64),
    }
}

/// A factor; two digits after the point are all that rounds can tell.
pub fn factor(value: f64) -> String {
    if value < 99.5 { format!("{value:.2}") } else { grouped(value.round() as u64) }
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = {
        let (head, tail) = digits.split_at((digits.len() - 1) % 3 + 1);
        let tail = tail.as_bytes().chunks(3).filter_map(|group| std::str::from_utf8(group).ok());
        std::iter::once(head).chain(tail).collect()
    };
    groups.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> Vec<Vec<String>> {
        [["host", "p50 µs", "x"], ["mio", "1.00", "12"], ["io-uring", "10.0", "-"]]
            .map(|line| line.map(String::from).into())
            .into()
    }

    #[test]
    fn columns_line_up() {
        assert_eq!(aligned(&lines(), 1), "host      p50 µs   x\nmio         1.00  12\nio-uring    10.0   -");
    }

    #[test]
    fn times_are_spread() {
        let times: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(spread(&times), ["1.0ms", "100.0ms", "180.0ms", "198.0ms", "200.0ms"]);
        assert_eq!(spread(&[]), ["-"; 5]);
    }

    #[test]
    fn markdown_aligns_figures_to_the_right() {
        assert_eq!(
            markdown(&lines(), 1),
            "| host | p50 µs | x |\n|---|---:|---:|\n| mio | 1.00 | 12 |\n| io-uring | 10.0 | - |\n"
        );
    }

    #[test]
    fn figures_are_readable_at_every_size() {
        let shown = [0.0, 4.4, 9.96, 99.4, 99.6, 1000.0, 132_427.0, 1_234_567.0].map(figure);
        assert_eq!(shown, ["0.00", "4.40", "10.0", "99.4", "100", "1 000", "132 427", "1 234 567"]);
    }
}
