//! From addresses to a stream.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use websocket_connection::Connection;
use websocket_dispatcher::{Interest, Io, Key};
use websocket_link::Eyeballs;

use super::AppId;
use super::app::{App, Connecting, LiveStage, OnOpen, Racer, Stage};
use super::attempt::Attempt;
use super::drive::{Driver, again};
use super::schedule::later;
use super::secure::Secure;
use crate::Error;

impl Driver<'_> {
    /// Lets the addresses race.
    pub(super) fn connect(
        &mut self,
        app: &mut App,
        id: AppId,
        addresses: Vec<SocketAddr>,
        attempt: Box<Attempt>,
    ) {
        let way = &app.plan.options.way;
        let race = Eyeballs::new(addresses, way.attempt_delay);
        let deadline = later(self.apps.env.now, way.connect_timeout);
        app.stage = Stage::Connecting(Box::new(Connecting { race, failure: None, deadline, attempt }));
        self.race(app, id);
    }

    /// Takes a stream of the user's, connected or connecting, as the only one in the race.
    pub(super) fn adopt(&mut self, app: &mut App, id: AppId, mut io: Io, attempt: Box<Attempt>) {
        match self.watch(id, &mut io) {
            Ok((key, interest)) => {
                let deadline = later(self.apps.env.now, app.plan.options.way.connect_timeout);
                let mut race = Eyeballs::new(Vec::new(), Duration::ZERO);
                race.started(Racer { key, io, interest, address: None }, self.apps.env.now);
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
                Ok(((key, interest), io)) => {
                    connecting.race.started(Racer { key, io, interest, address: Some(address) }, now);
                }
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
        let moved = racer.io.connected().and_then(|connected| {
            let interest = if connected { racer.interest } else { racer.io.connecting_interest() };
            if std::mem::replace(&mut racer.interest, interest) != interest {
                self.dispatcher.reregister(key, &mut racer.io, interest)?;
            }
            Ok(connected)
        });
        match moved {
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

    /// The race has a winner: its stream leads to the server, or to a proxy.
    fn connected(&mut self, app: &mut App, id: AppId, winner: usize) {
        let Stage::Connecting(connecting) = &mut app.stage else { return };
        let Some(Racer { key, io, interest, .. }) = connecting.race.won(winner) else { return };
        for loser in connecting.race.abandon() {
            self.unwatch(id, loser.key, loser.io);
        }
        let Stage::Connecting(connecting) = std::mem::replace(&mut app.stage, Stage::New) else { return };
        match connecting.attempt.via {
            Some(_) => self.tunnel(app, id, key, io, interest, connecting.attempt),
            None => {
                self.handshake(app, id, key, io, interest, connecting.attempt);
                if interest == Interest::Read {
                    // It was readable while it connected, and what is left will not be announced again.
                    self.early(app, id, 0);
                }
            }
        }
    }

    /// Begins the opening handshake on a stream that leads to the server; `interest` is what it is watched for.
    pub(super) fn handshake(
        &mut self,
        app: &mut App,
        id: AppId,
        key: Key,
        io: Io,
        interest: Interest,
        attempt: Box<Attempt>,
    ) {
        let connection = Connection::new(app.plan.config().clone(), &attempt.request, &mut self.apps.env);
        let secure = Secure::begin(&app.plan.options.way, &attempt, self.apps.env.now);
        match connection.map_err(Error::from).and_then(|connection| Ok((connection, secure?))) {
            Ok((mut connection, secure)) => {
                connection.tx().set_mask_key(app.plan.take(|extras| &mut extras.mask_key));
                app.control.on_open = app.plan.jar().map(|jar| {
                    let cookies = Some((jar.clone(), attempt.target.clone()));
                    Box::new(OnOpen {
                        cookies,
                        #[cfg(feature = "tls")]
                        tls: None,
                    })
                });
                // The first write, at the end of this turn, sets what to watch from then on.
                app.stage = Stage::Live(Box::new(LiveStage {
                    key,
                    io,
                    interest,
                    secure,
                    connection,
                    attempt: Some(attempt),
                    read_closed: false,
                    broken: None,
                    queued: false,
                    swells: false,
                }));
                app.control.mark_dirty(self.apps, id);
                // Asked when all is in its place: it is the user's and may panic.
                let wants_fragments = app.handler.wants_fragments();
                if let Stage::Live(live) = &mut app.stage {
                    live.connection.set_deliver_fragments(wants_fragments);
                }
            }
            Err(error) => {
                self.unwatch(id, key, io);
                self.end(app, id, Some(error));
            }
        }
    }

    /// Gives a stream back to the dispatcher, which drops it: one of the user's own may panic then, and only its key must not be lost.
    pub(super) fn unwatch(&mut self, id: AppId, key: Key, io: Io) {
        self.apps.free_key(key);
        again(id, || self.dispatcher.deregister(key, io));
    }

    /// Registers a stream that is connecting.
    fn watch(&mut self, id: AppId, io: &mut Io) -> io::Result<(Key, Interest)> {
        let key = self.apps.new_key(id);
        // One of the user's own may be connected, or may have to hear something first: it is asked at the first event.
        let interest = if io.is_socket() { Interest::Write } else { Interest::ReadWrite };
        let registered = self.dispatcher.register(key, io, interest);
        if registered.is_err() {
            self.apps.free_key(key);
        }
        registered.map(|()| (key, interest))
    }
}
