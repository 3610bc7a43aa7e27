//! Redirects and challenges: an attempt that goes on elsewhere, or again, before it is open.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::{Cell, RefCell};
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use websocket_app::link::proxy::{NoProxy, Proxy, ProxyPolicy, ProxyScheme};
use websocket_app::link::{Connector as _, SocketOptions};
use websocket_app::tls::TlsOptions;
use websocket_app::tls::rustls::crypto::ring::default_provider;
use websocket_app::tls::rustls::pki_types::pem::PemObject as _;
use websocket_app::tls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use websocket_app::tls::rustls::{ServerConfig, ServerConnection, StreamOwned};
use websocket_app::{
    Error, Reconnect, RedirectError, RunOptions, UpgradeError, UrlError, Verdict, WebSocketApp,
};
use websocket_testkit::frame;
use websocket_testkit::handshake::{self, Request};
use websocket_testkit::server::ScriptedServer;
use websocket_testkit::sim::{SimNet, SimPeer};
use websocket_tests::{Authority, Log, SERVER, SimProxy, World, error_line, neighbour, run_forever};

const SECOND: Duration = Duration::from_secs(1);

fn options() -> RunOptions {
    RunOptions::new().close_timeout(Duration::ZERO)
}

fn at(last: u8, port: u16) -> SocketAddr {
    ([192, 0, 2, last], port).into()
}

/// Hosts at which every path redirects but `/end`, which opens, says hi and closes. The requests are kept.
#[derive(Clone, Default)]
struct Web(Rc<RefCell<Vec<Request>>>);

impl Web {
    /// The hosts `a.test` and `b.test` on port 80 answer `answer(path)`, a whole response; `None` opens the connection.
    fn new(world: &World, answer: impl Fn(&str) -> Option<String> + Clone + 'static) -> Self {
        let web = Self::default();
        for (last, name) in [(1, "a.test"), (2, "b.test")] {
            world.resolver.name(name, &[at(last, 80).ip()]);
            web.host(&world.net, at(last, 80), answer.clone());
        }
        web
    }

    fn host(&self, net: &SimNet, address: SocketAddr, answer: impl Fn(&str) -> Option<String> + 'static) {
        let requests = self.0.clone();
        net.serve(address, move |peer| {
            let request = peer.read_request().unwrap();
            match answer(&request.path) {
                Some(response) => peer.write(response.as_bytes()),
                None => open(peer, &request),
            }
            requests.borrow_mut().push(request);
        });
    }

    /// Host and path of all requests so far.
    fn seen(&self) -> Vec<String> {
        let place =
            |request: &Request| format!("{}{}", request.header("Host").unwrap_or_default(), request.path);
        self.0.borrow().iter().map(place).collect()
    }

    fn last(&self) -> Request {
        self.0.borrow().last().unwrap().clone()
    }
}

fn open(peer: &SimPeer, request: &Request) {
    peer.write(&handshake::response(request, &[]));
    peer.write(&[frame::text("hi"), frame::close(1000, "")].concat());
}

fn redirect(to: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")
}

/// Every path `/x?y` of the web leads to `y`, if there is one.
fn by_query(path: &str) -> Option<String> {
    path.split_once('?').map(|(_, to)| redirect(to))
}

const OPENED: [&str; 3] = ["open", "text hi", "close 1000, by server, clean"];

/// The redirect's error, after which there is nothing but `on_close`.
#[track_caller]
fn refused(world: &mut World, url: &str, options: &RunOptions) -> RedirectError {
    let log = Log::new();
    let seen = Rc::new(RefCell::new(None));
    let told = seen.clone();
    let app = log.app(url).on_error(move |_, error| {
        let Error::Redirect(error) = error else { panic!("{error:?}") };
        assert!(told.replace(Some(error.clone())).is_none());
    });
    app.run_on(&mut world.reactor, options).unwrap();
    world.reactor.run().unwrap();
    assert!(log.lines().len() == 1 && log.lines()[0].starts_with("close: Redirect("), "{log:?}");
    seen.take().unwrap()
}

