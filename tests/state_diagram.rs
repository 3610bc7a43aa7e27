//! The state diagram of the guide is what the code does: every transition that apps make is drawn, and every one that is drawn is made.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::panic::resume_unwind;
use std::sync::Once;
use std::time::Duration;

use websocket_app::{AppId, Apps, Close, CloseCode, Reconnect, RunOptions};
use websocket_testkit::frame;
use websocket_testkit::sim::{SimNet, SimPeer};
use websocket_tests::{Log, SERVER, URL, World};

const CHAPTER: &str = include_str!("../docs/src/life-cycle.md");
const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// From one state to another; `[*]` is where a run begins and ends.
type Edge = (String, String);

fn edge(from: &str, to: &str) -> Edge {
    (from.to_owned(), to.to_owned())
}

/// The transitions of the first state diagram in `chapter`.
fn drawn(chapter: &str) -> BTreeSet<Edge> {
    let (_, diagram) = chapter.split_once("```mermaid\nstateDiagram-v2\n").expect("a state diagram");
    let (diagram, _) = diagram.split_once("```").expect("its end");
    let edges = diagram.lines().map(|line| {
        let (from, rest) = line.split_once("-->").expect("nothing but transitions");
        edge(from.trim(), rest.split(':').next().unwrap_or(rest).trim())
    });
    edges.collect()
}

thread_local! {
    /// What the library has logged about life cycles on this thread.
    static LOGGED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

struct Logger;

impl log::Log for Logger {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target() == "websocket::life_cycle"
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            LOGGED.with_borrow_mut(|logged| logged.push(record.args().to_string()));
        }
    }

    fn flush(&self) {}
}

fn install_logger() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Logger).unwrap();
        log::set_max_level(log::LevelFilter::Debug);
    });
}

/// What the run of one app has looked like from outside.
struct Seen {
    edges: Vec<Edge>,
    /// It was told to go while it waited to connect again.
    given_up: bool,
}

impl Seen {
    /// Reads the log of the only app of a world, which `told` its `on_close` or not, and which is `gone` or not.
    fn read(told: bool, gone: bool) -> Self {
        let mut state = "[*]".to_owned();
        let mut seen = Self { edges: Vec::new(), given_up: false };
        for line in LOGGED.take() {
            let (_app, what) = line.split_once(": ").unwrap();
            assert!(!seen.given_up, "nothing comes after the end: {line}");
            match what.split_once(" -> ") {
                Some((from, to)) => {
                    assert_eq!(if state == "[*]" { "Closed" } else { &state }, from, "{line}");
                    let from = std::mem::replace(&mut state, to.to_owned());
                    seen.edges.push((from, to.to_owned()));
                }
                None => {
                    assert_eq!((what, state.as_str()), ("no other attempt is wanted", "Closed"));
                    seen.given_up = true;
                }
            }
        }
        if state == "[*]" && told {
            // There was nothing to leave, so nothing was logged.
            seen.edges.push(edge("[*]", "Closed"));
            state = "Closed".to_owned();
        }
        if gone {
            seen.edges.push(edge(&state, "[*]"));
        }
        assert!(gone || !seen.given_up);
        seen
    }
}

