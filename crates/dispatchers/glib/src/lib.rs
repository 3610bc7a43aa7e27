//! WebSocket apps on GLib's main loop, next to GTK, GStreamer, or whatever else lives there.
//!
//! A [`GlibDispatcher`] watches each stream by its own source in the [`MainContext`] that it is given. The
//! reactor on it is a future of that context: spawn it with `spawn_local`, and the program's main loop runs
//! it beside all its other work.
//!
//! ```
//! # let server = websocket_testkit::server::EchoServer::start()?;
//! # let url = server.url();
//! use glib::{MainContext, MainLoop};
//! use websocket_app::{Reactor, RunOptions, WebSocketApp};
//! use websocket_dispatcher_glib::GlibDispatcher;
//!
//! let context = MainContext::default();
//! let main_loop = MainLoop::new(Some(&context), false);
//! let mut reactor = Reactor::with_dispatcher(GlibDispatcher::new(&context))?;
//! WebSocketApp::new(url)
//!     .on_open(|app, _| app.send_text("hello"))
//!     .on_message(|app, message| {
//!         println!("{message:?}");
//!         app.close();
//!     })
//!     .run_on(&mut reactor, &RunOptions::new())?;
//!
//! context.spawn_local({
//!     let main_loop = main_loop.clone();
//!     async move {
//!         let outcome = reactor.run_async().await;
//!         main_loop.quit();
//!         outcome
//!     }
//! });
//! main_loop.run();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Callbacks run on the thread that runs the context, so they may touch widgets. Other tasks of the context
//! reach the apps by `reactor.handle()` and by senders. To end early, stop the reactor by its handle, or
//! abort the task and drop what `spawn_local` returned: that drops the reactor, and the reactor its sources.
//!
//! # Costs
//!
//! - No descriptor but the streams' own, no thread.
//! - A source fires once, and the wait that follows the turn makes a new one: a few small allocations for
//!   each observation, no system call. GLib's sources report as long as a stream is ready; otherwise they
//!   would fire repeatedly until the task has had its turn.
//! - One timeout, which is touched only when the deadline changes. It counts milliseconds, rounded up.
//! - GLib hands all descriptors to poll(2) each time round. With thousands of streams that is what costs; a
//!   reactor on mio, watched by its one descriptor, then serves better.
//!
//! # Traps
//!
//! - **Which context.** Everything is in the context that [`new`](GlibDispatcher::new) got, whatever the
//!   thread's default is. The reactor must be spawned there, and on the thread that owns the context, which
//!   the thread that runs the main loop does. `spawn_local` panics elsewhere.
//! - **Priorities.** The sources have the default priority, and so has a task that `spawn_local` spawns.
//!   Sources of a lower priority, redrawing in GTK for one, wait while it has work to do. To let them go
//!   first, spawn the reactor with `spawn_local_with_priority` and a lower priority; the sources need none,
//!   for they are silent until the task has run.
//! - **Panics.** With `PanicPolicy::Propagate` a panic in a callback ends the task, not the main loop:
//!   awaiting the handle that `spawn_local` returned reports it.
//!
//! Unix only: elsewhere this crate is empty.
#![cfg(unix)]
#![forbid(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd as _, RawFd};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use glib::{ControlFlow, IOCondition, MainContext, Priority, Source};
use websocket_dispatcher::{Dispatcher, Interest, Io, Key, KeyTable, PollWait, Ready, Signals};

/// A [`Dispatcher`] in a GLib [`MainContext`]. The [crate's page](crate) shows how to use it.
///
/// Dropping it removes from the context all that it has put there.
#[derive(Debug)]
pub struct GlibDispatcher {
    context: MainContext,
    watched: KeyTable<Watched>,
    signals: Signals,
    /// Whose sources fired for the last turn.
    fired: Vec<Key>,
    timer: Option<(Instant, Attached)>,
}

#[derive(Debug)]
struct Watched {
    fd: RawFd,
    interest: Interest,
    /// None while it is watched for nothing: a hang-up would fire it nevertheless.
    source: Option<Attached>,
}

/// A source in the context, which would stay there if it were only dropped.
#[derive(Debug)]
struct Attached(Source);

impl Attached {
    fn new(source: Source, context: &MainContext) -> Self {
        source.attach(Some(context));
        Self(source)
    }

    /// It has not fired yet.
    fn is_armed(&self) -> bool {
        !self.0.is_destroyed()
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.0.destroy();
    }
}

