//! `receive`: frames that are encoded beforehand, written as fast as the client reads.

use std::io::{self, Write};

use websocket_bench::CHUNK;
use websocket_bench::contract::{Takeover, payload};
use websocket_bench::feed::texts;
use websocket_bench::frame::{COMPRESSED, TEXT, unmasked};
use websocket_testkit::deflate::Codec;

use crate::Progress;

/// The rest of a feed.
pub(crate) struct Feed {
    /// `period` bytes of whole frames, then a chunk more of the same, so that a chunk can be written from anywhere.
    frames: Vec<u8>,
    period: usize,
    /// Bytes of a write: a chunk, less what makes it end with a frame where all are of one size.
    chunk: usize,
    at: usize,
    left: u64,
}

impl Feed {
    /// The same text again and again.
    pub(crate) fn new(payload_size: usize, messages: u64) -> Self {
        let frame = frame_of(payload_size);
        let chunk = (CHUNK - CHUNK % frame.len()).max(frame.len()).min(CHUNK);
        let left = messages * frame.len() as u64;
        Self { chunk, ..Self::cycle(&frame, CHUNK.next_multiple_of(frame.len()), left) }
    }

    /// Compressed texts, all different for a while. Contexts are taken over within the cycle; its first message refers to nothing, so
    /// that it may follow the last.
    pub(crate) fn compressed(payload_size: usize, messages: u64, takeover: Takeover) -> Self {
        let mut codec = Codec::new(takeover.extension());
        let mut cycle = Vec::new();
        let mut ends = vec![0];
        let few = usize::try_from(messages).unwrap_or(usize::MAX);
        for text in texts(payload_size).take(few) {
            cycle.extend(unmasked(TEXT | COMPRESSED, &codec.compress(text.as_bytes())));
            ends.push(cycle.len() as u64);
        }
        let count = ends.len() as u64 - 1;
        let left = match count {
            0 => 0,
            count => messages / count * cycle.len() as u64 + ends[(messages % count) as usize],
        };
        Self::cycle(&cycle, cycle.len(), left)
    }

    fn cycle(frames: &[u8], period: usize, left: u64) -> Self {
        let frames = frames.iter().copied().cycle().take(period + CHUNK).collect();
        Self { frames, period, chunk: CHUNK, at: 0, left }
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

/// The frame of a text that looks like a feed.
pub(crate) fn frame_of(payload_size: usize) -> Vec<u8> {
    unmasked(TEXT, payload(payload_size).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use websocket_bench::frame::Header;

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
            let frame = frame_of(payload_size);
            assert_eq!(out.1.len() as u64, frame.len() as u64 * messages);
            assert!(out.1.chunks(frame.len()).all(|piece| piece == frame));
        }
    }

    #[test]
    fn a_compressed_feed_can_be_inflated_beyond_its_cycle() {
        for takeover in [Takeover::Yes, Takeover::No] {
            let texts: Vec<String> = texts(30_000).collect();
            let messages = 2 * texts.len() + 5;
            let mut out = Narrow(100_003, Vec::new());
            Feed::compressed(30_000, messages as u64, takeover).ready(&mut out).unwrap();

            // What the server compresses with its window the same codec inflates with the client's.
            let mut codec = Codec::new(takeover.extension());
            let mut rest = &out.1[..];
            for text in texts.iter().cycle().take(messages) {
                let header = Header::read(rest).unwrap();
                assert_eq!(header.first, TEXT | COMPRESSED);
                assert_eq!(codec.inflate(&rest[header.start..header.end]), text.as_bytes());
                rest = &rest[header.end..];
            }
            assert!(rest.is_empty());
        }
    }
}
