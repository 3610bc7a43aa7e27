//! A runtime that is blocked in, for the conformance suite.

use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Instant;

use tokio::runtime::{Builder, Runtime};
use websocket_dispatcher::{Clock, Dispatcher, Interest, Io, Key, PollWait, Ready, Wait};
use websocket_dispatcher_tokio::TokioDispatcher;

pub(crate) struct Blocking {
    runtime: Runtime,
    dispatcher: TokioDispatcher,
    has_workers: bool,
    /// Who waits now. Taken and woken when the runtime has slept, be it that a signal has ended that.
    waiting: Arc<Mutex<Option<Waker>>>,
}

impl Blocking {
    pub(crate) fn on_one_thread() -> Self {
        Self::new(Builder::new_current_thread(), false)
    }

    pub(crate) fn on_two_threads() -> Self {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(1);
        Self::new(builder, true)
    }

    fn new(mut builder: Builder, has_workers: bool) -> Self {
        let waiting: Arc<Mutex<Option<Waker>>> = Arc::default();
        if !has_workers {
            let waiting = waiting.clone();
            builder.on_thread_unpark(move || {
                if let Some(waker) = waiting.lock().expect("no panic in here").take() {
                    waker.wake();
                }
            });
        }
        let runtime = builder.enable_all().build().expect("a runtime");
        let entered = runtime.enter();
        let dispatcher = TokioDispatcher::new().expect("a runtime is entered");
        drop(entered);
        Self { runtime, dispatcher, has_workers, waiting }
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
        let Self { runtime, dispatcher, has_workers, waiting } = self;
        if *has_workers && deadline.is_some_and(|deadline| deadline <= dispatcher.now()) {
            // A worker that runs a task has looked for events before.
            runtime.block_on(runtime.spawn(async {})).expect("a task that does nothing");
        }
        let mut waited = false;
        runtime.block_on(poll_fn(|cx| {
            if let Poll::Ready(outcome) = dispatcher.poll_wait(cx, deadline, ready) {
                return Poll::Ready(outcome);
            }
            let mut waiting = waiting.lock().expect("no panic in here");
            if waited && waiting.is_none() && !*has_workers {
                return Poll::Ready(Ok(()));
            }
            waited = true;
            *waiting = Some(cx.waker().clone());
            Poll::Pending
        }))
    }
}
