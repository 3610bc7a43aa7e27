//! Authentication in several rounds: a toy scheme with three steps that holds for one connection, as NTLM and Negotiate do.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use websocket_app::link::SocketOptions;
use websocket_app::link::proxy::Proxy;
use websocket_app::{Challenge, Reconnect, RunOptions, Verdict, WireEvent};
use websocket_testkit::frame;
use websocket_testkit::handshake::{self, Request};
use websocket_testkit::sim::SimPeer;
use websocket_tests::{Log, SECURE_URL, SERVER, SecureWorld, URL, World};

const SECOND: Duration = Duration::from_secs(1);

/// The framings of a refusal that leave its connection open.
const KEPT: [&str; 3] = [
    "Content-Length: 0\r\n\r\n",
    "Content-Length: 5\r\n\r\nlogin",
    "Transfer-Encoding: chunked\r\n\r\n5\r\nlogin\r\n0\r\n\r\n",
];

const OPENED: [&str; 3] = ["open", "text hi", "close 1000, by server, clean"];

const REFUSED: [&str; 2] = ["error Upgrade(Status 401)", "close: Upgrade(Status 401)"];

fn proxy_address() -> SocketAddr {
    ([192, 0, 2, 9], 3128).into()
}

fn options() -> RunOptions {
    RunOptions::new().close_timeout(Duration::ZERO)
}

fn through_proxy() -> RunOptions {
    options().proxy(Proxy::parse("192.0.2.9:3128").unwrap())
}

/// Who lets in what has taken the three steps on one connection: `Toy hello`, a nonce, and `Toy proof` of that nonce.
#[derive(Default)]
struct Doorkeeper {
    nonces: BTreeMap<usize, String>,
}

impl Doorkeeper {
    /// `None` for one that may come in; else the challenge.
    fn challenge(&mut self, connection: usize, answer: Option<&str>) -> Option<String> {
        let nonce = self.nonces.remove(&connection);
        match (answer, nonce) {
            (Some("Toy hello"), _) => {
                let nonce = format!("n{connection}");
                self.nonces.insert(connection, nonce.clone());
                Some(format!("Toy {nonce}"))
            }
            (Some(answer), Some(nonce)) if answer == format!("Toy proof {nonce}") => None,
            _ => Some("Toy".to_owned()),
        }
    }
}

/// What challenges have said: who asks, the challenge, the round, and whether the connection is kept.
type Asked = Rc<RefCell<Vec<String>>>;

/// The client's side of the scheme. It tells a refused proof from the first step, and begins again where the connection is not kept.
fn toy(asked: &Asked) -> impl FnMut(&Challenge<'_>) -> Option<String> + use<> {
    let asked = asked.clone();
    move |challenge| {
        let who = if challenge.proxy.is_some() { "proxy" } else { "server" };
        let offer = challenge.challenges.join(", ");
        let kept = if challenge.keeps_connection { "kept" } else { "not kept" };
        asked.borrow_mut().push(format!("{who} {offer:?} round {} {kept}", challenge.round));
        match offer.strip_prefix("Toy ").filter(|_| challenge.keeps_connection) {
            Some(nonce) => Some(format!("Toy proof {nonce}")),
            None if challenge.round <= 2 => Some("Toy hello".to_owned()),
            None => None,
        }
    }
}

fn open(peer: &SimPeer, request: &Request) {
    peer.write(&handshake::response(request, &[]));
    peer.write(&[frame::text("hi"), frame::close(1000, "")].concat());
}

fn refuse(peer: &SimPeer, challenge: &str, rest: &str) {
    peer.write(format!("HTTP/1.1 401 Who\r\nWWW-Authenticate: {challenge}\r\n{rest}").as_bytes());
}

