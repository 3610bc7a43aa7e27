//! One scenario with whole apps, whose events must not depend on the loop.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::rc::Rc;
use std::time::Duration;

use websocket_app::{Context, RunOptions, TimerId};
use websocket_dispatcher::{Interest, MioDispatcher};

use super::server::Server;
use super::stage::Stage;
use crate::conformance::{Far, Host, Sockets};
use crate::frame;

/// Connect, timers, bursts, room, losses, close: each of several apps on one reactor sees the same events in
/// the same order as on mio.
pub fn whole_apps_see_the_same_events_as_on_mio<H: Host>(host: &mut H) {
    let on_mio = play(&mut Sockets::new(|| MioDispatcher::new().expect("a poll")));
    let seen = play(host);
    for (app, on_mio) in on_mio {
        assert_eq!(seen[app], on_mio, "the events of {app:?}, and those on mio");
    }
}

/// The events of each app.
fn play<H: Host>(host: &mut H) -> BTreeMap<&'static str, Vec<String>> {
    let mut stage = Stage::new(host);
    // Those that have had their part stay open beside the others.
    keep_alive(&mut stage);
    timers(&mut stage);
    source(&mut stage);
    pieces(&mut stage);
    burst(&mut stage);
    firehose(&mut stage);
    errands(&mut stage);
    flood(&mut stage);
    from_outside(&mut stage);
    losses(&mut stage);
    goodbye(&mut stage);
    let events = stage.log.names().into_iter().map(|name| (name, stage.log.of(name))).collect();
    stage.leaves_nothing();
    events
}

/// A ping when it is due, while nothing else happens; its pong.
fn keep_alive<H: Host>(stage: &mut Stage<'_, H>) {
    let app = stage.app("kept alive", 1, |_, _| ());
    stage.add(app, &RunOptions::new().ping_interval(Duration::from_millis(5)));
    let server = stage.servers.len() - 1;
    let mut ping = None;
    stage.until("a ping", |stage| {
        ping = stage.servers[server].next_frame();
        ping.is_some()
    });
    let ping = ping.expect("a frame");
    assert_eq!(ping.opcode, frame::PING);
    stage.servers[server].send(&frame::pong(&ping.payload));
    stage.until_logged("kept alive", "pong");
}

/// Timers in the order of their deadlines, in whatever order they were set; an interval, cancelled by itself.
fn timers<H: Host>(stage: &mut Stage<'_, H>) {
    let log = stage.log.clone();
    let (_, server) = stage.open_with("timers", move |app, event| match event {
        "open 1" => {
            for time in [15, 5, 10] {
                let log = log.clone();
                app.set_timeout(Duration::from_millis(time), move |app| {
                    log.note("timers", format!("{time} ms"));
                    if time == 15 {
                        app.set_timeout(Duration::ZERO, move |_| log.note("timers", "and at once"));
                    }
                });
            }
        }
        "text tick" => tick(app, &log),
        _ => {}
    });
    stage.until_logged("timers", "and at once");
    stage.servers[server].text("tick");
    stage.until_logged("timers", "tick 3");
}

fn tick(app: &mut Context<'_>, log: &super::actor::Log) {
    let timer = Rc::new(Cell::new(None::<TimerId>));
    let (own, log, mut ticks) = (timer.clone(), log.clone(), 0);
    let id = app.set_interval(Duration::from_millis(2), move |app| {
        ticks += 1;
        log.note("timers", format!("tick {ticks}"));
        if ticks == 3 {
            assert!(own.get().is_some_and(|timer| app.cancel(timer)));
        }
    });
    timer.set(Some(id));
}

