//! The closing handshake: what is sent and awaited, and that nobody is kept waiting.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::thread;
use std::time::Duration;

use websocket_app::{Close, CloseCode, RunOptions, SendError, State};
use websocket_testkit::frame;
use websocket_testkit::server::{EchoServer, ScriptedServer};
use websocket_testkit::sim::SimPeer;
use websocket_tests::{Log, URL, World, reactor, run, run_forever, until};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn options() -> RunOptions {
    RunOptions::new()
}

fn close_frame(peer: &SimPeer) -> Option<(u16, String)> {
    peer.read_frame().and_then(|frame| frame.close())
}

#[test]
fn b109_a_close_carries_1000_or_ones_own_code_and_reason() {
    let mut world = World::new();
    let peer = world.open(Log::new().app(URL).on_open(|app, _| app.close()), &options());
    assert_eq!(close_frame(&peer), Some((1000, String::new())));
    let app = Log::new().app(URL).on_open(|app, _| app.close_with((CloseCode::Away, "žluť")));
    assert_eq!(close_frame(&world.open(app, &options())), Some((1001, "žluť".into())));
    let app =
        Log::new().app(URL).on_open(|app, _| app.close_with((CloseCode::Library(4999), "x".repeat(123))));
    assert_eq!(close_frame(&world.open(app, &options())), Some((4999, "x".repeat(123))));
}

#[test]
fn b109_b111_the_reply_is_awaited_for_close_timeout_and_no_longer() {
    for (options, timeout) in [(options(), 3 * SECOND), (options().close_timeout(500 * MS), 500 * MS)] {
        let mut world = World::new();
        let log = Log::new();
        let peer = world.open(log.app(URL).on_open(|app, _| app.close()), &options);
        world.run_until(timeout - MS);
        assert_eq!(log.lines(), [""; 0]);
        assert_eq!(peer.ended(), None);
        world.run_until(timeout);
        assert_eq!(log.lines(), ["error Timeout(Close)", "close: Timeout(Close)"]);
        assert!(peer.ended().is_some());
    }
}

#[test]
fn b109_after_both_close_frames_only_the_end_of_the_stream_is_awaited() {
    for by_server in [false, true] {
        let mut world = World::new();
        let log = Log::new();
        let app = log.app(URL).on_open(move |app, _| {
            if !by_server {
                app.close();
            }
        });
        let peer = world.open(app, &options());
        world.run_for(SECOND);
        peer.write(&frame::close(1000, "bye"));
        world.settle();
        assert_eq!(close_frame(&peer).map(|(code, _)| code), Some(1000));
        assert_eq!(log.lines(), [""; 0]);
        // The server does not close the stream, so the client does when its time is up.
        world.run_for(3 * SECOND);
        let by = if by_server { "server" } else { "client" };
        assert_eq!(log.lines(), [format!("close 1000 bye, by {by}, clean")]);
        assert!(peer.ended().is_some());
    }
}

#[test]
fn b110_codes_and_reasons_that_must_not_be_sent_are_refused_and_nothing_changes() {
    let server = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        assert_eq!(peer.read_frame().text(), "still open");
        assert_eq!(peer.read_close(), Some((1000, String::new())));
    })
    .unwrap();
    let log = Log::new();
    let app = log.app(server.url()).on_open(|app, _| {
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535] {
            let refused = app.close_with(CloseCode::from(code));
            assert_eq!(refused, Err(SendError::InvalidCloseCode(code)));
            assert_eq!(app.sender().close_with(CloseCode::from(code)), refused);
        }
        let refused = app.close_with((CloseCode::Normal, "x".repeat(124)));
        assert_eq!(refused, Err(SendError::ReasonTooLong { len: 124 }));
        assert_eq!(app.sender().close_with((CloseCode::Normal, "x".repeat(124))), refused);
        assert_eq!(app.state(), State::Open);
        app.send_text("still open")?;
        app.close();
        Ok::<_, SendError>(())
    });
    let mut app = app;
    run_forever(&mut app, &options()).unwrap().into_result().unwrap();
    assert_eq!(log.lines(), ["close, by client"]);
    server.join();
}

