//! From what is to be sent to messages.

use std::time::Duration;

use websocket_app::{Close, CloseCode, Context, Kind, OwnedMessage, Utf8Bytes};

use crate::arguments::InputFormat;
use crate::input::{Line, Refill};
use crate::keyboard::commands::{self, Typed};
use crate::output::{Direction, Op, Record};
use crate::session::{Session, State};

/// No more than this waits in the connection, in bytes; the rest of the input waits for it.
const AHEAD: usize = 1 << 20;

/// How long to wait for a connection that takes no more.
const PAUSE: Duration = Duration::from_millis(10);

impl Session {
    /// The connection is open: sends what is to be sent, and waits for what ends the run.
    pub(crate) fn begin_sending(&self, app: &mut Context<'_>) {
        let silence = {
            let mut state = self.0.borrow_mut();
            if let Some(text) = state.arguments.text.clone() {
                state.send_or_complain(app, text.as_bytes(), "--text");
            }
            if let Some(call) = state.call.as_ref().map(|call| call.request()) {
                state.send_or_complain(app, call.as_bytes(), "--jsonrpc");
            }
            state.arguments.until_silent
        };
        if let Some(silence) = silence {
            self.end_in_silence(app, silence, silence);
        }
        self.send_next(app);
    }

    /// Sends what was given by `--send`, then the lines of the input.
    fn send_next(&self, app: &mut Context<'_>) {
        loop {
            let mut state = self.0.borrow_mut();
            let Some(message) = state.sends.pop_front() else { break };
            state.send_or_complain(app, &message, "--send");
            let interval = state.arguments.interval;
            if !state.sends.is_empty() && !interval.is_zero() {
                let session = self.clone();
                app.set_timeout(interval, move |app| session.send_next(app));
                return;
            }
        }
        self.send_lines(app);
    }

    /// Takes what was read; nothing is the end.
    pub(crate) fn read(&self, app: &mut Context<'_>, bytes: &[u8], refill: Option<Refill>) -> Option<()> {
        {
            let mut state = self.0.borrow_mut();
            state.lines.push(bytes);
            state.lines.refill = refill;
        }
        self.send_lines(app);
        Some(())
    }

    /// Sends every line that is whole, while the connection takes them.
    fn send_lines(&self, app: &mut Context<'_>) {
        loop {
            if !app.is_open() {
                // The next connection sends what is left.
                return;
            }
            if app.sender().queued_bytes() > AHEAD {
                let session = self.clone();
                app.set_timeout(PAUSE, move |app| session.send_lines(app));
                return;
            }
            let mut state = self.0.borrow_mut();
            let Some(line) = state.lines.next() else { break };
            state.line(app, &line);
        }
        let mut state = self.0.borrow_mut();
        state.lines.refill(app.apps());
        if state.lines.have_ended() {
            drop(state);
            self.input_ended(app);
        }
    }
}

impl State {
    /// Does what a line of the input says, or says why not.
    fn line(&mut self, app: &mut Context<'_>, line: &Line) {
        let done = if self.is_at_keyboard {
            String::from_utf8(line.bytes.clone())
                .map_err(|_| "it is not UTF-8".to_owned())
                .and_then(|text| self.typed(app, commands::parse(&text)?))
        } else if self.arguments.input == InputFormat::Json {
            self.record(app, &line.bytes)
        } else {
            self.send(app, self.kind(), &line.bytes)
        };
        let Err(error) = done else { return };
        // What cannot be said is not worth the connection.
        let _unsaid = match self.is_at_keyboard {
            true => self.complain(error),
            false => self.complain(format_args!("line {} was not sent: {error}", line.number)),
        };
    }

    const fn kind(&self) -> Kind {
        if self.arguments.binary { Kind::Binary } else { Kind::Text }
    }

    fn send_or_complain(&mut self, app: &mut Context<'_>, payload: &[u8], option: &str) {
        if let Err(error) = self.send(app, self.kind(), payload) {
            let _unsaid = self.complain(format_args!("what {option} says was not sent: {error}"));
        }
    }

    /// Sends a message.
    fn send(&mut self, app: &mut Context<'_>, kind: Kind, payload: &[u8]) -> Result<(), String> {
        if let Some(len) = self.fragment {
            self.send_fragments(app, kind, payload, len)?;
        } else {
            let text = || str::from_utf8(payload).map_err(|_| "it is not UTF-8");
            if self.is_patient() {
                let message = match kind {
                    Kind::Text => OwnedMessage::Text(Utf8Bytes::from(text()?)),
                    _ => OwnedMessage::Binary(payload.to_vec().into()),
                };
                // A message that was taken is sent, though it be through the next connection.
                app.sender().send(message).map_err(|refused| refused.to_string())?;
            } else {
                let sent = match kind {
                    Kind::Text => app.send_text(text()?),
                    _ => app.send_bytes(payload),
                };
                sent.map_err(|error| error.to_string())?;
            }
            self.output.lock().sent(kind.into(), payload);
        }
        self.sent += 1;
        self.last_message = app.now();
        Ok(())
    }

