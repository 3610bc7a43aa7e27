//! From the URL to the open connection: the request as the server sees it, the response as the client checks it.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::sync::mpsc;

use websocket_app::http::{HeaderMap, HeaderValue};
use websocket_app::{
    Error, HeaderError, Outcome, RequestError, Response, RunOptions, UpgradeError, UrlError, WebSocketApp,
};
use websocket_testkit::frame;
use websocket_testkit::handshake::{self, Request};
use websocket_testkit::server::ScriptedServer;
use websocket_tests::{Log, SERVER, URL, World, dispatcher};

/// A server that accepts every connection, closes it and hands its request out.
fn accepting() -> (ScriptedServer, mpsc::Receiver<Request>) {
    let (sender, requests) = mpsc::channel();
    let server = ScriptedServer::start(move |mut peer| {
        sender.send(peer.accept_upgrade()).unwrap();
        peer.send_close(1000, "");
        peer.read_close();
    })
    .unwrap();
    (server, requests)
}

/// The server's address and the request that it gets from the app that `make` makes of one for `path`.
fn request_for(
    path: &str,
    options: &RunOptions,
    make: impl FnOnce(WebSocketApp) -> WebSocketApp,
) -> (SocketAddr, Request) {
    let (server, requests) = accepting();
    let log = Log::new();
    let outcome =
        make(log.app(format!("ws://{}{path}", server.addr()))).run_forever_on(dispatcher(), options).unwrap();
    assert!(!outcome.is_error(), "{:?}", log.lines());
    (server.addr(), requests.recv().unwrap())
}

fn request(make: impl FnOnce(WebSocketApp) -> WebSocketApp) -> Request {
    request_for("/", &RunOptions::new(), make).1
}

/// The request that arrives at `address` when the app for `url` connects in a simulated network.
fn simulated_request(url: &str, address: SocketAddr) -> Request {
    let mut world = World::new();
    world.resolver.name("xn--bcher-kva.example", &[SERVER.ip()]);
    let listener = world.net.listen(address);
    Log::new().app(url).run_on(&mut world.reactor, &RunOptions::new()).unwrap();
    world.settle();
    listener.accept().expect("a connection").read_request().expect("a request")
}

/// What is wrong is told by the call itself: no name is resolved, nothing is connected to, no callback is called.
fn refused_before_io(
    url: &str,
    options: &RunOptions,
    make: impl FnOnce(WebSocketApp) -> WebSocketApp,
) -> Error {
    let mut world = World::new();
    let log = Log::new();
    let error = make(log.app(url)).run_on(&mut world.reactor, options).unwrap_err();
    world.settle();
    assert!(world.net.attempts().is_empty() && world.resolver.queries().is_empty());
    assert!(world.reactor.apps().is_empty() && log.lines().is_empty());
    error
}

fn refused_url(url: &str) -> UrlError {
    match refused_before_io(url, &RunOptions::new(), |app| app) {
        Error::Url(error) => error,
        error => panic!("{url} was refused with {error:?}"),
    }
}

fn refused_app(make: impl FnOnce(WebSocketApp) -> WebSocketApp) -> Error {
    refused_before_io(URL, &RunOptions::new(), make)
}

/// What is between the request line and the empty line, less the key.
fn lines(request: &Request) -> Vec<String> {
    let line = |(name, value): &(String, String)| format!("{name}: {value}");
    request.headers.iter().filter(|(name, _)| name != "Sec-WebSocket-Key").map(line).collect()
}

fn values<'r>(request: &'r Request, name: &str) -> Vec<&'r str> {
    request.header_values(name).collect()
}

/// What the app that `make` makes gets from a server that answers with `respond`, and sees nothing more of the client.
fn response(
    options: &RunOptions,
    respond: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static,
    make: impl FnOnce(WebSocketApp) -> WebSocketApp,
) -> (Outcome, Vec<String>) {
    let server = ScriptedServer::start(move |mut peer| {
        let response = respond(&peer.read_request());
        // The client may hang up in the middle of it.
        let _ = peer.try_write(&response);
        assert!(peer.read_to_end().is_empty());
    })
    .unwrap();
    let log = Log::new();
    let outcome = make(log.app(server.url())).run_forever_on(dispatcher(), options).unwrap();
    (outcome, log.take())
}

