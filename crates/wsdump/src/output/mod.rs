//! What the user sees: where it goes, and in which form.

mod hex;
mod json;
mod record;
mod text;

use std::collections::VecDeque;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};
use websocket_app::{Kind, Side, WireEvent};

pub(crate) use self::record::{Event, Record};
pub(crate) use self::text::sanitized;
use crate::arguments::{Arguments, Color, OutputFormat};

/// The side that a frame comes from.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Direction {
    In,
    Out,
}

/// The opcode of a frame.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Op {
    Text,
    Binary,
    Continuation,
    Ping,
    Pong,
    Close,
    Unknown,
}

impl Op {
    const fn of(opcode: u8) -> Self {
        match opcode {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => Self::Unknown,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Binary => "binary",
            Self::Continuation => "continuation",
            Self::Ping => "ping",
            Self::Pong => "pong",
            Self::Close => "close",
            Self::Unknown => "unknown",
        }
    }
}

impl From<Kind> for Op {
    fn from(kind: Kind) -> Self {
        if kind == Kind::Text { Self::Text } else { Self::Binary }
    }
}

/// What the header of a frame says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) op: Op,
    pub(crate) fin: bool,
    pub(crate) rsv1: bool,
    /// Bytes on the wire, the header included.
    pub(crate) wire: u64,
}

/// A frame to show.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) direction: Direction,
    pub(crate) head: Head,
    /// Whether the message that it is a part of is text.
    pub(crate) is_text: bool,
    /// Inflated, if the message was compressed.
    pub(crate) payload: &'a [u8],
}

/// How it is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    /// Payloads and line ends.
    Raw,
    /// Messages.
    Messages,
    /// Every frame.
    Frames,
    Json,
}

/// Prints beside a line that is being typed.
pub(crate) struct Printer {
    pub(crate) print: Box<dyn FnMut(String) -> io::Result<()> + Send>,
    /// Is disconnected once no line is being typed any more.
    pub(crate) ended: Receiver<()>,
}

/// Standard output, which the session and the wire tap share.
#[derive(Clone)]
pub(crate) struct Output(Arc<Mutex<Shared>>);

pub(crate) struct Shared {
    start: Instant,
    form: Form,
    timings: bool,
    is_colored: bool,
    shows_handshake: bool,
    printer: Option<Printer>,
    /// Frames of the server whose payloads have not been delivered.
    incoming: VecDeque<WireEvent>,
    /// Payloads that were sent, and are not on the wire yet.
    outgoing: VecDeque<(Op, Vec<u8>)>,
    /// Whether the message that is being sent in fragments is text.
    sends_text: bool,
}

impl Output {
    pub(crate) fn new(arguments: &Arguments) -> Self {
        let form = match arguments.output {
            OutputFormat::Json => Form::Json,
            _ if arguments.raw => Form::Raw,
            _ if arguments.verbose > 0 => Form::Frames,
            _ => Form::Messages,
        };
        let is_colored = match arguments.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never,
        };
        Self(Arc::new(Mutex::new(Shared {
            start: Instant::now(),
            form,
            timings: arguments.timings,
            is_colored: is_colored && form != Form::Raw,
            shows_handshake: arguments.handshake,
            printer: None,
            incoming: VecDeque::new(),
            outgoing: VecDeque::new(),
            sends_text: false,
        })))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Whether the user types and reads at a terminal.
    pub(crate) fn is_at_keyboard(&self) -> bool {
        let decorated = matches!(self.form, Form::Messages | Form::Frames);
        decorated && io::stdin().is_terminal() && io::stdout().is_terminal()
    }

    /// Whether what passes over the wire is to be observed.
    pub(crate) fn observes(&self) -> bool {
        matches!(self.form, Form::Frames | Form::Json) || self.shows_handshake
    }

    /// Whether fragments are shown as they come.
    pub(crate) fn shows_frames(&self) -> bool {
        matches!(self.form, Form::Frames | Form::Json)
    }

    /// From now on `printer` writes, instead of standard output directly.
    pub(crate) fn set_printer(&mut self, printer: Printer) {
        self.printer = Some(printer);
    }

    /// Takes the printer back.
    pub(crate) fn take_printer(&mut self) -> Option<Printer> {
        self.printer.take()
    }

    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        if let Some(printer) = &mut self.printer
            && (printer.print)(String::from_utf8_lossy(text).into_owned()).is_ok()
        {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        out.write_all(text)?;
        out.flush()
    }

    /// The time since the start, and that of day.
    fn now(&self) -> (Duration, Duration) {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        (self.start.elapsed(), wall)
    }

    /// Shows a message that has come, or a frame with a part of one.
    pub(crate) fn received(&mut self, op: Op, fin: bool, is_text: bool, payload: &[u8]) -> io::Result<()> {
        let head = self.head_of(op, fin);
        match self.form {
            Form::Raw => self.write(&[payload, b"\n"].concat()),
            Form::Messages => {
                let seconds = self.timings.then(|| self.start.elapsed());
                self.write(text::message(seconds, is_text, payload, self.is_colored).as_bytes())
            }
            Form::Frames | Form::Json => {
                let head = head.unwrap_or(Head { op, fin, rsv1: false, wire: payload.len() as u64 });
                self.frame(Frame { direction: Direction::In, head, is_text, payload })
            }
        }
    }

    /// Shows a ping or a pong that has come.
    pub(crate) fn received_control(&mut self, op: Op, payload: &[u8]) -> io::Result<()> {
        if !self.shows_frames() {
            return Ok(());
        }
        self.received(op, true, str::from_utf8(payload).is_ok(), payload)
    }

