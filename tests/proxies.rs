//! Through a proxy: every scheme, with and without credentials, by option and by the environment.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::RefCell;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::process::Command;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use websocket_app::link::Query;
use websocket_app::link::proxy::{NoProxy, Proxy, ProxyPolicy, ProxyScheme};
use websocket_app::tls::TlsOptions;
use websocket_app::tls::rustls::crypto::ring::default_provider;
use websocket_app::tls::rustls::pki_types::pem::PemObject as _;
use websocket_app::tls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use websocket_app::tls::rustls::{ServerConfig, ServerConnection, StreamOwned};
use websocket_app::{Error, RunOptions, WebSocketApp};
use websocket_testkit::frame;
use websocket_testkit::handshake::{self, Request};
use websocket_testkit::server::ScriptedServer;
use websocket_testkit::sim::{Faults, SimNet, SimPeer, Trigger};
use websocket_tests::{Asked, Authority, Identity, Log, SERVER, SimProxy, URL, World, run_forever};

const PROXY: &str = "192.0.2.8:3128";
/// `alice:wonder1and`, as Basic.
const BASIC: &str = "Basic YWxpY2U6d29uZGVyMWFuZA==";
/// The key of RFC 6455 section 1.3, so that a server may answer before it is asked.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// Each scheme: what it is, whether names are resolved by the client, the URL's userinfo, and what the proxy sees of that.
const SCHEMES: [(ProxyScheme, bool, &str, &str); 5] = [
    (ProxyScheme::Http, false, "alice:wonder1and@", BASIC),
    (ProxyScheme::Socks4, true, "alice@", "alice"),
    (ProxyScheme::Socks4a, false, "alice@", "alice"),
    (ProxyScheme::Socks5, true, "alice:wonder1and@", "alice:wonder1and"),
    (ProxyScheme::Socks5h, false, "alice:wonder1and@", "alice:wonder1and"),
];

fn proxy() -> SocketAddr {
    PROXY.parse().unwrap()
}

/// A run through the proxy at `url`, whatever the environment says.
fn through(url: &str) -> RunOptions {
    RunOptions::new().proxy(ProxyPolicy::direct().proxy(Proxy::parse(url).unwrap()))
}

/// An app that says hello, wants it back and closes.
fn greeter(log: &Log, url: &str) -> WebSocketApp {
    let answered = log.clone();
    log.app(url).on_drain(|_| {}).on_open(|app, _| app.send_text("hello")).on_message(move |app, message| {
        answered.message(message);
        app.close();
    })
}

/// Runs it until all that can happen has happened.
#[track_caller]
fn is_echoed(world: &mut World, url: &str, options: &RunOptions) {
    let log = Log::new();
    greeter(&log, url).run_on(&mut world.reactor, options).unwrap();
    world.reactor.run().unwrap();
    assert_eq!(log.lines(), ["text hello", "close 1000, by client, clean"]);
}

fn asked(target: &str, login: &str) -> Asked {
    let mut asked = Asked::default();
    (asked.target, asked.login) = (target.to_owned(), login.to_owned());
    asked
}

#[test]
fn b178_b179_b181_b182_every_scheme_with_and_without_credentials() {
    for (scheme, local, userinfo, login) in SCHEMES {
        for (userinfo, login) in [("", ""), (userinfo, login)] {
            let mut world = World::new();
            world.resolver.name("server.test", &["2001:db8::9".parse().unwrap(), SERVER.ip()]);
            let served = SimProxy::serve(&world.net, proxy(), scheme, login);
            let url = format!("{scheme}://{userinfo}{PROXY}");
            is_echoed(&mut world, "ws://server.test:81/path?q", &through(&url));

            // What is resolved here goes as an address, the rest as a name that nobody here has asked for.
            let (target, queries) = match scheme {
                ProxyScheme::Socks4 => ("192.0.2.1:81", 1),
                ProxyScheme::Socks5 => ("[2001:db8::9]:81", 1),
                _ => ("server.test:81", 0),
            };
            assert_eq!(queries == 1, local);
            assert_eq!(served.asked(), [asked(target, login)], "{scheme}");
            assert_eq!(world.resolver.queries(), vec![Query::new("server.test", 81); queries]);
            assert_eq!(world.net.attempts().iter().map(|(_, to)| *to).collect::<Vec<_>>(), [proxy()]);

            // The server behind it gets the same request as without.
            let requests = served.requests();
            let [request] = &requests[..] else { panic!("{requests:?}") };
            assert_eq!((&*request.path, request.header("Host")), ("/path?q", Some("server.test:81")));
            assert_eq!(request.header("Proxy-Authorization"), None);
        }
    }
}

