//! Running: from a URL, options and callbacks to an app on a reactor, and back.

use std::any::Any;
use std::io;

use websocket_dispatcher::{Dispatcher, MioDispatcher, Wait};

use super::WebSocketApp;
use crate::apps::{App, Apps, Handler};
use crate::attempts::Attempts;
use crate::callbacks::Callbacks;
use crate::error::Error;
use crate::headers;
use crate::id::AppId;
use crate::options::RunOptions;
use crate::outcome::Outcome;
use crate::plan::{Extras, Plan};
use crate::reactor::Reactor;
use crate::reconnect::ReconnectError;
use crate::threads::{Mailbox, Outbox, ReactorHandle, Sender};

impl WebSocketApp {
    /// Returns a handle on this app for other threads. A close through it before the app runs takes effect
    /// when the app runs.
    pub fn sender(&mut self) -> Sender {
        Sender(self.outbox.get_or_insert_with(|| Outbox::new(Mailbox::new())).mailbox().clone())
    }

    /// Returns the handler that the app was made [with](Self::with_handler), with the state that its runs have left
    /// in it. `None` if it is not an `H`, and for an app of closures.
    ///
    /// ```
    /// use websocket_app::{CallbackResult, Context, Handler, Message, RunOptions, WebSocketApp};
    /// # let server = websocket_testkit::server::EchoServer::start()?;
    /// # let url = server.url();
    ///
    /// #[derive(Default)]
    /// struct Recorder {
    ///     texts: Vec<String>,
    /// }
    ///
    /// impl Handler for Recorder {
    ///     fn on_open(&mut self, app: &mut Context<'_>, _open: &websocket_app::Open<'_>) -> CallbackResult {
    ///         Ok(app.send_text("to be recorded")?)
    ///     }
    ///
    ///     fn on_message(&mut self, app: &mut Context<'_>, message: Message<'_>) -> CallbackResult {
    ///         self.texts.push(String::from_utf8_lossy(message.as_bytes()).into_owned());
    ///         app.close();
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let mut app = WebSocketApp::with_handler(url, Recorder::default());
    /// app.run_forever(&RunOptions::new())?.into_result()?;
    /// let recorder = app.into_handler::<Recorder>().expect("the app was made with a Recorder");
    /// assert_eq!(recorder.texts, ["to be recorded"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_handler<H: Handler>(self) -> Option<H> {
        let handler: Box<dyn Any> = self.handler?;
        handler.downcast().ok().map(|handler| *handler)
    }

    /// Calls `build` with the app and a [`Sender`] for it, so that callbacks and threads can be given clones of it while the app
    /// is built.
    ///
    /// ```
    /// use std::thread;
    /// use websocket_app::WebSocketApp;
    ///
    /// let app = WebSocketApp::new("ws://127.0.0.1:9001/").with_sender(|app, sender| {
    ///     app.on_message(move |_, message| {
    ///         let (sender, job) = (sender.clone(), message.as_bytes().to_vec());
    ///         thread::spawn(move || sender.send_text(format!("{} bytes are done", job.len())));
    ///     })
    /// });
    /// # let _ = app;
    /// ```
    #[must_use]
    pub fn with_sender(mut self, build: impl FnOnce(Self, Sender) -> Self) -> Self {
        let sender = self.sender();
        build(self, sender)
    }

    /// The attempts of the last [`run_forever`](Self::run_forever).
    pub const fn attempts(&self) -> Attempts {
        self.attempts
    }

    /// Runs the app on its own reactor and blocks until it has ended. It can be run again afterwards.
    ///
    /// # Errors
    /// A URL, headers or options that cannot be used, before any I/O. [`Error::Dispatcher`] when the event
    /// loop cannot be opened or breaks. A connection that fails is not an error here but an [`Outcome`].
    pub fn run_forever(&mut self, options: &RunOptions) -> Result<Outcome, Error> {
        // First what is wrong with the app: then nothing is opened.
        let app = self.build(options)?;
        self.run_alone(app, MioDispatcher::new())
    }

    /// As [`run_forever`](Self::run_forever), on your dispatcher instead of mio's poll.
    ///
    /// It serves this one run. To run many apps on one dispatcher, make a [`Reactor`] of it and use
    /// [`run_on`](Self::run_on).
    ///
    /// ```
    /// use websocket_app::dispatcher::MioDispatcher; // or any other that may be blocked in
    /// use websocket_app::{RunOptions, WebSocketApp};
    /// # let server = websocket_testkit::server::EchoServer::start()?;
    /// # let url = server.url();
    ///
    /// let outcome = WebSocketApp::new(url)
    ///     .on_open(|app, _| app.close())
    ///     .run_forever_on(MioDispatcher::new()?, &RunOptions::new())?;
    /// assert!(!outcome.is_error());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`run_forever`](Self::run_forever).
    pub fn run_forever_on<D: Wait>(&mut self, dispatcher: D, options: &RunOptions) -> Result<Outcome, Error> {
        let app = self.build(options)?;
        self.run_alone(app, Ok(dispatcher))
    }

    fn run_alone<D: Wait>(&mut self, app: Box<App>, dispatcher: io::Result<D>) -> Result<Outcome, Error> {
        let (outcome, app) = match dispatcher.map_err(Error::Dispatcher).and_then(Reactor::with_dispatcher) {
            Ok(reactor) => reactor.run_alone(app),
            Err(error) => (Err(error), Some(app)),
        };
        if let Some(app) = app {
            self.restore(*app);
        }
        outcome
    }

    /// Puts the app on `reactor` and returns at once; it begins to connect in the reactor's next turn.
    ///
    /// # Errors
    /// A URL, headers or options that cannot be used, before any I/O.
    pub fn run_on<D: Dispatcher>(
        self,
        reactor: &mut Reactor<D>,
        options: &RunOptions,
    ) -> Result<AppId, Error> {
        reactor.apps().add(self, options)
    }

    /// Checks everything that can be checked, then moves what the run needs into an app for a reactor.
    fn build(&mut self, options: &RunOptions) -> Result<Box<App>, Error> {
        let extras = Extras {
            headers: self.headers.clone()?,
            cookie: self.cookie.as_deref().map(|cookie| headers::value("Cookie", cookie)).transpose()?,
            subprotocols: self.subprotocols.clone(),
            ..Extras::default()
        };
        if self.stream.is_some() && options.connect.reconnect.is_some() {
            return Err(ReconnectError::OneSocket.into());
        }
        let mut plan = Plan::new(&self.url, extras, options)?;
        plan.extras(|extras| &mut extras.jar, self.jar.clone());
        plan.set_functions(std::mem::take(&mut self.functions));
        plan.extras(|extras| &mut extras.mask_key, self.mask_key.take());
        plan.extras(|extras| &mut extras.mask_failure, self.mask_failure.take());
        plan.extras(|extras| &mut extras.stream, self.stream.take());
        let handler = self.handler.take().unwrap_or_else(|| Box::new(std::mem::take(&mut self.callbacks)));
        Ok(App::new(handler, plan, self.outbox.take()))
    }

    /// Takes back what [`build`](Self::build) moved, for the next run.
    fn restore(&mut self, app: App) {
        let (handler, plan, outbox, attempts) = app.into_parts();
        self.attempts = attempts;
        self.outbox = outbox;
        (self.functions, self.mask_key, self.mask_failure) = plan.into_functions();
        if (&*handler as &dyn Any).is::<Callbacks>() {
            if let Ok(callbacks) = (handler as Box<dyn Any>).downcast() {
                self.callbacks = *callbacks;
            }
        } else {
            self.handler = Some(handler);
        }
    }
}

