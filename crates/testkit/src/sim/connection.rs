//! One simulated connection: two channels, and what its two ends know.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use super::peer::{End, SimPeer};
use super::{SimNet, Trigger};
use crate::frame::Decoder;

pub(super) type SharedConnection = Rc<RefCell<SimConnection>>;
pub(super) type Script = Rc<RefCell<dyn FnMut(&SimPeer)>>;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ConnectState {
    Connecting,
    Open,
    Failed(io::ErrorKind),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Direction {
    ToClient,
    ToPeer,
}

#[derive(Debug)]
pub(super) enum Chunk {
    Bytes(Vec<u8>),
    End(End),
}

/// One direction.
#[derive(Default)]
pub(super) struct Channel {
    in_flight: VecDeque<(Duration, Chunk)>,
    last_arrival: Duration,
    pub(super) arrived: VecDeque<u8>,
    /// How it ended, for its receiver.
    pub(super) end: Option<End>,
    /// Its sender has ended it.
    is_shut: bool,
}

impl Channel {
    fn unread(&self) -> usize {
        let in_flight = self.in_flight.iter().map(|(_, chunk)| match chunk {
            Chunk::Bytes(bytes) => bytes.len(),
            Chunk::End(_) => 0,
        });
        self.arrived.len() + in_flight.sum::<usize>()
    }
}

/// What an edge-triggered loop has yet to report.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Edges {
    pub(super) readable: bool,
    pub(super) writable: bool,
}

pub(super) struct SimConnection {
    pub(super) address: SocketAddr,
    pub(super) index: usize,
    pub(super) state: ConnectState,
    pub(super) to_client: Channel,
    pub(super) to_peer: Channel,
    pub(super) edges: Edges,
    /// A write of the client got `WouldBlock` for want of room, so room must be reported when there is some.
    pub(super) awaits_room: bool,
    pub(super) client_is_gone: bool,
    /// The peer has closed its socket: what arrives there is answered with a reset.
    pub(super) peer_is_gone: bool,
    /// What the peer took from its channel and its script has not looked at.
    pub(super) received: Decoder,
    pub(super) script: Option<Script>,
    script_is_due: bool,
}

impl SimConnection {
    pub(super) fn new(address: SocketAddr, index: usize) -> SharedConnection {
        Rc::new(RefCell::new(Self {
            address,
            index,
            state: ConnectState::Connecting,
            to_client: Channel::default(),
            to_peer: Channel::default(),
            edges: Edges::default(),
            awaits_room: false,
            client_is_gone: false,
            peer_is_gone: false,
            received: Decoder::new(),
            script: None,
            script_is_due: false,
        }))
    }

    pub(super) fn is_readable(&self) -> bool {
        match self.state {
            ConnectState::Connecting => false,
            ConnectState::Failed(_) => true,
            ConnectState::Open => !self.to_client.arrived.is_empty() || self.to_client.end.is_some(),
        }
    }

    pub(super) fn is_writable(&self, send_buffer: usize) -> bool {
        match self.state {
            ConnectState::Connecting => false,
            ConnectState::Failed(_) => true,
            ConnectState::Open => self.is_reset() || self.room(send_buffer) > 0,
        }
    }

    pub(super) fn is_reset(&self) -> bool {
        self.to_client.end == Some(End::Reset)
    }

    pub(super) fn is_read_closed(&self) -> bool {
        self.to_client.end.is_some() || matches!(self.state, ConnectState::Failed(_))
    }

    /// Bytes that the client may still send.
    pub(super) fn room(&self, send_buffer: usize) -> usize {
        send_buffer.saturating_sub(self.to_peer.unread())
    }

    /// What a loop of that kind would report now; an edge that is reported is used up.
    pub(super) fn observe(&mut self, trigger: Trigger, send_buffer: usize) -> Edges {
        match trigger {
            Trigger::Edge => std::mem::take(&mut self.edges),
            Trigger::Level => Edges { readable: self.is_readable(), writable: self.is_writable(send_buffer) },
        }
    }

    /// The peer takes what has arrived.
    pub(super) fn take_in(&mut self) {
        let (front, back) = self.to_peer.arrived.as_slices();
        if front.is_empty() {
            return;
        }
        self.received.feed(front);
        self.received.feed(back);
        self.to_peer.arrived.clear();
        if std::mem::take(&mut self.awaits_room) {
            self.edges.writable = true;
        }
    }

    fn channel(&mut self, direction: Direction) -> &mut Channel {
        match direction {
            Direction::ToClient => &mut self.to_client,
            Direction::ToPeer => &mut self.to_peer,
        }
    }
}

/// Connecting has come to its end.
pub(super) fn settle(connection: &SharedConnection, state: ConnectState) {
    let mut connection = connection.borrow_mut();
    connection.state = state;
    connection.edges.writable = true;
    connection.edges.readable = matches!(state, ConnectState::Failed(_));
}

/// Sends `chunk`; without latency it arrives at once.
pub(super) fn transmit(net: &SimNet, shared: &SharedConnection, direction: Direction, chunk: Chunk) {
    let now = net.elapsed();
    let travel = net.travel_time();
    let mut connection = shared.borrow_mut();
    let channel = connection.channel(direction);
    if channel.is_shut && !matches!(chunk, Chunk::End(End::Reset)) {
        return;
    }
    channel.is_shut |= matches!(chunk, Chunk::End(_));
    channel.last_arrival = channel.last_arrival.max(now + travel);
    let at = channel.last_arrival;
    channel.in_flight.push_back((at, chunk));
    drop(connection);
    if at <= now {
        arrive(net, shared, direction);
    } else {
        let shared = shared.clone();
        net.at(at, move |net| arrive(net, &shared, direction));
    }
}

/// Lets everything arrive whose time has come.
fn arrive(net: &SimNet, shared: &SharedConnection, direction: Direction) {
    let now = net.elapsed();
    loop {
        let mut connection = shared.borrow_mut();
        let channel = connection.channel(direction);
        if channel.in_flight.front().is_none_or(|(at, _)| *at > now) {
            return;
        }
        let Some((_, chunk)) = channel.in_flight.pop_front() else { return };
        if channel.end == Some(End::Reset) {
            continue;
        }
        match chunk {
            Chunk::Bytes(bytes) => {
                let (is_gone, back) = match direction {
                    Direction::ToClient => (connection.client_is_gone, Direction::ToPeer),
                    Direction::ToPeer => (connection.peer_is_gone, Direction::ToClient),
                };
                if is_gone {
                    drop(connection);
                    transmit(net, shared, back, Chunk::End(End::Reset));
                    continue;
                }
                connection.channel(direction).arrived.extend(bytes);
            }
            Chunk::End(end) => channel.end = Some(end),
        }
        match direction {
            Direction::ToClient => {
                connection.edges.readable = true;
                connection.edges.writable |= connection.is_reset();
            }
            Direction::ToPeer => {
                drop(connection);
                call_script(net, shared);
            }
        }
    }
}

/// Has the script of a served connection called by the next wait.
pub(super) fn call_script(net: &SimNet, shared: &SharedConnection) {
    let mut connection = shared.borrow_mut();
    let Some(script) = connection.script.clone() else { return };
    if std::mem::replace(&mut connection.script_is_due, true) {
        return;
    }
    let shared = shared.clone();
    net.after(Duration::ZERO, move |net| {
        shared.borrow_mut().script_is_due = false;
        let peer = SimPeer::new(net, &shared);
        (script.borrow_mut())(&peer);
    });
}