#[test]
fn b165_each_of_the_five_statuses_is_followed_and_the_app_hears_of_one_attempt_only() {
    for status in [301, 302, 303, 307, 308] {
        let mut world = World::new();
        let web = Web::new(&world, move |path| {
            (path == "/").then(|| redirect("/end").replace("302 Found", &format!("{status} Elsewhere")))
        });
        let log = Log::new();
        let counted = Rc::new(Cell::new(0));
        let attempts = counted.clone();
        let told = log.clone();
        let app = log.app("ws://a.test/").on_open(move |_, open| {
            attempts.set(open.attempts.started);
            told.push("open");
        });
        app.run_on(&mut world.reactor, &options()).unwrap();
        world.reactor.run().unwrap();
        assert_eq!(log.lines(), OPENED, "{status}");
        assert_eq!(web.seen(), ["a.test/", "a.test/end"]);
        assert_eq!(counted.get(), 1);
        // Each request has a key of its own.
        let keys: Vec<_> =
            web.0.borrow().iter().map(|it| it.header("Sec-WebSocket-Key").unwrap().to_owned()).collect();
        assert_ne!(keys[0], keys[1]);
    }
}

#[test]
fn b165_other_statuses_with_a_location_are_refusals() {
    for status in [300, 304, 305, 306, 201, 404] {
        let mut world = World::new();
        let web =
            Web::new(&world, move |_| Some(redirect("/end").replace("302 Found", &format!("{status} X"))));
        let log = Log::new();
        log.app("ws://a.test/").run_on(&mut world.reactor, &options()).unwrap();
        world.reactor.run().unwrap();
        assert_eq!(log.lines()[0], format!("error Upgrade(Status {status})"));
        assert_eq!((log.lines().len(), web.seen().len()), (2, 1));
    }
}

#[test]
fn b165_b166_the_limit_holds_by_default_and_as_set_and_ends_a_loop() {
    for (limit, requests) in [(None, 4), (Some(0), 1), (Some(1), 2), (Some(7), 8)] {
        let mut world = World::new();
        // The two send the client to and fro.
        let web = Web::new(&world, |path| {
            Some(redirect(if path == "/1" { "ws://b.test/2" } else { "ws://a.test/1" }))
        });
        let limited = limit.map_or_else(options, |limit| options().max_redirects(limit));
        let error = refused(&mut world, "ws://a.test/1", &limited);
        assert_eq!(error, RedirectError::TooMany { limit: limit.unwrap_or(3) });
        assert_eq!(web.seen().len(), requests);
    }
}

#[test]
fn b167_no_location_several_or_a_bad_one_is_an_error_that_names_it() {
    let answered = |response: &str| {
        let mut world = World::new();
        let response = response.to_owned();
        let web = Web::new(&world, move |_| Some(response.clone()));
        let error = refused(&mut world, "ws://a.test/", &options());
        assert_eq!((web.seen().len(), world.net.attempts().len()), (1, 1));
        error
    };
    for missing in ["", "Location: /a\r\nLocation: /b\r\n"] {
        let error = answered(&format!("HTTP/1.1 307 Go\r\n{missing}\r\n"));
        assert!(matches!(error, RedirectError::NoLocation { status } if status == 307), "{error}");
    }
    for (bad, scheme) in [
        ("ftp://h/", true),
        ("file:///etc/passwd", true),
        ("ws+unix:/run/docker.sock", true),
        ("javascript:alert(1)", true),
        ("ws://h:0/", false),
        ("ws://h:99999/", false),
        ("//[::1/", false),
    ] {
        let error = answered(&redirect(bad));
        let RedirectError::Location { location, source, .. } = &error else { panic!("{error:?}") };
        assert!(location.starts_with(&bad[..4]), "{error}");
        assert_eq!(matches!(source, UrlError::Scheme(_)), scheme, "{bad}");
    }
}

