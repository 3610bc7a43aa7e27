//! The events of the connection.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use websocket_app::{
    CallbackResult, Closed, Context, Error, Fragment, Handler, Kind, Message, NoRetry, Open, Outcome, Side,
    UpgradeError,
};

use crate::arguments::Arguments;
use crate::conditions::Conditions;
use crate::exit::{self, Exit};
use crate::handshake;
use crate::input::{self, Lines};
use crate::jsonrpc::Call;
use crate::keyboard;
use crate::output::{Event, Op, Output, sanitized};
use crate::rtt::RoundTrips;

/// One run. It is shared between the callbacks of the connection, the input and timers.
#[derive(Clone)]
pub(crate) struct Session(pub(crate) Rc<RefCell<State>>);

pub(crate) struct State {
    pub(crate) arguments: Arguments,
    pub(crate) output: Output,
    /// How the run ends, once that is decided.
    pub(crate) exit: Option<Exit>,
    pub(crate) conditions: Conditions,
    pub(crate) call: Option<Call>,
    pub(crate) round_trips: Option<RoundTrips>,
    /// What is to be sent, one after the other.
    pub(crate) sends: VecDeque<Vec<u8>>,
    /// What was read and is to be sent.
    pub(crate) lines: Lines,
    /// The input has been opened.
    is_reading: bool,
    pub(crate) is_at_keyboard: bool,
    /// The message that was waited for has come: others are not shown.
    has_enough: bool,
    /// Messages that were sent.
    pub(crate) sent: u64,
    /// When a message was sent or has come.
    pub(crate) last_message: Instant,
    /// The input has ended, and the answers end the run.
    pub(crate) awaits_answers: bool,
    /// The bytes of a fragment, where messages are sent in fragments.
    pub(crate) fragment: Option<usize>,
    pub(crate) is_paused: bool,
    /// A message whose fragments are shown as they come.
    partial: Vec<u8>,
}

impl Session {
    pub(crate) fn new(arguments: Arguments, sends: VecDeque<Vec<u8>>, output: Output) -> Self {
        let is_at_keyboard = output.lock().is_at_keyboard();
        Self(Rc::new(RefCell::new(State {
            exit: None,
            conditions: Conditions::new(&arguments),
            call: Call::new(&arguments.jsonrpc),
            round_trips: arguments.rtt.then(RoundTrips::default),
            sends,
            lines: Lines::default(),
            is_reading: false,
            is_at_keyboard,
            has_enough: false,
            sent: 0,
            last_message: Instant::now(),
            awaits_answers: false,
            fragment: None,
            is_paused: false,
            partial: Vec::new(),
            output,
            arguments,
        })))
    }

    /// The session of an app, where the code that runs is not its own.
    pub(crate) fn of(app: &mut Context<'_>) -> Option<Self> {
        app.handler_mut::<Self>().map(|session| session.clone())
    }

    /// Takes the end that was decided.
    pub(crate) fn take_exit(&self) -> Option<Exit> {
        self.0.borrow_mut().exit.take()
    }

    /// Starts to read what is to be sent, once per run.
    fn start_input(&self, app: &mut Context<'_>) -> io::Result<()> {
        {
            let mut state = self.0.borrow_mut();
            let instead = !state.arguments.send.is_empty() || state.call.is_some();
            if std::mem::replace(&mut state.is_reading, true) {
                return Ok(());
            }
            if instead || (state.round_trips.is_some() && !state.is_at_keyboard) {
                state.lines.push(b"");
                return Ok(());
            }
            if state.is_at_keyboard {
                let url = (!state.arguments.no_history).then(|| state.arguments.url());
                let greeting =
                    "connected; each line is sent as a message, /help shows commands, Ctrl-D closes";
                state.output.lock().note(greeting)?;
                let printer = keyboard::start(app.id(), app.apps().handle(), url)?;
                state.output.lock().set_printer(printer);
                return Ok(());
            }
        }
        input::start(app)
    }
}

impl State {
    fn opened(&mut self, app: &mut Context<'_>, open: &Open<'_>) -> CallbackResult {
        self.last_message = app.now();
        self.is_paused = false;
        let phases = app.stats().phases;
        let mut output = self.output.lock();
        let event = Event {
            url: Some(open.url.to_string()),
            status: Some(open.response.status.as_u16()),
            phases: Some(phases.into()),
            ..Event::new("open")
        };
        output.event(event)?;
        if self.arguments.handshake {
            handshake::lines(app, open, &phases).iter().try_for_each(|line| output.note(line))?;
        } else {
            output.detail(format_args!("open: {}", open.response.status))?;
        }
        Ok(())
    }

    /// A whole message has come.
    fn message(&mut self, app: &mut Context<'_>, payload: &[u8]) -> CallbackResult {
        self.last_message = app.now();
        if let Some(call) = &self.call
            && let Some(answer) = call.answer(payload)
        {
            let end = match answer {
                Ok(result) => {
                    self.output.lock().result(&result)?;
                    Exit::Done
                }
                Err(error) => Exit::Unmet(sanitized(&error)),
            };
            self.has_enough = true;
            self.finish(app, end);
        }
        if self.round_trips.is_none()
            && let Some(end) = self.conditions.message(payload)
        {
            self.has_enough = true;
            self.finish(app, end);
        }
        self.look_for_answers(app);
        Ok(())
    }