/// The typed error of a handshake that fails. The app gets `on_error`, then `on_close`, and never opens.
fn failure(respond: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> UpgradeError {
    failure_of(&RunOptions::new(), respond, |app| app)
}

fn failure_of(
    options: &RunOptions,
    respond: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static,
    make: impl FnOnce(WebSocketApp) -> WebSocketApp,
) -> UpgradeError {
    let (outcome, lines) = response(options, respond, make);
    let Outcome::Lost(Error::Upgrade(error)) = outcome else { panic!("{outcome:?}") };
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("error Upgrade(") && lines[1].starts_with("close: Upgrade("), "{lines:?}");
    error
}

/// The accepting response with one line changed: `change` gets each line and returns what takes its place.
fn changed(request: &Request, change: impl Fn(&str) -> Vec<String>) -> Vec<u8> {
    let response = String::from_utf8(handshake::response(request, &[])).unwrap();
    let lines: Vec<_> = response.trim_end().lines().flat_map(change).collect();
    format!("{}\r\n\r\n", lines.join("\r\n")).into_bytes()
}

/// The accepting response without the headers that begin like this, and with these instead.
fn replaced(name: &'static str, with: &'static [&'static str]) -> impl Fn(&Request) -> Vec<u8> + Send + Sync {
    move |request| {
        changed(request, |line| match line.starts_with(name) {
            true => with.iter().map(|line| (*line).to_owned()).collect(),
            false => vec![line.to_owned()],
        })
    }
}

/// What `on_open` was told after the server had accepted with further header lines.
fn opened(extra: &'static [&'static str], make: impl FnOnce(WebSocketApp) -> WebSocketApp) -> Response {
    let server = ScriptedServer::start(move |mut peer| {
        peer.accept_upgrade_with(extra);
        peer.send_close(1000, "");
        peer.read_close();
    })
    .unwrap();
    let seen = Rc::new(RefCell::new(None));
    let keep = seen.clone();
    let app = make(Log::new().app(server.url()));
    app.on_open(move |_, open| *keep.borrow_mut() = Some(open.response.clone()))
        .run_forever_on(dispatcher(), &RunOptions::new())
        .unwrap()
        .into_result()
        .unwrap();
    seen.take().expect("the connection has opened")
}

// The URL.

#[test]
fn b136_path_and_query_go_into_the_request_line() {
    for (path, target) in [("", "/"), ("/", "/"), ("?a=1", "/?a=1"), ("/chat/room?a=b&c", "/chat/room?a=b&c")]
    {
        let request = request_for(path, &RunOptions::new(), |app| app).1;
        assert_eq!((request.method.as_str(), request.version.as_str()), ("GET", "HTTP/1.1"));
        assert_eq!(request.path, target);
    }
}

#[test]
fn b136_the_port_is_80_unless_the_url_names_another() {
    assert_eq!(SERVER.port(), 80);
    simulated_request("ws://192.0.2.1/", SERVER);
    simulated_request("ws://192.0.2.1:8080/", SocketAddr::new(SERVER.ip(), 8080));
    simulated_request("ws://[2001:db8::1]:90/", "[2001:db8::1]:90".parse().unwrap());
}

#[test]
fn b136_b146_an_ipv6_literal_is_connected_to_and_keeps_its_brackets() {
    let requests = mpsc::channel();
    let server = ScriptedServer::bind((Ipv6Addr::LOCALHOST, 0).into(), move |mut peer| {
        requests.0.send(peer.accept_upgrade()).unwrap();
        peer.send_close(1000, "");
        peer.read_close();
    });
    let server = match server {
        Ok(server) => server,
        Err(error) => return eprintln!("skipped: this machine has no IPv6 loopback ({error})"),
    };
    let outcome = WebSocketApp::new(server.url()).run_forever_on(dispatcher(), &RunOptions::new()).unwrap();
    assert!(!outcome.is_error(), "{outcome:?}");
    let request = requests.1.recv().unwrap();
    let authority = format!("[::1]:{}", server.addr().port());
    assert_eq!(request.header("Host"), Some(authority.as_str()));
    assert_eq!(request.header("Origin"), Some(format!("http://{authority}").as_str()));
}

#[test]
fn b137_b144_urls_of_other_schemes_or_without_a_host_are_refused_before_any_io() {
    assert_eq!(refused_url("http://127.0.0.1/"), UrlError::Scheme("http".into()));
    assert_eq!(refused_url("wsx://127.0.0.1/"), UrlError::Scheme("wsx".into()));
    for url in [
        "",
        "ws",
        "ws:",
        "ws:127.0.0.1",
        "ws://",
        "ws:///path",
        "ws://?query",
        "ws://:80/",
        "://h/",
        "127.0.0.1",
    ] {
        assert!(matches!(refused_url(url), UrlError::Syntax(_)), "{url}");
    }
}

