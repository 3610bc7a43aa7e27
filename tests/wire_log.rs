//! The log target `websocket::wire`: at level trace it shows what passes, and at any other nothing is recorded.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::Mutex;

use log::{Level, LevelFilter, Log, Metadata, Record};
use websocket_app::{RunOptions, WebSocketApp};
use websocket_testkit::frame;
use websocket_tests::{URL, World};

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Logger;

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "websocket::wire"
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            assert_eq!(record.level(), Level::Trace);
            LINES.lock().unwrap().push(record.args().to_string());
        }
    }

    fn flush(&self) {}
}

/// Opens an app, has a message delivered, and returns what was logged, and whether a flush writes at once.
fn converse() -> (Vec<String>, bool) {
    let mut world = World::new();
    let app = WebSocketApp::new(URL).header("Authorization", "s3cret");
    let peer = world.open(app, &RunOptions::new());
    peer.write(&frame::text("hello"));
    world.settle();
    let id = world.reactor.apps().ids()[0];
    let written = world.reactor.apps().with(id, |app| {
        app.send_text("out").unwrap();
        app.flush().unwrap();
        app.queued_bytes() == 0
    });
    world.settle();
    (std::mem::take(&mut *LINES.lock().unwrap()), written.unwrap())
}

#[test]
fn b219_traffic_is_logged_at_level_trace_without_secrets_and_costs_nothing_otherwise() {
    log::set_logger(&Logger).unwrap();
    log::set_max_level(LevelFilter::Debug);
    assert_eq!(converse(), (vec![], true));
    log::set_max_level(LevelFilter::Trace);
    let (lines, written) = converse();
    assert!(!written, "what is shown leaves when the turn ends");
    assert!(
        lines[0].starts_with("app 0.1 > GET / HTTP/1.1\n") && lines[0].contains("\n> Authorization: ***")
    );
    assert!(lines[1].starts_with("app 0.1 < HTTP/1.1 101 "), "{lines:?}");
    let frames = [
        "app 0.1 < text (1) fin=1 rsv=0 5 bytes: \"hello\"",
        "app 0.1 > text (1) fin=1 rsv=0 3 bytes: \"out\"",
    ];
    assert_eq!(lines[2..], frames);
    assert!(lines.iter().all(|line| !line.contains("s3cret")));
}