    fn send_fragments(
        &self,
        app: &mut Context<'_>,
        kind: Kind,
        payload: &[u8],
        len: usize,
    ) -> Result<(), String> {
        if kind == Kind::Text && str::from_utf8(payload).is_err() {
            return Err("it is not UTF-8".into());
        }
        let mut rest = payload;
        let mut first = Some(kind);
        loop {
            let (fragment, behind) = rest.split_at(len.min(rest.len()));
            let op = first.map_or(Op::Continuation, Op::from);
            app.send_fragment(first.take(), fragment, behind.is_empty())
                .map_err(|error| error.to_string())?;
            self.output.lock().sent(op, fragment);
            if behind.is_empty() {
                return Ok(());
            }
            rest = behind;
        }
    }

    /// Does what was typed.
    fn typed(&mut self, app: &mut Context<'_>, typed: Typed<'_>) -> Result<(), String> {
        match typed {
            Typed::Message(text) => return self.send(app, self.kind(), text.as_bytes()),
            Typed::Ping(text) => app.ping(text.as_bytes()),
            Typed::Pong(text) => app.send(text, websocket_app::Opcode::Pong),
            Typed::Close(code, reason) => app.close_with(close(code, reason)?),
            Typed::Binary(path) => {
                let content = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
                return self.send(app, Kind::Binary, &content);
            }
            Typed::Fragment(bytes) => {
                self.fragment = (bytes > 0).then_some(bytes);
                let how =
                    self.fragment.map_or("whole".into(), |bytes| format!("in fragments of {bytes} bytes"));
                return self.say(format_args!("messages are sent {how}"));
            }
            Typed::Raw(bytes) => app.send_unframed(&bytes),
            Typed::Pause => {
                self.is_paused = !self.is_paused;
                if self.is_paused {
                    app.pause_reading()
                } else {
                    app.resume_reading()
                }
                return self.say(if self.is_paused { "reading is paused" } else { "reading continues" });
            }
            Typed::Stats => return self.say(stats(app)),
            Typed::Help => return self.say(commands::HELP.replace('\n', "\n* ")),
        }
        .map_err(|error| error.to_string())
    }

    fn say(&self, text: impl std::fmt::Display) -> Result<(), String> {
        self.output.lock().note(text).map_err(|error| error.to_string())
    }

    /// Sends what a line of JSON says.
    fn record(&mut self, app: &mut Context<'_>, line: &[u8]) -> Result<(), String> {
        if is_event(line) {
            return Ok(());
        }
        let record = Record::parse(line)?;
        if record.dir == Direction::In {
            return Ok(());
        }
        let payload = record.payload()?;
        let kind = match record.op {
            Op::Text => Some(Kind::Text),
            Op::Binary => Some(Kind::Binary),
            _ => None,
        };
        let sent = match (record.op, kind) {
            (_, Some(kind)) if record.fin => return self.send(app, kind, &payload),
            (Op::Continuation, _) | (_, Some(_)) => {
                self.output.lock().sent(record.op, &payload);
                self.sent += u64::from(record.fin);
                app.send_fragment(kind, &payload, record.fin)
            }
            (Op::Ping, _) => app.ping(&payload),
            (Op::Pong, _) => app.send(&payload, websocket_app::Opcode::Pong),
            (Op::Close, _) => {
                let (code, reason) = record.close();
                app.close_with(close(code, reason)?)
            }
            _ => return Err("its opcode is unknown".into()),
        };
        sent.map_err(|error| error.to_string())
    }
}

/// Whether a line of JSON is not a frame, but what has happened to the connection.
fn is_event(line: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Event {
        event: Option<serde::de::IgnoredAny>,
    }
    serde_json::from_slice::<Event>(line).is_ok_and(|line| line.event.is_some())
}

fn close(code: Option<u16>, reason: &str) -> Result<Close, String> {
    let code = code.map_or(CloseCode::Normal, CloseCode::from);
    Ok((code, reason).into())
}

/// What has passed, in numbers.
fn stats(app: &mut Context<'_>) -> String {
    let stats = app.stats();
    let line = |traffic: websocket_app::Traffic| {
        let websocket_app::Traffic { messages, payload_bytes, wire_bytes, .. } = traffic;
        format!("{messages} messages, {payload_bytes} bytes, {wire_bytes} on the wire")
    };
    let rtt = stats.rtt.last.map(|rtt| format!("; round trip: {rtt:.1?}")).unwrap_or_default();
    format!("received: {}; sent: {}{rtt}", line(stats.received), line(stats.sent))
}
