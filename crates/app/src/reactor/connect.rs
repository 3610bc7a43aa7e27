//! From an added app to a connection on a stream.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use websocket_connection::{Connection, State};
use websocket_dispatcher::{Interest, Io, Key};
use websocket_link::{Answer, Eyeballs, Query};

use super::AppId;
use super::app::{App, Attempt, Connecting, LiveStage, Racer, Resolving, Stage};
use super::drive::{Driver, again};
use super::schedule::later;
use super::secure::Secure;
use crate::Error;
use crate::inbox::Job;
use crate::target::Place;

impl Driver<'_> {
    /// Begins the attempt: on the given stream, at a literal address, or with the name.
    pub(super) fn start(&mut self, app: &mut App, id: AppId) {
        app.control.attempts.started = app.control.attempts.started.saturating_add(1);
        app.control.note(id, State::Connecting);
        if let Some(row) = &mut app.control.row {
            row.retry_at = None;
        }
        app.stage = Stage::New;
        app.outcome = None;
        let asked = app.plan.next_target().and_then(|target| Ok((app.plan.next_request(&target)?, target)));
        let (request, target) = match asked {
            Ok(asked) => asked,
            Err(error) => return self.end(app, id, Some(error)),
        };
        let stream = match app.plan.next_stream() {
            Ok(stream) => stream,
            Err(source) => return self.end(app, id, Some(Error::Connect { address: None, source })),
        };
        let way = &app.plan.options.way;
        let deadline = later(self.apps.env.now, way.attempt_timeout);
        let attempt = Box::new(Attempt { target, request, deadline });
        if let Some(io) = stream {
            return self.adopt(app, id, io, attempt);
        }
        #[cfg(unix)]
        if let Some(path) = &attempt.target.unix {
            return match self.apps.connector.connect_unix(path) {
                Ok(io) => self.adopt(app, id, io, attempt),
                Err(source) => self.end(app, id, Some(Error::Connect { address: None, source })),
            };
        }
        match &attempt.target.place {
            Place::Address(_) => match attempt.target.socket_address().transpose() {
                Ok(address) => self.connect(app, id, address.into_iter().collect(), attempt),
                Err(source) => self.end(app, id, Some(Error::Connect { address: None, source })),
            },
            Place::Name(name) => {
                self.apps.queries += 1;
                let query = self.apps.queries;
                let inbox = self.apps.inbox.clone();
                let answer =
                    Answer::new(move |addresses| inbox.push(Job::Resolved { app: id, query, addresses }));
                self.apps.resolver.resolve(Query::new(name.clone(), attempt.target.port), answer);
                let deadline = later(self.apps.env.now, way.resolve_timeout);
                app.stage = Stage::Resolving(Resolving { query, deadline, attempt });
            }
        }
    }

    /// The resolver has answered; an answer to an earlier question is ignored.
    pub(super) fn resolved(
        &mut self,
        app: &mut App,
        id: AppId,
        answered: u64,
        addresses: io::Result<Vec<SocketAddr>>,
    ) {
        let attempt = match std::mem::replace(&mut app.stage, Stage::New) {
            Stage::Resolving(resolving) if resolving.query == answered => resolving.attempt,
            stage => {
                app.stage = stage;
                return;
            }
        };
        let source = match addresses {
            Ok(addresses) if !addresses.is_empty() => return self.connect(app, id, addresses, attempt),
            Ok(_) => io::Error::new(io::ErrorKind::NotFound, "the name has no address"),
            Err(source) => source,
        };
        let host = attempt.target.host();
        self.end(app, id, Some(Error::Resolve { host, source }));
    }

    /// Lets the addresses race.
    fn connect(&mut self, app: &mut App, id: AppId, addresses: Vec<SocketAddr>, attempt: Box<Attempt>) {
        let way = &app.plan.options.way;
        let race = Eyeballs::new(addresses, way.attempt_delay);
        let deadline = later(self.apps.env.now, way.connect_timeout);
        app.stage = Stage::Connecting(Box::new(Connecting { race, failure: None, deadline, attempt }));
        self.race(app, id);
    }

    /// Takes a stream of the user's, connected or connecting, as the only one in the race.
    fn adopt(&mut self, app: &mut App, id: AppId, mut io: Io, attempt: Box<Attempt>) {
        match self.watch(id, &mut io) {
            Ok(key) => {
                let deadline = later(self.apps.env.now, app.plan.options.way.connect_timeout);
                let mut race = Eyeballs::new(Vec::new(), Duration::ZERO);
                race.started(Racer { key, io, address: None }, self.apps.env.now);
                app.stage =
                    Stage::Connecting(Box::new(Connecting { race, failure: None, deadline, attempt }));
            }
            Err(source) => self.end(app, id, Some(Error::Connect { address: None, source })),
        }
    }

    /// Starts connecting to the addresses whose turn has come.
    pub(super) fn race(&mut self, app: &mut App, id: AppId) {
        let Stage::Connecting(connecting) = &mut app.stage else { return };
        let now = self.apps.env.now;
        while let Some(address) = connecting.race.next(now) {
            log::debug!(target: "websocket::connect", "{id}: connecting to {address}");
            let connected = self.apps.connector.connect(address, &app.plan.options.way.socket);
            match connected.and_then(|mut io| Ok((self.watch(id, &mut io)?, io))) {
                Ok((key, io)) => connecting.race.started(Racer { key, io, address: Some(address) }, now),
                Err(error) => connecting.failure = Some((Some(address), error)),
            }
        }
        if connecting.race.is_exhausted() {
            let none = || (None, io::ErrorKind::AddrNotAvailable.into());
            let (address, source) = connecting.failure.take().unwrap_or_else(none);
            self.end(app, id, Some(Error::Connect { address, source }));
        }
    }

    /// A connecting stream has moved.
    pub(super) fn connecting(&mut self, app: &mut App, id: AppId, key: Key) {
        let Stage::Connecting(connecting) = &mut app.stage else { return };
        let race = &mut connecting.race;
        let Some(index) = race.running().iter().position(|racer| racer.key == key) else { return };
        let Some(racer) = race.running_mut().get_mut(index) else { return };
        match racer.io.connected() {
            Ok(false) => {}
            Ok(true) => self.connected(app, id, index),
            Err(error) => {
                let Some(Racer { io, address, .. }) = race.failed(index) else { return };
                log::debug!(target: "websocket::connect", "{id}: {address:?} failed: {error}");
                connecting.failure = Some((address, error));
                self.unwatch(id, key, io);
                self.race(app, id);
            }
        }
    }

    /// The race has a winner: begins the opening handshake on its stream.
    fn connected(&mut self, app: &mut App, id: AppId, winner: usize) {
        let Stage::Connecting(connecting) = &mut app.stage else { return };
        // Whatever is the user's may panic: it is asked before the stream is moved.
        let wants_fragments = app.handler.wants_fragments();
        let request = &connecting.attempt.request;
        let connection = Connection::new(app.plan.config().clone(), request, &mut self.apps.env);
        let secure = Secure::begin(&app.plan.options.way, &connecting.attempt.target, self.apps.env.now);
        let begun = connection.map_err(Error::from).and_then(|connection| Ok((connection, secure?)));
        let Some(Racer { key, io, .. }) = connecting.race.won(winner) else { return };
        for loser in connecting.race.abandon() {
            self.unwatch(id, loser.key, loser.io);
        }
        let Stage::Connecting(connecting) = std::mem::replace(&mut app.stage, Stage::New) else { return };
        match begun {
            Ok((mut connection, secure)) => {
                connection.set_deliver_fragments(wants_fragments);
                connection.tx().set_mask_key(app.plan.take(|extras| &mut extras.mask_key));
                // Registered for writing; the first write, at the end of this turn, sets what to watch from then on.
                let interest = Interest::Write;
                app.stage = Stage::Live(Box::new(LiveStage {
                    key,
                    io,
                    interest,
                    secure,
                    connection,
                    attempt: Some(connecting.attempt),
                    read_closed: false,
                    broken: None,
                    queued: false,
                }));
                app.control.mark_dirty(self.apps, id);
            }
            Err(error) => {
                self.unwatch(id, key, io);
                self.end(app, id, Some(error));
            }
        }
    }

    /// Registers a stream that is connecting.
    fn watch(&mut self, id: AppId, io: &mut Io) -> io::Result<Key> {
        let key = self.apps.new_key(id);
        let registered = self.dispatcher.register(key, io, Interest::Write);
        if registered.is_err() {
            self.apps.free_key(key);
        }
        registered.map(|()| key)
    }

    /// Gives a stream back to the dispatcher, which drops it: one of the user's own may panic then, and only its key must not be lost.
    pub(super) fn unwatch(&mut self, id: AppId, key: Key, io: Io) {
        self.apps.free_key(key);
        again(id, || self.dispatcher.deregister(key, io));
    }
}
