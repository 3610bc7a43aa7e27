//! The traits of the seam, and the contract between them and the reactor.

use std::io;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use crate::{Clock, Interest, Io, Key, Ready};

/// What the reactor asks of any event loop.
///
/// Implement this one for a loop that owns the thread and calls back (a GUI, libuv): it collects [`Ready`]
/// observations, hands them to the reactor's `turn` and takes the next turn when the [`Next`] that this
/// returns says so. Implement [`Wait`] as well for a loop that may be blocked in: the reactor can then `run`
/// on it. Implement [`PollWait`] for a loop that runs futures: the reactor can then `run_async` on it.
///
/// # Contract
///
/// What the reactor relies on, and nothing more. The conformance suite of `websocket-testkit` checks each
/// point; a new dispatcher is done when that suite passes.
///
/// 1. **Data, not calls.** A dispatcher returns [`Ready`] values. It never calls the reactor, so there is no
///    re-entry.
/// 2. **Readiness is a hint.** Edge-triggered, level-triggered and re-armed one-shot loops all serve;
///    spurious observations are harmless. What must not happen is silence: after the reactor has read or
///    written to `WouldBlock`, a stream that becomes ready again is reported again. A stream that is ready
///    when it is registered or re-registered is reported by a later wait.
/// 3. **Keys are the identity**, never descriptors. An observation for a key that was deregistered in the
///    same batch may still be delivered; the reactor ignores it. A dispatcher never reports a stream under
///    another's key.
/// 4. **Registering a live key fails** with `AlreadyExists` and changes nothing. **Re-registering an unknown
///    or stale key fails** with `NotFound`. [`KeyTable`](crate::KeyTable) does both. Any other error fails
///    that one stream only.
/// 5. **`deregister` takes the stream by value**, and drops it only after its own bookkeeping is gone;
///    otherwise a loop that removes late would remove a descriptor number that the kernel has already given
///    to another socket. Afterwards the same key slot may be used again at once. Deregistering a stale key
///    only drops the stream. The stream is closed then, so no [share](Io::share) of it is left.
/// 6. **Changes may come at any time between two waits**, also for the key that has just been reported, and
///    may take effect as late as the next wait.
/// 7. **One deadline.** [`Wait::wait`] returns at the deadline or a little later, never (but for spurious
///    returns, which are allowed and harmless) busily before it: a host with a coarse clock rounds **up**. A
///    deadline that has passed means: look, do not sleep. No deadline means: sleep until something happens.
/// 8. **Waking.** The [`Waker`] works from every thread and from inside callbacks. A wake that comes before
///    the wait makes that wait return at once; it is never lost. Many wakes may end one wait together. A wake
///    does not bring a `Ready`.
/// 9. **No busy waiting.** Without readiness, wake or deadline the loop makes no system call but the one that
///    it sleeps in.
/// 10. **Interruption.** A wait that a signal interrupts returns `Ok(())`, with what it has.
/// 11. **Its own clock.** Deadlines are on [`clock`](Self::clock), which does not go backwards. It is always the same one.
/// 12. **Watched for nothing.** [`Interest::None`] keeps the key live, from `register` or `reregister` on,
///     and the loop silent: bytes, room or a hang-up do not keep it from sleeping. Systems report a hang-up
///     or an error whatever they are asked for, so a loop takes such a stream out of its poll or disarms it.
///     When another interest comes back, point 2 holds: what is there by then is reported.
/// 13. **A source is registered like a stream.** An [`Io`] made by [`Io::source`] is not read by the reactor;
///     a dispatcher watches its descriptor or socket all the same. What the system refuses to watch (epoll
///     refuses a regular file) is an error of `register` that leaves the key free.
/// 14. **A dispatcher may read and write sockets itself**, in batches: `register` puts its own stream in the
///     socket's place ([`Io::drive`]), and the reactor reads and writes that as it would the socket.
///     - *Order.* Bytes keep their order in both directions, whatever is batched; an end and an error come
///       behind the bytes.
///     - *Writing.* What `write` has taken is handed to the system by the next wait at the latest, by
///       [`hand_over`](Self::hand_over), or when the stream is dropped, then as far as the system takes it at once. It counts as written, like what is in
///       the system's own buffer, and must be little: `write` fails with `WouldBlock` beyond a bound, and `flush`
///       does while the system has refused some of it. Room is reported as point 2 says. A failure to hand
///       it over makes the stream ready, and is the error of the next `write` or `flush`.
///     - *Reading.* What was received and not read is bounded too, and so are the streams' shares: a peer whose
///       bytes are not read is held back by TCP, with [`Interest::None`] or when the reactor leaves a stream
///       for later. A read that finds nothing received asks the system: `WouldBlock` means that nothing has
///       arrived.
///     - *Ownership.* Slices are lent for one call, and buffers that the system still uses are the
///       dispatcher's. When the stream is dropped, requests for it are ended before its descriptor is closed.
/// 15. **One descriptor per socket.** `register` only borrows the stream, and its caller may drop it at any time. A loop that must not be left
///     with a closed descriptor watches a share of the stream, [`Io::share`], which has the same descriptor: a duplicate would halve the
///     number of connections that a process can have.
pub trait Dispatcher {
    /// Starts watching `io` for `interest` under `key`.
    ///
    /// # Errors
    /// `AlreadyExists` for a live key, `Unsupported` for a stream that this loop cannot watch, else what the
    /// system says: for one `PermissionDenied`, which is epoll's answer to a regular file.
    fn register(&mut self, key: Key, io: &mut Io, interest: Interest) -> io::Result<()>;