#[test]
fn b178_the_proxys_own_name_is_resolved_here_and_its_addresses_race() {
    for (scheme, local, ..) in SCHEMES {
        let mut world = World::new();
        world.resolver.name("server.test", &[SERVER.ip()]);
        let dead = "[2001:db8::8]:1080".parse().unwrap();
        world.net.black_hole(dead);
        let alive: SocketAddr = "192.0.2.8:1080".parse().unwrap();
        world.resolver.name("proxy.test", &[dead.ip(), alive.ip()]);
        let served = SimProxy::serve(&world.net, alive, scheme, "");
        is_echoed(&mut world, "ws://server.test/", &through(&format!("{scheme}://proxy.test:1080")));
        assert_eq!(served.asked().len(), 1);
        let mut queries = vec![Query::new("proxy.test", 1080)];
        if local {
            queries.insert(0, Query::new("server.test", 80));
        }
        assert_eq!(world.resolver.queries(), queries, "{scheme}");
        let attempts: Vec<_> = world.net.attempts();
        assert_eq!(attempts, [(Duration::ZERO, dead), (Duration::from_millis(250), alive)], "{scheme}");
    }
}

#[test]
fn b184_an_ipv6_target_stands_in_brackets_and_is_never_resolved() {
    for (scheme, ..) in SCHEMES {
        let mut world = World::new();
        let served = SimProxy::serve(&world.net, proxy(), scheme, "");
        let options = through(&format!("{scheme}://{PROXY}"));
        let url = "ws://[2001:db8::1]:90/";
        if matches!(scheme, ProxyScheme::Socks4 | ProxyScheme::Socks4a) {
            let log = Log::new();
            log.app(url).run_on(&mut world.reactor, &options).unwrap();
            world.reactor.run().unwrap();
            let error = "Proxy(ProxyError { proxy: \"socks4";
            assert!(log.lines()[0].contains(error) && log.lines()[0].contains("Ipv6Unsupported"), "{log:?}");
            assert_eq!(log.lines().len(), 2);
        } else {
            is_echoed(&mut world, url, &options);
            assert_eq!(served.asked(), [asked("[2001:db8::1]:90", "")], "{scheme}");
        }
        assert_eq!(world.resolver.queries(), []);
    }
}

#[test]
fn b180_b185_a_proxy_without_scheme_is_http_and_one_without_port_has_that_of_its_scheme() {
    for (url, address) in [
        ("192.0.2.8", "192.0.2.8:80"),
        ("http://192.0.2.8", "192.0.2.8:80"),
        ("socks5h://[2001:db8::8]", "[2001:db8::8]:1080"),
        ("SOCKS4A://192.0.2.8/", "192.0.2.8:1080"),
    ] {
        let mut world = World::new();
        let proxy = Proxy::parse(url).unwrap();
        let served = SimProxy::serve(&world.net, address.parse().unwrap(), proxy.scheme(), "");
        is_echoed(&mut world, "ws://server.test/", &through(url));
        assert_eq!(served.asked(), [asked("server.test:80", "")], "{url}");
    }
}

