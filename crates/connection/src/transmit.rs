//! The sending half: frames are encoded and masked straight into one buffer of outgoing bytes.

use std::fmt;
use std::time::{Duration, Instant};

use crate::deflate::Outbound;
use crate::frame::{First, MAX_HEADER};
use crate::output::Output;
use crate::ping::{Pings, Purpose};
use crate::state::Lifecycle;
use crate::traffic::{ConnectionStats, Counters};
use crate::{Close, Config, Env, Kind, MAX_CONTROL_PAYLOAD, Opcode, Rtt, SendError, Side, State, close};

/// A source of mask keys that takes the place of the default one, [`Env`]. Where it returns `None`, the frame gets a key
/// from the default one.
pub type MaskKey = Box<dyn FnMut() -> Option<[u8; 4]>>;

/// The sending half of a [`Connection`](crate::Connection): open even while an event is borrowed from the receiving half.
///
/// Nothing here does I/O: frames wait as bytes until the caller writes them.
pub struct Tx {
    pub(crate) lifecycle: Lifecycle,
    pub(crate) output: Output,
    /// Bytes written since the connection began.
    pub(crate) written: u64,
    /// Since when the stream has taken nothing of what waits.
    pub(crate) stalled: Option<Instant>,
    limit: usize,
    fragmented: bool,
    /// The caller reads nothing for now.
    pub(crate) paused: bool,
    /// Pings of the server. Few enough for this type, which needs no more memory here.
    pub(crate) pings_received: u32,
    pub(crate) pings: Pings,
    pub(crate) counters: Option<Box<Counters>>,
    /// Few connections have one.
    pub(crate) mask_key: Option<Box<MaskKey>>,
    pub(crate) outbound: Outbound,
}

impl Tx {
    pub(crate) fn new(request: Vec<u8>, config: &Config) -> Self {
        Self {
            lifecycle: Lifecycle::new(),
            output: Output::new(request),
            written: 0,
            stalled: None,
            limit: config.max_queued_bytes,
            fragmented: false,
            paused: false,
            pings_received: 0,
            pings: Pings::default(),
            counters: None,
            mask_key: None,
            outbound: Outbound::new(),
        }
    }

    /// Where the connection stands.
    #[inline]
    pub const fn state(&self) -> State {
        self.lifecycle.state()
    }

    /// Round-trip times of pings so far.
    pub fn rtt(&self) -> Rtt {
        self.pings.rtt()
    }

    /// Returns what went over the connection so far, in numbers. A connection without messages begins to note times, and how much waits
    /// to be written, with the first call.
    pub fn stats(&mut self) -> ConnectionStats {
        self.counters();
        self.note_peak();
        let (wire_bytes, rtt) = ([self.pings.received, self.written], self.rtt());
        let pings = [self.pings_received.into(), self.pings.sent()];
        self.counters().stats(wire_bytes, pings, rtt)
    }

    /// Notes when bytes came, for [`stats`](Self::stats): to be called after they were passed to
    /// [`Connection::receive`](crate::Connection::receive). It may be called again.
    #[inline]
    pub const fn read_at(&mut self, at: Instant) {
        if let Some(counters) = &mut self.counters {
            counters.read_at(at);
        }
    }

    /// Takes mask keys from `mask_key` instead of [`Env`]: for tests, or for a source of the user's own.
    pub fn set_mask_key(&mut self, mask_key: Option<MaskKey>) {
        self.mask_key = mask_key.map(Box::new);
    }

    /// Takes the source that [`set_mask_key`](Self::set_mask_key) set back out.
    pub fn take_mask_key(&mut self) -> Option<MaskKey> {
        self.mask_key.take().map(|mask_key| *mask_key)
    }

    /// Sends a text message.
    ///
    /// # Errors
    /// [`SendError`]; nothing was queued.
    #[inline]
    pub fn send_text(&mut self, text: &str, env: &mut Env) -> Result<(), SendError> {
        self.message(Opcode::Text, text.as_bytes(), env, Self::frame)
    }

    /// Sends a binary message.
    ///
    /// # Errors
    /// [`SendError`]; nothing was queued.
    #[inline]
    pub fn send_binary(&mut self, bytes: &[u8], env: &mut Env) -> Result<(), SendError> {
        self.message(Opcode::Binary, bytes, env, Self::frame)
    }

    /// Sends `payload` as a frame of its own with `opcode`.
    ///
    /// # Errors
    /// [`SendError`]; nothing was queued. A text payload must be UTF-8, a continuation goes through
    /// [`send_fragment`](Self::send_fragment), a close frame through [`close`](Self::close).
    pub fn send(&mut self, payload: &[u8], opcode: Opcode, env: &mut Env) -> Result<(), SendError> {
        match opcode {
            Opcode::Text => {
                self.send_text(std::str::from_utf8(payload).map_err(|_| SendError::NotUtf8)?, env)
            }
            Opcode::Binary => self.send_binary(payload, env),
            Opcode::Ping => self.ping(payload, env),
            Opcode::Pong => self.pong(payload, env),
            Opcode::Close => Err(SendError::CloseIsNotSent),
            Opcode::Continuation => Err(SendError::NothingToContinue),
        }
    }

