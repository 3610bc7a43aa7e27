//! The machinery that inflates, lent to one connection at a time.

use zlib_rs::{Inflate, InflateFlush, Status};

use super::parameters::{MAX_BITS, TAIL};
use super::window::Window;
use crate::ProtocolError;

/// Follows [`TAIL`]; not to be used up.
const SENTINEL: u8 = 0x55;

/// The machinery. It serves one message at a time; between messages a connection keeps its window, and nothing else.
pub(super) struct Inflater {
    inflate: Inflate,
    /// Tells a connection that it was the last to use this one, so that its window is still inside.
    pub(super) stamp: u64,
}

impl Default for Inflater {
    fn default() -> Self {
        // Without a zlib header. It looks back as far as any server may.
        Self { inflate: Inflate::new(false, MAX_BITS), stamp: 0 }
    }
}

/// What one step has done.
pub(super) struct Inflated {
    pub(super) used: usize,
    pub(super) made: usize,
    /// The final block ended here.
    pub(super) last: bool,
    /// What comes next cannot be inflated.
    pub(super) invalid: bool,
}

impl Inflater {
    /// Starts a new stream that may refer back to `window`.
    pub(super) fn start(&mut self, window: &Window) -> Result<(), ProtocolError> {
        self.inflate.reset(false);
        for piece in window.pieces() {
            if !piece.is_empty() {
                self.inflate.set_dictionary(piece).map_err(|_| ProtocolError::InvalidDeflate)?;
            }
        }
        Ok(())
    }

    pub(super) fn step(&mut self, input: &[u8], room: &mut [u8], flush: InflateFlush) -> Inflated {
        let (used, made) = (self.inflate.total_in(), self.inflate.total_out());
        let status = self.inflate.decompress(input, room, flush);
        Inflated {
            used: (self.inflate.total_in() - used) as usize,
            made: (self.inflate.total_out() - made) as usize,
            last: status == Ok(Status::StreamEnd),
            invalid: status.is_err(),
        }
    }
}

/// Feeds the end that the server has cut off. The data before it was whole if this, and nothing more, brings the inflater to the end of
/// a block: inside a block it would take the next byte too, or bring forth something.
pub(super) fn end(inflater: &mut Inflater) -> Result<(), ProtocolError> {
    let [a, b, c, d] = TAIL;
    let ended = inflater.step(&[a, b, c, d, SENTINEL], &mut [0; 8], InflateFlush::Block);
    match ended {
        Inflated { used: 4, made: 0, last: false, invalid: false } => Ok(()),
        _ => Err(ProtocolError::UnfinishedDeflate),
    }
}
