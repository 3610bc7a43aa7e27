//! What a connection keeps of the server's messages, so that later ones can refer to them.

use super::{LEAST_BITS, MAX_BITS};

/// The latest bytes of a stream, as many as it may refer back to.
#[derive(Debug)]
pub(super) struct Window {
    bytes: Vec<u8>,
    size: usize,
}

impl Window {
    pub(super) fn new(bits: u8) -> Self {
        Self { bytes: Vec::new(), size: 1 << bits.clamp(LEAST_BITS, MAX_BITS) }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[self.bytes.len().saturating_sub(self.size)..]
    }

    /// Appends `new`. Memory grows with what came: a connection that is sent little keeps little.
    pub(super) fn push(&mut self, new: &[u8]) {
        let new = &new[new.len().saturating_sub(self.size)..];
        // An eighth more than the window, so that its bytes do not move each time.
        let most = self.size + self.size / 8;
        let mut end = self.bytes.len() + new.len();
        if end > most {
            self.bytes.drain(..end - self.size);
            end = self.size;
        }
        if end > self.bytes.capacity() {
            let capacity = end.max(2 * self.bytes.capacity()).min(most);
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(new);
    }

    /// Forgets everything, and gives the memory back.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// Memory to begin with, of which the contents mean nothing.
    pub(super) fn start(&mut self, mut memory: Vec<u8>) {
        memory.clear();
        self.bytes = memory;
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) const fn held_bytes(&self) -> usize {
        self.bytes.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_the_latest_bytes_in_little_more_memory() {
        for bits in 8..=15 {
            let mut window = Window::new(bits);
            let mut all = Vec::new();
            for round in 0..400_usize {
                let new: Vec<u8> = (0..(round * round) % 700).map(|i| (i * round) as u8).collect();
                all.extend_from_slice(&new);
                window.push(&new);
                assert_eq!(window.bytes(), &all[all.len().saturating_sub(1 << bits.max(9))..]);
                assert!(window.held_bytes() <= (9 << bits.max(9)) / 8);
            }
            window.push(&[7; 100_000]);
            assert_eq!(window.bytes(), vec![7; 1 << bits.max(9)]);
        }
    }

    #[test]
    fn it_grows_with_what_came() {
        let mut window = Window::new(15);
        window.push(&[1; 300]);
        assert_eq!(window.held_bytes(), 300);
    }
}
