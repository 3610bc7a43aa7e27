//! The suite on the simulated network.

use std::net::SocketAddr;

use websocket_dispatcher::Io;
use websocket_link::{Connector as _, SocketOptions};

use super::{Far, Host};
use crate::sim::{SimDispatcher, SimNet, SimPeer};

impl Host for SimNet {
    type Dispatcher = SimDispatcher;
    type Far = SimPeer;

    fn dispatcher(&mut self) -> SimDispatcher {
        SimNet::dispatcher(self)
    }

    fn pair(&mut self) -> (Io, SimPeer) {
        let address = SocketAddr::from(([192, 0, 2, 1], 80));
        let listener = self.listen(address);
        let io = self.connect(address, &SocketOptions::default()).expect("a simulated connection");
        loop {
            if let Some(far) = listener.accept() {
                return (io, far);
            }
            self.advance(Self::PATIENCE / 1000);
        }
    }

    fn registrations(&mut self, dispatcher: &SimDispatcher) -> Option<usize> {
        Some(dispatcher.registrations())
    }
}

impl Far for SimPeer {
    fn send(&mut self, bytes: &[u8]) -> usize {
        SimPeer::write(self, bytes);
        bytes.len()
    }

    fn receive(&mut self, bytes: &mut Vec<u8>) -> bool {
        bytes.extend(self.read_available());
        self.ended().is_some()
    }

    fn shutdown(&mut self) {
        SimPeer::shutdown(self);
    }

    fn close(self) {
        SimPeer::close(&self);
    }

    fn reset(self) {
        SimPeer::reset(&self);
    }
}