/// A server with a doorkeeper, whose refusals end with what `rest` says of their number, which counts from 1.
fn guarded(world: &World, mut rest: impl FnMut(&SimPeer, u32) -> &'static str + 'static) -> Rc<Cell<u32>> {
    let mut door = Doorkeeper::default();
    let refusals = Rc::new(Cell::new(0));
    let counter = refusals.clone();
    world.net.serve_arrivals(SERVER, move |peer| {
        let Some(request) = peer.read_request() else { return };
        match door.challenge(peer.index(), request.header("Authorization")) {
            None => open(peer, &request),
            Some(challenge) => {
                counter.set(counter.get() + 1);
                refuse(peer, &challenge, rest(peer, counter.get()));
            }
        }
    });
    refusals
}

/// Runs an app that knows the scheme against the server. Returns what it was asked, its log, and how many connections it has made.
fn run(world: &mut World, url: &str, options: &RunOptions) -> (Vec<String>, Vec<String>, usize) {
    let (log, asked) = (Log::new(), Asked::default());
    log.app(url).authorize_with(toy(&asked)).run_on(&mut world.reactor, options).unwrap();
    world.reactor.run().unwrap();
    (asked.take(), log.lines(), world.net.attempts().len())
}

/// A proxy with a doorkeeper, to a server with another one, on the same connections. Returns the paths of all requests.
fn guarded_proxy(world: &World, rest: &'static str, server_is_guarded: bool) -> Rc<RefCell<Vec<String>>> {
    let (mut proxy, mut server) = (Doorkeeper::default(), Doorkeeper::default());
    let paths = Rc::new(RefCell::new(Vec::new()));
    let seen = paths.clone();
    world.net.serve_arrivals(proxy_address(), move |peer| {
        let Some(request) = peer.read_request() else { return };
        seen.borrow_mut().push(request.path.clone());
        if request.method != "CONNECT" {
            assert_eq!(request.header("Proxy-Authorization"), None, "that is for the proxy");
            let answer = request.header("Authorization");
            return match server.challenge(peer.index(), answer).filter(|_| server_is_guarded) {
                Some(challenge) => refuse(peer, &challenge, rest),
                None => open(peer, &request),
            };
        }
        assert_eq!(request.header("Authorization"), None, "that is for the server");
        match proxy.challenge(peer.index(), request.header("Proxy-Authorization")) {
            None => peer.write(b"HTTP/1.1 200 OK\r\n\r\n"),
            Some(challenge) => {
                let head = format!("HTTP/1.1 407 Who\r\nProxy-Authenticate: {challenge}\r\n{rest}");
                peer.write(head.as_bytes());
            }
        }
    });
    paths
}

#[test]
fn b164_three_steps_with_a_server_on_one_connection() {
    for rest in KEPT {
        let mut world = World::new();
        let refusals = guarded(&world, move |_, _| rest);
        let (asked, log, connections) = run(&mut world, URL, &options());
        assert_eq!(log, OPENED);
        assert_eq!(asked, ["server \"Toy\" round 1 kept", "server \"Toy n0\" round 2 kept"]);
        assert_eq!((refusals.get(), connections), (2, 1));
    }
}

#[test]
fn b164_three_steps_with_a_server_within_one_session_of_tls() {
    for (rest, in_pieces) in [(KEPT[0], false), (KEPT[1], true), (KEPT[2], true)] {
        let mut secure = SecureWorld::new();
        let (log, asked) = (Log::new(), Asked::default());
        let listener = secure.start(log.app(SECURE_URL).authorize_with(toy(&asked)));
        let mut peer = secure.arrived(&listener);
        secure.handshake(&mut peer);
        let mut door = Doorkeeper::default();
        while let Some(request) = peer.side.request() {
            match door.challenge(0, request.header("Authorization")) {
                None => peer.write(&handshake::response(&request, &[])),
                Some(challenge) => {
                    let response = format!("HTTP/1.1 401 Who\r\nWWW-Authenticate: {challenge}\r\n{rest}");
                    // Head and body in records of their own, and in one read.
                    let cut = if in_pieces { response.len() - 4 } else { response.len() };
                    let (first, second) = response.as_bytes().split_at(cut);
                    let records = [peer.side.seal(first), peer.side.seal(second)].concat();
                    peer.peer.write(&records);
                }
            }
            secure.world.settle();
            peer.receive().unwrap();
        }
        assert_eq!(log.lines(), ["open"]);
        assert_eq!((asked.borrow().len(), secure.world.net.attempts().len()), (2, 1));
        assert!(listener.accept().is_none());
    }
}

