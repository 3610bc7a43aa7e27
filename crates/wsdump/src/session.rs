//! The events of the connection.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use websocket_app::{
    CallbackResult, Closed, Context, Error, Fragment, Handler, Kind, Message, NoRetry, Open, UpgradeError,
};

use crate::arguments::Arguments;
use crate::console::{Console, Shown, shown};
use crate::input::{Input, Lines};

/// What went wrong on this side of the connection.
pub(crate) type Trouble = Rc<RefCell<Option<String>>>;

pub(crate) struct Session {
    arguments: Arguments,
    console: Console,
    trouble: Trouble,
    /// Lines are read already: another connection goes on with them.
    reading: bool,
    /// What was read and is to be sent.
    pub(crate) lines: Lines,
}

impl Session {
    pub(crate) fn new(arguments: Arguments, trouble: Trouble) -> Self {
        Self {
            console: Console::new(&arguments),
            arguments,
            trouble,
            reading: false,
            lines: Lines::default(),
        }
    }
}

impl Handler for Session {
    fn on_open(&mut self, app: &mut Context<'_>, open: &Open<'_>) -> CallbackResult {
        self.console.control(format_args!("open: {}", open.response.status))?;
        for (name, value) in &open.response.headers {
            self.console.control(format_args!("{name}: {}", Shown(Kind::Text, value.as_bytes())))?;
        }
        self.console.start_prompt()?;
        if let Some(text) = &self.arguments.text {
            app.send_text(text)?;
        }
        if std::mem::replace(&mut self.reading, true) {
            return Ok(());
        }
        let (eof_wait, is_patient) = (self.arguments.eof_wait, !self.arguments.reconnect.is_zero());
        Ok(Input { eof_wait, is_patient }.start(app)?)
    }

    fn on_message(&mut self, _: &mut Context<'_>, message: Message<'_>) -> CallbackResult {
        Ok(self.console.message(message)?)
    }

    fn wants_fragments(&self) -> bool {
        self.arguments.verbose >= 2
    }

    fn on_cont_message(&mut self, _: &mut Context<'_>, fragment: Fragment<'_>) -> CallbackResult {
        let what = match (fragment.first, fragment.last) {
            (true, _) => "first fragment",
            (false, false) => "fragment",
            (false, true) => "last fragment",
        };
        Ok(self.console.payload(what, fragment.kind, fragment.payload)?)
    }

    fn on_ping(&mut self, _: &mut Context<'_>, payload: &[u8]) -> CallbackResult {
        Ok(self.console.control(format_args!("ping: {}", shown(payload)))?)
    }

    fn on_pong(&mut self, _: &mut Context<'_>, payload: &[u8], rtt: Option<Duration>) -> CallbackResult {
        let rtt = rtt.map(|rtt| format!(" after {rtt:.1?}")).unwrap_or_default();
        Ok(self.console.control(format_args!("pong: {}{rtt}", shown(payload)))?)
    }

    fn on_error(&mut self, app: &mut Context<'_>, error: &Error) -> CallbackResult {
        match error {
            // The console is gone, or the input never came: there is nothing left to do here.
            Error::Callback(error) => {
                let cause = error.downcast_ref::<io::Error>().map(io::Error::kind);
                if cause != Some(io::ErrorKind::BrokenPipe) {
                    self.trouble.borrow_mut().get_or_insert_with(|| error.to_string());
                }
                app.close();
            }
            Error::Upgrade(UpgradeError::Status { response, body }) => {
                for (name, value) in &response.headers {
                    self.console.control(format_args!("{name}: {}", Shown(Kind::Text, value.as_bytes())))?;
                }
                self.console.control(Shown(Kind::Text, body))?;
            }
            _ => {}
        }
        Ok(())
    }

    fn on_close(&mut self, _: &mut Context<'_>, closed: &Closed<'_>) -> CallbackResult {
        self.console.end_prompt()?;
        let code = closed.code.map_or("no code".into(), |code| u16::from(code).to_string());
        let colon = if closed.reason.is_empty() { "" } else { ": " };
        let reason = Shown(Kind::Text, closed.reason.as_bytes());
        self.console.control(format_args!("close with {code}{colon}{reason}"))?;
        if let Some(delay) = closed.retry_in {
            let why = closed.error.map_or_else(|| format!("closed with {code}"), Error::to_string);
            eprintln!("wsdump: {why}; connecting again in {delay:?}");
        } else if let (Some(reason @ NoRetry::GaveUp), None) = (closed.no_retry, closed.error) {
            // An error is printed by `main`.
            eprintln!("wsdump: closed with {code}; {reason}");
        }
        Ok(())
    }
}
