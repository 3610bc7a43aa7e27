//! `send` and `send-deflate`: reads and counts what comes, and says so twice.

use std::io::{self, ErrorKind, Read, Write};

use websocket_bench::frame::{CLOSE, Header, TEXT, unmasked};

use crate::Progress;

/// A connection on which the client sends.
pub(crate) struct Sink {
    /// The first byte of the frames that may come.
    first: u8,
    /// Messages of the warm-up and of the measured part that are still to come.
    parts: [u64; 2],
    part: usize,
    /// Bytes of this part.
    bytes: u64,
    /// The beginning of a frame header that the end of a read has cut.
    partial: Vec<u8>,
    /// Bytes of the frame under way that are still to come.
    payload: usize,
    unsent: Vec<u8>,
}

impl Sink {
    /// Tells the bytes that came when so many messages have, and again when so many more have.
    pub(crate) fn new(first: u8, warm_up: u64, messages: u64) -> Self {
        let mut sink = Self {
            first,
            parts: [warm_up, messages],
            part: 0,
            bytes: 0,
            partial: Vec::new(),
            payload: 0,
            unsent: Vec::new(),
        };
        sink.look();
        sink
    }

    /// Reads for ever and says nothing.
    pub(crate) fn silent(first: u8) -> Self {
        Self::new(first, u64::MAX, 0)
    }

    pub(crate) fn ready(
        &mut self,
        stream: &mut (impl Read + Write),
        scratch: &mut [u8],
    ) -> io::Result<Progress> {
        loop {
            while !self.unsent.is_empty() {
                let written = stream.write(&self.unsent)?;
                self.unsent.drain(..written);
            }
            if self.part == self.parts.len() {
                return Ok(Progress::Done);
            }
            match stream.read(scratch)? {
                0 => return Ok(Progress::Ended),
                size => self.take(&scratch[..size])?,
            }
        }
    }

    fn take(&mut self, mut input: &[u8]) -> io::Result<()> {
        while !input.is_empty() && self.part < self.parts.len() {
            if self.payload == 0 {
                input = self.whole_messages(input)?;
                if self.part == self.parts.len() {
                    return Ok(());
                }
                let Some(header) = self.header(&mut input) else { return Ok(()) };
                self.check(header)?;
                self.bytes += header.start as u64;
                self.payload = header.end - header.start;
            }
            let size = self.payload.min(input.len());
            self.payload -= size;
            self.bytes += size as u64;
            input = &input[size..];
            if self.payload == 0 {
                self.parts[self.part] -= 1;
                self.look();
            }
        }
        Ok(())
    }

    /// Takes those messages of this part that are whole at the front of `input`, and returns the rest.
    fn whole_messages<'a>(&mut self, input: &'a [u8]) -> io::Result<&'a [u8]> {
        if !self.partial.is_empty() {
            return Ok(input);
        }
        let (mut rest, mut left) = (input, self.parts[self.part]);
        while left > 0
            && let Some(header) = Header::read(rest)
            && let Some(behind) = rest.get(header.end..)
        {
            self.check(header)?;
            rest = behind;
            left -= 1;
        }
        self.bytes += (input.len() - rest.len()) as u64;
        self.parts[self.part] = left;
        self.look();
        Ok(rest)
    }

    fn check(&self, header: Header) -> io::Result<()> {
        match header.first {
            CLOSE => Err(ErrorKind::ConnectionAborted.into()),
            first if first == self.first && header.key.is_some() => Ok(()),
            _ => Err(io::Error::new(ErrorKind::InvalidData, "not the frame that was agreed on")),
        }
    }

    /// Takes a header off the front of `input`; `None` while it is not whole.
    fn header(&mut self, input: &mut &[u8]) -> Option<Header> {
        if self.partial.is_empty()
            && let Some(header) = Header::read(input)
        {
            *input = &input[header.start..];
            return Some(header);
        }
        // Byte by byte: a cut is rare.
        while let Some((&byte, rest)) = input.split_first() {
            self.partial.push(byte);
            *input = rest;
            if let Some(header) = Header::read(&self.partial) {
                self.partial.clear();
                return Some(header);
            }
        }
        None
    }

    /// Says what has come where a part is complete.
    fn look(&mut self) {
        while self.parts.get(self.part) == Some(&0) {
            self.unsent.extend(unmasked(TEXT, self.bytes.to_string().as_bytes()));
            self.bytes = 0;
            self.part += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use websocket_bench::frame::{COMPRESSED, masked};

    const FIRST: u8 = TEXT | COMPRESSED;

    fn frame(length: usize) -> Vec<u8> {
        masked(FIRST, &vec![7; length], [1, 2, 3, 4])
    }

    #[test]
    fn each_part_is_told_wherever_the_input_is_cut() {
        let input = [frame(10), frame(200), frame(300), frame(20)].concat();
        let told = [unmasked(TEXT, b"224"), unmasked(TEXT, b"308")].concat();
        for cut in 0..input.len() {
            let mut sink = Sink::new(FIRST, 2, 1);
            sink.take(&input[..cut]).unwrap();
            sink.take(&input[cut..]).unwrap();
            assert_eq!((sink.part, &sink.unsent), (2, &told));
        }
    }

    #[test]
    fn another_frame_is_refused() {
        Sink::new(FIRST, 1, 1).take(&masked(TEXT, b"plain", [1, 2, 3, 4])).unwrap_err();
        Sink::new(TEXT, 1, 1).take(&frame(10)).unwrap_err();
        Sink::new(TEXT, 1, 1).take(&unmasked(TEXT, b"without a mask")).unwrap_err();
    }
}
