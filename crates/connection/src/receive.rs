//! From bytes to frames to messages (RFC 6455 sections 5.2 and 5.4).
//!
//! A frame that is whole in the input stays there: only its position is passed on. What arrives in pieces moves to the buffers.

use crate::buffers::{Buffers, Place};
use crate::deflate::Inbound;
use crate::env::Env;
use crate::frame::Header;
use crate::progress::Progress;
use crate::{Config, Input, Kind, Opcode, ProtocolError, mask};

/// Bytes of a masked frame that are unmasked at a time before they are inflated. A multiple of four keeps the key in step.
const UNMASKED: usize = 1 << 10;

/// A complete frame or message.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A whole message, which came in so many frames. `compressed` is the length of its payload before it was inflated.
    Message {
        kind: Kind,
        place: Place,
        frames: u32,
        compressed: Option<u64>,
    },
    Fragment {
        kind: Kind,
        place: Place,
        first: bool,
        last: bool,
        compressed: Option<u64>,
    },
    Control {
        opcode: Opcode,
        place: Place,
    },
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
pub(crate) enum Partial {
    /// The next byte starts a frame.
    None,
    /// `carry` holds the start of a header or of a control frame.
    Carry,
    /// A data frame's payload is on its way into `assembly`.
    Payload { header: Header, missing: u64 },
}

/// The receiving half.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Rx {
    pub(crate) partial: Partial,
    pub(crate) message: Option<Progress>,
    pub(crate) buffers: Buffers,
    pub(crate) inbound: Inbound,
    pub(crate) deliver_fragments: bool,
}