    /// The end that the run has if nothing has decided it before.
    fn ended(&mut self, outcome: &Outcome) -> Exit {
        let exit = match outcome {
            Outcome::Clean { .. } if self.arguments.until_close => Exit::Done,
            outcome => Exit::of(outcome),
        };
        match exit {
            Exit::Done if self.call.is_some() => {
                Exit::Unmet("the connection has ended without an answer".into())
            }
            Exit::Done if self.round_trips.is_none() => self.conditions.end(),
            exit => exit,
        }
    }
}

impl Handler for Session {
    fn on_open(&mut self, app: &mut Context<'_>, open: &Open<'_>) -> CallbackResult {
        self.0.borrow_mut().opened(app, open)?;
        self.start_input(app)?;
        self.begin_sending(app);
        Ok(())
    }

    fn on_message(&mut self, app: &mut Context<'_>, message: Message<'_>) -> CallbackResult {
        let mut state = self.0.borrow_mut();
        if state.has_enough {
            return Ok(());
        }
        let (payload, is_text) = (message.as_bytes(), message.kind() == Kind::Text);
        // A call shows its result.
        if state.call.is_none() || state.output.lock().shows_frames() {
            state.output.lock().received(message.kind().into(), true, is_text, payload)?;
        }
        state.message(app, payload)
    }

    fn wants_data(&self) -> bool {
        false
    }

    fn wants_fragments(&self) -> bool {
        self.0.borrow().output.lock().shows_frames()
    }

    fn on_cont_message(&mut self, app: &mut Context<'_>, fragment: Fragment<'_>) -> CallbackResult {
        let mut state = self.0.borrow_mut();
        if state.has_enough {
            return Ok(());
        }
        let op = if fragment.first { fragment.kind.into() } else { Op::Continuation };
        let is_text = fragment.kind == Kind::Text;
        state.output.lock().received(op, fragment.last, is_text, fragment.payload)?;
        state.partial.extend_from_slice(fragment.payload);
        if fragment.last {
            let message = std::mem::take(&mut state.partial);
            state.message(app, &message)?;
        }
        Ok(())
    }

    fn on_ping(&mut self, _: &mut Context<'_>, payload: &[u8]) -> CallbackResult {
        Ok(self.0.borrow().output.lock().received_control(Op::Ping, payload)?)
    }

    fn on_pong(&mut self, app: &mut Context<'_>, payload: &[u8], rtt: Option<Duration>) -> CallbackResult {
        let mut state = self.0.borrow_mut();
        state.output.lock().received_control(Op::Pong, payload)?;
        let Some(rtt) = rtt else { return Ok(()) };
        if let Some(round_trips) = &mut state.round_trips {
            let line = round_trips.pong(rtt);
            let is_enough = state.arguments.count.is_some_and(|count| state.pongs() >= count);
            state.output.lock().note(line)?;
            if is_enough {
                state.finish(app, Exit::Done);
            }
        } else {
            state.output.lock().detail(format_args!("round trip: {rtt:.1?}"))?;
        }
        Ok(())
    }

    fn on_error(&mut self, app: &mut Context<'_>, error: &Error) -> CallbackResult {
        let mut state = self.0.borrow_mut();
        match error {
            // The output is gone, or the input never came: there is nothing left to do here.
            Error::Callback(error) => {
                let cause = error.downcast_ref::<io::Error>().map(io::Error::kind);
                let is_broken = cause == Some(io::ErrorKind::BrokenPipe);
                state.finish(app, if is_broken { Exit::Done } else { Exit::Closed(error.to_string()) });
            }
            Error::Upgrade(UpgradeError::Status { body, .. }) => {
                state.output.lock().detail(sanitized(&String::from_utf8_lossy(body)))?;
            }
            _ => {}
        }
        Ok(())
    }

    fn on_close(&mut self, app: &mut Context<'_>, closed: &Closed<'_>) -> CallbackResult {
        let mut state = self.0.borrow_mut();
        state.partial.clear();
        let mut output = state.output.lock();
        output.show_close_of_server()?;
        let error = closed.error.map(exit::text);
        let code = closed.code.map_or("no code".into(), |code| u16::from(code).to_string());
        let event = Event {
            clean: Some(closed.clean),
            error: error.clone(),
            retry_in: closed.retry_in.map(|delay| delay.as_secs_f64()),
            ..Event::new("closed")
        };
        output.event(event)?;
        if closed.by.is_some() && (state.is_at_keyboard || state.arguments.verbose > 0) {
            let by = if closed.by == Some(Side::Server) { "the server" } else { "this side" };
            let colon = if closed.reason.is_empty() { "" } else { ": " };
            output.note(format_args!("closed by {by} with {code}{colon}{}", sanitized(closed.reason)))?;
        }
        drop(output);
        if let Some(delay) = closed.retry_in {
            let why = error.unwrap_or_else(|| format!("closed with {code}"));
            state.complain(format_args!("{why}; connecting again in {delay:?}"))?;
        } else if let (Some(reason @ NoRetry::GaveUp), None) = (closed.no_retry, closed.error) {
            state.complain(format_args!("closed with {code}; {reason}"))?;
        }
        if let Some(round_trips) = &mut state.round_trips {
            round_trips.pings += app.stats().sent.pings;
        }
        Ok(())
    }

    fn on_end(&mut self, _: &mut Context<'_>, outcome: &Outcome) -> CallbackResult {
        let mut state = self.0.borrow_mut();
        if state.exit.is_none() {
            state.exit = Some(state.ended(outcome));
        }
        if let Some(round_trips) = &state.round_trips {
            state.output.lock().note(round_trips.summary())?;
        }
        Ok(())
    }
}
