//! The streams of a loop that runs futures: each wakes for itself, and only those that did are polled.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use crate::{Interest, Key, KeyTable, Ready, Signals};

/// A stream's readiness in a loop that runs futures, for [`Polled`].
///
/// A poll that is ready uses up what it reports: the next one is pending, and wakes, until the stream becomes
/// ready once more or, where the loop sees levels, is still ready. It is always polled with the same waker.
///
/// In both methods `true` says that this side is closed for good, which loops with a memory would otherwise
/// report indefinitely.
pub trait PollReady {
    /// Ready when a read may succeed, end or fail.
    ///
    /// # Errors
    /// When the loop is broken.
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>>;

    /// Ready when a write may succeed or fail, or a connect has ended.
    ///
    /// # Errors
    /// When the loop is broken.
    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>>;
}

/// The streams of a dispatcher on a loop that runs futures, and which of them have something to report.
///
/// It is nearly all of a [`PollWait`](crate::PollWait). There is no task for each stream, so nothing has to
/// be aborted and nothing is left behind; a poll looks at those streams only that woke, changed, or were
/// reported by the poll before.
///
/// ```
/// use std::io;
/// use std::task::{Context, Poll, Waker};
/// use websocket_dispatcher::{Interest, Key, PollReady, Polled};
///
/// /// Can always be written to, which it reports once, and never read.
/// struct Sink(bool);
///
/// impl PollReady for Sink {
///     fn poll_readable(&mut self, _: &mut Context<'_>) -> Poll<io::Result<bool>> {
///         Poll::Pending
///     }
///
///     fn poll_writable(&mut self, _: &mut Context<'_>) -> Poll<io::Result<bool>> {
///         if std::mem::take(&mut self.0) { Poll::Ready(Ok(false)) } else { Poll::Pending }
///     }
/// }
///
/// let mut streams = Polled::new();
/// streams.insert(Key::new(0, 0), Sink(true), Interest::ReadWrite)?;
/// let mut cx = Context::from_waker(Waker::noop());
/// let mut ready = Vec::new();
/// assert!(streams.poll(&mut cx, &mut ready).is_ready());
/// assert!(ready[0].writable && !ready[0].readable);
/// assert!(streams.poll(&mut cx, &mut ready).is_pending());
/// # Ok::<(), io::Error>(())
/// ```
#[derive(Debug)]
pub struct Polled<S> {
    signals: Signals,
    streams: KeyTable<Entry<S>>,
    /// Names the streams to look at next, each once.
    due: Vec<Ready>,
}

#[derive(Debug)]
struct Entry<S> {
    stream: S,
    interest: Interest,
    /// To be reported without a poll: an edge that was reported before does not come again.
    changed: bool,
    read_closed: bool,
    write_closed: bool,
    bell: Arc<Bell>,
    waker: Waker,
}

/// What a stream wakes.
#[derive(Debug)]
struct Bell {
    key: Key,
    /// Among those that are due, or among the signals.
    listed: AtomicBool,
    signals: Signals,
}

impl Bell {
    /// Whether the caller must list the stream.
    fn list(&self) -> bool {
        !self.listed.swap(true, Ordering::AcqRel)
    }

    const fn name(&self) -> Ready {
        Ready::new(self.key, false, false)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.list() {
            self.signals.push(self.name());
        }
    }
}

impl<S: PollReady> Entry<S> {
    fn look(&mut self) -> io::Result<Ready> {
        let mut seen = self.bell.name();
        if std::mem::take(&mut self.changed) {
            (seen.readable, seen.writable) = (self.interest.is_read(), self.interest.is_write());
            return Ok(seen);
        }
        let mut cx = Context::from_waker(&self.waker);
        if self.interest.is_read()
            && !self.read_closed
            && let Poll::Ready(closed) = self.stream.poll_readable(&mut cx)
        {
            self.read_closed = closed?;
            (seen.readable, seen.read_closed) = (true, self.read_closed);
        }
        if self.interest.is_write()
            && !self.write_closed
            && let Poll::Ready(closed) = self.stream.poll_writable(&mut cx)
        {
            self.write_closed = closed?;
            seen.writable = true;
        }
        Ok(seen)
    }
}

impl<S> Default for Polled<S> {
    fn default() -> Self {
        Self { signals: Signals::new(), streams: KeyTable::new(), due: Vec::new() }
    }
}

impl<S: PollReady> Polled<S> {
    /// No streams yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The dispatcher's waker: see [`Dispatcher::waker`](crate::Dispatcher::waker).
    pub fn waker(&self) -> Waker {
        self.signals.waker()
    }

