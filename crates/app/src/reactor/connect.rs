//! From an added app to a connection on a stream.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use websocket_connection::{Connection, State};
use websocket_dispatcher::{Interest, Io, Key};
use websocket_link::{Answer, Query};

use super::AppId;
use super::app::{App, Attempt, Connecting, LiveStage, Resolving, Stage};
use super::drive::Driver;
use super::schedule::later;
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
        // An attempt that is removed has no outcome, whatever became of the one before.
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
        let attempt = Attempt { request, deadline: later(self.apps.env.now, way.attempt_timeout) };
        let connect_deadline = later(self.apps.env.now, way.connect_timeout);
        let resolve_deadline = later(self.apps.env.now, way.resolve_timeout);
        if let Some(mut io) = stream {
            match self.watch(id, &mut io) {
                Ok(key) => {
                    let (address, rest, deadline) = (None, VecDeque::new(), connect_deadline);
                    let connecting = Connecting { key, io, address, rest, deadline, attempt };
                    app.stage = Stage::Connecting(Box::new(connecting));
                }
                Err(source) => self.end(app, id, Some(Error::Connect { address: None, source })),
            }
            return;
        }
        match target.place {
            Place::Address(address) => {
                let address = SocketAddr::new(address, target.port);
                self.connect(app, id, VecDeque::from([address]), connect_deadline, attempt);
            }
            Place::Name(name) => {
                self.apps.queries += 1;
                let query = self.apps.queries;
                let inbox = self.apps.inbox.clone();
                let answer =
                    Answer::new(move |addresses| inbox.push(Job::Resolved { app: id, query, addresses }));
                self.apps.resolver.resolve(Query::new(name.clone(), target.port), answer);
                let resolving = Resolving { query, name, deadline: resolve_deadline, attempt };
                app.stage = Stage::Resolving(Box::new(resolving));
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
        let Resolving { name: host, attempt, .. } = match std::mem::replace(&mut app.stage, Stage::New) {
            Stage::Resolving(resolving) if resolving.query == answered => *resolving,
            stage => {
                app.stage = stage;
                return;
            }
        };
        let source = match addresses {
            Ok(addresses) if !addresses.is_empty() => {
                let deadline = later(self.apps.env.now, app.plan.options.way.connect_timeout);
                return self.connect(app, id, addresses.into(), deadline, attempt);
            }
            Ok(_) => io::Error::new(io::ErrorKind::NotFound, "the name has no address"),
            Err(source) => source,
        };
        self.end(app, id, Some(Error::Resolve { host, source }));
    }

    /// A connecting stream has moved.
    pub(super) fn connecting(&mut self, app: &mut App, id: AppId) {
        let Stage::Connecting(connecting) = &mut app.stage else { return };
        // Whatever is the user's may panic: it is asked before the stream is moved.
        let connected = match connecting.io.connected() {
            Ok(false) => return,
            Ok(true) => {
                let config = app.plan.config().clone();
                let wants_fragments = app.handler.wants_fragments();
                let connection = Connection::new(config, &connecting.attempt.request, &mut self.apps.env);
                Ok(connection.map(|connection| (connection, wants_fragments)))
            }
            Err(error) => Err(error),
        };
        let Stage::Connecting(connecting) = std::mem::replace(&mut app.stage, Stage::New) else { return };
        let Connecting { key, io, address, rest, deadline, attempt } = *connecting;
        match connected {
            Ok(connection) => match connection {
                Ok((mut connection, wants_fragments)) => {
                    connection.set_deliver_fragments(wants_fragments);
                    connection.tx().set_mask_key(app.plan.take(|extras| &mut extras.mask_key));
                    // Registered for writing; the first write, at the end of this turn, sets what to watch from then on.
                    let interest = Interest::Write;
                    app.stage = Stage::Live(Box::new(LiveStage {
                        key,
                        io,
                        interest,
                        connection,
                        open_by: attempt.deadline,
                        read_closed: false,
                        broken: None,
                        queued: false,
                    }));
                    app.control.mark_dirty(self.apps, id);
                }
                Err(error) => {
                    self.dispatcher.deregister(key, io);
                    self.apps.free_key(key);
                    self.end(app, id, Some(error.into()));
                }
            },
            Err(error) => {
                self.dispatcher.deregister(key, io);
                self.apps.free_key(key);
                log::debug!(target: "websocket::connect", "{id}: {address:?} failed: {error}");
                if rest.is_empty() {
                    return self.end(app, id, Some(Error::Connect { address, source: error }));
                }
                self.connect(app, id, rest, deadline, attempt);
            }
        }
    }

    /// Starts connecting to the first of `addresses` that does not fail at once.
    fn connect(
        &mut self,
        app: &mut App,
        id: AppId,
        mut rest: VecDeque<SocketAddr>,
        deadline: Instant,
        attempt: Attempt,
    ) {
        let mut failure = (None, io::Error::from(io::ErrorKind::AddrNotAvailable));
        while let Some(address) = rest.pop_front() {
            log::debug!(target: "websocket::connect", "{id}: connecting to {address}");
            let connected = self.apps.connector.connect(address, &app.plan.options.way.socket);
            match connected.and_then(|mut io| Ok((self.watch(id, &mut io)?, io))) {
                Ok((key, io)) => {
                    let address = Some(address);
                    let connecting = Connecting { key, io, address, rest, deadline, attempt };
                    app.stage = Stage::Connecting(Box::new(connecting));
                    return;
                }
                Err(error) => failure = (Some(address), error),
            }
        }
        let (address, source) = failure;
        self.end(app, id, Some(Error::Connect { address, source }));
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
}