#[test]
fn b111_a_close_in_a_callback_does_not_hold_up_the_loop() {
    let mut world = World::new();
    let log = Log::new();
    let closing = world.open(Log::new().app(URL).on_open(|app, _| app.close()), &options());
    let peer = world.open(log.app(URL), &options());
    peer.write(&frame::text("meanwhile"));
    world.settle();
    assert_eq!(log.lines(), ["open", "text meanwhile"]);
    assert_eq!(world.net.elapsed(), Duration::ZERO);
    assert_eq!(closing.ended(), None);
}

#[test]
fn b112_a_close_from_another_thread_is_sent_within_one_turn() {
    let echo = EchoServer::start().unwrap();
    let mut reactor = reactor();
    let log = Log::new();
    let mut app = log.app(echo.url());
    let sender = app.sender();
    let id = app.run_on(&mut reactor, &options()).unwrap();
    until(&mut reactor, |_| log.has("open"));
    thread::spawn(move || sender.close()).join().unwrap();
    reactor.poll(None).unwrap();
    assert_eq!(reactor.apps().with(id, |app| (app.state(), app.queued_bytes())), Some((State::Closing, 0)));
    run(&mut reactor);
    assert_eq!(log.lines(), ["open", "close 1000, by client, clean"]);
}

#[test]
fn b114_messages_are_delivered_until_the_server_answers_the_close() {
    let mut world = World::new();
    let log = Log::new();
    let messages = log.clone();
    let app = log.app(URL).on_message(move |app, message| {
        messages.message(message);
        app.close();
    });
    let peer = world.open(app, &options());
    peer.write(&(0..50).flat_map(|number| frame::text(&number.to_string())).collect::<Vec<_>>());
    world.settle();
    assert_eq!(close_frame(&peer), Some((1000, String::new())));
    peer.write(&(50..100).flat_map(|number| frame::text(&number.to_string())).collect::<Vec<_>>());
    world.settle();
    peer.write(&frame::close(1000, ""));
    peer.write(&frame::text("after the close frame"));
    peer.shutdown();
    world.settle();
    let mut expected = vec!["open".to_owned()];
    expected.extend((0..100).map(|number| format!("text {number}")));
    expected.push("close 1000, by client, clean".into());
    assert_eq!(log.lines(), expected);
    // Closing again and again was harmless.
    assert_eq!(peer.read_frame(), None);
}

#[test]
fn b115_a_close_from_the_server_is_answered_with_its_code() {
    for code in [1000, 1001, 1011, 3000, 4321] {
        let mut world = World::new();
        let peer = world.open(Log::new().app(URL), &options());
        peer.write(&frame::close(code, "whatever"));
        world.settle();
        assert_eq!(close_frame(&peer), Some((code, String::new())));
    }
    let mut world = World::new();
    let peer = world.open(Log::new().app(URL), &options());
    peer.write(&frame::empty_close());
    world.settle();
    assert_eq!(peer.read_frame().map(|frame| frame.payload), Some(Vec::new()));
}

#[test]
fn b116_after_a_close_from_the_server_the_connection_is_not_open() {
    let mut world = World::new();
    let log = Log::new();
    let mut app = log.app(URL);
    let sender = app.sender();
    let peer = world.open(app, &options());
    assert!(sender.is_open());
    peer.write(&frame::close(1000, ""));
    world.settle();
    let id = world.reactor.apps().ids()[0];
    let state = world.reactor.apps().with(id, |app| (app.state(), app.is_open(), app.send_text("late")));
    assert_eq!(state, Some((State::Closing, false, Err(SendError::NotOpen(State::Closing)))));
    assert!(!sender.is_open());
    assert!(sender.send_text("late").is_err());
}

#[test]
fn a_close_between_two_turns_is_known_to_senders_at_once() {
    let mut world = World::new();
    let mut app = Log::new().app(URL);
    let sender = app.sender();
    world.open(app, &options());
    let id = world.reactor.apps().ids()[0];
    assert!(sender.is_open());
    world.reactor.apps().with(id, |app| app.close()).unwrap();
    assert!(!sender.is_open());
    assert!(sender.send_text("late").is_err());
}

#[test]
fn b117_closing_twice_or_what_is_not_connected_is_harmless() {
    let echo = EchoServer::start().unwrap();
    let log = Log::new();
    let mut app = log.app(echo.url()).on_open(|app, _| {
        app.close();
        app.close();
        app.close_with((CloseCode::Away, "ignored"))
    });
    let sender = app.sender();
    run_forever(&mut app, &options()).unwrap().into_result().unwrap();
    assert_eq!(log.take(), ["close 1000, by client, clean"]);

    // It has ended; what is asked of it now has nobody to do it.
    sender.close();
    sender.close();
    sender.remove();
    sender.run(|_| ());
    run_forever(&mut app, &options()).unwrap().into_result().unwrap();
    assert_eq!(log.take(), ["close 1000, by client, clean"]);

    let mut app = log.app(echo.url());
    let sender = app.sender();
    sender.close();
    sender.close();
    run_forever(&mut app, &options()).unwrap().into_result().unwrap();
    assert_eq!(log.take(), ["close, by client"]);
}