#[test]
fn b138_the_scheme_may_be_in_any_case() {
    assert_eq!(simulated_request("WS://192.0.2.1/", SERVER).path, "/");
    assert_eq!(simulated_request("Ws://192.0.2.1/", SERVER).path, "/");
}

#[test]
fn b139_the_path_is_kept_byte_for_byte() {
    for path in ["/p;a=1;b=2/q;c", "/a/../b/./c", "/%7Euser/%2f%2F", "//twice//", "/'()*!$&+,=:@~-._"] {
        assert_eq!(request_for(path, &RunOptions::new(), |app| app).1.path, path);
    }
}

#[test]
fn b140_spaces_and_non_ascii_are_encoded() {
    let request = request_for("/a b/ü?q=€ \"<>", &RunOptions::new(), |app| app).1;
    assert_eq!(request.path, "/a%20b/%C3%BC?q=%E2%82%AC%20%22%3C%3E");
    let request = simulated_request("ws://Bücher.example/", SERVER);
    assert_eq!(request.header("Host"), Some("xn--bcher-kva.example"));
    assert_eq!(request.header("Origin"), Some("http://xn--bcher-kva.example"));
}

#[test]
fn b141_userinfo_becomes_basic_authorization_and_a_given_header_wins() {
    let request = simulated_request("ws://us%65r:p%3Ass@192.0.2.1/", SERVER);
    assert_eq!(values(&request, "Authorization"), ["Basic dXNlcjpwOnNz"]);
    assert_eq!(request.header("Host"), Some("192.0.2.1"));
    let (server, requests) = accepting();
    let url = server.url().replace("ws://", "ws://user:pass@");
    WebSocketApp::new(url)
        .headers([("authorization", "Bearer t")])
        .run_forever_on(dispatcher(), &RunOptions::new())
        .unwrap()
        .into_result()
        .unwrap();
    assert_eq!(values(&requests.recv().unwrap(), "Authorization"), ["Bearer t"]);
}

#[test]
fn b142_ports_that_do_not_exist_are_refused_before_any_io() {
    assert_eq!(refused_url("ws://127.0.0.1:0/"), UrlError::PortZero);
    for port in ["65536", "x", "-1", "80:80"] {
        assert!(matches!(refused_url(&format!("ws://127.0.0.1:{port}/")), UrlError::Syntax(_)), "{port}");
    }
}

#[test]
fn b143_a_host_that_is_not_resolved_is_an_address_error() {
    let mut world = World::new();
    world.resolver.failing("broken.test", io::ErrorKind::TimedOut);
    world.resolver.name("empty.test", &[]);
    let cases = [("nowhere.test", "NotFound"), ("broken.test", "TimedOut"), ("empty.test", "NotFound")];
    for (host, kind) in cases {
        let log = Log::new();
        log.app(format!("ws://{host}/")).run_on(&mut world.reactor, &RunOptions::new()).unwrap();
        world.settle();
        let error = format!("Resolve({host}, {kind})");
        assert_eq!(log.lines(), [format!("error {error}"), format!("close: {error}")]);
    }
    assert!(world.net.attempts().is_empty());
}

// The request.

#[test]
fn b145_the_request_is_this_byte_for_byte() {
    let (addr, request) = request_for("/chat?room=1", &RunOptions::new(), |app| app);
    let key = request.header("Sec-WebSocket-Key").unwrap();
    let expected = format!(
        "GET /chat?room=1 HTTP/1.1\r\n\
         Upgrade: websocket\r\n\
         Host: {addr}\r\n\
         Origin: http://{addr}\r\n\
         Sec-WebSocket-Key: {key}\r\n\
         Sec-WebSocket-Version: 13\r\n\
         Connection: Upgrade\r\n\
         \r\n"
    );
    assert_eq!(String::from_utf8_lossy(&request.bytes), expected);
}

#[test]
fn b145_b171_what_the_app_adds_comes_behind() {
    let options =
        RunOptions::new().require_subprotocol(false).host("example.com").origin("https://other.example");
    let make = |app: WebSocketApp| {
        app.subprotocols(["soap", "wamp.2"]).cookie("a=1; b=2").headers(["X-First: 1", "x-second-one:2: 3"])
    };
    let request = request_for("/", &options, make).1;
    assert_eq!(
        lines(&request),
        [
            "Upgrade: websocket",
            "Host: example.com",
            "Origin: https://other.example",
            "Sec-WebSocket-Version: 13",
            "Connection: Upgrade",
            "Sec-WebSocket-Protocol: soap, wamp.2",
            "Cookie: a=1; b=2",
            "X-First: 1",
            "X-Second-One: 2: 3",
        ]
    );
}

