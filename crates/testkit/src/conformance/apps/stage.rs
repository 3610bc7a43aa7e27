//! A reactor on the dispatcher under test, and the far ends of its apps.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::Waker;
use std::time::{Duration, Instant};

use websocket_app::{AppId, Context, Handler, Reactor, RunOptions, WebSocketApp};
use websocket_dispatcher::{Clock, Dispatcher, Interest, Io, Key, Ready, Wait};

use super::actor::{Actor, Log};
use super::server::Server;
use crate::conformance::rig::{MAX_IDLE_WAITS, Rig, drain};
use crate::conformance::{Far, Host};

/// A dispatcher that outlives its reactor, and counts what it reports.
pub(super) struct SharedDispatcher<D> {
    dispatcher: Rc<RefCell<D>>,
    /// Streams that it has reported as ready.
    pub(super) reported: Rc<Cell<u64>>,
}

impl<D> Clone for SharedDispatcher<D> {
    fn clone(&self) -> Self {
        Self { dispatcher: self.dispatcher.clone(), reported: self.reported.clone() }
    }
}

impl<D: Dispatcher> Dispatcher for SharedDispatcher<D> {
    fn register(&mut self, key: Key, io: &mut Io, interest: Interest) -> io::Result<()> {
        self.dispatcher.borrow_mut().register(key, io, interest)
    }

    fn reregister(&mut self, key: Key, io: &mut Io, interest: Interest) -> io::Result<()> {
        self.dispatcher.borrow_mut().reregister(key, io, interest)
    }

    fn deregister(&mut self, key: Key, io: Io) {
        self.dispatcher.borrow_mut().deregister(key, io);
    }

    fn waker(&self) -> Waker {
        self.dispatcher.borrow().waker()
    }

    fn clock(&self) -> Clock {
        self.dispatcher.borrow().clock()
    }

    fn short_read_drains(&self) -> bool {
        self.dispatcher.borrow().short_read_drains()
    }

    fn hand_over(&mut self) {
        self.dispatcher.borrow_mut().hand_over();
    }
}

impl<D: Wait> Wait for SharedDispatcher<D> {
    fn wait(&mut self, deadline: Option<Instant>, ready: &mut Vec<Ready>) -> io::Result<()> {
        let before = ready.len();
        let waited = self.dispatcher.borrow_mut().wait(deadline, ready);
        self.reported.set(self.reported.get() + (ready.len() - before) as u64);
        waited
    }
}

pub(super) struct Stage<'h, H: Host> {
    host: &'h mut H,
    pub(super) dispatcher: SharedDispatcher<H::Dispatcher>,
    /// Registrations before there was an app, where the host can tell.
    at_first: Option<usize>,
    pub(super) reactor: Option<Reactor<SharedDispatcher<H::Dispatcher>>>,
    pub(super) servers: Vec<Server<H::Far>>,
    pub(super) log: Log,
    /// Panics that came out of the reactor.
    pub(super) panics: usize,
}

impl<'h, H: Host> Stage<'h, H> {
    pub(super) fn new(host: &'h mut H) -> Self {
        let dispatcher = Rc::new(RefCell::new(host.dispatcher()));
        let dispatcher = SharedDispatcher { dispatcher, reported: Rc::default() };
        let reactor = Reactor::with_dispatcher(dispatcher.clone()).expect("a reactor");
        let mut stage = Self {
            host,
            dispatcher,
            at_first: None,
            reactor: Some(reactor),
            servers: Vec::new(),
            log: Log::default(),
            panics: 0,
        };
        stage.at_first = stage.registrations();
        stage
    }

    pub(super) fn reactor(&mut self) -> &mut Reactor<SharedDispatcher<H::Dispatcher>> {
        self.reactor.as_mut().expect("the reactor is there")
    }

    pub(super) fn registrations(&mut self) -> Option<usize> {
        self.host.registrations(&self.dispatcher.dispatcher.borrow())
    }

    /// A stream that belongs to no app, and its far end.
    pub(super) fn pair(&mut self) -> (Io, H::Far) {
        self.host.pair()
    }

