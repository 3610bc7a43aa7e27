//! What callbacks were told, one line an event.

use std::cell::RefCell;
use std::rc::Rc;

use websocket_app::{Closed, Error, Message, Outcome, Side, UpgradeError, WebSocketApp};

/// A list of lines that clones share.
#[derive(Clone, Default, Debug)]
pub struct Log(Rc<RefCell<Vec<String>>>);

impl Log {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// An app whose callbacks write here, but for those that a test then sets itself: `open`, `reconnect`, `text hi`, `binary 3 bytes`, `ping x`,
    /// `pong x`, `drain`, and the lines of [`error_line`] and [`close_line`].
    pub fn app(&self, url: impl Into<String>) -> WebSocketApp {
        let [open, reconnect, message, ping, pong, drain, error, close] =
            std::array::from_fn(|_| self.clone());
        WebSocketApp::new(url)
            .on_open(move |_, _| open.push("open"))
            .on_reconnect(move |_, _| reconnect.push("reconnect"))
            .on_message(move |_, it| message.message(it))
            .on_ping(move |_, payload| ping.push(format!("ping {}", String::from_utf8_lossy(payload))))
            .on_pong(move |_, payload, _| pong.push(format!("pong {}", String::from_utf8_lossy(payload))))
            .on_drain(move |_| drain.push("drain"))
            .on_error(move |_, it| error.push(error_line(it)))
            .on_close(move |_, it| close.push(close_line(it)))
    }

    /// Adds a line.
    pub fn push(&self, line: impl Into<String>) {
        self.0.borrow_mut().push(line.into());
    }

    /// Adds the line of a message.
    pub fn message(&self, message: Message<'_>) {
        self.push(match message {
            Message::Text(text) => format!("text {text}"),
            Message::Binary(bytes) => format!("binary {} bytes", bytes.len()),
            Message::UncheckedText(bytes) => format!("unchecked {} bytes", bytes.len()),
        });
    }

    /// All lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.0.borrow().clone()
    }

    /// All lines so far, which are then forgotten.
    pub fn take(&self) -> Vec<String> {
        self.0.take()
    }

    /// Whether this very line is there.
    pub fn has(&self, line: &str) -> bool {
        self.count(|it| it == line) > 0
    }

    /// How many lines are such.
    pub fn count(&self, such: impl Fn(&str) -> bool) -> usize {
        self.0.borrow().iter().filter(|line| such(line)).count()
    }
}

/// `error ` and what it was, as far as it does not depend on the system.
pub fn error_line(error: &Error) -> String {
    format!("error {}", name(error))
}

/// `close`, then code, reason, who began, whether it was clean, and the failure, as far as there are any:
/// `close 1000 bye, by server, clean`; then whether another attempt follows: `, retry in 1s`.
pub fn close_line(closed: &Closed<'_>) -> String {
    let mut line = String::from("close");
    if let Some(code) = closed.code {
        line += &format!(" {} {}", u16::from(code), closed.reason);
    }
    let mut line = line.trim_end().to_owned();
    match closed.by {
        Some(Side::Client) => line += ", by client",
        Some(Side::Server) => line += ", by server",
        None => {}
    }
    if closed.clean {
        line += ", clean";
    }
    if let Some(error) = closed.error {
        line += &format!(": {}", name(error));
    }
    if let Some(delay) = closed.retry_in {
        line += &format!(", retry in {delay:?}");
    }
    line
}

/// `clean 1000 bye, by Server`, `lost EndOfStream` or `stopped`.
pub fn outcome_line(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Clean { code, reason, by, .. } => {
            let code = code.map_or_else(|| "none".to_owned(), |code| u16::from(code).to_string());
            format!("{}, by {by:?}", format!("clean {code} {reason}").trim_end())
        }
        Outcome::Lost(error) => format!("lost {}", name(error)),
        Outcome::Stopped => "stopped".to_owned(),
        other => format!("{other:?}"),
    }
}

fn name(error: &Error) -> String {
    match error {
        Error::Resolve { host, source, .. } => format!("Resolve({host}, {:?})", source.kind()),
        Error::Connect { source, .. } => format!("Connect({:?})", source.kind()),
        Error::Io(source) => format!("Io({:?})", source.kind()),
        Error::Upgrade(UpgradeError::Status { response, .. }) => {
            format!("Upgrade(Status {})", response.status.as_u16())
        }
        Error::Upgrade(UpgradeError::NotHttp) => "Upgrade(NotHttp)".to_owned(),
        Error::Upgrade(UpgradeError::Tls) => "Upgrade(Tls)".to_owned(),
        Error::NoResponse { source: None, .. } => "NoResponse".to_owned(),
        Error::NoResponse { source: Some(source), .. } => format!("NoResponse({:?})", source.kind()),
        Error::Upgrade(UpgradeError::EndOfStream) => "Upgrade(EndOfStream)".to_owned(),
        Error::Upgrade(error) => format!("Upgrade({error:?})"),
        Error::Url(error) => format!("Url({error:?})"),
        Error::Header(error) => format!("Header({error:?})"),
        Error::Request(error) => format!("Request({error:?})"),
        Error::Proxy(error) => format!("Proxy({error:?})"),
        Error::ProxyStream { proxy, source, .. } => format!("ProxyStream({proxy}, {:?})", source.kind()),
        Error::ProxyEnvironment(error) => format!("ProxyEnvironment({error:?})"),
        Error::Redirect(error) => format!("Redirect({error:?})"),
        Error::Protocol(error) => format!("Protocol({error:?})"),
        Error::Tls(error) => format!("Tls({error:?})"),
        Error::TlsOptions(error) => format!("TlsOptions({error:?})"),
        Error::Timeout(timeout) => format!("Timeout({timeout:?})"),
        Error::EndOfStream => "EndOfStream".to_owned(),
        Error::Callback(error) => format!("Callback({error})"),
        Error::CallbackPanicked(message) => format!("CallbackPanicked({message:?})"),
        Error::Successor(error) => format!("Successor({})", name(error)),
        other => other.to_string(),
    }
}
