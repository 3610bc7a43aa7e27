//! Unix sockets: by URL, on sockets of the system, and with listeners that have no room.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::Cell;
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use websocket_app::dispatcher::Io;
use websocket_app::link::proxy::{Proxy, ProxyPolicy};
use websocket_app::link::{Connector, SocketOptions, SystemConnector};
use websocket_app::{RunOptions, UrlError};
use websocket_testkit::frame;
use websocket_testkit::handshake::{self, Request};
use websocket_tests::{Log, Scratch, World, outcome_line, reactor, run_forever};

const MS: Duration = Duration::from_millis(1);

/// Answers so many connections to a socket with these, and hands the requests out.
fn server(path: &Path, answers: Vec<fn(&Request) -> Vec<u8>>) -> mpsc::Receiver<Request> {
    let listener = UnixListener::bind(path).unwrap();
    let (sender, requests) = mpsc::channel();
    thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let request = request(&mut stream);
            stream.write_all(&answer(&request)).unwrap();
            sender.send(request).unwrap();
            // Until the client hangs up.
            let _ = stream.read_to_end(&mut Vec::new());
        }
    });
    requests
}

fn request(stream: &mut UnixStream) -> Request {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        bytes.extend(byte);
    }
    Request::parse(&bytes).unwrap()
}

fn opens(request: &Request) -> Vec<u8> {
    [handshake::response(request, &[]), frame::text("hi"), frame::close(1000, "")].concat()
}

fn options() -> RunOptions {
    RunOptions::new().close_timeout(Duration::ZERO)
}

const OPENED: [&str; 3] = ["open", "text hi", "close 1000, by server, clean"];

#[test]
fn b196_a_unix_socket_by_its_url_whatever_proxy_there_is() {
    let scratch = Scratch::new();
    let path = scratch.path().join("a:b");
    let requests = server(&path, vec![opens, opens]);
    let url = format!("ws+unix://{}:/chat?q=1", path.display().to_string().replace("a:b", "a%3Ab"));
    let proxy = ProxyPolicy::direct().proxy(Proxy::parse("socks5://127.0.0.1:1").unwrap());
    for options in [options(), options().proxy(proxy)] {
        let log = Log::new();
        run_forever(&mut log.app(&url), &options).unwrap().into_result().unwrap();
        assert_eq!(log.lines(), OPENED);
        let request = requests.recv().unwrap();
        assert_eq!((request.path.as_str(), request.header("Host")), ("/chat?q=1", Some("localhost")));
        assert_eq!(request.header("Origin"), Some("http://localhost"));
    }
}

#[test]
fn b165_b196_a_redirect_within_the_origin_stays_on_the_socket() {
    let scratch = Scratch::new();
    let path = scratch.path().join("s");
    let redirects =
        |_: &Request| b"HTTP/1.1 302 Found\r\nLocation: /end\r\nContent-Length: 0\r\n\r\n".to_vec();
    let requests = server(&path, vec![redirects, opens]);
    let log = Log::new();
    run_forever(&mut log.app(format!("ws+unix:{}", path.display())), &options())
        .unwrap()
        .into_result()
        .unwrap();
    assert_eq!(log.lines(), OPENED);
    assert_eq!([requests.recv().unwrap().path, requests.recv().unwrap().path], ["/", "/end"]);
}

#[test]
fn b196_a_socket_that_is_not_there_is_an_error_and_is_tried_again() {
    let scratch = Scratch::new();
    let path = scratch.path().join("s");
    let url = format!("ws+unix:{}", path.display());
    let log = Log::new();
    let outcome = run_forever(&mut log.app(&url), &options()).unwrap();
    assert_eq!(outcome_line(&outcome), "lost Connect(NotFound)");
    assert_eq!(log.take(), ["error Connect(NotFound)", "close: Connect(NotFound)"]);

    // A file that nobody listens on any more.
    drop(UnixListener::bind(&path).unwrap());
    run_forever(&mut log.app(&url), &options()).unwrap().into_result().unwrap_err();
    assert_eq!(log.take(), ["error Connect(ConnectionRefused)", "close: Connect(ConnectionRefused)"]);

    std::fs::remove_file(&path).unwrap();
    let requests = std::cell::RefCell::new(None);
    let closed = log.clone();
    let mut app = log.app(&url).on_close(move |_, it| {
        closed.push(websocket_tests::close_line(it));
        if requests.borrow().is_none() {
            *requests.borrow_mut() = Some(server(&path, vec![opens]));
        }
    });
    run_forever(&mut app, &options().reconnect(MS)).unwrap().into_result().unwrap();
    assert_eq!(log.lines()[1], "close: Connect(NotFound), retry in 1ms");
    assert_eq!(log.lines()[2..], OPENED);
}