    /// Sends one fragment of a message (RFC 6455 section 5.4): the first with its `kind`, the others with `None`, the last with
    /// `fin`. Only control frames may be sent in between. That the fragments of a text are UTF-8 together is up to the caller.
    ///
    /// # Errors
    /// [`SendError`]; nothing was queued.
    pub fn send_fragment(
        &mut self,
        kind: Option<Kind>,
        payload: &[u8],
        fin: bool,
        env: &mut Env,
    ) -> Result<(), SendError> {
        self.fragment(kind, payload, fin, env, Self::frame)
    }

    /// Whether messages that begin from now on are compressed: off for messages that must stay secret together with others that somebody
    /// else chooses, or that do not become shorter. It does nothing before the connection is open, and where compression was not agreed.
    #[cfg(feature = "deflate")]
    pub fn set_compression(&mut self, compress: bool) {
        self.outbound.set_wanted(compress);
    }

    /// Sends a ping with `payload`, at most 125 bytes.
    ///
    /// # Errors
    /// [`SendError`]; nothing was queued.
    pub fn ping(&mut self, payload: &[u8], env: &mut Env) -> Result<(), SendError> {
        self.admit_control(payload)?;
        self.queue_ping(payload.into(), Purpose::Caller, env);
        Ok(())
    }

    /// Sends a pong that no ping asked for (RFC 6455 section 5.5.3), at most 125 bytes. Pings are answered without it.
    ///
    /// # Errors
    /// [`SendError`]; nothing was queued.
    pub fn pong(&mut self, payload: &[u8], env: &mut Env) -> Result<(), SendError> {
        self.admit_control(payload)?;
        self.frame(First::whole(Opcode::Pong), payload, env);
        Ok(())
    }

    /// Sends `bytes` as they are, without a frame around them, to find out what a server does with what breaks the protocol. Between the
    /// fragments of a message they are not kept from doing harm either, and nothing of them is counted but their bytes on the stream.
    ///
    /// # Errors
    /// [`SendError`]; nothing was queued.
    pub fn send_unframed(&mut self, bytes: &[u8], env: &mut Env) -> Result<(), SendError> {
        self.admit(bytes.len())?;
        self.output.unframed(bytes, &mut env.output);
        Ok(())
    }

    /// Starts the closing handshake. The connection goes on receiving until the server's close frame comes; later messages are
    /// refused. Of a connection that is closing already only the timeout of [`Close::timeout`] counts, if it ends sooner than the first.
    ///
    /// # Errors
    /// A code or reason that must not be sent, or a connection that is not open yet.
    pub fn close(&mut self, close: &Close, env: &mut Env) -> Result<(), SendError> {
        let payload = close::payload(close.code, &close.reason)?;
        match (self.state(), close.timeout) {
            (State::Connecting, _) => return Err(SendError::NotOpen(State::Connecting)),
            (State::Open, timeout) => self.send_close(Side::Client, &payload, timeout, env),
            (State::Closing, Some(timeout)) => self.lifecycle.hurry(timeout, env.now),
            (State::Closing, None) | (State::Closed, _) => {}
        }
        Ok(())
    }

    /// Sends the only close frame of this connection; `by` is the side that began, `timeout` replaces the configured one.
    pub(crate) fn send_close(&mut self, by: Side, payload: &[u8], timeout: Option<Duration>, env: &mut Env) {
        self.frame(First::whole(Opcode::Close), payload, env);
        let end = self.written + self.queued_bytes() as u64;
        self.lifecycle.begin_closing(by, end, timeout, env.now);
        self.pings.stop();
    }

    /// Whether our close frame was wholly written.
    pub(crate) fn has_closed(&self) -> bool {
        self.lifecycle.closing().is_some_and(|closing| closing.end <= self.written)
    }

    /// Answers a ping; the latest one later when too much is queued.
    pub(crate) fn answer_ping(&mut self, payload: &[u8], env: &mut Env) {
        if self.state() != State::Open {
            return;
        }
        if self.admit(payload.len()).is_ok() {
            self.frame(First::whole(Opcode::Pong), payload, env);
            drop(self.pings.take_owed_pong());
        } else {
            self.pings.owe_pong(payload);
        }
    }

    pub(crate) fn queue_ping(&mut self, payload: Box<[u8]>, purpose: Purpose, env: &mut Env) {
        self.frame(First::whole(Opcode::Ping), &payload, env);
        let end = self.written + self.queued_bytes() as u64;
        self.pings.queued(payload, end, purpose);
    }

