//! The machinery that compresses, lent to one connection at a time.

use zlib_rs::{Deflate as Stream, DeflateConfig, DeflateFlush};

use super::parameters::{LEAST_BITS, MAX_BITS, MAX_LEVEL};
use super::window::Window;

/// Bytes of room that the compressor gets at a time. Each end of it can cost a byte of output.
const ROOM: usize = 64 << 10;

/// A compressor and what it remembers.
pub(super) struct Deflater {
    stream: Stream,
    level: u8,
    bits: u8,
}

impl Deflater {
    pub(super) fn new(level: u8, bits: u8) -> Self {
        let (level, bits) = (level.min(MAX_LEVEL), bits.clamp(LEAST_BITS, MAX_BITS));
        let mut config = DeflateConfig::new(level.into());
        // Negative: without a zlib header.
        config.window_bits = -i32::from(bits);
        Self { stream: Stream::new_with_config(config), level, bits }
    }

    pub(super) const fn is(&self, level: u8, bits: u8) -> bool {
        self.level == level && self.bits == bits
    }

    pub(super) fn reset(&mut self) {
        self.stream.reset();
    }

    /// Makes it ready to refer to `window`, after a reset.
    pub(super) fn load(&mut self, window: &Window) {
        for piece in window.pieces() {
            if !piece.is_empty() {
                // Without a zlib header it is refused only while input is left. Then nothing would be referred to.
                let _status = self.stream.set_dictionary(piece);
            }
        }
    }

    /// Appends what `input` is compressed to, up to a boundary that the receiver can read to.
    pub(super) fn compress(&mut self, mut input: &[u8], out: &mut Vec<u8>) {
        loop {
            let (start, room) = (out.len(), worst(input.len()).min(ROOM));
            out.resize(start + room, 0);
            let (used, made) = (self.stream.total_in(), self.stream.total_out());
            // It fails for want of progress alone, which is looked at below: the configuration is valid, and the stream never finished.
            let _status = self.stream.compress(input, &mut out[start..], DeflateFlush::SyncFlush);
            let used = (self.stream.total_in() - used) as usize;
            let made = (self.stream.total_out() - made) as usize;
            out.truncate(start + made);
            input = &input[used..];
            if made < room {
                return;
            }
        }
    }
}

/// The most bytes that a payload of `len` bytes is compressed to: nine bits for each byte, and the marks of blocks.
pub(super) const fn worst(len: usize) -> usize {
    len.saturating_add(len / 8).saturating_add(len / 64).saturating_add(64)
}
