//! From addresses to a stream.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use websocket_dispatcher::{Interest, Io, Key};
use websocket_link::Eyeballs;

use super::gate::{Admission, Place, Server, Ticket};
use super::net::Net;
use crate::error::Error;
use crate::live::Wire;
use crate::options::ConnectOptions;
use crate::schedule::later;

/// Streams that are connecting. The first to succeed is used.
pub(super) struct Race {
    eyeballs: Eyeballs<Racer>,
    /// For the first address. If it is present, each of the other addresses needs its own.
    place: Option<Place<Server>>,
    needs_places: bool,
    /// The next address, which has no place yet.
    waiting: Option<Waiting>,
    /// The last failure.
    failure: Option<(Option<SocketAddr>, io::Error)>,
    deadline: Instant,
}

/// A stream that is connecting.
struct Racer {
    wire: Wire,
    address: Option<SocketAddr>,
    place: Option<Place<Server>>,
}

/// An address that waits for its place.
struct Waiting {
    address: SocketAddr,
    _ticket: Ticket<Server>,
    since: Instant,
    /// Since when no stream is connecting meanwhile.
    idle_since: Option<Instant>,
}

/// How a race stands.
#[must_use]
pub(super) enum Standing {
    Open,
    /// On this stream, to this address, in this place.
    Won(Wire, Option<SocketAddr>, Option<Place<Server>>),
    Lost(Error),
}

impl Race {
    /// A race between these addresses, the second of the lists behind the first. `place` is for the first
    /// address; with it, each of the others needs its own.
    pub(super) fn new(
        (addresses, last): (Vec<SocketAddr>, Vec<SocketAddr>),
        place: Option<Place<Server>>,
        options: &ConnectOptions,
        now: Instant,
    ) -> Self {
        Self {
            eyeballs: Eyeballs::new(addresses, options.attempt_delay).followed_by(last),
            needs_places: place.is_some(),
            place,
            waiting: None,
            failure: None,
            deadline: later(now, options.connect_timeout),
        }
    }

    /// A race with one stream, connected or connecting, that was made elsewhere.
    pub(super) fn with_stream(
        io: Io,
        deadline: Instant,
        options: &ConnectOptions,
        net: &mut Net<'_>,
    ) -> Result<Self, Error> {
        let wire = net.watch(io, options).map_err(|source| Error::Connect { address: None, source })?;
        let mut race = Self { deadline, ..Self::new(Default::default(), None, options, net.now()) };
        race.eyeballs.started(Racer { wire, address: None, place: None }, net.now());
        Ok(race)
    }

    /// By when a stream must be connected; `None` while the race waits for a place.
    pub(super) fn deadline(&self) -> Option<Instant> {
        (!self.is_waiting()).then_some(self.deadline)
    }

    /// When the next address is to be tried.
    pub(super) fn next_start(&self) -> Option<Instant> {
        if self.waiting.is_some() { None } else { self.eyeballs.deadline() }
    }

