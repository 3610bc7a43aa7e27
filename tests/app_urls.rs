//! Which app it was: callbacks and the log name its URL, without the secrets in it.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::RefCell;
use std::sync::Once;
use std::time::Duration;

use websocket_app::{
    CallbackResult, Closed, Context, Error, Handler, Open, Reconnect, RunOptions, WebSocketApp,
};
use websocket_testkit::frame;
use websocket_testkit::sim::SimPeer;
use websocket_tests::{Log, SERVER, World};

/// One with everything that must not be shown.
const SECRET_URL: &str = "ws://user:secret@192.0.2.1/feed?token=secret";
const SHOWN: &str = "ws://192.0.2.1/feed";

thread_local! {
    /// What the library has logged about apps on this thread.
    static LOGGED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

struct Logger;

impl log::Log for Logger {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target() == "websocket::app"
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            LOGGED.with_borrow_mut(|logged| logged.push(record.args().to_string()));
        }
    }

    fn flush(&self) {}
}

/// What is logged about apps while `run` runs.
fn logged(run: impl FnOnce()) -> Vec<String> {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Logger).unwrap();
        log::set_max_level(log::LevelFilter::Warn);
    });
    LOGGED.take();
    run();
    LOGGED.take()
}

fn options() -> RunOptions {
    RunOptions::new()
}

#[test]
fn every_app_of_a_reactor_knows_its_url_and_shows_no_secret() {
    let mut world = World::new();
    world.net.refuse(SERVER);
    let log = Log::new();
    for feed in ["a", "b", "c"] {
        let (lines, full) = (log.clone(), log.clone());
        WebSocketApp::new(format!("ws://user:secret@192.0.2.1/{feed}?token=secret"))
            .on_error(move |app, error| lines.push(format!("{}: {error}", app.url())))
            .on_close(move |app, _| full.push(app.url().as_str()))
            .run_on(&mut world.reactor, &options())
            .unwrap();
    }
    world.reactor.run().unwrap();
    for feed in ["a", "b", "c"] {
        let shown = format!("ws://192.0.2.1/{feed}: connecting to 192.0.2.1:80 failed: ");
        assert_eq!(log.count(|line| line.starts_with(&shown)), 1, "{:?}", log.lines());
        assert!(log.has(&format!("ws://user:secret@192.0.2.1/{feed}?token=secret")));
    }
}

#[test]
fn the_url_is_that_of_the_current_attempt_and_a_redirect_does_not_change_it() {
    let mut world = World::new();
    world.net.serve(SERVER, |peer| {
        if peer.read_request().is_some() {
            peer.write(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n");
            peer.shutdown();
        }
    });
    let log = Log::new();
    let lines = log.clone();
    let mut attempt = 0;
    let policy = Reconnect::fixed(Duration::from_secs(1)).always().max_retries(2);
    let app = WebSocketApp::new("ws://192.0.2.1/first")
        .url_with(move || {
            attempt += 1;
            if attempt == 3 { "nonsense secret".to_owned() } else { format!("ws://192.0.2.1/{attempt}") }
        })
        .on_close(move |app, _| lines.push(app.url().to_string()));
    let id = app.run_on(&mut world.reactor, &options().reconnect(policy)).unwrap();
    // Before the first attempt, the one that it was made with.
    assert_eq!(world.reactor.apps().with(id, |app| app.url().to_string()).unwrap(), "ws://192.0.2.1/first");
    world.reactor.run().unwrap();
    assert_eq!(log.lines(), ["ws://192.0.2.1/1", "ws://192.0.2.1/2", "a URL that cannot be used"]);
}

/// What is logged about an app whose server does that to it.
fn logged_of(app: WebSocketApp, script: impl FnMut(&SimPeer) + 'static) -> Vec<String> {
    logged(|| {
        let mut world = World::new();
        world.net.serve(SERVER, script);
        app.run_on(&mut world.reactor, &options()).unwrap();
        world.reactor.run().unwrap();
    })
}

fn breach(peer: &SimPeer) {
    if peer.accept_upgrade().is_some() {
        peer.write(&frame::encode(true, 0, 3, b""));
        peer.shutdown();
    }
}

/// Returns errors and panics where it is told to.
#[derive(Default)]
struct Odd {
    on_error: Option<&'static str>,
    on_close: Option<&'static str>,
    panics: bool,
}

impl Handler for Odd {
    fn on_error(&mut self, _: &mut Context<'_>, _: &Error) -> CallbackResult {
        assert!(!self.panics, "in on_error");
        self.on_error.map_or(Ok(()), |error| Err(error.into()))
    }

    fn on_close(&mut self, _: &mut Context<'_>, _: &Closed<'_>) -> CallbackResult {
        self.on_close.map_or(Ok(()), |error| Err(error.into()))
    }
}

/// A handler that leaves errors to the default.
struct Silent;

impl Handler for Silent {
    fn on_open(&mut self, _: &mut Context<'_>, _: &Open<'_>) -> CallbackResult {
        Ok(())
    }
}

#[test]
fn what_is_logged_about_an_app_names_its_url_and_shows_no_secret() {
    let failure = "the server broke the WebSocket protocol: unknown opcode 3";
    let odd = |odd: Odd| WebSocketApp::with_handler(SECRET_URL, odd);
    let table = [
        (WebSocketApp::new(SECRET_URL), failure.to_owned()),
        (WebSocketApp::with_handler(SECRET_URL, Silent), failure.to_owned()),
        (
            odd(Odd { on_error: Some("no disk"), ..Odd::default() }),
            "on_error itself returned an error: no disk".to_owned(),
        ),
        (
            odd(Odd { on_close: Some("no disk"), ..Odd::default() }),
            "on_close, the last callback, returned an error: no disk".to_owned(),
        ),
        (
            odd(Odd { panics: true, ..Odd::default() }),
            "a callback panicked, and no other callback can report it: in on_error".to_owned(),
        ),
    ];
    for (app, text) in table {
        assert_eq!(logged_of(app, breach), [format!("app 0.1 ({SHOWN}): {text}")]);
    }
}
