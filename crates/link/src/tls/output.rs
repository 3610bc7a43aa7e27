//! Ciphertext on its way to the peer.

use std::fmt;

/// Ciphertext that waits to be written.
///
/// Memory is cleared once, when it is first taken, and used again and again: one `TlsOutput` can serve all connections of a reactor in
/// turn, and only what a stream did not take has to stay with its connection (swap it for an empty one, which costs nothing).
#[derive(Default)]
pub struct TlsOutput(
    /// Apart, and only while there is need of it: an idle connection holds a pointer.
    Option<Box<Buffer>>,
);

#[derive(Default)]
struct Buffer {
    /// All of it initialised; `start..end` waits.
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl TlsOutput {
    /// Nothing waits and no memory is held.
    pub const fn new() -> Self {
        Self(None)
    }

    /// What is to be written next.
    pub fn as_slice(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |buffer| &buffer.bytes[buffer.start..buffer.end])
    }

    /// Whether nothing waits.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes wait.
    pub const fn len(&self) -> usize {
        match &self.0 {
            Some(buffer) => buffer.end - buffer.start,
            None => 0,
        }
    }

    /// The first `len` bytes have been written; more than wait count as all.
    pub fn consume(&mut self, len: usize) {
        let waiting = self.len();
        if let Some(buffer) = &mut self.0 {
            buffer.start += len.min(waiting);
            if buffer.start == buffer.end {
                (buffer.start, buffer.end) = (0, 0);
            }
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
        let Buffer { bytes, start, end } = &mut **self.0.get_or_insert_default();
        if bytes.len() - *end < len && *start > 0 {
            bytes.copy_within(*start..*end, 0);
            (*start, *end) = (0, *end - *start);
        }
        if bytes.len() - *end < len {
            bytes.resize(*end + len, 0);
        }
        &mut bytes[*end..*end + len]
    }

    /// The first `len` bytes of the room have come.
    pub(super) fn filled(&mut self, len: usize) {
        if let Some(buffer) = &mut self.0 {
            buffer.end += len;
        }
    }

    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |buffer| buffer.bytes.capacity())
    }
}

impl fmt::Debug for TlsOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsOutput").field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_that_is_not_used_is_a_pointer() {
        assert_eq!(size_of::<TlsOutput>(), size_of::<usize>());
    }

    #[test]
    fn what_was_filled_is_consumed_in_its_order_and_memory_goes_back_when_all_is() {
        let mut output = TlsOutput::new();
        output.consume(3);
        assert!(output.is_empty() && output.as_slice().is_empty());
        output.room(4).copy_from_slice(b"abcd");
        output.filled(4);
        output.consume(3);
        output.room(5)[..2].copy_from_slice(b"ef");
        output.filled(2);
        assert_eq!((output.as_slice(), output.len()), (&b"def"[..], 3));
        output.release();
        assert_eq!(output.as_slice(), b"def", "what waits is kept");
        output.consume(usize::MAX);
        assert!(output.is_empty() && output.held_bytes() > 0);
        output.release();
        assert_eq!(output.held_bytes(), 0);
    }
}
