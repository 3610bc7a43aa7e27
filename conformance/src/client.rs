//! The client under test. The rest of the runner knows it by the [`Client`] trait alone.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::rc::Rc;

use websocket_app::{Message, Outcome, RunOptions, WebSocketApp};

/// The dispatchers that [`new`] knows, the default first.
pub(crate) const DISPATCHERS: [&str; 1] = ["mio"];

/// What the suite asks of a client.
pub(crate) trait Client {
    /// Connects, and returns the first text message.
    fn fetch(&mut self, url: &str) -> Result<String, Box<dyn Error>>;

    /// Connects, sends every text and binary message back, and returns once the connection is closed. How it
    /// closed is for the suite to judge: only a connection that never opened is an error.
    fn echo(&mut self, url: &str) -> Result<(), Box<dyn Error>>;
}

/// The client on the dispatcher of that name, which is one of [`DISPATCHERS`], with these options.
pub(crate) fn new(_dispatcher: &str, options: RunOptions) -> Box<dyn Client> {
    Box::new(App(options))
}

struct App(RunOptions);

impl Client for App {
    fn fetch(&mut self, url: &str) -> Result<String, Box<dyn Error>> {
        let first = Rc::new(RefCell::new(None));
        let store = first.clone();
        let outcome = WebSocketApp::new(url)
            .on_message(move |_, message| {
                store
                    .borrow_mut()
                    .get_or_insert_with(|| String::from_utf8_lossy(message.as_bytes()).into_owned());
            })
            .run_forever(&self.0)?;
        first.take().ok_or_else(|| format!("no message before the end: {outcome:?}").into())
    }

    fn echo(&mut self, url: &str) -> Result<(), Box<dyn Error>> {
        let opened = Rc::new(Cell::new(false));
        let open = opened.clone();
        let outcome = WebSocketApp::new(url)
            .on_open(move |_, _| open.set(true))
            .on_message(|app, message| match message {
                Message::Text(text) => app.send_text(text),
                Message::Binary(bytes) | Message::UncheckedText(bytes) => app.send_bytes(bytes),
            })
            .on_error(|_, _| {})
            .run_forever(&self.0)?;
        match outcome {
            Outcome::Lost(error) if !opened.get() => Err(error.into()),
            _ => Ok(()),
        }
    }
}
