//! The machinery that inflates, lent to one connection at a time.

use zlib_rs::{Inflate, InflateFlush, Status};

use super::parameters::{MAX_BITS, TAIL};
use super::window::Window;
use crate::ProtocolError;

/// Follows [`TAIL`]; not to be used up.
const SENTINEL: u8 = 0x55;

/// A stored block of no bytes, as it begins at a byte. Set are the bits that nothing reads there, those between its type and its length:
/// inside of another block they cannot be taken for the end of that and the type of this.
const EMPTY_BLOCK: [u8; 5] = [0xf8, 0, 0, 0xff, 0xff];

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
    take_exactly(inflater, &[a, b, c, d, SENTINEL])
}

/// Checks that the data, whose end the server has left on, stands at the end of a block.
pub(super) fn check_ended(inflater: &mut Inflater) -> Result<(), ProtocolError> {
    let [a, b, c, d, e] = EMPTY_BLOCK;
    take_exactly(inflater, &[a, b, c, d, e, SENTINEL])
}

/// Feeds the bytes up to the sentinel, which have to end a block there and to bring forth nothing.
fn take_exactly(inflater: &mut Inflater, bytes: &[u8]) -> Result<(), ProtocolError> {
    match inflater.step(bytes, &mut [0; 8], InflateFlush::Block) {
        Inflated { used, made: 0, last: false, invalid: false } if used + 1 == bytes.len() => Ok(()),
        _ => Err(ProtocolError::UnfinishedDeflate),
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng as _, SeedableRng as _};

    use super::*;

    /// What `data` is inflated to, if it ends no stream.
    fn inflate(inflater: &mut Inflater, data: &[u8]) -> Option<Vec<u8>> {
        let mut room = vec![0; 4096];
        inflater.start(&Window::new(0)).unwrap();
        let Inflated { used, made, last, invalid } = inflater.step(data, &mut room, InflateFlush::SyncFlush);
        room.truncate(made);
        (used == data.len() && !last && !invalid).then_some(room)
    }

    /// Whether a block that is known follows `data` in its own right, whatever is beside its type.
    fn is_between_blocks(inflater: &mut Inflater, data: &[u8]) -> bool {
        [0x01, 0xf9, 0xa9].into_iter().all(|header| {
            let Some(mut expected) = inflate(inflater, data) else { return false };
            expected.push(b'x');
            inflater.start(&Window::new(0)).unwrap();
            let mut room = vec![0; 4097];
            let all = [data, &[header, 1, 0, 0xfe, 0xff, b'x']].concat();
            let Inflated { used, made, last, .. } = inflater.step(&all, &mut room, InflateFlush::SyncFlush);
            last && used == all.len() && room[..made] == expected
        })
    }

    #[test]
    fn k1_data_with_its_tail_left_on_has_ended_where_a_block_has() {
        let mut inflater = Inflater::default();
        let mut random = StdRng::seed_from_u64(7692);
        let short = (0..=u16::MAX).map(|pair| pair.to_le_bytes().to_vec());
        // Blocks of all kinds: stored, fixed, dynamic, with the tail somewhere inside.
        let long = (0..40_000).map(|_| {
            let mut data = [
                0x00, 0x04, 0x00, 0xfb, 0xff, 0x00, 0x00, 0xff, 0xff, 0xca, 0x48, 0xcd, 0xc9, 0xc9, 0x57,
                0x00,
            ]
            .to_vec();
            data.truncate(random.next_u32() as usize % 17);
            for _ in 0..random.next_u32() % 4 {
                data.push(random.next_u32() as u8);
            }
            data
        });
        let (mut ended, mut unfinished) = (0, 0);
        for mut data in short.chain(long) {
            data.extend_from_slice(&TAIL);
            if inflate(&mut inflater, &data).is_none() {
                continue;
            }
            let accepted = check_ended(&mut inflater).is_ok();
            assert_eq!(accepted, is_between_blocks(&mut inflater, &data), "{data:x?}");
            if accepted { ended += 1 } else { unfinished += 1 }
        }
        assert!(ended > 1000 && unfinished > 1000, "{ended}, {unfinished}");
    }
}
