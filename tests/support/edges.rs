//! A loop that runs futures, made of one that a thread waits on.

use std::io;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use websocket_app::dispatcher::{Clock, Dispatcher, Interest, Io, Key, PollWait, Ready, Wait};

/// A dispatcher that a thread waits on as one of a loop that runs futures, for a test that polls again and again. It reports each edge once.
#[derive(Debug)]
pub struct Edges<D>(pub D);

impl<D: Dispatcher> Dispatcher for Edges<D> {
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

    fn clock(&self) -> Clock {
        self.0.clock()
    }
}

impl<D: Wait> PollWait for Edges<D> {
    fn poll_wait(
        &mut self,
        _: &mut Context<'_>,
        deadline: Option<Instant>,
        ready: &mut Vec<Ready>,
    ) -> Poll<io::Result<()>> {
        let (known, now) = (ready.len(), self.now());
        self.0.wait(Some(now), ready)?;
        if ready.len() > known || deadline.is_some_and(|deadline| deadline <= now) {
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }
}
