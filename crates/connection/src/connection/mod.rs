//! The client's end of a connection: bytes, time and commands in; events, bytes and a deadline out.

mod deadlines;
mod handshake;
mod messages;

use std::fmt;
use std::sync::Arc;

pub use messages::Messages;

use crate::receive::{Rx, Step};
use crate::upgrade::Upgrade;
use crate::{
    CloseFrame, Config, Env, Error, Event, Fragment, Input, Kind, Message, Opcode, ProtocolError, Request,
    RequestError, Rtt, Side, State, Tx, close, utf8,
};

/// The client's end of one WebSocket connection, without socket, clock or thread.
///
/// The caller owns a byte stream and drives the connection in a loop:
///
/// 1. Bytes came: [`receive`](Self::receive) until it returns `None`, handling each event; what is left of the input stays in the
///    caller's buffer while more bytes are at hand, else it goes to [`absorb`](Self::absorb).
/// 2. The stream ended: [`end_of_stream`](Self::end_of_stream).
/// 3. [`deadline`](Self::deadline) has passed: [`handle_timeout`](Self::handle_timeout). Early calls do nothing.
/// 4. After each of these and after sending through [`tx`](Self::tx): write [`output`](Self::output) and report it with
///    [`wrote`](Self::wrote), or [`Tx::stall`] when the stream takes none.
/// 5. [`state`](Self::state) is [`State::Closed`]: drop the stream.
///
/// A failure is kept and returned again by every later [`receive`](Self::receive). After a breach of the protocol the close frame with
/// its code is queued, and whatever still comes is discarded until the server closes the stream or `close_timeout` passes.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Instant;
/// use websocket_connection::{Config, Connection, Env, Request, SeededEntropy, State};
///
/// let mut env = Env::new(Instant::now(), SeededEntropy::new([7; 32])); // a seed of the system's, outside of examples
/// let connection = Connection::new(Arc::new(Config::default()), &Request::new("/chat"), &mut env)?;
/// assert_eq!(connection.state(), State::Connecting);
/// assert!(connection.output().starts_with(b"GET /chat HTTP/1.1\r\n"));
/// # Ok::<(), websocket_connection::RequestError>(())
/// ```
// What every message touches comes first, here and in both halves: with thousands of connections each line of memory is waited for.
#[repr(C)]
pub struct Connection {
    pub(crate) tx: Tx,
    config: Arc<Config>,
    rx: Rx,
    /// Until the connection is open; also after a refusal whose stream can carry another request.
    upgrade: Option<Box<Upgrade>>,
    close_frame: Option<Box<CloseFrame>>,
    error: Option<Box<Error>>,
}

impl Connection {
    /// Starts the opening handshake: the request is queued as output. `config` should have passed [`Config::check`].
    ///
    /// # Errors
    /// A request that cannot be sent.
    pub fn new(config: Arc<Config>, request: &Request, env: &mut Env) -> Result<Self, RequestError> {
        let (upgrade, bytes) = Upgrade::start(request, &config, env)?;
        let (rx, tx) = (Rx::new(&config), Tx::new(bytes, &config));
        Ok(Self { config, upgrade: Some(Box::new(upgrade)), rx, tx, close_frame: None, error: None })
    }

    /// Where the connection stands.
    #[inline]
    pub const fn state(&self) -> State {
        self.tx.state()
    }

    /// Delivers fragments singly or whole messages, whatever [`Config::deliver_fragments`] says: for one connection of many that share a
    /// configuration. To be set before messages come.
    pub const fn set_deliver_fragments(&mut self, deliver: bool) {
        self.rx.deliver_fragments = deliver;
    }

    /// Whether mask keys come from the user's source, as [`Tx::set_mask_key`] sets it.
    #[inline]
    pub const fn has_mask_source(&self) -> bool {
        self.tx.mask_key.is_some()
    }