#[test]
fn b196_a_connector_without_unix_sockets_says_so_and_a_bad_url_is_refused_before_any_io() {
    let mut world = World::new();
    let log = Log::new();
    log.app("ws+unix:/run/nobody").run_on(&mut world.reactor, &RunOptions::new()).unwrap();
    world.settle();
    assert_eq!(log.lines(), ["error Connect(Unsupported)", "close: Connect(Unsupported)"]);
    for url in ["ws+unix:relative", "ws+unix:", "ws+unix:/a%00b"] {
        let refused = log.app(url).run_on(&mut world.reactor, &RunOptions::new()).unwrap_err();
        assert!(matches!(refused, websocket_app::Error::Url(UrlError::UnixSyntax(_))), "{refused:?}");
    }
}

/// A connector whose unix sockets never have room. It counts the tries.
struct Full(Rc<Cell<usize>>);

impl Connector for Full {
    fn connect(&mut self, _: SocketAddr, _: &SocketOptions) -> io::Result<Io> {
        panic!("no address is connected to");
    }

    fn connect_unix(&mut self, _: &Path) -> io::Result<Io> {
        self.0.set(self.0.get() + 1);
        Err(io::ErrorKind::WouldBlock.into())
    }
}

#[test]
fn l1_close_remove_and_stop_end_an_attempt_that_waits_for_room() {
    let tries = Rc::new(Cell::new(0));
    for (ends, lines) in [("close", &["close, by client"][..]), ("stop", &["close"]), ("remove", &[])] {
        let mut world = World::new().map(|reactor| reactor.connector(Full(tries.clone())));
        let log = Log::new();
        let id = log.app("ws+unix:/run/s").run_on(&mut world.reactor, &options()).unwrap();
        tries.set(0);
        world.run_until(10 * MS);
        assert_eq!((tries.get(), log.lines().len()), (4, 0), "{ends}");
        match ends {
            "close" => world.reactor.apps().with(id, |app| app.close()).unwrap(),
            "stop" => world.reactor.apps().stop(),
            _ => assert!(world.reactor.apps().remove(id)),
        }
        world.settle();
        assert_eq!(log.lines(), lines, "{ends}");
        assert_eq!((tries.get(), world.reactor.next_deadline()), (4, None), "{ends}");
    }
}

#[test]
fn l1_an_attempt_that_finds_no_room_is_followed_by_the_next_one() {
    let tries = Rc::new(Cell::new(0));
    let mut world = World::new().map(|reactor| reactor.connector(Full(tries.clone())));
    let log = Log::new();
    let options = options().connect_timeout(10 * MS).reconnect(Duration::from_secs(1));
    log.app("ws+unix:/run/s").run_on(&mut world.reactor, &options).unwrap();
    world.run_until(Duration::from_millis(1500));
    let failed = ["error Timeout(Connect)", "close: Timeout(Connect), retry in 1s"];
    assert_eq!(log.lines(), [failed, failed].concat());
    assert_eq!(tries.get(), 8);
}

/// The system's connector. When a socket has had no room for the first time, room is made.
struct MakingRoom {
    make: Option<Box<dyn FnOnce()>>,
    refused: Rc<Cell<usize>>,
}

impl Connector for MakingRoom {
    fn connect(&mut self, address: SocketAddr, options: &SocketOptions) -> io::Result<Io> {
        SystemConnector.connect(address, options)
    }

    fn connect_unix(&mut self, path: &Path) -> io::Result<Io> {
        let outcome = SystemConnector.connect_unix(path);
        if matches!(&outcome, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
            self.refused.set(self.refused.get() + 1);
            if let Some(make) = self.make.take() {
                make();
            }
        }
        outcome
    }
}

/// Elsewhere a full backlog is a refusal.
#[test]
#[cfg(target_os = "linux")]
fn l1_a_listener_without_room_is_connected_to_when_it_has_accepted_others() {
    use std::os::fd::OwnedFd;

    use socket2::{Domain, SockAddr, Socket, Type};

    let scratch = Scratch::new();
    let path = scratch.path().join("s");
    let listener = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    listener.bind(&SockAddr::unix(&path).unwrap()).unwrap();
    listener.listen(0).unwrap();
    let listener = UnixListener::from(OwnedFd::from(listener));
    let mut others = Vec::new();
    let full = loop {
        match SystemConnector.connect_unix(&path) {
            Ok(other) => others.push(other),
            Err(error) => break error.kind(),
        }
    };
    assert_eq!(full, io::ErrorKind::WouldBlock);

    let count = others.len();
    let (sender, requests) = mpsc::channel();
    let make = move || {
        let accepted: Vec<_> = (0..count).map(|_| listener.accept().unwrap()).collect();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let request = request(&mut stream);
            stream.write_all(&opens(&request)).unwrap();
            sender.send(request).unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
            drop(accepted);
        });
    };
    let refused = Rc::new(Cell::new(0));
    let connector = MakingRoom { make: Some(Box::new(make)), refused: refused.clone() };
    let mut reactor = reactor().connector(connector);
    let log = Log::new();
    log.app(format!("ws+unix:{}", path.display())).run_on(&mut reactor, &options()).unwrap();
    websocket_tests::run(&mut reactor);
    assert_eq!(log.lines(), OPENED);
    assert_eq!((refused.get(), requests.recv().unwrap().path.as_str()), (1, "/"));
}
