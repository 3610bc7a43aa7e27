//! The numbers of apps and of the reactor, against what the far ends and the dispatcher have counted.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use websocket_app::{AppId, Context, RunOptions, Sender, Stats, Traffic};

use super::server::Server;
use super::stage::Stage;
use crate::conformance::{Far, Host};
use crate::frame;

const NAME: &str = "counted";
const BIG: usize = 10_000;

/// What a server has sent and received, as the app must count it: bytes on the stream are the server's own count.
fn received<F>(server: &Server<F>) -> Counted {
    Counted { messages: 3, frames: 5, payload: 5 + 15 + BIG as u64, pings: 1, wire: server.sent }
}

fn sent<F>(server: &Server<F>) -> Counted {
    Counted { messages: 2, frames: 2, payload: 6 + 7, pings: 1, wire: server.received }
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Counted {
    messages: u64,
    frames: u64,
    payload: u64,
    pings: u64,
    wire: u64,
}

impl Counted {
    fn of(traffic: &Traffic) -> Self {
        Self {
            messages: traffic.messages,
            frames: traffic.frames,
            payload: traffic.payload_bytes,
            pings: traffic.pings,
            wire: traffic.wire_bytes,
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            messages: self.messages + other.messages,
            frames: self.frames + other.frames,
            payload: self.payload + other.payload,
            pings: self.pings + other.pings,
            wire: self.wire + other.wire,
        }
    }
}

/// Adds an app that answers the big message of [`converse`].
fn add<H: Host>(stage: &mut Stage<'_, H>, connections: usize) -> (AppId, Sender) {
    let mut app = stage.app(NAME, connections, |app, event| {
        if event.starts_with("binary") {
            app.send_text("answer").expect("an open app");
            app.send_bytes(b"another").expect("an open app");
            app.ping(b"there?").expect("an open app");
        }
    });
    let sender = app.sender();
    (stage.add(app, &RunOptions::new().reconnect(Duration::from_millis(2))), sender)
}

/// A whole message, one in fragments with a ping between them, and a big one; the answers to it; a pong.
fn converse<H: Host>(stage: &mut Stage<'_, H>, server: usize) {
    let messages = [
        frame::text("hello"),
        frame::encode(false, 0, frame::TEXT, b"in "),
        frame::ping(b"between"),
        frame::continuation(false, b"three "),
        frame::continuation(true, b"pieces"),
        frame::binary(&[7; BIG]),
    ];
    stage.servers[server].send(&messages.concat());
    let mut opcodes = Vec::new();
    stage.until("the answers", |stage| {
        opcodes.extend(stage.servers[server].next_frame().map(|frame| frame.opcode));
        opcodes.len() == 4
    });
    assert_eq!(opcodes, [frame::PONG, frame::TEXT, frame::BINARY, frame::PING]);
    let pongs = stage.log.count(NAME, "pong");
    stage.servers[server].send(&frame::pong(b"there?"));
    stage.until("a pong", |stage| stage.log.count(NAME, "pong") > pongs);
}

fn of_app<H: Host>(stage: &mut Stage<'_, H>, id: AppId, stats: fn(&mut Context<'_>) -> Stats) -> Stats {
    stage.reactor().apps().with(id, stats).expect("the app is there")
}

/// The numbers of a connection, and those of a run over its connections, are what the servers have counted; a snapshot for
/// other threads is the same.
pub fn numbers_are_those_of_the_servers<H: Host>(host: &mut H) {
    let mut stage = Stage::new(host);
    let (id, sender) = add(&mut stage, 2);
    assert!(sender.stats().is_none(), "numbers of an app that has not begun");
    for connection in 0..2 {
        let attempt = connection as u32 + 1;
        stage.until_logged(NAME, &format!("open {attempt}"));
        converse(&mut stage, connection);
        let stats = of_app(&mut stage, id, |app| app.stats());
        let server = &stage.servers[connection];
        assert_eq!(Counted::of(&stats.received), received(server), "received on connection {attempt}");
        assert_eq!(Counted::of(&stats.sent), sent(server), "sent on connection {attempt}");
        assert_eq!(
            (stats.queued_bytes, stats.attempts.started, stats.attempts.opened),
            (0, attempt, attempt)
        );
        assert!(stats.peak_queued_bytes > 0 && stats.rtt.last.is_some(), "{stats:?}");
        assert!(
            stats.last_message <= stats.last_byte && stats.last_byte <= Some(stats.taken_at),
            "{stats:?}"
        );
        let phases = stats.phases;
        assert!(
            phases.upgrade.is_some() && [phases.resolve, phases.proxy, phases.tls] == [None; 3],
            "{phases:?}"
        );
        assert!(phases.upgrade <= Some(phases.total()), "{phases:?}");
        if connection == 0 {
            stage.servers[0].leave(H::Far::reset);
        }
    }
    let of_servers = |of: fn(&Server<H::Far>) -> Counted, stage: &Stage<'_, H>| {
        of(&stage.servers[0]).plus(of(&stage.servers[1]))
    };
    let total = of_app(&mut stage, id, |app| app.total_stats());
    assert_eq!(Counted::of(&total.received), of_servers(received, &stage), "received on both connections");
    assert_eq!(Counted::of(&total.sent), of_servers(sent, &stage), "sent on both connections");
    // It was asked for before, so the loop has published it.
    let snapshot = sender.stats().expect("the loop has turned");
    assert_eq!((snapshot.received, snapshot.sent), (total.received, total.sent));
    stage.remove_all();
    stage.leaves_nothing();
}