#[test]
fn b146_b147_host_and_origin_omit_only_the_schemes_own_port() {
    let request = simulated_request("ws://192.0.2.1:80/", SERVER);
    assert_eq!(
        (request.header("Host"), request.header("Origin")),
        (Some("192.0.2.1"), Some("http://192.0.2.1"))
    );
    let request = simulated_request("ws://192.0.2.1:443/", SocketAddr::new(SERVER.ip(), 443));
    assert_eq!(request.header("Host"), Some("192.0.2.1:443"));
    assert_eq!(request.header("Origin"), Some("http://192.0.2.1:443"));
    let request = simulated_request("ws://[2001:db8::1]/", "[2001:db8::1]:80".parse().unwrap());
    assert_eq!(request.header("Host"), Some("[2001:db8::1]"));
}

#[test]
fn b146_the_host_option_takes_the_place_of_the_urls() {
    let (addr, request) = request_for("/", &RunOptions::new().host("example.com:81"), |app| app);
    assert_eq!(values(&request, "Host"), ["example.com:81"]);
    assert_eq!(values(&request, "Origin"), [format!("http://{addr}")]);
}

#[test]
fn b147_the_origin_can_be_given_or_suppressed() {
    let request = |options| request_for("/", &options, |app| app).1;
    assert_eq!(values(&request(RunOptions::new().origin("null")), "Origin"), ["null"]);
    assert_eq!(request(RunOptions::new().suppress_origin(true)).header("Origin"), None);
    assert_eq!(request(RunOptions::new().origin("http://h").suppress_origin(true)).header("Origin"), None);
}

#[test]
fn b148_the_host_can_be_suppressed_even_when_it_is_given() {
    for options in
        [RunOptions::new().suppress_host(true), RunOptions::new().host("given").suppress_host(true)]
    {
        let request = request_for("/", &options, |app| app).1;
        assert_eq!(request.header("Host"), None);
        assert_eq!(request.header_names()[..2], ["Upgrade", "Origin"]);
    }
}

#[test]
fn b149_the_key_is_16_bytes_in_base64_and_new_every_time() {
    let keys = [request(|app| app), request(|app| app)].map(|request| {
        let key = request.header("Sec-WebSocket-Key").unwrap().to_owned();
        let (digits, padding) = key.split_at(22);
        assert_eq!(padding, "==");
        assert!(digits.bytes().all(|digit| digit.is_ascii_alphanumeric() || b"+/".contains(&digit)), "{key}");
        // The last digit of 16 bytes has four bits that are zero.
        assert!(digits.ends_with(['A', 'Q', 'g', 'w']), "{key}");
        key
    });
    assert_ne!(keys[0], keys[1]);
}

#[test]
fn b150_key_and_version_can_be_given_in_a_map_or_a_list() {
    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    let map = BTreeMap::from([("sec-websocket-key", KEY), ("Sec-WebSocket-Version", "8")]);
    let list = ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-version: 8"];
    for request in [request(|app| app.headers(&map)), request(|app| app.headers(list))] {
        assert_eq!(values(&request, "Sec-WebSocket-Key"), [KEY]);
        assert_eq!(values(&request, "Sec-WebSocket-Version"), ["8"]);
    }
}

#[test]
fn b151_headers_come_as_map_pairs_or_lines_and_absent_values_are_left_out() {
    let map = BTreeMap::from([("X-A", Some("1")), ("X-B", None), ("X-C", Some("3"))]);
    let mut typed = HeaderMap::new();
    typed.insert("x-d", HeaderValue::from_static("4"));
    let request = request(|app| {
        app.headers(map)
            .headers(typed)
            .headers(vec![("X-E", "5".to_owned()), ("X-E", "6".to_owned())])
            .headers(vec!["X-F: 7"])
            .headers(vec!["X-G:8".to_owned()])
            .header("X-H", "9")
            .header("X-I", None::<&str>)
            .header("X-H", "10".to_owned())
    });
    let expected = ["1", "3", "4", "5", "6", "7", "8", "9", "10"].into_iter().zip("ACDEEFGHH".chars());
    let expected: Vec<_> = expected.map(|(value, name)| format!("X-{name}: {value}")).collect();
    assert_eq!(lines(&request)[5..], expected);
}

