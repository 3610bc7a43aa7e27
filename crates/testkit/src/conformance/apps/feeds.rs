//! Connections that are expected to bring messages: silence, heartbeats, probes, pauses, limits on sending, successors.

use std::time::Duration;

use websocket_app::{AppId, Context, RunOptions, SendLimit};
use websocket_dispatcher::Dispatcher as _;

use super::actor::GOODBYE;
use super::stage::Stage;
use crate::conformance::Host;
use crate::frame;

const SOON: Duration = Duration::from_millis(2);
const NEVER: Duration = Duration::from_secs(1000);
const LOST: &str = "closed None by None, clean: false, again: true";

/// A server that says nothing more is left, and the policy for reconnecting leads to the next. What came with the response was read before.
pub fn a_silent_server_is_left<H: Host>(host: &mut H) {
    const NAME: &str = "silence";
    let mut stage = Stage::new(host);
    let app = stage.app(NAME, 2, |_, _| ());
    stage.servers[0].text("hello");
    stage.servers[1].text("bye");
    let options = RunOptions::new().silence_timeout(Duration::from_millis(10)).reconnect(SOON);
    stage.add(app, &options);
    stage.until_logged(NAME, "end");
    let expected = [
        &[
            "open 1",
            "text hello",
            "error the server sent no data message within silence_timeout",
            LOST,
            "open 2",
            "reconnect",
        ][..],
        &GOODBYE,
    ]
    .concat();
    assert_eq!(stage.log.of(NAME), expected);
    stage.leaves_nothing();
}

/// A heartbeat is sent again and again while nothing else happens. A probe that is answered in time changes nothing; one that is not ends the
/// connection.
pub fn heartbeats_are_sent_and_probes_judged<H: Host>(host: &mut H) {
    const NAME: &str = "probe";
    let mut stage = Stage::new(host);
    let app = stage.app("heartbeat", 1, |_, _| ());
    stage.add(app, &RunOptions::new().heartbeat(SOON, "beat"));
    let mut beats = 0;
    stage.until("heartbeats", |stage| {
        while let Some(frame) = stage.servers[0].next_frame() {
            assert_eq!(frame.text(), "beat");
            beats += 1;
        }
        beats >= 3
    });
    stage.servers[0].text("bye");
    stage.until_logged("heartbeat", "end");

    let app = stage.app(NAME, 2, |_, _| ());
    let id = stage.add(app, &RunOptions::new().reconnect(SOON));
    stage.until_logged(NAME, "open 1");
    let server = stage.servers.len() - 2;
    probe(&mut stage, id, NEVER);
    let mut ping = None;
    stage.until("a probe", |stage| {
        ping = stage.servers[server].next_frame();
        ping.is_some()
    });
    let ping = ping.expect("a frame");
    assert_eq!(ping.opcode, frame::PING);
    stage.servers[server].send(&frame::pong(&ping.payload));
    stage.until_logged(NAME, "pong");
    // The test does not answer this one.
    probe(&mut stage, id, SOON);
    stage.until_logged(NAME, "open 2");
    stage.servers[server + 1].text("bye");
    stage.until_logged(NAME, "end");
    let failed = "error the server gave no sign of life within the time of a probe";
    let expected = ["open 1", "pong", failed, LOST, "open 2", "reconnect", "text bye"];
    assert_eq!(stage.log.of(NAME)[..expected.len()], expected);
    stage.leaves_nothing();
}

fn probe<H: Host>(stage: &mut Stage<'_, H>, id: AppId, deadline: Duration) {
    let sent = stage.reactor().apps().with(id, |app| app.probe(deadline));
    sent.expect("the app is there").expect("an open app");
}

/// An app that pauses is delivered nothing, not even what was read with the last message, lets the loop sleep, and does not fail for silence. Then it is
/// delivered everything, in order.
pub fn a_paused_app_is_delivered_nothing_until_it_resumes<H: Host>(host: &mut H) {
    const NAME: &str = "paused";
    let mut stage = Stage::new(host);
    let app = stage.app(NAME, 1, |app, event| {
        if matches!(event, "open 1" | "text pause") {
            app.pause_reading();
        }
    });
    let server = stage.servers.len() - 1;
    let options = RunOptions::new().silence_timeout(Duration::from_millis(5));
    let id = stage.add(app, &options);
    stage.until_logged(NAME, "open 1");
    stage.rest(Duration::from_millis(20));
    for text in ["pause", "one", "two"] {
        stage.servers[server].text(text);
    }
    stage.pass(SOON);
    assert_eq!(stage.log.of(NAME), ["open 1"], "the events of an app that has paused");

    resume(&mut stage, id);
    stage.until_logged(NAME, "text pause");
    stage.servers[server].text("three");
    stage.pass(SOON);
    stage.rest(Duration::from_millis(20));
    assert_eq!(stage.log.of(NAME), ["open 1", "text pause"], "the events of an app that has paused");

    stage.servers[server].text("bye");
    stage.attend();
    resume(&mut stage, id);
    stage.until_logged(NAME, "end");
    let expected = [&["open 1", "text pause", "text one", "text two", "text three"][..], &GOODBYE].concat();
    assert_eq!(stage.log.of(NAME), expected);
    stage.leaves_nothing();
}

