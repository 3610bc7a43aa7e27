//! An address that takes a connection and then fails is tried last by the next attempt.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use websocket_app::link::proxy::{Proxy, ProxyPolicy, ProxyScheme};
use websocket_app::{Reconnect, RunOptions, Verdict};
use websocket_testkit::frame;
use websocket_testkit::sim::{SimNet, SimPeer};
use websocket_tests::{Log, SimProxy, World};

const SECOND: Duration = Duration::from_secs(1);
const BUSY: &[u8] = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";

fn ip(last: u8) -> IpAddr {
    [192, 0, 2, last].into()
}

fn address(last: u8) -> SocketAddr {
    SocketAddr::new(ip(last), 80)
}

/// A world in which `many.test` has these addresses.
fn world(addresses: &[u8]) -> World {
    let world = World::new();
    world.resolver.name("many.test", &addresses.iter().map(|last| ip(*last)).collect::<Vec<_>>());
    world
}

/// Options of a run that tries again a second after whatever has happened.
fn retrying() -> RunOptions {
    let policy = Reconnect::fixed(SECOND).classify(|_| Verdict::Retry);
    RunOptions::new().reconnect(policy).proxy(ProxyPolicy::direct())
}

/// The last bytes of the addresses that were connected to, in order.
fn tried(world: &World) -> Vec<u8> {
    let last = |address: SocketAddr| match address.ip() {
        IpAddr::V4(ip) => ip.octets()[3],
        IpAddr::V6(ip) => ip.octets()[15],
    };
    world.net.attempts().into_iter().map(|(_, address)| last(address)).collect()
}

fn busy(peer: &SimPeer) {
    peer.write(BUSY);
}

fn opens(peer: &SimPeer) {
    peer.accept_upgrade();
}

fn is_silent(_: &SimPeer) {}

type Serve = fn(&SimNet, SocketAddr);

