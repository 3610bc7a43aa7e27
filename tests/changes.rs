//! The twelve changes against Python's websocket-client that matter most (C1 to C12): each of these would fail on the old behaviour.
//! C9 (decrypted bytes) is in `tls.rs`: `b209_...`. `failures.rs` lists what else shows them.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use websocket_app::link::proxy::{NoProxy, Proxy, ProxyPolicy};
use websocket_app::{
    Error, HeaderError, Reconnect, RunOptions, SeededEntropy, Timeout, UpgradeError, WebSocketApp,
};
use websocket_testkit::frame;
use websocket_testkit::server::ScriptedServer;
use websocket_testkit::sim::{Faults, SimPeer};
use websocket_tests::{Log, SERVER, URL, World, dispatcher, neighbour, outcome_line, run_forever};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn options() -> RunOptions {
    RunOptions::new()
}

fn reconnect() -> RunOptions {
    options().reconnect(SECOND)
}

#[test]
fn change_01_threads_queue_and_wake_and_the_loop_alone_writes() {
    const MESSAGES: usize = 500;
    let server = ScriptedServer::start(|mut peer| {
        peer.accept_upgrade();
        let mut seen = Vec::new();
        loop {
            // Frames that two threads had mixed up would not be frames.
            let it = peer.read_frame();
            assert_eq!(it.fault(), None);
            if it.opcode == frame::CLOSE {
                assert_eq!(seen.len(), 4 * MESSAGES);
                return peer.send_close(1000, "");
            }
            seen.push(it.text());
        }
    })
    .unwrap();
    let log = Log::new();
    let mut app = log.app(server.url()).on_open(|app, _| {
        let sender = app.sender();
        std::thread::spawn(move || {
            let writers = [0, 1, 2, 3].map(|thread| {
                let sender = sender.clone();
                std::thread::spawn(move || {
                    (0..MESSAGES).for_each(|number| sender.send_text(format!("{thread} {number}")).unwrap());
                })
            });
            writers.into_iter().for_each(|writer| writer.join().unwrap());
            sender.close();
        });
    });
    run_forever(&mut app, &options()).unwrap().into_result().unwrap();
    assert_eq!(log.lines(), ["close 1000, by client, clean"]);
    server.join();
}

#[test]
fn change_02_neither_sending_nor_closing_nor_half_a_frame_nor_a_retry_blocks() {
    let mut world = World::new();
    let echoes = neighbour(&mut world);
    // Twenty megabytes to a server that does not read, and a close behind them.
    let app = Log::new().app(URL).on_open(|app, _| {
        app.send_bytes(vec![0; 20 << 20])?;
        app.close();
        Ok::<_, websocket_app::SendError>(())
    });
    world.open(app, &options().close_timeout(60 * SECOND));
    // Four bytes of a frame, and then nothing.
    let ticks = Rc::new(Cell::new(0));
    let count = ticks.clone();
    let app = Log::new().app(URL).on_open(move |app, _| {
        let count = count.clone();
        app.set_interval(SECOND, move |_| count.set(count.get() + 1));
    });
    world.open(app, &options()).write(&frame::text("half")[..4]);
    // An hour's retry delay.
    Log::new()
        .app("ws://192.0.2.66/")
        .run_on(&mut world.reactor, &options().reconnect(3600 * SECOND))
        .unwrap();
    world.run_until(30 * SECOND);
    assert_eq!((echoes.get(), ticks.get(), world.reactor.apps().len()), (30, 30, 4));
}

#[test]
fn change_03_each_attempt_has_one_on_close_and_one_on_open_if_it_opened() {
    let mut world = World::new();
    let log = Log::new();
    world.net.refuse(SERVER);
    log.app(URL).run_on(&mut world.reactor, &reconnect()).unwrap();
    world.settle();
    let listener = world.net.listen(SERVER);
    let ends: [fn(&SimPeer); 3] = [
        SimPeer::reset,
        |peer| {
            peer.write(&frame::close(1012, ""));
            peer.shutdown();
        },
        |peer| {
            peer.write(&frame::close(1000, "done"));
            peer.shutdown();
        },
    ];
    for end in ends {
        world.run_for(SECOND);
        end(&world.accept(&listener));
        world.settle();
    }
    let expected = [
        "error Connect(ConnectionRefused)",
        "close: Connect(ConnectionRefused), retry in 1s",
        "open",
        "error Io(ConnectionReset)",
        "close: Io(ConnectionReset), retry in 1s",
        "open",
        "reconnect",
        "close 1012, by server, clean, retry in 1s",
        "open",
        "reconnect",
        "close 1000 done, by server, clean",
    ];
    assert_eq!(log.lines(), expected);
}

