//! The user's sources: what the reactor watches and does not read.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
#[cfg(unix)]
use std::os::fd::AsRawFd as _;
#[cfg(windows)]
use std::os::windows::io::AsRawSocket as _;

use websocket_dispatcher::{Interest, Io, Key, Ready, Source};

use super::{Apps, CallbackResult, IntoCallbackResult};
use crate::id::{Holder, SourceId};
use crate::table::Table;

/// The callback of a source, which knows the source's type.
pub(crate) type SourceCall = dyn FnMut(&mut Io, &mut Apps, SourceId, SourceEvent) -> CallbackResult;

/// What the callback of a source gets.
///
/// Both fields can be borrowed at once, to pass what was read from the source on to an app.
#[non_exhaustive]
pub struct SourceContext<'a, S> {
    /// The source.
    pub source: &'a mut S,
    /// The apps, timers and sources of this reactor.
    pub apps: &'a mut Apps,
    id: SourceId,
}

impl<S> SourceContext<'_, S> {
    /// This source's name on its reactor.
    pub const fn id(&self) -> SourceId {
        self.id
    }

    /// Changes what this source is watched for, as [`Apps::set_interest`].
    pub fn set_interest(&mut self, interest: Interest) {
        self.apps.set_interest(self.id, interest);
    }

    /// Stops watching this source and drops it when the turn ends, as [`Apps::unwatch`].
    pub fn remove(&mut self) {
        self.apps.unwatch(self.id);
    }
}

impl<S> fmt::Debug for SourceContext<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceContext").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What has happened to a source. The three flags are hints, as those of [`Ready`].
#[derive(Default, Debug)]
#[non_exhaustive]
pub struct SourceEvent {
    /// A read may succeed, end or fail.
    pub readable: bool,
    /// A write may succeed or fail.
    pub writable: bool,
    /// The other end sends no more, so an end of the stream lies behind what is left to read.
    pub read_closed: bool,
    /// The dispatcher does not watch this source, for this reason, and it is removed after this call: a regular file on epoll for example.
    pub refused: Option<io::Error>,
}

impl From<Ready> for SourceEvent {
    fn from(ready: Ready) -> Self {
        let Ready { readable, writable, read_closed, .. } = ready;
        Self { readable, writable, read_closed, refused: None }
    }
}

impl From<io::Error> for SourceEvent {
    fn from(refused: io::Error) -> Self {
        Self { refused: Some(refused), ..Self::default() }
    }
}

/// Why a source cannot be watched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum WatchError {
    /// It has neither a descriptor nor a socket, and is not a stream that a dispatcher could know.
    NoDescriptor,
    /// This source has the same descriptor, and is watched already.
    AlreadyWatched(SourceId),
}

impl fmt::Display for WatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDescriptor => f.write_str("the source has no descriptor that could be watched"),
            Self::AlreadyWatched(id) => {
                write!(
                    f,
                    "the descriptor is watched already, as {id}: change its interest, or remove it first"
                )
            }
        }
    }
}

impl std::error::Error for WatchError {}

/// One source on its reactor.
pub(crate) struct Watch {
    /// Absent while the callback runs.
    parts: Option<(Io, Box<SourceCall>)>,
    /// Its name at the dispatcher, and what that watches it for; `None` until it is registered.
    pub(crate) registered: Option<(Key, Interest)>,
    /// What it is to be watched for.
    pub(crate) interest: Interest,
    descriptor: Option<u64>,
    is_removed: bool,
}

/// The sources of one reactor.
#[derive(Default)]
pub(crate) struct Sources {
    watches: Table<Watch>,
    /// The source of each descriptor.
    descriptors: BTreeMap<u64, SourceId>,
    /// Those whose changes the dispatcher does not know yet.
    changed: Vec<SourceId>,
}

impl Sources {
    /// Takes a source that was reported under `key` out, to call its callback. A dispatcher may report the hang-up of one that is paused.
    pub(crate) fn take(&mut self, id: SourceId, key: Key) -> Option<(Io, Box<SourceCall>)> {
        let watch = self.get_mut(id).filter(|watch| !watch.interest.is_none())?;
        watch.registered.filter(|(registered, _)| *registered == key)?;
        watch.parts.take()
    }

    /// Takes a source out that is to be registered, re-registered or removed.
    pub(crate) fn take_changed(&mut self, id: SourceId) -> Option<(Io, Box<SourceCall>)> {
        self.watches.get_mut(id.0)?.parts.take()
    }

    pub(crate) fn put_back(&mut self, id: SourceId, parts: (Io, Box<SourceCall>)) {
        if let Some(watch) = self.watches.get_mut(id.0) {
            watch.parts = Some(parts);
        }
    }

    /// A source that is watched, or is to be.
    pub(crate) fn get_mut(&mut self, id: SourceId) -> Option<&mut Watch> {
        self.watches.get_mut(id.0).filter(|watch| !watch.is_removed)
    }

    /// Forgets a source that was removed. Returns its name at the dispatcher.
    pub(crate) fn forget(&mut self, id: SourceId) -> Option<Key> {
        self.watches.remove(id.0)?.registered.map(|(key, _)| key)
    }

    pub(crate) fn take_changes(&mut self) -> Vec<SourceId> {
        std::mem::take(&mut self.changed)
    }

    pub(crate) const fn has_changes(&self) -> bool {
        !self.changed.is_empty()
    }

    pub(crate) fn ids(&self) -> Vec<SourceId> {
        self.watches.keys().map(SourceId).collect()
    }
}

