//! From bytes to frames to messages (RFC 6455 sections 5.2 and 5.4).
//!
//! A frame that is whole in the input stays there: only its position is passed on. What arrives in pieces moves to `assembly`
//! (payload of data frames) or `carry` (headers and control frames), memory that goes back to the pool after the delivery.

use std::ops::Range;

use crate::env::{Env, Pool};
use crate::frame::{Header, LEN_16, MAX_HEADER};
use crate::utf8::Incremental;
use crate::{Config, Kind, MAX_CONTROL_PAYLOAD, Opcode, ProtocolError, mask};

/// From this many missing bytes on, a payload is read straight into its assembly.
const DIRECT: u64 = 16 << 10;
/// Bytes read at a time that way.
const DIRECT_READ: usize = 256 << 10;

/// Bytes from the stream, with the position up to which they were used.
#[derive(Clone, Copy, Debug)]
pub struct Input<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Input<'b> {
    /// Nothing is used yet.
    pub const fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// What is not used yet.
    #[inline]
    pub fn rest(&self) -> &'b [u8] {
        &self.bytes[self.at..]
    }

    /// How many bytes were used.
    pub const fn used(&self) -> usize {
        self.at
    }

    pub(crate) fn discard(&mut self) {
        self.at = self.bytes.len();
    }

    fn take(&mut self, most: u64) -> &'b [u8] {
        let rest = self.rest();
        let taken = &rest[..most.min(rest.len() as u64) as usize];
        self.at += taken.len();
        taken
    }

    pub(crate) fn skip(&mut self, len: usize) {
        self.at += len;
    }
}

/// Where a payload lies.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// In the input, counted from its start.
    Input(Range<usize>),
    Carry(Range<usize>),
    Assembly,
}

/// A complete frame or message.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Message { kind: Kind, place: Place },
    Fragment { kind: Kind, place: Place, first: bool, last: bool },
    Control { opcode: Opcode, place: Place },
}

/// How far the current message has come.
#[derive(Clone, Copy, Debug)]
struct Progress {
    kind: Kind,
    fragments: u32,
    len: u64,
    utf8: Incremental,
}

/// How parsing goes on.
enum Flow {
    /// A step is complete.
    Step(Step),
    /// A fragment was stored; the next frame may follow.
    Next,
    /// The input ends inside a frame.
    More,
}

#[derive(Clone, Copy, Debug)]
enum Partial {
    /// The next byte starts a frame.
    None,
    /// `carry` holds the start of a header or of a control frame.
    Carry,
    /// A data frame's payload is on its way into `assembly`.
    Payload { header: Header, missing: u64 },
}

/// Which buffer the last step lies in.
#[derive(Clone, Copy, Debug)]
enum Lent {
    Nothing,
    Carry,
    Assembly,
}

/// The receiving half.
#[derive(Debug)]
pub(crate) struct Rx {
    pub(crate) deliver_fragments: bool,
    partial: Partial,
    message: Option<Progress>,
    carry: Vec<u8>,
    /// Initialised over its whole length; `filled` bytes of it mean something.
    assembly: Vec<u8>,
    filled: usize,
    /// What the borrower of the last step may still look at; the next call frees it.
    lent: Lent,
}