impl Apps {
    /// Adds an app, which begins to connect in the next turn.
    ///
    /// # Errors
    /// An [`Error`] about the URL, a header or an option. There was no I/O, and no callback is called.
    pub fn add(&mut self, mut app: WebSocketApp, options: &RunOptions) -> Result<AppId, Error> {
        Ok(self.insert(app.build(options)?))
    }
}

impl ReactorHandle {
    /// Adds the app that `make` returns on the reactor's thread; callbacks need not be `Send`. If the app is
    /// refused, `refused` is called there with the reason.
    ///
    /// The sender is returned at once: what it is asked for before the app is there is done when the app runs, and it says that
    /// the app has ended if it was refused, or if the reactor is gone.
    pub fn add(
        &self,
        options: RunOptions,
        make: impl FnOnce() -> WebSocketApp + Send + 'static,
        refused: impl FnOnce(Error) + Send + 'static,
    ) -> Sender {
        let outbox = Outbox::new(Mailbox::new());
        let sender = Sender(outbox.mailbox().clone());
        self.run(move |apps| {
            let mut app = make();
            match &app.outbox {
                Some(own) => outbox.mailbox().succeed(own.mailbox()),
                None => app.outbox = Some(outbox),
            }
            if let Err(error) = apps.add(app, &options) {
                refused(error);
            }
        });
        sender
    }
}

impl Sender {
    /// Adds another app to the same reactor, as [`ReactorHandle::add`]. Nothing happens, and there is no sender, when this app
    /// does not run.
    pub fn add(
        &self,
        options: RunOptions,
        make: impl FnOnce() -> WebSocketApp + Send + 'static,
        refused: impl FnOnce(Error) + Send + 'static,
    ) -> Option<Sender> {
        Some(self.reactor()?.add(options, make, refused))
    }
}
