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
}

impl Far for SimPeer {
    fn write(&mut self, bytes: &[u8]) {
        SimPeer::write(self, bytes);
    }

    fn drain(&mut self) {
        self.read_available();
    }

    fn has_ended(&mut self) -> bool {
        self.read_available();
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
