//! Replies of a known length, which may arrive in pieces.

/// Moves bytes from the front of `input` to `reply` until that has `size` bytes; returns whether it has.
pub(super) fn fill(reply: &mut Vec<u8>, input: &mut &[u8], size: usize) -> bool {
    let (taken, rest) = input.split_at(size.saturating_sub(reply.len()).min(input.len()));
    reply.extend_from_slice(taken);
    *input = rest;
    reply.len() >= size
}
