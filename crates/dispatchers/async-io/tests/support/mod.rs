//! A thread that is blocked in async-io, for the conformance suite.

use std::future::poll_fn;
use std::io;
use std::task::Waker;
use std::time::{Duration, Instant};

use async_io::Timer;
use websocket_dispatcher::{Dispatcher, Interest, Io, Key, PollWait, Ready, Wait};
use websocket_dispatcher_async_io::AsyncIoDispatcher;

#[derive(Default)]
pub(crate) struct Blocking(AsyncIoDispatcher);

impl Dispatcher for Blocking {
    fn register(&mut self, key: Key, io: &mut Io, interest: Interest) -> io::Result<()> {
        self.0.register(key, io, interest)
    }

    fn reregister(&mut self, key: Key, io: &mut Io, interest: Interest) -> io::Result<()> {
        self.0.reregister(key, io, interest)
    }

    fn deregister(&mut self, key: Key, io: Io) {
        self.0.deregister(key, io);
    }

    fn waker(&self) -> Waker {
        self.0.waker()
    }

    fn now(&self) -> Instant {
        self.0.now()
    }

    fn short_read_drains(&self) -> bool {
        self.0.short_read_drains()
    }
}

impl Wait for Blocking {
    fn wait(&mut self, deadline: Option<Instant>, ready: &mut Vec<Ready>) -> io::Result<()> {
        if deadline.is_some_and(|deadline| deadline <= self.0.now()) {
            // All tests share one reactor, which may be looked after by any of their threads. A timer goes through it, whoever that is.
            async_io::block_on(Timer::after(Duration::from_micros(1)));
        }
        async_io::block_on(poll_fn(|cx| self.0.poll_wait(cx, deadline, ready)))
    }
}
