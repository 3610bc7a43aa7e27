//! A context that is iterated, for the conformance suite.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use glib::MainContext;
use websocket_dispatcher::{Dispatcher, Interest, Io, Key, PollWait as _, Ready, Wait};
use websocket_dispatcher_glib::GlibDispatcher;

/// Runs the context until something was seen.
pub(crate) struct Iterating {
    context: MainContext,
    dispatcher: GlibDispatcher,
    waker: Waker,
}

struct Wakeup(MainContext);

impl Wake for Wakeup {
    fn wake(self: Arc<Self>) {
        self.0.wakeup();
    }
}

impl Iterating {
    pub(crate) fn new() -> Self {
        let context = MainContext::new();
        let dispatcher = GlibDispatcher::new(&context);
        let waker = Arc::new(Wakeup(context.clone())).into();
        Self { context, dispatcher, waker }
    }
}

impl Dispatcher for Iterating {
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

impl Wait for Iterating {
    fn wait(&mut self, deadline: Option<Instant>, ready: &mut Vec<Ready>) -> io::Result<()> {
        let mut cx = Context::from_waker(&self.waker);
        let known = ready.len();
        let waited = self.dispatcher.poll_wait(&mut cx, deadline, ready);
        if ready.len() == known {
            // A deadline that has passed means to look.
            self.context.iteration(waited.is_pending());
            if let Poll::Ready(outcome) = self.dispatcher.poll_wait(&mut cx, deadline, ready) {
                return outcome;
            }
        }
        Ok(())
    }
}
