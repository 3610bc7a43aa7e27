//! Ciphertext on its way to the peer.

use std::fmt;

/// Ciphertext that waits to be written.
///
/// Memory is cleared once, when it is first taken, and used again and again: one `TlsOutput` can serve all connections of a reactor in
/// turn, and only what a stream did not take has to stay with its connection (swap it for an empty one, which costs nothing).
#[derive(Default)]
pub struct TlsOutput {
    /// All of it initialised; `start..end` waits.
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl TlsOutput {
    /// Nothing waits and no memory is held.
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), start: 0, end: 0 }
    }

    /// What is to be written next.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Whether nothing waits.
    pub const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// How many bytes wait.
    pub const fn len(&self) -> usize {
        self.end - self.start
    }

    /// The first `len` bytes have been written; more than wait count as all.
    pub fn consume(&mut self, len: usize) {
        self.start += len.min(self.len());
        if self.is_empty() {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Gives the memory back if nothing waits.
    pub fn release(&mut self) {
        if self.is_empty() {
            *self = Self::new();
        }
    }

    /// Room for `len` bytes after those that wait; [`filled`](Self::filled) says how many of them came.
    pub(super) fn room(&mut self, len: usize) -> &mut [u8] {
        if self.bytes.len() - self.end < len && self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.len());
        }
        if self.bytes.len() - self.end < len {
            self.bytes.resize(self.end + len, 0);
        }
        &mut self.bytes[self.end..self.end + len]
    }

    pub(super) fn filled(&mut self, len: usize) {
        self.end += len;
    }

    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.bytes.capacity()
    }
}

impl fmt::Debug for TlsOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsOutput").field("len", &self.len()).finish_non_exhaustive()
    }
}