#[test]
fn b016_b151_a_function_is_asked_for_headers_before_every_attempt() {
    let (server, requests) = accepting();
    let mut attempts = 0;
    let mut app =
        WebSocketApp::new(server.url()).headers(["X-N: never", "X-Kept: always"]).header_with(move || {
            attempts += 1;
            [("X-N", attempts.to_string())]
        });
    for attempt in ["1", "2", "3"] {
        app.run_forever_on(dispatcher(), &RunOptions::new()).unwrap().into_result().unwrap();
        let request = requests.recv().unwrap();
        assert_eq!((values(&request, "X-N"), values(&request, "X-Kept")), (vec![attempt], vec!["always"]));
    }
}

#[test]
fn b152_given_headers_take_the_place_of_built_in_ones() {
    let options = RunOptions::new().host("option").origin("http://option").require_subprotocol(false);
    let given = [
        ("Host", "given"),
        ("Origin", "http://given"),
        ("Cookie", "given=1"),
        ("Sec-WebSocket-Protocol", "given"),
        ("User-Agent", "given"),
    ];
    let make = |app: WebSocketApp| app.cookie("parameter=1").subprotocols(["parameter"]).headers(given);
    let request = request_for("/", &options, make).1;
    for (name, value) in given {
        assert_eq!(values(&request, name), [value]);
    }
    // They stand where the built-in ones would have stood.
    assert_eq!(request.header_names()[..3], ["Upgrade", "Host", "Origin"]);
}

#[test]
fn b153_line_breaks_and_nul_are_refused_before_any_io() {
    for bad in ["a\r\nX-Injected: 1", "a\nb", "a\rb", "a\0b", "\r\n\r\n"] {
        let value = |name: &str| HeaderError::Value(name.to_owned());
        let header = |error| match error {
            Error::Header(error) => error,
            error => panic!("{bad:?} was refused with {error:?}"),
        };
        assert_eq!(header(refused_app(|app| app.headers([("X-A", bad)]))), value("X-A"));
        assert_eq!(header(refused_app(|app| app.headers(vec![format!("X-A: x{bad}x")]))), value("X-A"));
        assert_eq!(header(refused_app(|app| app.headers([(bad, "x")]))), HeaderError::Name(bad.to_owned()));
        assert_eq!(header(refused_app(|app| app.cookie(bad))), value("Cookie"));
        let with = |options| header(refused_before_io(URL, &options, |app| app));
        assert_eq!(with(RunOptions::new().host(bad)), value("Host"));
        assert_eq!(with(RunOptions::new().origin(bad)), value("Origin"));
        let error = refused_app(|app| app.subprotocols([bad]));
        assert!(
            matches!(error, Error::Request(RequestError::Subprotocol(ref name)) if name == bad),
            "{error:?}"
        );
        assert!(matches!(refused_url(&format!("{URL}{bad}")), UrlError::Syntax(_)));
    }
}

#[test]
fn b153_a_bad_header_from_the_function_ends_the_attempt_before_its_io() {
    let mut world = World::new();
    let log = Log::new();
    log.app(URL).header_with(|| ["X-A: 1\r\nX-B: 2"]).run_on(&mut world.reactor, &RunOptions::new()).unwrap();
    world.settle();
    assert_eq!(log.lines(), ["error Header(Value(\"X-A\"))", "close: Header(Value(\"X-A\"))"]);
    assert!(world.net.attempts().is_empty());
}

#[test]
fn headers_that_only_the_handshake_may_set_are_refused_before_any_io() {
    for name in
        ["Upgrade", "Sec-WebSocket-Extensions", "Sec-WebSocket-Accept", "Content-Length", "Transfer-Encoding"]
    {
        let error = refused_app(|app| app.headers([(name, "1")]));
        assert!(
            matches!(error, Error::Request(RequestError::ReservedHeader(ref header)) if header == name),
            "{error}"
        );
    }
    let error = refused_app(|app| app.headers(["Host: a", "Host: b"]));
    assert!(matches!(error, Error::Request(RequestError::RepeatedHeader(_))), "{error}");
    let error = refused_app(|app| app.subprotocols(["same", "same"]));
    assert!(matches!(error, Error::Request(RequestError::Subprotocol(_))), "{error}");
}

#[test]
fn b154_the_connection_header_can_be_given() {
    let request = request(|app| app.headers([("Connection", "keep-alive, Upgrade")]));
    assert_eq!(values(&request, "Connection"), ["keep-alive, Upgrade"]);
    assert_eq!(request.header_names().last(), Some(&"Connection"));
}

// The response.

