//! `receive`: frames that are encoded beforehand, written as fast as the client reads.

use std::io::{self, Write};

use websocket_bench::CHUNK;
use websocket_bench::contract::payload;
use websocket_bench::frame::{TEXT, unmasked};

use crate::Progress;

/// The rest of a feed.
pub(crate) struct Feed {
    /// `period` bytes of whole frames, then a chunk more of the same, so that a chunk can be written from anywhere.
    frames: Vec<u8>,
    period: usize,
    frame: usize,
    /// Bytes of a write: a chunk, less what makes it end with a frame.
    chunk: usize,
    at: usize,
    left: u64,
}

impl Feed {
    pub(crate) fn new(payload_size: usize, messages: u64) -> Self {
        let frame = unmasked(TEXT, payload(payload_size).as_bytes());
        let period = CHUNK.next_multiple_of(frame.len());
        let frames = frame.iter().copied().cycle().take(period + CHUNK).collect();
        let chunk = (CHUNK - CHUNK % frame.len()).max(frame.len()).min(CHUNK);
        Self { frames, period, frame: frame.len(), chunk, at: 0, left: messages * frame.len() as u64 }
    }

    /// The size of a frame.
    pub(crate) fn frame(&self) -> usize {
        self.frame
    }

    pub(crate) fn ready(&mut self, stream: &mut impl Write) -> io::Result<Progress> {
        while self.left > 0 {
            let size = self.left.min(self.chunk as u64) as usize;
            let written = stream.write(&self.frames[self.at..self.at + size])?;
            self.at = (self.at + written) % self.period;
            self.left -= written as u64;
        }
        Ok(Progress::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes at most so many bytes a write.
    struct Narrow(usize, Vec<u8>);

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let size = bytes.len().min(self.0);
            self.1.extend_from_slice(&bytes[..size]);
            Ok(size)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_feed_is_so_many_frames_whatever_the_socket_takes() {
        for (payload_size, messages, narrow) in
            [(32, 20_000, usize::MAX), (32, 20_000, 100_003), (300_000, 5, 65_521)]
        {
            let mut out = Narrow(narrow, Vec::new());
            Feed::new(payload_size, messages).ready(&mut out).unwrap();
            let frame = unmasked(TEXT, payload(payload_size).as_bytes());
            assert_eq!(out.1.len() as u64, frame.len() as u64 * messages);
            assert!(out.1.chunks(frame.len()).all(|piece| piece == frame));
        }
    }
}
