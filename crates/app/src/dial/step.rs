//! The steps of a dial, and what each waits for.

use std::net::SocketAddr;
use std::time::Instant;

use websocket_link::{Asker, Destination};

use super::connect::Race;
use super::gate::{Place, Server, Ticket};
use super::tunnel::Tunnel;
#[cfg(unix)]
use super::unix::UnixSocket;
use crate::error::Timeout;
use crate::id::QueryId;
use crate::schedule::earliest;

/// How far a dial has come.
pub(super) enum Step {
    /// Nothing is under way: the next step is being decided, now.
    Deciding,
    /// Many names are being resolved, and this one waits for its turn.
    WaitingToAsk(Box<WaitingToAsk>),
    /// A name is being resolved.
    Resolving(Box<Resolving>),
    /// Many connections are in the making, and this one waits for its turn.
    WaitingToConnect(Box<WaitingToConnect>),
    /// Streams are connecting.
    Connecting(Box<Race>),
    /// A unix socket has no room yet.
    #[cfg(unix)]
    BacklogFull(Box<UnixSocket>),
    /// A proxy is asked for a tunnel.
    Tunnelling(Box<Tunnel>),
}

/// A name, and what its address is for.
pub(super) struct Question {
    pub(super) destination: Destination,
    /// The address is for the proxy, which cannot carry a name.
    pub(super) for_proxy: bool,
}

pub(super) struct WaitingToAsk {
    pub(super) _ticket: Ticket<String>,
    pub(super) since: Instant,
    pub(super) question: Question,
}

pub(super) struct Resolving {
    /// Counts this name among those that are being resolved.
    pub(super) _place: Place<String>,
    pub(super) query: QueryId,
    pub(super) _asker: Asker,
    pub(super) question: Question,
    pub(super) deadline: Instant,
}

pub(super) struct WaitingToConnect {
    pub(super) _ticket: Ticket<Server>,
    pub(super) since: Instant,
    /// Of the server, if its name was resolved; otherwise the first hop is yet to be chosen.
    pub(super) addresses: Option<Vec<SocketAddr>>,
}

/// What is due.
#[derive(Clone, Copy)]
pub(super) enum DialDeadline {
    Timeout(Timeout),
    NextAddress,
    /// The next try at a unix socket.
    #[cfg(unix)]
    NextTry,
}

impl Step {
    /// The next deadline. Of two at the same time it is the step's, which says more than that of the whole
    /// attempt. There is none while the dial waits for its turn.
    pub(super) fn due(&self, whole: Instant) -> Option<(Instant, DialDeadline)> {
        let (step, next) = match self {
            Self::WaitingToAsk(_) | Self::WaitingToConnect(_) => return None,
            Self::Deciding => (None, None),
            Self::Resolving(resolving) => (Some((resolving.deadline, Timeout::Resolve)), None),
            Self::Connecting(race) => {
                let next = race.next_start().map(|at| (at, DialDeadline::NextAddress));
                (Some((race.deadline()?, Timeout::Connect)), next)
            }
            #[cfg(unix)]
            Self::BacklogFull(socket) => {
                (Some((socket.deadline, Timeout::Connect)), Some((socket.next_try, DialDeadline::NextTry)))
            }
            Self::Tunnelling(tunnel) => (Some((tunnel.due(), Timeout::Proxy)), None),
        };
        earliest([
            step.map(|(at, timeout)| (at, DialDeadline::Timeout(timeout))),
            Some((whole, DialDeadline::Timeout(Timeout::Attempt))),
            next,
        ])
    }
}

impl Question {
    /// The name that is asked for.
    pub(super) fn host(&self) -> String {
        self.destination.host.name().unwrap_or_default().to_owned()
    }
}