#[test]
fn b155_the_selected_subprotocol_is_reported_as_the_server_sent_it() {
    let offer = |app: WebSocketApp| app.subprotocols(["chat", "SuperChat"]);
    assert_eq!(
        opened(&["Sec-WebSocket-Protocol: SuperChat"], offer).subprotocol.as_deref(),
        Some("SuperChat")
    );
    let header = |app: WebSocketApp| app.headers(["Sec-WebSocket-Protocol: v1, v2"]);
    assert_eq!(opened(&["sec-websocket-protocol: v2"], header).subprotocol.as_deref(), Some("v2"));
}

#[test]
fn b155_a_subprotocol_is_compared_exactly() {
    let select = |request: &Request| handshake::response(request, &["Sec-WebSocket-Protocol: superchat"]);
    let error = failure_of(&RunOptions::new(), select, |app| app.subprotocols(["chat", "SuperChat"]));
    assert_eq!(error, UpgradeError::UnrequestedSubprotocol("superchat".into()));
}

#[test]
fn b156_a_server_must_select_one_of_the_subprotocols_unless_that_is_not_required() {
    let offer = |app: WebSocketApp| app.subprotocols(["chat"]);
    let none = |request: &Request| handshake::response(request, &[]);
    assert_eq!(failure_of(&RunOptions::new(), none, offer), UpgradeError::NoSubprotocol);
    let request = request_for("/", &RunOptions::new().require_subprotocol(false), offer).1;
    assert_eq!(request.header("Sec-WebSocket-Protocol"), Some("chat"));
}

#[test]
fn b157_what_nobody_asked_for_fails() {
    let answer = |line: &'static str| move |request: &Request| handshake::response(request, &[line]);
    assert_eq!(
        failure(answer("Sec-WebSocket-Protocol: chat")),
        UpgradeError::UnrequestedSubprotocol("chat".into())
    );
    let error = failure(answer("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=15"));
    assert!(
        matches!(error, UpgradeError::UnrequestedExtension(ref it) if it.starts_with("permessage-deflate"))
    );
    let two = answer("Sec-WebSocket-Protocol: a, b");
    let error = failure_of(&RunOptions::new(), two, |app| app.subprotocols(["a", "b"]));
    assert_eq!(error, UpgradeError::SeveralSubprotocols("a".into(), "b".into()));
}

#[test]
fn b158_upgrade_and_connection_are_compared_without_case_and_in_lists() {
    let server = ScriptedServer::start(|mut peer| {
        let accept = handshake::accept_key(peer.read_request().header("Sec-WebSocket-Key").unwrap());
        peer.write(
            format!(
                "HTTP/1.1 101 Whatever You Say\r\nupgrade: WebSocket\r\nCONNECTION: keep-alive, UPGRADE\r\n\
                 sec-websocket-accept:{accept}\r\n\r\n"
            )
            .as_bytes(),
        );
        peer.send_close(1000, "");
        peer.read_close();
    })
    .unwrap();
    let log = Log::new();
    log.app(server.url()).run_forever_on(dispatcher(), &RunOptions::new()).unwrap().into_result().unwrap();
    assert_eq!(log.lines(), ["open", "close 1000, by server, clean"]);
}

#[test]
fn b158_a_response_without_upgrade_or_connection_fails() {
    assert_eq!(failure(replaced("Upgrade", &[])), UpgradeError::UpgradeHeader);
    assert_eq!(failure(replaced("Upgrade", &["Upgrade: h2c"])), UpgradeError::UpgradeHeader);
    assert_eq!(failure(replaced("Upgrade", &["Upgrade: websockets"])), UpgradeError::UpgradeHeader);
    assert_eq!(failure(replaced("Connection", &[])), UpgradeError::ConnectionHeader);
    assert_eq!(failure(replaced("Connection", &["Connection: close"])), UpgradeError::ConnectionHeader);
}

#[test]
fn b159_the_accept_key_must_be_there_once_and_exact() {
    const ACCEPT: &str = "Sec-WebSocket-Accept";
    assert_eq!(failure(replaced(ACCEPT, &[])), UpgradeError::AcceptHeader);
    assert_eq!(failure(replaced(ACCEPT, &["Sec-WebSocket-Accept: bm90IGl0"])), UpgradeError::AcceptHeader);
    let each = |change: fn(&str) -> Vec<String>| {
        failure(move |request| {
            changed(
                request,
                |line| if line.starts_with(ACCEPT) { change(line) } else { vec![line.to_owned()] },
            )
        })
    };
    assert_eq!(each(|line| vec![line.to_lowercase()]), UpgradeError::AcceptHeader);
    assert_eq!(each(|line| vec![line.to_owned(); 2]), UpgradeError::AcceptHeader);
}