/// Sources: anything that can be watched beside the apps' streams.
impl Apps {
    /// Watches `source` for `interest`, and calls `callback` whenever it is ready: a UDP socket, a listener, a pipe, stdin, a signalfd or
    /// timerfd, the output of a child process, an [`Io`] with a custom stream that the dispatcher knows. To use the source elsewhere, too, watch
    /// an [`Arc`](std::sync::Arc) or [`Rc`](std::rc::Rc) of it.
    ///
    /// The dispatcher begins to watch it at the end of the turn, or in the next turn. The callback is called again for as long as the source
    /// is ready, at most once per turn, so it need not read everything at once. Make the source non-blocking before: readiness is a hint, and
    /// a read that blocks holds up every app. An error that the callback returns is logged, and the source stays;
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) only means that the hint was wrong, and is not logged. After a panic, which
    /// is logged too or passed on as the [`PanicPolicy`](crate::PanicPolicy) says, the source is removed.
    ///
    /// A source does not keep the reactor running: see [`keep_running_for`](Self::keep_running_for). [`stop`](Self::stop) leaves it as it
    /// is, for the next run; dropping the reactor drops it.
    ///
    /// # Errors
    /// [`WatchError`]: there is nothing to watch, or it is watched already. If the dispatcher refuses the source later, `callback` is called
    /// once with [`SourceEvent::refused`].
    ///
    /// ```
    /// use std::net::UdpSocket;
    /// use websocket_app::dispatcher::Interest;
    /// use websocket_app::{BoxError, Reactor};
    ///
    /// let (socket, sender) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    /// socket.set_nonblocking(true)?;
    /// sender.send_to(b"hello", socket.local_addr()?)?;
    ///
    /// let mut reactor = Reactor::new()?;
    /// let id = reactor.apps().watch(socket, Interest::Read, |udp, _event| -> Result<(), BoxError> {
    ///     let mut datagram = [0; 1500];
    ///     let (len, from) = udp.source.recv_from(&mut datagram)?;
    ///     println!("{from}: {}", String::from_utf8_lossy(&datagram[..len]));
    ///     udp.remove();
    ///     Ok(())
    /// })?;
    /// reactor.apps().keep_running_for(id);
    /// reactor.run()?; // returns when the source was removed
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn watch<S: Source, R: IntoCallbackResult>(
        &mut self,
        source: S,
        interest: Interest,
        mut callback: impl FnMut(&mut SourceContext<'_, S>, SourceEvent) -> R + 'static,
    ) -> Result<SourceId, WatchError> {
        let is_known_stream = source.io().is_some();
        let io = Io::source(source);
        let descriptor = descriptor(&io);
        if let Some(id) = descriptor.and_then(|descriptor| self.sources.descriptors.get(&descriptor)) {
            return Err(WatchError::AlreadyWatched(*id));
        }
        if descriptor.is_none() && !is_known_stream {
            return Err(WatchError::NoDescriptor);
        }
        let call = move |io: &mut Io, apps: &mut Self, id, event| -> CallbackResult {
            let Some(source) = io.source_mut::<S>() else { return Ok(()) };
            callback(&mut SourceContext { source, apps, id }, event).into_callback_result()
        };
        let parts: (Io, Box<SourceCall>) = (io, Box::new(call));
        let watch = Watch { parts: Some(parts), registered: None, interest, descriptor, is_removed: false };
        let id = SourceId(self.sources.watches.insert(watch));
        self.sources.descriptors.extend(descriptor.map(|descriptor| (descriptor, id)));
        self.sources.changed.push(id);
        self.call_host();
        Ok(id)
    }

    /// Changes what a source is watched for; [`Interest::None`] pauses it. Returns whether the source was there.
    pub fn set_interest(&mut self, id: SourceId, interest: Interest) -> bool {
        let Some(watch) = self.sources.get_mut(id) else { return false };
        watch.interest = interest;
        self.sources.changed.push(id);
        self.call_host();
        true
    }

    /// Stops watching a source, also from inside its own callback, and drops it at the end of the turn. Its callback is not called again.
    /// Returns whether the source was there.
    pub fn unwatch(&mut self, id: SourceId) -> bool {
        let Some(watch) = self.sources.get_mut(id) else { return false };
        watch.is_removed = true;
        if let Some(descriptor) = watch.descriptor {
            self.sources.descriptors.remove(&descriptor);
        }
        self.sources.changed.push(id);
        self.holders.remove(&Holder::Source(id));
        self.call_host();
        true
    }

    /// Has the reactor run for as long as this timer or source is there, also when no app is left: [`Reactor::run`](crate::Reactor::run) and
    /// the other ways to run return only when it has fired for the last time, or was removed. [`stop`](Self::stop) ends them in any case. Returns whether the timer or
    /// source was there; timers of apps are not found here.
    pub fn keep_running_for(&mut self, holder: impl Into<Holder>) -> bool {
        let holder = holder.into();
        let is_there = match holder {
            Holder::Timer(timer) => self.timers.contains(timer),
            Holder::Source(id) => self.sources.get_mut(id).is_some(),
        };
        if is_there {
            self.holders.insert(holder);
        }
        is_there
    }
}

/// The descriptor or socket of a source, as a number that two sources share only if they are the same.
fn descriptor(io: &Io) -> Option<u64> {
    #[cfg(unix)]
    return io.fd().and_then(|fd| fd.as_raw_fd().try_into().ok());
    #[cfg(windows)]
    return io.socket().map(|socket| socket.as_raw_socket());
    #[cfg(not(any(unix, windows)))]
    return None;
}
