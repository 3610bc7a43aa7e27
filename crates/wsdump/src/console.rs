//! What the user sees.

use std::fmt;
use std::io::{self, IsTerminal as _, Write};
use std::time::Instant;

use websocket_app::{Kind, Message};

use crate::arguments::Arguments;
use crate::inflate::inflate;

/// Back over the prompt.
const TO_LINE_START: &str = "\r\x1b[K";

/// What ends the input on a terminal.
const END_OF_INPUT: &str = if cfg!(windows) { "Ctrl+Z, Enter" } else { "Ctrl+D" };

/// Standard output, decorated or not.
#[derive(Debug)]
pub(crate) struct Console {
    start: Instant,
    raw: bool,
    timings: bool,
    verbose: u8,
    /// Somebody types and reads on a terminal.
    interactive: bool,
    /// The cursor stands behind a prompt.
    prompt: bool,
}

impl Console {
    pub(crate) fn new(arguments: &Arguments) -> Self {
        Self {
            start: Instant::now(),
            raw: arguments.raw,
            timings: arguments.timings,
            verbose: arguments.verbose,
            interactive: !arguments.raw && io::stdin().is_terminal() && io::stdout().is_terminal(),
            prompt: false,
        }
    }

    /// From now on lines are sent.
    pub(crate) fn start_prompt(&mut self) -> io::Result<()> {
        if !self.interactive {
            return Ok(());
        }
        self.prompt = true;
        let mut out = io::stdout().lock();
        writeln!(out, "Each line is sent as a message; the end of the input ({END_OF_INPUT}) closes.")?;
        self.end(&mut out)
    }

    /// Nothing is sent any more.
    pub(crate) fn end_prompt(&mut self) -> io::Result<()> {
        if !std::mem::take(&mut self.prompt) {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        write!(out, "{TO_LINE_START}")?;
        out.flush()
    }

    pub(crate) fn message(&self, message: Message<'_>) -> io::Result<()> {
        let what = if message.kind() == Kind::Text { "text" } else { "binary" };
        self.payload(what, message.kind(), message.as_bytes())
    }

    /// A message, or a fragment of one.
    pub(crate) fn payload(&self, what: &str, kind: Kind, payload: &[u8]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        self.begin(&mut out)?;
        if self.raw {
            out.write_all(payload)?;
        } else {
            if self.verbose >= 2 {
                write!(out, "[{what}, {} bytes] ", payload.len())?;
            }
            match (kind == Kind::Binary).then(|| inflate(payload)).flatten() {
                Some((format, text)) => write!(out, "[{format}] {}", Shown(Kind::Text, text.as_bytes()))?,
                None => write!(out, "{}", Shown(kind, payload))?,
            }
        }
        writeln!(out)?;
        self.end(&mut out)
    }

    /// Something that is no message, for those who want to see everything.
    pub(crate) fn control(&self, what: impl fmt::Display) -> io::Result<()> {
        if self.raw || self.verbose == 0 {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        self.begin(&mut out)?;
        writeln!(out, "{what}")?;
        self.end(&mut out)
    }

    fn begin(&self, out: &mut impl Write) -> io::Result<()> {
        if self.prompt {
            write!(out, "{TO_LINE_START}")?;
        }
        if self.timings {
            write!(out, "{:.6} ", self.start.elapsed().as_secs_f64())?;
        }
        if self.raw { Ok(()) } else { write!(out, "< ") }
    }

    fn end(&self, out: &mut impl Write) -> io::Result<()> {
        if self.prompt {
            write!(out, "> ")?;
        }
        out.flush()
    }
}

/// A payload that can do no harm to a terminal: text without control characters, anything else in hexadecimal digits.
pub(crate) struct Shown<'a>(pub(crate) Kind, pub(crate) &'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            // A fragment may end inside a character.
            Kind::Text => String::from_utf8_lossy(self.1).chars().try_for_each(|char| match char {
                '\n' | '\t' => write!(f, "{char}"),
                char if char.is_control() => write!(f, "{}", char.escape_default()),
                char => write!(f, "{char}"),
            }),
            Kind::Binary => {
                write!(f, "{} bytes:", self.1.len())?;
                self.1.iter().try_for_each(|byte| write!(f, " {byte:02x}"))
            }
        }
    }
}

/// The payload of a ping or pong, which may be text.
pub(crate) fn shown(payload: &[u8]) -> Shown<'_> {
    let is_text = str::from_utf8(payload).is_ok_and(|text| !text.contains(char::is_control));
    Shown(if is_text { Kind::Text } else { Kind::Binary }, payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_control_the_terminal() {
        let shown = Shown(Kind::Text, "a\u{1b}[2Jb\r\n\tü\u{9b}".as_bytes()).to_string();
        assert_eq!(shown, "a\\u{1b}[2Jb\\r\n\tü\\u{9b}");
    }

    #[test]
    fn bytes_are_shown_in_hexadecimal() {
        assert_eq!(Shown(Kind::Binary, b"\x00\xffA").to_string(), "3 bytes: 00 ff 41");
        assert_eq!(shown(b"\x00A").to_string(), "2 bytes: 00 41");
        assert_eq!(shown("ping ü".as_bytes()).to_string(), "ping ü");
    }
}
