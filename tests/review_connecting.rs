//! The way to the server where its steps meet: redirects and challenges behind proxies and on streams of the user's own.

use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::rc::Rc;
use std::time::Duration;

use websocket_app::dispatcher::{Io, Stream};
use websocket_app::link::proxy::Proxy;
use websocket_app::link::tls::TlsOptions;
use websocket_app::link::{Connector as _, SocketOptions};
use websocket_app::{CookieJar, Reactor, RunOptions, WebSocketApp};
use websocket_testkit::sim::{End, SimListener, SimNet, SimPeer, Trigger};
use websocket_tests::{Authority, Counting, Log, SERVER, URL, World};

const PROXY: &str = "192.0.2.9:3128";
const OTHER: &str = "192.0.2.2:80";

fn through_proxy() -> RunOptions {
    RunOptions::new().proxy(Proxy::parse(PROXY).expect("a proxy"))
}

/// Answers with this head, and does not keep the connection.
fn refuse(peer: &SimPeer, head: &str) {
    peer.write(format!("HTTP/1.1 {head}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").as_bytes());
}

/// Answers a CONNECT: with a challenge if it carries no credential, else with a tunnel. Returns whether that is there.
fn guard(peer: &SimPeer) -> bool {
    let asked = String::from_utf8(peer.read_available()).expect("ASCII");
    assert!(asked.starts_with("CONNECT "), "{asked}");
    let authorized = asked.contains("Proxy-Authorization: Bearer proxy");
    refuse(peer, if authorized { "200 OK" } else { "407 Who\r\nProxy-Authenticate: Bearer" });
    authorized
}

#[test]
fn b164_b170_a_redirect_behind_a_proxy_that_asks_who_comes_is_followed() {
    let mut world = World::new();
    let proxy = world.net.listen(PROXY.parse().unwrap());
    let log = Log::new();
    let app = log.app(URL).authorize_with(|challenge| challenge.proxy.map(|_| "Bearer proxy".to_owned()));
    app.run_on(&mut world.reactor, &through_proxy()).unwrap();
    for hop in ["/", "/new"] {
        world.settle();
        assert!(!guard(&proxy.accept().expect("a stream to the proxy")));
        world.settle();
        let tunnel = proxy.accept().expect("another with a credential");
        assert!(guard(&tunnel));
        world.settle();
        if hop == "/" {
            tunnel.read_request().unwrap();
            refuse(&tunnel, "302 Found\r\nLocation: /new");
        } else {
            tunnel.accept_upgrade().unwrap();
        }
    }
    world.settle();
    assert_eq!(log.lines(), ["open"]);
}

#[test]
fn b164_b169_an_origin_that_a_redirect_led_to_is_told_no_credential() {
    let mut world = World::new();
    let other = world.net.listen(OTHER.parse().unwrap());
    let log = Log::new();
    let asked = Rc::new(Cell::new(0));
    let counter = asked.clone();
    let app = log.app(URL).authorize_with(move |_| {
        counter.set(counter.get() + 1);
        Some("Bearer secret".to_owned())
    });
    let server = world.start(app, &RunOptions::new());
    let peer = server.accept().unwrap();
    peer.read_request().unwrap();
    refuse(&peer, "307 Away\r\nLocation: http://192.0.2.2/");
    world.settle();
    let peer = other.accept().expect("the redirect is followed");
    peer.read_request().unwrap();
    refuse(&peer, "401 Who\r\nWWW-Authenticate: Bearer");
    world.settle();
    assert!(other.accept().is_none());
    assert_eq!(asked.get(), 0);
    assert_eq!(log.lines(), ["error Upgrade(Status 401)", "close: Upgrade(Status 401)"]);
}

