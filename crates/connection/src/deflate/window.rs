//! What a connection keeps of the messages of one direction, so that later ones can refer to them.

/// The latest bytes of a stream, as many as it may refer back to.
#[derive(Debug)]
pub(super) struct Window {
    /// Once it is full, a ring.
    bytes: Vec<u8>,
    size: usize,
    /// Where the oldest byte is, and the next goes, once it is full.
    oldest: usize,
}

impl Window {
    pub(super) const fn new(size: usize) -> Self {
        Self { bytes: Vec::new(), size, oldest: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Its bytes, in two pieces.
    pub(super) fn pieces(&self) -> [&[u8]; 2] {
        let (newer, older) = self.bytes.split_at(self.oldest);
        [older, newer]
    }

    /// Appends `new`. Memory grows with what came: a connection that is sent little keeps little.
    pub(super) fn push(&mut self, new: &[u8]) {
        let new = &new[new.len().saturating_sub(self.size)..];
        let (new, mut rest) = new.split_at(new.len().min(self.size - self.bytes.len()));
        let end = self.bytes.len() + new.len();
        if end > self.bytes.capacity() {
            let capacity = end.max(2 * self.bytes.capacity()).min(self.size);
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(new);
        while !rest.is_empty() {
            let oldest = &mut self.bytes[self.oldest..];
            let (now, later) = rest.split_at(rest.len().min(oldest.len()));
            oldest[..now.len()].copy_from_slice(now);
            self.oldest = (self.oldest + now.len()) % self.size;
            rest = later;
        }
    }

    /// Forgets everything, and gives the memory back.
    pub(super) fn take(&mut self) -> Vec<u8> {
        self.oldest = 0;
        std::mem::take(&mut self.bytes)
    }

    /// Memory to begin with, of which the contents mean nothing.
    pub(super) fn start(&mut self, mut memory: Vec<u8>) {
        memory.clear();
        self.bytes = memory;
        self.oldest = 0;
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
    fn it_has_the_latest_bytes_and_no_memory_for_more() {
        for size in [512, 4096, 32_768] {
            let mut window = Window::new(size);
            let mut all = Vec::new();
            for round in 0..400_usize {
                let new: Vec<u8> = (0..(round * round) % 700).map(|i| (i * round) as u8).collect();
                all.extend_from_slice(&new);
                window.push(&new);
                assert_eq!(window.pieces().concat(), &all[all.len().saturating_sub(size)..]);
                assert!(window.held_bytes() <= size);
            }
            window.push(&[7; 100_000]);
            assert_eq!(window.pieces().concat(), vec![7; size]);
            window.start(vec![1; 10]);
            window.push(&[8; 3]);
            assert_eq!(window.pieces().concat(), [8; 3]);
        }
    }

    #[test]
    fn it_grows_with_what_came() {
        let mut window = Window::new(32_768);
        window.push(&[1; 300]);
        assert_eq!(window.held_bytes(), 300);
    }
}