/// A source beside the apps, which is read one byte per call, written to, paused and removed, with a timer that belongs to no app.
fn source<H: Host>(stage: &mut Stage<'_, H>) {
    const NAME: &str = "source";
    let (near, mut far) = stage.pair();
    let log = stage.log.clone();
    let watched = stage.reactor().apps().watch(near, Interest::ReadWrite, move |stream, event| {
        if event.writable && !log.has(NAME, "writable") {
            log.note(NAME, "writable");
            let written = stream.source.write(b"hello");
            stream.set_interest(Interest::Read);
            return written.map(|len| assert_eq!(len, 5, "a new stream takes a few bytes"));
        }
        let mut byte = [0];
        match stream.source.read(&mut byte) {
            Ok(0) => {
                log.note(NAME, "end");
                stream.remove();
            }
            Ok(_) => log.note(NAME, char::from(byte[0])),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(())
    });
    let id = watched.expect("a stream that the dispatcher knows");
    let mut heard = Vec::new();
    stage.until("what a source was sent", |_| {
        far.receive(&mut heard);
        heard == b"hello"
    });
    far.write(b"abc");
    stage.until_logged(NAME, "c");
    assert!(stage.reactor().apps().set_interest(id, Interest::None));
    stage.pass(Duration::from_millis(2));
    far.write(b"d");
    let log = stage.log.clone();
    stage.reactor().apps().set_timeout(Duration::from_millis(2), move |apps| {
        log.note(NAME, "resumed");
        assert!(apps.set_interest(id, Interest::Read));
    });
    stage.until_logged(NAME, "d");
    far.shutdown();
    stage.until_logged(NAME, "end");
    stage.until("the end of a removed source", |_| far.has_ended());
    far.close();
}

/// Fragments with a ping between them, a message larger than any buffer, a frame that comes in two parts.
fn pieces<H: Host>(stage: &mut Stage<'_, H>) {
    const BIG: usize = 700_000;
    let (_, server) = stage.open("pieces");
    let message = [
        frame::encode(false, 0, frame::TEXT, b"in "),
        frame::ping(b"between"),
        frame::continuation(false, b"three "),
        frame::continuation(true, b"pieces"),
    ];
    stage.servers[server].send(&message.concat());
    stage.until_logged("pieces", "text in three pieces");
    let big: Vec<u8> = (0..BIG).map(|at| (at % 251) as u8).collect();
    stage.servers[server].send(&frame::binary(&big));
    stage.until_logged("pieces", "binary");
    let cut = frame::text("cut in its head");
    stage.servers[server].send(&cut[..1]);
    stage.pass(Duration::from_millis(2));
    stage.servers[server].send(&cut[1..]);
    stage.until_logged("pieces", "text cut in its head");
    let pong = stage.servers[server].next_frame().expect("the answer to the ping");
    assert_eq!((pong.opcode, &*pong.payload), (frame::PONG, &b"between"[..]));
}

/// More than the reactor reads from one connection in a turn.
fn burst<H: Host>(stage: &mut Stage<'_, H>) {
    const FRAMES: usize = 200;
    let (_, server) = stage.open("burst");
    for number in 0..FRAMES {
        stage.servers[server].send(&frame::binary(&[number as u8; 16 << 10]));
    }
    stage.until("the end of a burst", |stage| stage.log.count("burst", "binary") == FRAMES);
}

/// A single message for one app comes through beside a stream for another that does not end before it has.
fn firehose<H: Host>(stage: &mut Stage<'_, H>) {
    const AHEAD: usize = 4 << 20;
    let drop = frame::binary(&[7; 16 << 10]);
    let (busy, hose) = stage.open("firehose");
    let (_, other) = stage.open("bystander");
    let mut asked = false;
    stage.until("a message beside a stream without an end", |stage| {
        stage.servers[hose].keep_ahead(&drop, AHEAD);
        if stage.log.count("firehose", "binary") > 0 && !std::mem::replace(&mut asked, true) {
            stage.servers[other].text("excuse me");
        }
        stage.log.has("bystander", "text excuse me")
    });
    assert!(stage.reactor().apps().remove(busy));
    // How much came by then is the loop's affair.
    stage.log.forget("firehose");
}

/// A single message for one app comes through beside another that always has more to do. A firehose may run dry for a moment on a machine
/// that is busy; this does not.
fn errands<H: Host>(stage: &mut Stage<'_, H>) {
    fn run(app: &mut Context<'_>) {
        app.sender().run(run);
    }
    let (busy, server) = stage.open_with("errands", |app, event| {
        if event == "text go" {
            run(app);
        }
    });
    let (_, other) = stage.open("neighbour");
    stage.servers[server].text("go");
    stage.until_logged("errands", "text go");
    // The loop is to be in the midst of it.
    for _ in 0..3 {
        stage.poll(Duration::ZERO);
    }
    stage.servers[other].text("excuse me");
    stage.until_logged("neighbour", "text excuse me");
    assert!(stage.reactor().apps().remove(busy));
}

/// More than the socket takes: the rest is written when there is room, and `on_drain` comes when all is.
fn flood<H: Host>(stage: &mut Stage<'_, H>) {
    let sent = Rc::new(Cell::new(0));
    let (log, count) = (stage.log.clone(), sent.clone());
    let (_, server) = stage.open_with("flood", move |app, event| match event {
        "text flood" => count.set(fill(app, &log, "flood")),
        "drained" => app.send_text("that was all").expect("room for a word"),
        _ => {}
    });
    stage.servers[server].text("flood");
    stage.attend();
    stage.servers[server].deaf = true;
    stage.until_logged("flood", "full");
    stage.pass(Duration::from_millis(2));
    stage.servers[server].text("what a flood");
    stage.until_logged("flood", "text what a flood");
    stage.servers[server].deaf = false;
    let mut received = 0;
    stage.until("the last word after a flood", |stage| {
        while let Some(frame) = stage.servers[server].next_frame() {
            if frame.opcode == frame::TEXT {
                assert_eq!((frame.text().as_str(), received), ("that was all", sent.get()));
                return true;
            }
            assert!(frame.payload.len() == CHUNK && frame.payload.iter().all(|byte| *byte == received as u8));
            received += 1;
        }
        false
    });
    stage.until_logged("flood", "drained");
}

const CHUNK: usize = 256 << 10;

/// Sends until the stream takes no more, and one more message. Returns how many that were.
pub(super) fn fill(app: &mut Context<'_>, log: &super::actor::Log, name: &'static str) -> usize {
    for number in 0..1000 {
        app.send_bytes(vec![number as u8; CHUNK]).expect("what is queued is within its limit");
        app.flush().expect("an open stream");
        if app.queued_bytes() > 0 {
            app.send_bytes(vec![(number + 1) as u8; CHUNK]).expect("what is queued is within its limit");
            log.note(name, "full");
            return number + 2;
        }
    }
    panic!("the stream has room without end");
}

/// A sender and a handle, from between two turns.
fn from_outside<H: Host>(stage: &mut Stage<'_, H>) {
    let mut app = stage.app("outside", 1, |_, _| ());
    let sender = app.sender();
    let id = stage.add(app, &RunOptions::new());
    stage.until_logged("outside", "open");
    sender.send_text("one").expect("an open app");
    sender.send_text("two").expect("an open app");
    stage.reactor().handle().run(move |apps| {
        let sent = apps.with(id, |app| app.send_text("three"));
        sent.expect("the app is there").expect("an open app");
    });
    let server = stage.servers.len() - 1;
    let mut heard = Vec::new();
    stage.until("what was sent from outside", |stage| {
        heard.extend(stage.servers[server].next_frame().map(|frame| frame.text()));
        heard.len() == 3
    });
    assert_eq!(heard, ["one", "two", "three"]);
}

/// A reset, an end without a close frame and a close that asks to come back: each time the app connects
/// again.
fn losses<H: Host>(stage: &mut Stage<'_, H>) {
    let app = stage.app("losses", 4, |_, _| ());
    stage.add(app, &RunOptions::new().reconnect(Duration::from_millis(2)));
    let first = stage.servers.len() - 4;
    for (server, lose) in [Lose::Reset, Lose::End, Lose::Close].into_iter().enumerate() {
        let attempt = format!("open {}", server + 1);
        stage.until_logged("losses", &attempt);
        let server = &mut stage.servers[first + server];
        match lose {
            Lose::Reset => server.leave(H::Far::reset),
            Lose::End => server.shutdown(),
            Lose::Close => server.close(1012),
        }
    }
    stage.until_logged("losses", "open 4");
}

enum Lose {
    Reset,
    End,
    Close,
}

/// All apps that are left close at once.
fn goodbye<H: Host>(stage: &mut Stage<'_, H>) {
    for server in stage.servers.iter_mut().filter(|server| server.is_open()) {
        server.text("bye");
    }
    stage.until("the end of all apps", |stage| stage.reactor().apps().is_empty());
    stage.until("the end of all streams", |stage| stage.servers.iter().all(Server::has_ended));
    stage.reactor().run().expect("a reactor without apps has nothing to wait for");
}