impl Rx {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            deliver_fragments: config.deliver_fragments,
            partial: Partial::None,
            message: None,
            buffers: Buffers::new(),
            inbound: Inbound::new(),
        }
    }

    pub(crate) fn at<'e, 'b: 'e>(&'e self, input: &Input<'b>, place: Place) -> &'e [u8] {
        self.buffers.at(input, place)
    }

    /// Whether the next byte starts a frame and nothing is held for a borrower.
    #[inline]
    pub(crate) fn is_between_frames(&self) -> bool {
        matches!(self.partial, Partial::None) && !self.buffers.is_lent()
    }

    /// Whether the next byte starts a message and nothing is held for a borrower.
    #[inline]
    pub(crate) fn is_between_messages(&self) -> bool {
        self.is_between_frames() && self.message.is_none()
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
        self.buffers.release(env);
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
        self.set_aside(input, config, env)?;
        self.check_rest(config)
    }

    /// As [`absorb`](Self::absorb), while more bytes are at hand: text in it may be checked later.
    pub(crate) fn set_aside(
        &mut self,
        input: &mut Input<'_>,
        config: &Config,
        env: &mut Env,
    ) -> Result<(), ProtocolError> {
        self.buffers.release(env);
        if input.rest().is_empty() {
            return Ok(());
        }
        match Header::parse(input.rest(), self.inbound.is_on(), config)? {
            Some(header) if !header.opcode.is_control() => {
                self.message = Some(Progress::after(self.message, &header, self.deliver_fragments, config)?);
                input.skip(header.size);
                self.resume_payload(header, header.len, input, config, env)?;
            }
            _ => {
                self.start_carry(env);
                self.buffers.carry.extend_from_slice(input.take(u64::MAX));
            }
        }
        Ok(())
    }

    /// A frame at the front of the input.
    #[inline]
    fn frame(
        &mut self,
        input: &mut Input<'_>,
        config: &Config,
        env: &mut Env,
    ) -> Result<Flow, ProtocolError> {
        let Some(header) = Header::parse(input.rest(), self.inbound.is_on(), config)? else {
            return Ok(Flow::More);
        };
        let whole = header.len <= (input.rest().len() - header.size) as u64;
        if header.opcode.is_control() {
            return Ok(if whole { Flow::Step(self.control(header, input, env)) } else { Flow::More });
        }
        let progress = Progress::after(self.message, &header, self.deliver_fragments, config)?;
        if !whole {
            return Ok(Flow::More);
        }
        if header.mask.is_some() || progress.compressed {
            self.message = Some(progress);
            input.skip(header.size);
            return self.resume_payload(header, header.len, input, config, env);
        }
        let payload = input.at + header.size..input.at + header.size + header.len as usize;
        input.at = payload.end;
        if is_unfragmented(&header) {
            let (kind, place) = (progress.kind, Place::Input(payload));
            return Ok(Flow::Step(Step::Message { kind, place, frames: 1, compressed: None }));
        }
        let bytes = &input.bytes[payload.clone()];
        self.message.insert(progress).check(bytes, config)?;
        if self.deliver_fragments {
            return self.end_frame(header, Place::Input(payload), config);
        }
        self.buffers.append(bytes, 0, env);
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
        self.buffers.carry.extend_from_slice(frame);
        self.control_in_carry(header)
    }

    /// A whole control frame in the carry.
    fn control_in_carry(&mut self, header: Header) -> Step {
        if let Some(key) = header.mask {
            mask::apply(&mut self.buffers.carry[header.size..], key);
        }
        self.partial = Partial::None;
        let place = Place::Carry(header.size..self.buffers.carry.len());
        self.buffers.lend(&place);
        Step::Control { opcode: header.opcode, place }
    }

    /// More bytes for the header or control frame in the carry, which takes one byte too many from nobody.
    fn resume_carry(
        &mut self,
        input: &mut Input<'_>,
        config: &Config,
        env: &mut Env,
    ) -> Result<Flow, ProtocolError> {
        loop {
            if let Some(header) = Header::parse(&self.buffers.carry, self.inbound.is_on(), config)? {
                if !header.opcode.is_control() {
                    self.message =
                        Some(Progress::after(self.message, &header, self.deliver_fragments, config)?);
                    self.buffers.free_carry(env);
                    return self.resume_payload(header, header.len, input, config, env);
                }
                let missing = header.size + header.len as usize - self.buffers.carry.len();
                self.buffers.carry.extend_from_slice(input.take(missing as u64));
                let whole = self.buffers.carry.len() == header.size + header.len as usize;
                return Ok(if whole { Flow::Step(self.control_in_carry(header)) } else { Flow::More });
            }
            match input.take(1) {
                [] => return Ok(Flow::More),
                byte => self.buffers.carry.extend_from_slice(byte),
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
        if self.is_compressed() {
            self.inflate(header, missing, piece, config, env)?;
        } else {
            let new = self.buffers.append(piece, missing - piece.len() as u64, env);
            self.added(header, missing, new, config)?;
        }
        match self.partial {
            Partial::Payload { missing: 0, .. } => {
                self.partial = Partial::None;
                self.end_frame(header, Place::Assembly, config)
            }
            _ => Ok(Flow::More),
        }
    }

    /// Inflates `piece`, out of `missing` bytes of this frame, into the assembly.
    fn inflate(
        &mut self,
        header: Header,
        missing: u64,
        piece: &[u8],
        config: &Config,
        env: &mut Env,
    ) -> Result<(), ProtocolError> {
        let rest = missing - piece.len() as u64;
        self.partial = Partial::Payload { header, missing: rest };
        let Some(message) = &mut self.message else { return Ok(()) };
        match header.mask {
            None => self.inbound.inflate(piece, &mut self.buffers, message, config, env)?,
            Some(key) => {
                let key = mask::rotate(key, header.len - missing);
                for block in piece.chunks(UNMASKED) {
                    let mut bytes = [0; UNMASKED];
                    let bytes = &mut bytes[..block.len()];
                    bytes.copy_from_slice(block);
                    mask::apply(bytes, key);
                    self.inbound.inflate(bytes, &mut self.buffers, message, config, env)?;
                }
            }
        }
        if rest == 0 && header.fin { self.inbound.finish(env) } else { Ok(()) }
    }

    pub(crate) fn is_compressed(&self) -> bool {
        self.message.as_ref().is_some_and(|message| message.compressed)
    }

    fn start_carry(&mut self, env: &mut Env) {
        self.buffers.start_carry(env);
        self.partial = Partial::Carry;
    }

    /// A data frame is complete at `place`. Text that is delivered in fragments has been checked piece by piece; a whole one is yet to be.
    fn end_frame(&mut self, header: Header, place: Place, config: &Config) -> Result<Flow, ProtocolError> {
        let Some(mut message) = self.message else { return Ok(Flow::Next) };
        if header.fin {
            self.message = None;
            if self.deliver_fragments {
                message.finish(config)?;
            }
        }
        let kind = message.kind;
        if self.deliver_fragments && !is_unfragmented(&header) {
            self.buffers.lend(&place);
            let first = header.opcode != Opcode::Continuation;
            let compressed = message.compressed.then_some(header.len);
            return Ok(Flow::Step(Step::Fragment { kind, place, first, last: header.fin, compressed }));
        }
        if !header.fin {
            return Ok(Flow::Next);
        }
        self.buffers.lend(&place);
        let (frames, compressed) = (message.fragments, message.compressed.then_some(message.len));
        Ok(Flow::Step(Step::Message { kind, place, frames, compressed }))
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn held_bytes(&self) -> usize {
        self.buffers.held_bytes() + self.inbound.held_bytes()
    }

    /// Gives all memory back; the connection receives nothing more.
    pub(crate) fn clear(&mut self, env: &mut Env) {
        self.buffers.clear(env);
        self.inbound.clear(env);
        self.message = None;
        self.partial = Partial::None;
    }
}

fn is_unfragmented(header: &Header) -> bool {
    header.fin && header.opcode != Opcode::Continuation
}