#[test]
fn b160_malformed_responses_fail() {
    let malformed: [&[u8]; 5] = [
        b"HTTP/1.1 101 Switching Protocols\r\nno colon\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nbad name: x\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nX: \x01\r\n\r\n",
        b"HTTP/1.1 1o1 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 \r\n\r\n",
    ];
    for bytes in malformed {
        let error = failure(|_| bytes.to_vec());
        assert!(matches!(error, UpgradeError::Malformed(_)), "{} gave {error}", bytes.escape_ascii());
    }
    for bytes in ["SSH-2.0-OpenSSH\r\n", "\u{17}\u{3}\u{1}", "GET / HTTP"] {
        assert_eq!(failure(|_| bytes.as_bytes().to_vec()), UpgradeError::NotHttp, "{bytes}");
    }
    for bytes in ["HTTP/2 101\r\n\r\n", "HTTP/1.0 101 OK\r\n\r\n"] {
        assert_eq!(failure(|_| bytes.as_bytes().to_vec()), UpgradeError::HttpVersion, "{bytes}");
    }
}

#[test]
fn b160_a_response_that_ends_early_fails() {
    for sent in ["H", "HTTP/1.1 101", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"] {
        let server = ScriptedServer::start(move |mut peer| {
            peer.read_request();
            peer.write(sent.as_bytes());
            peer.shutdown();
            peer.expect_eof();
        })
        .unwrap();
        let outcome = Log::new().app(server.url()).run_forever_on(dispatcher(), &RunOptions::new()).unwrap();
        assert!(matches!(outcome, Outcome::Lost(Error::Upgrade(UpgradeError::EndOfStream))), "{outcome:?}");
    }
}

#[test]
fn b134_response_headers_without_end_or_number_are_refused() {
    let endless = |_: &Request| {
        [
            b"HTTP/1.1 101 Switching Protocols\r\n".as_slice(),
            &b"X: a header that does nothing\r\n".repeat(100_000),
        ]
        .concat()
    };
    assert_eq!(failure(endless), UpgradeError::HeadersTooLong { limit: 64 << 10 });
    let narrow = RunOptions::new().max_header_bytes(1000);
    assert_eq!(failure_of(&narrow, endless, |app| app), UpgradeError::HeadersTooLong { limit: 1000 });
    let many = |request: &Request| handshake::response(request, &["X: y"; 126]);
    assert_eq!(failure(many), UpgradeError::TooManyHeaders { limit: 128 });
    let fewer = RunOptions::new().max_headers(2);
    let three = |request: &Request| handshake::response(request, &[]);
    assert_eq!(failure_of(&fewer, three, |app| app), UpgradeError::TooManyHeaders { limit: 2 });
}

#[test]
fn b161_repeated_headers_are_all_kept() {
    let response = opened(&["Set-Cookie: a=1; Path=/", "Set-Cookie: b=2", "X: 1", "x: 2"], |app| app);
    assert_eq!(response.status.as_u16(), 101);
    let all =
        |name: &str| response.headers.get_all(name).iter().map(HeaderValue::as_bytes).collect::<Vec<_>>();
    assert_eq!(all("set-cookie"), [&b"a=1; Path=/"[..], b"b=2"]);
    assert_eq!(all("x"), [b"1", b"2"]);
}

/// Status, message, headers and body of a refusal.
fn refusal(options: &RunOptions, response: Vec<u8>) -> (Box<Response>, Vec<u8>) {
    match failure_of(options, move |_| response.clone(), |app| app) {
        UpgradeError::Status { response, body } => (response, body),
        error => panic!("{error}"),
    }
}

#[test]
fn b051_b052_b162_a_refusal_carries_status_message_headers_and_body() {
    let options = RunOptions::new();
    for status in
        ["200 OK", "300 Many", "401 Unauthorized", "403 Go Away", "407 Proxy", "429 Slow Down", "503 Later"]
    {
        let (code, message) = status.split_once(' ').unwrap();
        let text =
            format!("HTTP/1.1 {status}\r\nX-Why: because\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nbody");
        let (response, body) = refusal(&options, text.into_bytes());
        assert_eq!((response.status.as_str(), response.status_message.as_str()), (code, message));
        assert_eq!(
            (&response.headers["x-why"], &response.headers["retry-after"]),
            (&"because".parse().unwrap(), &"7".parse().unwrap())
        );
        assert_eq!(body, b"body");
    }
}

