//! The visit that most messages cause has a short way of its own, for sockets without anything unusual. Whatever a callback does, and whatever
//! the server sends, an app sees the same as on the long way, which a wire tap asks for.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

#[cfg(unix)]
use websocket_app::link::socket2::SockRef;
use websocket_app::{Batch, CallbackResult, Context, Error, Handler, Message, RunOptions, WebSocketApp};
use websocket_testkit::frame;
use websocket_testkit::server::{Peer, ScriptedServer};
use websocket_tests::{Log, outcome_line, run_forever};

/// Runs an app that does `act` with each message, which it gets counted from 1, in both ways. Returns what its callbacks were called with, and how
/// it ended.
fn lines(
    script: fn(&mut Peer),
    act: impl Fn(&Log, &mut Context<'_>, u32) -> CallbackResult + Copy + 'static,
) -> Vec<String> {
    lines_with(&RunOptions::new(), script, act)
}

/// [`lines`], with options.
fn lines_with(
    options: &RunOptions,
    script: fn(&mut Peer),
    act: impl Fn(&Log, &mut Context<'_>, u32) -> CallbackResult + Copy + 'static,
) -> Vec<String> {
    let [short, long] = [options.clone(), options.clone().wire_tap(|_, _| {})].map(|options| {
        let server = ScriptedServer::start(move |mut peer| {
            peer.accept_upgrade();
            script(&mut peer);
        })
        .unwrap();
        let log = Log::new();
        let (received, ends) = (log.clone(), log.clone());
        let mut count = 0;
        let mut app = log
            .app(server.url())
            .on_message(move |app, message| {
                received.message(message);
                count += 1;
                act(&received, app, count)
            })
            .on_batch_end(move |_| ends.push("end"));
        let outcome = run_forever(&mut app, &options).unwrap();
        log.push(outcome_line(&outcome));
        server.join();
        log.take()
    });
    assert_eq!(short, long);
    short
}

/// Sends a text and waits for the answer to it.
fn ask(peer: &mut Peer, text: &str) {
    peer.send_text(text);
    assert_eq!(peer.read_frame().text(), format!("{text}!"));
}

/// Answers the messages of [`ask`].
fn answer(app: &mut Context<'_>, text: &str) -> CallbackResult {
    Ok(app.send_text(format!("{text}!"))?)
}

fn close(peer: &mut Peer) {
    peer.send_close(1000, "");
    peer.read_close();
}

#[test]
fn messages_are_answered_one_by_one() {
    let script = |peer: &mut Peer| {
        ask(peer, "1");
        ask(peer, "2");
        close(peer);
    };
    let seen = lines(script, |_, app, count| answer(app, &count.to_string()));
    assert_eq!(
        seen,
        ["open", "text 1", "end", "text 2", "end", "close 1000, by server, clean", "clean 1000, by Server"]
    );
}

#[cfg(unix)]
#[test]
fn an_answer_that_the_socket_does_not_take_at_once_is_drained() {
    const SIZE: usize = 60 << 10;
    const COUNT: usize = 20;
    let script = |peer: &mut Peer| {
        ask(peer, "1");
        for _ in 0..COUNT {
            assert_eq!(peer.read_frame().payload.len(), SIZE);
        }
        ask(peer, "2");
        close(peer);
    };
    let seen = lines(script, |log, app, count| {
        answer(app, &count.to_string())?;
        if count == 1 {
            let socket = app.io().and_then(|io| io.fd()).unwrap();
            SockRef::from(&socket).set_send_buffer_size(8 << 10)?;
            (0..COUNT).try_for_each(|_| app.send_bytes([0; SIZE]))?;
            log.push(format!("queued {}", app.queued_bytes() > SIZE));
        }
        Ok(())
    });
    assert_eq!(seen[..6], ["open", "text 1", "queued true", "end", "drain", "text 2"]);
}

#[test]
fn an_app_that_pauses_gets_the_next_message_when_it_resumes() {
    let script = |peer: &mut Peer| {
        ask(peer, "1");
        ask(peer, "2");
        close(peer);
    };
    let seen = lines(script, |log, app, count| {
        answer(app, &count.to_string())?;
        if count == 1 {
            app.pause_reading();
            let log = log.clone();
            app.set_timeout(Duration::from_millis(1), move |app| {
                log.push("resumed");
                app.resume_reading();
            });
        }
        Ok(())
    });
    assert_eq!(seen[..5], ["open", "text 1", "end", "resumed", "text 2"]);
}

#[test]
fn a_sender_that_a_callback_makes_sends_behind_its_answers() {
    let script = |peer: &mut Peer| {
        peer.send_text("1");
        assert_eq!(peer.read_frame().text(), "by sender 1");
        peer.send_text("2");
        assert_eq!(peer.read_frame().text(), "by sender 2");
        close(peer);
    };
    let seen = lines(script, |_, app, count| Ok(app.sender().send_text(format!("by sender {count}"))?));
    assert_eq!(seen[1..5], ["text 1", "end", "text 2", "end"]);
}

#[test]
fn what_a_sender_sees_is_kept_up_to_date() {
    let script = |peer: &mut Peer| {
        ask(peer, "1");
        ask(peer, "2");
        ask(peer, "3");
        close(peer);
    };
    let seen = lines(script, |log, app, count| {
        // Before its answer is written, and after that of the message before.
        log.push(format!("queued {}", app.sender().queued_bytes()));
        answer(app, &count.to_string())?;
        log.push(format!("queued {}", app.sender().queued_bytes()));
        Ok(())
    });
    assert_eq!(seen[2..5], ["queued 0", "queued 8", "end"]);
    assert_eq!(seen[6..8], ["queued 0", "queued 8"]);
}

#[test]
fn keep_alive_pings_are_sent_after_messages() {
    let options = RunOptions::new().ping_interval(Duration::from_millis(20));
    let script = |peer: &mut Peer| {
        peer.send_text("1");
        // Whichever comes first.
        let (mut ping, mut has_text) = (None, false);
        while ping.is_none() || !has_text {
            let frame = peer.read_frame();
            has_text |= frame.opcode == frame::TEXT;
            ping = ping.or_else(|| (frame.opcode == frame::PING).then_some(frame));
        }
        peer.send_pong(&ping.unwrap().payload);
        peer.send_close(1000, "");
        peer.read_to_end();
    };
    let seen = lines_with(&options, script, |_, app, _| answer(app, "1"));
    assert_eq!(seen[1..3], ["text 1", "end"]);
    assert!(seen[3].starts_with("pong "), "{seen:?}");
}

#[test]
fn a_probe_and_a_ping_of_a_callback_are_written_and_answered() {
    let script = |peer: &mut Peer| {
        peer.send_text("1");
        for _ in 0..2 {
            let ping = peer.read_frame();
            assert_eq!(ping.opcode, frame::PING);
            peer.send_pong(&ping.payload);
        }
        ask(peer, "2");
        close(peer);
    };
    let seen = lines(script, |_, app, count| {
        if count == 2 {
            return answer(app, "2");
        }
        app.ping(b"?")?;
        Ok(app.probe(Duration::from_secs(60))?)
    });
    assert_eq!(seen[1..4], ["text 1", "end", "pong ?"]);
}

#[test]
fn a_probe_of_a_callback_ends_a_connection_whose_server_does_not_answer() {
    let script = |peer: &mut Peer| {
        peer.send_text("1");
        peer.read_to_end();
    };
    let seen = lines(script, |_, app, _| Ok(app.probe(Duration::from_millis(1))?));
    assert_eq!(seen[1..4], ["text 1", "end", "error Timeout(Probe)"]);
}

#[test]
fn an_app_that_closes_in_a_callback_ends_cleanly() {
    let script = |peer: &mut Peer| {
        peer.send_text("1");
        peer.read_close();
        peer.send_close(1000, "");
    };
    let seen = lines(script, |_, app, _| {
        app.close();
        Ok(())
    });
    assert_eq!(seen, ["open", "text 1", "end", "close 1000, by client, clean", "clean 1000, by Client"]);
}

#[test]
fn an_app_that_removes_itself_gets_no_other_callback() {
    let script = |peer: &mut Peer| {
        peer.send_text("1");
        peer.read_to_end();
    };
    let seen = lines(script, |_, app, _| {
        app.remove();
        Ok(())
    });
    assert_eq!(seen, ["open", "text 1", "stopped"]);
}

#[test]
fn a_callback_that_wants_another_connection_loses_this_one() {
    let script = |peer: &mut Peer| {
        peer.send_text("1");
        peer.read_to_end();
    };
    let seen = lines(script, |_, app, _| {
        app.reconnect("stale");
        Ok(())
    });
    assert_eq!(seen[1], "text 1");
    assert!(seen[2].starts_with("error ") && seen[3].starts_with("close"), "{seen:?}");
}

#[test]
fn the_error_of_a_callback_is_reported_and_its_panic_ends_the_app() {
    let script = |peer: &mut Peer| {
        ask(peer, "1");
        peer.send_text("2");
        peer.read_to_end();
    };
    let seen = lines(script, |_, app, count| {
        assert_ne!(count, 2, "the second");
        answer(app, "1")?;
        Err("the first".into())
    });
    assert_eq!(seen[..4], ["open", "text 1", "error Callback(the first)", "end"]);
    assert_eq!(seen[4], "text 2");
    assert!(seen[5].starts_with("error CallbackPanicked"), "{seen:?}");
}

#[test]
fn what_is_not_one_small_message_is_delivered_as_well() {
    let script = |peer: &mut Peer| {
        ask(peer, "1");
        peer.write(&[frame::text("2"), frame::text("3")].concat());
        assert_eq!(peer.read_frame().text(), "2!");
        assert_eq!(peer.read_frame().text(), "3!");
        peer.send_frame(false, 0, frame::TEXT, b"fo");
        peer.send_ping(b"?");
        assert_eq!(peer.read_frame().opcode, frame::PONG);
        peer.send_frame(true, 0, frame::CONTINUATION, b"ur");
        assert_eq!(peer.read_frame().text(), "4!");
        peer.send_text(&"5".repeat(70_000));
        assert_eq!(peer.read_frame().text(), "5!");
        ask(peer, "6");
        peer.send_frame(true, 0, frame::TEXT, b"\xff");
        assert_eq!(peer.read_close().unwrap().0, 1007);
    };
    let seen = lines(script, |_, app, count| answer(app, &count.to_string()));
    assert_eq!(seen[1..8], ["text 1", "end", "text 2", "text 3", "end", "ping ?", "text four"]);
    let end = ["text 6", "end", "error Protocol(InvalidUtf8)", "close: Protocol(InvalidUtf8)"];
    assert_eq!(seen[11..15], end);
}

/// Leaves the messages of a read where they are: as if it did not want them, or with an error, after which it pauses where there is a message.
struct Unwilling {
    log: Log,
    fails: bool,
    /// Since the last message. The first one comes behind that, where nothing is left.
    errors: u32,
}

impl Handler for Unwilling {
    fn on_messages(&mut self, _: &mut Batch<'_, '_>) -> CallbackResult {
        self.log.push("offered");
        if self.fails { Err("no batches".into()) } else { Ok(()) }
    }

    fn on_message(&mut self, app: &mut Context<'_>, message: Message<'_>) -> CallbackResult {
        self.log.message(message);
        self.errors = 0;
        answer(app, message.as_text().unwrap_or_default())
    }

    fn on_error(&mut self, app: &mut Context<'_>, error: &Error) -> CallbackResult {
        self.log.push(error.to_string());
        self.errors += 1;
        if self.errors > 1 {
            app.pause_reading();
            app.set_timeout(Duration::from_millis(1), |app| app.resume_reading());
        }
        Ok(())
    }

    fn wants_data(&self) -> bool {
        false
    }
}

/// What an unwilling handler sees between the first message and the second, in both ways.
fn seen_unwillingly(fails: bool) -> Vec<String> {
    let [short, long] = [RunOptions::new(), RunOptions::new().wire_tap(|_, _| {})].map(|options| {
        let server = ScriptedServer::start(|mut peer| {
            peer.accept_upgrade();
            ask(&mut peer, "1");
            ask(&mut peer, "2");
            close(&mut peer);
        })
        .unwrap();
        let log = Log::new();
        let mut app =
            WebSocketApp::with_handler(server.url(), Unwilling { log: log.clone(), fails, errors: 0 });
        let outcome = run_forever(&mut app, &options).unwrap();
        assert_eq!(outcome_line(&outcome), "clean 1000, by Server");
        server.join();
        let lines = log.take();
        let place = |message: &str| lines.iter().position(|line| line == message).unwrap();
        lines[place("text 1") + 1..place("text 2")].to_vec()
    });
    assert_eq!(short, long);
    short
}

#[test]
fn a_message_that_on_messages_leaves_comes_to_on_message() {
    // Once behind the first message, and once with the second.
    assert_eq!(seen_unwillingly(false), ["offered", "offered"]);
}

#[test]
fn a_message_that_on_messages_fails_before_is_not_lost_to_a_pause() {
    let error = "a callback returned an error: no batches";
    assert_eq!(seen_unwillingly(true), ["offered", error, "offered", error]);
}
