//! From a target to a stream that leads to its server: proxy, name, addresses, tunnel.
//!
//! A [`Dial`] takes input and returns [`Progress`]. It calls no callback, ends no app and touches no other app. The user's functions that
//! make URLs, headers, streams and answers to challenges run inside, and may panic: the dial is whole before each of them is called, so
//! that [`Dial::hang_up`] leaves nothing behind.

mod attempt;
mod connect;
mod gate;
mod net;
#[cfg(test)]
mod tests;
mod tunnel;

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use websocket_dispatcher::{Io, Key};
use websocket_link::{Asker, Destination};

use crate::error::{Error, Timeout};
use crate::id::QueryId;
use crate::live::Wire;
use crate::plan::Plan;
use crate::schedule::{earliest, later};

pub(crate) use attempt::Attempt;
pub(crate) use gate::Place;
pub(crate) use net::{Links, Net};

use connect::{Race, Standing, may_hold_bytes};
use gate::{Admission, Ticket};
use tunnel::Tunnel;

/// How far a dial has come.
#[must_use]
pub(crate) enum Progress {
    /// Something has to happen first.
    Waiting,
    /// There is a stream that leads to the server.
    Arrived(Arrival),
    /// There will be none.
    Failed(Error),
}

/// A stream that leads to the server.
pub(crate) struct Arrival {
    pub(crate) wire: Wire,
    /// Bytes may have come from the server already, which will not be reported again; so many are at the front of the buffer.
    pub(crate) early: Option<usize>,
}

/// From a target to a stream that leads to its server.
pub(crate) struct Dial {
    attempt: Box<Attempt>,
    step: Step,
}

enum Step {
    /// Nothing is under way: the next step is being decided, now.
    Deciding,
    /// Others are on their way to the same server.
    Queued { _ticket: Ticket, since: Instant, is_first: bool },
    /// A name is being resolved.
    Resolving(Box<Resolving>),
    /// Streams are connecting.
    Connecting(Box<Race>),
    /// A proxy is asked for a tunnel.
    Tunnelling(Box<Tunnel>),
}

struct Resolving {
    query: QueryId,
    _asker: Asker,
    name: String,
    /// The address is for the proxy, which cannot carry a name.
    for_proxy: bool,
    deadline: Instant,
}

/// What is due.
#[derive(Clone, Copy)]
enum Due {
    Timeout(Timeout),
    NextAddress,
}

impl Dial {
    pub(crate) fn new(attempt: Box<Attempt>) -> Box<Self> {
        Box::new(Self { attempt, step: Step::Deciding })
    }

    /// Begins an attempt.
    pub(crate) fn begin(&mut self, plan: &mut Plan, net: &mut Net<'_>) -> Progress {
        self.enter(true, plan, net)
    }

    /// Continues an attempt that was refused, on this stream if there is one.
    pub(crate) fn resume(&mut self, stream: Option<Io>, plan: &mut Plan, net: &mut Net<'_>) -> Progress {
        match stream {
            Some(io) => self.adopt(io, plan, net),
            None => self.enter(false, plan, net),
        }
    }

    /// There is a place for the connection.
    pub(crate) fn admitted(&mut self, place: Place, plan: &mut Plan, net: &mut Net<'_>) -> Progress {
        match &mut self.step {
            Step::Queued { since, is_first, .. } => {
                let (waited, is_first) = (net.now.saturating_duration_since(*since), *is_first);
                self.step = Step::Deciding;
                self.attempt.postpone(waited);
                self.attempt.place = Some(place);
                self.depart(is_first, plan, net)
            }
            Step::Connecting(race) => {
                let (waited, standing) = race.admitted(place, &plan.options.connect, net);
                self.attempt.postpone(waited);
                self.raced(standing, plan, net)
            }
            // It has gone another way meanwhile.
            _ => Progress::Waiting,
        }
    }

    /// The resolver has answered; an answer to an earlier question is ignored.
    pub(crate) fn resolved(
        &mut self,
        answered: QueryId,
        addresses: io::Result<Vec<SocketAddr>>,
        plan: &mut Plan,
        net: &mut Net<'_>,
    ) -> Progress {
        let resolving = match std::mem::replace(&mut self.step, Step::Deciding) {
            Step::Resolving(resolving) if resolving.query == answered => resolving,
            step => {
                self.step = step;
                return Progress::Waiting;
            }
        };
        let source = match addresses {
            Ok(addresses) if addresses.is_empty() => {
                io::Error::new(io::ErrorKind::NotFound, "the name has no address")
            }
            Ok(addresses) if !resolving.for_proxy => return self.connect(addresses, plan, net),
            Ok(addresses) => {
                if let Some(via) = &mut self.attempt.via {
                    match via.proxy.pick_address(&addresses) {
                        Ok(address) => via.destination = address.into(),
                        Err(error) => return Progress::Failed(Error::Proxy(error)),
                    }
                }
                return self.next_hop(plan, net);
            }
            Err(source) => source,
        };
        Progress::Failed(Error::Resolve { host: resolving.name, source })
    }

