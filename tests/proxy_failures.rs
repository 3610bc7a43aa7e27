//! A proxy that refuses, breaks its protocol, stalls or is not there: each a typed error, in bounded time and memory.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use websocket_app::link::proxy::{Proxy, ProxyFailure, ProxyPolicy, ProxyScheme, Socks4Reply, Socks5Reply};
use websocket_app::{Error, RunOptions};
use websocket_testkit::sim::{SimPeer, Tapped};
use websocket_tests::{Log, SERVER, SimProxy, URL, World, neighbour};

const PROXY: &str = "192.0.2.8:3128";
const SECOND: Duration = Duration::from_secs(1);

/// What a proxy does with one connection.
type Script = Box<dyn FnMut(&SimPeer)>;

fn proxy() -> SocketAddr {
    PROXY.parse().unwrap()
}

fn through(scheme: &str) -> RunOptions {
    RunOptions::new()
        .proxy(ProxyPolicy::direct().proxy(Proxy::parse(&format!("{scheme}://{PROXY}")).unwrap()))
}

/// What comes of an attempt through a proxy that does this; the proxy is named in its error, and nothing follows `on_close`.
#[track_caller]
fn failure(scheme: &str, script: impl FnMut(&SimPeer) + 'static) -> ProxyFailure {
    let mut world = World::new();
    world.net.serve_arrivals(proxy(), script);
    let (seen, log) = (Rc::new(RefCell::new(None)), Log::new());
    let (told, errors) = (seen.clone(), log.clone());
    let app = log.app(URL).on_error(move |_, error| {
        let Error::Proxy(error) = error else { panic!("{error:?}") };
        errors.push("error");
        *told.borrow_mut() = Some(error.clone());
    });
    app.run_on(&mut world.reactor, &through(scheme)).unwrap();
    world.reactor.run().unwrap();
    let lines = log.lines();
    assert!(lines.len() == 2 && lines[0] == "error" && lines[1].starts_with("close: Proxy("), "{lines:?}");
    assert_eq!(world.net.elapsed(), Duration::ZERO, "it was known at once");
    let error = seen.take().unwrap();
    assert_eq!(error.proxy, format!("{scheme}://{PROXY}"));
    assert!(error.to_string().starts_with(&format!("proxy {scheme}://{PROXY}: ")), "{error}");
    error.failure
}

/// Answers whatever the client says first with these bytes, and keeps the stream open.
fn answers(bytes: &'static [u8]) -> impl FnMut(&SimPeer) {
    move |peer| {
        if !peer.read_available().is_empty() {
            peer.write(bytes);
        }
    }
}

/// The same, and then ends it.
fn hangs_up_after(bytes: &'static [u8]) -> impl FnMut(&SimPeer) {
    move |peer| {
        if !peer.read_available().is_empty() {
            peer.write(bytes);
            peer.close();
        }
    }
}

#[test]
fn b183_any_other_status_is_an_error_with_that_status_whether_the_proxy_hangs_up_or_not() {
    for (answer, status, reason) in [
        (&b"HTTP/1.1 403 Forbidden\r\nX: y\r\nContent-Length: 4\r\n\r\nnope"[..], 403, "Forbidden"),
        (b"HTTP/1.0 502 Bad Gateway\r\n\r\n<html>", 502, "Bad Gateway"),
        (b"HTTP/1.1 301 Moved\r\nLocation: http://elsewhere/\r\n\r\n", 301, "Moved"),
        (b"HTTP/1.1 503\r\n\r\n", 503, ""),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", 101, "Switching Protocols"),
    ] {
        let scripts: [Script; 2] = [Box::new(answers(answer)), Box::new(hangs_up_after(answer))];
        for script in scripts {
            let ProxyFailure::Status { status: told, reason: why, .. } = failure("http", script) else {
                panic!("{status}");
            };
            assert_eq!((told, why.as_str()), (status, reason));
        }
    }
}

#[test]
fn b164_b183_a_407_without_a_hook_names_what_the_proxy_offers() {
    let answer = answers(b"HTTP/1.1 407 Who?\r\nProxy-Authenticate: Negotiate\r\nproxy-authenticate: Basic realm=\"x\"\r\n\r\n");
    let challenges = vec!["Negotiate".to_owned(), "Basic realm=\"x\"".to_owned()];
    let ProxyFailure::AuthenticationRequired { challenges: told, sent, .. } = failure("http", answer) else {
        panic!("another failure");
    };
    assert_eq!((told, sent), (challenges, false));
}