#[test]
fn b164_a_record_of_tls_behind_a_refusal_costs_the_connection() {
    for early in [true, false] {
        let mut secure = SecureWorld::new();
        let (log, asked) = (Log::new(), Asked::default());
        let listener = secure.start(log.app(SECURE_URL).authorize_with(toy(&asked)));
        let mut peer = secure.arrived(&listener);
        secure.handshake(&mut peer);
        peer.side.request().unwrap();
        let refusal = format!("HTTP/1.1 401 Who\r\nWWW-Authenticate: Toy\r\n{}", KEPT[0]);
        // Bytes that belong to no response, or the end of the session.
        let behind = if early { b"HTTP/1.1 101 Yes\r\n\r\n".to_vec() } else { Vec::new() };
        let mut records = peer.side.seal(refusal.as_bytes());
        records.extend(if early { peer.side.seal(&behind) } else { peer.side.seal_end() });
        peer.peer.write(&records);
        secure.world.settle();
        assert_eq!(*asked.borrow(), ["server \"Toy\" round 1 not kept"]);
        let mut second = secure.arrived(&listener);
        secure.handshake(&mut second);
        assert_eq!(second.side.request().unwrap().header("Authorization"), Some("Toy hello"));
        assert!(log.lines().is_empty(), "{log:?}");
    }
}

#[test]
fn b164_three_steps_with_a_proxy_on_one_connection() {
    for rest in KEPT {
        let mut world = World::new();
        let paths = guarded_proxy(&world, rest, false);
        let (asked, log, connections) = run(&mut world, URL, &through_proxy());
        assert_eq!(log, OPENED);
        assert_eq!(asked, ["proxy \"Toy\" round 1 kept", "proxy \"Toy n0\" round 2 kept"]);
        assert_eq!(*paths.borrow(), ["192.0.2.1:80", "192.0.2.1:80", "192.0.2.1:80", "/"]);
        assert_eq!(connections, 1);
    }
}

#[test]
fn b164_three_steps_with_a_proxy_and_three_with_the_server_behind_it_in_one_tunnel() {
    for rest in KEPT {
        let mut world = World::new();
        let paths = guarded_proxy(&world, rest, true);
        let (asked, log, connections) = run(&mut world, URL, &through_proxy());
        assert_eq!(log, OPENED);
        let steps =
            |who: &str| [format!("{who} \"Toy\" round 1 kept"), format!("{who} \"Toy n0\" round 2 kept")];
        assert_eq!(asked, [steps("proxy"), steps("server")].concat());
        assert_eq!(*paths.borrow(), ["192.0.2.1:80", "192.0.2.1:80", "192.0.2.1:80", "/", "/", "/"]);
        assert_eq!(connections, 1);
    }
}

#[test]
fn b164_the_first_step_goes_over_another_connection_where_the_first_is_not_kept() {
    for first in [
        "Connection: close\r\nContent-Length: 0\r\n\r\n",
        // Both may mean that it is not one response.
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        // A body longer than `max_error_body`.
        "Content-Length: 20000\r\n\r\n",
        // What is behind the response belongs to none.
        "Content-Length: 0\r\n\r\nHTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    ] {
        let mut world = World::new();
        guarded(&world, move |_, number| if number == 1 { first } else { KEPT[0] });
        let (asked, log, connections) = run(&mut world, URL, &options());
        assert_eq!(log, OPENED, "{first:?}");
        assert_eq!(asked, ["server \"Toy\" round 1 not kept", "server \"Toy n1\" round 2 kept"]);
        assert_eq!(connections, 2);
    }
}

