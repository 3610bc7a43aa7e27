//! Apps in line for their turn to resolve or to connect: they can be closed, removed and stopped there, and
//! the next has its turn at once.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use websocket_app::link::proxy::ProxyPolicy;
use websocket_app::{AppId, RunOptions, Sender};
use websocket_testkit::sim::SimPeer;
use websocket_tests::{Log, World};

const SECOND: Duration = Duration::from_secs(1);

/// Names that are asked for at once.
const NAMES: usize = 256;

fn options() -> RunOptions {
    RunOptions::new().proxy(ProxyPolicy::direct())
}

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, last], 80))
}

fn opens(peer: &SimPeer) {
    peer.accept_upgrade();
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Line {
    ToAsk,
    ToConnect,
}

const LINES: [Line; 2] = [Line::ToAsk, Line::ToConnect];

/// An app in line behind others that keep their places, and another app behind it.
struct Queue {
    world: World,
    holders: Vec<AppId>,
    held: Log,
    id: AppId,
    sender: Sender,
    log: Log,
    next: Log,
}

impl Queue {
    fn at(line: Line) -> Self {
        let mut world = World::new();
        if line == Line::ToConnect {
            world = world.map(|reactor| reactor.max_attempts(1));
        }
        let (held, log, next) = (Log::new(), Log::new(), Log::new());
        let hour = 3600 * SECOND;
        let run =
            options().attempt_timeout(hour).resolve_timeout(hour).connect_timeout(hour).reconnect(SECOND);
        let holders = match line {
            Line::ToAsk => (0..NAMES)
                .map(|number| {
                    let name = format!("held{number}.test");
                    world.resolver.delay(&name, None);
                    held.app(format!("ws://{name}/")).run_on(&mut world.reactor, &run).unwrap()
                })
                .collect(),
            Line::ToConnect => {
                world.net.black_hole(address(1));
                vec![held.app("ws://192.0.2.1/").run_on(&mut world.reactor, &run).unwrap()]
            }
        };
        for last in [2, 3] {
            world.net.serve_arrivals(address(last), opens);
            world.resolver.name(&format!("server{last}.test"), &[address(last).ip()]);
        }
        let url = |last: u8| match line {
            Line::ToAsk => format!("ws://server{last}.test/"),
            Line::ToConnect => format!("ws://192.0.2.{last}/"),
        };
        // It comes first, and is first in line.
        let mut app = log.app(url(2));
        let sender = app.sender();
        let id = app.run_on(&mut world.reactor, &run).unwrap();
        next.app(url(3)).run_on(&mut world.reactor, &run).unwrap();
        world.run_until(5 * SECOND);
        for log in [&held, &log, &next] {
            assert_eq!(log.lines(), [""; 0], "{line:?}");
        }
        Self { world, holders, held, id, sender, log, next }
    }

    /// Lets the app in front give its place back, and runs until the last app has opened.
    fn make_room(&mut self) {
        self.world.reactor.apps().remove(self.holders[0]);
        poll_until(&mut self.world, || !self.next.lines().is_empty());
    }

    /// Who was connected to since the app has been in line.
    fn connected_to(&self) -> Vec<SocketAddr> {
        let attempts = self.world.net.attempts().into_iter().map(|(_, to)| to);
        attempts.filter(|to| *to != address(1)).collect()
    }
}

/// Takes turns that may each wait for an hour: whatever is to happen at once must not need another one to be
/// noticed.
fn poll_until(world: &mut World, done: impl Fn() -> bool) {
    for _ in 0..1000 {
        if done() {
            return;
        }
        world.reactor.poll(Some(3600 * SECOND)).unwrap();
    }
    panic!("it does not happen");
}

#[test]
fn the_first_in_line_comes_first() {
    for line in LINES {
        let mut queue = Queue::at(line);
        queue.make_room();
        assert_eq!(
            (queue.log.lines(), queue.next.lines()),
            (vec!["open".into()], vec!["open".into()]),
            "{line:?}"
        );
        assert_eq!(queue.connected_to(), [address(2), address(3)], "{line:?}");
        assert_eq!(queue.world.net.elapsed(), 5 * SECOND);
    }
}

#[test]
fn b112_an_app_in_line_is_closed_or_removed_within_one_turn_and_holds_up_no_other() {
    type Way = fn(&mut Queue);
    let ways: [(Way, &[&str]); 8] = [
        (|it| it.world.reactor.apps().with(it.id, |app| app.close()).unwrap(), &["close, by client"]),
        (|it| it.sender.close(), &["close, by client"]),
        (
            |it| {
                let sender = it.sender.clone();
                thread::spawn(move || sender.close()).join().unwrap();
            },
            &["close, by client"],
        ),
        (|it| it.sender.run(|app| app.close()), &["close, by client"]),
        (
            |it| {
                let soon = |app: &mut websocket_app::Context<'_>| {
                    app.set_timeout(Duration::ZERO, |app| app.close());
                };
                it.world.reactor.apps().with(it.id, soon).unwrap();
            },
            &["close, by client"],
        ),
        (|it| assert!(it.world.reactor.apps().remove(it.id)), &[]),
        (|it| it.sender.remove(), &[]),
        (|it| it.world.reactor.apps().with(it.id, |app| app.remove()).unwrap(), &[]),
    ];
    for line in LINES {
        for (index, (way, expected)) in ways.iter().enumerate() {
            let mut queue = Queue::at(line);
            let apps = queue.world.reactor.apps().len();
            way(&mut queue);
            queue.world.reactor.poll(Some(Duration::ZERO)).unwrap();
            let case = format!("{line:?}, {index}");
            assert_eq!(queue.log.lines(), *expected, "{case}");
            assert_eq!(queue.world.reactor.apps().len(), apps - 1, "{case}");
            // The next one is first now.
            queue.world.run_until(7 * SECOND);
            assert_eq!(queue.next.lines(), [""; 0], "{case}");
            queue.make_room();
            assert_eq!(
                (queue.next.lines(), queue.world.net.elapsed()),
                (vec!["open".into()], 7 * SECOND),
                "{case}"
            );
            queue.world.run_until(60 * SECOND);
            assert_eq!(
                (queue.connected_to(), queue.log.lines().len()),
                (vec![address(3)], expected.len()),
                "{case}"
            );
        }
    }
}

