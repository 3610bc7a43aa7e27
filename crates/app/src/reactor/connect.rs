//! From an added app to a connection on a stream.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use websocket_connection::{Connection, Request};
use websocket_dispatcher::{Interest, Io};
use websocket_link::{Answer, Query};

use super::AppId;
use super::app::{App, Connecting, LiveStage, Stage};
use super::drive::Driver;
use crate::Error;
use crate::inbox::Job;
use crate::target::Place;

impl Driver<'_> {
    /// Begins the attempt: on the given stream, at a literal address, or with the name.
    pub(super) fn start(&mut self, app: &mut App, id: AppId) {
        let request = match app.plan.request() {
            Ok(request) => Box::new(request),
            Err(error) => return self.end(app, id, Some(error)),
        };
        let way = &app.plan.options.way;
        let connect_deadline = self.apps.env.now + way.connect_timeout;
        if let Some(io) = app.plan.stream.take() {
            return match self.watch(id, None, io, VecDeque::new(), connect_deadline, request) {
                Ok(connecting) => app.stage = Stage::Connecting(connecting),
                Err((error, _)) => self.end(app, id, Some(Error::Connect { address: None, source: error })),
            };
        }
        match &app.plan.target.place {
            Place::Address(address) => {
                let address = SocketAddr::new(scoped(*address), app.plan.target.port);
                self.connect(app, id, VecDeque::from([address]), connect_deadline, request);
            }
            Place::Name(name) => {
                self.apps.queries += 1;
                let query = self.apps.queries;
                let deadline = self.apps.env.now + way.resolve_timeout;
                let inbox = self.apps.inbox.clone();
                let answer =
                    Answer::new(move |addresses| inbox.push(Job::Resolved { app: id, query, addresses }));
                self.apps.resolver.resolve(Query::new(name.clone(), app.plan.target.port), answer);
                app.stage = Stage::Resolving { query, deadline, request };
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
        let request = match std::mem::replace(&mut app.stage, Stage::Ended) {
            Stage::Resolving { query, request, .. } if query == answered => request,
            stage => {
                app.stage = stage;
                return;
            }
        };
        let host = || match &app.plan.target.place {
            Place::Name(name) => name.clone(),
            Place::Address(address) => address.to_string(),
        };
        match addresses {
            Ok(addresses) if addresses.is_empty() => {
                let source = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
                let host = host();
                self.end(app, id, Some(Error::Resolve { host, source }));
            }
            Ok(addresses) => {
                let deadline = self.apps.env.now + app.plan.options.way.connect_timeout;
                self.connect(app, id, addresses.into(), deadline, request);
            }
            Err(source) => {
                let host = host();
                self.end(app, id, Some(Error::Resolve { host, source }));
            }
        }
    }

    /// A connecting stream has moved.
    pub(super) fn connecting(&mut self, app: &mut App, id: AppId) {
        let Stage::Connecting(connecting) = &mut app.stage else { return };
        let connected = connecting.io.connected();
        if let Ok(false) = connected {
            return;
        }
        let Stage::Connecting(connecting) = std::mem::replace(&mut app.stage, Stage::Ended) else { return };
        let Connecting { key, io, address, rest, deadline, request } = *connecting;
        match connected {
            Ok(_) => match Connection::new(app.plan.config().clone(), &request, &mut self.apps.env) {
                Ok(mut connection) => {
                    connection.tx().set_mask_key(app.plan.mask_key.take());
                    // Registered for writing; the first write, at the end of this turn, sets what to watch from then on.
                    let interest = Interest::Write;
                    app.stage = Stage::Live(Box::new(LiveStage {
                        key,
                        io,
                        interest,
                        connection,
                        read_closed: false,
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
                self.connect(app, id, rest, deadline, request);
            }
        }
    }

    /// Starts connecting to the first of `addresses` that does not fail at once.
    fn connect(
        &mut self,
        app: &mut App,
        id: AppId,
        mut addresses: VecDeque<SocketAddr>,
        deadline: Instant,
        mut request: Box<Request>,
    ) {
        let mut failure = (None, io::Error::from(io::ErrorKind::AddrNotAvailable));
        while let Some(address) = addresses.pop_front() {
            log::debug!(target: "websocket::connect", "{id}: connecting to {address}");
            let attempt = match self.apps.connector.connect(address, &app.plan.options.way.socket) {
                Ok(io) => {
                    self.watch(id, Some(address), io, std::mem::take(&mut addresses), deadline, request)
                }
                Err(error) => {
                    failure = (Some(address), error);
                    continue;
                }
            };
            match attempt {
                Ok(connecting) => {
                    app.stage = Stage::Connecting(connecting);
                    return;
                }
                Err((error, back)) => {
                    failure = (Some(address), error);
                    (addresses, request) = back;
                }
            }
        }
        let (address, source) = failure;
        self.end(app, id, Some(Error::Connect { address, source }));
    }

    /// Registers a connecting stream; hands the addresses and the request back when that fails.
    #[allow(clippy::type_complexity, reason = "what failed, and what was handed over for the attempt")]
    fn watch(
        &mut self,
        id: AppId,
        address: Option<SocketAddr>,
        mut io: Io,
        rest: VecDeque<SocketAddr>,
        deadline: Instant,
        request: Box<Request>,
    ) -> Result<Box<Connecting>, (io::Error, (VecDeque<SocketAddr>, Box<Request>))> {
        let key = self.apps.new_key(id);
        match self.dispatcher.register(key, &mut io, Interest::Write) {
            Ok(()) => Ok(Box::new(Connecting { key, io, address, rest, deadline, request })),
            Err(error) => {
                self.apps.free_key(key);
                Err((error, (rest, request)))
            }
        }
    }
}

/// Addresses in URLs have no scope; a mapped IPv4 address is what it maps.
fn scoped(address: IpAddr) -> IpAddr {
    address.to_canonical()
}
