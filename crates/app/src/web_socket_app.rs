//! The facade: a URL, options and callbacks.

mod run;

use std::fmt;
use std::io;
use std::time::Duration;

use http::HeaderMap;
use websocket_connection::{Fragment, MaskKey, Message, Opcode, Part};
use websocket_dispatcher::Io;

use crate::apps::{Context, Handler, IntoCallbackResult, Open};
use crate::attempts::Attempts;
use crate::callbacks::Callbacks;
use crate::challenge::Challenge;
use crate::cookies::CookieJar;
use crate::error::Error;
use crate::function_result::FunctionResult;
use crate::headers::{self, HeaderError, HeaderText, ToHeaders};
use crate::outcome::{Closed, Outcome};
use crate::plan::{Functions, MaskFailure};
use crate::threads::Outbox;

/// A WebSocket client: a URL, request headers and callbacks.
///
/// The setters take `self` and return it. Nothing is checked before [`run_forever`](Self::run_forever) or
/// [`run_on`](Self::run_on), which refuse whatever cannot work before any I/O. Callbacks run on the reactor's
/// thread, get the app's [`Context`] first, and return nothing or a `Result` whose error goes to `on_error`
/// while the connection continues.
pub struct WebSocketApp {
    url: String,
    headers: Result<HeaderMap, HeaderError>,
    functions: Functions,
    cookie: Option<String>,
    jar: Option<CookieJar>,
    subprotocols: Vec<String>,
    mask_key: Option<MaskKey>,
    mask_failure: Option<MaskFailure>,
    stream: Option<Io>,
    callbacks: Callbacks,
    /// Used instead of the callbacks.
    handler: Option<Box<dyn Handler>>,
    /// Made when the first sender is.
    outbox: Option<Box<Outbox>>,
    attempts: Attempts,
}

