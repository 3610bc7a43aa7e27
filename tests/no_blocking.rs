//! Whoever is on the way and never answers holds up nobody: a resolver, a proxy and a TLS server stall beside an app that echoes.
//!
//! What that costs an echo in time, `bench/run no-blocking` measures; here nothing depends on a clock on the wall.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use websocket_app::link::proxy::Proxy;
use websocket_app::link::{Answer, Query, Resolver};
use websocket_app::tls::TlsOptions;
use websocket_app::{AppId, Reactor, RunOptions, WebSocketApp};
use websocket_testkit::frame;
use websocket_testkit::server::{EchoServer, ScriptedServer};
use websocket_testkit::sim::{Faults, SimNet, SimPeer};
use websocket_tests::{Authority, Log, SERVER, URL, World, until};

const MS: Duration = Duration::from_millis(1);
const MESSAGES: usize = 200;

/// Answers nothing: some questions it keeps, others go to a thread that hangs with the first of them.
struct StalledResolver {
    kept: Vec<Answer>,
    thread: Sender<Answer>,
    asked: Sender<()>,
}

impl StalledResolver {
    /// The thread hangs until `release` is dropped.
    fn new(asked: Sender<()>, release: Receiver<()>) -> Self {
        let (thread, queue) = mpsc::channel();
        let hangs = asked.clone();
        thread::spawn(move || {
            for answer in queue {
                let _test_is_over = hangs.send(());
                let _released = release.recv();
                drop::<Answer>(answer);
            }
        });
        Self { kept: Vec::new(), thread, asked }
    }
}

impl Resolver for StalledResolver {
    fn resolve(&mut self, query: Query, answer: Answer) {
        if query.host == "hangs.test" {
            self.thread.send(answer).unwrap();
        } else {
            self.kept.push(answer);
            self.asked.send(()).unwrap();
        }
    }
}

/// A server that reads the first bytes of a client, tells, and never answers.
fn mute(first: usize, reached: &Sender<()>) -> ScriptedServer {
    let reached = reached.clone();
    ScriptedServer::start(move |mut peer| {
        peer.read_exact(first);
        reached.send(()).unwrap();
        peer.read_to_end();
    })
    .unwrap()
}

/// No deadline that could come into the test's way.
fn patient() -> RunOptions {
    let hour = 3600 * 1000 * MS;
    RunOptions::new()
        .attempt_timeout(hour)
        .resolve_timeout(hour)
        .proxy_timeout(hour)
        .tls_timeout(hour)
        .tls(TlsOptions::new().environment(|_| None).roots_from_bytes(Authority::new().pem()))
}

fn through(scheme: &str, proxy: &ScriptedServer) -> RunOptions {
    patient().proxy(Proxy::parse(&format!("{scheme}://{}", proxy.addr())).unwrap())
}

/// A reactor with an app that is connected to `echo`, and the messages that it has heard.
fn echoing(echo: &EchoServer, resolver: StalledResolver) -> (Reactor, AppId, Rc<Cell<usize>>) {
    let mut reactor = Reactor::new().unwrap().resolver(resolver);
    let (open, heard) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(0)));
    let (opened, hears) = (open.clone(), heard.clone());
    let app = WebSocketApp::new(echo.url())
        .on_open(move |_, _| opened.set(true))
        .on_message(move |_, _| hears.set(hears.get() + 1));
    let id = app.run_on(&mut reactor, &RunOptions::new()).unwrap();
    until(&mut reactor, |_| open.get());
    (reactor, id, heard)
}

/// How many turns it takes to send a message and hear the answer.
fn turns(reactor: &mut Reactor, id: AppId, heard: &Cell<usize>) -> usize {
    let before = heard.get();
    reactor.apps().with(id, |app| app.send_text("tick")).unwrap().unwrap();
    until(reactor, |_| heard.get() > before)
}