#[test]
fn b168_relative_and_web_targets_are_followed() {
    for (location, expected) in [
        ("/end", "a.test:81/end"),
        ("end", "a.test:81/dir/end"),
        ("../end;p=1", "a.test:81/end;p=1"),
        ("//b.test/end", "b.test/end"),
        ("http://b.test/end#fragment", "b.test/end"),
        ("HTTP://B.TEST:80/end", "b.test/end"),
        ("/e%20nd ü", "a.test:81/e%20nd%20%C3%BC"),
    ] {
        let mut world = World::new();
        let web = Web::new(&world, |_| None);
        web.host(&world.net, at(1, 81), move |path| (path == "/dir/").then(|| redirect(location)));
        let log = Log::new();
        log.app("ws://a.test:81/dir/").run_on(&mut world.reactor, &options()).unwrap();
        world.reactor.run().unwrap();
        assert_eq!(log.lines(), OPENED, "{location}");
        assert_eq!(web.seen()[1], expected);
    }
}

#[test]
fn b168_https_and_wss_targets_are_spoken_to_in_tls() {
    for scheme in ["https", "wss"] {
        let mut world = World::new();
        let first = Web::new(&world, move |_| Some(redirect(&format!("{scheme}://b.test/"))));
        let secure = world.net.listen(at(2, 443));
        Log::new().app("ws://a.test/").run_on(&mut world.reactor, &options()).unwrap();
        world.settle();
        assert_eq!(first.seen().len(), 1);
        // A TLS handshake: a ClientHello that names the host.
        let hello = secure.accept().unwrap().read_available();
        assert!(hello.starts_with(&[22, 3, 1]) && hello.windows(6).any(|it| it == b"b.test"));
    }
}

#[test]
fn b169_another_origin_gets_nothing_that_was_meant_for_the_first() {
    let secrets = |app: WebSocketApp| {
        app.headers([("X-Api-Key", "s3cret"), ("Authorization", "Bearer s3cret"), ("User-Agent", "tests")])
            .headers([("Proxy-Authorization", "s3cret"), ("Referer", "http://s3cret/")])
            .cookie("session=s3cret")
            .subprotocols(["chat"])
    };
    let private = options().host("s3cret.test").require_subprotocol(false);
    for url in [
        "ws://a.test/?ws://b.test/end",
        "ws://user:s3cret@a.test/?//b.test/end",
        "ws://a.test/?ws://a.test:81/end",
    ] {
        let mut world = World::new();
        let web = Web::new(&world, by_query);
        web.host(&world.net, at(1, 81), by_query);
        let log = Log::new();
        let app = if url.contains('@') { log.app(url) } else { secrets(log.app(url)) };
        app.run_on(&mut world.reactor, &private).unwrap();
        world.reactor.run().unwrap();
        assert_eq!(log.lines(), OPENED);
        let first = String::from_utf8(web.0.borrow()[0].bytes.clone()).unwrap();
        assert!(first.contains("s3cret") || first.contains("Authorization: Basic "), "{first}");
        let second = web.last();
        let text = String::from_utf8(second.bytes.clone()).unwrap();
        assert!(!text.contains("s3cret") && !text.contains("Authorization"), "{text}");
        assert_ne!(second.header("Host"), Some("s3cret.test"));
        if !url.contains('@') {
            assert_eq!(second.header("User-Agent"), Some("tests"));
            assert_eq!(second.header("Sec-WebSocket-Protocol"), Some("chat"));
        }
    }
}

/// A server with TLS whose every answer is a redirect to there.
fn secure_redirecting(authority: &Authority, to: &'static str) -> ScriptedServer {
    let identity = authority.server();
    let chain = vec![CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let config = Arc::new(builder.with_single_cert(chain, key).unwrap());
    ScriptedServer::start(move |peer| {
        let session = ServerConnection::new(config.clone()).unwrap();
        let mut stream = StreamOwned::new(session, peer.stream().try_clone().unwrap());
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            request.extend(byte);
        }
        stream.write_all(redirect(to).as_bytes()).unwrap();
        // The client hangs up, in whatever way.
        let _ = stream.read_to_end(&mut Vec::new());
    })
    .unwrap()
}

