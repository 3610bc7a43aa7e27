//! What waits to be written.

use crate::env::Pool;
use crate::frame::{First, MAX_HEADER, write_header};
use crate::{Env, Tx, mask};

/// The outgoing bytes of a connection, in memory from the pool while there are any.
pub(crate) struct Output {
    /// Initialised as far as it was ever used. From `start` to `end` lies what waits.
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Output {
    pub(crate) const fn new(bytes: Vec<u8>) -> Self {
        let end = bytes.len();
        Self { bytes, start: 0, end }
    }

    #[inline]
    pub(crate) const fn len(&self) -> usize {
        self.end - self.start
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Appends the header of a frame with `len` bytes of payload. What it needs of memory, it takes for the first `room` of them, too.
    #[inline]
    pub(crate) fn header(&mut self, first: First, len: usize, key: [u8; 4], room: usize, pool: &mut Pool) {
        if self.start > self.end / 2 || self.bytes.len() < self.end + MAX_HEADER {
            self.make_room(room, pool);
        }
        if let Some(header) = self.bytes[self.end..].first_chunk_mut() {
            self.end += write_header(header, first, len, key);
        }
    }

    /// Makes room for a header.
    #[cold]
    fn make_room(&mut self, room: usize, pool: &mut Pool) {
        if self.bytes.capacity() == 0 {
            self.bytes = pool.take();
        } else {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.len());
        }
        if self.bytes.len() < self.end + MAX_HEADER {
            self.bytes.truncate(self.end);
            self.bytes.reserve(MAX_HEADER + room);
            self.bytes.resize(self.end + MAX_HEADER, 0);
        }
    }

    /// Appends a part of a payload, masked.
    #[inline]
    pub(crate) fn payload(&mut self, payload: &[u8], key: [u8; 4]) {
        match self.bytes.get_mut(self.end..self.end + payload.len()) {
            Some(room) => mask::copy(room, payload, key),
            None => self.lengthen(payload, key),
        }
        self.end += payload.len();
    }

    /// Appends bytes as they are.
    pub(crate) fn unframed(&mut self, bytes: &[u8], pool: &mut Pool) {
        self.make_room(bytes.len(), pool);
        // A key of zeros changes nothing.
        self.payload(bytes, [0; 4]);
    }

    #[cold]
    fn lengthen(&mut self, payload: &[u8], key: [u8; 4]) {
        self.bytes.truncate(self.end);
        self.bytes.reserve(payload.len());
        mask::append(&mut self.bytes, payload, key);
    }

    /// The first `len` bytes were written.
    pub(crate) fn consume(&mut self, len: usize) {
        self.start = (self.start + len).min(self.end);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Gives the memory back.
    pub(crate) fn free(&mut self, pool: &mut Pool) {
        (self.start, self.end) = (0, 0);
        pool.give(std::mem::take(&mut self.bytes));
    }
}

impl Tx {
    /// Bytes that wait to be written.
    #[inline]
    pub const fn queued_bytes(&self) -> usize {
        self.output.len()
    }

    /// The bytes to write next.
    #[inline]
    #[must_use]
    pub fn output(&self) -> &[u8] {
        self.output.as_slice()
    }

    /// The first `len` bytes of [`output`](Self::output) were written.
    pub fn wrote(&mut self, len: usize, env: &mut Env) {
        self.took(len, env);
        self.settle(env);
    }

    /// The stream has taken the first `len` bytes of the output.
    pub(crate) fn took(&mut self, len: usize, env: &Env) {
        self.note_peak();
        self.output.consume(len);
        self.written += len as u64;
        self.pings.written(self.written, env.now, !self.paused);
        if self.has_closed() {
            self.lifecycle.close_has_left(env.now);
        }
        self.stalled = None;
    }

    /// Gives the memory of an output back of which nothing is left, and answers a ping for whose answer there was no room.
    pub(crate) fn settle(&mut self, env: &mut Env) {
        if self.queued_bytes() == 0 {
            self.output.free(&mut env.output);
        }
        if let Some(payload) = self.pings.take_owed_pong() {
            self.answer_ping(&payload, env);
        }
    }

    /// Gives all memory back; nothing more is written.
    pub(crate) fn clear(&mut self, env: &mut Env) {
        self.note_peak();
        self.output.free(&mut env.output);
        self.outbound.clear(env);
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) const fn held_bytes(&self) -> usize {
        self.output.bytes.capacity()
    }

    /// The stream takes no more bytes now: `write_timeout` runs from the first time that this is said after the last progress.
    pub fn stall(&mut self, env: &Env) {
        self.lifecycle.close_has_left(env.now);
        if self.stalled.is_none() {
            self.stalled = Some(env.now);
        }
    }

    /// The most waits just before some of it is written.
    pub(crate) fn note_peak(&mut self) {
        let queued = self.queued_bytes();
        if let Some(counters) = &mut self.counters {
            counters.peak_queued_bytes = counters.peak_queued_bytes.max(queued);
        }
    }
}
