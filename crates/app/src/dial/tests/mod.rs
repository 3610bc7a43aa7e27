//! A dial without a reactor, in the simulated network and in virtual time.

#[cfg(unix)]
mod backlog;
mod cancelling;
mod early_bytes;
mod lines;
mod panics;
mod proxies;
mod racing;
mod redirects;
mod refusals;
mod rounds;
mod steps;
mod timeouts;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use websocket_dispatcher::{Clock, Dispatcher as _, Key, Ready, Wait as _};
use websocket_link::proxy::{Proxy, ProxyPolicy};
use websocket_testkit::sim::{SimDispatcher, SimNet, SimResolver};

use super::gate::Ticket;
use super::*;
use crate::failed_addresses::FailedAddresses;
use crate::id::{AppId, QueryId};
use crate::options::RunOptions;
use crate::plan::{Extras, Functions};
use crate::watched::KeyOwner;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// The app that dials.
const APP: AppId = AppId(Key::new(7, 1));
/// An app that is in its way.
const OTHER_APP: AppId = AppId(Key::new(8, 1));

const NAME: &str = "server.test";
const BY_NAME: &str = "ws://server.test/";
const BY_ADDRESS: &str = "ws://192.0.2.1/";

/// The simulated address with this last byte.
fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, last], 80))
}

/// What a run needs that goes through `proxy`, or through none.
fn options(proxy: Option<&str>) -> RunOptions {
    let policy = ProxyPolicy::direct();
    RunOptions::new().proxy(match proxy {
        Some(url) => policy.proxy(Proxy::parse(url).unwrap()),
        None => policy,
    })
}

type Answered = (AppId, QueryId, io::Result<Vec<SocketAddr>>);

/// What a dial needs, the dial itself, and what keeps it waiting.
struct Rig {
    net: SimNet,
    resolver: SimResolver,
    dispatcher: SimDispatcher,
    clock: Clock,
    links: Links,
    answers: Arc<Mutex<Vec<Answered>>>,
    buffer: Vec<u8>,
    plan: Box<Plan>,
    dial: Option<Box<Dial>>,
    /// What each attempt should try last.
    failed_addresses: FailedAddresses,
    /// Places of other apps.
    servers_taken: Vec<Place<Server>>,
    names_taken: Vec<Place<String>>,
    /// Other apps whose turn has come.
    called: Vec<AppId>,
}

impl Rig {
    fn new(url: &str, options: &RunOptions) -> Self {
        let net = SimNet::new(1);
        let resolver = net.resolver();
        let dispatcher = net.dispatcher();
        let answers = Arc::new(Mutex::new(Vec::new()));
        let (answered, waker) = (answers.clone(), dispatcher.waker());
        let reply = Arc::new(move |app, query, addresses| {
            answered.lock().unwrap().push((app, query, addresses));
            waker.wake_by_ref();
        });
        Self {
            links: Links::new(Box::new(resolver.clone()), Box::new(net.clone()), reply),
            plan: Plan::new(url, Extras::default(), options).unwrap(),
            net,
            resolver,
            clock: dispatcher.clock(),
            dispatcher,
            answers,
            buffer: vec![0; 4096],
            dial: None,
            failed_addresses: FailedAddresses::default(),
            servers_taken: Vec::new(),
            names_taken: Vec::new(),
            called: Vec::new(),
        }
    }

    fn with_functions(mut self, functions: Functions) -> Self {
        self.plan.set_functions(functions);
        self
    }

    /// The name has these addresses.
    fn with_name(self, last: &[u8]) -> Self {
        let addresses: Vec<_> = last.iter().map(|last| address(*last).ip()).collect();
        self.resolver.name(NAME, &addresses);
        self
    }

    /// Lets other apps take every place for a connection.
    fn take_all_connections(&mut self) {
        self.links.connections.set_max_total(1);
        self.take_place(Server::At(address(200)));
    }

    /// Lets another app take a place at `server`.
    fn take_place(&mut self, server: Server) {
        match self.links.connections.enter(server, OTHER_APP) {
            Admission::Granted(place) => self.servers_taken.push(place),
            Admission::Waiting(_) => panic!("there is no room"),
        }
    }

    /// Lets other apps ask for as many names as may be asked for at once.
    fn take_all_names(&mut self) {
        for number in 0.. {
            match self.links.names.enter(format!("other{number}.test"), OTHER_APP) {
                Admission::Granted(place) => self.names_taken.push(place),
                Admission::Waiting(_) => return,
            }
        }
    }

    /// Lets the other apps give their places back.
    fn give_places_back(&mut self) {
        self.servers_taken.clear();
        self.names_taken.clear();
    }

    /// Has another app wait for a place at `server`.
    fn queue_for(&self, server: Server) -> Ticket<Server> {
        match self.links.connections.enter(server, OTHER_APP) {
            Admission::Granted(_) => panic!("there is room"),
            Admission::Waiting(ticket) => ticket,
        }
    }