    /// A stream of this app has moved.
    pub(crate) fn ready(&mut self, key: Key, plan: &mut Plan, net: &mut Net<'_>) -> Progress {
        match &mut self.step {
            Step::Connecting(race) => {
                let standing = race.ready(key, &plan.options.connect, net);
                self.raced(standing, plan, net)
            }
            Step::Tunnelling(_) => self.tunnelling(key, plan, net),
            _ => Progress::Waiting,
        }
    }

    /// When [`expired`](Self::expired) is to be called.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.next_due().map(|(at, _)| at)
    }

    /// Does what is due.
    pub(crate) fn expired(&mut self, plan: &mut Plan, net: &mut Net<'_>) -> Progress {
        match self.next_due() {
            Some((at, due)) if at <= net.now => match due {
                Due::NextAddress => self.race(plan, net),
                Due::Timeout(timeout) => Progress::Failed(Error::Timeout(timeout)),
            },
            _ => Progress::Waiting,
        }
    }

    /// Gives every stream back to the dispatcher.
    pub(crate) fn hang_up(self, net: &mut Net<'_>) {
        match self.step {
            Step::Connecting(mut race) => race.hang_up(net),
            Step::Tunnelling(tunnel) => net.unwatch(tunnel.wire),
            Step::Deciding | Step::Queued { .. } | Step::Resolving(_) => {}
        }
    }

    /// The attempt, for the connection that is to be opened on the stream that has [arrived](Progress::Arrived).
    pub(crate) fn into_attempt(self) -> Box<Attempt> {
        self.attempt
    }

    /// All deadlines, of which the step's come first: they say more than the attempt's.
    fn next_due(&self) -> Option<(Instant, Due)> {
        let timeout = |at: Instant, timeout| Some((at, Due::Timeout(timeout)));
        let (step, next_address) = match &self.step {
            Step::Queued { .. } => return None,
            Step::Deciding => (None, None),
            Step::Resolving(resolving) => (timeout(resolving.deadline, Timeout::Resolve), None),
            Step::Connecting(race) => {
                let deadline = race.deadline()?;
                (timeout(deadline, Timeout::Connect), race.next_start().map(|at| (at, Due::NextAddress)))
            }
            Step::Tunnelling(tunnel) => (timeout(tunnel.deadline, Timeout::Proxy), None),
        };
        earliest([step, timeout(self.attempt.deadline, Timeout::Attempt), next_address])
    }

    /// Asks for a place to make the connection, unless the attempt has one.
    fn enter(&mut self, is_first: bool, plan: &mut Plan, net: &mut Net<'_>) -> Progress {
        let server = match self.attempt.choose_route(plan) {
            Ok(server) => server,
            Err(error) => return Progress::Failed(error),
        };
        if self.attempt.place.is_none() {
            match net.links.gate.enter(server, net.app) {
                Admission::Granted(place) => self.attempt.place = Some(place),
                Admission::Waiting(ticket) => {
                    self.step = Step::Queued { _ticket: ticket, since: net.now, is_first };
                    return Progress::Waiting;
                }
            }
        }
        self.depart(is_first, plan, net)
    }

    /// Goes to the target: on the user's stream, through its unix socket, through a proxy, or directly.
    fn depart(&mut self, is_first: bool, plan: &mut Plan, net: &mut Net<'_>) -> Progress {
        if is_first {
            match plan.next_request(&self.attempt.target) {
                Ok(request) => self.attempt.request = request,
                Err(error) => return Progress::Failed(error),
            }
            match plan.next_stream() {
                Ok(Some(io)) => return self.adopt(io, plan, net),
                Ok(None) => {}
                Err(source) => return Progress::Failed(Error::Connect { address: None, source }),
            }
        }
        #[cfg(unix)]
        if let Some(path) = &self.attempt.target.unix {
            return match net.links.connector.connect_unix(path) {
                Ok(io) => self.adopt(io, plan, net),
                Err(source) => Progress::Failed(Error::Connect { address: None, source }),
            };
        }
        self.next_hop(plan, net)
    }

    /// Resolves what has to be resolved, and connects.
    fn next_hop(&mut self, plan: &mut Plan, net: &mut Net<'_>) -> Progress {
        if let Some(via) = &self.attempt.via
            && via.proxy.needs_address(&via.destination)
        {
            let destination = via.destination.clone();
            return self.resolve(&destination, true, plan, net);
        }
        let hop = self.attempt.first_hop();
        match hop.and_then(|hop| Ok((self.attempt.literal_address(&hop)?, hop))) {
            Ok((Some(address), _)) => self.connect(vec![address], plan, net),
            Ok((None, hop)) => self.resolve(&hop, false, plan, net),
            Err(error) => Progress::Failed(error),
        }
    }

    fn resolve(
        &mut self,
        destination: &Destination,
        for_proxy: bool,
        plan: &Plan,
        net: &mut Net<'_>,
    ) -> Progress {
        let name = destination.host.name().unwrap_or_default().to_owned();
        let deadline = later(net.now, plan.options.connect.resolve_timeout);
        let (query, asker) = net.resolve(&name, destination.port);
        self.step = Step::Resolving(Box::new(Resolving { query, _asker: asker, name, for_proxy, deadline }));
        Progress::Waiting
    }

    /// Lets the addresses race.
    fn connect(&mut self, addresses: Vec<SocketAddr>, plan: &mut Plan, net: &mut Net<'_>) -> Progress {
        // A proxy's address is not limited: for the proxy, every name is a server.
        let place = if self.attempt.via.is_none() { self.attempt.place.take() } else { None };
        let options = &plan.options.connect;
        self.step = Step::Connecting(Box::new(Race::new(addresses, place, options, net.now)));
        self.race(plan, net)
    }

    /// Starts connecting to the addresses whose turn has come.
    fn race(&mut self, plan: &mut Plan, net: &mut Net<'_>) -> Progress {
        let Step::Connecting(race) = &mut self.step else { return Progress::Waiting };
        let standing = race.start_due(&plan.options.connect, net);
        self.raced(standing, plan, net)
    }

    /// Takes a stream that was made elsewhere, connected or connecting, as the only one in the race.
    fn adopt(&mut self, io: Io, plan: &Plan, net: &mut Net<'_>) -> Progress {
        match Race::with_stream(io, &plan.options.connect, net) {
            Ok(race) => {
                self.step = Step::Connecting(Box::new(race));
                Progress::Waiting
            }
            Err(error) => Progress::Failed(error),
        }
    }

    /// Follows the race to its end.
    fn raced(&mut self, standing: Standing, plan: &mut Plan, net: &mut Net<'_>) -> Progress {
        let (wire, place) = match standing {
            Standing::Open => return Progress::Waiting,
            Standing::Lost(error) => return Progress::Failed(error),
            Standing::Won(wire, place) => (wire, place),
        };
        self.step = Step::Deciding;
        self.attempt.place = place.or(self.attempt.place.take());
        let Some(via) = &self.attempt.via else {
            let early = may_hold_bytes(&wire).then_some(0);
            return Progress::Arrived(Arrival { wire, early });
        };
        match Tunnel::new(wire, via, &plan.options.connect, net.now) {
            Ok(tunnel) => {
                let key = tunnel.wire.key;
                self.step = Step::Tunnelling(Box::new(tunnel));
                self.tunnelling(key, plan, net)
            }
            Err((wire, error)) => {
                net.unwatch(wire);
                Progress::Failed(error)
            }
        }
    }

    /// The stream to the proxy has moved.
    fn tunnelling(&mut self, key: Key, plan: &mut Plan, net: &mut Net<'_>) -> Progress {
        let Step::Tunnelling(tunnel) = &mut self.step else { return Progress::Waiting };
        let early = match tunnel.ready(key, net) {
            Ok(None) => return Progress::Waiting,
            outcome => outcome,
        };
        let Step::Tunnelling(tunnel) = std::mem::replace(&mut self.step, Step::Deciding) else {
            return Progress::Waiting;
        };
        match early {
            Ok(early) => {
                let early = early.unwrap_or_default();
                let len = early.len();
                net.buffer.copy_within(early, 0);
                Progress::Arrived(Arrival { wire: tunnel.wire, early: Some(len) })
            }
            Err(failure) => {
                net.unwatch(tunnel.wire);
                if self.attempt.answers_proxy(&failure, plan) {
                    self.next_hop(plan, net)
                } else {
                    Progress::Failed(failure)
                }
            }
        }
    }
}