impl Rx {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            deliver_fragments: config.deliver_fragments,
            partial: Partial::None,
            message: None,
            carry: Vec::new(),
            assembly: Vec::new(),
            filled: 0,
            lent: Lent::Nothing,
        }
    }

    pub(crate) fn at<'e, 'b: 'e>(&'e self, input: &Input<'b>, place: Place) -> &'e [u8] {
        match place {
            Place::Input(range) => &input.bytes[range],
            Place::Carry(range) => &self.carry[range],
            Place::Assembly => &self.assembly[..self.filled],
        }
    }

    /// Kind, payload and length of the frame at the front of the input, if it is a small message that is whole and nothing else is under
    /// way.
    #[inline]
    pub(crate) fn whole<'b>(&self, input: &Input<'b>, config: &Config) -> Option<(Kind, &'b [u8], usize)> {
        if !matches!((self.partial, self.lent), (Partial::None, Lent::Nothing)) || self.message.is_some() {
            return None;
        }
        let (&[first, second], rest) = input.rest().split_first_chunk()?;
        let kind = Opcode::whole_message(first)?;
        let (len, size, rest) = if second < LEN_16 {
            (usize::from(second), 2, rest)
        } else if second == LEN_16 {
            let (&len, rest) = rest.split_first_chunk()?;
            let len = u16::from_be_bytes(len);
            if len < u16::from(LEN_16) {
                return None;
            }
            (usize::from(len), 4, rest)
        } else {
            return None;
        };
        let payload = rest.get(..len)?;
        (len as u64 <= config.max_frame_size.min(config.max_message_size)).then_some((
            kind,
            payload,
            size + len,
        ))
    }

    /// The next complete step, or `None` when the input ends before one does. What is left then is the start of a frame, for a
    /// later call that has more of it or for [`absorb`](Self::absorb).
    #[inline]
    pub(crate) fn step(
        &mut self,
        input: &mut Input<'_>,
        config: &Config,
        env: &mut Env,
    ) -> Result<Option<Step>, ProtocolError> {
        self.release(env);
        loop {
            let flow = match self.partial {
                Partial::None => self.frame(input, config, env)?,
                Partial::Carry => self.resume_carry(input, config, env)?,
                Partial::Payload { header, missing } => {
                    self.resume_payload(header, missing, input, config, env)?
                }
            };
            match flow {
                Flow::Step(step) => return Ok(Some(step)),
                Flow::Next => {}
                Flow::More => return Ok(None),
            }
        }
    }

    /// Takes the start of a frame that [`step`](Self::step) left in the input, since no more bytes are at hand. Text is checked as far
    /// as it goes.
    pub(crate) fn absorb(
        &mut self,
        input: &mut Input<'_>,
        config: &Config,
        env: &mut Env,
    ) -> Result<(), ProtocolError> {
        self.release(env);
        if input.rest().is_empty() {
            return Ok(());
        }
        match Header::parse(input.rest(), config)? {
            Some(header) if !header.opcode.is_control() => {
                self.message = Some(self.progress(&header, config)?);
                input.skip(header.size);
                self.resume_payload(header, header.len, input, config, env)?;
            }
            _ => {
                self.start_carry(env);
                self.carry.extend_from_slice(input.take(u64::MAX));
            }
        }
        Ok(())
    }

    /// Room for the rest of a large payload, so that it can be read without a copy; `None` when there is no such payload.
    pub(crate) fn spare(&mut self, env: &mut Env) -> Option<&mut [u8]> {
        let Partial::Payload { missing, .. } = self.partial else { return None };
        if missing < DIRECT {
            return None;
        }
        let more = missing.min(DIRECT_READ as u64) as usize;
        grow(&mut self.assembly, self.filled + more, missing - more as u64, &mut env.assembly);
        Some(&mut self.assembly[self.filled..self.filled + more])
    }

    /// `len` bytes were read into [`spare`](Self::spare).
    pub(crate) fn filled(&mut self, len: usize, config: &Config) -> Result<(), ProtocolError> {
        let Partial::Payload { header, missing } = self.partial else { return Ok(()) };
        let room = (self.assembly.len() - self.filled) as u64;
        let len = (len as u64).min(room).min(missing) as usize;
        self.added(header, missing, len, config)
    }

    /// A frame at the front of the input.
    #[inline]
    fn frame(
        &mut self,
        input: &mut Input<'_>,
        config: &Config,
        env: &mut Env,
    ) -> Result<Flow, ProtocolError> {
        let Some(header) = Header::parse(input.rest(), config)? else { return Ok(Flow::More) };
        let whole = header.len <= (input.rest().len() - header.size) as u64;
        if header.opcode.is_control() {
            return Ok(if whole { Flow::Step(self.control(header, input, env)) } else { Flow::More });
        }
        let progress = self.progress(&header, config)?;
        if !whole {
            return Ok(Flow::More);
        }
        if header.mask.is_some() {
            self.message = Some(progress);
            input.skip(header.size);
            return self.resume_payload(header, header.len, input, config, env);
        }
        let payload = input.at + header.size..input.at + header.size + header.len as usize;
        input.at = payload.end;
        if is_unfragmented(&header) {
            return Ok(Flow::Step(Step::Message { kind: progress.kind, place: Place::Input(payload) }));
        }
        self.message = Some(progress);
        let bytes = &input.bytes[payload.clone()];
        self.check_text(bytes, config)?;
        if self.deliver_fragments {
            return self.end_frame(header, Place::Input(payload), config);
        }
        self.append(bytes, 0, env);
        self.end_frame(header, Place::Assembly, config)
    }

    /// A whole control frame at the front of the input.
    fn control(&mut self, header: Header, input: &mut Input<'_>, env: &mut Env) -> Step {
        let start = input.at;
        let frame = input.take(header.size as u64 + header.len);
        if header.mask.is_none() {
            return Step::Control {
                opcode: header.opcode,
                place: Place::Input(start + header.size..input.at),
            };
        }
        self.start_carry(env);
        self.carry.extend_from_slice(frame);
        self.control_in_carry(header)
    }

    /// A whole control frame in the carry.
    fn control_in_carry(&mut self, header: Header) -> Step {
        if let Some(key) = header.mask {
            mask::apply(&mut self.carry[header.size..], key);
        }
        self.partial = Partial::None;
        self.lent = Lent::Carry;
        Step::Control { opcode: header.opcode, place: Place::Carry(header.size..self.carry.len()) }
    }

    /// More bytes for the header or control frame in the carry, which takes one byte too many from nobody.
    fn resume_carry(
        &mut self,
        input: &mut Input<'_>,
        config: &Config,
        env: &mut Env,
    ) -> Result<Flow, ProtocolError> {
        loop {
            if let Some(header) = Header::parse(&self.carry, config)? {
                if !header.opcode.is_control() {
                    self.message = Some(self.progress(&header, config)?);
                    self.give_carry(env);
                    return self.resume_payload(header, header.len, input, config, env);
                }
                let missing = header.size + header.len as usize - self.carry.len();
                self.carry.extend_from_slice(input.take(missing as u64));
                let whole = self.carry.len() == header.size + header.len as usize;
                return Ok(if whole { Flow::Step(self.control_in_carry(header)) } else { Flow::More });
            }
            match input.take(1) {
                [] => return Ok(Flow::More),
                byte => self.carry.extend_from_slice(byte),
            }
        }
    }

    /// More bytes for the payload in the assembly.
    fn resume_payload(
        &mut self,
        header: Header,
        missing: u64,
        input: &mut Input<'_>,
        config: &Config,
        env: &mut Env,
    ) -> Result<Flow, ProtocolError> {
        let piece = input.take(missing);
        self.append(piece, missing - piece.len() as u64, env);
        self.filled -= piece.len();
        self.added(header, missing, piece.len(), config)?;
        match self.partial {
            Partial::Payload { missing: 0, .. } => {
                self.partial = Partial::None;
                self.end_frame(header, Place::Assembly, config)
            }
            _ => Ok(Flow::More),
        }
    }

    /// `len` bytes of payload have come to lie behind the filled part of the assembly.
    fn added(
        &mut self,
        header: Header,
        missing: u64,
        len: usize,
        config: &Config,
    ) -> Result<(), ProtocolError> {
        let new = self.filled..self.filled + len;
        if let Some(key) = header.mask {
            mask::apply(&mut self.assembly[new.clone()], mask::rotate(key, header.len - missing));
        }
        self.filled = new.end;
        self.partial = Partial::Payload { header, missing: missing - len as u64 };
        if let (Some(message), true) = (&mut self.message, config.validate_utf8) {
            message.check_text(&self.assembly[new])?;
        }
        Ok(())
    }

    fn check_text(&mut self, bytes: &[u8], config: &Config) -> Result<(), ProtocolError> {
        match &mut self.message {
            Some(message) if config.validate_utf8 => message.check_text(bytes),
            _ => Ok(()),
        }
    }

    /// Where the message stands once this frame is part of it, or why the frame may not come now.
    #[inline]
    fn progress(&self, header: &Header, config: &Config) -> Result<Progress, ProtocolError> {
        let start = |kind| Progress { kind, fragments: 0, len: 0, utf8: Incremental::default() };
        let mut progress = match (header.opcode, self.message) {
            (Opcode::Continuation, Some(message)) => message,
            (Opcode::Continuation, None) => return Err(ProtocolError::UnexpectedContinuation),
            (_, Some(_)) => return Err(ProtocolError::UnfinishedMessage),
            (Opcode::Text, None) => start(Kind::Text),
            (_, None) => start(Kind::Binary),
        };
        progress.fragments += 1;
        if progress.fragments > config.max_fragments {
            return Err(ProtocolError::TooManyFragments { limit: config.max_fragments });
        }
        progress.len = progress.len.saturating_add(header.len);
        // What was handed on is not held: with single fragments each stands for itself.
        let held = if self.deliver_fragments { header.len } else { progress.len };
        if held > config.max_message_size {
            return Err(ProtocolError::MessageTooBig { len: held, limit: config.max_message_size });
        }
        Ok(progress)
    }

    /// A data frame is complete at `place`; text in it has been checked piece by piece.
    fn end_frame(&mut self, header: Header, place: Place, config: &Config) -> Result<Flow, ProtocolError> {
        let Some(mut message) = self.message else { return Ok(Flow::Next) };
        if header.fin {
            self.message = None;
            if config.validate_utf8 && message.kind == Kind::Text {
                message.utf8.finish().map_err(|_| ProtocolError::InvalidUtf8)?;
            }
        }
        let kind = message.kind;
        if self.deliver_fragments && !is_unfragmented(&header) {
            self.lend(&place);
            let first = header.opcode != Opcode::Continuation;
            return Ok(Flow::Step(Step::Fragment { kind, place, first, last: header.fin }));
        }
        if !header.fin {
            return Ok(Flow::Next);
        }
        self.lend(&place);
        Ok(Flow::Step(Step::Message { kind, place }))
    }

    /// Copies `bytes` behind the filled part of the assembly; `missing` more of this frame are still to come.
    fn append(&mut self, bytes: &[u8], missing: u64, env: &mut Env) {
        let end = self.filled + bytes.len();
        grow(&mut self.assembly, end, missing, &mut env.assembly);
        self.assembly[self.filled..end].copy_from_slice(bytes);
        self.filled = end;
    }

    fn start_carry(&mut self, env: &mut Env) {
        self.carry = env.output.take();
        self.carry.clear();
        self.carry.reserve_exact(MAX_HEADER + MAX_CONTROL_PAYLOAD);
        self.partial = Partial::Carry;
    }

    fn give_carry(&mut self, env: &mut Env) {
        env.output.give(std::mem::take(&mut self.carry));
    }

    fn lend(&mut self, place: &Place) {
        if matches!(place, Place::Assembly) {
            self.lent = Lent::Assembly;
        }
    }

    #[inline]
    fn release(&mut self, env: &mut Env) {
        match std::mem::replace(&mut self.lent, Lent::Nothing) {
            Lent::Nothing => {}
            Lent::Carry => self.give_carry(env),
            Lent::Assembly => self.give_assembly(env),
        }
    }

    fn give_assembly(&mut self, env: &mut Env) {
        env.assembly.give(std::mem::take(&mut self.assembly));
        self.filled = 0;
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) const fn held_bytes(&self) -> usize {
        self.carry.capacity() + self.assembly.capacity()
    }

    /// Gives all memory back; the connection receives nothing more.
    pub(crate) fn clear(&mut self, env: &mut Env) {
        self.lent = Lent::Nothing;
        self.give_carry(env);
        self.give_assembly(env);
        self.message = None;
        self.partial = Partial::None;
    }
}

impl Progress {
    fn check_text(&mut self, bytes: &[u8]) -> Result<(), ProtocolError> {
        if self.kind == Kind::Binary {
            return Ok(());
        }
        self.utf8.feed(bytes).map_err(|_| ProtocolError::InvalidUtf8)
    }
}

fn is_unfragmented(header: &Header) -> bool {
    header.fin && header.opcode != Opcode::Continuation
}

/// Makes `buffer` at least `end` bytes long, growing ahead of up to `missing` bytes that are still to come.
fn grow(buffer: &mut Vec<u8>, end: usize, missing: u64, pool: &mut Pool) {
    if buffer.capacity() == 0 {
        *buffer = pool.take();
    }
    if buffer.len() < end {
        let ahead = end.saturating_add(missing.min(end as u64) as usize);
        buffer.resize(ahead, 0);
    }
}