/// What a proxy says to grant a tunnel, in the pieces that the client waits for.
fn grants(scheme: ProxyScheme) -> &'static [&'static [u8]] {
    match scheme {
        ProxyScheme::Http => {
            &[b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 \r\nA: b\r\nContent-Length: 9\r\n\r\n"]
        }
        ProxyScheme::Socks4 | ProxyScheme::Socks4a => &[b"\0\x5a\x12\x34\x01\x02\x03\x04"],
        _ => &[b"\x05\0", b"\x05\0\0\x03\x04host\x12\x34"],
    }
}

/// Answers the client's first word with the first piece, its next with the next.
fn answering(pieces: Vec<Vec<Vec<u8>>>, pause: Duration) -> impl FnMut(&SimPeer) {
    let mut pieces = pieces.into_iter();
    move |peer| {
        if peer.read_available().is_empty() {
            return;
        }
        let parts = pieces.next().unwrap_or_default();
        for (count, part) in (0..).zip(parts) {
            let peer = peer.clone();
            peer.net().clone().after(pause * count, move |_| peer.write(&part));
        }
    }
}

#[test]
fn b072_b183_the_answer_may_be_cut_anywhere_and_what_the_server_sends_right_behind_it_is_not_lost() {
    let key = format!("GET / HTTP/1.1\r\nSec-WebSocket-Key: {KEY}\r\n\r\n");
    let behind = [handshake::response_for(key.as_bytes()), frame::text("early")].concat();
    for (scheme, ..) in SCHEMES {
        for trigger in [Trigger::Edge, Trigger::Level] {
            let mut words: Vec<Vec<u8>> = grants(scheme).iter().map(|word| word.to_vec()).collect();
            words.last_mut().unwrap().extend(&behind);
            for (at, word) in words.iter().enumerate() {
                for (cut, pause) in (1..=word.len()).flat_map(|cut| [(cut, 0), (cut, 1)]) {
                    let mut world = World::on(SimNet::new(1).with_trigger(trigger));
                    let mut pieces: Vec<_> = words.iter().map(|word| vec![word.clone()]).collect();
                    pieces[at] = vec![word[..cut].to_vec(), word[cut..].to_vec()];
                    world.net.serve_arrivals(proxy(), answering(pieces, Duration::from_millis(pause)));
                    let log = Log::new();
                    let app = log.app(URL).headers([("Sec-WebSocket-Key", KEY)]);
                    let options = through(&format!("{scheme}://{PROXY}"));
                    app.run_on(&mut world.reactor, &options).unwrap();
                    world.run_until(Duration::from_millis(2));
                    assert_eq!(log.lines(), ["open", "text early"], "{scheme}, cut at {cut} of {at}");
                }
            }
        }
    }
}

#[test]
fn b178_a_bad_network_is_no_hindrance() {
    for seed in 0..40 {
        for (scheme, _, userinfo, login) in SCHEMES {
            let mut faults = Faults::default();
            (faults.short, faults.would_block, faults.spurious, faults.shuffle) = (70, 40, 30, true);
            faults.latency = Duration::ZERO..=Duration::from_millis(20);
            let trigger = if seed % 2 == 0 { Trigger::Edge } else { Trigger::Level };
            let net = SimNet::new(seed).with_faults(faults).with_trigger(trigger);
            let mut world = World::on(net);
            world.resolver.name("server.test", &[SERVER.ip()]);
            SimProxy::serve(&world.net, proxy(), scheme, login);
            is_echoed(&mut world, "ws://server.test/", &through(&format!("{scheme}://{userinfo}{PROXY}")));
        }
    }
}

#[test]
fn b164_a_407_is_answered_once_with_what_the_user_says() {
    let mut world = World::new();
    let served = SimProxy::serve(&world.net, proxy(), ProxyScheme::Http, "Bearer t0ken");
    let log = Log::new();
    let seen = Rc::new(RefCell::new(Vec::new()));
    let challenged = seen.clone();
    let app = greeter(&log, "ws://server.test/").authorize_with(move |challenge| {
        assert_eq!(challenge.proxy, Some("http://192.0.2.8:3128"));
        challenged.borrow_mut().extend(challenge.challenges.to_vec());
        Some("Bearer t0ken".to_owned())
    });
    app.run_on(&mut world.reactor, &through(PROXY)).unwrap();
    world.reactor.run().unwrap();
    assert_eq!(log.lines(), ["text hello", "close 1000, by client, clean"]);
    assert_eq!(*seen.borrow(), ["Basic realm=\"r\"", "Digest realm=\"r\", nonce=\"n\""]);
    let target = "server.test:80";
    assert_eq!(served.asked(), [asked(target, ""), asked(target, "Bearer t0ken")]);
    // The server behind it is none of those who are told.
    assert_eq!(served.requests()[0].header("Authorization"), None);
}

#[test]
fn b164_a_407_that_is_answered_wrongly_or_not_at_all_ends_the_attempt() {
    for (answer, asked_for, sent) in [(Some("Bearer wrong"), 2, true), (None, 1, false)] {
        let mut world = World::new();
        let served = SimProxy::serve(&world.net, proxy(), ProxyScheme::Http, "Bearer t0ken");
        let log = Log::new();
        let app = log.app(URL).authorize_with(move |_| answer.map(str::to_owned));
        app.run_on(&mut world.reactor, &through(PROXY)).unwrap();
        world.reactor.run().unwrap();
        assert_eq!(served.asked().len(), asked_for);
        let [error, close] = &log.lines()[..] else { panic!("{log:?}") };
        assert!(
            error.contains("AuthenticationRequired") && error.contains(&format!("sent: {sent}")),
            "{error}"
        );
        assert!(close.starts_with("close: Proxy(") && !close.contains("wrong"), "{close}");
    }
}

#[test]
fn b164_a_panic_while_a_407_is_answered_ends_that_app_alone() {
    let mut world = World::new();
    SimProxy::serve(&world.net, proxy(), ProxyScheme::Http, "x");
    let log = Log::new();
    let app = log.app(URL).authorize_with(|_| panic!("no password"));
    app.run_on(&mut world.reactor, &through(PROXY)).unwrap();
    world.reactor.run().unwrap();
    let panicked = "CallbackPanicked(\"no password\")";
    assert_eq!(log.lines(), [format!("error {panicked}"), format!("close: {panicked}")]);
}

#[test]
fn b164_an_answer_that_is_no_headers_value_is_not_sent() {
    let mut world = World::new();
    let served = SimProxy::serve(&world.net, proxy(), ProxyScheme::Http, "x");
    let log = Log::new();
    let app = log.app(URL).authorize_with(|_| Some("x\r\nX-Injected: yes".to_owned()));
    app.run_on(&mut world.reactor, &through(PROXY)).unwrap();
    world.reactor.run().unwrap();
    assert_eq!(served.asked(), [asked("192.0.2.1:80", "")]);
    assert!(log.lines()[0].contains("AuthenticationRequired"), "{log:?}");
}

#[test]
fn b188_b190_b192_exceptions_win_over_an_explicit_proxy_of_any_scheme() {
    for (scheme, ..) in SCHEMES {
        for (exceptions, host, proxied) in [
            ("server.test", "server.test", false),
            ("SERVER.test", "www.server.test", false),
            (".erver.test", "server.test", true),
            ("192.0.2.77/24", "192.0.2.1", false),
            ("192.0.2.1:81", "192.0.2.1", true),
            ("192.0.2.1:80", "192.0.2.1", false),
            ("*", "server.test", false),
            ("", "server.test", true),
        ] {
            let mut world = World::new();
            world.resolver.name(host, &[SERVER.ip()]);
            let proxied_by = Proxy::parse(&format!("{scheme}://{PROXY}")).unwrap();
            let policy =
                ProxyPolicy::direct().proxy(proxied_by).no_proxy(NoProxy::parse(exceptions).unwrap());
            let app = Log::new().app(format!("ws://{host}/"));
            app.run_on(&mut world.reactor, &RunOptions::new().proxy(policy)).unwrap();
            world.settle();
            let expected = if proxied { proxy() } else { SERVER };
            assert_eq!(world.net.attempts()[0].1, expected, "{scheme} {exceptions} {host}");
        }
    }
}

/// Prints what an app does in the environment of this process. [`in_environment`] runs it in one of its own; alone it does nothing.
#[test]
fn child_in_an_environment() {
    let Some(url) = std::env::var_os("WEBSOCKET_TESTS_URL") else { return };
    let mut world = World::new();
    world.resolver.name("server.test", &[SERVER.ip()]);
    let log = Log::new();
    // Kept from trusting what is not there: only the way is looked at.
    let tls = TlsOptions::new().environment(|_| None).danger_accept_invalid_certificates(true);
    let mut options = RunOptions::new().tls(tls);
    if std::env::var_os("WEBSOCKET_TESTS_EXPLICIT").is_some() {
        options = options.proxy(ProxyPolicy::from(Proxy::parse("192.0.2.7:7").unwrap()));
    }
    log.app(url.into_string().unwrap()).run_on(&mut world.reactor, &options).unwrap();
    world.settle();
    println!("{:?} {:?}", world.net.attempts().first().map(|(_, address)| address), log.lines());
}

/// Where an app goes in a process with these variables, and what it is told.
fn in_environment(url: &str, variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child_in_an_environment", "--nocapture"]).env("WEBSOCKET_TESTS_URL", url);
    for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy", "REQUEST_METHOD"] {
        command.env_remove(name).env_remove(name.to_uppercase());
    }
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find(|line| line.contains("Some(") || line.contains("None"));
    line.unwrap_or_else(|| panic!("{text}")).to_owned()
}