#[test]
fn b181_b183_refusals_of_socks_proxies_are_told_apart() {
    let refused = |scheme, answer| failure(scheme, answers(answer));
    for scheme in ["socks4", "socks4a"] {
        assert_eq!(refused(scheme, b"\0\x5b\0\0\0\0\0\0"), ProxyFailure::Socks4(Socks4Reply::Rejected));
        assert_eq!(refused(scheme, b"\0\x5d\0\0\0\0\0\0"), ProxyFailure::Socks4(Socks4Reply::IdentMismatch));
    }
    for scheme in ["socks5", "socks5h"] {
        let unknown = refused(scheme, b"\x05\xff");
        assert!(matches!(unknown, ProxyFailure::NoAcceptableMethod { offered_password: false, .. }));
        for (code, reply) in [(2, Socks5Reply::NotAllowed), (5, Socks5Reply::ConnectionRefused)] {
            let mut words = [vec![5, 0], vec![5, code, 0, 1, 0, 0, 0, 0, 0, 0]].into_iter();
            let script = move |peer: &SimPeer| {
                if !peer.read_available().is_empty() {
                    peer.write(&words.next().unwrap());
                }
            };
            assert_eq!(failure(scheme, script), ProxyFailure::Socks5(reply));
        }
        // One that grants what it was not asked for yet.
        let early = b"\x05\0\x05\0\0\x01\0\0\0\0\0\0";
        assert!(matches!(refused(scheme, early), ProxyFailure::Malformed(_)));
    }
}

