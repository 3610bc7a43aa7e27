//! A loop that owns the thread, as one that may be blocked in.

use std::io;
use std::rc::Rc;
use std::task::Waker;
use std::time::Instant;

use websocket_dispatcher::{Dispatcher, Interest, Io, Key, Next, Ready, Wait};
use websocket_dispatcher_callback::{CallbackDispatcher, Driver};

use crate::mini_loop::{Drives, MiniHost, MiniLoop};

struct Data(Driver);

impl Drives for Data {
    fn driver(&self) -> &Driver {
        &self.0
    }
}

/// Runs a round of the loop.
pub(crate) struct Rounds {
    dispatcher: CallbackDispatcher,
    looped: Rc<MiniLoop<Data>>,
    data: Data,
}

impl Rounds {
    pub(crate) fn new() -> io::Result<Self> {
        let looped = Rc::new(MiniLoop::new()?);
        let (dispatcher, driver) = CallbackDispatcher::new(MiniHost(looped.clone()), looped.waker()?);
        Ok(Self { dispatcher, looped, data: Data(driver) })
    }
}

impl Dispatcher for Rounds {
    fn register(&mut self, key: Key, io: &mut Io, interest: Interest) -> io::Result<()> {
        self.dispatcher.register(key, io, interest)
    }

    fn reregister(&mut self, key: Key, io: &mut Io, interest: Interest) -> io::Result<()> {
        self.dispatcher.reregister(key, io, interest)
    }

    fn deregister(&mut self, key: Key, io: Io) {
        self.dispatcher.deregister(key, io);
    }

    fn waker(&self) -> Waker {
        self.dispatcher.waker()
    }

    fn short_read_drains(&self) -> bool {
        self.dispatcher.short_read_drains()
    }
}

impl Wait for Rounds {
    fn wait(&mut self, deadline: Option<Instant>, ready: &mut Vec<Ready>) -> io::Result<()> {
        let limit = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        self.looped.round(&self.data, limit)?;
        self.data.0.turn(|seen| {
            ready.extend(seen);
            Next::new(None, false)
        });
        Ok(())
    }
}