#[test]
fn b186_b187_b191_b192_the_environment_names_the_proxy() {
    let all = &[
        ("http_proxy", "http://192.0.2.5:5"),
        ("https_proxy", "192.0.2.6"),
        ("no_proxy", "x, .server.test"),
    ];
    let goes = |url: &str, variables: &[(&str, &str)], to: &str| {
        let line = in_environment(url, variables);
        assert!(line.contains(&format!("Some({to})")), "{url} {variables:?}: {line}");
    };
    goes("ws://localhost/", all, "192.0.2.5:5");
    goes("wss://localhost/", all, "192.0.2.6:80");
    goes("ws://server.test/", all, "192.0.2.1:80");
    goes("ws://server.test/", &[], "192.0.2.1:80");
    goes("ws://server.test/", &all[1..2], "192.0.2.1:80");
    goes("ws://h.test/", &[("ALL_PROXY", "socks5h://192.0.2.4")], "192.0.2.4:1080");
    // On Windows both are one variable.
    #[cfg(not(windows))]
    goes("ws://h.test/", &[all[0], ("HTTP_PROXY", "http://192.0.2.9")], "192.0.2.5:5");
    let explicit = ("WEBSOCKET_TESTS_EXPLICIT", "1");
    goes("ws://h.test/", &[all[0], explicit], "192.0.2.7:7");
    goes("ws://server.test/", &[all[2], explicit], "192.0.2.1:80");
}

