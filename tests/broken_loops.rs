//! A loop that breaks ends every app with `on_error` and `on_close`, however the reactor is run.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::Cell;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use websocket_app::dispatcher::{Dispatcher, PollWait, Ready, Wait};
use websocket_app::{
    Error, NoRetry, Outcome, PanicPolicy, Reactor, Reconnect, RunOptions, Verdict, WebSocketApp,
};
use websocket_testkit::server::EchoServer;
use websocket_testkit::sim::{SimDispatcher, SimNet};
use websocket_tests::{Log, SERVER, URL, dispatcher, forward_to, outcome_line};

const SECOND: Duration = Duration::from_secs(1);

/// A dispatcher until it is broken.
struct Breakable<D> {
    inner: D,
    broken: Rc<Cell<bool>>,
}

impl<D: Dispatcher> Dispatcher for Breakable<D> {
    forward_to!(inner);
}

impl<D: Wait> Wait for Breakable<D> {
    fn wait(&mut self, deadline: Option<Instant>, ready: &mut Vec<Ready>) -> io::Result<()> {
        match self.broken.get() {
            true => Err(io::Error::from_raw_os_error(9)),
            false => self.inner.wait(deadline, ready),
        }
    }
}

impl<D: Wait> PollWait for Breakable<D> {
    fn poll_wait(
        &mut self,
        _: &mut Context<'_>,
        _: Option<Instant>,
        ready: &mut Vec<Ready>,
    ) -> Poll<io::Result<()>> {
        Poll::Ready(self.wait(Some(self.clock().now()), ready))
    }
}

/// A reactor with an app that is open, one that connects and one that waits to connect again.
struct World {
    reactor: Reactor<Breakable<SimDispatcher>>,
    broken: Rc<Cell<bool>>,
    logs: [Log; 3],
}

impl World {
    fn new() -> Self {
        let net = SimNet::new(1);
        let broken = Rc::new(Cell::new(false));
        let inner = Breakable { inner: net.dispatcher(), broken: broken.clone() };
        let mut reactor = Reactor::with_dispatcher(inner).unwrap().connector(net.clone());
        let logs = [(); 3].map(|()| Log::new());
        net.serve_arrivals(SERVER, |peer| drop(peer.accept_upgrade()));
        net.black_hole("192.0.2.2:80".parse().unwrap());
        net.refuse("192.0.2.3:80".parse().unwrap());
        let urls = [URL, "ws://192.0.2.2/", "ws://192.0.2.3/"];
        for (log, url) in logs.iter().zip(urls) {
            let policy = Reconnect::fixed(3600 * SECOND).classify(|_| Verdict::Retry);
            let (errors, ends) = (log.clone(), log.clone());
            let app =
                log.app(url).on_end(move |_, outcome| ends.push(format!("end {}", outcome_line(outcome))));
            let app = app.on_error(move |app, error| {
                errors.push(format!("error {error}"));
                if matches!(error, Error::Dispatcher(_)) {
                    assert_eq!(app.retry(), Some(Err(NoRetry::Stopped)));
                }
            });
            app.run_on(&mut reactor, &RunOptions::new().reconnect(policy)).unwrap();
        }
        for _ in 0..16 {
            reactor.poll(Some(Duration::ZERO)).unwrap();
        }
        assert_eq!(logs.each_ref().map(|log| log.take().len()), [1, 0, 2]);
        Self { reactor, broken, logs }
    }
}

#[test]
fn every_app_ends_however_the_reactor_is_run() {
    type Run = fn(&mut Reactor<Breakable<SimDispatcher>>) -> Result<(), Error>;
    let runs: [Run; 4] = [
        |reactor| reactor.run(),
        |reactor| reactor.run_until(|_| false),
        |reactor| reactor.poll(None).map(drop),
        |reactor| match pin!(reactor.run_async()).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(ran) => ran,
            Poll::Pending => panic!("the loop is broken"),
        },
    ];
    for run in runs {
        let mut world = World::new();
        world.broken.set(true);
        let error = run(&mut world.reactor).unwrap_err();
        assert!(matches!(&error, Error::Dispatcher(error) if error.raw_os_error() == Some(9)), "{error}");
        let lines = [format!("error {error}"), format!("close: {error}"), format!("end lost {error}")];
        let [open, connecting, waiting] = world.logs.each_ref().map(Log::take);
        assert_eq!((open, connecting), (lines.to_vec(), lines.to_vec()));
        assert_eq!(waiting, lines[2..], "its last attempt has had its on_close");
        assert!(world.reactor.apps().is_empty());

        // A loop that works again runs apps that are added then.
        world.broken.set(false);
        let log = Log::new();
        let app = log.app(URL).on_open(|app, _| app.apps().stop());
        app.run_on(&mut world.reactor, &RunOptions::new()).unwrap();
        world.reactor.run().unwrap();
        assert_eq!(log.take(), ["close, by client"]);
    }
}

#[test]
fn a_panic_in_such_an_end_leaves_the_run_where_panics_propagate() {
    let mut world = World::new();
    world.reactor = world.reactor.panic_policy(PanicPolicy::Propagate);
    let log = Log::new();
    let app = log.app(URL).on_error(|_, _| panic!("in on_error"));
    app.run_on(&mut world.reactor, &RunOptions::new()).unwrap();
    world.broken.set(true);
    let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.reactor.run()));
    assert_eq!(ran.unwrap_err().downcast_ref::<&str>(), Some(&"in on_error"));
    assert!(world.reactor.apps().is_empty() && log.take().last().unwrap().starts_with("close"));
}

#[test]
fn run_forever_returns_the_error_and_the_app_has_ended_and_can_run_again() {
    let server = EchoServer::start().unwrap();
    let broken = Rc::new(Cell::new(false));
    let breaks = broken.clone();
    let log = Log::new();
    let app = log.app(server.url());
    let mut app: WebSocketApp = app.on_open(move |app, _| {
        if breaks.replace(true) {
            app.close()
        }
    });
    let outcome = app.run_forever_on(Breakable { inner: dispatcher(), broken }, &RunOptions::new());
    let error = outcome.unwrap_err();
    assert!(matches!(error, Error::Dispatcher(_)));
    assert_eq!(log.take(), [format!("error {error}"), format!("close: {error}")]);
    let again = app.run_forever_on(dispatcher(), &RunOptions::new()).unwrap();
    assert!(matches!(again, Outcome::Clean { .. }), "{again:?}");
}