#[test]
fn b195_b217_an_echo_takes_as_many_turns_beside_those_who_stall() {
    let echo = EchoServer::start().unwrap();
    let (reached, stalls) = mpsc::channel();
    // Before the reactor, whose end is theirs. What each of them reads first: `CONNECT `, the header of a TLS record, the greeting of
    // SOCKS5, the header again.
    let [http, https, socks, tls] = [8, 5, 3, 5].map(|first| mute(first, &reached));
    let (_release, released) = mpsc::channel();
    let (mut reactor, id, heard) = echoing(&echo, StalledResolver::new(reached.clone(), released));
    let (mut alone, alone_id, alone_heard) =
        echoing(&echo, StalledResolver::new(reached.clone(), mpsc::channel().1));

    let secure = format!("wss://{}/", tls.addr());
    let stalled = [
        ("ws://never.test/", patient()),
        ("ws://hangs.test/", patient()),
        ("ws://hangs.test/", patient()),
        (URL, through("http", &http)),
        (URL, through("https", &https)),
        (URL, through("socks5", &socks)),
        (&secure, patient()),
    ];
    let log = Log::new();
    for (url, options) in &stalled {
        log.app(*url).run_on(&mut reactor, options).unwrap();
    }
    // One of the two that hang waits behind the other. Their threads cannot wake the loop.
    let mut reach = 0;
    while reach < stalled.len() - 1 {
        reactor.poll(Some(MS)).unwrap();
        reach += stalls.try_iter().count();
    }
    // What the connecting has left behind is looked at before the first message.
    while reactor.poll(Some(Duration::ZERO)).unwrap().again {}

    let mut counts = Vec::new();
    for _ in 0..MESSAGES {
        let without = turns(&mut alone, alone_id, &alone_heard);
        counts.push((turns(&mut reactor, id, &heard), without));
    }
    assert_eq!(counts, [(2, 2); MESSAGES], "one turn writes, the next one reads");
    assert_eq!(log.lines(), [""; 0], "nobody has been given up meanwhile");
    assert_eq!(reactor.apps().len(), 1 + stalled.len());
}

/// When, in virtual time, each message of an app was sent that sends one every millisecond, and when it was heard again.
fn times(stalling: bool) -> Vec<(Duration, Duration)> {
    let mut faults = Faults::default();
    faults.latency = 300 * MS / 1000..=300 * MS / 1000;
    let mut world = World::on(SimNet::new(1).with_faults(faults));
    world.net.serve_arrivals(SERVER, echo);
    let (sent, times): (Rc<RefCell<Vec<Duration>>>, Rc<RefCell<Vec<_>>>) = Default::default();
    let (sends, hears) = (sent, times.clone());
    let sent = sends.clone();
    let (clock, hearing_clock) = (world.net.clone(), world.net.clone());
    let app = WebSocketApp::new(URL)
        .on_open(move |app, _| {
            let (sends, clock) = (sends.clone(), clock.clone());
            app.set_interval(MS, move |app| {
                sends.borrow_mut().push(clock.elapsed());
                app.send_text("tick")
            });
        })
        .on_message(move |_, _| {
            let mut hears = hears.borrow_mut();
            let sent = sent.borrow()[hears.len()];
            hears.push((sent, hearing_clock.elapsed()));
        });
    app.run_on(&mut world.reactor, &RunOptions::new()).unwrap();
    let log = Log::new();
    if stalling {
        stall(&mut world, &log);
    }
    world.run_until(1000 * MS);
    // Each was given up and tried again, many times.
    assert_eq!(log.count(|line| line.starts_with("error Timeout(")) >= 60, stalling, "{:?}", log.lines());
    times.take()
}

/// Puts apps on the reactor that begin, stall, are given up and begin again, at odd times.
fn stall(world: &mut World, log: &Log) {
    let proxy = "192.0.2.2:3128".parse().unwrap();
    let tls = "192.0.2.3:443".parse().unwrap();
    for address in [proxy, tls] {
        world.net.serve_arrivals(address, |peer| drop(peer.read_available()));
    }
    world.resolver.delay("never.test", None);
    let odd = Duration::from_micros(31_459);
    let options = patient().resolve_timeout(odd).proxy_timeout(odd).tls_timeout(odd).reconnect(7 * MS);
    let proxied = options.clone().proxy(Proxy::parse("http://192.0.2.2:3128").unwrap());
    for (url, options) in
        [("ws://never.test/", &options), ("ws://192.0.2.9/", &proxied), ("wss://192.0.2.3/", &options)]
    {
        log.app(url).run_on(&mut world.reactor, options).unwrap();
    }
}

/// Opens each connection and sends back every frame.
fn echo(peer: &SimPeer) {
    peer.accept_upgrade();
    while let Some(it) = peer.read_frame() {
        peer.write(&frame::encode(true, 0, it.opcode, &it.payload));
    }
}

#[test]
fn b195_b217_an_echo_is_as_fast_beside_those_who_stall_and_try_again() {
    let alone = times(false);
    assert!(alone.len() > 900, "{}", alone.len());
    assert!(alone.iter().all(|(sent, heard)| *heard - *sent == 600 * MS / 1000));
    assert_eq!(times(true), alone);
}
