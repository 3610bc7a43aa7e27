//! Streams, waking and time on tokio.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::time::Sleep;
use websocket_dispatcher::{Clock, Dispatcher, Interest, Io, Key, PollWait, Polled, Ready};

use crate::watched::Watched;

/// A [`Dispatcher`] on a tokio runtime. See the [crate's page](crate).
#[derive(Debug)]
pub struct TokioDispatcher {
    runtime: Handle,
    streams: Polled<Watched>,
    sleep: Pin<Box<Sleep>>,
    /// The runtime has had the opportunity to look for events since the deadline passed.
    looked: bool,
    /// It has had one since the last wait was over.
    gave_way: bool,
    /// This wait was woken, and is over after such an opportunity: wakes that come all the time do not hide what the sockets have.
    woken: bool,
}

impl TokioDispatcher {
    /// A dispatcher on the runtime in whose context this is called.
    ///
    /// # Errors
    /// Outside of a runtime.
    ///
    /// # Panics
    /// On a runtime that was built without its timers. Registering a stream panics on one that was built
    /// without I/O.
    pub fn new() -> io::Result<Self> {
        let runtime = Handle::try_current().map_err(|error| {
            io::Error::other(format!(
                "{error}; make the dispatcher inside of a runtime, or after entering one by its handle"
            ))
        })?;
        let sleep = Box::pin(tokio::time::sleep_until(tokio::time::Instant::now()));
        Ok(Self { runtime, streams: Polled::new(), sleep, looked: false, gave_way: false, woken: false })
    }

    /// Ready when `deadline` has passed and the runtime has looked for events.
    fn poll_deadline(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        if deadline <= self.now() {
            if !std::mem::replace(&mut self.looked, true) {
                // The task comes back behind the others and, on a thread that does both, behind a look at the
                // sockets.
                return pin!(tokio::task::yield_now()).poll(cx);
            }
            return Poll::Ready(());
        }
        loop {
            // A later deadline waits until the timer has fired for an earlier one: most of them never come.
            let armed = self.sleep.deadline().into_std();
            if self.sleep.is_elapsed() || deadline < armed {
                self.sleep.as_mut().reset(deadline.into());
            }
            ready!(self.sleep.as_mut().poll(cx));
            if deadline <= self.sleep.deadline().into_std() {
                return Poll::Ready(());
            }
        }
    }
}

impl Dispatcher for TokioDispatcher {
    fn register(&mut self, key: Key, io: &mut Io, interest: Interest) -> io::Result<()> {
        self.streams.vacant(key)?;
        let shared = io.share()?;
        let _entered = self.runtime.enter();
        self.streams.insert(key, Watched::new(shared)?, interest)
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

    /// tokio's clock, which stands still where it was paused.
    fn clock(&self) -> Clock {
        let runtime = self.runtime.clone();
        Clock::new(move || {
            let _entered = runtime.enter();
            tokio::time::Instant::now().into_std()
        })
    }

    // What arrives after readiness was cleared is an edge, and so is reported. On Windows the next poll looks at the level.
    fn short_read_drains(&self) -> bool {
        cfg!(any(target_os = "linux", target_os = "android", windows))
    }
}

impl PollWait for TokioDispatcher {
    fn poll_wait(
        &mut self,
        cx: &mut Context<'_>,
        deadline: Option<Instant>,
        ready: &mut Vec<Ready>,
    ) -> Poll<io::Result<()>> {
        // Used up, tokio's budget would make ready streams look as if they were not. The reactor gives way
        // after each turn.
        let known = ready.len();
        let wait = tokio::task::unconstrained(std::future::poll_fn(|cx| {
            if let Poll::Ready(outcome) = self.streams.poll(cx, ready) {
                if outcome.is_err() || ready.len() > known || self.gave_way {
                    return Poll::Ready(outcome);
                }
                self.woken = true;
                return pin!(tokio::task::yield_now()).poll(cx).map(Ok);
            }
            match deadline {
                _ if self.woken => Poll::Ready(Ok(())),
                Some(deadline) => self.poll_deadline(cx, deadline).map(Ok),
                None => Poll::Pending,
            }
        }));
        let waited = pin!(wait).poll(cx);
        self.gave_way = waited.is_pending();
        if waited.is_ready() {
            (self.looked, self.woken) = (false, false);
        }
        waited
    }
}
