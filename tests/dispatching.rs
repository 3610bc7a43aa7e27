//! What the reactor asks of a dispatcher: what to watch, until when to sleep, and nothing else.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use websocket_app::dispatcher::{Clock, Dispatcher, Interest, Io, Key, MioDispatcher, Ready, Wait};
use websocket_app::{Error, Next, Reactor, RunOptions, WebSocketApp};
use websocket_testkit::frame;
use websocket_testkit::server::{EchoServer, Peer, ScriptedServer};
use websocket_testkit::sim::{Faults, SimDispatcher, SimNet, SimPeer};
use websocket_tests::{Counting, Edges, Log, SERVER, URL, dispatcher, forward_to, run_forever};

const SECOND: Duration = Duration::from_secs(1);

/// A call of the reactor's.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Call {
    Watch(Interest),
    Change(Interest),
    Forget,
    /// Sleep for so long at most.
    Wait(Option<Duration>),
}

use Call::{Change, Forget, Watch};

/// The simulated dispatcher, with a book of what it is asked.
struct Recording {
    inner: SimDispatcher,
    calls: Rc<RefCell<Vec<Call>>>,
}

impl Dispatcher for Recording {
    fn register(&mut self, key: Key, io: &mut Io, interest: Interest) -> io::Result<()> {
        self.calls.borrow_mut().push(Watch(interest));
        self.inner.register(key, io, interest)
    }

    fn reregister(&mut self, key: Key, io: &mut Io, interest: Interest) -> io::Result<()> {
        self.calls.borrow_mut().push(Change(interest));
        self.inner.reregister(key, io, interest)
    }

    fn deregister(&mut self, key: Key, io: Io) {
        self.calls.borrow_mut().push(Forget);
        self.inner.deregister(key, io);
    }

    fn waker(&self) -> Waker {
        self.inner.waker()
    }

    fn clock(&self) -> Clock {
        self.inner.clock()
    }
}

impl Wait for Recording {
    fn wait(&mut self, deadline: Option<Instant>, ready: &mut Vec<Ready>) -> io::Result<()> {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(self.now()));
        self.calls.borrow_mut().push(Call::Wait(left));
        self.inner.wait(deadline, ready)
    }
}

struct Books {
    net: SimNet,
    reactor: Reactor<Recording>,
    calls: Rc<RefCell<Vec<Call>>>,
}

impl Books {
    fn new() -> Self {
        let net = SimNet::new(1);
        let calls = Rc::default();
        let recording = Recording { inner: net.dispatcher(), calls: Rc::clone(&calls) };
        let reactor = Reactor::with_dispatcher(recording).unwrap().connector(net.clone());
        Self { net, reactor, calls }
    }

    /// Connects and opens `app`; returns the server's end.
    fn open(&mut self, app: WebSocketApp, options: &RunOptions) -> SimPeer {
        let listener = self.net.listen(SERVER);
        app.run_on(&mut self.reactor, options).unwrap();
        self.look();
        let peer = listener.accept().unwrap();
        peer.accept_upgrade().unwrap();
        self.look();
        peer
    }

    /// Takes turns while time stands still.
    fn look(&mut self) {
        for _ in 0..16 {
            self.reactor.poll(Some(Duration::ZERO)).unwrap();
        }
    }

    /// What the streams were watched for since the last look at the book.
    fn watched(&self) -> Vec<Call> {
        self.calls.take().into_iter().filter(|call| !matches!(call, Call::Wait(_))).collect()
    }

    /// How long the dispatcher was told to sleep, each time.
    fn sleeps(&self) -> Vec<Option<Duration>> {
        let waits = self.calls.take().into_iter().filter_map(|call| match call {
            Call::Wait(left) => Some(left),
            _ => None,
        });
        waits.collect()
    }

    /// Runs until it has slept `times` times.
    fn sleep(&mut self, times: usize) -> Vec<Option<Duration>> {
        self.calls.take();
        for _ in 0..times {
            self.reactor.poll(None).unwrap();
        }
        self.sleeps()
    }
}

#[test]
fn b211_the_loop_sleeps_until_its_next_timer_and_not_in_steps() {
    let mut books = Books::new();
    // In the Python library each of these sleeps would last as long as the ping's timeout, or ten seconds.
    let options = RunOptions::new()
        .ping_interval(30 * SECOND)
        .ping_timeout(7 * SECOND)
        .upgrade_timeout(SECOND)
        .attempt_timeout(SECOND);
    let app = WebSocketApp::new(URL).on_open(|app, _| {
        app.set_timeout(100 * SECOND, |_| ());
    });
    let _peer = books.open(app, &options);
    books.net.advance(2 * SECOND);
    // What belonged to the opening is found to be over.
    books.look();
    assert_eq!(books.sleep(1), [Some(28 * SECOND)], "until the ping");
    assert_eq!(books.sleep(1)[0], Some(7 * SECOND), "until its pong is late");
}