fn resume<H: Host>(stage: &mut Stage<'_, H>, id: AppId) {
    stage.reactor().apps().with(id, |app| app.resume_reading()).expect("the app is there");
}

/// What a limit on sending holds back leaves in its order, each message an interval after the one before and not earlier; a ping goes past it.
pub fn a_send_limit_holds_back_what_is_too_much<H: Host>(host: &mut H) {
    const NAME: &str = "limited";
    const INTERVAL: Duration = Duration::from_millis(10);
    let mut stage = Stage::new(host);
    let app = stage.app(NAME, 1, |app, event| {
        if event == "open 1" {
            for text in ["one", "two", "three"] {
                app.send_text(text).expect("an open app");
            }
            app.ping(b"past").expect("an open app");
        }
    });
    let begun = stage.dispatcher.now();
    stage.add(app, &RunOptions::new().send_limit(SendLimit::messages(1, INTERVAL)));
    let mut payloads = Vec::new();
    stage.until("all frames", |stage| {
        payloads.extend(std::iter::from_fn(|| stage.servers[0].next_frame()).map(|frame| frame.payload));
        payloads.len() == 4
    });
    assert!(stage.dispatcher.now() >= begun + 2 * INTERVAL, "three messages, too early");
    assert_eq!(payloads, [&b"one"[..], b"past", b"two", b"three"]);
    stage.until_logged(NAME, "drained");
    stage.servers[0].text("bye");
    stage.until_logged(NAME, "end");
    assert_eq!(stage.log.of(NAME)[..3], ["open 1", "drained", "text bye"]);
    stage.leaves_nothing();
}

/// A successor is made while the connection is in use, and takes over when it opens: messages of both are delivered, what is sent goes to
/// the new one, the old one is closed with a close frame and no callback. One that cannot be made changes nothing.
pub fn a_successor_takes_over_without_a_gap<H: Host>(host: &mut H) {
    const NAME: &str = "renewed";
    let mut stage = Stage::new(host);
    let at_first = stage.registrations();
    let app = stage.app(NAME, 2, |app, event| {
        if event.starts_with("text three") {
            app.send_text("answer").expect("the new connection is open");
        }
    });
    let id = stage.add(app, &RunOptions::new().renew_overlap(NEVER).reconnect(NEVER));
    let in_app = |stage: &mut Stage<'_, H>, work: fn(&mut Context<'_>)| {
        stage.reactor().apps().with(id, work).expect("the app is there");
    };
    let (old, new) = (0, 1);
    stage.until_logged(NAME, "open 1");
    stage.servers[old].text("one");
    stage.servers[new].silent = true;
    in_app(&mut stage, |app| app.renew());
    stage.until("the request of a successor", |stage| stage.servers[new].has_rest());
    stage.servers[old].text("two");
    stage.until_logged(NAME, "text two");
    in_app(&mut stage, |app| app.send_text("to the old one").expect("an open app"));

    stage.servers[new].silent = false;
    stage.until_logged(NAME, "open 2, successor");
    stage.servers[old].text("three");
    stage.until_logged(NAME, "text three");
    stage.servers[new].text("four");
    stage.until_logged(NAME, "text four");
    assert_eq!(next_text(&mut stage, old), "to the old one");
    assert_eq!(next_text(&mut stage, new), "answer");

    assert!(!stage.servers[old].has_ended());
    in_app(&mut stage, |app| app.end_overlap());
    // Sent before the server reads the close frame.
    stage.servers[old].text("five");
    stage.until("the end of the old connection", |stage| stage.servers[old].has_ended());
    let close = stage.servers[old].next_frame().and_then(|frame| frame.close());
    assert_eq!(close.map(|(code, _)| code), Some(1000), "the last frame on the old connection");
    stage.until_logged(NAME, "text five");
    // It has no effect until the app has noticed that end.
    stage.until("a successor that cannot be made", |stage| {
        let has_failed = stage.log.has(NAME, "error");
        if !has_failed {
            in_app(stage, |app| app.renew());
        }
        has_failed
    });
    assert_eq!(stage.registrations(), at_first.map(|at_first| at_first + 1), "registrations");
    stage.servers[new].text("bye");
    stage.until_logged(NAME, "end");
    let events = stage.log.of(NAME);
    let error = events.iter().position(|event| event.starts_with("error"));
    let (before, after) = events.split_at(error.expect("it was logged"));
    let expected = [
        "open 1",
        "text one",
        "text two",
        "open 2, successor",
        "text three, from the predecessor",
        "text four",
        "text five, from the predecessor",
    ];
    assert_eq!(before, expected);
    assert!(after[0].starts_with("error the successor of the open connection failed: "), "{after:?}");
    assert_eq!(after[1..], GOODBYE);
    stage.leaves_nothing();
}

/// The next message that this server gets.
fn next_text<H: Host>(stage: &mut Stage<'_, H>, server: usize) -> String {
    let mut text = None;
    stage.until("a message", |stage| {
        text = stage.servers[server].next_frame().map(|frame| frame.text());
        text.is_some()
    });
    text.expect("a frame")
}
