//! From a target to a stream that leads to its server: proxy, name, addresses, tunnel.
//!
//! A [`Dial`] takes input and returns [`Progress`]. It calls no callback, ends no app and touches no other
//! app. The user's functions that make URLs, headers, streams and answers to challenges run inside, and may
//! panic: the dial is consistent before each of them is called, so that [`Dial::hang_up`] leaves nothing
//! behind.

mod attempt;
mod connect;
mod gate;
mod names;
mod net;
mod progress;
mod proxy;
mod step;
#[cfg(test)]
mod tests;
mod tunnel;
#[cfg(unix)]
mod unix;

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Instant;

use websocket_dispatcher::{Io, Key};

use crate::error::{Error, Timeout};
use crate::phases::{CompactPhases, Phase};
use crate::plan::Plan;
use crate::schedule::later;

pub(crate) use attempt::{Attempt, Continued};
pub(crate) use gate::{Place, Server};
pub(crate) use net::{Links, Net};
pub(crate) use progress::{Arrival, Progress};

use attempt::Route;
use connect::{Race, Standing, may_hold_bytes};
use gate::Admission;
use step::{DialDeadline, Question, Step, WaitingToConnect};
use tunnel::{Preparation, Tunnel};
#[cfg(unix)]
use unix::UnixSocket;

/// From a target to a stream that leads to its server.
pub(crate) struct Dial {
    attempt: Box<Attempt>,
    step: Step,
}

impl Dial {
    pub(crate) fn new(attempt: Box<Attempt>) -> Box<Self> {
        Box::new(Self { attempt, step: Step::Deciding })
    }

    /// Begins an attempt, or continues one that was refused.
    pub(crate) fn set_out(&mut self, plan: &mut Plan, net: &mut Net<'_>) -> Progress {
        match self.attempt.choose_route(plan) {
            Ok(Route::To(server)) => self.enter(server, None, plan, net),
            Ok(Route::Resolve(destination)) => {
                self.ask(Question { destination, for_proxy: false }, plan, net)
            }
            Err(error) => Progress::Failed(error),
        }
    }

    /// Takes the user's stream, connected or connecting, as the only one in the race.
    pub(crate) fn adopt(&mut self, io: Io, plan: &Plan, net: &mut Net<'_>) -> Progress {
        let now = net.now();
        self.attempt.timer.begin(now);
        self.adopt_until(later(now, plan.options.connect.connect_timeout), io, plan, net)
    }

    /// [`adopt`](Self::adopt) for a stream that must be connected by `deadline`.
    fn adopt_until(&mut self, deadline: Instant, io: Io, plan: &Plan, net: &mut Net<'_>) -> Progress {
        match Race::with_stream(io, deadline, &plan.options.connect, net) {
            Ok(race) => {
                self.step = Step::Connecting(Box::new(race));
                Progress::Waiting
            }
            Err(error) => Progress::Failed(error),
        }
    }

    /// The turn to make a connection has come.
    pub(crate) fn may_connect(
        &mut self,
        place: Place<Server>,
        plan: &mut Plan,
        net: &mut Net<'_>,
    ) -> Progress {
        if let Step::Connecting(race) = &mut self.step {
            let (waited, standing) = race.admitted(place, &plan.options.connect, net);
            self.attempt.postpone(waited);
            return self.raced(standing, plan, net);
        }
        match std::mem::replace(&mut self.step, Step::Deciding) {
            Step::WaitingToConnect(waiting) => {
                self.attempt.postpone(net.now().saturating_duration_since(waiting.since));
                self.attempt.place = Some(place);
                self.depart(waiting.addresses, plan, net)
            }
            step => {
                self.step = step;
                Progress::Waiting
            }
        }
    }