#[test]
fn b211_without_a_timer_the_loop_sleeps_without_end() {
    let mut books = Books::new();
    let options = RunOptions::new();
    let peer = books.open(WebSocketApp::new(URL), &options);
    books.net.advance(3600 * SECOND);
    books.look();
    books.net.after(1000 * SECOND, move |_| peer.write(&frame::text("at last")));
    assert_eq!(books.sleep(1), [None]);
}

#[test]
fn b212_the_loop_stops_in_the_turn_in_which_it_is_told_to() {
    let mut books = Books::new();
    let log = Log::new();
    let app = log.app(URL).on_message(|app, _| app.apps().stop());
    let peer = books.open(app, &RunOptions::new());
    books.calls.take();
    peer.write(&frame::text("stop"));
    books.reactor.run().unwrap();
    assert_eq!(books.sleeps().len(), 1, "the wait that brought the message is the last");
    assert_eq!(log.lines(), ["open", "close, by client"]);
}

#[test]
fn b212_the_loop_stops_when_the_last_app_has_ended() {
    let mut books = Books::new();
    let peer = books.open(WebSocketApp::new(URL), &RunOptions::new());
    peer.close();
    books.calls.take();
    books.reactor.run().unwrap();
    assert_eq!(books.sleeps().len(), 1);
}

#[test]
fn b212_something_may_be_asked_after_every_turn() {
    let mut books = Books::new();
    let peer = books.open(WebSocketApp::new(URL), &RunOptions::new());
    for second in 1..=3 {
        let peer = peer.clone();
        books.net.after(second * SECOND, move |_| peer.write(&frame::text("tick")));
    }
    books.calls.take();
    let mut asked = 0;
    books
        .reactor
        .run_until(|_| {
            asked += 1;
            asked > 3
        })
        .unwrap();
    assert_eq!(books.sleeps().len(), 3);
}

#[test]
fn b214_a_dispatcher_is_told_what_to_watch_and_when_to_forget_it() {
    let mut books = Books::new();
    let peer = books.open(WebSocketApp::new(URL), &RunOptions::new());
    assert_eq!(
        books.watched(),
        [Watch(Interest::ReadWrite), Change(Interest::Read)],
        "connecting, then reading"
    );
    peer.write(&frame::text("anything"));
    books.look();
    assert_eq!(books.watched(), [], "whoever reads and answers changes nothing");
    peer.close();
    books.look();
    assert_eq!(books.watched(), [Forget]);
}

#[test]
fn b215_writing_is_an_interest_and_never_the_dispatchers_work() {
    let mut books = Books::new();
    let mut faults = Faults::default();
    faults.send_buffer = 1000;
    books.net.set_faults(faults);
    let log = Log::new();
    let app = log.app(URL).on_open(|app, _| app.send_bytes([7; 5000]));
    let peer = books.open(app, &RunOptions::new());
    let calls = books.watched();
    assert_eq!(calls.last(), Some(&Change(Interest::ReadWrite)), "the socket was full: {calls:?}");
    let mut received = 0;
    while received < 5000 {
        received += peer.read_available().len();
        books.look();
    }
    assert_eq!(books.watched(), [Change(Interest::Read)], "all is written");
    assert_eq!(log.lines(), ["drain"]);
    // What the socket takes at once needs no word to the dispatcher.
    let id = books.reactor.apps().ids()[0];
    books.reactor.apps().with(id, |app| app.send_text("short")).unwrap().unwrap();
    books.look();
    assert_eq!(books.watched(), []);
}

#[test]
fn b216_timers_and_retries_are_one_deadline_of_the_dispatchers_clock() {
    let mut books = Books::new();
    books.net.refuse(SERVER);
    let app = WebSocketApp::new(URL).on_error(|app, _| {
        app.set_timeout(4 * SECOND, |_| ());
    });
    app.run_on(&mut books.reactor, &RunOptions::new().reconnect(9 * SECOND)).unwrap();
    let mut sleeps = Vec::new();
    while books.net.attempts().len() < 2 {
        sleeps.extend(books.sleep(1));
    }
    assert!(sleeps.contains(&Some(9 * SECOND)), "a retry sleeps in the dispatcher: {sleeps:?}");
    assert_eq!(books.net.elapsed(), 9 * SECOND, "timers end with their attempt");
}

#[test]
fn b216_an_interval_keeps_its_pace() {
    let mut books = Books::new();
    let app = WebSocketApp::new(URL).on_open(|app, _| {
        app.set_interval(2 * SECOND, |_| ());
    });
    let _peer = books.open(app, &RunOptions::new().attempt_timeout(SECOND).upgrade_timeout(SECOND));
    books.net.advance(SECOND);
    books.look();
    assert_eq!(books.sleep(3), [Some(SECOND), Some(2 * SECOND), Some(2 * SECOND)]);
}

/// Runs `app` on a loop that owns the thread: the reactor is only ever given turns.
fn host(app: WebSocketApp, options: &RunOptions) {
    let mut reactor = Reactor::with_dispatcher(dispatcher()).unwrap();
    app.run_on(&mut reactor, options).unwrap();
    let mut ready = Vec::new();
    loop {
        let Next { deadline, again, .. } = reactor.turn(&ready);
        if reactor.apps().is_empty() {
            return;
        }
        ready.clear();
        let deadline = if again { Some(Instant::now()) } else { deadline };
        reactor.dispatcher().wait(deadline, &mut ready).unwrap();
    }
}