    /// Whether nothing is under way but waiting for a place.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| waiting.idle_since.is_some())
    }

    /// Starts connecting to the addresses whose turn has come.
    pub(super) fn start_due(&mut self, options: &ConnectOptions, net: &mut Net<'_>) -> Standing {
        while self.waiting.is_none()
            && let Some(address) = self.eyeballs.next(net.now())
        {
            let place = match self.place_for(address, net) {
                Some(Admission::Granted(place)) => Some(place),
                Some(Admission::Waiting(ticket)) => {
                    self.waiting =
                        Some(Waiting { address, _ticket: ticket, since: net.now(), idle_since: None });
                    break;
                }
                None => None,
            };
            self.start(address, place, options, net);
        }
        self.note_idle(net.now());
        if self.waiting.is_some() || !self.eyeballs.is_exhausted() {
            return Standing::Open;
        }
        let none = || (None, io::ErrorKind::AddrNotAvailable.into());
        let (address, source) = self.failure.take().unwrap_or_else(none);
        Standing::Lost(Error::Connect { address, source })
    }

    /// There is a place for the address that waits for one, which has as much time left as when it began to
    /// wait. Returns for how long nothing else was under way.
    pub(super) fn admitted(
        &mut self,
        place: Place<Server>,
        options: &ConnectOptions,
        net: &mut Net<'_>,
    ) -> (Duration, Standing) {
        let Some(Waiting { address, since, idle_since, .. }) = self.waiting.take() else {
            return (Duration::ZERO, Standing::Open);
        };
        self.deadline = later(self.deadline, net.now().saturating_duration_since(since));
        self.start(address, Some(place), options, net);
        let idle = idle_since.map_or(Duration::ZERO, |since| net.now().saturating_duration_since(since));
        (idle, self.start_due(options, net))
    }

    /// The time of the streams that are connecting is up. Returns whether the race continues without them,
    /// with the address that waits for its place: it may be one of theirs.
    pub(super) fn outlasts_its_streams(&mut self, net: &mut Net<'_>) -> bool {
        if self.waiting.is_none() {
            return false;
        }
        while let Some(late) = self.eyeballs.failed(0) {
            net.unwatch(late.wire);
        }
        self.note_idle(net.now());
        true
    }

    /// A connecting stream has moved.
    pub(super) fn ready(&mut self, key: Key, options: &ConnectOptions, net: &mut Net<'_>) -> Standing {
        let racers = self.eyeballs.running_mut();
        let Some(index) = racers.iter().position(|racer| racer.wire.key == key) else {
            return Standing::Open;
        };
        let Racer { wire, address, .. } = &mut racers[index];
        let moved = wire.io.connected().and_then(|connected| {
            let interest = if connected { wire.interest } else { wire.io.connecting_interest() };
            wire.watch_for(interest, net.dispatcher)?;
            Ok(connected)
        });
        match moved {
            Ok(false) => Standing::Open,
            Ok(true) => match self.eyeballs.won(index) {
                Some(winner) => {
                    self.hang_up(net);
                    Standing::Won(winner.wire, winner.address, winner.place)
                }
                None => Standing::Open,
            },
            Err(error) => {
                let address = *address;
                log::debug!(target: "websocket::connect", "{}: {address:?} failed: {error}", net.app);
                self.failure = Some((address, error));
                if let Some(loser) = self.eyeballs.failed(index) {
                    net.unwatch(loser.wire);
                }
                self.start_due(options, net)
            }
        }
    }

    /// Looks at all connecting streams.
    pub(super) fn look(&mut self, options: &ConnectOptions, net: &mut Net<'_>) -> Standing {
        let keys: Vec<_> = self.eyeballs.running().iter().map(|racer| racer.wire.key).collect();
        for key in keys {
            match self.ready(key, options, net) {
                Standing::Open => {}
                standing => return standing,
            }
        }
        Standing::Open
    }

    /// Ends the race.
    pub(super) fn hang_up(&mut self, net: &mut Net<'_>) {
        self.waiting = None;
        for loser in self.eyeballs.abandon() {
            net.unwatch(loser.wire);
        }
    }

    /// Takes note of the time if nothing is under way any more but waiting for a place.
    fn note_idle(&mut self, now: Instant) {
        if let Some(waiting) = &mut self.waiting
            && self.eyeballs.running().is_empty()
        {
            waiting.idle_since.get_or_insert(now);
        }
    }

    /// Asks for a place at `address`, where one is needed.
    fn place_for(&mut self, address: SocketAddr, net: &Net<'_>) -> Option<Admission<Server>> {
        if !self.needs_places {
            return None;
        }
        Some(match self.place.take() {
            Some(place) => Admission::Granted(place),
            None => net.links.connections.enter(Server::at(address), net.app),
        })
    }

    fn start(
        &mut self,
        address: SocketAddr,
        place: Option<Place<Server>>,
        options: &ConnectOptions,
        net: &mut Net<'_>,
    ) {
        log::debug!(target: "websocket::connect", "{}: connecting to {address}", net.app);
        let connected = net.links.connector.connect(address, &options.socket);
        match connected.and_then(|io| net.watch(io, options)) {
            Ok(wire) => self.eyeballs.started(Racer { wire, address: Some(address), place }, net.now()),
            Err(error) => self.failure = Some((Some(address), error)),
        }
    }
}

/// Whether the stream was watched for bytes while it connected: what is left of them is not reported again.
pub(super) fn may_hold_bytes(wire: &Wire) -> bool {
    wire.interest == Interest::Read
}