#[test]
fn b164_each_page_of_the_server_may_ask_who_comes() {
    let mut world = World::new();
    let log = Log::new();
    let answers = RefCell::new(0);
    let app = log.app(URL).authorize_with(move |_| {
        *answers.borrow_mut() += 1;
        Some(format!("Bearer {}", answers.borrow()))
    });
    let server = world.start(app, &RunOptions::new());
    for (path, answer) in [("/", "Bearer 1"), ("/new", "Bearer 2")] {
        let peer = server.accept().unwrap();
        let request = String::from_utf8(peer.read_request().unwrap().bytes).unwrap();
        assert!(request.starts_with(&format!("GET {path} ")), "{request}");
        refuse(&peer, "401 Who\r\nWWW-Authenticate: Digest");
        world.settle();
        let peer = server.accept().expect("it tries with an answer");
        let request = String::from_utf8(peer.read_request().unwrap().bytes).unwrap();
        assert!(request.to_lowercase().contains(&format!("authorization: {}", answer.to_lowercase())));
        refuse(&peer, "302 Found\r\nLocation: /new");
        world.settle();
    }
    server.accept().unwrap().accept_upgrade().unwrap();
    world.settle();
    assert_eq!(log.lines(), ["open"]);
}

#[test]
fn b164_a_challenge_on_a_stream_of_the_users_own_is_answered_on_another_of_them() {
    let mut world = World::new();
    let own = world.net.listen(OTHER.parse().unwrap());
    let mut net = world.net.clone();
    let log = Log::new();
    let app = log
        .app(URL)
        .socket_with(move || net.connect(OTHER.parse().unwrap(), &SocketOptions::default()))
        .authorize_with(|_| Some("Bearer secret".to_owned()));
    let server = world.start(app, &RunOptions::new());
    let peer = own.accept().unwrap();
    peer.read_request().unwrap();
    refuse(&peer, "401 Who\r\nWWW-Authenticate: Bearer");
    world.settle();
    assert!(server.accept().is_none(), "the credential goes to whoever has the URL's address");
    own.accept().expect("another stream").accept_upgrade().unwrap();
    world.settle();
    assert_eq!(log.lines(), ["open"]);
}

#[test]
fn b164_a_challenge_on_the_only_stream_fails_the_attempt() {
    let mut world = World::new();
    let own = world.net.listen(OTHER.parse().unwrap());
    let stream = world.net.clone().connect(OTHER.parse().unwrap(), &SocketOptions::default()).unwrap();
    let log = Log::new();
    let app = log.app(URL).socket(stream).authorize_with(|_| Some("Bearer secret".to_owned()));
    let server = world.start(app, &RunOptions::new());
    let peer = own.accept().unwrap();
    peer.read_request().unwrap();
    refuse(&peer, "401 Who\r\nWWW-Authenticate: Bearer");
    world.settle();
    assert!(server.accept().is_none());
    assert_eq!(log.lines(), ["error Upgrade(Status 401)", "close: Upgrade(Status 401)"]);
}

#[test]
fn b170_a_redirect_within_the_origin_stays_on_streams_of_the_users_own_and_another_does_not() {
    let mut world = World::new();
    let own = world.net.listen(OTHER.parse().unwrap());
    let mut net = world.net.clone();
    let log = Log::new();
    let app = log
        .app(URL)
        .headers([("Authorization", "Bearer secret")])
        .socket_with(move || net.connect(OTHER.parse().unwrap(), &SocketOptions::default()));
    let server = world.start(app, &RunOptions::new());
    let third = world.net.listen("192.0.2.3:80".parse().unwrap());
    for location in ["/new", "http://192.0.2.3/"] {
        let peer = own.accept().expect("a stream of the user's own");
        assert!(String::from_utf8(peer.read_request().unwrap().bytes).unwrap().contains("secret"));
        refuse(&peer, &format!("302 Found\r\nLocation: {location}"));
        world.settle();
        assert!(server.accept().is_none());
    }
    assert!(own.accept().is_none());
    let request = third.accept().expect("a stream over the network").accept_upgrade().unwrap();
    assert!(!String::from_utf8(request.bytes).unwrap().contains("secret"));
    world.settle();
    assert_eq!(log.lines(), ["open"]);
}

#[test]
fn b172_the_cookies_of_a_challenge_go_with_the_answer() {
    let mut world = World::new();
    let log = Log::new();
    let app = log.app(URL).cookie_jar(CookieJar::new()).authorize_with(|_| Some("Bearer x".to_owned()));
    let server = world.start(app, &RunOptions::new());
    let peer = server.accept().unwrap();
    peer.read_request().unwrap();
    refuse(&peer, "401 Who\r\nWWW-Authenticate: Bearer\r\nSet-Cookie: session=1");
    world.settle();
    let request = server.accept().unwrap().accept_upgrade().unwrap();
    let request = String::from_utf8(request.bytes).unwrap();
    assert!(request.contains("Cookie: session=1"), "{request}");
    world.settle();
    assert_eq!(log.lines(), ["open"]);
}