#[test]
fn b169_from_wss_to_ws_is_refused_and_nobody_there_is_connected_to() {
    let authority = Authority::new();
    for location in ["ws://user:s3cret@127.0.0.1:1/p?s3cret", "http://127.0.0.1:1/"] {
        let server = secure_redirecting(&authority, location);
        let tls = TlsOptions::new().environment(|_| None).roots_from_bytes(authority.pem());
        let log = Log::new();
        let seen = Rc::new(RefCell::new(String::new()));
        let told = seen.clone();
        let mut app =
            log.app(format!("wss://localhost:{}/", server.addr().port())).on_error(move |_, error| {
                assert!(matches!(error, Error::Redirect(RedirectError::Downgrade { .. })), "{error:?}");
                *told.borrow_mut() = format!("{error} {error:?}");
            });
        run_forever(&mut app, &options().tls(tls)).unwrap().into_result().unwrap_err();
        assert!(seen.borrow().contains("127.0.0.1:1") && !seen.borrow().contains("s3cret"), "{seen:?}");
        assert_eq!(log.lines().len(), 1);
    }
}

#[test]
fn b169_within_the_origin_everything_goes_along() {
    let mut world = World::new();
    let web = Web::new(&world, by_query);
    let log = Log::new();
    let app =
        log.app("ws://user:pass@a.test/?http://a.test:80/end").headers([("X-Api-Key", "k")]).cookie("c=1");
    app.run_on(&mut world.reactor, &options().host("given.test")).unwrap();
    world.reactor.run().unwrap();
    assert_eq!(log.lines(), OPENED);
    let last = web.last();
    assert_eq!(last.header("Authorization"), Some("Basic dXNlcjpwYXNz"));
    assert_eq!((last.header("X-Api-Key"), last.header("Cookie")), (Some("k"), Some("c=1")));
    assert_eq!(last.header_values("Host").collect::<Vec<_>>(), ["given.test"]);
}

#[test]
fn b141_b168_the_user_and_password_of_the_next_url_take_the_place_of_the_first_ones() {
    for (first, location, expected) in [
        ("ws://user:pass@a.test/", "ws://new:er@a.test/end", Some("Basic bmV3OmVy")),
        ("ws://user:pass@a.test/", "ws://new:er@b.test/end", Some("Basic bmV3OmVy")),
        ("ws://a.test/", "/end", None),
    ] {
        let mut world = World::new();
        let web = Web::new(&world, move |path| (path == "/").then(|| redirect(location)));
        Log::new().app(first).run_on(&mut world.reactor, &options()).unwrap();
        world.reactor.run().unwrap();
        assert_eq!(web.last().header_values("Authorization").next(), expected, "{location}");
    }
    // A header of the user's own stays, within the origin.
    let mut world = World::new();
    let web = Web::new(&world, |path| (path == "/").then(|| redirect("ws://new:er@a.test/end")));
    let app = Log::new().app("ws://user:pass@a.test/").headers([("Authorization", "Bearer t")]);
    app.run_on(&mut world.reactor, &options()).unwrap();
    world.reactor.run().unwrap();
    assert_eq!(web.last().header_values("Authorization").collect::<Vec<_>>(), ["Bearer t"]);
}

#[test]
fn b169_the_way_back_does_not_bring_the_keys_back() {
    let mut world = World::new();
    let answer = |path: &str| match path {
        "/" => Some(redirect("ws://b.test/there")),
        "/there" => Some(redirect("ws://a.test/end")),
        _ => None,
    };
    let web = Web::new(&world, answer);
    let log = Log::new();
    let app = log.app("ws://user:pass@a.test/").headers([("X-Api-Key", "k")]).cookie("c=1");
    app.run_on(&mut world.reactor, &options()).unwrap();
    world.reactor.run().unwrap();
    assert_eq!(web.seen(), ["a.test/", "b.test/there", "a.test/end"]);
    let last = web.last();
    assert_eq!(
        (last.header("Authorization"), last.header("X-Api-Key"), last.header("Cookie")),
        (None, None, None)
    );
}

