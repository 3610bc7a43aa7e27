//! A connection takes one descriptor, whatever the event loop.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::{Cell, RefCell};
use std::env;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use websocket_app::{Reactor, RunOptions, WebSocketApp};
use websocket_hosts::{HOSTS, Host};
use websocket_testkit::handshake::response_for;
use websocket_tests::HostReactor;

/// Set in the process that serves, whose descriptors are not to be counted.
const ROLE: &str = "DESCRIPTORS_SERVER";
const FEW: usize = 20;
const MANY: usize = 9_500;
const LIMIT: u64 = 10_000;

/// The tests count descriptors of the whole process.
static ALONE: Mutex<()> = Mutex::new(());

/// A server in a process of its own.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    /// Runs the test `name` once more, as a server: see [`serve`].
    fn start(name: &str) -> Self {
        let mut process = Command::new(env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture", "--test-threads=1"])
            .env(ROLE, "yes")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let url = lines.map_while(Result::ok).find(|line| line.starts_with("ws://"));
        Self { process, url: url.expect("the server starts") }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _status = self.process.wait();
    }
}

/// Opens each connection and keeps it, until the process is killed.
fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("\nws://{}/", listener.local_addr().unwrap());
    let mut connections = Vec::new();
    for connection in listener.incoming() {
        let mut connection = connection.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut buffer = [0; 1024];
            let len = connection.read(&mut buffer).unwrap();
            assert!(len > 0, "the client has gone");
            request.extend_from_slice(&buffer[..len]);
        }
        connection.write_all(&response_for(&request)).unwrap();
        connections.push(connection);
    }
}

fn descriptors() -> usize {
    // One of them is that of the directory itself.
    fs::read_dir("/proc/self/fd").unwrap().count() - 1
}

fn reactor_on(host: &Host) -> HostReactor {
    Reactor::with_dispatcher(host.dispatcher().unwrap()).unwrap()
}

/// Opens so many connections more.
fn connect(reactor: &mut HostReactor, server: &Server, count: usize) {
    let opened = Rc::new(Cell::new(0));
    let failed = Rc::new(RefCell::new(None));
    for _ in 0..count {
        let (opened, failed) = (opened.clone(), failed.clone());
        WebSocketApp::new(&server.url)
            .on_open(move |_, _| opened.set(opened.get() + 1))
            .on_error(move |_, error| drop(failed.replace(Some(error.to_string()))))
            .run_on(reactor, &RunOptions::new())
            .unwrap();
    }
    reactor.run_until(|_| opened.get() == count || failed.borrow().is_some()).unwrap();
    assert_eq!(*failed.borrow(), None, "{} of {count} connections were opened", opened.get());
}

#[test]
fn a_connection_takes_one_descriptor_on_every_host() {
    if env::var_os(ROLE).is_some() {
        return serve();
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let server = Server::start("a_connection_takes_one_descriptor_on_every_host");
    for host in HOSTS {
        let mut reactor = reactor_on(host);
        // With the first, loops open what they have for all.
        connect(&mut reactor, &server, 1);
        let before = descriptors();
        connect(&mut reactor, &server, FEW);
        assert_eq!(descriptors() - before, FEW, "{}", host.name);
    }
}

#[test]
fn thousands_of_connections_need_as_many_descriptors_and_few_more() {
    if env::var_os(ROLE).is_some() {
        return serve();
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    if hard < LIMIT {
        eprintln!(
            "skipped: this process may have {hard} descriptors, and {MANY} connections need nearly {LIMIT}"
        );
        return;
    }
    // Of the server too, which inherits it.
    setrlimit(Resource::RLIMIT_NOFILE, LIMIT, hard).unwrap();
    for name in ["tokio", "polling", "io-uring", "io-uring-polling"] {
        let server = Server::start("thousands_of_connections_need_as_many_descriptors_and_few_more");
        let mut reactor = reactor_on(Host::by_name(name).unwrap());
        connect(&mut reactor, &server, MANY);
        let needed = descriptors();
        assert!((MANY..LIMIT as usize).contains(&needed), "{name}: {needed} descriptors");
        writeln!(io::stderr(), "{name}: {needed} descriptors for {MANY} connections").unwrap();
    }
}