#[test]
fn the_app_in_front_that_is_closed_or_removed_gives_its_place_to_the_next_at_once() {
    let ways: [fn(&mut World, AppId); 2] = [
        |world, id| world.reactor.apps().with(id, |app| app.close()).unwrap(),
        |world, id| assert!(world.reactor.apps().remove(id)),
    ];
    for line in LINES {
        for way in ways {
            let mut queue = Queue::at(line);
            way(&mut queue.world, queue.holders[0]);
            poll_until(&mut queue.world, || !queue.log.lines().is_empty());
            assert_eq!(
                (queue.log.lines(), queue.world.net.elapsed()),
                (vec!["open".into()], 5 * SECOND),
                "{line:?}"
            );
        }
    }
}

#[test]
fn a_stop_ends_all_apps_in_line_at_once() {
    let ways: [fn(&mut Queue); 5] = [
        |it| it.world.reactor.apps().stop(),
        |it| it.world.reactor.apps().stop_within(60 * SECOND),
        |it| it.world.reactor.handle().stop(),
        |it| it.sender.stop(),
        |it| it.sender.stop_within(60 * SECOND),
    ];
    for line in LINES {
        for (index, way) in ways.iter().enumerate() {
            let mut queue = Queue::at(line);
            way(&mut queue);
            queue.world.reactor.run().unwrap();
            let case = format!("{line:?}, {index}");
            assert_eq!(queue.world.net.elapsed(), 5 * SECOND, "{case}");
            assert_eq!(
                (queue.log.lines(), queue.next.lines()),
                (vec!["close".into()], vec!["close".into()]),
                "{case}"
            );
            assert_eq!(queue.held.lines(), vec!["close"; queue.holders.len()], "{case}");
            assert!(queue.connected_to().is_empty(), "{case}");
            // The reactor is as good as new, with room for all.
            assert!(queue.world.reactor.apps().is_empty(), "{case}");
            let log = Log::new();
            log.app("ws://192.0.2.2/").run_on(&mut queue.world.reactor, &options()).unwrap();
            queue.world.settle();
            assert_eq!(log.lines(), ["open"], "{case}");
        }
    }
}

#[test]
fn hundreds_whose_turn_comes_at_the_same_time_all_have_it_then() {
    const APPS: usize = 500;
    for line in LINES {
        let mut world =
            World::new().map(|reactor| reactor.max_attempts(NAMES).max_attempts_per_server(NAMES));
        world.net.black_hole(address(1));
        world.net.serve_arrivals(address(2), opens);
        let url = |number: usize, last: u8| match line {
            Line::ToAsk => {
                let name = format!("server{last}-{number}.test");
                world.resolver.name(&name, &[address(last).ip()]);
                if last == 1 {
                    world.resolver.delay(&name, None);
                }
                format!("ws://{name}/")
            }
            Line::ToConnect => format!("ws://192.0.2.{last}/"),
        };
        let urls: Vec<_> =
            (0..NAMES).map(|number| url(number, 1)).chain((0..APPS).map(|number| url(number, 2))).collect();
        let (dead, good) = (Log::new(), Log::new());
        for (number, url) in urls.into_iter().enumerate() {
            let log = if number < NAMES { &dead } else { &good };
            log.app(url).run_on(&mut world.reactor, &options()).unwrap();
        }
        poll_until(&mut world, || good.lines().len() == APPS);
        // All those in front have given up in one turn.
        assert_eq!((dead.lines().len(), world.net.elapsed()), (2 * NAMES, 10 * SECOND), "{line:?}");
        assert_eq!(good.count(|line| line == "open"), APPS);
    }
}

#[test]
fn a_dropped_reactor_takes_its_lines_along() {
    for line in LINES {
        let queue = Queue::at(line);
        drop(queue.world);
        queue.sender.close();
        assert_eq!((queue.log.lines(), queue.next.lines()), (vec![], vec![]));
    }
}
