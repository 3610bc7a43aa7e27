//! The functions that are asked for every attempt may fail: `on_error` gets their errors, and the next attempt asks again. In virtual time.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use websocket_app::{BoxError, Error, HeaderError, RunOptions, WebSocketApp};
use websocket_link::proxy::Proxy;
use websocket_tests::{Log, SERVER, URL, World};

const SECOND: Duration = Duration::from_secs(1);

/// `Ok`, after a first call that fails.
fn second_time<T>(mut value: impl FnMut() -> T) -> impl FnMut() -> Result<T, BoxError> {
    let mut calls = 0;
    move || {
        calls += 1;
        if calls == 1 { Err(io::Error::other("not yet").into()) } else { Ok(value()) }
    }
}

#[test]
fn an_error_ends_the_attempt_and_the_next_one_asks_again() {
    type Set = fn(WebSocketApp) -> WebSocketApp;
    let table: [(&str, Set); 3] = [
        ("url_with", |app| app.url_with(second_time(|| "ws://192.0.2.1/second"))),
        ("header_with", |app| app.header_with(second_time(|| [("X-Token", "second")]))),
        ("subprotocols_with", |app| app.subprotocols_with(second_time(|| ["second"]))),
    ];
    for (name, set) in table {
        let mut world = World::new();
        let log = Log::new();
        let errors = log.clone();
        let app = set(log.app(URL)).on_error(move |_, error| match error {
            Error::Function { name, source, .. } => errors.push(format!("{name}: {source}: {error}")),
            other => panic!("{other}"),
        });
        let listener = world.net.listen(SERVER);
        app.run_on(&mut world.reactor, &RunOptions::new().reconnect(SECOND)).unwrap();
        world.settle();
        assert!(listener.accept().is_none(), "{name}: nothing was connected");
        let text = format!("the function of {name} returned an error: not yet");
        assert_eq!(
            log.take(),
            [format!("{name}: not yet: {text}"), format!("close: {text}, retry in 1s")],
            "{name}"
        );
        world.run_for(SECOND);
        let request = listener.accept().unwrap().read_request().unwrap();
        let asked = [
            request.path.trim_start_matches('/'),
            request.header("X-Token").unwrap_or_default(),
            request.header("Sec-WebSocket-Protocol").unwrap_or_default(),
        ];
        assert_eq!(asked.concat(), "second", "{name}");
    }
}

#[test]
fn a_header_that_cannot_be_sent_is_that_error_also_from_a_result() {
    for app in [
        WebSocketApp::new(URL).header_with(|| Ok::<_, BoxError>(["no colon"])),
        WebSocketApp::new(URL).header_with(|| ["no colon"]),
    ] {
        let mut world = World::new();
        let seen = Rc::new(Cell::new(false));
        let sets = seen.clone();
        let app = app.on_error(move |_, error| sets.set(matches!(error, Error::Header(HeaderError::Line))));
        app.run_on(&mut world.reactor, &RunOptions::new()).unwrap();
        world.reactor.run().unwrap();
        assert!(seen.get());
    }
}

#[test]
fn an_error_from_authorize_with_ends_the_attempt_for_servers_and_for_proxies() {
    let unauthorized = "HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n";
    let wanted = "HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n";
    let through = Proxy::parse("http://192.0.2.1:80").unwrap();
    for (answer, options) in [(unauthorized, RunOptions::new()), (wanted, RunOptions::new().proxy(through))] {
        let mut world = World::new();
        let log = Log::new();
        let app = log.app(URL).authorize_with(|_| Err::<Option<String>, _>("no password"));
        let listener = world.start(app, &options);
        let peer = listener.accept().unwrap();
        assert!(peer.read_request().is_some());
        peer.write(answer.as_bytes());
        world.settle();
        let error = "the function of authorize_with returned an error: no password";
        assert_eq!(log.take(), [format!("error {error}"), format!("close: {error}")]);
        assert!(listener.accept().is_none() && world.reactor.apps().is_empty());
    }
}

#[test]
fn a_mask_key_that_fails_is_reported_and_its_frame_has_another_key() {
    let mut world = World::new();
    let log = Log::new();
    let mut keys = 0;
    let app = log.app(URL).mask_key(move || {
        keys += 1;
        if keys == 2 { Err("no key") } else { Ok([keys; 4]) }
    });
    let peer = world.open(app, &RunOptions::new());
    let id = world.reactor.apps().ids()[0];
    for number in 1..=3 {
        world.reactor.apps().with(id, |app| app.send_text(number.to_string())).unwrap().unwrap();
        world.settle();
    }
    let frames: Vec<_> = std::iter::from_fn(|| peer.read_frame()).collect();
    assert_eq!(frames.iter().map(|frame| frame.text()).collect::<Vec<_>>(), ["1", "2", "3"]);
    let masks: Vec<_> = frames.iter().map(|frame| frame.mask.unwrap()).collect();
    assert_eq!((masks[0], masks[2]), ([1; 4], [3; 4]));
    assert_ne!(masks[1], [2; 4]);
    assert_eq!(log.take(), ["open", "error Callback(no key)"]);
}