#[test]
fn a_redirect_with_a_body_is_followed_whatever_its_length_says() {
    let body = "x".repeat(100_000);
    for response in [
        format!("HTTP/1.1 302 Found\r\nLocation: /end\r\nContent-Length: 100000\r\n\r\n{body}"),
        "HTTP/1.1 302 Found\r\nLocation: /end\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
            .to_owned(),
        "HTTP/1.1 302 Found\r\nLocation: /end\r\n\r\n<html>Moved</html>".to_owned(),
        format!(
            "HTTP/1.1 302 Found\r\nLocation: /end\r\nContent-Length: 3\r\n\r\nabc{}",
            "HTTP/1.1 200 OK\r\n\r\n"
        ),
    ] {
        let mut world = World::new();
        let web = Web::new(&world, move |path| (path == "/").then(|| response.clone()));
        let log = Log::new();
        log.app("ws://a.test/").run_on(&mut world.reactor, &options()).unwrap();
        world.reactor.run().unwrap();
        assert_eq!(log.lines(), OPENED, "{:?}", web.seen());
    }
}

#[test]
fn a_redirect_may_come_a_byte_at_a_time_and_the_first_stream_is_closed_before_the_next_opens() {
    let mut world = World::new();
    world.resolver.name("a.test", &[SERVER.ip()]);
    let listener = world.net.listen(SERVER);
    let log = Log::new();
    log.app("ws://a.test/").run_on(&mut world.reactor, &options()).unwrap();
    world.settle();
    let first = listener.accept().unwrap();
    first.read_request().unwrap();
    for byte in redirect("/end").bytes() {
        assert_eq!((first.ended(), listener.accept().is_none()), (None, true));
        first.write(&[byte]);
        world.settle();
    }
    assert!(first.ended().is_some());
    assert_eq!(log.lines(), [""; 0]);
    let second = listener.accept().unwrap();
    let request = second.read_request().unwrap();
    open(&second, &request);
    world.settle();
    assert_eq!(log.lines(), OPENED);
}

#[test]
fn b132_the_deadline_of_the_attempt_holds_over_all_redirects() {
    let mut world = World::new();
    let web = Web::new(&world, |path| Some(redirect(&format!("{path}x"))));
    for last in [1, 2] {
        world.net.delay(at(last, 80), 2 * SECOND);
    }
    let log = Log::new();
    let patient = options().max_redirects(1000).attempt_timeout(15 * SECOND);
    log.app("ws://a.test/").run_on(&mut world.reactor, &patient).unwrap();
    world.reactor.run().unwrap();
    assert_eq!(log.lines(), ["error Timeout(Attempt)", "close: Timeout(Attempt)"]);
    assert_eq!((world.net.elapsed(), web.seen().len()), (15 * SECOND, 7));
}

#[test]
fn b121_each_attempt_of_a_reconnecting_run_begins_at_the_url_with_all_its_keys_and_the_full_limit() {
    let mut world = World::new();
    let web = Web::new(&world, by_query);
    let log = Log::new();
    let app = log.app("ws://a.test/?//b.test/?//a.test/?//b.test/end").cookie("c=1");
    let options = options().reconnect(Reconnect::from(SECOND).classify(|_| Verdict::Retry));
    app.run_on(&mut world.reactor, &options).unwrap();
    world.run_until(SECOND);
    let closed = "close 1000, by server, clean, retry in 1s";
    assert_eq!(log.lines(), ["open", "text hi", closed, "open", "reconnect", "text hi", closed]);
    assert_eq!(web.seen().len(), 8);
    let cookies: Vec<_> = web.0.borrow().iter().map(|it| it.header("Cookie").map(str::to_owned)).collect();
    let one = Some("c=1".to_owned());
    assert_eq!(cookies, [&one, &None, &None, &None, &one, &None, &None, &None].map(Clone::clone));
}

#[test]
fn a_redirect_to_nowhere_ends_the_attempt_with_what_failed_there() {
    for (to, error) in [
        ("ws://gone.test/", "error Resolve(gone.test, NotFound)"),
        ("ws://192.0.2.99/", "error Connect(ConnectionRefused)"),
    ] {
        let mut world = World::new();
        Web::new(&world, move |_| Some(redirect(to)));
        let log = Log::new();
        log.app("ws://a.test/").run_on(&mut world.reactor, &options()).unwrap();
        world.reactor.run().unwrap();
        assert_eq!(log.lines(), [error.to_owned(), error.replace("error ", "close: ")]);
    }
}