#[test]
fn b183_garbage_half_an_answer_and_an_early_end_are_typed_errors_at_every_cut() {
    let grants: [(&str, &'static [u8]); 3] = [
        ("http", b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n"),
        ("socks4a", b"\0\x5a\0\0\0\0\0\0"),
        ("socks5h", b"\x05\0"),
    ];
    for (scheme, grant) in grants {
        for cut in 0..grant.len() {
            assert_eq!(
                failure(scheme, hangs_up_after(&grant[..cut])),
                ProxyFailure::EndOfStream,
                "{scheme} {cut}"
            );
        }
        // What another kind of server says to a stranger.
        for garbage in
            [&b"SSH-2.0-OpenSSH\r\n"[..], b"220 mail ready\r\n", b"\x15\x03\x03\0\x02\x02\x46", b"<html>"]
        {
            assert_eq!(failure(scheme, answers(garbage)), ProxyFailure::WrongProtocol, "{scheme}");
        }
        // It hangs up on whoever comes.
        assert_eq!(failure(scheme, SimPeer::shutdown), ProxyFailure::EndOfStream, "{scheme}");
    }
    assert!(matches!(failure("http", answers(b"HTTP/1.1 two hundred\r\n\r\n")), ProxyFailure::Malformed(_)));
    assert!(matches!(failure("socks5", answers(b"\x05\x02")), ProxyFailure::Malformed(_)));
}

#[test]
fn b183_endless_headers_are_refused_after_64_kib() {
    for line in [&b"X-More: and more of it\r\n"[..], b"x"] {
        let mut world = World::new();
        world.net.serve(proxy(), move |peer| {
            peer.write(b"HTTP/1.1 200 OK\r\n");
            flood(peer, line);
        });
        let read = Rc::new(Cell::new(0));
        let count = read.clone();
        world.net.tap(move |_, what| {
            if let Tapped::Read(bytes) = what {
                count.set(count.get() + bytes.len());
            }
        });
        let log = Log::new();
        log.app(URL).run_on(&mut world.reactor, &through("http")).unwrap();
        world.run_for(SECOND);
        let lines = log.lines();
        assert!(lines[0].contains("HeadersTooLong") || lines[0].contains("TooManyHeaders"), "{lines:?}");
        assert_eq!(lines.len(), 2);
        // As much as was in the buffer when the limit was passed, and no more.
        assert!(read.get() < 1 << 20, "{} bytes were read", read.get());
    }
}

/// Writes 16 KiB every millisecond until nobody reads it any more.
fn flood(peer: &SimPeer, line: &'static [u8]) {
    if peer.ended().is_none() {
        peer.write(&line.repeat((16 << 10) / line.len()));
        let peer = peer.clone();
        peer.net().clone().after(Duration::from_millis(1), move |_| flood(&peer, line));
    }
}

#[test]
fn b135_a_proxy_that_is_refused_dead_or_stalled_is_told_apart() {
    for scheme in ["http", "socks4", "socks5h"] {
        let run = |prepare: fn(&World)| {
            let mut world = World::new();
            prepare(&world);
            let log = Log::new();
            let options = through(scheme).connect_timeout(3 * SECOND).proxy_timeout(4 * SECOND);
            log.app(URL).run_on(&mut world.reactor, &options).unwrap();
            world.reactor.run().unwrap();
            assert_eq!(log.lines().len(), 2);
            (log.lines()[0].clone(), world.net.elapsed())
        };
        assert_eq!(run(|_| {}), ("error Connect(ConnectionRefused)".to_owned(), Duration::ZERO));
        assert_eq!(
            run(|world| world.net.black_hole(proxy())),
            ("error Timeout(Connect)".to_owned(), 3 * SECOND)
        );
        // The time for the tunnel begins when the stream to the proxy is there.
        let stalled = |world: &World| {
            world.net.delay(proxy(), 2 * SECOND);
            drop(world.net.listen(proxy()));
        };
        assert_eq!(run(stalled), ("error Timeout(Proxy)".to_owned(), 6 * SECOND));
        let reset = |world: &World| world.net.serve_arrivals(proxy(), SimPeer::reset);
        let (error, at) = run(reset);
        let expected = format!("error ProxyStream({scheme}://{PROXY}, ConnectionReset)");
        assert_eq!((error, at), (expected, Duration::ZERO));
    }
}

#[test]
fn b135_the_whole_attempt_has_one_deadline_over_all_its_hops() {
    // Name, connection and tunnel: each within its own time, together not.
    let mut world = World::new();
    world.resolver.name("proxy.test", &[proxy().ip()]);
    world.resolver.delay("proxy.test", Some(4 * SECOND));
    world.net.delay(proxy(), 4 * SECOND);
    let listener = world.net.listen(proxy());
    let log = Log::new();
    let policy = ProxyPolicy::direct().proxy(Proxy::parse("http://proxy.test:3128").unwrap());
    let options = RunOptions::new().proxy(policy).attempt_timeout(10 * SECOND).proxy_timeout(5 * SECOND);
    log.app(URL).run_on(&mut world.reactor, &options).unwrap();
    world.run_until(9 * SECOND);
    let peer = listener.accept().unwrap();
    assert!(!peer.read_available().is_empty());
    peer.write(b"HTTP/1.1 200 OK\r\n");
    world.run_until(10 * SECOND - Duration::from_nanos(1));
    assert_eq!(log.lines(), [""; 0]);
    world.run_until(10 * SECOND);
    assert_eq!(log.lines(), ["error Timeout(Attempt)", "close: Timeout(Attempt)"]);
    assert!(peer.ended().is_some() && world.reactor.apps().is_empty());
}

#[test]
fn a_stalled_proxy_holds_up_nobody_and_closing_does_not_wait_for_it() {
    let mut world = World::new();
    let echoes = neighbour(&mut world);
    let listener = world.net.listen(proxy());
    let log = Log::new();
    let id = log.app(URL).run_on(&mut world.reactor, &through("http").proxy_timeout(60 * SECOND)).unwrap();
    world.run_for(20 * SECOND);
    assert_eq!(echoes.get(), 20);
    let peer = listener.accept().unwrap();
    assert_eq!(peer.ended(), None);
    world.reactor.apps().with(id, |app| app.close()).unwrap();
    world.settle();
    assert_eq!(log.lines(), ["close, by client"]);
    assert!(peer.ended().is_some());
}

#[test]
fn b125_a_proxy_that_may_recover_is_tried_again_and_one_that_will_not_is_not() {
    let retried = |scheme: &str, script: Script| {
        let mut world = World::new();
        world.net.serve_arrivals(proxy(), script);
        let log = Log::new();
        log.app(URL).run_on(&mut world.reactor, &through(scheme).reconnect(SECOND)).unwrap();
        world.settle();
        let close = log.lines().last().unwrap().clone();
        assert_eq!(close.ends_with(", retry in 1s"), !world.reactor.apps().is_empty());
        close.ends_with(", retry in 1s")
    };
    type Case = (&'static str, Script, bool);
    let cases: [Case; 11] = [
        ("http", Box::new(answers(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")), true),
        ("http", Box::new(answers(b"HTTP/1.1 503 Busy\r\n\r\n")), true),
        ("http", Box::new(answers(b"HTTP/1.1 403 Forbidden\r\n\r\n")), false),
        ("http", Box::new(answers(b"HTTP/1.1 407 Who?\r\n\r\n")), false),
        ("http", Box::new(answers(b"garbage")), false),
        ("http", Box::new(SimPeer::shutdown), true),
        ("http", Box::new(SimPeer::reset), true),
        ("socks4", Box::new(answers(b"\0\x5b\0\0\0\0\0\0")), true),
        ("socks5", Box::new(answers(b"\x05\xff")), false),
        ("socks5h", Box::new(SimPeer::shutdown), true),
        ("socks4a", Box::new(answers(b"HTTP/1.1 400 Bad Request\r\n\r\n")), false),
    ];
    for (count, (scheme, script, expected)) in cases.into_iter().enumerate() {
        assert_eq!(retried(scheme, script), expected, "case {count}");
    }
    // Not being there is no verdict either.
    let mut world = World::new();
    let log = Log::new();
    log.app(URL).run_on(&mut world.reactor, &through("http").reconnect(SECOND)).unwrap();
    world.settle();
    assert_eq!(log.lines()[1], "close: Connect(ConnectionRefused), retry in 1s");
}

#[test]
fn a_reconnecting_app_gets_through_when_the_proxy_is_back_and_takes_the_same_way_each_time() {
    let mut world = World::new();
    let log = Log::new();
    let app = log.app(URL).on_open(|app, _| app.send_text("hello"));
    app.run_on(&mut world.reactor, &through("socks5h").reconnect(SECOND)).unwrap();
    world.run_until(2 * SECOND);
    let served = SimProxy::serve(&world.net, proxy(), ProxyScheme::Socks5h, "");
    world.run_until(3 * SECOND);
    let refused = ["error Connect(ConnectionRefused)", "close: Connect(ConnectionRefused), retry in 1s"];
    assert_eq!(log.lines(), [&refused[..], &refused, &refused, &["text hello"]].concat());
    assert_eq!(served.asked().len(), 1);
    assert!(world.net.attempts().iter().all(|(_, address)| *address == proxy() && *address != SERVER));
}
