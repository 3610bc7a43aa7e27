//! Bodies in chunks (RFC 9112 section 7.1), as far as they are needed for an error.

/// Most bytes of a body that are no data: sizes, extensions and line breaks. What is padded beyond ends there.
const MAX_OVERHEAD: usize = 16 << 10;

/// Where the decoder stands.
#[derive(Clone, Copy, Debug)]
enum Position {
    /// Before or inside the size of a chunk; `None` before its first digit.
    Size(Option<u64>),
    /// Behind the size, up to the end of the line.
    Extension(u64),
    /// So many bytes of data are still to come.
    Data(u64),
    /// Behind the last chunk, in the trailer section; whether its current line is empty so far.
    Trailer(bool),
    /// Behind the empty line that ends the body.
    End,
    /// Behind something that is not a chunk, or behind too much that is not data.
    Broken,
}

/// Decodes chunks as they come.
#[derive(Debug)]
pub(super) struct Chunks {
    position: Position,
    overhead: usize,
}

impl Chunks {
    pub(super) const fn new() -> Self {
        Self { position: Position::Size(None), overhead: 0 }
    }

    /// Whether the body has ended, or something came that is not a chunk.
    pub(super) const fn is_at_end(&self) -> bool {
        matches!(self.position, Position::End | Position::Broken)
    }

    /// Whether the body has ended as it should.
    pub(super) const fn are_complete(&self) -> bool {
        matches!(self.position, Position::End)
    }

    /// Takes bytes from the front of `input` until `body` is `limit` bytes long or the chunks end; returns how many.
    pub(super) fn decode(&mut self, input: &[u8], body: &mut Vec<u8>, limit: usize) -> usize {
        let mut used = 0;
        while used < input.len() && body.len() < limit && !self.is_at_end() {
            if let Position::Data(missing) = self.position {
                let room = (limit - body.len()).min(input.len() - used);
                let len = missing.min(room as u64) as usize;
                body.extend_from_slice(&input[used..used + len]);
                used += len;
                let missing = missing - len as u64;
                self.position = if missing == 0 { Position::Size(None) } else { Position::Data(missing) };
            } else {
                self.position = self.framing(input[used]);
                used += 1;
            }
        }
        used
    }

    /// Where `byte`, which is no data, leads.
    fn framing(&mut self, byte: u8) -> Position {
        self.overhead += 1;
        if self.overhead > MAX_OVERHEAD {
            return Position::Broken;
        }
        match (self.position, byte) {
            // The end of the data before.
            (Position::Size(None), b'\r' | b'\n') => Position::Size(None),
            (Position::Size(size), _) if byte.is_ascii_hexdigit() => {
                let digit = (byte as char).to_digit(16).unwrap_or_default();
                size.unwrap_or_default()
                    .checked_mul(16)
                    .map_or(Position::Broken, |size| Position::Size(Some(size + u64::from(digit))))
            }
            (Position::Size(Some(0)) | Position::Extension(0), b'\n') => Position::Trailer(true),
            (Position::Trailer(true), b'\n') => Position::End,
            (Position::Trailer(is_empty), b'\r') => Position::Trailer(is_empty),
            (Position::Trailer(_), byte) => Position::Trailer(byte == b'\n'),
            (Position::Size(Some(size)) | Position::Extension(size), b'\n') => Position::Data(size),
            (Position::Size(Some(size)), b';' | b' ' | b'\t' | b'\r') => Position::Extension(size),
            (Position::Extension(size), _) => Position::Extension(size),
            _ => Position::Broken,
        }
    }
}