#[test]
fn b187_a_proxy_of_the_environment_that_cannot_be_used_is_a_typed_error_before_any_io() {
    for value in ["ftp://user:secret@h:1", "http://", "http://h:99999", "http://user:secret@h:x", "a b"] {
        let line = in_environment("ws://server.test/", &[("http_proxy", value)]);
        assert!(line.contains("None [\"error ProxyEnvironment("), "{line}");
        assert!(line.contains("\"close: ProxyEnvironment(") && !line.contains("secret"), "{line}");
    }
}

/// Plays a proxy that speaks TLS, and a server behind it that does so too if `inner` is there.
fn tls_proxy(outer: &Identity, inner: Option<&Identity>, size: usize) -> ScriptedServer {
    let config = |identity: &Identity| {
        let chain = vec![CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
        let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        Arc::new(builder.with_single_cert(chain, key).unwrap())
    };
    let (outer, inner) = (config(outer), inner.map(config));
    ScriptedServer::start(move |peer| {
        let session = ServerConnection::new(outer.clone()).unwrap();
        let mut proxy = StreamOwned::new(session, peer.stream().try_clone().unwrap());
        let Ok(connect) = head(&mut proxy) else { return };
        assert!(connect.bytes.starts_with(b"CONNECT server.test:"), "{connect:?}");
        proxy.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        match &inner {
            None => serve(&mut proxy, size),
            Some(inner) => {
                serve(&mut StreamOwned::new(ServerConnection::new(inner.clone()).unwrap(), proxy), size)
            }
        }
    })
    .unwrap()
}

fn head(stream: &mut impl std::io::Read) -> std::io::Result<Request> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        bytes.extend(byte);
    }
    Ok(Request::parse(&bytes).unwrap())
}