impl GlibDispatcher {
    /// A dispatcher whose sources are in `context`.
    pub fn new(context: &MainContext) -> Self {
        Self {
            context: context.clone(),
            watched: KeyTable::new(),
            signals: Signals::new(),
            fired: Vec::new(),
            timer: None,
        }
    }

    fn arm(&mut self, deadline: Option<Instant>) {
        if let Some((at, timer)) = &self.timer
            && Some(*at) == deadline
            && timer.is_armed()
        {
            return;
        }
        self.timer = deadline.map(|at| {
            let waker = self.signals.waker();
            let source = glib::timeout_source_new(until(at), None, Priority::DEFAULT, move || {
                waker.wake_by_ref();
                ControlFlow::Break
            });
            (at, Attached::new(source, &self.context))
        });
    }
}

/// The time left, in milliseconds and rounded up. What GLib cannot count ends early, and is armed again.
fn until(deadline: Instant) -> Duration {
    let left = deadline.saturating_duration_since(Instant::now());
    let millis = left.as_nanos().div_ceil(1_000_000);
    Duration::from_millis(u32::try_from(millis).unwrap_or(u32::MAX).into())
}

/// A source that fires once: as long as the reactor has not had its turn, there is nothing new to report.
fn watch(
    context: &MainContext,
    signals: &Signals,
    key: Key,
    fd: RawFd,
    interest: Interest,
) -> Option<Attached> {
    if interest.is_none() {
        return None;
    }
    let mut condition = IOCondition::empty();
    condition.set(IOCondition::IN, interest.is_read());
    condition.set(IOCondition::OUT, interest.is_write());
    let signals = signals.clone();
    let source = glib_unix::fd_source_new(fd, condition, None, Priority::DEFAULT, move |_, seen| {
        signals.push(ready(key, seen));
        ControlFlow::Break
    });
    Some(Attached::new(source, context))
}

/// What `seen` says of the stream `key`. Each of these must be new, or its source would fire repeatedly.
fn ready(key: Key, seen: IOCondition) -> Ready {
    let broken = seen.intersects(IOCondition::ERR | IOCondition::HUP | IOCondition::NVAL);
    let (readable, writable) = (seen.contains(IOCondition::IN), seen.contains(IOCondition::OUT));
    Ready::new(key, readable || broken, writable || broken).with_read_closed(broken)
}

fn descriptor(io: &Io) -> io::Result<RawFd> {
    let unwatchable = || io::Error::new(io::ErrorKind::Unsupported, "GLib watches descriptors only");
    Ok(io.fd().ok_or_else(unwatchable)?.as_raw_fd())
}

impl Dispatcher for GlibDispatcher {
    fn register(&mut self, key: Key, io: &mut Io, interest: Interest) -> io::Result<()> {
        self.watched.vacant(key)?;
        let fd = descriptor(io)?;
        let source = watch(&self.context, &self.signals, key, fd, interest);
        self.watched.insert(key, Watched { fd, interest, source })
    }

    fn reregister(&mut self, key: Key, io: &mut Io, interest: Interest) -> io::Result<()> {
        let watched = self.watched.get_mut(key)?;
        let fd = descriptor(io)?;
        let source = watch(&self.context, &self.signals, key, fd, interest);
        *watched = Watched { fd, interest, source };
        Ok(())
    }

    fn deregister(&mut self, key: Key, io: Io) {
        self.watched.remove(key);
        drop(io);
    }

    fn waker(&self) -> Waker {
        self.signals.waker()
    }

    fn short_read_drains(&self) -> bool {
        true
    }
}

impl PollWait for GlibDispatcher {
    fn poll_wait(
        &mut self,
        cx: &mut Context<'_>,
        deadline: Option<Instant>,
        ready: &mut Vec<Ready>,
    ) -> Poll<io::Result<()>> {
        // The turn that these fired for is over.
        for key in self.fired.drain(..) {
            if let Ok(watched) = self.watched.get_mut(key)
                && watched.source.as_ref().is_some_and(|source| !source.is_armed())
            {
                watched.source = watch(&self.context, &self.signals, key, watched.fd, watched.interest);
            }
        }
        let known = ready.len();
        if self.signals.poll(cx.waker(), ready).is_ready() {
            self.fired.extend(ready[known..].iter().map(|ready| ready.key));
            return Poll::Ready(Ok(()));
        }
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Poll::Ready(Ok(()));
        }
        self.arm(deadline);
        Poll::Pending
    }
}

#[cfg(test)]
mod tests;
