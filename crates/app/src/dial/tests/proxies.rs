//! Proxies that give no tunnel, or only at the second try.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use websocket_testkit::sim::SimPeer;

use super::steps::{PROXY, Wait};
use super::*;
use crate::challenge::Challenge;

const HTTP: Wait = Wait::ForHttpTunnel;
const SOCKS: Wait = Wait::ForSocksTunnel;

const WHO: &[u8] = b"HTTP/1.1 407 Who\r\nProxy-Authenticate: Bearer\r\nContent-Length: 0\r\n\r\n";
const WHO_CLOSES: &[u8] =
    b"HTTP/1.1 407 Who\r\nProxy-Authenticate: Bearer\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const TUNNEL: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";

/// What the proxy has heard, one message after the other.
type Heard = Rc<RefCell<Vec<String>>>;

/// A dial that has just begun, with a proxy that answers whatever it hears with the next of these answers,
/// and ends the stream in that way after the last of them.
fn dial(
    wait: Wait,
    answers: &'static [&'static [u8]],
    end: fn(&SimPeer),
    functions: Functions,
) -> (Rig, Heard) {
    let mut rig = Rig::new(BY_NAME, &wait.options()).with_name(&[1]).with_functions(functions);
    let heard = Heard::default();
    let (hears, mut answers) = (heard.clone(), answers.iter());
    rig.net.serve_arrivals(PROXY, move |peer| {
        let bytes = peer.read_available();
        if bytes.is_empty() {
            return;
        }
        hears.borrow_mut().push(String::from_utf8_lossy(&bytes).into_owned());
        if let Some(answer) = answers.next() {
            peer.write(answer);
            if answers.len() == 0 {
                end(peer);
            }
        }
    });
    waiting(rig.begin());
    (rig, heard)
}

fn stays(_: &SimPeer) {}

/// A function that gives every challenge of the proxy this answer, and how often it was asked.
fn authorize(answer: Option<&'static str>) -> (Functions, Rc<Cell<u32>>) {
    let asked = Rc::new(Cell::new(0));
    let counter = asked.clone();
    let authorize = move |challenge: &Challenge<'_>| {
        assert_eq!(challenge.proxy, HTTP.proxy());
        assert_eq!(challenge.challenges, ["Bearer"]);
        counter.set(counter.get() + 1);
        Ok(answer.map(str::to_owned))
    };
    (Functions { authorize: Some(Box::new(authorize)), ..Functions::default() }, asked)
}

