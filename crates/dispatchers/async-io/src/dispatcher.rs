//! Streams, waking and time on async-io.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Instant;

use async_io::{Async, Timer};
use websocket_dispatcher::{Dispatcher, Interest, Io, Key, PollReady, PollWait, Polled, Ready, Shared};

/// A [`Dispatcher`] on async-io's reactor. See the [crate's page](crate).
#[derive(Debug, Default)]
pub struct AsyncIoDispatcher {
    streams: Polled<Watched>,
    timer: Option<(Instant, Timer)>,
    /// The executor has had the opportunity to look for events since the deadline passed.
    looked: bool,
}

impl AsyncIoDispatcher {
    /// A dispatcher on the process's one async-io reactor.
    pub fn new() -> Self {
        Self::default()
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        if deadline <= Instant::now() {
            if !std::mem::replace(&mut self.looked, true) {
                // `async_io::block_on` looks at the sockets before it polls a task again that woke itself.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.looked = false;
            return Poll::Ready(());
        }
        loop {
            // A later deadline waits until the timer has fired for an earlier one: to set a timer is a system
            // call, and most never fire.
            let (armed, timer) = match &mut self.timer {
                Some((armed, timer)) if *armed <= deadline => (*armed, timer),
                other => {
                    let (armed, timer) = other.insert((deadline, Timer::at(deadline)));
                    (*armed, timer)
                }
            };
            ready!(Pin::new(timer).poll(cx));
            self.timer = None;
            if deadline <= armed {
                return Poll::Ready(());
            }
        }
    }
}

impl Dispatcher for AsyncIoDispatcher {
    fn register(&mut self, key: Key, io: &mut Io, interest: Interest) -> io::Result<()> {
        self.streams.vacant(key)?;
        self.streams.insert(key, Watched(Async::new_nonblocking(io.share()?)?), interest)
    }

    fn reregister(&mut self, key: Key, _: &mut Io, interest: Interest) -> io::Result<()> {
        self.streams.change(key, interest)
    }

    fn deregister(&mut self, key: Key, io: Io) {
        drop(self.streams.remove(key));
        drop(io);
    }

    fn waker(&self) -> Waker {
        self.streams.waker()
    }

    // Whatever is left, or comes, makes the next poll ready: async-io looks at levels.
    fn short_read_drains(&self) -> bool {
        true
    }
}

impl PollWait for AsyncIoDispatcher {
    fn poll_wait(
        &mut self,
        cx: &mut Context<'_>,
        deadline: Option<Instant>,
        ready: &mut Vec<Ready>,
    ) -> Poll<io::Result<()>> {
        if let Poll::Ready(outcome) = self.streams.poll(cx, ready) {
            self.looked = false;
            return Poll::Ready(outcome);
        }
        match deadline {
            Some(deadline) => self.poll_deadline(cx, deadline).map(Ok),
            None => Poll::Pending,
        }
    }
}

/// A stream that async-io watches, by a share of it: it takes nothing less.
#[derive(Debug)]
struct Watched(Async<Shared>);

impl PollReady for Watched {
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        self.0.poll_readable(cx).map_ok(|()| false)
    }

    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        self.0.poll_writable(cx).map_ok(|()| false)
    }
}