    /// What is counted for each message; made at the first one.
    #[inline(always)]
    pub(crate) fn counters(&mut self) -> &mut Counters {
        match &mut self.counters {
            Some(counters) => counters,
            counters => start_counting(counters),
        }
    }

    /// Has `frame` make a frame of a message.
    #[inline]
    pub(crate) fn message(
        &mut self,
        opcode: Opcode,
        payload: &[u8],
        env: &mut Env,
        frame: impl FnOnce(&mut Self, First, &[u8], &mut Env),
    ) -> Result<(), SendError> {
        if self.fragmented {
            return Err(SendError::InsideFragmented);
        }
        self.admit(payload.len())?;
        let compressed = if self.outbound.takes(payload.len()) {
            let most = self.limit - self.queued_bytes() - MAX_HEADER;
            self.outbound.message(payload, most, env)
        } else {
            None
        };
        let first = First::new(true, compressed.is_some(), opcode);
        frame(self, first, compressed.as_deref().unwrap_or(payload), env);
        match compressed {
            None => self.counters().sent.whole(payload.len()),
            Some(compressed) => {
                let len = Some(compressed.len() as u64);
                self.counters().sent.frames(1, payload.len(), true, len);
                env.output.give(compressed);
            }
        }
        Ok(())
    }

    /// Has `frame` make a frame of a fragment.
    pub(crate) fn fragment(
        &mut self,
        kind: Option<Kind>,
        payload: &[u8],
        fin: bool,
        env: &mut Env,
        frame: impl FnOnce(&mut Self, First, &[u8], &mut Env),
    ) -> Result<(), SendError> {
        let opcode = match (kind, self.fragmented) {
            (Some(_), true) => return Err(SendError::InsideFragmented),
            (None, false) => return Err(SendError::NothingToContinue),
            (Some(Kind::Text), false) => Opcode::Text,
            (Some(Kind::Binary), false) => Opcode::Binary,
            (None, true) => Opcode::Continuation,
        };
        let first = kind.is_some();
        if first && fin {
            return self.message(opcode, payload, env, frame);
        }
        self.admit(self.outbound.fragment_len(first, payload.len()))?;
        let compressed = self.outbound.fragment(payload, first, fin, env);
        self.fragmented = !fin;
        let first = First::new(fin, first && compressed.is_some(), opcode);
        frame(self, first, compressed.as_deref().unwrap_or(payload), env);
        let len = compressed.as_ref().map(|compressed| compressed.len() as u64);
        self.counters().sent.frames(1, payload.len(), fin, len);
        env.output.give(compressed.unwrap_or_default());
        Ok(())
    }

    #[inline]
    fn admit(&self, len: usize) -> Result<(), SendError> {
        let all = (self.queued_bytes() + MAX_HEADER).saturating_add(len);
        if self.state() == State::Open && all <= self.limit {
            return Ok(());
        }
        Err(self.refusal(len))
    }

    /// Why a payload of `len` bytes is not admitted.
    #[cold]
    fn refusal(&self, len: usize) -> SendError {
        let (queued, len, limit) = (self.queued_bytes(), len.saturating_add(MAX_HEADER), self.limit);
        if self.state() != State::Open {
            SendError::NotOpen(self.state())
        } else if len > limit {
            SendError::TooBig { len, limit }
        } else {
            SendError::QueueFull { queued, len, limit }
        }
    }

    pub(crate) fn admit_control(&self, payload: &[u8]) -> Result<(), SendError> {
        if payload.len() > MAX_CONTROL_PAYLOAD {
            return Err(SendError::ControlTooLong { len: payload.len() });
        }
        self.admit(payload.len())
    }

    #[inline]
    fn frame(&mut self, first: First, payload: &[u8], env: &mut Env) {
        let key = self.start_frame(first, payload.len(), payload.len(), env);
        self.output.payload(payload, key);
    }

    /// Appends the header of a frame with `len` bytes of payload, and takes memory for the first `room` of them. Returns the mask key.
    #[inline]
    pub(crate) fn start_frame(&mut self, first: First, len: usize, room: usize, env: &mut Env) -> [u8; 4] {
        let given = self.mask_key.as_mut().and_then(|mask_key| mask_key());
        let key = given.unwrap_or_else(|| env.mask_key());
        self.output.header(first, len, key, room, &mut env.output);
        key
    }
}

#[cold]
fn start_counting(counters: &mut Option<Box<Counters>>) -> &mut Counters {
    counters.get_or_insert_default()
}

impl fmt::Debug for Tx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tx")
            .field("state", &self.state())
            .field("queued_bytes", &self.queued_bytes())
            .finish_non_exhaustive()
    }
}