    /// A stream of this app is ready.
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
        self.step.due(self.attempt.deadline).map(|(at, _)| at)
    }

    /// Does what is due. Whatever has happened on the streams meanwhile counts: the reactor may have been busy elsewhere.
    pub(crate) fn expired(&mut self, plan: &mut Plan, net: &mut Net<'_>) -> Progress {
        match self.look(plan, net) {
            Progress::Waiting => self.judge(plan, net),
            progress => progress,
        }
    }

    fn judge(&mut self, plan: &mut Plan, net: &mut Net<'_>) -> Progress {
        match self.step.due(self.attempt.deadline) {
            Some((at, due)) if at <= net.now() => match due {
                DialDeadline::NextAddress => match self.race(plan, net) {
                    // After a long callback a timeout may have passed, too.
                    Progress::Waiting => self.judge(plan, net),
                    progress => progress,
                },
                #[cfg(unix)]
                DialDeadline::NextTry => self.try_again(plan, net),
                DialDeadline::Timeout(timeout) => {
                    if timeout == Timeout::Connect
                        && let Step::Connecting(race) = &mut self.step
                        && race.outlasts_its_streams(net)
                    {
                        return Progress::Waiting;
                    }
                    if timeout == Timeout::Proxy
                        && let Step::Tunnelling(tunnel) = &mut self.step
                        && let Some(refusal) = tunnel.take_refusal()
                    {
                        return self.no_tunnel(refusal, plan, net);
                    }
                    Progress::Failed(Error::Timeout(timeout))
                }
            },
            _ => Progress::Waiting,
        }
    }

    /// Tries again to connect to a unix socket that had no room.
    #[cfg(unix)]
    fn try_again(&mut self, plan: &mut Plan, net: &mut Net<'_>) -> Progress {
        match std::mem::replace(&mut self.step, Step::Deciding) {
            Step::BacklogFull(socket) => match self.connect_unix(socket, plan, net) {
                // The try may have taken its time.
                Progress::Waiting => self.expired(plan, net),
                progress => progress,
            },
            step => {
                self.step = step;
                Progress::Waiting
            }
        }
    }

    /// Looks at every stream, whether it was reported or not.
    fn look(&mut self, plan: &mut Plan, net: &mut Net<'_>) -> Progress {
        match &mut self.step {
            Step::Connecting(race) => {
                let standing = race.look(&plan.options.connect, net);
                self.raced(standing, plan, net)
            }
            Step::Tunnelling(tunnel) => {
                let key = tunnel.wire.key;
                self.tunnelling(key, plan, net)
            }
            _ => Progress::Waiting,
        }
    }

    /// The address of the proxy that has taken a connection and is asked for a tunnel.
    pub(crate) const fn connected_to(&self) -> Option<SocketAddr> {
        self.attempt.connected_to
    }

    /// How long the steps took so far.
    pub(crate) const fn phases(&self) -> CompactPhases {
        self.attempt.timer.phases
    }

    /// Gives every stream back to the dispatcher.
    pub(crate) fn hang_up(self, net: &mut Net<'_>) {
        match self.step {
            Step::Connecting(mut race) => race.hang_up(net),
            Step::Tunnelling(tunnel) => net.unwatch(tunnel.wire),
            _ => {}
        }
    }

    /// The attempt, for the connection that is to be opened on the stream that has
    /// [arrived](Progress::Arrived).
    pub(crate) fn into_attempt(self) -> Box<Attempt> {
        self.attempt
    }

    /// Makes the connection to `server` when its turn has come: to these addresses, or to the first hop.
    fn enter(
        &mut self,
        server: Server,
        addresses: Option<Vec<SocketAddr>>,
        plan: &mut Plan,
        net: &mut Net<'_>,
    ) -> Progress {
        if self.attempt.place.as_ref().is_none_or(|place| !place.is_in(&server)) {
            self.attempt.place = None;
            match net.links.connections.enter(server, net.app) {
                Admission::Granted(place) => self.attempt.place = Some(place),
                Admission::Waiting(ticket) => {
                    let waiting = WaitingToConnect { _ticket: ticket, since: net.now(), addresses };
                    self.step = Step::WaitingToConnect(Box::new(waiting));
                    return Progress::Waiting;
                }
            }
        }
        self.depart(addresses, plan, net)
    }

    /// Goes to these addresses, or to the first hop: on the user's stream, through a unix socket, to a proxy
    /// or directly.
    fn depart(&mut self, addresses: Option<Vec<SocketAddr>>, plan: &mut Plan, net: &mut Net<'_>) -> Progress {
        if !self.attempt.is_prepared {
            match plan.next_request(&self.attempt.target) {
                Ok(request) => self.attempt.request = request,
                Err(error) => return Progress::Failed(error),
            }
            self.attempt.is_prepared = true;
            match plan.next_stream() {
                Ok(Some(io)) => return self.adopt(io, plan, net),
                Ok(None) => {}
                Err(source) => return Progress::Failed(Error::Connect { address: None, source }),
            }
        }
        #[cfg(unix)]
        if let Some(path) = self.attempt.target.unix.clone() {
            let now = net.now();
            self.attempt.timer.begin(now);
            let socket = UnixSocket::new(path, &plan.options.connect, now);
            return self.connect_unix(Box::new(socket), plan, net);
        }
        match addresses {
            Some(addresses) => self.connect(addresses, plan, net),
            None => self.next_hop(plan, net),
        }
    }

    #[cfg(unix)]
    fn connect_unix(&mut self, mut socket: Box<UnixSocket>, plan: &Plan, net: &mut Net<'_>) -> Progress {
        match socket.connect(net) {
            Ok(Some(io)) => self.adopt_until(socket.deadline, io, plan, net),
            Ok(None) => {
                self.step = Step::BacklogFull(socket);
                Progress::Waiting
            }
            Err(error) => Progress::Failed(error),
        }
    }

    /// Resolves what has to be resolved, and connects.
    fn next_hop(&mut self, plan: &mut Plan, net: &mut Net<'_>) -> Progress {
        if let Some(via) = &self.attempt.via
            && via.proxy.needs_address(&via.destination)
        {
            let destination = via.destination.clone();
            return self.ask(Question { destination, for_proxy: true }, plan, net);
        }
        let hop = self.attempt.first_hop();
        match hop.and_then(|hop| Ok((self.attempt.literal_address(&hop)?, hop))) {
            Ok((Some(address), _)) => self.connect(vec![address], plan, net),
            Ok((None, destination)) => self.ask(Question { destination, for_proxy: false }, plan, net),
            Err(error) => Progress::Failed(error),
        }
    }

    /// Lets the addresses race.
    fn connect(&mut self, addresses: Vec<SocketAddr>, plan: &mut Plan, net: &mut Net<'_>) -> Progress {
        // A proxy's address is not limited: the place is for the name that the proxy is asked for.
        let place = if self.attempt.via.is_none() { self.attempt.place.take() } else { None };
        let options = &plan.options.connect;
        let addresses = self.attempt.failed_addresses.split(addresses);
        let now = net.now();
        self.attempt.timer.begin(now);
        self.step = Step::Connecting(Box::new(Race::new(addresses, place, options, now)));
        self.race(plan, net)
    }

    /// Starts connecting to the addresses whose turn has come.
    fn race(&mut self, plan: &mut Plan, net: &mut Net<'_>) -> Progress {
        let Step::Connecting(race) = &mut self.step else { return Progress::Waiting };
        let standing = race.start_due(&plan.options.connect, net);
        self.raced(standing, plan, net)
    }

    /// Follows the race to its end.
    fn raced(&mut self, standing: Standing, plan: &mut Plan, net: &mut Net<'_>) -> Progress {
        let (wire, place) = match standing {
            Standing::Open => return Progress::Waiting,
            Standing::Lost(error) => return Progress::Failed(error),
            Standing::Won(wire, address, place) => {
                self.attempt.connected_to = address;
                self.attempt.timer.end(Phase::Connect, net.now());
                self.attempt.timer.phases.set_address(address);
                (wire, place)
            }
        };
        self.step = Step::Deciding;
        self.attempt.place = place.or(self.attempt.place.take());
        let Some(via) = &self.attempt.via else {
            let already_read = may_hold_bytes(&wire).then_some(0);
            return Progress::Arrived(Arrival { wire, already_read });
        };
        let prepared = catch_unwind(AssertUnwindSafe(|| Preparation::new(via, plan)));
        match prepared {
            Ok(Ok(preparation)) => {
                let deadline = later(net.now(), plan.options.connect.proxy_timeout);
                let tunnel = Tunnel::new(wire, preparation, deadline);
                let key = tunnel.wire.key;
                self.step = Step::Tunnelling(Box::new(tunnel));
                self.tunnelling(key, plan, net)
            }
            Ok(Err(error)) => {
                net.unwatch(wire);
                Progress::Failed(error)
            }
            Err(panic) => {
                net.unwatch(wire);
                resume_unwind(panic)
            }
        }
    }
}
