//! Whatever ends an attempt gives its place to the next app in line, at once.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use websocket_app::link::proxy::{Proxy, ProxyPolicy};
use websocket_app::{RunOptions, WebSocketApp};
use websocket_testkit::sim::{SimNet, SimPeer};
use websocket_tests::{Log, World};

const SECOND: Duration = Duration::from_secs(1);

fn options() -> RunOptions {
    RunOptions::new().proxy(ProxyPolicy::direct())
}

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, last], 80))
}

fn opens(peer: &SimPeer) {
    peer.accept_upgrade();
}

/// Answers whatever comes with these bytes.
fn answers(net: &SimNet, bytes: &'static str, then: fn(&SimPeer)) {
    net.serve_arrivals(address(1), move |peer| {
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
    let open = |name, app| Ending {
        name,
        prepare: |net| net.serve_arrivals(address(1), opens),
        app,
        ..Ending::default()
    };
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
        ending("reset", |net| net.serve_arrivals(address(1), SimPeer::reset)),
        ending("endless redirect", |net| {
            answers(net, "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", stays);
        }),
        ending("redirect to nowhere", |net| {
            answers(net, "HTTP/1.1 302 Found\r\nLocation: ftp://a/\r\nContent-Length: 0\r\n\r\n", stays);
        }),
        // It gives its place back and waits in line again.
        ending("redirect to elsewhere", |net| {
            net.black_hole(address(9));
            let redirect = "HTTP/1.1 302 Found\r\nLocation: ws://192.0.2.9/\r\nContent-Length: 0\r\n\r\n";
            answers(net, redirect, stays);
        }),
        Ending { url: "wss://192.0.2.1:80/", ..ending("not TLS", |net| answers(net, "nonsense", stays)) },
        #[cfg(unix)]
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
        made("error in url_with", |app| app.url_with(|| Err::<String, _>("no URL"))),
        made("error in header_with", |app| app.header_with(|| Err::<Vec<String>, _>("no headers"))),
        made("error in subprotocols_with", |app| app.subprotocols_with(|| Err::<Vec<String>, _>("none"))),
        made("bad URL", |app| app.url_with(|| "nonsense")),
    ]
}

#[test]
fn whatever_ends_an_attempt_gives_its_place_to_the_next() {
    for Ending { name, prepare, url, app, options: change, after } in endings() {
        let mut world = World::new().map(|reactor| reactor.max_attempts(1));
        prepare(&world.net);
        world.net.serve_arrivals(address(2), opens);
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
