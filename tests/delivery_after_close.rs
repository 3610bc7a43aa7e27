//! Messages that arrive after the program's own close are delivered, unless an option says that they are not. In virtual time.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use websocket_app::{Context, RunOptions, WebSocketApp};
use websocket_testkit::frame;
use websocket_tests::{Log, URL, World};

/// Writes down every message, and closes when it gets `close`.
fn app(log: &Log) -> WebSocketApp {
    let [data, messages, pings] = std::array::from_fn(|_| log.clone());
    log.app(URL)
        .on_data(move |_, payload, _, _| data.push(format!("data {}", String::from_utf8_lossy(payload))))
        .on_message(move |app, message| {
            messages.push(message.as_text().unwrap());
            if message.as_text() == Some("close") {
                app.close();
            }
        })
        .on_ping(move |_, _| pings.push("ping"))
}

/// What the app has heard when the server has sent `frames` in one piece and has answered the close.
fn heard(
    app: WebSocketApp,
    log: &Log,
    options: &RunOptions,
    close: impl FnOnce(&mut Context<'_>),
) -> Vec<String> {
    let mut world = World::new();
    let peer = world.open(app, options);
    let id = world.reactor.apps().ids()[0];
    world.reactor.apps().with(id, close);
    peer.write(&[frame::text("close"), frame::text("late"), frame::ping(b"")].concat());
    world.settle();
    peer.write(&[frame::text("later"), frame::close(1000, "")].concat());
    world.settle();
    peer.shutdown();
    world.reactor.run().unwrap();
    log.take()
}

const CLOSED: &str = "close 1000, by client, clean";

#[test]
fn messages_are_delivered_until_the_server_has_answered() {
    let log = Log::new();
    let all = ["open", "data close", "close", "data late", "late", "ping", "data later", "later", CLOSED];
    assert_eq!(heard(app(&log), &log, &RunOptions::new(), |_| {}), all);
}

#[test]
fn with_the_option_no_message_is_delivered_after_the_close_and_the_handshake_is_clean() {
    let options = RunOptions::new().deliver_after_close(false);
    let log = Log::new();
    assert_eq!(heard(app(&log), &log, &options, |_| {}), ["open", "data close", "close", "ping", CLOSED]);
    let closes: [fn(&mut Context<'_>); 2] = [|app| app.close(), |app| app.sender().close()];
    for close in closes {
        let log = Log::new();
        assert_eq!(heard(app(&log), &log, &options, close), ["open", "ping", CLOSED]);
    }
    let log = Log::new();
    let stop = |app: &mut Context<'_>| app.apps().stop_within(Duration::from_secs(1));
    assert_eq!(heard(app(&log), &log, &options, stop), ["open", "ping", "close 1000, by client, clean"]);
}

#[test]
fn a_close_in_on_data_takes_on_message_away_and_fragments_end_too() {
    let options = RunOptions::new().deliver_after_close(false);
    let log = Log::new();
    let data = log.clone();
    let closing = app(&log).on_data(move |app, payload, _, _| {
        data.push(format!("data {}", String::from_utf8_lossy(payload)));
        app.close();
    });
    assert_eq!(heard(closing, &log, &options, |_| {}), ["open", "data close", "ping", CLOSED]);

    let mut world = World::new();
    let fragments = log.clone();
    let app = log.app(URL).on_cont_message(move |app, fragment| {
        fragments.push(String::from_utf8_lossy(fragment.payload));
        app.close();
    });
    let peer = world.open(app, &options);
    peer.write(
        &[frame::encode(false, 0, frame::TEXT, b"one"), frame::encode(true, 0, frame::CONTINUATION, b"two")]
            .concat(),
    );
    world.settle();
    peer.write(&frame::close(1000, ""));
    peer.shutdown();
    world.reactor.run().unwrap();
    assert_eq!(log.take(), ["open", "one", CLOSED]);
}

#[test]
fn a_close_by_the_server_changes_nothing() {
    let log = Log::new();
    let mut world = World::new();
    let peer = world.open(log.app(URL), &RunOptions::new().deliver_after_close(false));
    peer.write(&[frame::text("before"), frame::close(1000, "")].concat());
    world.settle();
    peer.shutdown();
    world.reactor.run().unwrap();
    assert_eq!(log.take(), ["open", "text before", "close 1000, by server, clean"]);
}
