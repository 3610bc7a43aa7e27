//! Reads decisions out of a fuzz input.

use super::harness::Leave;

/// The rest of a fuzz input. Reading beyond its end gives zeros.
pub(super) struct Plan<'a>(&'a [u8]);

impl<'a> Plan<'a> {
    pub(super) const fn new(input: &'a [u8]) -> Self {
        Self(input)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or(0)
    }

    /// The next `len` bytes, or fewer at the end.
    pub(super) fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    /// Cut points, and the bytes to cut: one byte with the number of cuts, one for each cut, then the bytes.
    pub(super) fn pieces(mut self) -> Pieces<'a> {
        let cuts = self.byte() % 32;
        Pieces { cuts: self.bytes(usize::from(cuts)), bytes: Some(self.0) }
    }
}

/// Pieces of a stream, and how each is handed over. The last takes what the cuts left, and is absorbed.
#[derive(Clone)]
pub(super) struct Pieces<'a> {
    cuts: &'a [u8],
    bytes: Option<&'a [u8]>,
}

impl<'a> Pieces<'a> {
    /// All bytes in one piece.
    pub(super) fn whole(&self) -> &'a [u8] {
        self.bytes.unwrap_or_default()
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = (&'a [u8], Leave);

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.bytes?;
        let Some((cut, cuts)) = self.cuts.split_first() else {
            self.bytes = None;
            return Some((bytes, Leave::Spare));
        };
        self.cuts = cuts;
        let (piece, rest) = bytes.split_at(usize::from(cut % 64).min(bytes.len()));
        self.bytes = Some(rest);
        Some((piece, leave(cut / 64)))
    }
}

/// How the decision `byte` wants bytes to be handed over.
pub(super) const fn leave(byte: u8) -> Leave {
    match byte % 3 {
        0 => Leave::InBuffer,
        1 => Leave::Absorb,
        _ => Leave::Spare,
    }
}
