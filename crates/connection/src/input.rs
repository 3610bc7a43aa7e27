//! The caller's bytes.

/// Bytes from the stream, with the position up to which they were used.
#[derive(Clone, Copy, Debug)]
pub struct Input<'b> {
    pub(crate) bytes: &'b [u8],
    pub(crate) at: usize,
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

    pub(crate) fn take(&mut self, most: u64) -> &'b [u8] {
        let rest = self.rest();
        let taken = &rest[..most.min(rest.len() as u64) as usize];
        self.at += taken.len();
        taken
    }

    pub(crate) fn skip(&mut self, len: usize) {
        self.at += len;
    }
}
