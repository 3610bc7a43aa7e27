//! What goes over the wire.

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;

use websocket_app::dispatcher::{Io, Stream};
use websocket_app::link::{Connector as _, SocketOptions, SystemConnector};

/// Bytes, as the socket sees them.
#[derive(Default)]
pub struct Meter {
    pub sent: Cell<usize>,
    pub received: Cell<usize>,
}

struct Metered {
    inner: Io,
    meter: Rc<Meter>,
}

/// A stream that `meter` counts, on the way to `addr`.
pub fn metered(addr: SocketAddr, meter: &Rc<Meter>) -> io::Result<Io> {
    let inner = SystemConnector.connect(addr, &SocketOptions::default())?;
    Ok(Io::custom(Metered { inner, meter: meter.clone() }))
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.inner.read(buffer)?;
        self.meter.received.update(|all| all + len);
        Ok(len)
    }
}

impl Write for Metered {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = self.inner.write(bytes)?;
        self.meter.sent.update(|all| all + len);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Stream for Metered {
    fn connected(&mut self) -> io::Result<bool> {
        self.inner.connected()
    }

    fn inner(&self) -> Option<&Io> {
        Some(&self.inner)
    }

    fn inner_mut(&mut self) -> Option<&mut Io> {
        Some(&mut self.inner)
    }
}