impl WebSocketApp {
    /// An app for `url`, of the form `ws://host[:port][/path][?query]`, `wss://..` for TLS, or
    /// `ws+unix:/path/of/socket[:/path][?query]`. A user and a password in it are sent as `Basic`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            headers: Ok(HeaderMap::new()),
            functions: Functions::default(),
            cookie: None,
            jar: None,
            subprotocols: Vec::new(),
            mask_key: None,
            mask_failure: None,
            stream: None,
            callbacks: Callbacks::default(),
            handler: None,
            outbox: None,
            attempts: Attempts::default(),
        }
    }

    /// Makes an app for `url` whose events go to `handler` instead of closures.
    pub fn with_handler(url: impl Into<String>, handler: impl Handler) -> Self {
        Self { handler: Some(Box::new(handler)), ..Self::new(url) }
    }

    /// Adds a request header. Where the request has a header of this name by default, yours replaces it; headers
    /// that you add are all sent, also those with the same name. A value that is `None` leaves the header out.
    ///
    /// ```
    /// use websocket_app::WebSocketApp;
    ///
    /// let app = WebSocketApp::new("wss://feed.example/")
    ///     .header("Authorization", "Bearer token")
    ///     .header("X-Trace", std::env::var("TRACE").ok());
    /// # let _ = app;
    /// ```
    #[must_use]
    pub fn header(self, name: impl AsRef<str>, value: impl HeaderText) -> Self {
        self.headers([(name, value)])
    }

    /// Adds request headers, as [`header`](Self::header) does: a map, pairs or `"Name: value"` lines.
    #[must_use]
    pub fn headers(mut self, given: impl ToHeaders) -> Self {
        self.headers = self.headers.and_then(|mut all| {
            headers::append_all(&mut all, &given.to_headers()?)?;
            Ok(all)
        });
        self
    }

    /// Calls `headers` before every connection attempt and adds the request headers that it returns. It may return
    /// a `Result`; an error ends the attempt with [`Error::Function`], as one of the other functions that are asked
    /// for every attempt does.
    #[must_use]
    pub fn header_with<R: FunctionResult<HeaderMap>>(
        mut self,
        mut headers: impl FnMut() -> R + 'static,
    ) -> Self {
        self.functions.headers = Some(Box::new(move || headers().into_result()));
        self
    }

    /// Calls `url` before every connection attempt and connects to the URL that it returns, instead of the
    /// one given first. A URL that cannot be used ends the run; an error ends the attempt with
    /// [`Error::Function`].
    #[must_use]
    pub fn url_with<R: FunctionResult<String>>(mut self, mut url: impl FnMut() -> R + 'static) -> Self {
        self.functions.url = Some(Box::new(move || url().into_result()));
        self
    }

    /// Sets the `Cookie` header.
    #[must_use]
    pub fn cookie(mut self, cookie: impl Into<String>) -> Self {
        self.cookie = Some(cookie.into());
        self
    }

    /// Keeps cookies that servers set in `jar`, and sends those that fit, besides the ones of
    /// [`cookie`](Self::cookie). Clones of a jar share their cookies. Default: cookies of servers are
    /// ignored.
    #[must_use]
    pub fn cookie_jar(mut self, jar: CookieJar) -> Self {
        self.jar = Some(jar);
        self
    }

    /// Answers a server's 401 or a proxy's 407: `authorize` returns the value of the `Authorization` or
    /// `Proxy-Authorization` header with which the request is sent again, or `None` to let the attempt fail.
    /// A server at another origin, to which a redirect has led, gets no answer: the 401 is the end of the attempt.
    /// An error ends the attempt with [`Error::Function`].
    ///
    /// A server, and likewise a proxy, that is not content with the answer asks again. Up to five of its
    /// challenges are answered in one attempt, within `attempt_timeout` for all of them, and
    /// [`Challenge::round`] counts them. The next one, `None`, and an answer that equals the one just refused let the
    /// attempt fail with that refusal. So a function that always returns the same credential is called a second time
    /// when this is wrong, and the credential is sent once. One that makes a new answer each time from the same
    /// password should return `None` from the second round on, as servers lock accounts after a few wrong ones.
    ///
    /// The answer goes over the connection that the challenge came on if that is kept, which
    /// [`Challenge::keeps_connection`] says; so schemes with several steps work that authenticate a connection, such
    /// as NTLM and Negotiate (RFC 4559):
    ///
    /// ```
    /// use websocket_app::WebSocketApp;
    ///
    /// # fn first_token() -> String { String::new() }
    /// # fn answer_to(token: &str) -> Option<String> { Some(token.to_owned()) }
    /// let app = WebSocketApp::new("wss://intranet.example/").authorize_with(|challenge| {
    ///     let offers = || challenge.challenges.iter();
    ///     match offers().find_map(|offer| offer.strip_prefix("NTLM ")) {
    ///         // The second step, which means something on this connection only.
    ///         Some(token) if challenge.keeps_connection => answer_to(token).map(|token| format!("NTLM {token}")),
    ///         // The first step.
    ///         None if challenge.round == 1 && offers().any(|offer| offer == "NTLM") => {
    ///             Some(format!("NTLM {}", first_token()))
    ///         }
    ///         // The credential was refused, or the scheme is another.
    ///         _ => None,
    ///     }
    /// });
    /// ```
    #[must_use]
    pub fn authorize_with<R: FunctionResult<Option<String>>>(
        mut self,
        mut authorize: impl FnMut(&Challenge<'_>) -> R + 'static,
    ) -> Self {
        self.functions.authorize = Some(Box::new(move |challenge| authorize(challenge).into_result()));
        self
    }

    /// Offers subprotocols, the preferred one first. The server must select one, unless
    /// [`RunOptions::require_subprotocol`](crate::RunOptions::require_subprotocol) says otherwise.
    #[must_use]
    pub fn subprotocols<S: Into<String>>(mut self, subprotocols: impl IntoIterator<Item = S>) -> Self {
        self.subprotocols = subprotocols.into_iter().map(Into::into).collect();
        self
    }

    /// Calls `subprotocols` before every connection attempt and offers what it returns, instead of those
    /// given with [`subprotocols`](Self::subprotocols). An error ends the attempt with [`Error::Function`].
    #[must_use]
    pub fn subprotocols_with<R: FunctionResult<Vec<String>>>(
        mut self,
        mut subprotocols: impl FnMut() -> R + 'static,
    ) -> Self {
        self.functions.subprotocols = Some(Box::new(move || subprotocols().into_result()));
        self
    }

    /// Takes mask keys from `mask_key` instead of the default, unpredictable source (RFC 6455 section 10.3
    /// says why it must be). It is called for every frame. An error goes to `on_error` as [`Error::Callback`]; the
    /// frame gets a key of the default source, and the connection continues.
    #[must_use]
    pub fn mask_key<R: FunctionResult<[u8; 4]>>(mut self, mut mask_key: impl FnMut() -> R + 'static) -> Self {
        let failure = MaskFailure::default();
        self.mask_failure = Some(failure.clone());
        self.mask_key =
            Some(Box::new(move || mask_key().into_result().map_err(|error| failure.set(Some(error))).ok()));
        self
    }

    /// Runs on a stream that is connected already; host and path still come from the URL. It serves one
    /// request: with [`RunOptions::reconnect`](crate::RunOptions::reconnect) it is refused, a challenge is
    /// not answered, and a redirect connects as if there were no such stream.
    /// [`socket_with`](Self::socket_with) is the way then.
    #[must_use]
    pub fn socket(mut self, stream: Io) -> Self {
        self.stream = Some(stream);
        self
    }

    /// Calls `socket` for every connection attempt instead of resolving and connecting, and runs on the
    /// stream that it returns, connected or connecting; host and path still come from the URL. It is called
    /// again where an attempt continues with an answer to a challenge or a redirect within the origin; a
    /// redirect to another origin connects as if there were no such function. An error from it ends the
    /// attempt with [`Error::Connect`].
    #[must_use]
    pub fn socket_with(mut self, socket: impl FnMut() -> io::Result<Io> + 'static) -> Self {
        self.functions.socket = Some(Box::new(socket));
        self
    }

    /// The connection is open.
    #[must_use]
    pub fn on_open<R: IntoCallbackResult>(
        mut self,
        mut call: impl FnMut(&mut Context<'_>, &Open<'_>) -> R + 'static,
    ) -> Self {
        self.callbacks.open = Some(Box::new(move |app, open| call(app, open).into_callback_result()));
        self
    }

    /// The connection is open again after one of the same run was lost; comes after `on_open`.
    #[must_use]
    pub fn on_reconnect<R: IntoCallbackResult>(
        mut self,
        mut call: impl FnMut(&mut Context<'_>, &Open<'_>) -> R + 'static,
    ) -> Self {
        self.callbacks.rare().reconnect =
            Some(Box::new(move |app, open| call(app, open).into_callback_result()));
        self
    }

    /// A whole message.
    #[must_use]
    pub fn on_message<R: IntoCallbackResult>(
        mut self,
        mut call: impl FnMut(&mut Context<'_>, Message<'_>) -> R + 'static,
    ) -> Self {
        self.callbacks.message =
            Some(Box::new(move |app, message| call(app, message).into_callback_result()));
        self
    }

    /// The payload of a message or fragment, with the message's opcode and which part of the message it is, of which
    /// [`Part::is_last`] says whether the message ends there; comes before `on_message` and `on_cont_message`.
    #[must_use]
    pub fn on_data<R: IntoCallbackResult>(
        mut self,
        mut call: impl FnMut(&mut Context<'_>, &[u8], Opcode, Part) -> R + 'static,
    ) -> Self {
        self.callbacks.data = Some(Box::new(move |app, payload, opcode, part| {
            call(app, payload, opcode, part).into_callback_result()
        }));
        self
    }

    /// One fragment of a fragmented message as it comes. Without this callback such messages come whole, to
    /// `on_message`.
    #[must_use]
    pub fn on_cont_message<R: IntoCallbackResult>(
        mut self,
        mut call: impl FnMut(&mut Context<'_>, Fragment<'_>) -> R + 'static,
    ) -> Self {
        self.callbacks.cont_message =
            Some(Box::new(move |app, fragment| call(app, fragment).into_callback_result()));
        self
    }

    /// The batch of messages ends with the one that was just delivered, so that a program can act on the newest message of a burst only: see
    /// [`Handler::on_batch_end`].
    #[must_use]
    pub fn on_batch_end<R: IntoCallbackResult>(
        mut self,
        mut call: impl FnMut(&mut Context<'_>) -> R + 'static,
    ) -> Self {
        self.callbacks.rare().batch_end = Some(Box::new(move |app| call(app).into_callback_result()));
        self
    }

    /// A ping; its pong is on the way already.
    #[must_use]
    pub fn on_ping<R: IntoCallbackResult>(
        mut self,
        mut call: impl FnMut(&mut Context<'_>, &[u8]) -> R + 'static,
    ) -> Self {
        self.callbacks.ping = Some(Box::new(move |app, payload| call(app, payload).into_callback_result()));
        self
    }

    /// A pong, with the round-trip time if it answers one of our pings.
    #[must_use]
    pub fn on_pong<R: IntoCallbackResult>(
        mut self,
        mut call: impl FnMut(&mut Context<'_>, &[u8], Option<Duration>) -> R + 'static,
    ) -> Self {
        self.callbacks.pong =
            Some(Box::new(move |app, payload, rtt| call(app, payload, rtt).into_callback_result()));
        self
    }

    /// All outgoing bytes were written after the socket had refused to take more, or a
    /// [`send_limit`](crate::RunOptions::send_limit) had held some back.
    #[must_use]
    pub fn on_drain<R: IntoCallbackResult>(
        mut self,
        mut call: impl FnMut(&mut Context<'_>) -> R + 'static,
    ) -> Self {
        self.callbacks.drain = Some(Box::new(move |app| call(app).into_callback_result()));
        self
    }

    /// Something failed: the connection, or a callback. Without this callback failures are logged.
    #[must_use]
    pub fn on_error<R: IntoCallbackResult>(
        mut self,
        mut call: impl FnMut(&mut Context<'_>, &Error) -> R + 'static,
    ) -> Self {
        self.callbacks.error = Some(Box::new(move |app, error| call(app, error).into_callback_result()));
        self
    }

    /// The connection attempt is over: its last callback, exactly once. [`Closed::retry_in`] tells whether
    /// another attempt follows.
    #[must_use]
    pub fn on_close<R: IntoCallbackResult>(
        mut self,
        mut call: impl FnMut(&mut Context<'_>, &Closed<'_>) -> R + 'static,
    ) -> Self {
        self.callbacks.close = Some(Box::new(move |app, closed| call(app, closed).into_callback_result()));
        self
    }

    /// The run has ended: its last callback, exactly once, however it ended, also when the app was closed or
    /// stopped while it waited for its next attempt. Only an app that is removed, or whose reactor is dropped,
    /// ends without it.
    ///
    /// The outcome is the one that [`run_forever`](Self::run_forever) returns. The app has no connection here and
    /// is not [running](Context::is_running), but other apps can be reached and added. An error or a panic from
    /// here is only logged.
    ///
    /// ```
    /// use websocket_app::{Outcome, Reactor, RunOptions, WebSocketApp};
    ///
    /// let mut reactor = Reactor::new()?;
    /// WebSocketApp::new("ws://127.0.0.1:1/feed")
    ///     .on_end(|app, outcome| {
    ///         assert!(matches!(outcome, Outcome::Lost(_))); // nothing listens there
    ///         let backup = WebSocketApp::new("ws://127.0.0.1:1/backup");
    ///         app.apps().add(backup, &RunOptions::new()).map(drop)
    ///     })
    ///     .run_on(&mut reactor, &RunOptions::new())?;
    /// reactor.run()?; // until the backup has ended, too
    /// # Ok::<(), websocket_app::Error>(())
    /// ```
    #[must_use]
    pub fn on_end<R: IntoCallbackResult>(
        mut self,
        mut call: impl FnMut(&mut Context<'_>, &Outcome) -> R + 'static,
    ) -> Self {
        self.callbacks.rare().end =
            Some(Box::new(move |app, outcome| call(app, outcome).into_callback_result()));
        self
    }
}

impl fmt::Debug for WebSocketApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may hold credentials, headers and cookies do.
        f.write_str("WebSocketApp")
    }
}
