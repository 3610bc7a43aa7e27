//! What the floor sends.

use std::hash::{BuildHasher, RandomState};

use websocket_bench::frame::{MAX_HEADER, TEXT, mask_into, write_header};

/// The one send buffer, and masking keys that are unpredictable and cost next to nothing.
pub(crate) struct Out {
    buffer: Vec<u8>,
    filled: usize,
    seed: u64,
}

impl Out {
    /// With room for a text of so many bytes.
    pub(crate) fn with_room_for(text: usize) -> Self {
        // Not zero, of which nothing but zero follows.
        let seed = RandomState::new().hash_one(text) | 1;
        Self { buffer: vec![0; MAX_HEADER + text], filled: 0, seed }
    }

    /// Appends the frame of a text, which there is room for, and returns how many bytes there are now.
    #[inline]
    pub(crate) fn push(&mut self, text: &str) -> usize {
        let key = self.next_key();
        let room = &mut self.buffer[self.filled..];
        let start = write_header(room, TEXT, text.len(), Some(key));
        let end = start + text.len();
        mask_into(&mut room[start..end], text.as_bytes(), key);
        self.filled += end;
        self.filled
    }

    /// What has been appended since the last call of this.
    pub(crate) fn take(&mut self) -> &[u8] {
        &self.buffer[..std::mem::take(&mut self.filled)]
    }

    /// Marsaglia's xorshift, of which the upper half of a product is used, so that a key does not tell the next.
    #[inline]
    fn next_key(&mut self) -> [u8; 4] {
        self.seed ^= self.seed >> 12;
        self.seed ^= self.seed << 25;
        self.seed ^= self.seed >> 27;
        let product = self.seed.wrapping_mul(0x2545_f491_4f6c_dd1d);
        ((product >> 32) as u32).to_ne_bytes()
    }
}
