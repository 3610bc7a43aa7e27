//! A stream with a connection on it: what is read from it, written to it, and due.
//!
//! Nothing here calls the user's code: bytes come out as they were read, and the reactor delivers them.

mod behind;
mod chunk;
mod feed;
mod judge;
#[cfg_attr(not(feature = "kernel-receive-time"), path = "no_kernel_time.rs")]
pub(crate) mod kernel_time;
mod observers;
mod rounds;
#[cfg_attr(not(feature = "tls"), path = "no_tls.rs")]
mod secure;
mod stop;
mod trace;
mod wire;

use std::io;
use std::time::Instant;

use websocket_connection::{Connection, Env, Input, State, Tx};
use websocket_dispatcher::{Dispatcher, Interest, Io, Key, Ready};

use crate::error::{Error, Timeout};
use crate::feed::FeedOptions;
use crate::surroundings::Surroundings;

pub(crate) use behind::Undelivered;
use behind::{Behind, take_undelivered};
use chunk::read;
pub(crate) use chunk::{Chunk, Location, Stop};
pub(crate) use observers::Observers;
pub(crate) use secure::{ProxyTls, Scratch, Secure};
pub(crate) use trace::Trace;
pub(crate) use wire::{Wire, Written, is_large, write_all, write_some};

/// Bytes that are read at a time from a server that has once made so few use up the budget: they can be
/// inflated a thousandfold before the budget is looked at again. After a large payload, too: of the next one, little is then copied.
const SMALL_READ: usize = 16 << 10;

/// After a short read of this many bytes or more, the next ones of a bulk transfer have probably come already: looking costs less than
/// being woken for them.
const BULK: usize = 16 << 10;

/// What comes of a deadline.
pub(crate) enum Judgement {
    /// Nothing for now: it is not due, or what arrived in time is yet to be read.
    Open,
    /// What was due is done; there may be output.
    Met(Result<(), Error>),
    /// The attempt has taken too long.
    Timeout(Timeout),
}

/// A stream with a connection on it, from the upgrade request to the end. In the order of the fields: what every visit looks at comes first.
#[repr(C)]
pub(crate) struct Live {
    pub(crate) wire: Wire,
    /// Between the stream and the connection, for `wss`.
    pub(crate) secure: Option<Box<Secure>>,
    /// Where the app does not keep up with what it receives.
    behind: Option<Box<Behind>>,
    /// Where an option or the log asks for it.
    pub(crate) observers: Option<Box<Observers>>,
    /// Writing has failed with this; the connection ends with it once everything that can be read was read.
    broken: Option<io::Error>,
    /// The end of the stream was reported, so a short read is not the last.
    read_closed: bool,
    /// Something was read.
    has_answered: bool,
    /// Reading stopped early and continues with its turn among those that did.
    pub(crate) queued: bool,
    /// Reading is paused, or was until now.
    was_paused: bool,
    /// A read was inflated so far that the next ones are to be small.
    inflates_hugely: bool,
    /// A payload larger than the buffer was read to its place, and the next one probably is as large.
    reads_past_buffer: bool,
    /// How many messages of this app may pass without a look at the clock.
    pub(crate) max_stride: u8,
    pub(crate) connection: Connection,
}

impl Live {
    /// A connection whose request waits to be written to the stream.
    pub(crate) fn new(
        wire: Wire,
        secure: Option<Box<Secure>>,
        connection: Connection,
        options: &FeedOptions,
        trace: Option<Trace>,
    ) -> Box<Self> {
        let mut observers = Observers::new(options, trace);
        kernel_time::ask(options, &wire.io, &mut observers);
        Box::new(Self {
            wire,
            secure,
            connection,
            read_closed: false,
            broken: None,
            has_answered: false,
            queued: false,
            was_paused: false,
            inflates_hugely: false,
            reads_past_buffer: false,
            max_stride: 1,
            behind: None,
            observers,
        })
    }

    /// The connection's sending half, the stream, and whether what it sends may be written at once: not before the connection is open,
    /// when all that there is to write is the request, whose deadline begins when it was written.
    pub(crate) fn sending_half(&mut self) -> (&mut Tx, &mut Io, bool) {
        let is_at_once = self.writes_at_once() && self.connection.state() != State::Connecting;
        (self.connection.tx(), &mut self.wire.io, is_at_once)
    }

    /// Whether what is sent may go past [`write_all`](Self::write_all): not over TLS, nor where it is shown.
    pub(crate) fn writes_at_once(&self) -> bool {
        self.secure.is_none() && self.observers.as_ref().is_none_or(|observers| observers.trace.is_none())
    }

    /// Where what passes is shown, if it is.
    pub(crate) fn trace(&mut self) -> Option<&mut Trace> {
        self.observers.as_mut()?.trace.as_mut()
    }