    fn net(&mut self) -> Net<'_> {
        Net {
            app: APP,
            clock: &self.clock,
            dispatcher: &mut self.dispatcher,
            links: &mut self.links,
            buffer: &mut self.buffer,
        }
    }

    /// Gives the dial one input. It stays where it is when the user's code panics, as in a reactor.
    fn feed(&mut self, step: impl FnOnce(&mut Dial, &mut Plan, &mut Net<'_>) -> Progress) -> Progress {
        let Self { dispatcher, clock, links, buffer, plan, dial, .. } = self;
        let mut net = Net { app: APP, clock, dispatcher, links, buffer };
        step(dial.as_mut().expect("a dial is under way"), plan, &mut net)
    }

    /// Begins an attempt.
    fn begin(&mut self) -> Progress {
        match Attempt::begin(&mut self.plan, self.failed_addresses.clone(), &self.clock) {
            Ok(attempt) => self.continue_with(attempt, None),
            Err(error) => Progress::Failed(error),
        }
    }

    /// Continues an attempt that was refused.
    fn continue_with(&mut self, attempt: Box<Attempt>, stream: Option<Io>) -> Progress {
        self.dial = Some(Dial::new(attempt));
        self.feed(|dial, plan, net| match stream {
            Some(io) => dial.adopt(io, plan, net),
            None => dial.set_out(plan, net),
        })
    }

    /// Gives the dial everything that happens until the virtual time since the start is `elapsed`, which is
    /// included, or until it has arrived or failed.
    fn run_until(&mut self, elapsed: Duration) -> Progress {
        let end = self.net.now() + elapsed.saturating_sub(self.net.elapsed());
        loop {
            let until = if self.links.names.can_call() || self.links.connections.can_call() {
                self.net.now()
            } else {
                self.dial.as_ref().and_then(|dial| dial.due()).map_or(end, |due| due.min(end))
            };
            let mut ready = Vec::new();
            self.dispatcher.wait(Some(until), &mut ready).unwrap();
            match self.turn(&ready) {
                (Progress::Waiting, happened) if happened || self.net.now() < end => {}
                (progress, _) => return progress,
            }
        }
    }

    /// [`begin`](Self::begin), then [`run_until`](Self::run_until).
    fn begin_and_run_until(&mut self, elapsed: Duration) -> Progress {
        match self.begin() {
            Progress::Waiting => self.run_until(elapsed),
            progress => progress,
        }
    }

    /// Gives the dial what has happened, in the order in which a reactor does, up to its end. Returns whether
    /// there was anything.
    fn turn(&mut self, ready: &[Ready]) -> (Progress, bool) {
        let mut happened = false;
        let answers = std::mem::take(&mut *self.answers.lock().unwrap());
        for (app, query, addresses) in answers {
            assert_eq!(app, APP);
            happened = true;
            match self.feed(|dial, plan, net| dial.resolved(query, addresses, plan, net)) {
                Progress::Waiting => {}
                progress => return (progress, happened),
            }
        }
        for ready in ready {
            happened = true;
            assert!(self.links.watched.report(*ready));
            assert_eq!(self.links.watched.take_report(ready.key), Some((KeyOwner::App(APP), *ready)));
            match self.feed(|dial, plan, net| dial.ready(ready.key, plan, net)) {
                Progress::Waiting => {}
                progress => return (progress, happened),
            }
        }
        if self.is_due() {
            happened = true;
            match self.feed(Dial::expired) {
                Progress::Waiting => assert!(!self.is_due(), "what was due was not done"),
                progress => return (progress, happened),
            }
        }
        while let Some((app, place)) = self.links.names.call() {
            happened = true;
            if app == OTHER_APP {
                self.called.push(app);
                continue;
            }
            match self.feed(|dial, plan, net| dial.may_ask(place, plan, net)) {
                Progress::Waiting => {}
                progress => return (progress, happened),
            }
        }
        while let Some((app, place)) = self.links.connections.call() {
            happened = true;
            if app == OTHER_APP {
                self.called.push(app);
                continue;
            }
            match self.feed(|dial, plan, net| dial.may_connect(place, plan, net)) {
                Progress::Waiting => {}
                progress => return (progress, happened),
            }
        }
        (Progress::Waiting, happened)
    }

    fn is_due(&self) -> bool {
        let due = self.dial.as_ref().and_then(|dial| dial.due());
        due.is_some_and(|due| due <= self.dispatcher.now())
    }

    /// When the dial has to be looked at next, by the virtual time since the start.
    fn due(&self) -> Option<Duration> {
        let start = self.net.now() - self.net.elapsed();
        self.dial.as_ref()?.due().map(|due| due - start)
    }

    fn hang_up(&mut self) {
        if let Some(dial) = self.dial.take() {
            dial.hang_up(&mut self.net());
        }
    }

    /// Hangs up, and checks that nothing is left of the dial.
    #[track_caller]
    fn assert_leaves_nothing(&mut self) {
        self.hang_up();
        self.give_places_back();
        assert_eq!(self.dispatcher.registrations(), 0, "registrations");
        assert_eq!(self.links.watched.len(), 0, "keys");
        assert!(self.links.connections.is_unused(), "places or tickets for connections");
        assert!(self.links.names.is_unused(), "places or tickets for names");
    }
}

#[track_caller]
fn waiting(progress: Progress) {
    match progress {
        Progress::Waiting => {}
        Progress::Arrived(_) => panic!("it has arrived"),
        Progress::Failed(error) => panic!("{error:?}"),
    }
}

#[track_caller]
fn failure(progress: Progress) -> Error {
    match progress {
        Progress::Failed(error) => error,
        Progress::Arrived(_) => panic!("it has arrived"),
        Progress::Waiting => panic!("it still waits"),
    }
}

#[track_caller]
fn arrival(progress: Progress) -> Arrival {
    match progress {
        Progress::Arrived(arrival) => arrival,
        Progress::Failed(error) => panic!("{error:?}"),
        Progress::Waiting => panic!("it still waits"),
    }
}