    /// Fails with `AlreadyExists` if `key`'s slot is taken; ask before telling the loop.
    ///
    /// # Errors
    /// `AlreadyExists`, naming the key.
    pub fn vacant(&self, key: Key) -> io::Result<()> {
        self.streams.vacant(key)
    }

    /// Watches `stream` from the next poll on.
    ///
    /// # Errors
    /// As [`vacant`](Self::vacant).
    pub fn insert(&mut self, key: Key, stream: S, interest: Interest) -> io::Result<()> {
        let bell = Arc::new(Bell { key, listed: AtomicBool::new(true), signals: self.signals.clone() });
        let waker = bell.clone().into();
        let entry =
            Entry { stream, interest, changed: false, read_closed: false, write_closed: false, bell, waker };
        let name = entry.bell.name();
        self.streams.insert(key, entry)?;
        self.due.push(name);
        Ok(())
    }

    /// Watches `key` for `interest` from the next poll on. That poll reports it as ready, whether it is or
    /// not: edges that were reported do not come again.
    ///
    /// # Errors
    /// `NotFound` for a stale key.
    pub fn change(&mut self, key: Key, interest: Interest) -> io::Result<()> {
        let entry = self.streams.get_mut(key)?;
        entry.interest = interest;
        entry.changed = true;
        (entry.read_closed, entry.write_closed) = (false, false);
        if entry.bell.list() {
            self.due.push(entry.bell.name());
        }
        Ok(())
    }

    /// Takes a stream out; `None` for a stale key.
    pub fn remove(&mut self, key: Key) -> Option<S> {
        self.streams.remove(key).map(|entry| entry.stream)
    }

    /// Ready with what was seen appended to `ready`, or after a wake, perhaps one without a cause. Otherwise
    /// the task of `cx` is woken by the first of them.
    ///
    /// # Errors
    /// What a stream's poll says. All that was due is still due then.
    pub fn poll(&mut self, cx: &mut Context<'_>, ready: &mut Vec<Ready>) -> Poll<io::Result<()>> {
        let signalled = self.signals.take(&mut self.due);
        let known = ready.len();
        let mut outcome = Ok(());
        self.due.retain(|name| {
            if outcome.is_err() {
                return true;
            }
            let Ok(entry) = self.streams.get_mut(name.key) else { return false };
            // Before the look, so that a wake that comes after it is not taken for one that came before.
            entry.bell.listed.swap(false, Ordering::AcqRel);
            match entry.look() {
                Ok(seen) if seen.readable || seen.writable => ready.push(seen),
                Ok(_) => return false,
                Err(error) => outcome = Err(error),
            }
            // It gets its waker back by the next poll: by then the reactor has used what was reported.
            entry.bell.list()
        });
        if outcome.is_ok() && !signalled && ready.len() == known {
            self.signals.notify(cx.waker());
            return Poll::Pending;
        }
        Poll::Ready(outcome)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::rc::Rc;

    use super::*;

    /// A stream that the test makes ready.
    #[derive(Clone, Default)]
    struct FakeStream(Rc<FakeState>);

    #[derive(Default)]
    struct FakeState {
        readable: Cell<bool>,
        closed: Cell<bool>,
        broken: Cell<bool>,
        polls: Cell<usize>,
        reader: RefCell<Option<Waker>>,
    }

    impl FakeStream {
        fn ring(&self) {
            self.0.readable.set(true);
            if let Some(reader) = self.0.reader.take() {
                reader.wake();
            }
        }
    }

    impl PollReady for FakeStream {
        fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
            self.0.polls.set(self.0.polls.get() + 1);
            if self.0.broken.get() {
                return Poll::Ready(Err(io::Error::other("broken")));
            }
            // A side that is closed stays readable, as in a loop with a memory.
            if self.0.closed.get() || self.0.readable.take() {
                return Poll::Ready(Ok(self.0.closed.get()));
            }
            self.0.reader.replace(Some(cx.waker().clone()));
            Poll::Pending
        }

        fn poll_writable(&mut self, _: &mut Context<'_>) -> Poll<io::Result<bool>> {
            Poll::Pending
        }
    }

    /// Streams under the first keys of their slots, looked at once.
    fn polled(count: u32) -> (Polled<FakeStream>, Vec<FakeStream>) {
        let mut streams = Polled::new();
        let fakes: Vec<_> = (0..count).map(|_| FakeStream::default()).collect();
        for (slot, stream) in (0..).zip(&fakes) {
            streams.insert(Key::new(slot, 0), stream.clone(), Interest::Read).unwrap();
        }
        assert!(poll(&mut streams).is_none(), "nothing has happened yet");
        fakes.iter().for_each(|stream| stream.0.polls.set(0));
        (streams, fakes)
    }

