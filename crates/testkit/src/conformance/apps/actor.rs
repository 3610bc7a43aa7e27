//! An app that writes down what happens to it.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use websocket_app::{CallbackResult, Closed, Context, Error, Handler, Message, Open, Outcome};

/// The events of all apps of a stage, in their order.
#[derive(Clone, Default)]
pub(super) struct Log(Rc<RefCell<Vec<(&'static str, String)>>>);

impl Log {
    pub(super) fn note(&self, app: &'static str, event: impl Into<String>) {
        self.0.borrow_mut().push((app, event.into()));
    }

    /// The events of one app.
    pub(super) fn of(&self, app: &str) -> Vec<String> {
        self.0.borrow().iter().filter(|(of, _)| *of == app).map(|(_, event)| event.clone()).collect()
    }

    pub(super) fn has(&self, app: &str, event: &str) -> bool {
        self.count(app, event) > 0
    }

    /// How many events of one app begin like that.
    pub(super) fn count(&self, app: &str, event: &str) -> usize {
        self.0.borrow().iter().filter(|(of, what)| *of == app && what.starts_with(event)).count()
    }

    pub(super) fn forget(&self, app: &str) {
        self.0.borrow_mut().retain(|(of, _)| *of != app);
    }

    pub(super) fn len(&self) -> usize {
        self.0.borrow().len()
    }

    pub(super) fn names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.0.borrow().iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// The last events of an app whose server says bye, which has it close.
pub(super) const GOODBYE: [&str; 3] =
    ["text bye", "closed Some(1000) by Some(Client), clean: true, again: false", "end, clean by Client"];

/// What an app does about an event, after it was written down.
pub(super) type React = Box<dyn FnMut(&mut Context<'_>, &str)>;

pub(super) struct Actor {
    pub(super) name: &'static str,
    pub(super) log: Log,
    pub(super) react: React,
}

impl Actor {
    /// Notes something that does not come from the app.
    pub(super) fn note(&self, event: &str) {
        self.log.note(self.name, event);
    }

    fn event(&mut self, app: &mut Context<'_>, event: &str) -> CallbackResult {
        self.log.note(self.name, event);
        // What every server can ask of every app.
        if event == "text bye" {
            app.close();
        }
        (self.react)(app, event);
        Ok(())
    }
}

impl Handler for Actor {
    fn on_open(&mut self, app: &mut Context<'_>, open: &Open<'_>) -> CallbackResult {
        let successor = if open.is_successor { ", successor" } else { "" };
        let event = format!("open {}{successor}", open.attempts.started);
        self.event(app, &event)
    }

    fn on_reconnect(&mut self, app: &mut Context<'_>, _: &Open<'_>) -> CallbackResult {
        self.event(app, "reconnect")
    }

    fn on_message(&mut self, app: &mut Context<'_>, message: Message<'_>) -> CallbackResult {
        let mut event = match message.as_text() {
            Some(text) => format!("text {text}"),
            None => format!("binary {} {:08x}", message.len(), checksum(message.as_bytes())),
        };
        if app.is_from_predecessor() {
            event.push_str(", from the predecessor");
        }
        self.event(app, &event)
    }

    fn on_ping(&mut self, app: &mut Context<'_>, payload: &[u8]) -> CallbackResult {
        let event = format!("ping {}", payload.escape_ascii());
        self.event(app, &event)
    }

    fn on_pong(&mut self, app: &mut Context<'_>, _: &[u8], rtt: Option<Duration>) -> CallbackResult {
        let event = if rtt.is_some() { "pong" } else { "pong unasked" };
        self.event(app, event)
    }

    fn on_drain(&mut self, app: &mut Context<'_>) -> CallbackResult {
        self.event(app, "drained")
    }

    fn on_error(&mut self, app: &mut Context<'_>, error: &Error) -> CallbackResult {
        let event = format!("error {}", name(error));
        self.event(app, &event)
    }

    fn on_close(&mut self, app: &mut Context<'_>, closed: &Closed<'_>) -> CallbackResult {
        let Closed { code, by, clean, retry_in, .. } = closed;
        let event = format!(
            "closed {:?} by {by:?}, clean: {clean}, again: {}",
            code.map(u16::from),
            retry_in.is_some()
        );
        self.event(app, &event)
    }

    fn on_end(&mut self, app: &mut Context<'_>, outcome: &Outcome) -> CallbackResult {
        let event = match outcome {
            Outcome::Lost(error) => format!("end, lost: {}", name(error)),
            Outcome::Clean { by, .. } => format!("end, clean by {by:?}"),
            outcome => format!("end, {outcome:?}"),
        };
        self.event(app, &event)
    }
}

/// What to call an error, whose words differ from system to system.
fn name(error: &Error) -> String {
    match error {
        Error::Io(error) | Error::NoResponse { source: Some(error), .. } if is_reset(error) => {
            "reset".to_owned()
        }
        error => error.to_string(),
    }
}

fn is_reset(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe
    )
}

/// Tells payloads apart, and their order.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(1, |sum: u32, byte| sum.rotate_left(5) ^ u32::from(*byte).wrapping_add(sum))
}