#[test]
fn change_04_a_close_frame_is_an_outcome_and_no_error() {
    for code in [1000, 1001, 1011, 4000] {
        let server = ScriptedServer::start(move |mut peer| {
            peer.accept_upgrade();
            peer.send_close(code, "why");
            peer.read_close();
        })
        .unwrap();
        let log = Log::new();
        let outcome = run_forever(&mut log.app(server.url()), &options()).unwrap();
        assert!(!outcome.is_error());
        assert_eq!(outcome_line(&outcome), format!("clean {code} why, by Server"));
        assert_eq!(log.lines(), ["open".to_owned(), format!("close {code} why, by server, clean")]);
        server.join();
    }
}

#[test]
fn change_05_each_part_of_the_way_has_a_deadline_that_is_named() {
    type Prepare = fn(&mut World) -> (&'static str, RunOptions);
    let open = |world: &World| {
        // Once it is open, nothing reads.
        world.net.serve(SERVER, |peer| drop(peer.accept_upgrade()));
    };
    let parts: [(Timeout, u64, Prepare); 7] = [
        (Timeout::Resolve, 10, |world| {
            world.resolver.delay("slow.test", None);
            ("ws://slow.test/", options())
        }),
        (Timeout::Connect, 10, |world| {
            world.net.black_hole(SERVER);
            (URL, options())
        }),
        (Timeout::Upgrade, 10, |world| {
            world.net.serve(SERVER, |_| {});
            (URL, options())
        }),
        (Timeout::Attempt, 5, |world| {
            world.net.serve(SERVER, |_| {});
            (URL, options().attempt_timeout(5 * SECOND))
        }),
        (Timeout::Pong, 30, |_| (URL, options().ping_interval(20 * SECOND).ping_timeout(10 * SECOND))),
        (Timeout::Write, 30, |world| {
            let mut faults = Faults::default();
            faults.send_buffer = 1000;
            world.net.set_faults(faults);
            (URL, options())
        }),
        (Timeout::Close, 3, |_| (URL, options())),
    ];
    for (timeout, seconds, prepare) in parts {
        let mut world = World::new();
        open(&world);
        let (url, options) = prepare(&mut world);
        let seen = Rc::new(RefCell::new(Vec::new()));
        let errors = seen.clone();
        let app = WebSocketApp::new(url)
            .on_open(move |app, _| match timeout {
                Timeout::Write => app.send_bytes([0; 5000]),
                Timeout::Close => app.close_with(websocket_app::CloseCode::Normal),
                _ => Ok(()),
            })
            .on_error(move |_, error| {
                let Error::Timeout(timeout) = error else { panic!("{error}") };
                errors.borrow_mut().push(*timeout);
            });
        app.run_on(&mut world.reactor, &options).unwrap();
        let at = Duration::from_secs(seconds);
        world.run_until(at - MS);
        assert_eq!(*seen.borrow(), [], "{timeout:?}");
        world.run_until(at);
        assert_eq!(*seen.borrow(), [timeout]);
        assert!(world.reactor.apps().is_empty());
    }
}

#[test]
fn change_06_a_dead_server_is_found_whatever_the_timing_and_round_trips_are_told() {
    let mut world = World::new();
    let log = Log::new();
    let peer = world.open(log.app(URL), &options().ping_interval(2 * SECOND).ping_timeout(1900 * MS));
    world.run_until(2 * SECOND);
    let ping = peer.read_frame().unwrap();
    world.run_for(70 * MS);
    peer.write(&frame::pong(&ping.payload));
    world.settle();
    let id = world.reactor.apps().ids()[0];
    assert_eq!(world.reactor.apps().with(id, |app| app.rtt().last), Some(Some(70 * MS)));
    log.take();
    // Dead from here on: the ping of 4 s has its own deadline.
    world.run_until(5900 * MS - MS);
    assert_eq!(log.lines(), [""; 0]);
    world.run_until(5900 * MS);
    assert_eq!(log.lines(), ["error Timeout(Pong)", "close: Timeout(Pong)"]);
}

#[test]
fn change_07_what_is_wrong_with_a_frame_is_seen_before_the_frame_is_whole() {
    let tebibyte = frame::raw(0x82, frame::Length::Claimed64(1 << 40), b"");
    let bad_text =
        [frame::raw(0x81, frame::Length::Claimed(1000), b""), b"caf\xe9 au lait".to_vec()].concat();
    let reserved = frame::raw(0xF1, frame::Length::Claimed(1000), b"");
    for (bytes, code) in [(tebibyte, 1009), (bad_text, 1007), (reserved, 1002)] {
        // At once, or a byte a second.
        for step in [bytes.len(), 1] {
            let mut world = World::new();
            let log = Log::new();
            let peer = world.open(log.app(URL), &options());
            for piece in bytes.chunks(step) {
                peer.write(piece);
                world.settle();
            }
            assert!(log.lines()[1].starts_with("error Protocol("), "{log:?}");
            assert_eq!(peer.read_frame().unwrap().close().unwrap().0, code);
        }
    }
}

#[test]
fn change_08_retries_back_off_permanent_failures_end_and_a_close_cancels() {
    let mut world = World::new().map(|reactor| reactor.entropy(SeededEntropy::new([8; 32])));
    world.net.refuse(SERVER);
    let log = Log::new();
    let mut app = log.app(URL);
    let sender = app.sender();
    let policy = Reconnect::backoff(SECOND, 60 * SECOND);
    app.run_on(&mut world.reactor, &options().reconnect(policy)).unwrap();
    world.run_until(3600 * SECOND);
    let attempts = world.net.attempts().len();
    assert!((60..300).contains(&attempts), "{attempts}: some sixty seconds apart at most, thirty on average");
    sender.close();
    world.reactor.poll(Some(Duration::ZERO)).unwrap();
    assert!(world.reactor.apps().is_empty());

    world.net.serve(SERVER, |peer| {
        peer.write(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n");
    });
    log.take();
    log.app(URL).run_on(&mut world.reactor, &reconnect()).unwrap();
    world.reactor.run().unwrap();
    assert_eq!(log.lines(), ["error Upgrade(Status 403)", "close: Upgrade(Status 403)"]);
}

#[test]
fn change_10_headers_cannot_be_injected_or_doubled_and_redirects_carry_no_secrets_away() {
    for header in ["X: a\r\nHost: evil.test", "X: a\nb", "X: a\0b"] {
        let error =
            Log::new().app(URL).headers([header]).run_forever_on(dispatcher(), &options()).unwrap_err();
        assert!(matches!(error, Error::Header(HeaderError::Value(_))), "{error:?}");
    }
    let mut world = World::new();
    let app = Log::new().app(URL).headers([
        ("Host", "mine.test"),
        ("Origin", "http://mine.test"),
        ("Cookie", "a=1"),
    ]);
    let listener =
        world.start(app.cookie("b=2").headers([("Authorization", "Basic c2VjcmV0")]), &reconnect());
    let peer = listener.accept().unwrap();
    let request = peer.read_request().unwrap();
    for name in ["Host", "Origin", "Authorization"] {
        assert_eq!(request.header_values(name).count(), 1, "{name}");
    }
    assert_eq!(request.header("Host"), Some("mine.test"));
    let other = world.net.listen("192.0.2.2:80".parse().unwrap());
    peer.write(b"HTTP/1.1 302 Found\r\nLocation: ws://192.0.2.2/\r\nContent-Length: 0\r\n\r\n");
    world.settle();
    let request = other.accept().unwrap().read_request().unwrap();
    assert_eq!(request.header("Host"), Some("192.0.2.2"));
    for name in ["Authorization", "Cookie"] {
        assert_eq!(request.header(name), None, "{name}");
    }
}

// b135, b183, b184, b190
#[test]
fn change_11_proxies_by_url_with_ipv6_any_2xx_label_boundaries_and_one_deadline() {
    let proxy: SocketAddr = "192.0.2.8:3128".parse().unwrap();
    // Without a scheme it is http, and any 2xx opens the tunnel: the answer and the server's come in one segment.
    let policy = |no_proxy: &str| {
        let policy = ProxyPolicy::direct().proxy(Proxy::parse("192.0.2.8:3128").unwrap());
        reconnect().proxy(policy.no_proxy(NoProxy::parse(no_proxy).unwrap()))
    };
    let mut world = World::new();
    let listener = world.net.listen(proxy);
    let log = Log::new();
    log.app("ws://[2001:db8::1]:90/").run_on(&mut world.reactor, &policy("")).unwrap();
    world.settle();
    let peer = listener.accept().unwrap();
    let connect = String::from_utf8(peer.read_available()).unwrap();
    assert!(connect.starts_with("CONNECT [2001:db8::1]:90 HTTP/1.1\r\n"), "{connect}");
    peer.write(b"HTTP/1.1 204 Tunnel\r\n\r\n");
    world.settle();
    peer.accept_upgrade().unwrap();
    peer.write(&frame::text("through"));
    world.settle();
    assert_eq!(log.take(), ["open", "text through"]);

    // `.server.test` is no exception for `xserver.test`, and `server.test` is one for `www.server.test`.
    for (exceptions, host, proxied) in
        [(".server.test", "xserver.test", true), ("server.test", "www.server.test", false)]
    {
        let mut world = World::new();
        world.resolver.name(host, &[SERVER.ip()]);
        Log::new().app(format!("ws://{host}/")).run_on(&mut world.reactor, &policy(exceptions)).unwrap();
        world.settle();
        assert_eq!(world.net.attempts()[0].1, if proxied { proxy } else { SERVER }, "{host}");
    }

    // b135: a proxy that drips its answer does not get more time for it.
    let mut world = World::new();
    world.net.serve(proxy, |peer| drip(peer.clone(), b"HTTP/1.1 200 OK\r\nX-Slow: "));
    let log = Log::new();
    log.app(URL).run_on(&mut world.reactor, &policy("").proxy_timeout(5 * SECOND)).unwrap();
    world.run_until(5 * SECOND);
    assert_eq!(log.lines(), ["error Timeout(Proxy)", "close: Timeout(Proxy), retry in 1s"]);
}

/// Writes a byte every 300 ms, for ever.
fn drip(peer: SimPeer, rest: &'static [u8]) {
    let (byte, rest) = rest.split_first().map_or((b'x', rest), |(byte, rest)| (*byte, rest));
    peer.write(&[byte]);
    peer.net().clone().after(Duration::from_millis(300), move |_| drip(peer, rest));
}

#[test]
fn change_12_errors_are_types_and_keep_secrets_to_themselves() {
    let server = ScriptedServer::start(|mut peer| {
        peer.read_request();
        peer.write(
            b"HTTP/1.1 403 Forbidden\r\nSet-Cookie: session=s3cret\r\nWWW-Authenticate: Bearer s3cret\r\n\
              Content-Length: 12\r\n\r\ntoken s3cret",
        );
    })
    .unwrap();
    let url = format!("{}?token=s3cret", server.url().replace("ws://", "ws://user:s3cret@"));
    let texts = Rc::new(RefCell::new(Vec::new()));
    let seen = texts.clone();
    let mut app =
        WebSocketApp::new(url).headers([("Authorization", "Bearer s3cret")]).on_error(move |_, error| {
            let Error::Upgrade(UpgradeError::Status { response, body, .. }) = error else {
                panic!("{error:?}")
            };
            // Whoever asks for them gets them.
            assert_eq!(
                (response.headers["set-cookie"].as_bytes(), body.as_slice()),
                (&b"session=s3cret"[..], &b"token s3cret"[..])
            );
            seen.borrow_mut().extend([error.to_string(), format!("{error:?}")]);
        });
    app.run_forever_on(dispatcher(), &options()).unwrap().into_result().unwrap_err();
    let texts = texts.take();
    assert!(texts[0].contains("403"), "{texts:?}");
    assert!(texts.iter().all(|text| !text.contains("s3cret")), "{texts:?}");
    server.join();
}