#[test]
fn b164_a_refusal_in_http_1_0_does_not_keep_its_connection() {
    let mut world = World::new();
    let keeps = Rc::new(Cell::new(None));
    let (log, kept) = (Log::new(), keeps.clone());
    world.net.serve_arrivals(SERVER, |peer| {
        if peer.read_request().is_some() {
            peer.write(b"HTTP/1.0 401 Who\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let app = log.app(URL).authorize_with(move |challenge| {
        kept.set(Some(challenge.keeps_connection));
        None
    });
    app.run_on(&mut world.reactor, &options()).unwrap();
    world.reactor.run().unwrap();
    assert_eq!((keeps.get(), log.lines()), (Some(false), REFUSED.map(str::to_owned).to_vec()));
}

#[test]
fn b164_a_body_that_does_not_end_or_is_cut_costs_the_connection_and_half_a_second_at_most() {
    type Case = (&'static str, fn(&SimPeer), Duration);
    let cases: [Case; 4] = [
        ("Content-Length: 5\r\n\r\nlog", |peer| peer.shutdown(), Duration::ZERO),
        ("Content-Length: 5\r\n\r\nlog", |_| (), SECOND / 2),
        ("\r\nuntil the end", |_| (), SECOND / 2),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nlogin\r\n", |_| (), SECOND / 2),
    ];
    for (first, after, waited) in cases {
        let mut world = World::new();
        guarded(&world, move |peer, number| {
            if number > 1 {
                return KEPT[0];
            }
            let peer = peer.clone();
            // When the refusal has been written.
            peer.net().clone().after(Duration::ZERO, move |_| after(&peer));
            first
        });
        let (asked, log, connections) = run(&mut world, URL, &options());
        assert_eq!(log, OPENED, "{first:?}");
        assert_eq!(asked[0], "server \"Toy\" round 1 not kept");
        assert_eq!((asked.len(), connections, world.net.elapsed()), (2, 2, waited), "{first:?}");
    }
}

#[test]
fn b164_a_body_without_end_ends_at_its_limit() {
    let mut world = World::new();
    guarded(&world, move |peer, number| {
        if number > 1 {
            return KEPT[0];
        }
        let peer = peer.clone();
        let more = b"5\r\nlogin\r\n".repeat(10_000);
        peer.net().clone().after(Duration::ZERO, move |_| peer.write(&more));
        "Transfer-Encoding: chunked\r\n\r\n"
    });
    let (asked, log, connections) = run(&mut world, URL, &options());
    assert_eq!(log, OPENED);
    assert_eq!((asked.len(), connections, world.net.elapsed()), (2, 2, Duration::ZERO));
}

#[test]
fn b164_a_server_that_keeps_asking_is_answered_five_times() {
    for (rest, connections) in [(KEPT[0], 1), ("Connection: close\r\nContent-Length: 0\r\n\r\n", 6)] {
        let mut world = World::new();
        world.net.serve_arrivals(SERVER, move |peer| {
            if peer.read_request().is_some() {
                refuse(peer, "Toy", rest);
            }
        });
        let (log, rounds) = (Log::new(), Rc::new(RefCell::new(Vec::new())));
        let asked = rounds.clone();
        let app = log.app(URL).authorize_with(move |challenge| {
            asked.borrow_mut().push(challenge.round);
            Some(format!("Toy {}", challenge.round))
        });
        app.run_on(&mut world.reactor, &options()).unwrap();
        world.reactor.run().unwrap();
        assert_eq!(log.lines(), REFUSED);
        assert_eq!((&*rounds.borrow(), world.net.attempts().len()), (&vec![1, 2, 3, 4, 5], connections));
    }
}

#[test]
fn b164_a_function_ends_the_rounds_by_giving_no_answer_or_the_one_that_was_refused() {
    for (second, times) in [(None, 2), (Some("Basic wrong"), 2)] {
        let mut world = World::new();
        let requests = Rc::new(Cell::new(0));
        let count = requests.clone();
        world.net.serve_arrivals(SERVER, move |peer| {
            if peer.read_request().is_some() {
                count.set(count.get() + 1);
                refuse(peer, "Basic", KEPT[1]);
            }
        });
        let (log, asked) = (Log::new(), Rc::new(Cell::new(0)));
        let counter = asked.clone();
        let app = log.app(URL).authorize_with(move |challenge| {
            counter.set(counter.get() + 1);
            if challenge.round == 1 { Some("Basic wrong".to_owned()) } else { second.map(str::to_owned) }
        });
        app.run_on(&mut world.reactor, &options()).unwrap();
        world.reactor.run().unwrap();
        assert_eq!(log.lines(), REFUSED);
        assert_eq!((asked.get(), requests.get()), (times, 2), "{second:?}");
    }
}

#[test]
fn b164_a_proof_that_is_refused_is_told_from_a_step() {
    let mut world = World::new();
    let refusals = Rc::new(Cell::new(0));
    let count = refusals.clone();
    world.net.serve_arrivals(SERVER, move |peer| {
        let Some(request) = peer.read_request() else { return };
        count.set(count.get() + 1);
        let hello = request.header("Authorization") == Some("Toy hello");
        refuse(peer, if hello { "Toy n" } else { "Toy" }, KEPT[0]);
    });
    let (asked, log, _) = run(&mut world, URL, &options());
    assert_eq!(log, REFUSED);
    assert_eq!(asked.last().unwrap(), "server \"Toy\" round 3 kept");
    assert_eq!((asked.len(), refusals.get()), (3, 3));
}

#[test]
fn b164_a_401_without_a_challenge_can_be_answered_all_the_same() {
    let mut world = World::new();
    world.net.serve_arrivals(SERVER, |peer| {
        let Some(request) = peer.read_request() else { return };
        match request.header("Authorization") {
            Some("Toy hello") => open(peer, &request),
            _ => peer.write(b"HTTP/1.1 401 Who\r\nContent-Length: 0\r\n\r\n"),
        }
    });
    let (asked, log, connections) = run(&mut world, URL, &options());
    assert_eq!((asked, connections), (vec!["server \"\" round 1 kept".to_owned()], 1));
    assert_eq!(log, OPENED);
}

#[test]
fn b164_an_answer_on_a_connection_that_the_server_has_closed_is_sent_on_another() {
    for end in [SimPeer::close as fn(&SimPeer), SimPeer::reset] {
        let mut world = World::new();
        let seen = Rc::new(RefCell::new(Vec::new()));
        let sees = seen.clone();
        world.net.serve_arrivals(SERVER, move |peer| {
            let Some(request) = peer.read_request() else { return };
            sees.borrow_mut().push((peer.index(), request.header("Authorization").map(str::to_owned)));
            match sees.borrow().len() {
                1 => refuse(peer, "Bearer", KEPT[0]),
                2 => end(peer),
                _ => open(peer, &request),
            }
        });
        let (log, asked) = (Log::new(), Rc::new(Cell::new(0)));
        let counter = asked.clone();
        let app = log.app(URL).authorize_with(move |_| {
            counter.set(counter.get() + 1);
            Some("Bearer token".to_owned())
        });
        app.run_on(&mut world.reactor, &options()).unwrap();
        world.reactor.run().unwrap();
        assert_eq!((log.lines(), asked.get()), (OPENED.map(str::to_owned).to_vec(), 1));
        let token = Some("Bearer token".to_owned());
        assert_eq!(*seen.borrow(), [(0, None), (0, token.clone()), (1, token)]);
    }
}

#[test]
fn b164_a_server_that_ends_every_connection_without_an_answer_is_not_asked_for_ever() {
    let mut world = World::new();
    world.net.serve_arrivals(SERVER, |peer| {
        let Some(request) = peer.read_request() else { return };
        match request.header("Authorization") {
            None => refuse(peer, "Toy", KEPT[0]),
            Some(_) => peer.close(),
        }
    });
    let (asked, log, connections) = run(&mut world, URL, &options());
    assert_eq!((asked.len(), connections), (1, 2));
    assert_eq!(log, ["error NoResponse", "close: NoResponse"]);
}

#[test]
fn b164_a_challenge_on_the_only_stream_is_answered_there_if_it_is_kept() {
    let mut world = World::new();
    guarded(&world, |_, _| KEPT[1]);
    let stream = websocket_app::link::Connector::connect(&mut world.net, SERVER, &SocketOptions::default());
    let (log, asked) = (Log::new(), Asked::default());
    let app = log.app("ws://own.test/").socket(stream.unwrap()).authorize_with(toy(&asked));
    app.run_on(&mut world.reactor, &options()).unwrap();
    world.reactor.run().unwrap();
    assert_eq!(log.lines(), OPENED);
    assert_eq!((asked.borrow().len(), world.net.attempts().len()), (2, 1));
}

#[test]
fn b164_all_rounds_share_the_time_of_the_attempt() {
    let mut world = World::new();
    world.net.serve_arrivals(SERVER, |peer| {
        if peer.read_request().is_some() {
            let late = peer.clone();
            peer.net().after(2 * SECOND, move |_| refuse(&late, "Toy", KEPT[0]));
        }
    });
    let (log, rounds) = (Log::new(), Rc::new(Cell::new(0)));
    let asked = rounds.clone();
    let app = log.app(URL).authorize_with(move |challenge| {
        asked.set(challenge.round);
        Some(format!("Toy {}", challenge.round))
    });
    let limited = options().upgrade_timeout(3 * SECOND).attempt_timeout(7 * SECOND);
    app.run_on(&mut world.reactor, &limited).unwrap();
    world.reactor.run().unwrap();
    assert_eq!(log.lines(), ["error Timeout(Attempt)", "close: Timeout(Attempt)"]);
    assert_eq!((rounds.get(), world.net.elapsed()), (3, 7 * SECOND));
}

#[test]
fn b164_the_rounds_begin_again_with_the_next_attempt() {
    let mut world = World::new();
    let mut door = Doorkeeper::default();
    world.net.serve_arrivals(SERVER, move |peer| {
        let Some(request) = peer.read_request() else { return };
        // The first connection does not get in.
        let answer = request.header("Authorization").filter(|answer| *answer != "Toy proof n0");
        match door.challenge(peer.index(), answer) {
            Some(challenge) => refuse(peer, &challenge, KEPT[0]),
            None => open(peer, &request),
        }
    });
    let again = Reconnect::from(SECOND).classify(|_| Verdict::Retry).max_retries(1);
    let (asked, log, connections) = run(&mut world, URL, &options().reconnect(again));
    assert_eq!(log[..2], ["error Upgrade(Status 401)", "close: Upgrade(Status 401), retry in 1s"]);
    assert_eq!(log[2], "open");
    let steps = |nonce: &str| {
        ["Toy", nonce]
            .iter()
            .enumerate()
            .map(|(at, offer)| format!("server {offer:?} round {} kept", at + 1))
            .collect()
    };
    let refused = vec!["server \"Toy\" round 3 kept".to_owned()];
    let all: [Vec<_>; 3] = [steps("Toy n0"), refused, steps("Toy n1")];
    assert_eq!(asked[..5], all.concat());
    assert_eq!(connections, 2);
}

#[test]
fn b164_every_round_is_shown_on_the_wire_and_no_answer_is() {
    let mut world = World::new();
    guarded(&world, |_, _| KEPT[1]);
    let shown = Arc::new(Mutex::new(Vec::new()));
    let shows = shown.clone();
    let tapped =
        options().wire_tap(move |_, event: &WireEvent| shows.lock().unwrap().push(event.to_string()));
    let (_, log, _) = run(&mut world, URL, &tapped);
    assert_eq!(log, OPENED);
    let shown = shown.lock().unwrap();
    let first_lines: Vec<_> = shown.iter().filter_map(|event| event.lines().next()).take(7).collect();
    assert_eq!(
        first_lines,
        [
            "> GET / HTTP/1.1",
            "< HTTP/1.1 401 Who",
            "> GET / HTTP/1.1",
            "< HTTP/1.1 401 Who",
            "> GET / HTTP/1.1",
            "< HTTP/1.1 101 Switching Protocols",
            "< text (1) fin=1 rsv=0 2 bytes: \"hi\""
        ]
    );
    assert!(!shown.concat().contains("proof"), "{shown:?}");
}