#[test]
fn b162_bodies_are_capped_chunked_or_absent() {
    let large = |len: u64| {
        let head = format!("HTTP/1.1 500 Oops\r\nContent-Length: {len}\r\n\r\n");
        [head.into_bytes(), vec![b'x'; 100_000]].concat()
    };
    assert_eq!(refusal(&RunOptions::new(), large(100_000)).1, vec![b'x'; 16 << 10]);
    assert_eq!(refusal(&RunOptions::new(), large(1 << 60)).1, vec![b'x'; 16 << 10]);
    assert_eq!(refusal(&RunOptions::new().max_error_body(10), large(1 << 60)).1, b"xxxxxxxxxx");
    let chunked =
        b"HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n";
    assert_eq!(refusal(&RunOptions::new(), chunked.to_vec()).1, b"abcde");
    let large = b"HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\nabcdefghijklmnopqrstuvwxyz";
    assert_eq!(refusal(&RunOptions::new().max_error_body(10), large.to_vec()).1, b"abcdefghij");
    // Nothing says where it would end, so it is what comes before the end of the stream.
    let until_close = b"HTTP/1.1 500 Oops\r\n\r\nuntil the end".to_vec();
    assert_eq!(refusal(&RunOptions::new(), until_close).1, b"until the end");
}

#[test]
fn b162_a_body_that_breaks_off_is_kept_as_far_as_it_came() {
    let server = ScriptedServer::start(|mut peer| {
        peer.read_request();
        peer.write(b"HTTP/1.1 500 Oops\r\nContent-Length: 1000\r\n\r\nhalf of it");
        peer.shutdown();
        peer.expect_eof();
    })
    .unwrap();
    let outcome = Log::new().app(server.url()).run_forever_on(dispatcher(), &RunOptions::new()).unwrap();
    let Outcome::Lost(Error::Upgrade(UpgradeError::Status { body, .. })) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(body, b"half of it");
}

#[test]
fn b163_no_error_shows_a_secret() {
    let shown = |it: &dyn std::fmt::Debug| {
        let text = format!("{it:?} {it:#?}");
        assert!(!text.contains("secret"), "{text}");
    };
    let secrets = |app: WebSocketApp| {
        let app = app.cookie("session=secret").header("Authorization", "Bearer secret");
        shown(&app);
        app
    };
    // The server's words, echoing those of the client, in headers and body.
    let echoing = |request: &Request| {
        let request = String::from_utf8_lossy(&request.bytes).into_owned();
        assert!(request.contains("session=secret") && request.contains("Bearer secret"));
        let head = "HTTP/1.1 401 Unauthorized\r\nSet-Cookie: id=secret\r\nX-Token: secret\r\n";
        format!("{head}Content-Length: {}\r\n\r\n{request}", request.len()).into_bytes()
    };
    let (outcome, lines) = response(&RunOptions::new(), echoing, secrets);
    shown(&(&outcome, &lines));
    let Outcome::Lost(error) = outcome else { panic!("{outcome:?}") };
    assert_eq!(error.to_string(), "the opening handshake failed: the server answered 401 Unauthorized");
    let Error::Upgrade(UpgradeError::Status { response, body }) = error else { panic!("{error:?}") };
    assert_eq!(response.headers["x-token"], "secret");
    assert!(String::from_utf8(body).unwrap().contains("Bearer secret"));

    let mut world = World::new();
    let errors = Rc::new(RefCell::new(Vec::new()));
    let keep = errors.clone();
    secrets(WebSocketApp::new("ws://user:secret@192.0.2.1/secret?token=secret"))
        .on_error(move |_, error| keep.borrow_mut().push(format!("{error} {error:?}")))
        .run_on(&mut world.reactor, &RunOptions::new())
        .unwrap();
    world.settle();
    let [error] = &errors.borrow()[..] else { panic!("{errors:?}") };
    assert!(error.contains("connecting to 192.0.2.1:80 failed") && !error.contains("secret"), "{error}");

    for url in [
        "ws://user:secret@h:bad/?token=secret",
        "http://user:secret@h/?token=secret",
        "ws://user:secret@/",
        "secret@h",
    ] {
        let error = refused_url(url);
        assert!(!error.to_string().contains("secret"), "{error}");
        shown(&error);
    }
    for error in [
        refused_app(|app| app.headers([("Authorization", "secret\n")])),
        refused_app(|app| app.cookie("secret\n")),
        refused_app(|app| app.headers(["secret without a colon"])),
    ] {
        assert!(!error.to_string().contains("secret"), "{error}");
        shown(&error);
    }
}

#[test]
fn frames_sent_behind_a_refusal_are_not_taken_for_messages() {
    let respond = |_: &Request| {
        [b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n".to_vec(), frame::text("hello")].concat()
    };
    assert!(matches!(failure(respond), UpgradeError::Status { .. }));
}
