//! `echo`, and the end of every connection: unmasks, sends back, answers pings and the close frame.

use std::io::{self, ErrorKind, Read, Write};

use websocket_bench::frame::{CLOSE, Header, MAX_HEADER, PING, PONG, mask_into, unmasked, write_header};

use crate::Progress;

/// An open connection.
#[derive(Default)]
pub(crate) struct Echo {
    /// The beginning of a frame whose end has not come.
    partial: Vec<u8>,
    unsent: Vec<u8>,
    /// This side has sent its close frame.
    closing: bool,
    /// The client has sent its close frame.
    closed: bool,
}

impl Echo {
    /// A connection that this side closes.
    pub(crate) fn closing() -> Self {
        let normal = 1000_u16.to_be_bytes();
        Self { unsent: unmasked(CLOSE, &normal), closing: true, ..Self::default() }
    }

    pub(crate) fn ready(
        &mut self,
        stream: &mut (impl Read + Write),
        scratch: &mut [u8],
    ) -> io::Result<Progress> {
        let mut drained = false;
        loop {
            // Nothing is read while answers wait: a client that does not read is not waited for in memory.
            while !self.unsent.is_empty() {
                let written = stream.write(&self.unsent)?;
                self.unsent.drain(..written);
            }
            if self.closed {
                return Ok(Progress::Ended);
            }
            if drained {
                return Ok(Progress::Waits);
            }
            let size = match stream.read(scratch)? {
                0 => return Ok(Progress::Ended),
                size => size,
            };
            self.take(&scratch[..size])?;
            drained = size < scratch.len();
        }
    }

    /// Answers every frame that is complete and keeps the rest.
    fn take(&mut self, input: &[u8]) -> io::Result<()> {
        if self.partial.is_empty() {
            let used = self.answer(input)?;
            self.partial.extend_from_slice(&input[used..]);
        } else {
            let mut all = std::mem::take(&mut self.partial);
            all.extend_from_slice(input);
            let used = self.answer(&all)?;
            all.drain(..used);
            self.partial = all;
        }
        Ok(())
    }

    fn answer(&mut self, input: &[u8]) -> io::Result<usize> {
        let mut used = 0;
        while let Some(header) = Header::read(&input[used..]) {
            let Some(payload) = input[used..].get(header.start..header.end) else { break };
            used += header.end;
            let key = header.key.ok_or(ErrorKind::InvalidData)?;
            match header.first {
                CLOSE if self.closing => {}
                PONG => {}
                PING => self.send(PONG, payload, key),
                first => self.send(first, payload, key),
            }
            self.closed |= header.first == CLOSE;
        }
        Ok(used)
    }

    fn send(&mut self, first: u8, payload: &[u8], key: [u8; 4]) {
        let start = self.unsent.len();
        self.unsent.resize(start + MAX_HEADER + payload.len(), 0);
        let header = write_header(&mut self.unsent[start..], first, payload.len(), None);
        let end = start + header + payload.len();
        self.unsent.truncate(end);
        mask_into(&mut self.unsent[start + header..], payload, key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use websocket_bench::frame::{TEXT, masked};

    #[test]
    fn every_frame_comes_back_wherever_the_input_is_cut() {
        let long = [b'x'; 70_000];
        let input = [
            masked(TEXT, b"one", [1, 2, 3, 4]),
            masked(PING, b"two", [5, 6, 7, 8]),
            masked(PONG, b"three", [9, 9, 9, 9]),
            masked(TEXT, &long, [250, 251, 252, 253]),
            masked(CLOSE, &[3, 232], [1, 1, 1, 1]),
        ]
        .concat();
        let answer = [
            unmasked(TEXT, b"one"),
            unmasked(PONG, b"two"),
            unmasked(TEXT, &long),
            unmasked(CLOSE, &[3, 232]),
        ]
        .concat();
        for cut in (0..40).chain([300, 70_000, input.len()]) {
            let mut echo = Echo::default();
            echo.take(&input[..cut]).unwrap();
            echo.take(&input[cut..]).unwrap();
            assert_eq!(echo.unsent, answer);
            assert!(echo.partial.is_empty() && echo.closed);
        }
    }

    #[test]
    fn a_frame_without_a_mask_is_refused() {
        assert!(Echo::default().take(&unmasked(TEXT, b"one")).is_err());
    }

    #[test]
    fn the_answer_to_our_close_frame_is_not_answered() {
        let mut echo = Echo::closing();
        echo.unsent.clear();
        echo.take(&masked(CLOSE, &[3, 232], [1, 1, 1, 1])).unwrap();
        assert!(echo.unsent.is_empty() && echo.closed);
    }
}
