//! What the dispatcher and the sockets that it drives share: the ring, and what is under way on each stream.

mod report;
mod transfer;

use std::io;
use std::os::fd::AsRawFd as _;
use std::task::Waker;
use std::time::Instant;

use websocket_dispatcher::{Interest, Io, Key, KeyTable, Ready, Shared};

use crate::bell::Bell;
use crate::flow::Flow;
use crate::outputs::Outputs;
use crate::request::{self, BELL, CANCEL, Kind, Names};
use crate::ring::{Completion, Ring};

/// A ring, and the streams on it.
pub(crate) struct Engine {
    ring: Ring,
    watched: KeyTable<Watched>,
    names: Names,
    /// Streams that there may be something to ask for.
    unasked: Vec<Key>,
    /// Requests to be ended.
    obsolete: Vec<u64>,
    /// Streams whose state is to be reported without anything new.
    news: Vec<Key>,
    /// Streams that something was received on since the last call of the kernel.
    fresh: Vec<Key>,
    outputs: Outputs,
    bell: Bell,
    bell_is_asked: bool,
    /// Memory for what was taken from the ring.
    reports: Vec<Completion>,
    /// What was seen before the wait that is to report it.
    early: Vec<Ready>,
    /// A wake is to end a wait.
    is_woken: bool,
}

/// A stream that is registered.
struct Watched {
    interest: Interest,
    /// The request that polls it.
    poll: Option<u64>,
    how: How,
}

enum How {
    /// By polling it. The share keeps its descriptor open until no request names that any more.
    Polled(Shared),
    /// By receiving and sending.
    Driven(Flow),
}

impl Engine {
    pub(crate) fn on(ring: Ring) -> io::Result<Self> {
        Ok(Self {
            ring,
            watched: KeyTable::new(),
            names: Names::default(),
            unasked: Vec::new(),
            obsolete: Vec::new(),
            news: Vec::new(),
            fresh: Vec::new(),
            outputs: Outputs::default(),
            bell: Bell::new()?,
            bell_is_asked: false,
            reports: Vec::new(),
            early: Vec::new(),
            is_woken: false,
        })
    }

    pub(crate) fn completes(&self) -> bool {
        self.ring.completes()
    }

    pub(crate) fn waker(&self) -> Waker {
        self.bell.waker()
    }

    pub(crate) fn streams(&self) -> usize {
        self.watched.iter().count()
    }

    pub(crate) fn vacant(&self, key: Key) -> io::Result<()> {
        self.watched.vacant(key)
    }

    /// Watches a stream by polling its descriptor.
    pub(crate) fn poll(&mut self, key: Key, shared: Shared, interest: Interest) -> io::Result<()> {
        self.watched.insert(key, Watched { interest, poll: None, how: How::Polled(shared) })?;
        self.unasked.push(key);
        Ok(())
    }

    /// Reads and writes a socket from now on.
    pub(crate) fn drive(&mut self, key: Key, socket: &Io, interest: Interest) -> io::Result<()> {
        let fd = socket.fd().ok_or(io::ErrorKind::Unsupported)?.as_raw_fd();
        let mut flow = Flow::new(fd, interest.is_write());
        flow.is_listed = true;
        self.watched.insert(key, Watched { interest, poll: None, how: How::Driven(flow) })?;
        self.unasked.push(key);
        Ok(())
    }

    pub(crate) fn change(&mut self, key: Key, interest: Interest) -> io::Result<()> {
        let watched = self.watched.get_mut(key)?;
        watched.interest = interest;
        match &mut watched.how {
            How::Polled(_) => {
                self.obsolete.extend(watched.poll.take());
                self.unasked.push(key);
            }
            How::Driven(flow) => {
                flow.wants_room = interest.is_write();
                if flow.is_readable() || flow.write_error.is_some() {
                    self.news.push(key);
                }
                list(&mut self.unasked, key, flow);
            }
        }
        Ok(())
    }

    /// Forgets a stream that is polled.
    pub(crate) fn forget(&mut self, key: Key) {
        if let Some(Watched { poll, how: How::Polled(shared), .. }) =
            self.polled(key).and_then(|()| self.watched.remove(key))
        {
            self.obsolete.extend(poll);
            self.let_go(key);
            drop(shared);
        }
    }

    /// Whether `key` is a stream that is polled.
    fn polled(&self, key: Key) -> Option<()> {
        matches!(self.watched.get(key)?.how, How::Polled(_)).then_some(())
    }

    /// Forgets a socket, which is to be closed: what was written to it is handed to the system, as far as there is room.
    pub(crate) fn release(&mut self, key: Key, socket: &mut Io) {
        let Some(Watched { poll, how: How::Driven(mut flow), .. }) = self.watched.remove(key) else { return };
        let _courtesy = transfer::write_out(socket, &mut flow.output);
        self.outputs.recycle(flow.output);
        if let Some(buffers) = self.ring.buffers() {
            buffers.clear(&mut flow.received);
        }
        self.obsolete.extend(poll);
        self.obsolete.extend(flow.receive.filter(|_| !flow.is_cancelled));
        self.let_go(key);
    }

    /// Cancels requests that are obsolete, so that the kernel releases the sockets.
    fn let_go(&mut self, key: Key) {
        if self.obsolete.is_empty() {
            return;
        }
        if let Err(error) = self.cancel().and_then(|_| self.ring.run()) {
            log::debug!(target: "websocket::dispatcher", "{key:?} left the ring with an error: {error}");
        }
    }