#[test]
fn b162_a_refusal_that_a_reset_cuts_short_is_still_a_refusal() {
    let mut world = World::new();
    let log = Log::new();
    let server = world.start(log.app(URL), &RunOptions::new());
    let peer = server.accept().unwrap();
    peer.read_request().unwrap();
    peer.write(b"HTTP/1.1 403 No\r\nContent-Length: 100\r\n\r\npart");
    peer.reset();
    world.settle();
    assert_eq!(log.lines(), ["error Upgrade(Status 403)", "close: Upgrade(Status 403)"]);
    assert_eq!(peer.address(), SERVER);
}

/// A stream that is connected once its peer has greeted it, as one that speaks TLS is.
struct Greeted {
    inner: Io,
    greeted: bool,
}

impl Read for Greeted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer)
    }
}

impl Write for Greeted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Stream for Greeted {
    fn connected(&mut self) -> io::Result<bool> {
        if !self.inner.connected()? {
            return Ok(false);
        }
        if !self.greeted {
            match self.inner.read(&mut [0]) {
                Ok(read) => self.greeted = read == 1,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.greeted)
    }

    fn inner(&self) -> Option<&Io> {
        Some(&self.inner)
    }

    fn inner_mut(&mut self) -> Option<&mut Io> {
        Some(&mut self.inner)
    }
}

#[test]
fn b196_a_stream_of_the_users_own_may_have_to_hear_something_before_it_is_connected() {
    for (trigger, early) in
        [(Trigger::Edge, false), (Trigger::Edge, true), (Trigger::Level, false), (Trigger::Level, true)]
    {
        let mut world = World::on(SimNet::new(1).with_trigger(trigger));
        let mut net = world.net.clone();
        let log = Log::new();
        let app = log.app(URL).socket_with(move || {
            let inner = net.connect(SERVER, &SocketOptions::default())?;
            Ok(Io::custom(Greeted { inner, greeted: false }))
        });
        let server = world.start(app, &RunOptions::new());
        world.net.delay(SERVER, Duration::from_secs(1));
        world.run_for(Duration::from_secs(1));
        let peer = server.accept().expect("a stream");
        // Whoever was woken again and again meanwhile would never see the time pass.
        world.run_for(Duration::from_secs(1));
        assert_eq!(peer.read_available(), b"");
        if early {
            peer.write(b"!HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n");
        } else {
            peer.write(b"!");
            world.settle();
            peer.accept_upgrade().expect("the request comes once the stream is connected");
        }
        world.settle();
        let expected: &[&str] =
            if early { &["error Upgrade(Status 403)", "close: Upgrade(Status 403)"] } else { &["open"] };
        assert_eq!(log.lines(), expected, "{trigger:?}");
    }
}

/// A stream that takes the start of what is written, then nothing, and panics when it is asked once more.
struct Fragile {
    inner: Io,
    writes: usize,
}

impl Read for Fragile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer)
    }
}

