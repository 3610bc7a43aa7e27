//! Reading and writing the sockets that the ring drives.

use std::io::{self, Read as _, Write as _};

use websocket_dispatcher::{Io, Key};

use super::{Engine, driven, list};
use crate::flow::Flow;
use crate::outputs::MAX;

impl Engine {
    /// What the reactor reads: what was received, or else what the socket holds. The ring reads nothing meanwhile, so that is what comes next.
    pub(crate) fn read(&mut self, key: Key, socket: &mut Io, into: &mut [u8]) -> io::Result<usize> {
        let (Some(flow), Some(buffers)) = (driven(&mut self.watched, key), self.ring.buffers()) else {
            return socket.read(into);
        };
        let mut outcome = Ok(flow.read(buffers, into));
        if matches!(outcome, Ok(0)) && !into.is_empty() {
            flow.take_read_error()?;
            if flow.has_ended {
                return Ok(0);
            }
            outcome = socket.read(into);
        }
        if flow.receive.is_none() && flow.is_dry() {
            list(&mut self.unasked, key, flow);
        }
        outcome
    }

    /// Takes what the reactor writes, to be handed over with the next wait. What is large goes to the socket.
    pub(crate) fn write(&mut self, key: Key, socket: &mut Io, bytes: &[u8]) -> io::Result<usize> {
        let Some(flow) = driven(&mut self.watched, key) else { return socket.write(bytes) };
        flow.take_write_error()?;
        // What is under way comes before anything else, and a part of it may come back.
        let is_stalled = flow.is_stalled || self.outputs.are_under_way();
        if !is_stalled && flow.output.len() + bytes.len() <= MAX {
            if flow.output.is_empty() {
                flow.output = self.outputs.memory();
                self.outputs.list(key);
            }
            flow.output.extend_from_slice(bytes);
            return Ok(bytes.len());
        }
        if !is_stalled {
            write_out(socket, &mut flow.output)?;
            flow.is_stalled = !flow.output.is_empty();
        }
        let written = if is_stalled || flow.is_stalled {
            Err(io::ErrorKind::WouldBlock.into())
        } else {
            socket.write(bytes)
        };
        if matches!(&written, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
            flow.wants_room = true;
            list(&mut self.unasked, key, flow);
        }
        written
    }

    /// Whether the kernel takes what was written: `WouldBlock` while it has refused some.
    pub(crate) fn flush(&mut self, key: Key) -> io::Result<()> {
        let Some(flow) = driven(&mut self.watched, key) else { return Ok(()) };
        flow.take_write_error()?;
        if flow.is_stalled {
            flow.wants_room = true;
            list(&mut self.unasked, key, flow);
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(())
    }

    pub(crate) fn take_error(&mut self, key: Key) -> io::Result<()> {
        driven(&mut self.watched, key).map_or(Ok(()), Flow::take_error)
    }
}

/// Writes what has waited to the socket; what that does not take is left.
pub(super) fn write_out(socket: &mut Io, output: &mut Vec<u8>) -> io::Result<()> {
    while !output.is_empty() {
        match socket.write(output) {
            Ok(len) => drop(output.drain(..len)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
