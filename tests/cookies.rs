//! A cookie jar across redirects, refusals, reconnects and apps.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use websocket_app::{CookieJar, Reconnect, RunOptions, Verdict, WebSocketApp};
use websocket_testkit::frame;
use websocket_testkit::handshake::{self, Request};
use websocket_tests::{Log, World};

const SECOND: Duration = Duration::from_secs(1);

/// A world whose servers answer by a function of host and path: headers with which they open the connection, or a whole response.
struct Web {
    world: World,
    requests: Rc<RefCell<Vec<Request>>>,
}

enum Answer {
    Open(Vec<String>),
    Refuse(String),
}

/// Opens with these cookies.
fn set(cookies: &[&str]) -> Answer {
    Answer::Open(cookies.iter().map(|cookie| format!("Set-Cookie: {cookie}")).collect())
}

/// Redirects there with a cookie.
fn go(to: &str, cookie: &str) -> Answer {
    Answer::Refuse(format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nSet-Cookie: {cookie}\r\n\r\n"))
}

impl Web {
    fn new(answer: impl Fn(&str) -> Answer + Clone + 'static) -> Self {
        let world = World::new();
        let requests = Rc::new(RefCell::new(Vec::new()));
        for (last, name) in [(1, "shop.test"), (2, "www.shop.test"), (3, "other.test"), (4, "xshop.test")] {
            let address: SocketAddr = ([192, 0, 2, last], 80).into();
            world.resolver.name(name, &[address.ip()]);
            let (answer, requests) = (answer.clone(), requests.clone());
            world.net.serve(address, move |peer| {
                let request = peer.read_request().unwrap();
                match answer(&format!("{}{}", request.header("Host").unwrap_or_default(), request.path)) {
                    Answer::Refuse(response) => peer.write(response.as_bytes()),
                    Answer::Open(headers) => {
                        let headers: Vec<_> = headers.iter().map(String::as_str).collect();
                        peer.write(&handshake::response(&request, &headers));
                        peer.write(&frame::close(1000, ""));
                    }
                }
                requests.borrow_mut().push(request);
            });
        }
        Self { world, requests }
    }

    /// Runs an app for `url` with this jar until it has ended; returns the lines of its log.
    fn visit(&mut self, url: &str, jar: &CookieJar) -> Vec<String> {
        self.run(url, &RunOptions::new(), |app| app.cookie_jar(jar.clone()))
    }

    fn run(
        &mut self,
        url: &str,
        options: &RunOptions,
        make: impl FnOnce(WebSocketApp) -> WebSocketApp,
    ) -> Vec<String> {
        let log = Log::new();
        let options = options.clone().close_timeout(Duration::ZERO);
        make(log.app(url)).run_on(&mut self.world.reactor, &options).unwrap();
        self.world.reactor.run().unwrap();
        log.lines()
    }

    /// The `Cookie` headers of all requests, which are then forgotten.
    fn sent(&self) -> Vec<String> {
        let requests = self.requests.take();
        requests.iter().map(|it| it.header_values("Cookie").collect::<Vec<_>>().join(" + ")).collect()
    }
}

const OPENED: [&str; 2] = ["open", "close 1000, by server, clean"];

#[test]
fn b172_b175_a_cookie_of_the_opening_response_goes_back_to_its_host_alone() {
    let mut web = Web::new(|_| set(&["a=1", "b=2; Path=/sub"]));
    let jar = CookieJar::new();
    let urls = [
        "ws://shop.test/",
        "ws://shop.test/sub/x",
        "ws://www.shop.test/",
        "ws://xshop.test/",
        "ws://other.test/",
    ];
    for url in urls {
        assert_eq!(web.visit(url, &jar), OPENED);
    }
    assert_eq!(web.sent(), ["", "b=2; a=1", "", "", ""]);
    web.visit("ws://shop.test:80/", &jar);
    assert_eq!(web.sent(), ["a=1"]);
}

#[test]
fn b172_b173_a_cookie_with_a_domain_goes_to_the_hosts_below_it_and_to_no_others() {
    let mut web = Web::new(|place| match place {
        "www.shop.test/" => set(&["b=2; Domain=shop.test", "a=1; Domain=.SHOP.test", "own=3"]),
        _ => set(&[]),
    });
    let jar = CookieJar::new();
    for host in ["www.shop.test", "shop.test", "xshop.test", "other.test", "www.shop.test"] {
        web.visit(&format!("ws://{host}/"), &jar);
    }
    assert_eq!(web.sent(), ["", "a=1; b=2", "", "", "a=1; b=2; own=3"]);
}

#[test]
fn b171_b172_the_cookie_option_comes_first_and_wins() {
    let mut web = Web::new(|_| set(&["a=jar", "b=jar"]));
    let jar = CookieJar::new();
    web.visit("ws://shop.test/", &jar);
    web.sent();
    web.run("ws://shop.test/", &RunOptions::new(), |app| app.cookie_jar(jar.clone()).cookie("z=1; a=mine"));
    assert_eq!(web.sent(), ["z=1; a=mine; b=jar"]);
    // Without a jar there is the option alone, and what the server sets is ignored.
    web.run("ws://shop.test/", &RunOptions::new(), |app| app.cookie("z=1"));
    assert_eq!(web.sent(), ["z=1"]);
}

#[test]
fn b174_a_later_cookie_replaces_its_namesake_and_an_expired_one_removes_it() {
    let mut web = Web::new(|place| match place {
        "shop.test/1" => set(&["a=1; Path=/", "b=1; Path=/"]),
        "shop.test/2" => set(&["a=2; Path=/"]),
        "shop.test/3" => set(&["a=; Path=/; Max-Age=0", "b=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT"]),
        _ => set(&[]),
    });
    let jar = CookieJar::new();
    for path in 1..=4 {
        web.visit(&format!("ws://shop.test/{path}"), &jar);
    }
    assert_eq!(web.sent(), ["", "a=1; b=1", "a=2; b=1", ""]);
    assert!(jar.is_empty());
}

#[test]
fn b172_b169_cookies_of_redirects_are_kept_and_each_host_gets_its_own() {
    let mut web = Web::new(|place| match place {
        "shop.test/" => go("/login", "step=1; Path=/"),
        "shop.test/login" => go("ws://other.test/in", "step=2; Path=/"),
        "other.test/in" => go("ws://shop.test/end", "there=yes; Path=/"),
        _ => set(&["last=1; Path=/"]),
    });
    let jar = CookieJar::new();
    let lines = web
        .run("ws://shop.test/", &RunOptions::new(), |app| app.cookie_jar(jar.clone()).cookie("mine=s3cret"));
    assert_eq!(lines, OPENED);
    // The option stays behind at the first step to another origin; the jar knows where each cookie belongs.
    assert_eq!(web.sent(), ["mine=s3cret", "mine=s3cret; step=1", "", "step=2"]);
    assert_eq!(jar.names("ws://shop.test/").unwrap(), ["last", "step"]);
    assert_eq!(jar.names("ws://other.test/").unwrap(), ["there"]);
}

#[test]
fn b172_cookies_of_refusals_are_kept_and_go_along_when_the_app_reconnects() {
    let mut web = Web::new(|_| {
        Answer::Refuse("HTTP/1.1 503 Busy\r\nSet-Cookie: node=7\r\nSet-Cookie: try=1\r\n\r\n".to_owned())
    });
    let jar = CookieJar::new();
    let again = RunOptions::new().reconnect(Reconnect::from(SECOND).max_retries(2));
    web.run("ws://shop.test/", &again, |app| app.cookie_jar(jar.clone()));
    assert_eq!(web.sent(), ["", "node=7; try=1", "node=7; try=1"]);
}

#[test]
fn b172_cookies_of_a_connection_go_along_when_the_app_reconnects_and_a_change_is_followed() {
    let count = Rc::new(RefCell::new(0));
    let mut web = Web::new(move |_| {
        *count.borrow_mut() += 1;
        set(&[&format!("count={}", count.borrow())])
    });
    let again = Reconnect::from(SECOND).classify(|_| Verdict::Retry).max_retries(3);
    web.run("ws://shop.test/", &RunOptions::new().reconnect(again), |app| app.cookie_jar(CookieJar::new()));
    assert_eq!(web.sent(), ["", "count=1", "count=2", "count=3"]);
}

#[test]
fn b176_a_jar_is_opt_in_and_of_those_only_who_share_it() {
    let mut web = Web::new(|_| set(&["a=1"]));
    let (shared, own) = (CookieJar::new(), CookieJar::new());
    web.visit("ws://shop.test/", &shared);
    web.visit("ws://shop.test/", &shared.clone());
    web.visit("ws://shop.test/", &own);
    web.run("ws://shop.test/", &RunOptions::new(), |app| app);
    assert_eq!(web.sent(), ["", "a=1", "", ""]);
    assert_eq!((shared.len(), own.len()), (1, 1));
    shared.clear();
    web.visit("ws://shop.test/", &shared);
    web.visit("ws://shop.test/", &own);
    assert_eq!(web.sent(), ["", "a=1"]);
}

#[test]
fn b176_cookies_that_are_not_the_servers_to_set_are_neither_kept_nor_sent() {
    let mut web = Web::new(|place| match place {
        "shop.test/" => set(&[
            "a=1; Domain=other.test",
            "b=1; Domain=test",
            "c=1; Domain=www.shop.test",
            "d=1; Secure",
            "__Host-e=1; Path=/",
            "f=1; Domain=hop.test",
        ]),
        _ => set(&[]),
    });
    let jar = CookieJar::new();
    for host in ["shop.test", "shop.test", "www.shop.test", "other.test"] {
        assert_eq!(web.visit(&format!("ws://{host}/"), &jar), OPENED);
    }
    assert_eq!(web.sent(), ["", "", "", ""]);
    assert!(jar.is_empty());
}

#[test]
fn b176_a_secure_cookie_is_not_sent_without_tls() {
    let mut web = Web::new(|_| set(&[]));
    let jar = CookieJar::new();
    jar.insert("wss://shop.test/", "secret=1; Secure").unwrap();
    jar.insert("wss://shop.test/", "open=1").unwrap();
    web.visit("ws://shop.test/", &jar);
    assert_eq!(web.sent(), ["open=1"]);
}

#[test]
fn b177_malformed_cookies_cost_neither_the_connection_nor_their_neighbours() {
    let long = format!("long={}", "x".repeat(5000));
    let cookies =
        ["", "=", ";", "nameless", "=v", "good=1", "; Path=/", "odd=1; Max-Age=soon; X=\"", "é=ü", &long];
    let cookies: Vec<String> = cookies.iter().map(|cookie| format!("Set-Cookie: {cookie}")).collect();
    let mut web = Web::new(move |_| Answer::Open(cookies.clone()));
    let jar = CookieJar::new();
    for _ in 0..2 {
        assert_eq!(web.visit("ws://shop.test/", &jar), OPENED);
    }
    let sent = web.sent();
    assert!(sent[1].contains("good=1") && sent[1].contains("odd=1"), "{sent:?}");
    assert!(!sent[1].contains("long=") && !sent[1].contains("nameless"), "{sent:?}");
}

#[test]
fn b163_no_log_line_of_an_app_shows_a_cookie() {
    let mut web = Web::new(|_| Answer::Refuse("HTTP/1.1 403 No\r\nSet-Cookie: s=s3cret\r\n\r\n".to_owned()));
    let jar = CookieJar::new();
    let lines = web.run("ws://shop.test/", &RunOptions::new(), |app| {
        app.cookie_jar(jar.clone()).cookie("c=s3cret").on_error(|_, error| {
            assert!(
                !error.to_string().contains("s3cret") && !format!("{error:?}").contains("s3cret"),
                "{error:?}"
            );
        })
    });
    assert_eq!(lines, ["close: Upgrade(Status 403)"]);
    assert!(!format!("{jar:?}").contains("s3cret"));
}