#[test]
fn b218_a_loss_on_a_given_loop_is_reported_like_any_other() {
    let losses: [fn(Peer); 4] =
        [|mut peer| peer.send_close(1001, "going"), |mut peer| peer.write(&[0xff]), drop, Peer::reset];
    for (number, loss) in losses.into_iter().enumerate() {
        let server = ScriptedServer::start(move |mut peer| {
            peer.accept_upgrade();
            peer.write(&frame::text("hello"));
            peer.read_frame();
            loss(peer);
        })
        .unwrap();
        let app = |log: &Log| {
            let messages = log.clone();
            log.app(server.url()).on_message(move |app, message| {
                messages.message(message);
                app.send_text("go on")
            })
        };
        let (built_in, given) = (Log::new(), Log::new());
        let outcome = run_forever(&mut app(&built_in), &RunOptions::new()).unwrap();
        // The first is a close.
        assert_eq!(outcome.is_error(), number > 0);
        host(app(&given), &RunOptions::new());
        assert_eq!(given.lines(), built_in.lines(), "loss {number}");
        assert!(given.lines().last().unwrap().starts_with("close"), "loss {number}: {given:?}");
    }
}

/// As in a `select!` whose other branches are always ready.
#[test]
fn a_run_that_is_dropped_after_each_poll_loses_nothing() {
    let server = EchoServer::start().unwrap();
    let log = Log::new();
    let messages = log.clone();
    let app =
        log.app(server.url()).on_open(|app, _| app.send_text("hello")).on_message(move |app, message| {
            messages.message(message);
            app.close();
        });
    let mut reactor = Reactor::with_dispatcher(Edges(MioDispatcher::new().unwrap())).unwrap();
    app.run_on(&mut reactor, &RunOptions::new()).unwrap();
    let patience = Instant::now() + 30 * SECOND;
    while pin!(reactor.run_async()).poll(&mut Context::from_waker(Waker::noop())).is_pending() {
        assert!(Instant::now() < patience, "the run does not get on: {log:?}");
    }
    assert_eq!(log.lines(), ["text hello", "close 1000, by client, clean"]);
}

/// mio's poll until it is broken.
struct Breakable {
    inner: MioDispatcher,
    broken: Rc<Cell<bool>>,
}

impl Dispatcher for Breakable {
    forward_to!(inner);
}

impl Wait for Breakable {
    fn wait(&mut self, deadline: Option<Instant>, ready: &mut Vec<Ready>) -> io::Result<()> {
        if self.broken.get() {
            return Err(io::Error::other("broken"));
        }
        self.inner.wait(deadline, ready)
    }
}

#[test]
fn a_loop_that_breaks_gets_its_streams_back() {
    let server = EchoServer::start().unwrap();
    let broken = Rc::new(Cell::new(false));
    let breaks = broken.clone();
    let mut app = WebSocketApp::new(server.url()).on_open(move |_, _| breaks.set(true));
    let dispatcher = Counting::new(Breakable { inner: MioDispatcher::new().unwrap(), broken });
    let watched = dispatcher.watched.clone();
    let outcome = app.run_forever_on(dispatcher, &RunOptions::new());
    assert!(matches!(outcome, Err(Error::Dispatcher(_))), "{outcome:?}");
    assert_eq!(watched.get(), 0);
}

#[test]
fn a_crowd_that_is_ready_at_once_leaves_other_tasks_their_turns() {
    const APPS: usize = 600;
    const SHARE: usize = 256;
    let net = SimNet::new(1);
    let listener = net.listen(SERVER);
    let reactor = Reactor::with_dispatcher(Edges(net.dispatcher())).unwrap().connector(net.clone());
    let mut reactor = reactor.max_attempts(APPS).max_attempts_per_server(APPS);
    let heard = Rc::new(Cell::new(0));
    for _ in 0..APPS {
        let hears = heard.clone();
        let app = WebSocketApp::new(URL).on_message(move |_, _| hears.set(hears.get() + 1));
        app.run_on(&mut reactor, &RunOptions::new()).unwrap();
    }
    let mut poll =
        || assert!(pin!(reactor.run_async()).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let mut peers = Vec::new();
    while peers.len() < APPS {
        poll();
        peers.extend(std::iter::from_fn(|| listener.accept()));
    }
    (0..16).for_each(|_| poll());
    peers.iter().for_each(|peer| drop(peer.accept_upgrade().unwrap()));
    (0..16).for_each(|_| poll());
    peers.iter().for_each(|peer| peer.write(&frame::text("all at once")));
    let mut turns = Vec::new();
    while heard.get() < APPS {
        let before = heard.get();
        poll();
        turns.push(heard.get() - before);
    }
    assert!(turns.iter().all(|&heard| heard <= SHARE), "{turns:?}");
}