    /// Notes what was sent, until it is on the wire.
    pub(crate) fn sent(&mut self, op: Op, payload: &[u8]) {
        if self.shows_frames() {
            self.outgoing.push_back((op, payload.to_owned()));
        }
    }

    /// Takes note of what has passed over the wire. Of the server's frames the payloads come later.
    pub(crate) fn observe(&mut self, event: &WireEvent) -> io::Result<()> {
        match event {
            WireEvent::Head { by, lines, .. } => {
                if *by == Side::Client {
                    self.incoming.clear();
                }
                self.head(*by, lines)
            }
            WireEvent::Frame { by: Side::Server, .. } if self.shows_frames() => {
                self.incoming.push_back(event.clone());
                Ok(())
            }
            WireEvent::Frame { by: Side::Client, opcode, start, .. } if self.shows_frames() => {
                let (op, head) = (Op::of(*opcode), head(event));
                if op == Op::Close {
                    self.show_close_of_server()?;
                }
                let sent = self.outgoing.iter().position(|(sent, _)| *sent == op);
                let payload = sent.and_then(|at| self.outgoing.remove(at)).map(|(_, payload)| payload);
                let payload = payload.unwrap_or_else(|| start.clone());
                let is_text = match op {
                    Op::Text | Op::Binary => {
                        self.sends_text = op == Op::Text;
                        self.sends_text
                    }
                    Op::Continuation => self.sends_text,
                    _ => str::from_utf8(&payload).is_ok(),
                };
                self.frame(Frame { direction: Direction::Out, head, is_text, payload: &payload })
            }
            _ => Ok(()),
        }
    }

    /// Shows a request or a response.
    fn head(&mut self, by: Side, lines: &[String]) -> io::Result<()> {
        let arrow = if by == Side::Client { '>' } else { '<' };
        match self.form {
            Form::Json => {
                let event = if by == Side::Client { "request" } else { "response" };
                self.event(Event { lines: Some(lines), ..Event::new(event) })
            }
            Form::Frames | Form::Messages if self.shows_handshake => {
                lines.iter().try_for_each(|line| self.note(format_args!("{arrow} {}", sanitized(line))))
            }
            Form::Frames if by == Side::Server => {
                lines.iter().try_for_each(|line| self.note(format_args!("{arrow} {}", sanitized(line))))
            }
            _ => Ok(()),
        }
    }

    /// Shows the close frame of the server, unless it was shown, and forgets what was not delivered before it.
    pub(crate) fn show_close_of_server(&mut self) -> io::Result<()> {
        let close = self.incoming.iter().find(|event| head(event).op == Op::Close).cloned();
        let Some(event) = close else { return Ok(()) };
        self.incoming.clear();
        let WireEvent::Frame { start, .. } = &event else { return Ok(()) };
        self.frame(Frame { direction: Direction::In, head: head(&event), is_text: false, payload: start })
    }

    /// The head of the next frame of the server, which must be of this kind.
    fn head_of(&mut self, op: Op, fin: bool) -> Option<Head> {
        while let Some(event) = self.incoming.pop_front() {
            let head = head(&event);
            if head.op == op && head.fin == fin {
                return Some(head);
            }
        }
        None
    }

    fn frame(&mut self, frame: Frame<'_>) -> io::Result<()> {
        let (since, wall) = self.now();
        match self.form {
            Form::Json => self.line(&Record::of_frame(since, wall, frame)),
            _ => self.write(text::frame(since, wall, frame, self.is_colored).as_bytes()),
        }
    }

    /// Shows what is neither a message nor a frame: to people at a terminal or with `--verbose` or `--handshake`.
    pub(crate) fn note(&mut self, text: impl std::fmt::Display) -> io::Result<()> {
        if matches!(self.form, Form::Raw | Form::Json) {
            return Ok(());
        }
        let note = text::note(text, self.is_colored);
        self.write(note.as_bytes())
    }

    /// As [`note`](Self::note), with `--verbose` alone.
    pub(crate) fn detail(&mut self, text: impl std::fmt::Display) -> io::Result<()> {
        if self.form == Form::Frames { self.note(text) } else { Ok(()) }
    }

    /// Prints an event of the connection as JSON, if that is the form.
    pub(crate) fn event(&mut self, mut event: Event<'_>) -> io::Result<()> {
        if self.form != Form::Json {
            return Ok(());
        }
        event.at(self.now());
        self.line(&event)
    }

    /// Prints a result for programs: text, or JSON that is indented at a terminal.
    pub(crate) fn result(&mut self, json: &str) -> io::Result<()> {
        let text = json::pretty(json, self.is_colored).unwrap_or_else(|| json.to_owned());
        self.write(format!("{text}\n").as_bytes())
    }

    fn line(&mut self, value: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        self.write(&line)
    }
}

/// What a frame's header says; of anything else, nothing.
fn head(event: &WireEvent) -> Head {
    let WireEvent::Frame { by, fin, rsv, opcode, len, .. } = event else {
        return Head { op: Op::Unknown, fin: true, rsv1: false, wire: 0 };
    };
    // RFC 6455 section 5.2.
    let extended = match len {
        0..126 => 0,
        126..65536 => 2,
        _ => 8,
    };
    let mask = if *by == Side::Client { 4 } else { 0 };
    Head { op: Op::of(*opcode), fin: *fin, rsv1: rsv & 4 != 0, wire: 2 + extended + mask + len }
}
