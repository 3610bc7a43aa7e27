//! Text for people, which can do no harm to a terminal.

use std::fmt;
use std::time::Duration;

use anstyle::{AnsiColor, Style};

use super::hex::Hex;
use super::{Direction, Frame, Op, json};
use crate::inflate::inflate;

const IN: Style = AnsiColor::Cyan.on_default().bold();
const OUT: Style = AnsiColor::Green.on_default().bold();
const DIM: Style = Style::new().dimmed();

/// `text` without control characters, except line ends and tabs.
pub(crate) fn sanitized(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_control() && !matches!(char, '\n' | '\t') {
            shown.extend(char.escape_default());
        } else {
            shown.push(char);
        }
    }
    shown
}

pub(super) fn paint(style: Style, text: &str, is_colored: bool) -> String {
    if is_colored { format!("{style}{text}{style:#}") } else { text.to_owned() }
}

/// A message on lines of its own.
pub(super) fn message(since: Option<Duration>, is_text: bool, payload: &[u8], is_colored: bool) -> String {
    let time = since.map(|since| format!("{:.6} ", since.as_secs_f64())).unwrap_or_default();
    format!("{time}{} {}\n", paint(IN, "<", is_colored), Payload { is_text, payload, is_colored })
}

/// A frame with all that is known of it.
pub(super) fn frame(since: Duration, wall: Duration, frame: Frame<'_>, is_colored: bool) -> String {
    let Frame { direction, head, is_text, payload } = frame;
    let arrow = match direction {
        Direction::In => paint(IN, "<", is_colored),
        Direction::Out => paint(OUT, ">", is_colored),
    };
    let (fin, rsv1) = (u8::from(head.fin), u8::from(head.rsv1));
    let about = format!(
        "{} fin={fin} rsv1={rsv1} {} bytes, {} on the wire:",
        head.op.name(),
        payload.len(),
        head.wire
    );
    let time = format!("{} +{:.6}", time_of_day(wall), since.as_secs_f64());
    let (time, about) = (paint(DIM, &time, is_colored), paint(DIM, &about, is_colored));
    let payload: &dyn fmt::Display = match (head.op, payload) {
        (Op::Close, []) => &"no code",
        (Op::Close, [high, low, reason @ ..]) => {
            let space = if reason.is_empty() { "" } else { " " };
            let reason = sanitized(&String::from_utf8_lossy(reason));
            &format!("{}{space}{reason}", u16::from_be_bytes([*high, *low]))
        }
        _ => &Payload { is_text, payload, is_colored },
    };
    format!("{time} {arrow} {about} {payload}\n")
}

/// What is neither a message nor a frame.
pub(super) fn note(text: impl fmt::Display, is_colored: bool) -> String {
    format!("{}\n", paint(DIM, &format!("* {text}"), is_colored))
}

/// The time of day in UTC.
fn time_of_day(wall: Duration) -> String {
    let seconds = wall.as_secs() % 86_400;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}.{:03}Z", seconds % 60, wall.subsec_millis())
}

struct Payload<'a> {
    is_text: bool,
    payload: &'a [u8],
    is_colored: bool,
}

impl fmt::Display for Payload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_text {
            // A fragment may end inside a character.
            let text = String::from_utf8_lossy(self.payload);
            // What is shown in color is shown to people.
            let pretty = self.is_colored.then(|| json::pretty(&text, true)).flatten();
            return f.write_str(&pretty.unwrap_or_else(|| sanitized(&text)));
        }
        match inflate(self.payload) {
            Some((format, text)) => write!(f, "[{format}] {}", sanitized(&text)),
            None => write!(f, "{}", Hex(self.payload)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_control_the_terminal() {
        assert_eq!(sanitized("a\u{1b}[2Jb\r\n\tü\u{9b}"), "a\\u{1b}[2Jb\\r\n\tü\\u{9b}");
    }

    #[test]
    fn the_time_of_day_is_that_of_greenwich() {
        assert_eq!(time_of_day(Duration::from_millis(1_764_517_767_042)), "15:49:27.042Z");
    }
}