#[test]
fn b170_a_supplied_stream_serves_the_first_hop_and_is_dropped_then() {
    let mut world = World::new();
    let web = Web::new(&world, by_query);
    let given = at(77, 7);
    let listener = world.net.listen(given);
    let io = world.net.clone().connect(given, &SocketOptions::default()).unwrap();
    let log = Log::new();
    log.app("ws://a.test/").socket(io).run_on(&mut world.reactor, &options()).unwrap();
    world.settle();
    let peer = listener.accept().unwrap();
    assert_eq!(peer.read_request().unwrap().header("Host"), Some("a.test"));
    peer.write(redirect("ws://b.test/end").as_bytes());
    world.settle();
    assert!(peer.ended().is_some());
    assert_eq!(
        (log.lines(), web.seen()),
        (OPENED.map(str::to_owned).to_vec(), vec!["b.test/end".to_owned()])
    );
}

#[test]
fn b170_whether_to_take_the_proxy_is_decided_anew_at_each_hop() {
    let mut world = World::new();
    let web = Web::new(&world, by_query);
    let proxy = at(8, 3128);
    let served = SimProxy::serve(&world.net, proxy, ProxyScheme::Http, "");
    let exceptions = NoProxy::parse("a.test").unwrap();
    let policy = ProxyPolicy::direct().proxy(Proxy::parse(&proxy.to_string()).unwrap()).no_proxy(exceptions);
    let log = Log::new();
    let app = log.app("ws://a.test/?ws://b.test:81/end").on_open(|app, _| app.close());
    app.run_on(&mut world.reactor, &RunOptions::new().proxy(policy)).unwrap();
    world.reactor.run().unwrap();
    assert_eq!(log.lines(), ["close 1000, by client, clean"]);
    assert_eq!(web.seen().len(), 1);
    assert_eq!(served.asked()[0].target, "b.test:81");
    let to: Vec<_> = world.net.attempts().into_iter().map(|(_, to)| to).collect();
    assert_eq!(to, [at(1, 80), proxy]);
}

#[test]
fn a_redirected_attempt_can_be_closed_at_every_step() {
    // In virtual time every step is one turn apart.
    for turns in 0..12 {
        let mut world = World::new();
        Web::new(&world, |path| Some(redirect(&format!("{path}x"))));
        let log = Log::new();
        let mut app = log.app("ws://a.test/");
        let sender = app.sender();
        app.run_on(&mut world.reactor, &options().max_redirects(1000)).unwrap();
        for _ in 0..turns {
            world.reactor.poll(Some(Duration::ZERO)).unwrap();
        }
        sender.close();
        world.settle();
        assert_eq!(log.lines(), ["close, by client"], "after {turns} turns");
        assert!(world.reactor.apps().is_empty());
    }
}

/// A server that lets in who says `right`.
fn guarded(world: &World, right: &'static str) -> Web {
    let web = Web::default();
    let requests = web.0.clone();
    world.net.serve_arrivals(SERVER, move |peer| {
        let Some(request) = peer.read_request() else { return };
        match request.header("Authorization") == Some(right) {
            true => open(peer, &request),
            false => peer.write(
                b"HTTP/1.1 401 Who?\r\nWWW-Authenticate: Digest nonce=\"n\"\r\nWWW-Authenticate: Basic\r\nContent-Length: 3\r\n\r\nwho",
            ),
        }
        requests.borrow_mut().push(request);
    });
    web
}