#[track_caller]
fn proxy_error(progress: Progress) -> String {
    match failure(progress) {
        Error::Proxy(error) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn b183_a_proxy_that_gives_no_tunnel_says_why() {
    type Case = (Wait, &'static [&'static [u8]], fn(&SimPeer), &'static str);
    let cases: [Case; 9] = [
        (HTTP, &[b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"], stays, "it answered 403 No"),
        (HTTP, &[b"HTTP/1.1 502 Bad\r\n\r\nbody"], SimPeer::close, "it answered 502 Bad"),
        (HTTP, &[WHO], stays, "it wants credentials (407); it offers Bearer"),
        (HTTP, &[b"hello"], stays, "it does not speak the protocol of its scheme"),
        (HTTP, &[b"HTTP/1.1 2"], SimPeer::close, "it closed the stream before its answer was complete"),
        (SOCKS, &[b"\x05\xff"], stays, "it wants authentication"),
        (SOCKS, &[b"\x05\0", b"\x05\x05\0\x01\0\0\0\0\0\0"], stays, "it refused: "),
        (SOCKS, &[b"\x05\0", b"\x05\0\0"], SimPeer::shutdown, "it closed the stream"),
        (SOCKS, &[b"HTTP/1.1 400 What\r\n\r\n"], stays, "it does not speak the protocol of its scheme"),
    ];
    for (wait, answers, end, expected) in cases {
        let (mut rig, _) = dial(wait, answers, end, Functions::default());
        let error = proxy_error(rig.run_until(SECOND));
        let url = wait.proxy().unwrap();
        assert!(error.starts_with(&format!("proxy {url}: {expected}")), "{error}");
        assert_eq!(rig.net.attempts().len(), 1, "{error}");
        rig.assert_leaves_nothing();
    }
}

#[test]
fn b183_a_stream_that_breaks_on_the_way_to_a_tunnel_names_the_proxy() {
    let cases: [(Wait, &'static [&'static [u8]]); 2] = [(HTTP, &[b"HTTP/1.1 2"]), (SOCKS, &[b"\x05\0"])];
    for (wait, answers) in cases {
        let (mut rig, _) = dial(wait, answers, SimPeer::reset, Functions::default());
        match failure(rig.run_until(SECOND)) {
            Error::ProxyStream { proxy, source } => {
                assert_eq!((Some(&*proxy), source.kind()), (wait.proxy(), io::ErrorKind::ConnectionReset));
            }
            other => panic!("{other:?}"),
        }
        rig.assert_leaves_nothing();
    }
}

#[test]
fn b164_a_407_is_answered_with_the_same_place_on_the_same_stream_or_on_another() {
    for (answers, streams) in [(&[WHO, TUNNEL], 1), (&[WHO_CLOSES, TUNNEL], 2)] {
        let (functions, asked) = authorize(Some("Bearer token"));
        let (mut rig, heard) = dial(HTTP, answers, stays, functions);
        rig.links.connections.set_max_total(1);
        let ticket = rig.queue_for(Server::At(address(100)));
        let arrived = arrival(rig.run_until(SECOND));
        assert_eq!((asked.get(), rig.net.attempts().len()), (1, streams));
        let authorized: Vec<_> = heard
            .borrow()
            .iter()
            .map(|request| request.contains("Proxy-Authorization: Bearer token\r\n"))
            .collect();
        assert_eq!(authorized, [false, true]);
        assert_eq!((rig.dispatcher.registrations(), rig.called.len()), (1, 0));
        drop(ticket);
        rig.net().unwatch(arrived.wire);
        rig.assert_leaves_nothing();
    }
}

#[test]
fn b164_a_407_that_is_not_answered_or_in_vain_ends_the_dial() {
    for (answer, times, expected) in [
        (None, 1, "it wants credentials (407)"),
        (Some("Bearer\r\nX-Injected: 1"), 1, "it wants credentials (407)"),
        // It is not sent again.
        (Some("Bearer wrong"), 2, "it refused the credentials (407)"),
    ] {
        let (functions, asked) = authorize(answer);
        let (mut rig, heard) = dial(HTTP, &[WHO, WHO_CLOSES, TUNNEL], stays, functions);
        let error = proxy_error(rig.run_until(SECOND));
        assert!(error.contains(expected), "{error}");
        assert_eq!((asked.get(), heard.borrow().len()), (times, times as usize), "{answer:?}");
        assert_eq!(rig.net.attempts().len(), 1);
        rig.assert_leaves_nothing();
    }
}

#[test]
fn b178_a_socks5_proxy_is_given_the_address_and_asked_for_by_its_name_again() {
    // Both names are resolved: first the server's, then the proxy's.
    let run = options(Some("socks5://proxy.test:80"));
    let mut rig = Rig::new(BY_NAME, &run).with_name(&[1]);
    rig.resolver.name("proxy.test", &[address(9).ip()]);
    rig.net.black_hole(address(9));
    waiting(rig.begin_and_run_until(Duration::ZERO));
    let asked: Vec<_> = rig.resolver.queries().into_iter().map(|query| query.host).collect();
    assert_eq!(asked, [NAME, "proxy.test"]);
    assert_eq!(rig.net.attempts(), [(Duration::ZERO, address(9))]);
    rig.assert_leaves_nothing();

    // SOCKS4 carries no IPv6 address.
    let run = options(Some("socks4://192.0.2.9:3128"));
    let mut rig = Rig::new(BY_NAME, &run);
    rig.resolver.name(NAME, &["2001:db8::1".parse().unwrap()]);
    let error = proxy_error(rig.begin_and_run_until(Duration::ZERO));
    assert!(error.contains("SOCKS4 reaches IPv4 addresses only"), "{error}");
    assert_eq!(rig.net.attempts(), []);
    rig.assert_leaves_nothing();
}

#[test]
fn the_addresses_of_a_proxy_need_no_places_and_that_of_the_server_is_kept() {
    let mut rig = Rig::new(BY_NAME, &Wait::ForProxyName.options());
    rig.resolver.name("proxy.test", &[10, 9].map(|last| address(last).ip()));
    let proxy = |last: u8| SocketAddr::new(address(last).ip(), 3128);
    rig.net.black_hole(proxy(10));
    drop(rig.net.listen(proxy(9)));
    // Other apps are on their way to both.
    rig.links.connections.set_max_per_server(1);
    rig.take_place(Server::At(proxy(10)));
    rig.take_place(Server::At(proxy(9)));
    waiting(rig.begin_and_run_until(SECOND));
    assert_eq!(rig.net.attempts().len(), 2);
    assert!(matches!(rig.dial.as_ref().unwrap().step, Step::Tunnelling(_)));
    let server = Server::Named(websocket_link::Destination::new(NAME.parse().unwrap(), 80));
    let ticket = rig.queue_for(server);
    rig.hang_up();
    assert!(rig.links.connections.can_call());
    drop(ticket);
    rig.assert_leaves_nothing();
}