#[test]
fn whatever_fails_behind_tcp_the_next_attempt_prefers_the_other_address() {
    let faults: [(&str, &str, Serve); 10] = [
        ("ws", "a refusal", |net, at| net.serve(at, busy)),
        ("ws", "garbage", |net, at| net.serve(at, |peer| peer.write(b"SSH-2.0-OpenSSH_9.9\r\n"))),
        ("ws", "a wrong accept key", |net, at| {
            net.serve(at, |peer| {
                peer.write(b"HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
            });
        }),
        ("ws", "an end instead of a response", |net, at| net.serve(at, SimPeer::shutdown)),
        ("ws", "an end at once", |net, at| net.serve_arrivals(at, SimPeer::close)),
        ("ws", "a reset", |net, at| net.serve_arrivals(at, SimPeer::reset)),
        ("ws", "silence", |net, at| net.serve(at, is_silent)),
        ("wss", "an end instead of TLS", |net, at| net.serve_arrivals(at, SimPeer::shutdown)),
        ("wss", "no TLS", |net, at| net.serve_arrivals(at, busy)),
        ("wss", "silence instead of TLS", |net, at| net.serve_arrivals(at, is_silent)),
    ];
    for (scheme, fault, serve) in faults {
        let mut world = world(&[1, 2]);
        let port = if scheme == "wss" { 443 } else { 80 };
        serve(&world.net, SocketAddr::new(ip(1), port));
        world.net.serve(SocketAddr::new(ip(2), port), opens);
        let log = Log::new();
        log.app(format!("{scheme}://many.test/")).run_on(&mut world.reactor, &retrying()).unwrap();
        world.run_until(12 * SECOND);
        assert_eq!(tried(&world)[..2], [1, 2], "{fault}");
        if scheme == "ws" {
            assert_eq!(log.lines().last().unwrap(), "open", "{fault}");
        }
    }
}

#[test]
fn an_attempt_that_times_out_as_a_whole_blames_the_address_that_it_is_connected_to() {
    let mut world = world(&[1, 2]);
    world.net.serve(address(1), is_silent);
    world.net.serve(address(2), opens);
    let log = Log::new();
    let options = retrying().attempt_timeout(2 * SECOND);
    log.app("ws://many.test/").run_on(&mut world.reactor, &options).unwrap();
    world.run_until(3 * SECOND);
    assert_eq!(log.lines(), ["error Timeout(Attempt)", "close: Timeout(Attempt), retry in 1s", "open"]);
    assert_eq!(tried(&world), [1, 2]);
}

#[test]
fn several_that_fail_take_turns_and_the_one_that_works_is_found() {
    let mut world = world(&[1, 2, 3]);
    for last in [1, 2, 3] {
        world.net.serve(address(last), busy);
    }
    let log = Log::new();
    log.app("ws://many.test/").run_on(&mut world.reactor, &retrying()).unwrap();
    world.run_until(6 * SECOND);
    assert_eq!(tried(&world), [1, 2, 3, 1, 2, 3, 1]);
    world.net.serve(address(3), opens);
    world.run_until(10 * SECOND);
    assert_eq!(tried(&world), [1, 2, 3, 1, 2, 3, 1, 2, 3]);
    assert_eq!(log.lines().last().unwrap(), "open");
}

#[test]
fn a_name_that_gets_another_address_is_connected_to_there() {
    let mut world = world(&[1]);
    world.net.serve(address(1), busy);
    world.net.serve(address(7), opens);
    Log::new().app("ws://many.test/").run_on(&mut world.reactor, &retrying()).unwrap();
    world.run_until(SECOND + SECOND / 2);
    world.resolver.name("many.test", &[ip(1), ip(7)]);
    world.run_until(5 * SECOND);
    assert_eq!(tried(&world), [1, 1, 7]);
}

#[test]
fn a_single_address_is_tried_again_as_soon_as_without_its_failure() {
    let mut world = world(&[1]);
    world.net.serve(address(1), busy);
    Log::new().app("ws://many.test/").run_on(&mut world.reactor, &retrying()).unwrap();
    world.run_until(3 * SECOND);
    let expected: Vec<_> = (0..=3).map(|seconds| (seconds * SECOND, address(1))).collect();
    assert_eq!(world.net.attempts(), expected);
}

#[test]
fn an_open_connection_forgets_what_has_failed() {
    let mut world = world(&[1, 2]);
    world.net.serve(address(1), busy);
    world.net.serve(address(2), |peer| {
        peer.accept_upgrade();
        peer.write(&frame::close(1001, ""));
        peer.shutdown();
    });
    Log::new().app("ws://many.test/").run_on(&mut world.reactor, &retrying()).unwrap();
    world.run_until(4 * SECOND);
    assert_eq!(tried(&world), [1, 2, 1, 2, 1]);
}

#[test]
fn a_connection_that_was_open_has_not_failed() {
    let mut world = world(&[1, 2]);
    world.net.serve(address(1), |peer| {
        peer.accept_upgrade();
        peer.reset();
    });
    Log::new().app("ws://many.test/").run_on(&mut world.reactor, &retrying()).unwrap();
    world.run_until(2 * SECOND);
    assert_eq!(tried(&world), [1, 1, 1]);
}

#[test]
fn an_address_that_refuses_tcp_keeps_its_turn() {
    let mut world = world(&[1, 2]);
    world.net.serve(address(2), |peer| {
        peer.accept_upgrade();
        peer.reset();
    });
    Log::new().app("ws://many.test/").run_on(&mut world.reactor, &retrying()).unwrap();
    world.run_until(SECOND);
    assert_eq!(tried(&world), [1, 2, 1, 2]);
}

#[test]
fn each_app_has_its_own_experience() {
    let mut world = world(&[1, 2]);
    world.net.serve(address(1), busy);
    world.net.serve(address(2), opens);
    let log = Log::new();
    for _ in 0..2 {
        log.app("ws://many.test/").run_on(&mut world.reactor, &retrying()).unwrap();
        world.run_for(SECOND);
    }
    assert_eq!(tried(&world), [1, 2, 1, 2]);
}

#[test]
fn the_families_still_take_turns_and_the_failed_address_has_the_last_and_longest_wait() {
    let mut world = World::new();
    let addresses: [IpAddr; 4] =
        ["2001:db8::1", "192.0.2.4", "192.0.2.5", "2001:db8::2"].map(|text| text.parse().unwrap());
    world.resolver.name("many.test", &addresses);
    world.net.serve(SocketAddr::new(addresses[0], 80), busy);
    for ip in &addresses[1..] {
        world.net.black_hole(SocketAddr::new(*ip, 80));
    }
    Log::new().app("ws://many.test/").run_on(&mut world.reactor, &retrying()).unwrap();
    world.run_until(5 * SECOND);
    let tried: Vec<_> = world.net.attempts();
    let tried = tried.iter().map(|(at, address)| (at.as_millis(), address.ip())).collect::<Vec<_>>();
    let [failed, four, five, two] = addresses;
    assert_eq!(
        tried,
        [
            (0, failed),
            (1000, four),
            (1250, two),
            (1500, five),
            (3500, failed),
            (4500, four),
            (4750, two),
            (5000, five)
        ]
    );
}

#[test]
fn the_failed_address_is_tried_at_once_when_the_others_refuse() {
    let mut world = world(&[1, 2, 3]);
    world.net.serve(address(1), busy);
    Log::new().app("ws://many.test/").run_on(&mut world.reactor, &retrying()).unwrap();
    world.run_until(SECOND);
    assert_eq!(tried(&world), [1, 2, 3, 1]);
    assert_eq!(world.net.attempts().last().unwrap().0, SECOND);
}

/// A server that answers as a redirect to `many.test` does.
fn redirects(peer: &SimPeer) {
    peer.write(b"HTTP/1.1 302 Found\r\nLocation: ws://many.test/\r\nContent-Length: 0\r\n\r\n");
}

#[test]
fn behind_a_redirect_the_address_that_fails_is_blamed_and_not_the_one_that_redirects() {
    let mut world = world(&[1, 2]);
    world.resolver.name("front.test", &[ip(8), ip(9)]);
    world.net.serve(address(8), redirects);
    world.net.serve(address(1), busy);
    world.net.serve(address(2), opens);
    let log = Log::new();
    log.app("ws://front.test/").run_on(&mut world.reactor, &retrying()).unwrap();
    world.run_until(SECOND);
    assert_eq!(tried(&world), [8, 1, 8, 2]);
    assert_eq!(log.lines().last().unwrap(), "open");
}

#[test]
fn nothing_is_blamed_when_a_redirect_leads_to_where_nothing_listens() {
    let mut world = world(&[1]);
    world.resolver.name("front.test", &[ip(8), ip(9)]);
    world.net.serve(address(8), redirects);
    Log::new().app("ws://front.test/").run_on(&mut world.reactor, &retrying()).unwrap();
    world.run_until(SECOND);
    assert_eq!(tried(&world), [8, 1, 8, 1]);
}

#[test]
fn within_an_origin_the_second_request_goes_to_the_address_that_has_answered_the_first() {
    let mut world = world(&[1, 2]);
    world.net.serve(address(1), |peer| match peer.read_request().unwrap().path.as_str() {
        "/" => peer.write(b"HTTP/1.1 302 Found\r\nLocation: /end\r\nContent-Length: 0\r\n\r\n"),
        _ => busy(peer),
    });
    world.net.serve(address(2), opens);
    let log = Log::new();
    log.app("ws://many.test/").run_on(&mut world.reactor, &retrying()).unwrap();
    world.run_until(SECOND);
    assert_eq!(tried(&world), [1, 1, 2]);
    assert_eq!(log.lines().last().unwrap(), "open");
}

fn through(proxy: &str) -> RunOptions {
    retrying().proxy(ProxyPolicy::direct().proxy(Proxy::parse(proxy).unwrap()))
}

#[test]
fn a_proxy_whose_first_address_gives_no_tunnel_is_asked_at_its_second() {
    for (scheme, kind) in [("http", ProxyScheme::Http), ("socks5h", ProxyScheme::Socks5h)] {
        let proxy = |last| SocketAddr::new(ip(last), 3128);
        let mut world = World::new();
        world.resolver.name("proxy.test", &[ip(8), ip(9)]);
        world.net.serve_arrivals(proxy(8), SimPeer::close);
        let second = SimProxy::serve(&world.net, proxy(9), kind, "");
        let options = through(&format!("{scheme}://proxy.test:3128"));
        Log::new().app("ws://many.test/").run_on(&mut world.reactor, &options).unwrap();
        world.run_until(SECOND);
        assert_eq!(tried(&world), [8, 9], "{scheme}");
        assert_eq!(second.requests().len(), 1, "{scheme}");
    }
}

#[test]
fn a_proxy_that_asks_who_comes_and_is_gone_then_is_not_blamed() {
    let proxy = SocketAddr::new(ip(8), 3128);
    let mut world = World::new();
    world.resolver.name("proxy.test", &[ip(8), ip(9)]);
    world.net.serve(proxy, move |peer| {
        peer.write(b"HTTP/1.1 407 Who\r\nProxy-Authenticate: Bearer\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        peer.net().refuse(proxy);
    });
    let app = Log::new().app("ws://many.test/").authorize_with(|_| Some("Bearer token".to_owned()));
    app.run_on(&mut world.reactor, &through("http://proxy.test:3128")).unwrap();
    world.run_until(SECOND);
    assert_eq!(tried(&world), [8, 8, 9, 8, 9]);
}

#[test]
fn a_proxy_that_is_given_an_address_is_given_the_other_one_after_a_failure_behind_it() {
    let mut world = world(&[1, 2]);
    // Grants every tunnel. The server at the first address refuses, the one at the second opens.
    world.net.serve_arrivals(SocketAddr::new(ip(9), 3128), |peer| {
        let opens = peer.index() == 1;
        if let Some(request) = peer.read_request() {
            assert_eq!(request.header("Host"), Some("many.test"));
            let opened = websocket_testkit::handshake::response(&request, &[]);
            peer.write(if opens { &opened } else { BUSY });
            return;
        }
        match peer.read_available().as_slice() {
            [] => {}
            [5, 1, 0] => peer.write(&[5, 0]),
            asked => {
                let server = if opens { 2 } else { 1 };
                assert_eq!(asked, [5, 1, 0, 1, 192, 0, 2, server, 0, 80]);
                peer.write(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
            }
        }
    });
    let log = Log::new();
    let options = through("socks5://192.0.2.9:3128");
    log.app("ws://many.test/").run_on(&mut world.reactor, &options).unwrap();
    world.run_until(SECOND);
    assert_eq!(log.lines(), ["error Upgrade(Status 503)", "close: Upgrade(Status 503), retry in 1s", "open"]);
}
