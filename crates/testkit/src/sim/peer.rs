//! The far ends of simulated connections.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;

use super::SimNet;
use super::connection::{Chunk, Direction, SharedConnection, transmit};
use crate::frame::Frame;
use crate::handshake::{self, Request};

/// How a stream ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(clippy::exhaustive_enums, reason = "a TCP stream ends in one of these two ways")]
pub enum End {
    /// By a FIN.
    Fin,
    /// By a reset.
    Reset,
}

/// What there is at the client's end of a connection, whether the client has looked or not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ClientEnd {
    /// Bytes that have arrived there and were not read.
    pub unread: usize,
    /// Bytes that it could write now.
    pub room: usize,
    /// The connection was reset: writing fails.
    pub reset: bool,
}

pub(super) type Backlog = Rc<RefCell<VecDeque<SimPeer>>>;

/// Where connections to one address arrive: the handle that [`SimNet::listen`] gives.
#[derive(Clone, Debug)]
pub struct SimListener {
    pub(super) backlog: Backlog,
}

impl SimListener {
    /// The next connection that was opened, oldest first.
    pub fn accept(&self) -> Option<SimPeer> {
        self.backlog.borrow_mut().pop_front()
    }
}

/// The far end of one simulated connection. It never waits: what it sends is under way, what it reads has
/// arrived.
///
/// Clones are handles to the same end. Dropping them all leaves the connection open; see
/// [`close`](Self::close).
#[derive(Clone)]
pub struct SimPeer {
    net: SimNet,
    shared: SharedConnection,
}

impl SimPeer {
    pub(super) fn new(net: &SimNet, shared: &SharedConnection) -> Self {
        Self { net: net.clone(), shared: shared.clone() }
    }

    /// The network that it is part of.
    pub fn net(&self) -> &SimNet {
        &self.net
    }

    /// The number of this connection among all attempts to connect ([`SimNet::attempts`]), counted from 0.
    pub fn index(&self) -> usize {
        self.shared.borrow().index
    }

    /// The address that the client connected to.
    pub fn address(&self) -> SocketAddr {
        self.shared.borrow().address
    }

    /// Everything that has arrived. Until it is taken it fills the client's send buffer.
    pub fn read_available(&self) -> Vec<u8> {
        self.shared.borrow_mut().read_available()
    }

    /// The client's request, once all of it has arrived. There is none after an upgrade that was accepted.
    pub fn read_request(&self) -> Option<Request> {
        self.shared.borrow_mut().read_request(false)
    }

    /// Reads the client's request and opens the connection with a correct response, once the request has
    /// arrived. It is returned by this one call, so that what belongs to the opening happens once.
    pub fn accept_upgrade(&self) -> Option<Request> {
        self.accept_upgrade_with(&[])
    }

    /// [`accept_upgrade`](Self::accept_upgrade) with further header lines (`Name: value`) in the response.
    pub fn accept_upgrade_with(&self, extra: &[&str]) -> Option<Request> {
        let request = self.shared.borrow_mut().read_request(true)?;
        self.write(&handshake::response(&request, extra));
        Some(request)
    }

    /// The next frame that has arrived, whatever rules it breaks ([`Frame::fault`]). There is none before the
    /// client's request has been read.
    pub fn read_frame(&self) -> Option<Frame> {
        self.shared.borrow_mut().read_frame()
    }

    /// How the client ended its side, once that has arrived.
    pub fn ended(&self) -> Option<End> {
        self.shared.borrow().to_peer.end
    }

    /// What there is at the client's end.
    pub fn client_end(&self) -> ClientEnd {
        let connection = self.shared.borrow();
        let room = connection.room(self.net.faults().send_buffer);
        ClientEnd { unread: connection.to_client.arrived.len(), room, reset: connection.is_reset() }
    }

    /// Sends bytes as they are.
    pub fn write(&self, bytes: &[u8]) {
        match self.net.cut(bytes.len()) {
            None => transmit(&self.net, &self.shared, Direction::ToClient, Chunk::Bytes(bytes.to_vec())),
            Some((length, end)) => {
                transmit(
                    &self.net,
                    &self.shared,
                    Direction::ToClient,
                    Chunk::Bytes(bytes[..length].to_vec()),
                );
                self.leave(end);
            }
        }
    }

    /// Ends the peer's side (FIN). Reading continues.
    pub fn shutdown(&self) {
        transmit(&self.net, &self.shared, Direction::ToClient, Chunk::End(End::Fin));
    }

    /// Closes the socket: ends the peer's side, and answers with a reset whatever the client sends from now
    /// on.
    pub fn close(&self) {
        self.leave(End::Fin);
    }

    /// Breaks the connection off (RST), behind what was sent before.
    pub fn reset(&self) {
        self.leave(End::Reset);
    }

    fn leave(&self, end: End) {
        self.shared.borrow_mut().peer_is_gone = true;
        transmit(&self.net, &self.shared, Direction::ToClient, Chunk::End(end));
    }
}

impl fmt::Debug for SimPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimPeer")
            .field("index", &self.index())
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}
