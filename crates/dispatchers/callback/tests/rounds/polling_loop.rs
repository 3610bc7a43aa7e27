//! What `mini_loop.rs` is on unix, over the dispatcher for polling: Windows has no poll(2) that could be used without `unsafe`.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::marker::PhantomData;
use std::net::TcpStream;
use std::os::windows::io::AsSocket as _;
use std::rc::Rc;
use std::time::{Duration, Instant};

use websocket_dispatcher::{Dispatcher as _, Interest, Io, Key, Wait as _};
use websocket_dispatcher_callback::{Descriptor, Driver, Host};
use websocket_dispatcher_polling::PollingDispatcher;

pub(crate) struct MiniLoop<Data> {
    poller: RefCell<PollingDispatcher>,
    watched: RefCell<BTreeMap<u64, Io>>,
    deadline: Cell<Option<Instant>>,
    data: PhantomData<Data>,
}

impl<Data> MiniLoop<Data> {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            poller: RefCell::new(PollingDispatcher::new()?),
            watched: RefCell::default(),
            deadline: Cell::default(),
            data: PhantomData,
        })
    }

    /// Ends the sleep of the loop, from any thread.
    pub(crate) fn waker(&self) -> io::Result<impl Fn() + Send + Sync + use<Data>> {
        let waker = self.poller.borrow().waker();
        Ok(move || waker.wake_by_ref())
    }
}

impl<Data: Drives> MiniLoop<Data> {
    /// Sleeps until something happens, `limit` long at most, and calls back.
    pub(crate) fn round(&self, data: &Data, limit: Option<Duration>) -> io::Result<()> {
        let limit = limit.and_then(|limit| Instant::now().checked_add(limit));
        let until = [self.deadline.get(), limit].into_iter().flatten().min();
        let mut ready = Vec::new();
        self.poller.borrow_mut().wait(until, &mut ready)?;
        for seen in ready {
            data.driver().ready(seen.key.as_u64(), seen.readable, seen.writable);
        }
        if self.deadline.get().is_some_and(|deadline| deadline <= Instant::now()) {
            self.deadline.set(None);
            data.driver().deadline_passed();
        }
        Ok(())
    }
}

/// The data of a program that has a driver.
pub(crate) trait Drives {
    fn driver(&self) -> &Driver;
}

/// The loop as a host.
pub(crate) struct MiniHost<Data>(pub(crate) Rc<MiniLoop<Data>>);

impl<Data> Host for MiniHost<Data> {
    fn watch(&self, key: u64, descriptor: Descriptor<'_>, interest: Interest) -> io::Result<()> {
        let mut poller = self.0.poller.borrow_mut();
        let mut watched = self.0.watched.borrow_mut();
        if let Some(io) = watched.get_mut(&key) {
            return poller.reregister(Key::from_u64(key), io, interest);
        }
        // Only watched, so that its type does not matter.
        let socket = descriptor.share()?.as_socket().try_clone_to_owned()?;
        let mut io = Io::nonblocking_tcp(TcpStream::from(socket));
        poller.register(Key::from_u64(key), &mut io, interest)?;
        watched.insert(key, io);
        Ok(())
    }

    fn unwatch(&self, key: u64) {
        if let Some(io) = self.0.watched.borrow_mut().remove(&key) {
            self.0.poller.borrow_mut().deregister(Key::from_u64(key), io);
        }
    }

    fn set_deadline(&self, deadline: Option<Instant>) {
        self.0.deadline.set(deadline);
    }

    fn is_level_triggered(&self) -> bool {
        self.0.poller.borrow().short_read_drains()
    }
}