    /// What the dispatcher has seen.
    pub(crate) fn note(&mut self, ready: Ready) {
        self.read_closed |= ready.read_closed;
    }

    /// Writes until nothing is left or the stream takes no more.
    #[inline]
    pub(crate) fn write_all(&mut self, env: &mut Env, scratch: &mut Scratch) -> Written {
        if let Some(Observers { trace: Some(trace), .. }) = self.observers.as_deref_mut() {
            trace.sent(self.connection.tx().output());
        }
        let written = match &mut self.secure {
            None => write_all(self.connection.tx(), &mut self.wire.io, env),
            Some(secure) => secure.write_all(&mut self.connection, &mut self.wire.io, env, scratch),
        };
        if let Some(Observers { trace: Some(trace), .. }) = self.observers.as_deref_mut() {
            trace.recorded = self.connection.tx().output().len();
        }
        if written.bytes > 0 && self.connection.state() == State::Connecting {
            // The server has the request only now.
            self.connection.restart_upgrade(env);
        }
        written
    }

    /// Watches for room if there is output left, and for bytes unless reading is paused.
    ///
    /// # Errors
    /// The dispatcher's error.
    pub(crate) fn watch(&mut self, emptied: bool, dispatcher: &mut dyn Dispatcher) -> io::Result<()> {
        let interest = match (self.is_paused(), emptied) {
            (false, true) => Interest::Read,
            (false, false) => Interest::ReadWrite,
            (true, true) => Interest::None,
            (true, false) => Interest::Write,
        };
        self.wire.watch_for(interest, dispatcher)
    }

    /// Whether nothing is read for now. A stream that is broken for writing is read to its end.
    pub(crate) const fn is_paused(&self) -> bool {
        self.connection.is_paused() && !self.is_broken()
    }

    /// Whether a read is to be left out because reading is paused; it is made up for when reading resumes.
    pub(crate) fn holds_back(&mut self) -> bool {
        self.was_paused |= self.is_paused();
        self.is_paused()
    }

    /// Whether reading is to begin again, now that it is not paused any more.
    pub(crate) fn resumes(&mut self, env: &mut Surroundings) -> bool {
        let is_paused = self.is_paused();
        let resumes = std::mem::replace(&mut self.was_paused, is_paused) && !is_paused;
        if resumes {
            // The server was not listened to.
            self.note_delivered(true, env);
        }
        resumes
    }

    /// Writing has failed; what the server has sent before is still to be read.
    pub(crate) fn break_with(&mut self, error: io::Error) {
        self.broken = Some(error);
    }

    /// Whether writing has failed.
    pub(crate) const fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// Whether the stream of this key has an open connection without TLS or an observer, on which nothing is under way.
    #[inline]
    pub(crate) fn is_ordinary(&self, key: Key) -> bool {
        let has_been_unusual =
            self.read_closed | self.queued | self.was_paused | self.inflates_hugely | self.reads_past_buffer;
        self.wire.key == key
            && self.wire.interest == Interest::Read
            && self.wire.io.is_socket()
            && self.secure.is_none()
            && self.observers.is_none()
            && self.behind.is_none()
            && !(has_been_unusual || self.is_broken() || self.connection.has_mask_source())
            && self.connection.is_flowing()
            && self.connection.is_between_messages()
            && self.connection.queued_bytes() == 0
    }

    /// Whether a read that fills its room only in part has emptied the stream, on a dispatcher for which
    /// `short_read_drains`.
    pub(crate) fn short_read_is_last(&self, short_read_drains: bool) -> bool {
        short_read_drains && self.wire.io.is_socket() && !self.read_closed
    }

    /// Bytes that came with the end of what was before the connection: the first `len` of the buffer.
    pub(crate) fn already_read(&mut self, len: usize) -> Chunk {
        self.note_read(len);
        Chunk { fresh: len, location: self.in_buffer(len), short: false }
    }

    /// Reads once: to where a large message wants its bytes, or into `buffer`, behind the `held` bytes of a frame that is not whole yet.
    ///
    /// # Errors
    /// Why nothing was read.
    #[inline]
    pub(crate) fn read(&mut self, buffer: &mut [u8], held: usize, env: &mut Env) -> Result<Chunk, Stop> {
        if self.has_undelivered() {
            return Ok(Chunk { fresh: 0, location: Location::Undelivered, short: false });
        }
        let held = self.secure.as_mut().map_or(held, |secure| secure.restore(buffer));
        // What is encrypted cannot be read to where it belongs, and what is shown is looked at first.
        let spare = if self.writes_at_once() { self.connection.spare(env) } else { None };
        if let Some(spare) = spare {
            self.reads_past_buffer |= spare.len() >= buffer.len();
            let fresh = read(&mut self.wire.io, &mut self.observers, spare)?;
            self.note_read(fresh);
            return Ok(Chunk { fresh, location: Location::Message, short: false });
        }
        let chunk = self.read_to_buffer(buffer, held);
        if let (Err(_), Some(secure)) = (&chunk, &mut self.secure) {
            secure.put_back(&mut buffer[..held]);
        }
        chunk
    }