    /// An app for so many connections, whose servers are the newest.
    pub(super) fn app(
        &mut self,
        name: &'static str,
        connections: usize,
        react: impl FnMut(&mut Context<'_>, &str) + 'static,
    ) -> WebSocketApp {
        let actor = Actor { name, log: self.log.clone(), react: Box::new(react) };
        self.app_with(actor, connections)
    }

    /// The same with a handler that does not write down what happens to it.
    pub(super) fn app_with(&mut self, handler: impl Handler, connections: usize) -> WebSocketApp {
        let mut streams = VecDeque::new();
        for _ in 0..connections {
            let (near, far) = self.host.pair();
            streams.push_back(near);
            self.servers.push(Server::new(far));
        }
        WebSocketApp::with_handler("ws://app.test/", handler)
            .socket_with(move || streams.pop_front().ok_or_else(|| io::ErrorKind::NotConnected.into()))
    }

    pub(super) fn add(&mut self, app: WebSocketApp, options: &RunOptions) -> AppId {
        self.reactor().apps().add(app, options).expect("an app that can be run")
    }

    /// Adds an app with one connection that does nothing by itself, and lets it open. Returns the app and the
    /// number of its server.
    pub(super) fn open(&mut self, name: &'static str) -> (AppId, usize) {
        self.open_with(name, |_, _| ())
    }

    pub(super) fn open_with(
        &mut self,
        name: &'static str,
        react: impl FnMut(&mut Context<'_>, &str) + 'static,
    ) -> (AppId, usize) {
        let app = self.app(name, 1, react);
        let id = self.add(app, &RunOptions::new());
        let opened = self.log.count(name, "open");
        self.until("an app opens", |stage| stage.log.count(name, "open") > opened);
        (id, self.servers.len() - 1)
    }

    pub(super) fn attend(&mut self) {
        self.servers.iter_mut().for_each(Server::attend);
    }

    /// One wait of at most `time`, and a turn.
    pub(super) fn poll(&mut self, time: Duration) {
        match &mut self.reactor {
            Some(reactor) => match catch_unwind(AssertUnwindSafe(|| reactor.poll(Some(time)))) {
                Ok(polled) => drop(polled.expect("a wait succeeds")),
                Err(_) => self.panics += 1,
            },
            None => {
                let deadline = self.dispatcher.now() + time;
                self.dispatcher.wait(Some(deadline), &mut Vec::new()).expect("a wait succeeds");
            }
        }
    }

    /// Moves servers and apps in turn until `done` says so.
    pub(super) fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let patience = self.dispatcher.now() + H::PATIENCE;
        loop {
            self.attend();
            if done(self) {
                return;
            }
            assert!(self.dispatcher.now() < patience, "{what}: did not happen");
            self.poll(H::PATIENCE / 1000);
        }
    }

    pub(super) fn until_logged(&mut self, app: &str, event: &str) {
        let what = format!("{app}: {event}");
        self.until(&what, |stage| stage.log.has(app, event));
    }

    /// Moves servers and apps for some time.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.dispatcher.now() + time;
        self.until("time", |stage| stage.dispatcher.now() >= end);
    }

    /// Waits until `time` has passed in which nothing happens, and fails if the waits return in circles.
    pub(super) fn rest(&mut self, time: Duration) {
        self.attend();
        let deadline = self.dispatcher.now() + time;
        let mut waits = 0;
        while self.dispatcher.now() < deadline {
            self.poll(deadline - self.dispatcher.now());
            waits += 1;
            assert!(waits <= MAX_IDLE_WAITS, "{waits} waits of idle apps returned before their deadline");
        }
    }

    /// Removes all apps from outside of a turn.
    pub(super) fn remove_all(&mut self) {
        let apps = self.reactor().apps();
        for id in apps.ids() {
            assert!(apps.remove(id));
        }
    }

    pub(super) fn until_all_streams_have_ended(&mut self) {
        self.until("the ends of all streams", |stage| stage.servers.iter().all(Server::has_ended));
        assert_eq!(self.registrations(), self.at_first, "registrations");
    }

    /// Nothing is left of any app: all streams have ended, and reactor and dispatcher are as good as new.
    pub(super) fn leaves_nothing(mut self) {
        self.until_all_streams_have_ended();
        if self.reactor.is_some() {
            let (_, server) = self.open("newcomer");
            self.rest(Duration::from_millis(2));
            self.servers[server].text("bye");
            self.until_logged("newcomer", "closed");
            self.until_all_streams_have_ended();
            assert!(self.reactor().apps().is_empty());
            self.reactor = None;
        }
        let Self { host, dispatcher, .. } = self;
        let dispatcher =
            Rc::try_unwrap(dispatcher.dispatcher).ok().expect("the reactor is gone").into_inner();
        // Slots of the dead, with generations that no reactor has given out.
        let mut rig = Rig::on(host, dispatcher);
        let keys = [Key::new(0, u32::MAX), Key::new(1, u32::MAX)];
        let is_known = |ready: &Ready| keys.contains(&ready.key);
        let mut lines = keys.map(|key| rig.open_as(key, Interest::Read));
        for line in &mut lines {
            line.far.write(b"x");
            rig.until("a new stream", |ready| {
                assert!(ready.iter().all(is_known), "{ready:?}: something dead was reported");
                ready.iter().any(|ready| ready.key == line.key && ready.readable)
            });
            drain(&mut line.io).expect("an open stream");
        }
        let reported = rig.rest(Duration::from_millis(2));
        assert!(reported.iter().all(is_known), "{reported:?}: something dead was reported");
    }

    /// The reactor is dropped together with its dispatcher: all streams must end by that alone.
    pub(super) fn drop_with_its_dispatcher(mut self) {
        self.reactor = None;
        let Self { host, dispatcher, mut servers, .. } = self;
        drop(dispatcher);
        // Another loop, for time to pass in.
        Rig::new(host).until_done("the ends of all streams after their loop", |_| {
            servers.iter_mut().for_each(Server::attend);
            servers.iter().all(Server::has_ended)
        });
    }
}