#[test]
fn b118_a_server_that_resets_after_the_close_frames_has_closed_all_the_same() {
    let server = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        peer.send_close(1000, "bye");
        peer.read_close();
        peer.reset();
    })
    .unwrap();
    let log = Log::new();
    run_forever(&mut log.app(server.url()), &options()).unwrap().into_result().unwrap();
    assert_eq!(log.lines(), ["open", "close 1000 bye, by server, clean"]);
    server.join();
}

#[test]
fn b119_an_app_can_be_ended_at_once_from_any_thread() {
    let server = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        assert_eq!(peer.read_to_end(), b"");
    })
    .unwrap();
    let mut reactor = reactor();
    let log = Log::new();
    let mut app = log.app(server.url());
    let sender = app.sender();
    app.run_on(&mut reactor, &options()).unwrap();
    until(&mut reactor, |_| log.has("open"));
    thread::spawn(move || sender.remove()).join().unwrap();
    reactor.poll(None).unwrap();
    assert!(reactor.apps().is_empty());
    assert_eq!(log.lines(), ["open"]);
    server.join();
}

#[test]
fn b109_a_close_that_waits_for_nobody_sends_its_frame_also_when_a_ping_is_due() {
    let log = Log::new();
    let second = Duration::from_secs(1);
    let app = log.app(URL).on_message(|app, _| app.close_with(Close::default().timeout(Duration::ZERO)));
    let mut world = World::new();
    let peer = world.open(app, &options().ping_interval(second));
    let told = peer.clone();
    world.net.after(second, move |_| told.write(&frame::text("now")));
    world.run_for(second);
    assert_eq!(peer.read_frame().unwrap().close(), Some((1000, String::new())));
    assert_eq!(log.lines(), ["open", "close, by client"]);
}

#[test]
fn b109_a_close_timeout_of_zero_waits_for_nobody_and_is_no_failure() {
    let log = Log::new();
    let mut world = World::new();
    let peer = world.open(log.app(URL), &options().close_timeout(Duration::ZERO));
    let id = world.reactor.apps().ids()[0];
    world.reactor.apps().with(id, |app| app.close());
    world.settle();
    assert_eq!(peer.read_frame().unwrap().close(), Some((1000, String::new())));
    assert_eq!(log.lines(), ["open", "close, by client"]);
}

#[test]
fn b037_a_closing_handshake_that_went_through_is_clean_also_when_the_reactor_stops() {
    let log = Log::new();
    let mut world = World::new();
    let peer = world.open(log.app(URL), &options());
    peer.write(&frame::close(1001, "bye"));
    world.settle();
    world.reactor.apps().stop();
    world.settle();
    assert_eq!(log.lines(), ["open", "close 1001 bye, by server, clean"]);
}

#[test]
fn a_stop_is_over_when_the_last_app_was_removed() {
    let log = Log::new();
    let mut world = World::new();
    let _peer = world.open(log.app(URL), &options());
    let id = world.reactor.apps().ids()[0];
    world.reactor.apps().stop_within(Duration::from_secs(10));
    world.reactor.apps().remove(id);
    world.reactor.run().unwrap();
    assert!(world.reactor.apps().is_empty());
    world.open(log.app(URL), &options());
    assert_eq!(log.lines(), ["open", "open"], "the next run is not stopped");
}

#[test]
fn a_close_is_clean_only_when_our_frame_was_written_too() {
    for reset in [false, true] {
        let log = Log::new();
        let mut world = World::new();
        let peer = world.open(log.app(URL), &options());
        log.take();
        peer.write(&frame::close(1000, "bye"));
        // The answer cannot be written any more.
        if reset {
            peer.reset();
        }
        world.settle();
        peer.shutdown();
        world.settle();
        let clean = if reset { "" } else { ", clean" };
        assert_eq!(log.lines(), [format!("close 1000 bye, by server{clean}")]);
    }
}