    /// Reads once into `buffer`, behind its first `held` bytes.
    ///
    /// # Errors
    /// Why nothing was read.
    #[inline]
    pub(crate) fn read_to_buffer(&mut self, buffer: &mut [u8], held: usize) -> Result<Chunk, Stop> {
        let room = self.read_size(buffer.len() - held);
        let fresh = read(&mut self.wire.io, &mut self.observers, &mut buffer[held..held + room])?;
        self.note_read(fresh);
        let short = fresh < BULK && fresh < room;
        Ok(Chunk { fresh, location: self.in_buffer(held + fresh), short })
    }

    /// `fresh` bytes were inflated to `inflated`: too many of such bytes are not to be read at once.
    pub(crate) fn note_inflated(&mut self, fresh: usize, inflated: u64, budget: usize) {
        self.inflates_hugely |= inflated > budget.max(fresh * (budget / SMALL_READ)) as u64;
    }

    /// Keeps bytes that are to be delivered when the app has its turn again, after `delivered` bytes of the same read.
    pub(crate) fn keep_undelivered(&mut self, rest: Vec<u8>, delivered: usize, read_at: Option<Instant>) {
        self.behind.get_or_insert_default().keep(rest, delivered, read_at);
    }

    /// When the bytes were read that wait to be delivered.
    pub(crate) fn undelivered_since(&self) -> Option<Instant> {
        self.behind.as_ref()?.undelivered.since()
    }

    /// Takes the bytes that the app's last visit has left.
    pub(crate) fn take_undelivered(&mut self) -> Undelivered {
        take_undelivered(&mut self.behind)
    }

    /// Puts them back, `delivered` bytes less.
    pub(crate) fn put_back_undelivered(&mut self, mut undelivered: Undelivered, delivered: usize) {
        undelivered.delivered(delivered);
        self.behind.get_or_insert_default().undelivered = undelivered;
    }

    /// Everything that was read has been delivered.
    pub(crate) fn all_was_delivered(&mut self) {
        if self.behind.as_mut().is_some_and(|behind| behind.catches_up()) {
            self.behind = None;
        }
    }

    /// Whether bytes that were read wait to be delivered.
    pub(crate) fn has_undelivered(&self) -> bool {
        self.behind.as_ref().is_some_and(|behind| !behind.undelivered.rest().is_empty())
    }

    /// What was read has been delivered; whether there was a data message in it.
    #[inline]
    pub(crate) fn note_delivered(&mut self, message: bool, env: &mut Surroundings) {
        if let Some(Observers { feed: Some(feed), .. }) = self.observers.as_deref_mut()
            && self.connection.state() == State::Open
        {
            feed.delivered(message, || env.current().now);
        }
    }

    fn note_read(&mut self, fresh: usize) {
        self.has_answered |= fresh > 0;
        if let Some(overdue) = self.behind.as_mut().and_then(|behind| behind.overdue.as_mut()) {
            *overdue = overdue.saturating_sub(fresh);
        }
    }

    /// Keeps the rest of an input whose whole messages were delivered: the last `rest` of `len` bytes of `buffer`. A large rest goes into
    /// the connection, and so does what is probably the start of a large payload; a small one goes to the front of the buffer. Returns its
    /// length there.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    #[inline]
    pub(crate) fn keep(
        &mut self,
        buffer: &mut [u8],
        len: usize,
        rest: usize,
        env: &mut Env,
    ) -> Result<usize, Error> {
        let used = len - rest;
        let is_probably_large = std::mem::take(&mut self.reads_past_buffer);
        if rest == 0 {
            return Ok(0);
        }
        if is_probably_large || rest > self.read_size(buffer.len()) / 4 {
            self.connection.set_aside(&mut Input::new(&buffer[used..len]), env)?;
            return Ok(0);
        }
        buffer.copy_within(used..len, 0);
        Ok(rest)
    }

    /// Whether the peer has said, below the connection, that it sends no more.
    pub(crate) fn has_ended(&self) -> bool {
        self.secure.as_ref().is_some_and(|secure| secure.has_ended())
    }

    /// Where `len` bytes are that came from the stream.
    const fn in_buffer(&self, len: usize) -> Location {
        if self.secure.is_some() { Location::Encrypted(len) } else { Location::Buffer(len) }
    }

    /// How much of `buffer` bytes one read may fill.
    fn read_size(&self, buffer: usize) -> usize {
        if self.inflates_hugely || self.reads_past_buffer {
            return buffer.min(SMALL_READ);
        }
        self.behind.as_ref().map_or(buffer, |behind| buffer.min(behind.read_limit))
    }
}
