//! A loop that owns the thread, as one that may be blocked in.

use std::io;
use std::task::Waker;
use std::time::{Duration, Instant};

use calloop::EventLoop;
use websocket_dispatcher::{Dispatcher, Interest, Io, Key, Next, Ready, Wait};
use websocket_dispatcher_calloop::CalloopDispatcher;

/// calloop goes back to sleep when a signal interrupts it, so a wait is to end by itself: an early end does no harm.
const SLICE: Duration = Duration::from_millis(100);

#[derive(Default)]
struct Seen {
    ready: Vec<Ready>,
    turned: bool,
}

/// Runs the loop until it takes a turn.
pub(crate) struct Rounds {
    dispatcher: CalloopDispatcher<'static, Seen>,
    event_loop: EventLoop<'static, Seen>,
}

impl Rounds {
    pub(crate) fn new() -> io::Result<Self> {
        let event_loop = EventLoop::try_new()?;
        let dispatcher = CalloopDispatcher::new(event_loop.handle(), |seen: &mut Seen, ready| {
            seen.ready.extend(ready);
            seen.turned = true;
            Next::new(None, false)
        })?;
        Ok(Self { dispatcher, event_loop })
    }
}

impl Dispatcher for Rounds {
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

impl Wait for Rounds {
    fn wait(&mut self, deadline: Option<Instant>, ready: &mut Vec<Ready>) -> io::Result<()> {
        let mut seen = Seen::default();
        let end = Instant::now() + SLICE;
        let end = deadline.map_or(end, |deadline| deadline.min(end));
        loop {
            let left = end.saturating_duration_since(Instant::now());
            self.event_loop.dispatch(left, &mut seen)?;
            if seen.turned || left.is_zero() {
                ready.append(&mut seen.ready);
                return Ok(());
            }
        }
    }
}
