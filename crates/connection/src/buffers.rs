//! Memory for what is not whole in the input: it comes from the pool and goes back after the delivery.

use std::ops::Range;

use crate::frame::MAX_HEADER;
use crate::{Env, Input, MAX_CONTROL_PAYLOAD};

/// Bytes of a large payload read at a time.
const DIRECT_READ: usize = 256 << 10;

/// Least room for a payload whose length is not known.
#[cfg(feature = "deflate")]
const ROOM: usize = 4 << 10;

/// Where a payload lies.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// In the input, counted from its start.
    Input(Range<usize>),
    Carry(Range<usize>),
    Assembly,
}

/// Which buffer was handed out last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Lent {
    Nothing,
    Carry,
    Assembly,
}

/// The buffers of one connection, empty while nothing is cut off.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Buffers {
    /// The borrower may still look at this one; it is freed by the next [`release`](Self::release).
    lent: Lent,
    /// The start of a header, or of a control frame.
    pub(crate) carry: Vec<u8>,
    /// Payload. Initialised over its whole length; `filled` bytes of it mean something.
    assembly: Vec<u8>,
    filled: usize,
}

impl Buffers {
    pub(crate) const fn new() -> Self {
        Self { carry: Vec::new(), assembly: Vec::new(), filled: 0, lent: Lent::Nothing }
    }

    pub(crate) fn at<'e, 'b: 'e>(&'e self, input: &Input<'b>, place: Place) -> &'e [u8] {
        match place {
            Place::Input(range) => &input.bytes[range],
            Place::Carry(range) => &self.carry[range],
            Place::Assembly => &self.assembly[..self.filled],
        }
    }

    #[inline]
    pub(crate) fn is_lent(&self) -> bool {
        self.lent != Lent::Nothing
    }

    /// What lies at `place` is handed out.
    pub(crate) fn lend(&mut self, place: &Place) {
        self.lent = match place {
            Place::Input(_) => Lent::Nothing,
            Place::Carry(_) => Lent::Carry,
            Place::Assembly => Lent::Assembly,
        };
    }

    /// Frees the buffer that was handed out, and no other: a control frame may come between the fragments of a message.
    #[inline]
    pub(crate) fn release(&mut self, env: &mut Env) {
        match std::mem::replace(&mut self.lent, Lent::Nothing) {
            Lent::Nothing => {}
            Lent::Carry => self.free_carry(env),
            Lent::Assembly => self.free_assembly(env),
        }
    }

    /// Makes the carry ready to take bytes.
    pub(crate) fn start_carry(&mut self, env: &mut Env) {
        self.carry = env.output.take();
        self.carry.clear();
        self.carry.reserve_exact(MAX_HEADER + MAX_CONTROL_PAYLOAD);
    }

    pub(crate) fn free_carry(&mut self, env: &mut Env) {
        env.output.give(std::mem::take(&mut self.carry));
    }

    /// Appends to the assembly; `missing` bytes more of this frame are still to come. Returns where the bytes lie.
    pub(crate) fn append(&mut self, bytes: &[u8], missing: u64, env: &mut Env) -> Range<usize> {
        let new = self.filled..self.filled + bytes.len();
        self.grow(new.end, missing, env);
        self.assembly[new.clone()].copy_from_slice(bytes);
        self.filled = new.end;
        new
    }

    /// Room in the assembly for the next of `missing` bytes, to be read there.
    pub(crate) fn spare(&mut self, missing: u64, env: &mut Env) -> &mut [u8] {
        let more = missing.min(DIRECT_READ as u64) as usize;
        self.grow(self.filled + more, missing - more as u64, env);
        &mut self.assembly[self.filled..self.filled + more]
    }

    /// Room in the assembly for a payload of unknown length: at least a byte, and all in all one more than `limit` allows, which is at
    /// most [`MAX_HELD`](crate::config::MAX_HELD).
    #[cfg(feature = "deflate")]
    pub(crate) fn room(&mut self, limit: u64, env: &mut Env) -> &mut [u8] {
        if self.assembly.capacity() == 0 {
            self.assembly = env.assembly.take();
        }
        let most = limit as usize + 1;
        let len = self.assembly.len();
        if self.filled == len {
            let longer = len.saturating_mul(2).max(ROOM).min(most);
            self.assembly.reserve_exact(longer - len);
            self.assembly.resize(longer, 0);
        }
        let end = self.assembly.len().min(most);
        &mut self.assembly[self.filled..end]
    }

    /// At most `len` bytes were put into the room that was given. Returns where they lie.
    pub(crate) fn filled(&mut self, len: usize) -> Range<usize> {
        let new = self.filled..self.filled + len.min(self.assembly.len() - self.filled);
        self.filled = new.end;
        new
    }

    /// Part of the assembly.
    pub(crate) fn assembled(&mut self, part: Range<usize>) -> &mut [u8] {
        &mut self.assembly[part]
    }

    /// The last `len` bytes of the payload.
    pub(crate) fn last(&self, len: usize) -> &[u8] {
        &self.assembly[self.filled - len..self.filled]
    }

    /// Gives all memory back.
    pub(crate) fn clear(&mut self, env: &mut Env) {
        self.lent = Lent::Nothing;
        self.free_carry(env);
        self.free_assembly(env);
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) const fn held_bytes(&self) -> usize {
        self.carry.capacity() + self.assembly.capacity()
    }

    fn free_assembly(&mut self, env: &mut Env) {
        env.assembly.give(std::mem::take(&mut self.assembly));
        self.filled = 0;
    }

    /// Makes the assembly at least `end` bytes long, growing ahead of up to `missing` bytes that are still to come.
    fn grow(&mut self, end: usize, missing: u64, env: &mut Env) {
        if self.assembly.capacity() == 0 {
            self.assembly = env.assembly.take();
        }
        if self.assembly.len() < end {
            let ahead = end.saturating_add(missing.min(end as u64) as usize);
            if missing > 0 {
                // It grows ahead enough as it is, and no further than to the end of the frame.
                self.assembly.reserve_exact(ahead - self.assembly.len());
            }
            self.assembly.resize(ahead, 0);
        }
    }
}