    /// What one poll reports; `None` while it is pending.
    fn poll(streams: &mut Polled<FakeStream>) -> Option<Vec<Ready>> {
        let mut ready = Vec::new();
        match streams.poll(&mut Context::from_waker(Waker::noop()), &mut ready) {
            Poll::Ready(outcome) => outcome.map(|()| Some(ready)).unwrap(),
            Poll::Pending => None,
        }
    }

    fn readable(slot: u32) -> Ready {
        Ready::new(Key::new(slot, 0), true, false)
    }

    #[test]
    fn only_streams_that_woke_are_polled() {
        let (mut streams, fakes) = polled(100);
        fakes[7].ring();
        assert_eq!(poll(&mut streams).unwrap(), [readable(7)]);
        assert_eq!(poll(&mut streams), None);
        let polls: Vec<_> = fakes.iter().map(|stream| stream.0.polls.get()).collect();
        assert_eq!(polls[7], 2, "once for what it reported, once to wait for more");
        assert_eq!(polls.iter().sum::<usize>(), 2);
    }

    #[test]
    fn a_stream_that_wakes_often_is_listed_once() {
        let (mut streams, fakes) = polled(1);
        let waker = fakes[0].0.reader.borrow().clone().unwrap();
        fakes[0].ring();
        (0..5).for_each(|_| waker.wake_by_ref());
        assert_eq!(poll(&mut streams).unwrap(), [readable(0)]);
        (0..5).for_each(|_| waker.wake_by_ref());
        assert_eq!(poll(&mut streams), None, "it was listed anyway, for having been reported");
        assert_eq!(fakes[0].0.polls.get(), 2);
    }

    #[test]
    fn a_closed_side_is_reported_once_for_each_change_of_interest() {
        let (mut streams, fakes) = polled(1);
        for _ in 0..3 {
            fakes[0].0.closed.set(true);
            fakes[0].ring();
            assert_eq!(poll(&mut streams).unwrap(), [readable(0).with_read_closed(true)]);
            assert_eq!(poll(&mut streams), None);
            streams.change(Key::new(0, 0), Interest::Read).unwrap();
            assert_eq!(poll(&mut streams).unwrap(), [readable(0)], "a change reports without asking");
        }
    }

    #[test]
    fn a_stream_watched_for_nothing_is_not_polled_until_an_interest_comes_back() {
        let (mut streams, fakes) = polled(2);
        let key = Key::new(0, 0);
        streams.change(key, Interest::None).unwrap();
        assert_eq!(poll(&mut streams), None, "the change itself is nothing to report");
        fakes[0].ring();
        fakes[0].0.closed.set(true);
        assert_eq!(poll(&mut streams), Some(vec![]), "a waker from before ends one wait");
        assert_eq!(poll(&mut streams), None);
        assert_eq!(fakes[0].0.polls.get(), 0);
        streams.change(key, Interest::Read).unwrap();
        assert_eq!(poll(&mut streams).unwrap(), [readable(0)]);

        let late = FakeStream::default();
        late.0.readable.set(true);
        let key = Key::new(2, 0);
        streams.insert(key, late.clone(), Interest::None).unwrap();
        assert_eq!(poll(&mut streams).unwrap(), [readable(0).with_read_closed(true)]);
        assert_eq!(poll(&mut streams), None);
        assert_eq!(late.0.polls.get(), 0);
        streams.change(key, Interest::Read).unwrap();
        assert_eq!(poll(&mut streams).unwrap(), [readable(2)]);
    }

    #[test]
    fn a_broken_loop_loses_nothing() {
        let (mut streams, fakes) = polled(3);
        fakes.iter().for_each(FakeStream::ring);
        fakes[1].0.broken.set(true);
        let mut ready = Vec::new();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(matches!(streams.poll(&mut cx, &mut ready), Poll::Ready(Err(_))));
        assert_eq!(ready, [readable(0)]);
        fakes[1].0.broken.set(false);
        assert_eq!(poll(&mut streams).unwrap(), [readable(1), readable(2)]);
    }

    #[test]
    fn a_removed_stream_is_dropped_and_its_late_wake_ignored() {
        let (mut streams, fakes) = polled(2);
        let late = fakes[0].0.reader.borrow().clone().unwrap();
        fakes[0].ring();
        drop(streams.remove(Key::new(0, 0)).unwrap());
        assert_eq!(Rc::strong_count(&fakes[0].0), 1);
        late.wake();
        fakes[1].ring();
        assert_eq!(poll(&mut streams).unwrap(), [readable(1)]);
        assert_eq!(fakes[0].0.polls.get(), 0);
    }
}
