//! Apps in line for their turn to resolve or to connect: they can be closed, removed and stopped there, and whatever ends the app before
//! them gives its place to the next.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use websocket_app::link::proxy::{Proxy, ProxyPolicy};
use websocket_app::{AppId, RunOptions, Sender, WebSocketApp};
use websocket_testkit::sim::{SimNet, SimPeer};
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
            world.net.serve(address(last), opens);
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

    /// Lets the app in front give its place back.
    fn make_room(&mut self) {
        self.world.reactor.apps().remove(self.holders[0]);
        self.world.settle();
    }

    /// Who was connected to since the app has been in line.
    fn connected_to(&self) -> Vec<SocketAddr> {
        let attempts = self.world.net.attempts().into_iter().map(|(_, to)| to);
        attempts.filter(|to| *to != address(1)).collect()
    }
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
fn b112_b114_an_app_in_line_is_closed_or_removed_within_one_turn_and_holds_up_no_other() {
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
fn b112_b119_the_app_in_front_that_is_closed_or_removed_gives_its_place_to_the_next_at_once() {
    let ways: [fn(&mut World, AppId); 2] = [
        |world, id| world.reactor.apps().with(id, |app| app.close()).unwrap(),
        |world, id| assert!(world.reactor.apps().remove(id)),
    ];
    for line in LINES {
        for way in ways {
            let mut queue = Queue::at(line);
            way(&mut queue.world, queue.holders[0]);
            queue.world.settle();
            assert_eq!(
                (queue.log.lines(), queue.world.net.elapsed()),
                (vec!["open".into()], 5 * SECOND),
                "{line:?}"
            );
        }
    }
}

#[test]
fn b013_a_stop_ends_all_apps_in_line_at_once() {
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
fn a_dropped_reactor_takes_its_lines_along() {
    for line in LINES {
        let queue = Queue::at(line);
        drop(queue.world);
        queue.sender.close();
        assert_eq!((queue.log.lines(), queue.next.lines()), (vec![], vec![]));
    }
}

/// Answers whatever comes with these bytes.
fn answers(net: &SimNet, bytes: &'static str, then: fn(&SimPeer)) {
    net.serve(address(1), move |peer| {
        if !peer.read_available().is_empty() {
            peer.write(bytes.as_bytes());
            then(peer);
        }
    });
}

fn stays(_: &SimPeer) {}

/// How an attempt ends: what is done to the network, the app, its options, and after how many seconds.
struct Ending {
    name: &'static str,
    prepare: fn(&SimNet),
    url: &'static str,
    app: fn(WebSocketApp) -> WebSocketApp,
    options: fn(RunOptions) -> RunOptions,
    after: u32,
}

impl Default for Ending {
    fn default() -> Self {
        Self {
            name: "",
            prepare: |_| (),
            url: "ws://192.0.2.1/",
            app: |app| app,
            options: |options| options,
            after: 0,
        }
    }
}

fn boom<T>() -> T {
    panic!("this panic belongs to the test")
}

fn endings() -> Vec<Ending> {
    let ending = |name, prepare: fn(&SimNet)| Ending { name, prepare, ..Ending::default() };
    let open =
        |name, app| Ending { name, prepare: |net| net.serve(address(1), opens), app, ..Ending::default() };
    let made =
        |name, app| Ending { name, prepare: |net| net.black_hole(address(1)), app, ..Ending::default() };
    vec![
        open("open", |app| app),
        ending("refused at once", |net| net.refuse(address(1))),
        Ending { after: 2, ..ending("refused later", |net| net.delay(address(1), 2 * SECOND)) },
        ending("no route", |net| net.fail(address(1), io::ErrorKind::HostUnreachable)),
        Ending { after: 10, ..ending("connect_timeout", |net| net.black_hole(address(1))) },
        Ending { after: 10, ..ending("upgrade_timeout", |net| drop(net.listen(address(1)))) },
        Ending {
            options: |options| options.attempt_timeout(7 * SECOND),
            after: 7,
            ..ending("attempt_timeout", |net| drop(net.listen(address(1))))
        },
        ending("403", |net| answers(net, "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", stays)),
        ending("401", |net| answers(net, "HTTP/1.1 401 Who\r\nContent-Length: 0\r\n\r\n", stays)),
        ending("not HTTP", |net| answers(net, "hello", stays)),
        ending("end of stream", |net| answers(net, "HTTP/1.1 101", SimPeer::close)),
        ending("reset", |net| net.serve(address(1), SimPeer::reset)),
        ending("endless redirect", |net| {
            answers(net, "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", stays);
        }),
        ending("redirect to nowhere", |net| {
            answers(net, "HTTP/1.1 302 Found\r\nLocation: ftp://a/\r\nContent-Length: 0\r\n\r\n", stays);
        }),
        // It leaves its place there, and stands in line again.
        ending("redirect to elsewhere", |net| {
            net.black_hole(address(9));
            let redirect = "HTTP/1.1 302 Found\r\nLocation: ws://192.0.2.9/\r\nContent-Length: 0\r\n\r\n";
            answers(net, redirect, stays);
        }),
        Ending { url: "wss://192.0.2.1:80/", ..ending("not TLS", |net| answers(net, "nonsense", stays)) },
        Ending { url: "ws+unix:/run/none.sock", ..Ending::default() },
        Ending {
            options: |options| options.proxy(Proxy::parse("http://192.0.2.1:80").unwrap()),
            ..ending("refused by the proxy", |net| answers(net, "HTTP/1.1 403 No\r\n\r\n", stays))
        },
        open("panic in on_open", |app| app.on_open(|_, _| boom::<()>())),
        open("error in on_open", |app| app.on_open(|_, _| Err::<(), _>("no"))),
        open("removed in on_open", |app| app.on_open(|app, _| app.remove())),
        open("closed in on_open", |app| app.on_open(|app, _| app.close())),
        Ending {
            app: |app| app.on_error(|_, _| boom::<()>()).on_close(|_, _| boom::<()>()),
            ..ending("panic in on_error", |net| net.refuse(address(1)))
        },
        made("panic in url_with", |app| app.url_with(boom::<String>)),
        made("panic in header_with", |app| app.header_with(boom::<Vec<String>>)),
        made("panic in subprotocols_with", |app| app.subprotocols_with(boom::<Vec<String>>)),
        made("panic in socket_with", |app| app.socket_with(boom)),
        made("error in socket_with", |app| app.socket_with(|| Err(io::ErrorKind::NotFound.into()))),
        made("bad header", |app| app.header_with(|| vec!["not a header".to_owned()])),
        made("bad URL", |app| app.url_with(|| "nonsense")),
    ]
}

#[test]
fn whatever_ends_an_attempt_gives_its_place_to_the_next() {
    for Ending { name, prepare, url, app, options: change, after } in endings() {
        let mut world = World::new().map(|reactor| reactor.max_attempts(1));
        prepare(&world.net);
        world.net.serve(address(2), opens);
        // Twice, in case that a place is only lent.
        for round in 0..2 {
            let begun = world.net.elapsed();
            app(Log::new().app(url)).run_on(&mut world.reactor, &change(options())).unwrap();
            let next = Log::new();
            next.app("ws://192.0.2.2/").run_on(&mut world.reactor, &options()).unwrap();
            if after > 0 {
                world.run_until(begun + after * SECOND - Duration::from_nanos(1));
                assert_eq!(next.lines(), [""; 0], "{name}, {url}");
            }
            world.run_until(begun + after * SECOND);
            assert_eq!(next.lines(), ["open"], "{name}, {url}, {round}");
            // What is left of the first is over.
            world.run_for(30 * SECOND);
        }
    }
}