    /// The sending half.
    pub const fn tx(&mut self) -> &mut Tx {
        &mut self.tx
    }

    /// The failure that ended the connection, if one did.
    pub fn error(&self) -> Option<&Error> {
        self.error.as_deref()
    }

    /// The server's close frame, if one came.
    pub fn close_frame(&self) -> Option<&CloseFrame> {
        self.close_frame.as_deref()
    }

    /// The side that began the closing handshake, if it has begun.
    pub fn closing_side(&self) -> Option<Side> {
        self.tx.lifecycle.closing().map(|closing| closing.by)
    }

    /// Whether the closing handshake is complete: the server's close frame came, and ours was wholly written (RFC 6455 section 7.1.4).
    pub fn is_clean(&self) -> bool {
        self.close_frame.is_some() && self.tx.has_closed()
    }

    /// Round-trip times of pings so far.
    pub fn rtt(&self) -> Rtt {
        self.tx.rtt()
    }

    /// Bytes that wait to be written.
    pub const fn queued_bytes(&self) -> usize {
        self.tx.queued_bytes()
    }

    /// The bytes to write next.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        self.tx.output()
    }

    /// The first `len` bytes of [`output`](Self::output) were written.
    pub fn wrote(&mut self, len: usize, env: &mut Env) {
        self.tx.wrote(len, env);
    }

    /// The next event in `input`, and the sending half to answer it with; `None` when what is left of the input is no whole frame.
    ///
    /// # Errors
    /// The failure that ended the connection; the rest of the input is used up.
    #[inline]
    pub fn receive<'e, 'b: 'e>(
        &'e mut self,
        input: &mut Input<'b>,
        env: &mut Env,
    ) -> Result<Option<(Event<'e>, &'e mut Tx)>, Error> {
        let (messages, tx) = self.messages();
        if let Some(message) = messages.next(tx, input) {
            return Ok(Some((Event::Message(message), &mut self.tx)));
        }
        if input.rest().is_empty() && self.tx.state() == State::Open && self.rx.is_between_frames() {
            return Ok(None);
        }
        self.receive_any(input, env)
    }

    fn receive_any<'e, 'b: 'e>(
        &'e mut self,
        input: &mut Input<'b>,
        env: &mut Env,
    ) -> Result<Option<(Event<'e>, &'e mut Tx)>, Error> {
        let before = input.used();
        let step = self.step(input, env);
        if step.is_err() {
            input.discard();
        }
        // What ends the connection was received, too: a refusal, for instance.
        self.tx.pings.received += (input.used() - before) as u64;
        let event = match step? {
            None => return Ok(None),
            Some(Received::Event(event)) => event,
            Some(Received::Step(Step::Message { kind, place, frames, compressed })) => {
                let payload = self.rx.at(input, place);
                let message = match kind {
                    Kind::Binary => Message::Binary(payload),
                    Kind::Text if !self.config.validate_utf8 => Message::UncheckedText(payload),
                    Kind::Text => match utf8::check(payload) {
                        Some(text) => Message::Text(text),
                        None => {
                            input.discard();
                            let error = Error::from(ProtocolError::InvalidUtf8);
                            fail(&mut self.tx, &mut self.error, &error, env);
                            return Err(error);
                        }
                    },
                };
                self.tx.counters().received.frames(frames, payload.len(), true, compressed);
                Event::Message(message)
            }
            Some(Received::Step(Step::Fragment { kind, place, first, last, compressed })) => {
                let payload = self.rx.at(input, place);
                self.tx.counters().received.frames(1, payload.len(), last, compressed);
                Event::Fragment(Fragment { kind, payload, first, last })
            }
            Some(Received::Step(Step::Control { opcode, place })) => {
                let payload = self.rx.at(input, place);
                if opcode == Opcode::Pong {
                    Event::Pong { payload, rtt: self.tx.pings.pong(payload, env.now) }
                } else {
                    self.tx.pings_received = self.tx.pings_received.saturating_add(1);
                    self.tx.answer_ping(payload, env);
                    Event::Ping(payload)
                }
            }
        };
        Ok(Some((event, &mut self.tx)))
    }

    /// Takes what [`receive`](Self::receive) left of the input, since no more bytes are at hand now. Text in it is checked as far as it
    /// goes, so bad bytes are found before their frame is complete. Only to be called when [`receive`](Self::receive) has returned `None`.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    pub fn absorb(&mut self, input: &mut Input<'_>, env: &mut Env) -> Result<(), Error> {
        self.take_rest(input, env, Rx::absorb)
    }

    /// As [`absorb`](Self::absorb), although more bytes are at hand: it makes room for them in the caller's buffer. Up to a megabyte of text is
    /// not checked then, but with the rest of its message, or by [`absorb`](Self::absorb), which is to be called, with an empty input if there
    /// is no other, once no more bytes are at hand.
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    pub fn set_aside(&mut self, input: &mut Input<'_>, env: &mut Env) -> Result<(), Error> {
        self.take_rest(input, env, Rx::set_aside)
    }

    fn take_rest(
        &mut self,
        input: &mut Input<'_>,
        env: &mut Env,
        take: impl FnOnce(&mut Rx, &mut Input<'_>, &Config, &mut Env) -> Result<(), ProtocolError>,
    ) -> Result<(), Error> {
        self.check_error(input)?;
        self.tx.pings.received += input.rest().len() as u64;
        match self.tx.state() {
            State::Connecting | State::Closed => Ok(()),
            State::Closing if self.close_frame.is_some() => Ok(()),
            State::Open | State::Closing => {
                let taken = take(&mut self.rx, input, &self.config, env);
                taken.map_err(|error| self.fail(error.into(), input, env))
            }
        }
    }

    /// Whether there is text that was not checked, as [`set_aside`](Self::set_aside) and [`filled`](Self::filled) may leave it.
    #[inline]
    pub fn has_unchecked_text(&self) -> bool {
        self.rx.has_unchecked()
    }

    /// Whether nothing of a message, nor of a frame, was received that is not whole yet.
    #[inline]
    #[must_use]
    pub fn is_between_messages(&self) -> bool {
        self.rx.is_between_messages()
    }

    /// Room for the rest of a large payload that has been absorbed in part: reading there saves a copy. Report the bytes with
    /// [`filled`](Self::filled), then call [`receive`](Self::receive), and [`absorb`](Self::absorb) when no more are at hand. `None` when
    /// there is no such payload.
    pub fn spare(&mut self, env: &mut Env) -> Option<&mut [u8]> {
        if self.error.is_some() { None } else { self.rx.spare(env) }
    }

    /// `len` bytes were read into [`spare`](Self::spare).
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    pub fn filled(&mut self, len: usize, env: &mut Env) -> Result<(), Error> {
        self.tx.pings.received += len as u64;
        let filled = self.rx.filled(len, &self.config);
        filled.map_err(|error| self.fail(error.into(), &mut Input::new(&[]), env))
    }

    /// The stream has ended. The connection is closed afterwards and [`output`](Self::output) is dropped: if a close frame waits there
    /// and the stream still takes bytes, write it first.
    ///
    /// # Errors
    /// An end before the closing handshake was begun, or before the upgrade was complete; a refusal of the upgrade, if that is what came.
    pub fn end_of_stream(&mut self, env: &mut Env) -> Result<(), Error> {
        let error = match self.tx.state() {
            State::Connecting => {
                let upgrade = self.upgrade.as_mut();
                upgrade.map(|upgrade| upgrade.end_of_stream(&self.config, env.now).into())
            }
            State::Open => Some(Error::EndOfStream),
            State::Closing | State::Closed => None,
        };
        self.finish(error, env)
    }

    /// Memory that is held for bytes on their way.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn held_bytes(&self) -> usize {
        self.rx.held_bytes() + self.tx.held_bytes()
    }

    /// Drops the connection as it is: no closing handshake. Memory goes back to `env`.
    pub fn abort(&mut self, env: &mut Env) {
        // Nothing failed: the caller does not want it any more.
        let _wanted = self.finish(None, env);
    }

    fn step(&mut self, input: &mut Input<'_>, env: &mut Env) -> Result<Option<Received>, Error> {
        if self.tx.state() != State::Open {
            if self.can_ask_again() && !input.rest().is_empty() {
                // What comes behind a refusal belongs to no response.
                self.upgrade = None;
            }
            if self.error.is_some() {
                // A text that was found bad as a whole may still lie there.
                self.rx.clear(env);
            }
            self.check_error(input)?;
            if self.tx.state() == State::Connecting {
                return self.receive_response(input, env);
            }
            if self.tx.state() == State::Closed || self.close_frame.is_some() {
                input.discard();
                return Ok(None);
            }
        }
        match self.rx.step(input, &self.config, env) {
            Ok(Some(Step::Control { opcode: Opcode::Close, place })) => {
                let frame = CloseFrame::parse(self.rx.at(input, place));
                match frame {
                    Ok(frame) => Ok(Some(Received::Event(self.receive_close(frame, env)))),
                    Err(error) => Err(self.fail(error.into(), input, env)),
                }
            }
            Ok(step) => Ok(step.map(Received::Step)),
            Err(error) => Err(self.fail(error.into(), input, env)),
        }
    }

    /// Open -> Closing, with the answer that is due (RFC 6455 section 5.5.1); Closing stays, the handshake is complete.
    fn receive_close(&mut self, frame: CloseFrame, env: &mut Env) -> Event<'static> {
        if self.tx.state() == State::Open {
            // A code that was allowed to come is allowed to go back.
            let payload = close::payload(frame.code, "").unwrap_or_default();
            self.tx.send_close(Side::Server, &payload, None, env);
        }
        self.rx.clear(env);
        self.close_frame = Some(Box::new(frame.clone()));
        Event::Close(frame)
    }

    /// Open -> Closing with the close code of `error`; in Closing the close frame is out already.
    fn fail(&mut self, error: Error, input: &mut Input<'_>, env: &mut Env) -> Error {
        input.discard();
        fail(&mut self.tx, &mut self.error, &error, env);
        self.rx.clear(env);
        error
    }

    /// Any state -> Closed.
    fn finish(&mut self, error: Option<Error>, env: &mut Env) -> Result<(), Error> {
        self.tx.lifecycle.end();
        self.tx.pings.stop();
        self.tx.clear(env);
        self.rx.clear(env);
        self.upgrade = None;
        match error {
            Some(error) if self.error.is_none() => {
                self.error = Some(Box::new(error.clone()));
                Err(error)
            }
            _ => Ok(()),
        }
    }

    fn check_error(&self, input: &mut Input<'_>) -> Result<(), Error> {
        match &self.error {
            Some(error) => {
                input.discard();
                Err((**error).clone())
            }
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Bytes on their way may hold cookies, tokens and secrets of the user.
        f.debug_struct("Connection").field("tx", &self.tx).field("error", &self.error).finish_non_exhaustive()
    }
}

/// What one step of the state machine found.
enum Received {
    Event(Event<'static>),
    Step(Step),
}

/// Keeps `error` and tells the server its close code, unless a close frame is out already.
fn fail(tx: &mut Tx, kept: &mut Option<Box<Error>>, error: &Error, env: &mut Env) {
    if let (State::Open, Error::Protocol(breach)) = (tx.state(), error) {
        let payload = close::payload(Some(breach.close_code()), &breach.to_string()).unwrap_or_default();
        tx.send_close(Side::Client, &payload, None, env);
    }
    *kept = Some(Box::new(error.clone()));
}
