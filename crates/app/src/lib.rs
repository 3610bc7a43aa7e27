//! WebSocket clients with callbacks, many on one thread, on any event loop.
//!
//! [`WebSocketApp`] is a URL, options and callbacks, as users of Python's `websocket.WebSocketApp` know it.
//! One app alone blocks in [`run_forever`](WebSocketApp::run_forever); many share a [`Reactor`] with
//! [`run_on`](WebSocketApp::run_on). The reactor runs on any
//! [`Dispatcher`](websocket_dispatcher::Dispatcher), mio's poll by default.
//!
//! This program talks to the server that `cargo run --example echo_server` starts in a checkout of the project:
//!
//! ```no_run
//! use websocket_app::{RunOptions, WebSocketApp};
//!
//! fn main() -> Result<(), websocket_app::Error> {
//!     WebSocketApp::new("ws://127.0.0.1:9001/")
//!         .on_open(|app, _open| app.send_text("hello"))
//!         .on_message(|app, message| {
//!             println!("{message:?}");
//!             app.close();
//!         })
//!         .run_forever(&RunOptions::new())?
//!         .into_result()
//! }
//! ```
//!
//! `run_forever` refuses what cannot work before any I/O. How the connection ended is its [`Outcome`], and
//! [`into_result`](Outcome::into_result) makes an error of one that failed.
//!
//! - Callbacks get a [`Context`]: send, close, timers, other apps of the same reactor.
//! - A callback returns nothing or a `Result`, whose error goes to `on_error`. A closure that uses `?` names its return
//!   type, [`CallbackResult`], or the compiler asks for one (E0282). A closure may also end with `panic!` or
//!   [`std::process::exit`].
//! - Other threads hold a [`Sender`].
//! - [`RunOptions`] says how the server is reached: TLS, proxies, deadlines, limits.
//! - A type that implements [`Handler`] takes the place of closures.
#![forbid(unsafe_code)]

mod address;
mod after_close;
mod app_url;
mod apps;
mod attempts;
mod callbacks;
mod challenge;
mod checked_url;
mod cookies;
mod dial;
mod error;
mod failed_addresses;
mod feed;
mod function_result;
mod headers;
mod id;
mod live;
mod message;
mod meter;
mod never;
mod options;
mod outcome;
mod pace;
mod panics;
mod phases;
mod plan;
mod prometheus;
mod reactor;
mod reconnect;
mod redirect;
mod schedule;
mod send_limit;
mod send_queue;
mod stats;
mod surroundings;
mod table;
mod threads;
mod unwritten;
mod watched;
mod web_socket_app;
mod wire_event;
mod wire_tap;

pub use crate::address::UrlError;
pub use crate::app_url::AppUrl;
pub use crate::apps::{
    Apps, Batch, CallbackResult, Context, Handler, IntoCallbackResult, Open, SourceContext, SourceEvent,
    WatchError,
};
pub use crate::attempts::Attempts;
pub use crate::challenge::Challenge;
pub use crate::cookies::{CookieError, CookieJar};
pub use crate::error::{BoxError, Error, Timeout};
pub use crate::feed::FeedError;
pub use crate::function_result::FunctionResult;
pub use crate::headers::{HeaderError, HeaderText, ToHeaders};
pub use crate::id::{AppId, Holder, SourceId, TimerId};
pub use crate::message::{OwnedMessage, Refused};
pub use crate::meter::{LongCallback, ReactorStats};
pub use crate::options::{RunOptions, Unsent};
pub use crate::outcome::{Closed, NoRetry, Outcome};
pub use crate::panics::PanicPolicy;
pub use crate::phases::Phases;
pub use crate::prometheus::{write_prometheus, write_reactor_prometheus};
pub use crate::reactor::Reactor;
pub use crate::reconnect::{Reconnect, ReconnectError, Verdict};
pub use crate::redirect::RedirectError;
pub use crate::send_limit::SendLimit;
pub use crate::stats::Stats;
pub use crate::threads::{ReactorHandle, ReactorThread, Sender, SenderWait};
pub use crate::web_socket_app::WebSocketApp;
pub use crate::wire_event::WireEvent;
pub use tungstenite::{Bytes, Utf8Bytes};
pub use websocket_connection::{
    Close, CloseCode, ConfigError, Entropy, Fragment, Kind, Liveness, Message, Opcode, Part, ProtocolError,
    RequestError, Response, Rtt, SeededEntropy, SendError, Side, State, Traffic, UpgradeError, http,
};
#[cfg(feature = "deflate")]
pub use websocket_connection::{Deflate, DeflateAgreed, DeflateError, DeflateOffer};
pub use websocket_dispatcher as dispatcher;
pub use websocket_dispatcher::Next;
pub use websocket_link as link;
#[cfg(feature = "tls")]
pub use websocket_link::tls;