    /// Changes what `key` is watched for. Edge-triggered loops report again what is ready now.
    ///
    /// # Errors
    /// `NotFound` for a stale key, else what the system says.
    fn reregister(&mut self, key: Key, io: &mut Io, interest: Interest) -> io::Result<()>;

    /// Stops watching `key`, then drops `io`, which closes it.
    fn deregister(&mut self, key: Key, io: Io);

    /// A handle that ends the current or next wait from any thread.
    fn waker(&self) -> Waker;

    /// The clock that deadlines are on: the system's monotonic clock, or a runtime's, or a virtual one in tests. The reactor asks for it
    /// once, and reads it also while callbacks run.
    fn clock(&self) -> Clock {
        Clock::system()
    }

    /// The time on [`clock`](Self::clock), which is what an implementation provides.
    fn now(&self) -> Instant {
        self.clock().now()
    }

    /// Whether a short read from a socket means that it has run dry.
    ///
    /// `true` is a promise: bytes or an end of stream that arrive after the short read are reported, and an
    /// end that had already arrived was reported with [`Ready::read_closed`] or is reported again. It saves
    /// one system call per wake-up. Level-triggered loops and edge-triggered epoll can promise it; the
    /// default is not to.
    fn short_read_drains(&self) -> bool {
        false
    }

    /// Hands to the system what streams have taken that this dispatcher writes itself (point 14), without
    /// waiting. The reactor calls it after a turn that no wait follows at once, because it gives the thread back. What
    /// goes wrong shows in the next wait. By default there is nothing to do.
    fn hand_over(&mut self) {}
}

/// A loop that the reactor may block in.
pub trait Wait: Dispatcher {
    /// Sleeps until a stream is ready, a wake, or `deadline`, and appends what was seen to `ready`.
    ///
    /// # Errors
    /// Only when the loop itself is broken; an interruption by a signal is not an error. After an error the
    /// reactor stops.
    fn wait(&mut self, deadline: Option<Instant>, ready: &mut Vec<Ready>) -> io::Result<()>;
}

/// A loop that runs futures: what [`Wait`] is, for a reactor that must not block its thread.
///
/// The contract is that of [`Dispatcher`] with "wait" read as a wait that is polled until it is ready.
pub trait PollWait: Dispatcher {
    /// Ready as soon as a stream is ready, a wake came, or `deadline` has passed, having appended what was
    /// seen to `ready`. Otherwise the task of `cx` is woken when one of them happens; only the last call
    /// counts.
    ///
    /// # Errors
    /// Only when the loop itself is broken. After an error the reactor stops.
    fn poll_wait(
        &mut self,
        cx: &mut Context<'_>,
        deadline: Option<Instant>,
        ready: &mut Vec<Ready>,
    ) -> Poll<io::Result<()>>;
}

/// What a reactor waits for after a turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Next {
    /// When the next turn is due at the latest, on the dispatcher's clock; `None` when only readiness or a
    /// wake can matter.
    pub deadline: Option<Instant>,
    /// There is more to do now: look for readiness without sleeping, then take the next turn.
    pub again: bool,
}

impl Next {
    /// A turn is due at `deadline` at the latest, or now if `again`.
    pub const fn new(deadline: Option<Instant>, again: bool) -> Self {
        Self { deadline, again }
    }
}

impl<D: Dispatcher + ?Sized> Dispatcher for Box<D> {
    fn register(&mut self, key: Key, io: &mut Io, interest: Interest) -> io::Result<()> {
        (**self).register(key, io, interest)
    }

    fn reregister(&mut self, key: Key, io: &mut Io, interest: Interest) -> io::Result<()> {
        (**self).reregister(key, io, interest)
    }

    fn deregister(&mut self, key: Key, io: Io) {
        (**self).deregister(key, io);
    }

    fn waker(&self) -> Waker {
        (**self).waker()
    }

    fn clock(&self) -> Clock {
        (**self).clock()
    }

    fn short_read_drains(&self) -> bool {
        (**self).short_read_drains()
    }

    fn hand_over(&mut self) {
        (**self).hand_over();
    }
}

impl<D: Wait + ?Sized> Wait for Box<D> {
    fn wait(&mut self, deadline: Option<Instant>, ready: &mut Vec<Ready>) -> io::Result<()> {
        (**self).wait(deadline, ready)
    }
}

impl<D: PollWait + ?Sized> PollWait for Box<D> {
    fn poll_wait(
        &mut self,
        cx: &mut Context<'_>,
        deadline: Option<Instant>,
        ready: &mut Vec<Ready>,
    ) -> Poll<io::Result<()>> {
        (**self).poll_wait(cx, deadline, ready)
    }
}
