//! A host over a channel, as one that may be blocked in.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::task::{Wake, Waker};
use std::time::Instant;

use websocket_dispatcher::{Clock, Dispatcher, Interest, Io, Key, Next, Ready, Wait};
use websocket_dispatcher_waiting_thread::{Driver, WaitingThread};

/// Takes turns until one has seen something. Between two waits the thread waits all the same, as it does for every host.
pub(crate) struct Blocking<D> {
    dispatcher: WaitingThread<D>,
    driver: Driver<D>,
    calls: Receiver<()>,
    waker: Arc<Marked>,
}

/// A waker that can be told from the wakes of the host itself.
struct Marked {
    is_woken: AtomicBool,
    inner: Waker,
}

impl Wake for Marked {
    fn wake(self: Arc<Self>) {
        self.is_woken.store(true, Ordering::SeqCst);
        self.inner.wake_by_ref();
    }
}

impl<D: Wait + Send + 'static> Blocking<D> {
    pub(crate) fn over(inner: D) -> io::Result<Self> {
        let (call, calls) = mpsc::channel();
        // The host is gone when nothing listens.
        let wake = move || _ = call.send(());
        let (dispatcher, driver) = WaitingThread::new(inner, wake)?;
        let waker = Arc::new(Marked { is_woken: AtomicBool::new(false), inner: dispatcher.waker() });
        Ok(Self { dispatcher, driver, calls, waker })
    }
}

impl<D: Dispatcher> Dispatcher for Blocking<D> {
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
        self.waker.clone().into()
    }

    fn clock(&self) -> Clock {
        self.dispatcher.clock()
    }

    fn short_read_drains(&self) -> bool {
        self.dispatcher.short_read_drains()
    }

    fn hand_over(&mut self) {
        self.dispatcher.hand_over();
    }
}

impl<D: Wait + Send + 'static> Wait for Blocking<D> {
    fn wait(&mut self, deadline: Option<Instant>, ready: &mut Vec<Ready>) -> io::Result<()> {
        // A turn tells the thread the deadline.
        self.waker.inner.wake_by_ref();
        let mut is_done = false;
        while !is_done {
            self.calls.recv().map_err(io::Error::other)?;
            let clock = self.dispatcher.clock();
            self.driver.turn(|seen| {
                ready.extend(seen);
                is_done = self.waker.is_woken.swap(false, Ordering::SeqCst)
                    || !seen.is_empty()
                    || deadline.is_some_and(|deadline| deadline <= clock.now());
                Next::new(deadline, false)
            })?;
        }
        Ok(())
    }
}
