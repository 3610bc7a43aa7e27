//! A socket that the ring reads and writes, as the reactor sees it.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::rc::Rc;

use websocket_dispatcher::{Io, Key, Stream};

use crate::engine::Engine;

/// A socket that the ring reads and writes. Dropping it takes it from the ring, then closes it.
pub(crate) struct RingSocket {
    key: Key,
    io: Io,
    engine: Rc<RefCell<Engine>>,
}

impl RingSocket {
    pub(crate) const fn new(key: Key, io: Io, engine: Rc<RefCell<Engine>>) -> Self {
        Self { key, io, engine }
    }
}

impl Read for RingSocket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.engine.borrow_mut().read(self.key, &mut self.io, buffer)
    }
}

impl Write for RingSocket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.engine.borrow_mut().write(self.key, &mut self.io, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.engine.borrow_mut().flush(self.key)
    }
}

impl Stream for RingSocket {
    fn connected(&mut self) -> io::Result<bool> {
        // The ring may have taken the reason, which the system gives once.
        self.engine.borrow_mut().take_error(self.key)?;
        self.io.connected()
    }

    fn inner(&self) -> Option<&Io> {
        Some(&self.io)
    }

    fn inner_mut(&mut self) -> Option<&mut Io> {
        Some(&mut self.io)
    }
}

impl Drop for RingSocket {
    fn drop(&mut self) {
        self.engine.borrow_mut().release(self.key, &mut self.io);
    }
}
