//! Masking (RFC 6455 section 5.3).

/// Bytes masked at a time: copied and masked while they are in the first-level cache. A multiple of four keeps the key in step.
const BLOCK: usize = 16 << 10;

/// Appends `payload` to `out`, masked with `key`.
pub(crate) fn append(out: &mut Vec<u8>, payload: &[u8], key: [u8; 4]) {
    for block in payload.chunks(BLOCK) {
        let start = out.len();
        out.extend_from_slice(block);
        apply(&mut out[start..], key);
    }
}

/// Copies `payload` to `room`, which is as long, masked with `key`.
#[inline]
pub(crate) fn copy(room: &mut [u8], payload: &[u8], key: [u8; 4]) {
    let (words, rest) = payload.as_chunks::<8>();
    let (blocks, words) = words.as_chunks::<4>();
    let (room_words, room_rest) = room.as_chunks_mut::<8>();
    let (room_blocks, room_words) = room_words.as_chunks_mut::<4>();
    let word = word(key);
    for (room, block) in room_blocks.iter_mut().zip(blocks) {
        *room = block.map(|bytes| masked(bytes, word));
    }
    for (room, bytes) in room_words.iter_mut().zip(words) {
        *room = masked(*bytes, word);
    }
    for ((room, byte), key) in room_rest.iter_mut().zip(rest).zip(key.iter().cycle()) {
        *room = byte ^ key;
    }
}

/// Masks or unmasks `bytes` in place.
#[inline]
pub(crate) fn apply(bytes: &mut [u8], key: [u8; 4]) {
    let (words, rest) = bytes.as_chunks_mut::<8>();
    let (blocks, words) = words.as_chunks_mut::<4>();
    let word = word(key);
    for block in blocks {
        *block = block.map(|bytes| masked(bytes, word));
    }
    for bytes in words {
        *bytes = masked(*bytes, word);
    }
    for (byte, key) in rest.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

#[inline(always)]
const fn masked(bytes: [u8; 8], word: u64) -> [u8; 8] {
    (u64::from_ne_bytes(bytes) ^ word).to_ne_bytes()
}

/// The key twice.
#[inline]
fn word([a, b, c, d]: [u8; 4]) -> u64 {
    u64::from_ne_bytes([a, b, c, d, a, b, c, d])
}

/// The key as it stands `offset` bytes into the payload.
pub(crate) fn rotate(key: [u8; 4], offset: u64) -> [u8; 4] {
    let mut key = key;
    key.rotate_left((offset % 4) as usize);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b056_masking_is_xor_with_the_repeated_key_at_every_length_and_offset() {
        let key = [0x12, 0x34, 0x56, 0x78];
        let payload: Vec<u8> = (0..BLOCK + 77).map(|i| (i * 7) as u8).collect();
        for len in (0..80).chain([BLOCK - 1, BLOCK, BLOCK + 1, payload.len()]) {
            let mut out = vec![0xee];
            append(&mut out, &payload[..len], key);
            let expected = payload[..len].iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]);
            assert!(out[1..].iter().copied().eq(expected), "{len}");
            let mut room = vec![0xee; len];
            copy(&mut room, &payload[..len], key);
            assert_eq!(room, out[1..], "{len}");
        }
        for offset in 0..9_u64 {
            let mut rest = payload[offset as usize..100].to_vec();
            apply(&mut rest, rotate(key, offset));
            assert!(rest.iter().enumerate().all(|(i, byte)| {
                let at = i + offset as usize;
                *byte == payload[at] ^ key[at % 4]
            }));
        }
    }
}