/// The reactor counts turns and the streams that were reported, and measures all work: what is reported as slow, which is all with a threshold of zero, makes up
/// no more than the whole, and the longest is the longest of it.
pub fn the_reactor_counts_what_the_dispatcher_reports<H: Host>(host: &mut H) {
    let mut stage = Stage::new(host);
    let slow = Rc::new(RefCell::new(Vec::new()));
    let hook = slow.clone();
    stage.reactor = stage.reactor.map(|reactor| {
        reactor.slow_callback_threshold(Duration::ZERO).on_slow_callback(move |it| hook.borrow_mut().push(it))
    });
    let (id, _) = add(&mut stage, 1);
    stage.until_logged(NAME, "open 1");
    converse(&mut stage, 0);
    let before = stage.reactor().apps().stats();
    stage.poll(Duration::ZERO);
    stage.poll(Duration::ZERO);
    let stats = stage.reactor().apps().stats();
    assert_eq!(stats.turns, before.turns + 2);
    assert_eq!(stats.ready_streams, stage.dispatcher.reported.get());
    let slow = slow.borrow();
    assert!(slow.iter().any(|it| it.app == Some(id)), "work on the app was not measured");
    assert!(slow.iter().map(|it| it.took).sum::<Duration>() <= stats.time_in_callbacks);
    let longest = slow.iter().map(|it| it.took).max();
    assert_eq!(longest, Some(stats.longest_callback.map(|it| it.took).unwrap_or_default()));
    drop(slow);
    stage.remove_all();
    stage.leaves_nothing();
}

/// Another thread asks for the numbers of an app and of the reactor, which sleeps until then.
pub fn other_threads_read_the_numbers<H: Host>(host: &mut H) {
    let mut stage = Stage::new(host);
    let (id, sender) = add(&mut stage, 1);
    stage.until_logged(NAME, "open 1");
    converse(&mut stage, 0);
    stage.rest(Duration::from_millis(1));
    let handle = stage.reactor().handle();
    let (tell, told) = mpsc::channel();
    let asks_of_app = sender.clone();
    let thread = thread::spawn(move || {
        let of_run = ask(|| asks_of_app.stats());
        let of_reactor = ask(|| handle.stats());
        tell.send((of_run, of_reactor)).expect("the test listens");
        handle.run(|_| ());
    });
    let (of_run, of_reactor) = loop {
        if let Ok(told) = told.try_recv() {
            break told;
        }
        stage.reactor().poll(None).expect("a wait succeeds");
    };
    thread.join().expect("the thread has done its part");
    let total = of_app(&mut stage, id, |app| app.total_stats());
    assert_eq!((of_run.received, of_run.sent, of_run.attempts), (total.received, total.sent, total.attempts));
    let now = stage.reactor().apps().stats();
    assert!(
        of_reactor.turns > 0
            && of_reactor.turns <= now.turns
            && of_reactor.ready_streams <= now.ready_streams
    );

    stage.servers[0].text("bye");
    stage.until_logged(NAME, "end");
    stage.until_all_streams_have_ended();
    let at_the_end = sender.stats().expect("they were asked for").received;
    // A message and the close frame more than the thread was told of.
    assert_eq!(at_the_end.messages, total.received.messages + 1);
    assert_eq!(at_the_end.wire_bytes, stage.servers[0].sent);
    stage.leaves_nothing();
}

/// Asks until there is an answer.
fn ask<T>(mut stats: impl FnMut() -> Option<T>) -> T {
    loop {
        if let Some(stats) = stats() {
            return stats;
        }
        thread::yield_now();
    }
}
