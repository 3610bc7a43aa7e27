//! The client's end of a simulated connection.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};

use websocket_dispatcher::Stream;

use super::connection::{Chunk, ConnectState, Direction, SharedConnection, transmit};
use super::peer::End;
use super::{SimNet, Tapped};

/// Where the clients live (RFC 5737).
const CLIENT: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);

/// The client's end of a simulated connection, inside the [`Io`](websocket_dispatcher::Io) that [`SimNet`]
/// hands out as a connector. Dropping it ends the stream with a FIN.
pub struct SimStream {
    net: SimNet,
    shared: SharedConnection,
}

impl SimStream {
    pub(super) fn new(net: SimNet, shared: SharedConnection) -> Self {
        Self { net, shared }
    }

    pub(super) fn shared(&self) -> &SharedConnection {
        &self.shared
    }

    fn open(&self) -> io::Result<()> {
        match self.shared.borrow().state {
            ConnectState::Open => Ok(()),
            ConnectState::Connecting => Err(io::ErrorKind::WouldBlock.into()),
            ConnectState::Failed(kind) => Err(kind.into()),
        }
    }
}

impl Stream for SimStream {
    fn connected(&mut self) -> io::Result<bool> {
        match self.open() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            outcome => outcome.map(|()| true),
        }
    }

    fn peer_addr(&self) -> Option<SocketAddr> {
        Some(self.shared.borrow().address)
    }

    /// A port for each connection, on an address that nothing listens at.
    fn local_addr(&self) -> Option<SocketAddr> {
        let port = u16::try_from(self.shared.borrow().index).unwrap_or(u16::MAX).saturating_add(49_152);
        Some((CLIENT, port).into())
    }
}

impl Read for SimStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.open()?;
        let mut connection = self.shared.borrow_mut();
        let available = connection.to_client.arrived.len();
        if available == 0 {
            return match connection.to_client.end {
                None => Err(io::ErrorKind::WouldBlock.into()),
                Some(End::Fin) => Ok(0),
                Some(End::Reset) => Err(io::ErrorKind::ConnectionReset.into()),
            };
        }
        let faults = self.net.faults();
        if !connection.is_reset() && self.net.hit(faults.would_block) {
            connection.edges.readable = true;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let taken = self.net.shorten(available.min(buffer.len()), faults.short);
        for (byte, arrived) in buffer.iter_mut().zip(connection.to_client.arrived.drain(..taken)) {
            *byte = arrived;
        }
        let index = connection.index;
        drop(connection);
        self.net.tapped(index, Tapped::Read(&buffer[..taken]));
        Ok(taken)
    }
}

impl Write for SimStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.open()?;
        let faults = self.net.faults();
        let mut connection = self.shared.borrow_mut();
        if connection.is_reset() {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if bytes.is_empty() {
            return Ok(0);
        }
        let room = connection.room(faults.send_buffer);
        if room == 0 {
            connection.awaits_room = true;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if self.net.hit(faults.would_block) {
            connection.edges.writable = true;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let index = connection.index;
        drop(connection);
        let taken = self.net.shorten(room.min(bytes.len()), faults.short);
        self.net.tapped(index, Tapped::Written(&bytes[..taken]));
        transmit(&self.net, &self.shared, Direction::ToPeer, Chunk::Bytes(bytes[..taken].to_vec()));
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        self.shared.borrow_mut().client_is_gone = true;
        let index = self.shared.borrow().index;
        self.net.tapped(index, Tapped::Dropped);
        transmit(&self.net, &self.shared, Direction::ToPeer, Chunk::End(End::Fin));
    }
}

impl fmt::Debug for SimStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let connection = self.shared.borrow();
        f.debug_struct("SimStream")
            .field("address", &connection.address)
            .field("state", &connection.state)
            .finish_non_exhaustive()
    }
}
