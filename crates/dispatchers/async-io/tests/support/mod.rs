//! A thread that is blocked in async-io, for the conformance suite.

use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::task::Waker;
use std::time::Instant;

use async_io::Async;
use websocket_dispatcher::{Clock, Dispatcher, Interest, Io, Key, PollWait, Ready, Wait};
use websocket_dispatcher_async_io::AsyncIoDispatcher;

pub(crate) struct Blocking {
    dispatcher: AsyncIoDispatcher,
    always_ready: Async<UdpSocket>,
}

impl Blocking {
    pub(crate) fn new() -> Self {
        let always_ready = Async::<UdpSocket>::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket on loopback");
        Self { dispatcher: AsyncIoDispatcher::new(), always_ready }
    }
}

impl Dispatcher for Blocking {
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

    fn clock(&self) -> Clock {
        self.dispatcher.clock()
    }

    fn short_read_drains(&self) -> bool {
        self.dispatcher.short_read_drains()
    }
}

impl Wait for Blocking {
    fn wait(&mut self, deadline: Option<Instant>, ready: &mut Vec<Ready>) -> io::Result<()> {
        if deadline.is_some_and(|deadline| deadline <= self.dispatcher.now()) {
            // All tests share one reactor, which may be looked after by any of their threads. Whoever that is, it has had a look at all
            // sockets when one that is always ready was reported.
            async_io::block_on(self.always_ready.writable())?;
        }
        async_io::block_on(poll_fn(|cx| self.dispatcher.poll_wait(cx, deadline, ready)))
    }
}