    /// Puts requests into the ring for all that has changed. What finds no room waits for the next time.
    fn ask(&mut self) -> io::Result<()> {
        self.spill();
        if !self.cancel()? {
            return Ok(());
        }
        if !self.bell_is_asked {
            let events = request::events(Interest::Read);
            self.bell_is_asked = self.ring.poll(self.bell.as_raw_fd(), events, BELL)?;
        }
        while let Some(&key) = self.unasked.last() {
            if !self.ask_for(key)? {
                return Ok(());
            }
            self.unasked.pop();
        }
        let watched = &mut self.watched;
        self.outputs.send(&mut self.ring, |key, refused| {
            let flow = driven(watched, key)?;
            if let Some(refused) = refused {
                flow.output = refused;
                return None;
            }
            let has_output = !flow.is_stalled && !flow.output.is_empty();
            has_output.then(|| (flow.fd, std::mem::take(&mut flow.output)))
        })
    }

    /// Ends what is obsolete. `false` if the ring has no room for more at the moment.
    fn cancel(&mut self) -> io::Result<bool> {
        while let Some(&request) = self.obsolete.last() {
            if !self.ring.cancel(request, CANCEL)? {
                return Ok(false);
            }
            self.obsolete.pop();
        }
        Ok(true)
    }

    /// Asks for what `key` is watched for, or ends what it is not watched for any more. `false` as [`cancel`](Self::cancel).
    fn ask_for(&mut self, key: Key) -> io::Result<bool> {
        let Some(Watched { interest, poll, how }) = self.watched.find_mut(key) else { return Ok(true) };
        let (ring, names) = (&mut self.ring, &mut self.names);
        let flow = match how {
            How::Polled(shared) => {
                if poll.is_none() && !interest.is_none() {
                    let name = names.name(Kind::Poll, key);
                    if !ring.poll(shared.as_raw_fd(), request::events(*interest), name)? {
                        return Ok(false);
                    }
                    *poll = Some(name);
                }
                return Ok(true);
            }
            How::Driven(flow) => flow,
        };
        let wants_bytes = interest.is_read() && !flow.is_readable();
        match flow.receive {
            None if wants_bytes => {
                let name = names.name(Kind::Receive, key);
                if !ring.receive(flow.fd, name)? {
                    return Ok(false);
                }
                (flow.receive, flow.is_cancelled) = (Some(name), false);
            }
            Some(request) if !wants_bytes && !flow.is_cancelled => {
                if !ring.cancel(request, CANCEL)? {
                    return Ok(false);
                }
                flow.is_cancelled = true;
            }
            _ => {}
        }
        let wants_room = flow.is_stalled || interest.is_write() && flow.wants_room;
        match *poll {
            None if wants_room => {
                let name = names.name(Kind::Poll, key);
                if !ring.poll_once(flow.fd, request::events(Interest::Write), name)? {
                    return Ok(false);
                }
                *poll = Some(name);
            }
            Some(request) if !wants_room => {
                if !ring.cancel(request, CANCEL)? {
                    return Ok(false);
                }
                *poll = None;
            }
            _ => {}
        }
        flow.is_listed = false;
        Ok(true)
    }

    /// Empties the ring's buffers, so that what a stream leaves unread takes none from the others, and nothing more is received on it.
    fn spill(&mut self) {
        let Some(buffers) = self.ring.buffers() else { return };
        if buffers.are_unread() {
            for key in &self.fresh {
                if let Some(flow) = driven(&mut self.watched, *key)
                    && !flow.received.is_empty()
                {
                    flow.spill(buffers);
                    list(&mut self.unasked, *key, flow);
                }
            }
        }
        self.fresh.clear();
        buffers.publish();
    }

    /// Hands over what was written, and keeps what is reported meanwhile for the next wait.
    pub(crate) fn hand_over(&mut self) {
        if !self.outputs.are_due() {
            return;
        }
        let mut early = std::mem::take(&mut self.early);
        let handed_over = self.ask().and_then(|()| self.ring.submit()).and_then(|()| self.take(&mut early));
        if let Err(error) = handed_over {
            log::debug!(target: "websocket::dispatcher", "the ring has taken nothing: {error}");
        }
        self.early = early;
    }

    /// Waits, and appends what was seen to `ready`: see [`Wait::wait`](websocket_dispatcher::Wait::wait).
    pub(crate) fn wait(&mut self, deadline: Option<Instant>, ready: &mut Vec<Ready>) -> io::Result<()> {
        loop {
            self.ask()?;
            let has_news = self.report_news(ready) | std::mem::take(&mut self.is_woken);
            // On a ring that only polls, what came while the reactor was at work costs no system call.
            if !self.ring.completes() && self.ring.is_settled() {
                let taken = self.take(ready)?;
                if taken.news || std::mem::take(&mut self.is_woken) {
                    return Ok(());
                }
                if taken.anything {
                    continue;
                }
            }
            if has_news {
                self.ring.run()?;
            } else {
                let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
                self.ring.enter(left)?;
            }
            let taken = self.take(ready)?;
            // With nothing taken it was the deadline or a signal.
            let is_due = || deadline.is_some_and(|deadline| deadline <= Instant::now());
            let has_news = has_news | taken.news | std::mem::take(&mut self.is_woken);
            if has_news || !taken.anything || is_due() {
                return Ok(());
            }
        }
    }
}

/// The state of a socket that is driven.
fn driven(watched: &mut KeyTable<Watched>, key: Key) -> Option<&mut Flow> {
    match &mut watched.find_mut(key)?.how {
        How::Driven(flow) => Some(flow),
        How::Polled(_) => None,
    }
}

/// Notes that there may be something to ask for.
fn list(unasked: &mut Vec<Key>, key: Key, flow: &mut Flow) {
    if !std::mem::replace(&mut flow.is_listed, true) {
        unasked.push(key);
    }
}
