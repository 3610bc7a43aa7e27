//! A loop that owns the thread, as one that may be blocked in.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use libuv::{Loop, RunMode};
use mio::unix::SourceFd;
use mio::{Events, Poll, Token};
use websocket_dispatcher::{Dispatcher, Interest, Io, Key, Next, Ready, Wait};
use websocket_dispatcher_libuv::{LibuvDispatcher, Turns};

/// Runs the loop until a turn has seen something.
///
/// libuv itself goes on sleeping when a signal interrupts it. To see interruptions, this sleeps on the loop's descriptor instead.
pub(crate) struct Looping {
    dispatcher: LibuvDispatcher,
    turns: Option<Turns>,
    turned: Rc<Turned>,
    waker: Arc<Marked>,
    uv: Loop,
    sleep: Poll,
}

#[derive(Default)]
struct Turned {
    deadline: Cell<Option<Instant>>,
    ready: RefCell<Vec<Ready>>,
    done: Cell<bool>,
}

/// A waker that can be told from the rings of the test itself.
struct Marked {
    woken: AtomicBool,
    bell: Waker,
}

impl Wake for Marked {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        self.bell.wake_by_ref();
    }
}

impl Looping {
    pub(crate) fn new() -> Self {
        let uv = Loop::new().unwrap();
        let (dispatcher, turns) = LibuvDispatcher::new(&uv).unwrap();
        let waker = Arc::new(Marked { woken: AtomicBool::new(false), bell: dispatcher.waker() });
        let turned = Rc::new(Turned::default());
        turns.start({
            let (turned, waker) = (turned.clone(), waker.clone());
            move |ready| {
                let woken = waker.woken.swap(false, Ordering::SeqCst);
                let deadline = turned.deadline.get();
                let passed = deadline.is_some_and(|deadline| deadline <= Instant::now());
                turned.ready.borrow_mut().extend_from_slice(ready);
                turned.done.set(turned.done.get() || woken || passed || !ready.is_empty());
                Next::new(deadline, false)
            }
        });
        let sleep = Poll::new().unwrap();
        sleep
            .registry()
            .register(&mut SourceFd(&uv.backend_fd()), Token(0), mio::Interest::READABLE)
            .unwrap();
        Self { dispatcher, turns: Some(turns), turned, waker, uv, sleep }
    }
}

impl Dispatcher for Looping {
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

    fn short_read_drains(&self) -> bool {
        self.dispatcher.short_read_drains()
    }
}

impl Wait for Looping {
    fn wait(&mut self, deadline: Option<Instant>, ready: &mut Vec<Ready>) -> io::Result<()> {
        // A turn tells the loop the deadline.
        self.turned.deadline.set(deadline);
        self.waker.bell.wake_by_ref();
        self.turned.done.set(false);
        loop {
            self.uv.run(RunMode::NoWait).unwrap();
            if self.turned.done.get() {
                break;
            }
            // mio tells of edges only, and of what is there when something is registered.
            let mut fd = SourceFd(&self.uv.backend_fd());
            self.sleep.registry().reregister(&mut fd, Token(0), mio::Interest::READABLE)?;
            let timeout = u64::try_from(self.uv.backend_timeout()).ok().map(Duration::from_millis);
            match self.sleep.poll(&mut Events::with_capacity(1), timeout) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => break,
                Err(error) => return Err(error),
            }
        }
        ready.append(&mut self.turned.ready.borrow_mut());
        Ok(())
    }
}

impl Drop for Looping {
    fn drop(&mut self) {
        self.turns = None;
        self.uv.run(RunMode::Default).unwrap();
        assert!(!self.uv.is_alive());
    }
}