#[test]
fn b164_a_401_is_answered_with_what_the_user_says_and_no_answer_is_sent_twice() {
    for (answer, asked, opened) in
        [(Some("Digest right"), 1, true), (Some("Digest wrong"), 2, false), (None, 1, false)]
    {
        let mut world = World::new();
        let web = guarded(&world, "Digest right");
        let (log, count) = (Log::new(), Rc::new(Cell::new(0)));
        let counted = count.clone();
        let app = log.app("ws://old:one@192.0.2.1/").authorize_with(move |challenge| {
            assert_eq!((challenge.proxy, challenge.challenges.len()), (None, 2));
            assert_eq!(challenge.challenges, ["Digest nonce=\"n\"", "Basic"]);
            counted.set(counted.get() + 1);
            answer.map(str::to_owned)
        });
        app.run_on(&mut world.reactor, &options()).unwrap();
        world.reactor.run().unwrap();
        assert_eq!(count.get(), asked);
        if opened {
            assert_eq!(log.lines(), OPENED);
            assert_eq!(web.last().header_values("Authorization").collect::<Vec<_>>(), ["Digest right"]);
        } else {
            assert_eq!(log.lines(), ["error Upgrade(Status 401)", "close: Upgrade(Status 401)"]);
        }
    }
}

#[test]
fn b164_the_final_401_carries_what_the_server_said() {
    let mut world = World::new();
    guarded(&world, "x");
    let log = Log::new();
    let app = log.app("ws://192.0.2.1/").authorize_with(|_| None).on_close(|_, closed| {
        let Some(Error::Upgrade(UpgradeError::Status { response, body, .. })) = closed.error else {
            panic!("{:?}", closed.error.map(error_line))
        };
        assert_eq!((response.status.as_u16(), &body[..]), (401, &b"who"[..]));
    });
    app.run_on(&mut world.reactor, &options()).unwrap();
    world.reactor.run().unwrap();
    assert_eq!(log.lines().len(), 1);
}

#[test]
fn b164_an_answer_that_no_header_can_hold_is_an_error() {
    let mut world = World::new();
    let web = guarded(&world, "x");
    let log = Log::new();
    let app = log.app("ws://192.0.2.1/").authorize_with(|_| Some("s3cret\r\nX: y".to_owned()));
    app.run_on(&mut world.reactor, &options()).unwrap();
    world.reactor.run().unwrap();
    assert!(log.lines()[0].starts_with("error Header(") && !log.lines()[0].contains("s3cret"), "{log:?}");
    assert_eq!((log.lines().len(), web.seen().len()), (2, 1));
}

#[test]
fn b164_each_attempt_of_a_reconnecting_run_is_asked_anew() {
    let mut world = World::new();
    let web = guarded(&world, "token 3");
    let log = Log::new();
    let mut count = 0;
    let app = log.app("ws://192.0.2.1/").authorize_with(move |challenge| {
        count += 1;
        (challenge.round == 1).then(|| format!("token {count}"))
    });
    let again = Reconnect::from(SECOND).classify(|_| Verdict::Retry).max_retries(1);
    app.run_on(&mut world.reactor, &options().reconnect(again)).unwrap();
    world.reactor.run().unwrap();
    assert_eq!(log.lines()[..2], ["error Upgrade(Status 401)", "close: Upgrade(Status 401), retry in 1s"]);
    assert_eq!(log.lines()[2..4], ["open", "text hi"]);
    let sent: Vec<_> =
        web.0.borrow().iter().map(|it| it.header("Authorization").map(str::to_owned)).collect();
    let token = |text: &str| Some(text.to_owned());
    // A function that is asked again in the same attempt gives none.
    assert_eq!(sent[..4], [None, token("token 1"), None, token("token 3")]);
}

#[test]
fn b164_a_panic_while_a_challenge_is_answered_ends_that_app_alone() {
    let mut world = World::new();
    let web = guarded(&world, "x");
    let echoes = neighbour(&mut world);
    let log = Log::new();
    let app = log.app("ws://192.0.2.1/").authorize_with(|_| panic!("no password"));
    let id = app.run_on(&mut world.reactor, &options().reconnect(SECOND)).unwrap();
    world.run_for(5 * SECOND);
    let panicked = "CallbackPanicked(\"no password\")";
    assert_eq!(log.lines(), [format!("error {panicked}"), format!("close: {panicked}")]);
    assert_eq!((web.seen().len(), world.reactor.apps().ids().contains(&id), echoes.get()), (1, false, 5));
}
