//! What a program measured, as a line of the table.

use std::fmt;
use std::time::Duration;

use super::watch::LIMIT;

/// One line: what was measured, its figure, and what is right.
pub(crate) struct Figure {
    what: &'static str,
    figure: String,
    right: &'static str,
}

impl Figure {
    pub(crate) fn new(what: &'static str, figure: impl Into<String>, right: &'static str) -> Self {
        Self { what, figure: figure.into(), right }
    }

    /// A time; `None` is one beyond the limit.
    pub(crate) fn time(what: &'static str, time: Option<Duration>, right: &'static str) -> Self {
        Self::new(what, seconds(time), right)
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&line(self.what, &self.figure, self.right))
    }
}

/// A line of the table.
pub(crate) fn line(what: &str, figure: &str, right: &str) -> String {
    format!("    {what:<30}  {figure:<42}  {right}")
}

/// A time as text; `None` is one beyond the limit.
pub(crate) fn seconds(time: Option<Duration>) -> String {
    match time {
        Some(time) if time < Duration::from_millis(100) => format!("{:.1} ms", time.as_secs_f64() * 1e3),
        Some(time) if time <= LIMIT => format!("{:.2} s", time.as_secs_f64()),
        _ => format!("more than {} s", LIMIT.as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_readable_and_end_at_the_limit() {
        let shown = |ms| seconds(Some(Duration::from_millis(ms)));
        assert_eq!([shown(3), shown(300), shown(3200)], ["3.0 ms", "0.30 s", "3.20 s"]);
        assert_eq!([shown(20_001), seconds(None)], ["more than 20 s"; 2]);
    }
}
