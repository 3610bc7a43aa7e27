//! One simulated connection: two channels, and what its two ends know.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use super::peer::{End, SimPeer};
use super::{SimNet, Trigger};
use crate::frame::{Decoder, Frame};
use crate::handshake::Request;

pub(super) type SharedConnection = Rc<RefCell<SimConnection>>;

type ScriptFunction = dyn FnMut(&SimPeer);

/// What a served address does to its connections.
#[derive(Clone)]
pub(super) struct Script {
    pub(super) function: Rc<RefCell<ScriptFunction>>,
    pub(super) called: Called,
}

/// When a script is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Called {
    /// Once, when the client's request has arrived.
    AtTheRequest,
    /// When the connection opens, and whenever something has arrived.
    AtEachArrival,
}

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
    received: Decoder,
    /// The peer has looked at something: a client's first bytes are never a frame.
    has_begun: bool,
    /// The peer has accepted the upgrade: what follows is frames.
    is_upgraded: bool,
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
            has_begun: false,
            is_upgraded: false,
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

    /// Everything that has arrived.
    pub(super) fn read_available(&mut self) -> Vec<u8> {
        self.take_in();
        let all = self.received.rest().len();
        self.has_begun |= all > 0;
        self.received.consume(all)
    }

    /// The client's request, once all of it has arrived, and with `accept` its last one.
    pub(super) fn read_request(&mut self, accept: bool) -> Option<Request> {
        let request = self.next_request()?;
        self.received.consume(request.bytes.len());
        self.has_begun = true;
        self.is_upgraded = accept;
        Some(request)
    }

    /// The next frame, once all of it has arrived.
    pub(super) fn read_frame(&mut self) -> Option<Frame> {
        self.take_in();
        self.has_begun.then(|| self.received.next_frame()).flatten()
    }

    fn next_request(&mut self) -> Option<Request> {
        self.take_in();
        (!self.is_upgraded).then(|| Request::parse(self.received.rest())).flatten()
    }

    /// The script, if it is to be called now.
    fn due_script(&mut self) -> Option<Script> {
        self.script_is_due = false;
        let called = self.script.as_ref()?.called;
        match called {
            Called::AtEachArrival => self.script.clone(),
            Called::AtTheRequest => {
                self.next_request()?;
                self.script.take()
            }
        }
    }

    /// The peer takes what has arrived.
    fn take_in(&mut self) {
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

/// Has the script of a served connection called by the next wait, if its time has come.
pub(super) fn call_script(net: &SimNet, shared: &SharedConnection) {
    let mut connection = shared.borrow_mut();
    if connection.script.is_none() || std::mem::replace(&mut connection.script_is_due, true) {
        return;
    }
    let shared = shared.clone();
    net.after(Duration::ZERO, move |net| {
        let script = shared.borrow_mut().due_script();
        if let Some(script) = script {
            (script.function.borrow_mut())(&SimPeer::new(net, &shared));
        }
    });
}