/// What it is called in a failed assertion, and what it does.
type Server = (&'static str, fn(&SimNet));
type User = (&'static str, fn(&mut Apps, AppId));

/// What a server does to those who connect.
const SERVERS: [Server; 12] = [
    ("is not there", |net| net.refuse(SERVER)),
    ("never accepts", |net| net.black_hole(SERVER)),
    ("never responds", |net| drop(net.listen(SERVER))),
    ("refuses for good", |net| refuse(net, b"HTTP/1.1 403 Forbidden\r\n\r\n")),
    ("refuses for now", |net| refuse(net, b"HTTP/1.1 503 Busy\r\nRetry-After: 2\r\n\r\n")),
    ("does as it should", |net| open(net, |_| {})),
    ("falls silent", |net| net.serve(SERVER, |server| drop(server.accept_upgrade()))),
    ("resets", |net| open(net, SimPeer::reset)),
    ("leaves", |net| open(net, SimPeer::close)),
    ("closes for good", |net| open(net, |server| server.write(&frame::close(1000, "")))),
    ("closes for now", |net| open(net, |server| server.write(&frame::close(1012, "")))),
    ("breaks the protocol", |net| open(net, |server| server.write(b"\x83\x00"))),
];

fn refuse(net: &SimNet, response: &'static [u8]) {
    net.serve(SERVER, |server| {
        server.write(response);
        server.shutdown();
    });
}

/// Opens connections, does `first` to each, and answers pings and close frames.
fn open(net: &SimNet, first: fn(&SimPeer)) {
    net.serve_arrivals(SERVER, move |server| {
        if server.accept_upgrade().is_some() {
            first(server);
        }
        while let Some(frame) = server.read_frame() {
            match frame.opcode {
                frame::PING => server.write(&frame::pong(&frame.payload)),
                frame::CLOSE => {
                    server.write(&frame::encode(true, 0, frame::CLOSE, &frame.payload));
                    server.shutdown();
                }
                _ => {}
            }
        }
    });
}

/// What the user does.
const USERS: [User; 6] = [
    ("waits", |_, _| {}),
    ("closes", |apps, id| {
        apps.with(id, |app| app.close());
    }),
    ("closes without waiting", |apps, id| {
        let close = Close::from(CloseCode::Away).timeout(Duration::ZERO);
        apps.with(id, |app| app.close_with(close)).transpose().unwrap();
    }),
    ("panics", |apps, id| {
        apps.with(id, |app| app.set_timeout(Duration::ZERO, |_| resume_unwind(Box::new("no hook"))));
    }),
    ("stops", |apps, _| apps.stop()),
    ("stops within a second", |apps, _| apps.stop_within(SECOND)),
];

/// What one app does on one server, whose user acts once, `at` this time.
fn see(server: fn(&SimNet), user: fn(&mut Apps, AppId), at: Duration, reconnect: bool) -> Seen {
    LOGGED.take();
    let mut world = World::new();
    server(&world.net);
    let mut options = RunOptions::new()
        .connect_timeout(2 * SECOND)
        .upgrade_timeout(2 * SECOND)
        .close_timeout(SECOND)
        .ping_interval(2 * SECOND)
        .ping_timeout(SECOND);
    if reconnect {
        options = options.reconnect(Reconnect::fixed(SECOND).max_retries(6));
    }
    let log = Log::new();
    let id = log.app(URL).run_on(&mut world.reactor, &options).unwrap();
    if !at.is_zero() {
        world.run_until(at);
    }
    user(world.reactor.apps(), id);
    world.run_until(60 * SECOND);
    Seen::read(log.count(|line| line.starts_with("close")) > 0, world.reactor.apps().is_empty())
}

#[test]
fn the_diagram_of_the_guide_has_the_transitions_that_apps_make_and_no_others() {
    install_logger();
    let drawn = drawn(CHAPTER);
    let mut seen = BTreeSet::new();
    let mut given_up = 0;
    for (does, server) in SERVERS {
        for (acts, user) in USERS {
            for at in [Duration::ZERO, MS, 500 * MS, 2500 * MS] {
                for reconnect in [false, true] {
                    let run = see(server, user, at, reconnect);
                    given_up += usize::from(run.given_up);
                    for edge in run.edges {
                        let (from, to) = &edge;
                        assert!(
                            drawn.contains(&edge),
                            "{from} --> {to} is not drawn: the server {does}, the user {acts} at {at:?}"
                        );
                        seen.insert(edge);
                    }
                }
            }
        }
    }
    let never: Vec<_> = drawn.difference(&seen).collect();
    assert!(never.is_empty(), "drawn, and never made: {never:?}");
    assert!(given_up > 0, "nobody was told to go while waiting");
}

#[test]
fn a_diagram_is_read_as_it_is_drawn() {
    let text = "\n```mermaid\nstateDiagram-v2\n    [*] --> A: it begins\n    A --> B\n    B --> [*]: ends, at last\n```\n";
    assert_eq!(drawn(text), BTreeSet::from([edge("[*]", "A"), edge("A", "B"), edge("B", "[*]")]));
}

#[test]
fn a_removed_app_leaves_without_a_word() {
    install_logger();
    let mut world = World::new();
    open(&world.net, |_| {});
    let log = Log::new();
    let id = log.app(URL).run_on(&mut world.reactor, &RunOptions::new()).unwrap();
    world.settle();
    assert_eq!(LOGGED.take().len(), 2, "it is open");
    assert!(world.reactor.apps().remove(id));
    world.run_for(SECOND);
    assert_eq!(LOGGED.take(), [""; 0]);
    assert_eq!(log.lines(), ["open"]);
}