/// Opens the connection, sends a message of so many bytes, wants one as large back and closes.
fn serve(stream: &mut (impl std::io::Read + std::io::Write), size: usize) {
    let request = head(stream).unwrap();
    let message = frame::binary(&vec![7; size]);
    stream.write_all(&[handshake::response(&request, &[]), message.clone()].concat()).unwrap();
    stream.flush().unwrap();
    // Its frame has a mask key more.
    let mut answer = vec![0; message.len() + 4];
    stream.read_exact(&mut answer).unwrap();
    stream.write_all(&frame::close(1000, "")).unwrap();
    stream.flush().unwrap();
    // The client's close frame.
    stream.read_exact(&mut [0; 8]).unwrap();
}

#[test]
fn b182_an_https_proxy_is_spoken_to_in_tls_and_wss_goes_inside() {
    let authority = Authority::new();
    let outer = authority.server();
    let inner = authority.server_for(&["server.test"]);
    for (scheme, inner) in [("ws", None), ("wss", Some(&inner))] {
        for size in [1, 3 << 20] {
            let server = tls_proxy(&outer, inner, size);
            let tls = TlsOptions::new().environment(|_| None).roots_from_bytes(authority.pem());
            let options = through(&format!("https://localhost:{}", server.addr().port())).tls(tls);
            let options = options.close_timeout(Duration::from_millis(1));
            let log = Log::new();
            let heard = log.clone();
            let app = log.app(format!("{scheme}://server.test/")).on_drain(|_| {});
            let mut app = app.on_message(move |app, message| {
                heard.message(message);
                app.send_bytes(message.as_bytes())
            });
            run_forever(&mut app, &options).unwrap().into_result().unwrap();
            let message = format!("binary {size} bytes");
            assert_eq!(log.lines(), ["open", &message, "close 1000, by server, clean"], "{scheme}");
            server.join();
        }
    }
}

#[test]
fn b182_an_https_proxy_that_is_not_trusted_or_speaks_no_tls_is_an_error_that_names_it() {
    let authority = Authority::new();
    let distrusted = tls_proxy(&authority.server(), None, 1);
    let plain = ScriptedServer::start(|mut peer| {
        // It answers a TLS greeting as any HTTP server would.
        peer.read_exact(1);
        let _ = peer.try_write(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        let _ = (&mut peer.stream()).read_to_end(&mut Vec::new());
    })
    .unwrap();
    for server in [&distrusted, &plain] {
        let other = Authority::new();
        let tls = TlsOptions::new().environment(|_| None).roots_from_bytes(other.pem());
        let url = format!("https://localhost:{}", server.addr().port());
        let log = Log::new();
        let outcome = run_forever(&mut log.app("ws://server.test/"), &through(&url).tls(tls)).unwrap();
        assert!(outcome.is_error());
        let [error, close] = &log.lines()[..] else { panic!("{log:?}") };
        assert!(error.starts_with(&format!("error ProxyStream({url}, InvalidData)")), "{error}");
        assert!(close.starts_with("close: ProxyStream"), "{close}");
    }
}

#[test]
fn tls_options_that_cannot_be_used_with_an_https_proxy_are_refused_before_any_io() {
    let mut world = World::new();
    let tls = TlsOptions::new().environment(|_| None).roots_from_file("/nowhere/roots.pem");
    let options = through(&format!("https://{PROXY}")).tls(tls);
    let refused = Log::new().app(URL).run_on(&mut world.reactor, &options).unwrap_err();
    assert!(matches!(refused, Error::TlsOptions(_)), "{refused:?}");
    world.settle();
    assert!(world.net.attempts().is_empty() && world.reactor.apps().is_empty());
}