impl Write for Fragile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writes += 1;
        match self.writes {
            1 => self.inner.write(&bytes[..1]),
            2 => Err(io::ErrorKind::WouldBlock.into()),
            _ => panic!("a bug of the stream's"),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Stream for Fragile {
    fn connected(&mut self) -> io::Result<bool> {
        self.inner.connected()
    }

    fn inner(&self) -> Option<&Io> {
        Some(&self.inner)
    }

    fn inner_mut(&mut self) -> Option<&mut Io> {
        Some(&mut self.inner)
    }
}

#[test]
fn a_stream_that_panics_at_the_last_goodbye_of_tls_does_not_take_on_close_away() {
    let mut world = World::new();
    let mut net = world.net.clone();
    let log = Log::new();
    let app = log.app("wss://192.0.2.1/").socket_with(move || {
        let inner = net.connect(SERVER, &SocketOptions::default())?;
        Ok(Io::custom(Fragile { inner, writes: 0 }))
    });
    let tls = TlsOptions::new().roots_from_bytes(Authority::new().pem());
    let server = world.start(app, &RunOptions::new().tls(tls).tls_timeout(Duration::from_secs(1)));
    let peer = server.accept().unwrap();
    assert_eq!(peer.read_available().len(), 1);
    world.run_for(Duration::from_secs(1));
    assert_eq!(log.lines(), ["error Timeout(Tls)", "close: Timeout(Tls)"]);
    assert_eq!(peer.ended(), Some(End::Fin));
    assert!(world.reactor.apps().is_empty());
}

/// What an app is told whose attempt is refused with `refusal`, by the server or by a proxy, and that it leaves nothing behind.
fn told(
    change: impl FnOnce(WebSocketApp, SimNet) -> WebSocketApp,
    options: &RunOptions,
    refusal: &str,
) -> Vec<String> {
    let net = SimNet::new(1);
    let counting = Counting::new(net.dispatcher());
    let watched = counting.watched.clone();
    let mut reactor =
        Reactor::with_dispatcher(counting).expect("the system has entropy").connector(net.clone());
    let listeners =
        ["192.0.2.1:80", PROXY, OTHER].map(|address| net.listen(address.parse().expect("an address")));
    let log = Log::new();
    change(log.app(URL), net.clone()).run_on(&mut reactor, options).expect("the app is accepted");
    for _ in 0..30 {
        reactor.poll(Some(Duration::ZERO)).expect("the simulation goes on");
        for peer in listeners.iter().filter_map(SimListener::accept) {
            net.after(Duration::ZERO, {
                let refusal = refusal.to_owned();
                move |_| refuse(&peer, &refusal)
            });
        }
    }
    assert_eq!(watched.get(), 0);
    assert!(reactor.apps().is_empty());
    log.take()
}

#[test]
fn closures_that_panic_or_fail_between_the_steps_end_the_attempt_once_and_leave_nothing() {
    let panicked = ["error CallbackPanicked(\"a bug\")", "close: CallbackPanicked(\"a bug\")"];
    let direct = RunOptions::new();
    let ask = |app: WebSocketApp, _| app.authorize_with(|_| panic!("a bug"));
    assert_eq!(told(ask, &direct, "401 Who"), panicked);
    assert_eq!(told(ask, &through_proxy(), "407 Who"), panicked);
    let streams = |second: fn() -> io::Result<Io>| {
        move |app: WebSocketApp, mut net: SimNet| {
            let first = Cell::new(true);
            app.authorize_with(|_| Some("Bearer x".to_owned())).socket_with(move || match first.take() {
                true => net.connect(OTHER.parse().unwrap(), &SocketOptions::default()),
                false => second(),
            })
        }
    };
    assert_eq!(told(streams(|| panic!("a bug")), &direct, "401 Who"), panicked);
    let failed = told(streams(|| Err(io::ErrorKind::NotFound.into())), &direct, "401 Who");
    assert_eq!(failed, ["error Connect(NotFound)", "close: Connect(NotFound)"]);
}

#[test]
fn b169_b204_another_host_is_asked_for_its_own_name_and_not_for_the_one_that_was_set() {
    for (location, name, other) in [
        ("wss://other.example/", "other.example", "set.example"),
        ("wss://h.example/", "set.example", "h.example"),
    ] {
        let mut world = World::new();
        world.resolver.name("h.example", &[SERVER.ip()]);
        world.resolver.name("other.example", &[SERVER.ip()]);
        let secure = world.net.listen("192.0.2.1:443".parse().unwrap());
        let tls = TlsOptions::new().roots_from_bytes(Authority::new().pem()).server_name("set.example");
        let server = world.start(Log::new().app("ws://h.example/"), &RunOptions::new().tls(tls));
        refuse(&server.accept().unwrap(), &format!("302 Found\r\nLocation: {location}"));
        world.settle();
        // The name in a ClientHello is not encrypted.
        let hello = secure.accept().expect("the redirect is followed").read_available();
        let has = |name: &str| hello.windows(name.len()).any(|window| window == name.as_bytes());
        assert!(has(name) && !has(other), "{location}");
    }
}
